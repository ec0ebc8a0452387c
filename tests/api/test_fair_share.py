"""Limits and turns as people see them: what waits, at which place, and why. The cluster does not answer, so what has its
turn stays on its way."""

import json
import subprocess

import pytest
from conftest import CONFIG, ROOT, wait_until


def tasks(count):
    """A config with so many tasks."""
    return CONFIG[:CONFIG.index("    - name:")] + "    - name: lm-evaluation-harness.ifeval\n" * count


@pytest.fixture
def start(fresh):
    """start(limits, alpha=..., more=...): a daemon with these settings."""
    def make(limits, alpha="", more=""):
        daemon = fresh()
        text = daemon.settings.read_text()
        text = text.replace("active_jobs_per_user: 100000, submitted_jobs_per_user: 100000", limits[1:-1] or "config_bytes: 1048576")
        text = text.replace("  - name: beta", f"    {alpha}\n  - name: beta" if alpha else "  - name: beta")
        daemon.settings.write_text(text + more)
        daemon.start()
        return daemon

    return make


def waits(client, evaluation):
    """What the evaluation's jobs wait on, by index; None for those that have had their turn."""
    return [job["waiting_on"] if job["state"] == "queued" else None
            for job in client.get(f"/v1/evaluations/{evaluation}").json()["jobs"]]


def wait_for(client, evaluation, wanted):
    seen = []

    def look():
        seen[:] = waits(client, evaluation)
        return seen == wanted

    try:
        wait_until(look)
    except AssertionError:
        assert seen == wanted


def submit(client, count):
    return client.submit(tasks(count)).json()["id"]


def test_jobs_above_a_persons_limit_wait_with_their_place(start):
    daemon = start("{submitted_jobs_per_user: 2}")
    ann, bob = daemon.client("ann"), daemon.client("bob")
    one = submit(ann, 5)
    reason = "in the queue of alpha: ann has 2 of 2 jobs in Slurm"
    wait_for(ann, one, [None, None, f"place 1 of 3 {reason}", f"place 2 of 3 {reason}", f"place 3 of 3 {reason}"])
    other = submit(bob, 1)
    wait_for(bob, other, [None])
    # The same in every list and of one job.
    wanted = f"place 3 of 3 {reason}"
    wait_until(lambda: ann.get(f"/v1/jobs/{one}.4").json()["waiting_on"] == wanted)
    assert ann.get(f"/v1/jobs?evaluation={one}").json()["items"][0]["waiting_on"] == wanted
    queue = ann.get(f"/v1/jobs/{one}.4").json()["queue"]
    assert queue == {"in": "service", "position": 3, "of": 3, "reason": "submitted_jobs_of_user", "count": 2, "limit": 2, "until": None,
                     "expected_start": None} == ann.get(f"/v1/jobs?evaluation={one}").json()["items"][0]["queue"]
    assert ann.get(f"/v1/jobs/{one}.0").json()["queue"] is None
    listed = {item["id"]: item for item in ann.get("/v1/evaluations").json()["items"]}
    assert listed[one]["jobs"][4]["waiting_on"] == wanted
    # Nothing of it is written for every job and tick: the store has what does not change.
    assert daemon.execute("SELECT DISTINCT waiting_on FROM jobs WHERE state = 'queued'") == [("its turn",)]
    ann.post(f"/v1/jobs/{one}.2/cancel")
    wait_for(ann, one, [None, None, None, f"place 1 of 2 {reason}", f"place 2 of 2 {reason}"])


def test_jobs_above_the_limit_of_active_ones_wait(start):
    daemon = start("{active_jobs_per_user: 1, users: {bob: {active_jobs: 3}}}")
    ann, bob = daemon.client("ann"), daemon.client("bob")
    one, other = submit(ann, 2), submit(bob, 3)
    wait_for(ann, one, [None, "place 1 of 1 in the queue of alpha: ann has 1 of 1 jobs begun and not ended"])
    wait_for(bob, other, [None, None, None])


def test_jobs_above_a_clusters_limit_take_turns_and_keep_places_over_a_restart(start):
    daemon = start("{}", alpha="submitted_jobs: 3")
    ann, bob = daemon.client("ann"), daemon.client("bob")
    one = submit(ann, 5)
    full = "in the queue of alpha: alpha has 3 of 3 jobs in Slurm"
    wait_for(ann, one, [None, None, None, f"place 1 of 2 {full}", f"place 2 of 2 {full}"])
    other = submit(bob, 1)
    wait_for(bob, other, [f"place 1 of 3 {full}"])
    wait_for(ann, one, [None, None, None, f"place 2 of 3 {full}", f"place 3 of 3 {full}"])
    daemon.stop()
    daemon.start()
    ann, bob = daemon.client("ann"), daemon.client("bob")
    wait_for(bob, other, [f"place 1 of 3 {full}"])
    wait_for(ann, one, [None, None, None, f"place 2 of 3 {full}", f"place 3 of 3 {full}"])


def test_a_place_that_becomes_free_goes_to_who_has_least(start):
    daemon = start("{}", alpha="submitted_jobs: 2")
    ann, bob = daemon.client("ann"), daemon.client("bob")
    one = submit(ann, 4)
    full = "in the queue of alpha: alpha has 2 of 2 jobs in Slurm"
    wait_for(ann, one, [None, None, f"place 1 of 2 {full}", f"place 2 of 2 {full}"])
    other = submit(bob, 2)
    wait_for(bob, other, [f"place 1 of 4 {full}", f"place 2 of 4 {full}"])
    ann.post(f"/v1/jobs/{one}.0/cancel")  # it has never reached the cluster
    wait_for(bob, other, [None, f"place 2 of 3 {full}"])
    wait_for(ann, one, [None, None, f"place 1 of 3 {full}", f"place 3 of 3 {full}"])


def test_weights_of_the_settings_order_the_queue(start):
    daemon = start("{}", alpha="submitted_jobs: 1", more="fair_share: {weights: {bob: 2}}\n")
    ann, bob = daemon.client("ann"), daemon.client("bob")
    first = submit(daemon.client("root-of-all"), 1)
    wait_for(ann, first, [None])
    one, other = submit(ann, 3), submit(bob, 3)
    full = "in the queue of alpha: alpha has 1 of 1 jobs in Slurm"
    wait_for(ann, one, [f"place {place} of 6 {full}" for place in (1, 4, 6)])
    wait_for(bob, other, [f"place {place} of 6 {full}" for place in (2, 3, 5)])


def test_hundreds_of_tasks_are_not_refused(start):
    """They are no mistake: they wait."""
    daemon = start("{active_jobs_per_user: 1, submitted_jobs_per_user: 1}")
    ann = daemon.client("ann")
    one = submit(ann, 250)
    wait_until(lambda: waits(ann, one)[249] ==
               "place 249 of 249 in the queue of alpha: ann has 1 of 1 jobs in Slurm")


def test_jobs_above_a_quota_wait_and_say_until_when(start):
    daemon = start("", more="quotas: {default: {gpu_hours: 5, per: month}, users: {bob: {gpu_hours: null}},"
                            " labels: {'team:red': {gpu_hours: 0}}, all: {gpu_hours: 1000}}\n")
    ann, bob = daemon.client("ann"), daemon.client("bob")
    daemon.execute("INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, ended_at, run_s, queue_s, gpu_s,"
                   " start_up_gpu_s, idle_gpu_s, lost_gpu_s, source) VALUES ('q.1', 'q.0', 'q', 'ann', 'alpha', 'm', 't', unixepoch(),"
                   " 3600, 0, 21600, 0, 0, 0, 'sacct')")
    one = submit(ann, 1)

    def held(client, evaluation):
        job = client.get(f"/v1/jobs/{evaluation}.0").json()
        return job["queue"] and job["queue"]["reason"] and job

    job = wait_until(lambda: held(ann, one))
    assert job["state"] == "queued"
    queue = job["queue"]
    assert (queue["reason"], queue["count"], queue["limit"]) == ("gpu_hours_of_user", 6, 5) and queue["until"].endswith("-01T00:00:00Z")
    assert job["waiting_on"] == ("place 1 of 1 in the queue of alpha: ann has used 6 of 5 GPU hours this month, with what their jobs in"
                                 f" Slurm take; until {queue['until']}")
    other = submit(bob, 1)
    wait_for(bob, other, [None])  # nobody else waits for it
    labelled = bob.submit(json.dumps({"config": tasks(1), "labels": {"team": "red"}}),
                          content_type="application/json").json()["id"]
    job = wait_until(lambda: held(bob, labelled))
    assert job["queue"]["reason"] == "gpu_hours_of_label" and "those with the label team:red have used 0 of 0 GPU hours" in job["waiting_on"]
    quotas = ann.get("/v1/usage").json()["quotas"]
    assert quotas == [{"of": "user", "name": "ann", "gpu_hours": 5, "used_gpu_s": 21600, "until": queue["until"]},
                      {"of": "label", "name": "team:red", "gpu_hours": 0, "used_gpu_s": 0, "until": queue["until"]},
                      {"of": "all", "name": None, "gpu_hours": 1000, "used_gpu_s": 21600, "until": queue["until"]}]
    assert [quota["of"] for quota in bob.get("/v1/usage").json()["quotas"]] == ["label", "all"]
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "NEL_URL": daemon.base, "NEL_TOKEN": daemon.tokens["ann"]}
    told = subprocess.run([ROOT / "examples/nelctl", "usage"], env=env, capture_output=True, text=True, timeout=120, check=True).stdout
    assert told.splitlines()[-3:] == [f"quota of {what} GPU hours used this month, until {queue['until']}" for what in
                                      ("user ann: 6 of 5", "label team:red: 0 of 0", "all together: 6 of 1000")]
    ann.post(f"/v1/jobs/{one}.0/cancel")  # one that waits can be taken back
    wait_until(lambda: ann.get(f"/v1/jobs/{one}.0").json()["state"] == "cancelled")


def test_quota_for_all_holds_everybody(start):
    """It has been used by the two together; one without a quota of their own is held by it, too, until more is allowed."""
    daemon = start("", more="quotas: {users: {bob: {gpu_hours: null}}, all: {gpu_hours: 10, per: month}}\n")
    for user, gpu_s in (("ann", 14400), ("bob", 21600)):
        daemon.execute("INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, ended_at, run_s, queue_s, gpu_s,"
                       " start_up_gpu_s, idle_gpu_s, lost_gpu_s, source) VALUES (?, 'q.0', 'q', ?, 'alpha', 'm', 't', unixepoch(),"
                       " 3600, 0, ?, 0, 0, 0, 'sacct')", f"q.{user}", user, gpu_s)
    held = {}
    for name in ("ann", "bob"):
        client = daemon.client(name)
        held[name] = f"{submit(client, 1)}.0"

        def look(client=client, name=name):
            job = client.get(f"/v1/jobs/{held[name]}").json()
            return job["queue"] and job["queue"]["reason"] and job
        job = wait_until(look)
        queue = job["queue"]
        assert (job["state"], queue["reason"], queue["count"], queue["limit"]) == ("queued", "gpu_hours_of_all", 10, 10)
        assert queue["until"].endswith("-01T00:00:00Z") and job["attempts"] == []
        assert "all together have used 10 of 10 GPU hours this month" in job["waiting_on"] and queue["until"] in job["waiting_on"]
        assert client.get("/v1/usage").json()["quotas"] == [
            {"of": "all", "name": None, "gpu_hours": 10, "used_gpu_s": 36000, "until": queue["until"]}]
    daemon.execute("UPDATE usage SET gpu_s = 21599 WHERE attempt = 'q.bob'")
    ann = daemon.client("ann")
    wait_until(lambda: not (ann.get(f"/v1/jobs/{held['ann']}").json()["queue"] or {"reason": None})["reason"])


def test_what_a_quota_counts_queues_no_attempts_of_its_own(start):
    """Attempts that a job queues itself would ask no quota: its mode is daemon, and a warning says so."""
    daemon = start("", more="quotas: {users: {ann: {gpu_hours: 5}}, labels: {'team:red': {gpu_hours: 5}}}\n")

    def planned(name, labels, mode="in_job"):
        body = json.dumps({"config": tasks(1), "labels": labels, "overrides": [f"++execution.auto_resume.mode={mode}"]})
        return daemon.client(name).submit(body, 200, params={"dry_run": "true"}, content_type="application/json").json()

    for name, labels, mode, kept in (("ann", {}, "in_job", True), ("bob", {"team": "red"}, "in_job", True), ("bob", {"team": "blue"}, "in_job", False),
                                     ("bob", {}, "in_job", False), ("ann", {}, "daemon", False)):
        document = planned(name, labels, mode)
        warned = [warning["message"] for warning in document["warnings"] if warning["pointer"] == "/execution/auto_resume/mode"]
        script = next(job["script"] for job in document["jobs"])
        assert bool(warned) == kept and f"NEL_RESUME_MODE={'daemon' if kept else mode}" in script
        assert not kept or "a quota of GPU hours counts this submission" in warned[0]
    body = json.dumps({"config": tasks(1), "overrides": ["++execution.auto_resume.mode=in_job"]})
    evaluation = daemon.client("ann").submit(body, content_type="application/json").json()["id"]
    rows = daemon.execute("SELECT resume_mode FROM chains WHERE evaluation = (SELECT seq FROM evaluations WHERE id = ?)", evaluation)
    assert rows == [("daemon",)]
