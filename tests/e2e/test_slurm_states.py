"""What Slurm does to jobs beside running and ending them, and login nodes whose commands talk too much or not at all."""

import re
import stat
import time
import uuid
from pathlib import Path

import pytest

from configs import config, task
from daemon import cluster_settings
from testbed import release, wait_for

LONG = {"limit": 8, "delay_s": 1, "parallelism": 2, "extra": {"hold_after": 2}}


def job_of(client, evaluation):
    return client.job(f"{evaluation}.0")


def wait_running(client, evaluation):
    return client.wait_job(f"{evaluation}.0", lambda job: job["state"] == "running" and job["progress"], "runs")


# ---- suspension ----

@pytest.mark.parametrize("cluster", ["alpha", "beta"])
def test_suspended_job_says_so_and_the_time_is_not_charged(bed, daemon, model_server, cluster):
    client = daemon.client
    evaluation = client.submit(config(bed, model_server, task(**LONG), cluster=cluster), model_server.env)["id"]
    slurm_id = wait_running(client, evaluation)["slurm_job_id"]
    bed.run(cluster, "scontrol", "suspend", slurm_id)
    begin = time.monotonic()
    wait_for("it is said", lambda: "suspended" in (job_of(client, evaluation)["waiting_on"] or "").lower())
    assert job_of(client, evaluation)["state"] == "running"
    time.sleep(max(0, 25 - (time.monotonic() - begin)))
    suspended_s = int(time.monotonic() - begin)
    bed.run(cluster, "scontrol", "resume", slurm_id)
    release(job_of(client, evaluation))
    client.wait_end(evaluation)
    job = job_of(client, evaluation)
    (attempt,) = job["attempts"]
    times = [time.mktime(time.strptime(attempt[name], "%Y-%m-%dT%H:%M:%SZ")) for name in ("started_at", "ended_at")]
    assert times[1] - times[0] >= suspended_s - 2
    assert job["budget"]["used_s"] == attempt["elapsed_s"] <= times[1] - times[0] - suspended_s + 5
    if cluster == "alpha":
        sacct = ("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={slurm_id}", "--format=ElapsedRaw")
        wait_for("accounting has the same", lambda: int(bed.run(cluster, *sacct)) == attempt["elapsed_s"])


# ---- reservations ----

@pytest.fixture
def reservation(bed):
    """All nodes of alpha that batch has, for root alone."""
    name = "nel-test"
    bed.run("alpha", "scontrol", "create", "reservation", f"reservationname={name}", "starttime=now", "duration=60", "users=root",
            "nodes=a1,a2", "flags=ignore_jobs")
    yield name
    bed.ctl("alpha", "run", "bash", "-c", f"scontrol delete reservationname={name} 2>/dev/null || true")


def test_job_outside_of_a_reservation_waits_with_slurms_reason_and_goes_when_it_ends(bed, daemon, model_server, reservation):
    client = daemon.client
    evaluation = client.submit(config(bed, model_server, task()), model_server.env)["id"]
    job = client.wait_job(f"{evaluation}.0", lambda job: "eserv" in (job["waiting_on"] or ""), "says what it waits on")
    assert job["state"] == "pending"
    bed.run("alpha", "scontrol", "delete", f"reservationname={reservation}")
    client.wait_end(evaluation)


def test_reservation_that_is_not_there_is_waited_for(bed, daemon, model_server):
    client, name = daemon.client, "nel-later"
    body = config(bed, model_server, task(), execution={"sbatch_extra_flags": {"exclusive": False, "reservation": name}})
    evaluation = client.submit(body, model_server.env)["id"]
    job = client.wait_job(f"{evaluation}.0", lambda job: "reservation is invalid" in (job["waiting_on"] or ""), "says what it waits on")
    assert job["slurm_job_id"] is None
    bed.run("alpha", "scontrol", "create", "reservation", f"reservationname={name}", "starttime=now", "duration=60",
            f"users={bed.env['NEL_USER']}", "nodes=a1", "flags=ignore_jobs")
    try:
        client.wait_end(evaluation, timeout_s=400)
        assert job_of(client, evaluation)["attempts"][0]["nodes"] == "a1"
    finally:
        bed.run("alpha", "scontrol", "delete", f"reservationname={name}")


@pytest.fixture
def drained(bed):
    bed.ctl("alpha", "node", "a1", "drain")
    yield
    bed.ctl("alpha", "node", "a1", "resume")


def test_reservation_that_is_over_before_the_start_is_told(bed, daemon, model_server, drained):
    client, name = daemon.client, "nel-gone"
    bed.run("alpha", "scontrol", "create", "reservation", f"reservationname={name}", "starttime=now", "duration=1",
            f"users={bed.env['NEL_USER']}", "nodes=a1", "flags=ignore_jobs")
    body = config(bed, model_server, task(), execution={"sbatch_extra_flags": {"exclusive": False, "reservation": name}})
    evaluation = client.submit(body, model_server.env)["id"]
    told = client.wait_job(f"{evaluation}.0", lambda job: f"{name} was deleted" in (job["waiting_on"] or ""), "says that it is gone", 200)
    assert told["state"] == "pending"
    client.post(f"/v1/evaluations/{evaluation}/cancel", 202)
    client.wait_end(evaluation, "cancelled")


# ---- commands of the login node ----

def wrapped(bed, name, body):
    """The settings of alpha with a command in front of Slurm's."""
    directory = bed.output / f"wrapper-{uuid.uuid4().hex[:8]}"
    directory.mkdir()
    file = directory / name
    file.write_text(f"#!/bin/bash\n{body}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return cluster_settings(bed, environment={"PATH": f"{directory}:/usr/local/bin:/usr/bin:/bin"})


def test_hanging_sacct_is_named_and_an_end_that_it_alone_knows_is_waited_for(bed, make_daemon, model_server, request):
    request.addfinalizer(lambda: bed.ctl("alpha", "set", "MinJobAge=1800"))
    bed.ctl("alpha", "set", "MinJobAge=2")
    settings = wrapped(bed, "sacct", "exec sleep 600")
    daemon = make_daemon([settings]).start()
    client = daemon.client
    evaluation = client.submit(config(bed, model_server, task(**LONG)), model_server.env)["id"]
    held = wait_running(client, evaluation)
    slurm_id = held["slurm_job_id"]
    daemon.stop()
    release(held)
    wait_for("squeue forgets it", lambda: slurm_id not in bed.run(
        "alpha", "squeue", "--noheader", "--states=all", "--format=%i").split(), 200, 2)
    daemon.start()
    job = client.wait_job(f"{evaluation}.0", lambda job: "accounting" in (job["waiting_on"] or ""), "says whose answer is missing")
    assert "sacct did not answer" in job["waiting_on"]
    assert "sacct did not answer" in client.cluster("alpha")["observation"]["accounting_error"]
    assert client.cluster("alpha")["health"] != "ok"
    (Path(settings["environment"]["PATH"].split(":")[0]) / "sacct").unlink()
    client.wait_end(evaluation, timeout_s=400)
    assert len({number for number, _ in bed.jobs_of("alpha", evaluation)}) == 1


NOISE = """echo 'Budget of team: 12345 of 99999 GPU hours left'; echo 4711
echo 'sbatch: note: 17 jobs are before yours' >&2
/usr/bin/sbatch "$@"; status=$?
echo 'Estimated price: 42 EUR'; echo 815; echo 'sbatch: info: see https://docs.example' >&2
exit $status"""


@pytest.mark.parametrize("mode", ["daemon", "in_job"])
def test_noisy_sbatch_yields_one_job_with_its_own_id(bed, make_daemon, model_server, mode):
    daemon = make_daemon([wrapped(bed, "sbatch", NOISE)]).start()
    client = daemon.client
    body = config(bed, model_server, task(), task(), execution={"auto_resume": {"mode": mode}})
    evaluation = client.submit(body, model_server.env)["id"]
    jobs = client.wait_end(evaluation)["jobs"]
    names = [name for _, name in bed.jobs_of("alpha", evaluation)]
    for job in jobs:
        (mine,) = {number for number, name in bed.jobs_of("alpha", evaluation) if re.search(rf"\.{job['index']}-{evaluation}\.1$", name)}
        assert job["slurm_job_id"] == mine
    if mode == "daemon":
        assert len(set(names)) == 2


def test_noisy_sbatch_that_refuses_says_why(bed, make_daemon, model_server):
    daemon = make_daemon([wrapped(bed, "sbatch", NOISE)]).start()
    evaluation = daemon.client.submit(config(bed, model_server, task(), execution={"account": "no-such"}), model_server.env)["id"]
    daemon.client.wait_end(evaluation, "failed")
    assert "nvalid account" in job_of(daemon.client, evaluation)["reason"]


# ---- preemption between two QOS ----

@pytest.fixture(params=[0, 15])
def preempting_qos(bed, request):
    """alpha preempts by QOS and cancels, after a time of grace; nelbob has the QOS that does."""
    def manage(*words):
        bed.run("alpha", "sacctmgr", "-i", "-Q", *words)

    def restart():
        bed.ctl("alpha", "slurmctld", "stop")
        bed.ctl("alpha", "slurmctld", "start")

    bed.ctl("alpha", "set", "PreemptType=preempt/qos")
    manage("add", "qos", "nelhigh", "preempt=normal", "preemptmode=cancel", "priority=100")
    manage("modify", "qos", "normal", "set", f"gracetime={request.param}", "preemptmode=cancel")
    manage("modify", "user", bed.env["NEL_USER_BOB"], "set", "qos=normal,nelhigh")
    restart()
    yield "nelhigh"
    bed.ctl("alpha", "set", "PreemptType=preempt/partition_prio")
    manage("modify", "user", bed.env["NEL_USER_BOB"], "set", "qos=normal")
    manage("modify", "qos", "normal", "set", "gracetime=0", "preemptmode=")
    manage("delete", "qos", "nelhigh")
    restart()


def test_preemption_between_two_qos_is_resumed(bed, daemon, model_server, preempting_qos):
    client = daemon.client
    body = config(bed, model_server, task(**LONG), execution={"gres": "gpu:8", "sbatch_extra_flags": {"exclusive": False, "nodelist": "a1"}})
    evaluation = client.submit(body, model_server.env)["id"]
    wait_running(client, evaluation)
    bed.submit_as_bob("alpha", f"--qos={preempting_qos}", "--nodelist=a1", "--gres=gpu:8", command="sleep 5")
    client.wait_end(evaluation, timeout_s=300)
    first, second = job_of(client, evaluation)["attempts"]
    assert first["slurm_state"] == "PREEMPTED" and second["slurm_state"] == "COMPLETED"
