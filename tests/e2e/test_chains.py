"""Chains of attempts: how they go on, when they end, and what the API tells of it. Time limits are real, and the shortest
one is a minute, so everything slow is submitted at once and the tests wait for theirs (five minutes in all).

A question here takes longer than the walltime, and the stand-in evaluator finishes the one it is at when it is told to
stop. So each attempt that times out has asked exactly one question, and the next attempt asks the next."""

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from client import ENDS
from configs import config, task
from daemon import Daemon, cluster_settings
from submissions import Site
from testbed import answers, questions, wait_for

TIMEOUT_S = 420
LONG_S = 200
THREE_TIMEOUTS = {"limit": 3, "delay_s": LONG_S, "parallelism": 1}
OUT_OF_TIME = "TIMEOUT|FAILED"  # whoever came first: Slurm, or the script, which keeps the budget
ENDLESS = {"limit": 40, "delay_s": LONG_S, "parallelism": 1}
FAILS = {"limit": 4, "extra": {"fail_with": 7}}
MINUTE = "00:01:00"

# name: cluster, work, execution
HERE = {
    "undisturbed": ("alpha", {"limit": 3}, {}),
    "timeouts": ("alpha", THREE_TIMEOUTS, {"walltime": MINUTE}),
    "budget": ("alpha", ENDLESS, {"walltime": "00:02:00", "max_walltime": "00:03:50"}),
    "budget_beta": ("beta", ENDLESS, {"walltime": MINUTE, "max_walltime": "00:03:00"}),
    "off": ("alpha", ENDLESS, {"walltime": MINUTE, "auto_resume": {"mode": "off"}}),
    "narrowed": ("beta", ENDLESS, {"walltime": MINUTE, "auto_resume": {"on": ["PREEMPTED", "NODE_FAIL"]}}),
    "max_attempts": ("alpha", ENDLESS, {"walltime": MINUTE, "auto_resume": {"max_attempts": 2}}),
    "widened": ("alpha", FAILS, {"auto_resume": {"on": ["FAILED"], "max_attempts": 3}}),
    "failed": ("alpha", FAILS, {}),
    "outside": ("alpha", ENDLESS, {}),
    # Its node is drained; newer sbatch refuses a deadline that leaves less than the time limit from the start.
    "deadline": ("alpha", ENDLESS, {"walltime": MINUTE, "partition": "wide", "sbatch_extra_flags": {
        "exclusive": False, "nodelist": "a3", "deadline": "now+70"}}),
}
IN_JOB = {"mode": "in_job"}
# The daemon of these is killed as soon as they are submitted, and comes back when nothing of them is left in Slurm.
AWAY = {
    "in_job": ("alpha", THREE_TIMEOUTS, {"walltime": MINUTE, "auto_resume": IN_JOB}),
    "in_job_beta": ("beta", THREE_TIMEOUTS, {"walltime": MINUTE, "auto_resume": IN_JOB}),
    "in_job_budget": ("alpha", ENDLESS, {"walltime": "00:02:00", "max_walltime": "00:04:00", "auto_resume": IN_JOB}),
    "in_job_failed": ("alpha", FAILS, {"auto_resume": IN_JOB}),
    "in_job_widened": ("beta", FAILS, {"auto_resume": {**IN_JOB, "on": ["FAILED"], "max_attempts": 3}}),
}


class Watcher(threading.Thread):
    """Looks every few seconds, until it is stopped."""

    def __init__(self, look):
        super().__init__(daemon=True)
        self.look = look
        self.over = threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(5):
            self.look()

    def stop(self):
        self.over.set()
        self.join(60)


class Chains:
    def __init__(self, bed, model_server, here, away):
        self.bed, self.here, self.away = bed, here, away
        self.ids = {}
        self.waiting = Counter()  # (name, reason) of waiting Slurm jobs, as squeue shows them every few seconds
        self.watcher = Watcher(self.watch)
        self.shared = self.submit_shared(away.admin, Site(bed, "alpha", 20000, model_server))
        for name, (cluster, work, execution) in AWAY.items():
            self.submit(away, name, model_server, cluster, work, execution)
        for name in AWAY:
            away.client.wait_job(self.ids[name], lambda job: job["slurm_job_id"], "has reached Slurm")
        away.kill()
        for name, (cluster, work, execution) in HERE.items():
            self.submit(here, name, model_server, cluster, work, execution)
        job = here.client.wait_state(self.ids["outside"], "running")
        bed.cancel_job("alpha", job["slurm_job_id"])

    @staticmethod
    def submit_shared(client, site):
        """Three jobs on one server: one that fails, and is resumed beside the queued successor; one that times out; one."""
        body = site.vllm(task(**FAILS), task(limit=1, delay_s=LONG_S), task(),
                         execution={"walltime": MINUTE, "auto_resume": IN_JOB, "share_deployment": True})
        evaluation = client.submit(body)["id"]
        client.wait_state(f"{evaluation}.0", "failed")
        client.post(f"/v1/jobs/{evaluation}.0/resume", 202, json={})
        wait_for("the resume is taken", lambda: client.job(f"{evaluation}.0")["state"] not in ENDS)
        return evaluation

    def submit(self, daemon, name, model_server, cluster, work, execution):
        body = config(self.bed, model_server, task(**work), cluster=cluster, execution=execution)
        self.ids[name] = daemon.client.submit(body, model_server.env)["id"] + ".0"

    def watch(self):
        for cluster in ("alpha", "beta"):
            text = self.bed.run(cluster, "squeue", "--noheader", "--states=PENDING", "--format=%j|%r")
            self.waiting.update(tuple(line.strip().rsplit("|", 1)) for line in text.splitlines())

    def wait_away(self):
        """Until the chains of the killed daemon have ended without it; then it is started again."""
        if self.away.process is not None:
            return
        evaluations = [self.shared, *(self.ids[name].partition(".")[0] for name in AWAY)]

        def all_gone():
            text = "".join(self.bed.run(cluster, "squeue", "--noheader", "--format=%j") for cluster in ("alpha", "beta"))
            return not any(evaluation in text for evaluation in evaluations)

        wait_for("the chains end without their daemon", all_gone, TIMEOUT_S, 2)
        self.away.start()

    def end(self, name, state):
        """The job, ended as it should."""
        if name in AWAY:
            self.wait_away()
        client = (self.away if name in AWAY else self.here).client
        job = client.wait_job(self.ids[name], lambda job: job["state"] in ENDS, "ends", TIMEOUT_S)
        assert job["state"] == state, job
        check_story(job)
        return job

    def slurm_rows(self, name, states):
        """What accounting has of a chain, past the daemon: [(id, seconds, limit in minutes)], in order. It lags behind,
        hence waits until the jobs that have begun have those states. None of them is there twice."""
        evaluation = self.ids[name].partition(".")[0]

        def look():
            text = self.bed.run("alpha", "sacct", "--allusers", "--allocations", "--duplicates", "--noheader", "--parsable2",
                                "--starttime=now-1day", "--format=JobName,JobID,State,ElapsedRaw,TimelimitRaw")
            rows = [line.split("|") for line in text.splitlines() if evaluation in line]
            rows = sorted((int(row[1]), int(row[3]), int(row[4]), row[2].split()[0], row[0]) for row in rows)
            names = [row[4] for row in rows]
            assert len(set(names)) == len(names)
            rows = [row for row in rows if row[1] > 0 or row[3] != "CANCELLED"]
            seen = [row[3] for row in rows]
            as_wanted = len(seen) == len(states) and all(state in wanted.split("|") for state, wanted in zip(seen, states))
            return [row[:3] for row in rows] if as_wanted else None

        return wait_for(f"accounting has {states} of {name}", look, 60, 2)


@pytest.fixture(scope="module")
def chains(bed, model_server, daemon, tmp_path_factory):
    settings = [cluster_settings(bed, name, name, absence_deadline_s=60) for name in ("alpha", "beta")]
    away = Daemon(tmp_path_factory.mktemp("away"), settings).start()
    # Without accounting, the stamps have to tell what slurmctld has forgotten.
    bed.ctl("beta", "set", "MinJobAge=2")
    bed.ctl("alpha", "node", "a3", "drain")
    chains = Chains(bed, model_server, daemon, away)
    yield chains
    chains.watcher.stop()
    bed.ctl("alpha", "node", "a3", "resume")
    away.end()
    bed.ctl("beta", "set", "MinJobAge=1800")


def stamped_s(job):
    """How long the attempts ran by their own account."""
    total = 0
    for number in range(1, job["attempt"] + 1):
        directory = Path(job["rundir"]) / f".attempts/{number}"
        starts, ends = ([int(line.split()[0]) for line in (directory / name).read_text().splitlines()]
                        for name in ("started", "ended"))
        assert len(starts) == len(ends) == 1
        total += ends[0] - starts[0]
    return total


def check_story(job):
    """The history alone tells of each attempt how it ended, where, and what is left of the budget."""
    history = job["history"]
    assert [entry["from"] for entry in history[1:]] == [entry["to"] for entry in history[:-1]]
    assert history[-1]["to"] == job["state"] and history[-1]["reason"] == job["reason"]
    told = [entry["reason"] for entry in history if entry["to"] == "resuming" or entry["to"] in ENDS]
    assert len(told) == len(job["attempts"])
    for attempt, reason in zip(job["attempts"], told):
        assert f"attempt {attempt['number']}" in reason
        assert attempt["slurm_state"] in reason or attempt["slurm_state"] in ("COMPLETED", "CANCELLED")
        if attempt["nodes"] and attempt["started_at"]:
            assert f" on {attempt['nodes']}" in reason
        assert "s of the walltime budget are left" in reason
    assert job["budget"]["used_s"] == sum(attempt["elapsed_s"] or 0 for attempt in job["attempts"])
    assert job["waiting_on"] is None


def check_withdrawn(job, number):
    """The successor was queued, and never began."""
    directory = Path(job["rundir"]) / f".attempts/{number}"
    assert (directory / "fate").read_text().split() == ["WITHDRAWN", "0"]
    assert not (directory / "job").exists()
    assert (Path(job["rundir"]) / f".submitted/{number}/id").exists()


def check_states(job, *states):
    assert tuple(attempt["slurm_state"] for attempt in job["attempts"]) == states
    assert job["attempt"] == len(states)


def check_three_timeouts(chains, daemon, job):
    """Whatever ended it, each question was answered once, asked again only where there was an attempt more, and the scores
    are those of an undisturbed run. Returns the attempts' states."""
    states = [attempt["slurm_state"] for attempt in job["attempts"]]
    assert states in (["TIMEOUT"] * 3 + ["COMPLETED"], ["TIMEOUT"] * 4 + ["COMPLETED"])  # a slow machine needs one more
    asked = questions(job)  # the limit of the attempt more may have come between a question and its answer
    assert sorted(set(asked)) == sorted(answers(job)) == [0, 1, 2] and asked == sorted(asked)
    assert len(asked) < len(states)
    undisturbed = chains.end("undisturbed", "succeeded")
    assert daemon.client.scores(job["id"]) == chains.here.client.scores(undisturbed["id"]) != {}
    return states


# ---- what ends at once ----


def test_failure_that_is_to_be_resumed_backs_off_and_says_until_when(chains):
    """auto_resume.on may name it; two failures in a row within seconds, and the third attempt waits."""
    client = chains.here.client
    job = client.wait_job(chains.ids["widened"], lambda job: (job["waiting_on"] or "").startswith("a back-off until 20"),
                          "backs off")
    assert (job["state"], job["attempt"]) == ("resuming", 2)
    job = chains.end("widened", "failed")
    check_states(job, "FAILED", "FAILED", "FAILED")
    assert "max_attempts is 3" in job["reason"]


def test_failure_of_the_evaluation_ends_the_chain(chains):
    job = chains.end("failed", "failed")
    check_states(job, "FAILED")
    assert "exit code 7" in job["reason"]
    assert "told to fail" in job["reason"]


def test_cancellation_on_the_cluster_ends_the_chain(chains):
    job = chains.end("outside", "cancelled")
    check_states(job, "CANCELLED")
    assert "cancelled on the cluster" in job["reason"]


def test_deadline_ends_the_chain(chains):
    job = chains.end("deadline", "failed")
    check_states(job, "DEADLINE")
    assert "DEADLINE" in job["reason"]


# ---- cancelling a chain that queues its own successors ----


class OwnChain:
    """A running job in mode in_job, and its successor in the queue."""

    def __init__(self, bed, client, model_server, cluster):
        self.bed, self.client, self.cluster = bed, client, cluster
        body = config(bed, model_server, task(**ENDLESS), cluster=cluster, execution={"auto_resume": IN_JOB})
        self.evaluation = client.submit(body, model_server.env)["id"]
        self.id = f"{self.evaluation}.0"

    def live(self):
        text = self.bed.run(self.cluster, "squeue", "--noheader", "--format=%j|%T|%E|%r")
        return sorted(line.strip().partition(self.evaluation)[2] for line in text.splitlines() if self.evaluation in line)

    def wait_queued(self, first=1):
        job = self.client.wait_job(self.id, lambda job: job["state"] == "running" and job["attempt"] == first, "runs")
        expected = [f".{first}|RUNNING|(null)|None",
                    f".{first + 1}|PENDING|afternotok:{job['slurm_job_id']}(unfulfilled)|Dependency"]
        wait_for("the successor is queued", lambda: self.live() == sorted(expected))

    def cancel(self):
        self.client.post(f"/v1/jobs/{self.id}/cancel", 202)
        job = self.client.wait_state(self.id, "cancelled")
        wait_for("nothing is left on the cluster", lambda: self.live() == [])
        assert not (Path(job["rundir"]) / ".secrets.env").exists()
        return job


@pytest.mark.parametrize("cluster", ["alpha", "beta"])
def test_cancel_in_job_takes_the_successor_and_resume_goes_on_after_it(bed, chains, model_server, cluster):
    client = chains.here.client
    chain = OwnChain(bed, client, model_server, cluster)
    chain.wait_queued()
    chain.cancel()
    # The successor that was cancelled with it has the number and the name of the next attempt.
    client.post(f"/v1/jobs/{chain.id}/resume", 202, json={})
    wait_for("the resume is taken", lambda: client.job(chain.id)["state"] not in ENDS)
    chain.wait_queued(3)
    job = chain.cancel()
    check_states(job, "CANCELLED", "CANCELLED", "CANCELLED")
    assert [attempt["elapsed_s"] for attempt in job["attempts"]][1] == 0
    assert "was withdrawn before it began" in str(job["history"])


def test_cancel_in_job_at_any_moment_of_the_start_leaves_nothing(bed, chains, model_server):
    """Among them is the one at which the successor is just being queued."""
    client = chains.here.client
    begun = []
    for delay_s in (0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1):
        chain = OwnChain(bed, client, model_server, "alpha")
        time.sleep(delay_s)
        client.post(f"/v1/jobs/{chain.id}/cancel", 202)
        begun.append(chain)
    for chain in begun:
        chain.cancel()
    time.sleep(3)  # for what might still come
    for chain in begun:
        assert chain.live() == []
        names = Counter(name for _, name in bed.jobs_of("alpha", chain.evaluation))
        assert set(names.values()) <= {1} and len(names) <= 2


# ---- going on by hand ----


def test_resume_by_hand_continues_what_failed_and_says_how_the_budget_is_counted(bed, chains, model_server):
    client = chains.here.client
    body = config(bed, model_server, task(), task(**FAILS), execution={"auto_resume": {"max_attempts": 1}})
    evaluation = client.submit(body, model_server.env)["id"]
    done, job_id = f"{evaluation}.0", f"{evaluation}.1"

    def resume(path, **body):
        client.post(path, 202, json=body)
        attempt = client.job(job_id)["attempt"]
        wait_for("the resume is taken", lambda: client.job(job_id)["attempt"] > attempt or
                 client.job(job_id)["state"] not in ENDS)
        return client.wait_job(job_id, lambda job: job["state"] in ENDS, "ends")

    client.wait_end(evaluation, "failed")
    first = client.job(job_id)
    resumed = resume(f"/v1/evaluations/{evaluation}/resume")
    check_states(resumed, "FAILED", "FAILED")
    assert resumed["history"][:len(first["history"])] == first["history"]
    assert f"resumed by e2e-user; {first['budget']['used_s']} s of the walltime budget are used" in str(resumed["history"])
    assert resumed["budget"]["used_s"] == sum(attempt["elapsed_s"] for attempt in resumed["attempts"])
    assert sorted(questions(resumed)) == [0, 1, 2]  # half of what was left, then half of that
    assert client.job(done)["attempt"] == 1
    anew = resume(f"/v1/jobs/{job_id}/resume", reset_budget=True)
    check_states(anew, "FAILED", "FAILED", "FAILED")
    assert anew["budget"]["used_s"] == anew["attempts"][2]["elapsed_s"]
    assert "with a new walltime budget" in str(anew["history"])
    client.post(f"/v1/jobs/{done}/resume", 409)
    names = Counter(name for _, name in bed.jobs_of("alpha", evaluation))
    assert len(names) == 4 and set(names.values()) == {1}


# ---- what takes minutes ----


def test_off_ends_after_one_attempt(chains):
    job = chains.end("off", "failed")
    check_states(job, "TIMEOUT")
    assert "auto_resume.mode is off" in job["reason"] and "ends with" not in job["reason"]
    assert job["failure"]["lines"] == [] and "auto_resume.mode: daemon" in job["failure"]["advice"]


def test_state_that_auto_resume_leaves_out_ends_the_chain(chains):
    job = chains.end("narrowed", "failed")
    check_states(job, "TIMEOUT")
    assert "auto_resume.on leaves out" in job["reason"]


def test_max_attempts_ends_the_chain(chains):
    job = chains.end("max_attempts", "failed")
    check_states(job, "TIMEOUT", "TIMEOUT")
    assert "max_attempts is 2" in job["reason"]
    chains.slurm_rows("max_attempts", ["TIMEOUT"] * 2)


def test_budget_clips_the_last_attempt_and_ends_the_chain(chains):
    job = chains.end("budget", "budget_exhausted")
    check_states(job, "TIMEOUT", "TIMEOUT")
    assert [attempt["time_limit_s"] for attempt in job["attempts"]] == [120, 60]
    rows = chains.slurm_rows("budget", ["TIMEOUT", OUT_OF_TIME])
    assert [row[2] for row in rows] == [2, 1]
    used_s = sum(row[1] for row in rows)
    assert 120 < used_s <= 230
    assert job["budget"]["used_s"] == used_s
    assert f"ran {used_s} s of 230 s" in job["reason"]


def test_budget_without_accounting_counts_the_scripts_stamps(chains):
    job = chains.end("budget_beta", "budget_exhausted")
    assert set(attempt["slurm_state"] for attempt in job["attempts"]) == {"TIMEOUT"}
    assert job["attempt"] >= 2
    assert abs(job["budget"]["used_s"] - stamped_s(job)) <= 3 * job["attempt"]
    assert 180 - 60 < job["budget"]["used_s"] <= 180
    assert f"ran {job['budget']['used_s']} s of 180 s" in job["reason"]


def test_three_timeouts_and_a_success_ask_nothing_twice(chains):
    job = chains.end("timeouts", "succeeded")
    states = check_three_timeouts(chains, chains.here, job)
    rows = chains.slurm_rows("timeouts", states)
    assert [str(row[0]) for row in rows] == [attempt["slurm_job_id"] for attempt in job["attempts"]]
    assert [row[2] for row in rows] == [1] * len(states)


# ---- without the daemon ----


@pytest.mark.parametrize("name", ["in_job", "in_job_beta"])
def test_in_job_chain_goes_on_without_the_daemon_and_shows_every_attempt(chains, name):
    job = chains.end(name, "succeeded")
    states = check_three_timeouts(chains, chains.away, job)
    numbers = range(1, len(states) + 1)
    claimed = [(Path(job["rundir"]) / f".attempts/{number}/job").read_text().split()[0] for number in numbers]
    assert [attempt["slurm_job_id"] for attempt in job["attempts"]] == claimed
    check_withdrawn(job, len(states) + 1)
    if name == "in_job":
        rows = chains.slurm_rows(name, states)
        assert [str(row[0]) for row in rows] == claimed


def test_in_job_chain_of_several_jobs_goes_on_without_the_daemon_and_then_evaluates_what_was_resumed(chains):
    """The successor was queued before a person resumed the job that had failed."""
    chains.wait_away()
    client = chains.away.client
    failed, cut_off, last = [f"{chains.shared}.{index}" for index in range(3)]
    assert questions(client.wait_state(cut_off, "succeeded", TIMEOUT_S)) == [0]
    assert sorted(questions(client.wait_state(last, "succeeded", TIMEOUT_S))) == [0, 1, 2, 3]
    job = client.wait_job(failed, lambda job: job["state"] in ENDS, "ends", TIMEOUT_S)
    assert job["state"] == "failed" and "exit code 7" in job["reason"]
    first, second, *_, resumed = job["attempts"]
    assert (first["slurm_state"], second["slurm_state"], resumed["slurm_state"]) == ("TIMEOUT", "COMPLETED", "COMPLETED")
    assert (first["jobs"], second["jobs"], resumed["jobs"]) == ([failed, cut_off], [cut_off, last], [failed])
    assert job["budget"]["used_s"] == sum(attempt["elapsed_s"] for attempt in job["attempts"])


def test_in_job_chain_keeps_its_budget_without_the_daemon(chains):
    job = chains.end("in_job_budget", "budget_exhausted")
    check_withdrawn(job, 3)
    rows = chains.slurm_rows("in_job_budget", ["TIMEOUT", OUT_OF_TIME])
    assert sum(row[1] for row in rows) <= 240
    assert [attempt["time_limit_s"] for attempt in job["attempts"]] == [120, 60]
    log = (Path(job["rundir"]) / f"logs/slurm-{rows[1][0]}.log").read_text()
    assert "attempt 1 ended with TIMEOUT" in log and "this one may run 60 s" in log


def test_in_job_failure_withdraws_the_successor(chains):
    job = chains.end("in_job_failed", "failed")
    check_states(job, "FAILED")
    assert "exit code 7" in job["reason"]
    check_withdrawn(job, 2)
    chains.slurm_rows("in_job_failed", ["FAILED"])


def test_in_job_failures_that_are_to_be_resumed_back_off(chains):
    job = chains.end("in_job_widened", "failed")
    check_states(job, "FAILED", "FAILED", "FAILED")
    logs = sorted((Path(job["rundir"]) / "logs").glob("slurm-*.log"), key=lambda path: path.stat().st_mtime)
    assert len(logs) == 3
    starts = [int((Path(job["rundir"]) / f".attempts/{number}/started").read_text()) for number in (1, 2, 3)]
    ended = int((Path(job["rundir"]) / ".attempts/1/ended").read_text().split()[0])
    assert starts[2] - starts[1] >= 30 > starts[1] - ended


def test_in_job_successor_is_never_left_with_a_dependency_that_cannot_be_met(bed, chains):
    chains.wait_away()
    chains.watcher.stop()
    seen = {}
    for (name, reason), times in chains.waiting.items():
        seen.setdefault(reason, []).append(times)
    assert len(seen["Dependency"]) >= 5
    # Slurm may show it until it next looks at the queue.
    assert max(seen.get("DependencyNeverSatisfied", [0])) <= 3  # of looks that are five seconds apart
    for cluster in ("alpha", "beta"):
        assert "DependencyNeverSatisfied" not in bed.run(cluster, "squeue", "--noheader", "--format=%j|%r")
