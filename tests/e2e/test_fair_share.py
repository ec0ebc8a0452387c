"""More than a limit permits waits: fair between people under the limits of the settings, and under Slurm's own."""

import re

import pytest

from configs import config, task
from daemon import cluster_settings
from submissions import Site
from testbed import wait_for


def states(evaluation):
    return [job["state"] for job in evaluation["jobs"]]


def check_once(bed, evaluation):
    """Every job has succeeded, with one Slurm job."""
    assert set(states(evaluation)) == {"succeeded"}, [(job["state"], job["reason"]) for job in evaluation["jobs"]]
    ids = [job["slurm_job_id"] for job in evaluation["jobs"]]
    assert sorted(job_id for job_id, _ in bed.jobs_of("alpha", evaluation["id"])) == sorted(ids)


def test_single_evaluation_goes_before_the_remaining_tasks_of_another_person(bed, model_server, make_daemon):
    """Of one person's 32 tasks two are in Slurm when the other one comes; then the daemon dies and starts again."""
    daemon = make_daemon([cluster_settings(bed, submitted_jobs=2)])
    one, other = daemon.start().client, daemon.admin
    many = one.submit(config(bed, model_server, *[task(4, 2)] * 32), model_server.env)["id"]
    wait_for("two are in Slurm", lambda: len(bed.live_jobs_of("alpha", many)) == 2)
    single = other.submit(config(bed, model_server, task()), model_server.env)["id"]
    place = other.wait_job(f"{single}.0", lambda job: "place" in (job["waiting_on"] or "") or job["slurm_job_id"],
                           "has its place")
    assert place["slurm_job_id"] or re.fullmatch(
        r"place 1 of (29|30|31) in the queue of alpha: alpha has [12] of 2 jobs in Slurm", place["waiting_on"])
    daemon.kill()
    daemon.start()
    job = other.wait_job(f"{single}.0", lambda job: job["slurm_job_id"], "is in Slurm")
    before = [int(job_id) for job_id, _ in bed.jobs_of("alpha", many) if int(job_id) < int(job["slurm_job_id"])]
    assert len(before) <= 3  # the third may have gone before the other person came
    waiting = [job for job in one.evaluation(many)["jobs"] if job["state"] == "queued"]
    assert len(waiting) >= 26
    assert len(bed.live_jobs_of("alpha", many)) <= 2
    one.post(f"/v1/evaluations/{many}/cancel", 202)
    check_once(bed, other.wait_end(single))
    ended = one.wait_end(many, "cancelled")
    assert len(bed.jobs_of("alpha", many)) == sum(job["slurm_job_id"] is not None for job in ended["jobs"]) < 8


@pytest.fixture
def submit_limit(bed):
    """Slurm takes one job of the account at a time."""
    def limit(number):
        bed.run("alpha", "sacctmgr", "--immediate", "modify", "user", bed.env["NEL_USER"], "set",
                f"MaxSubmitJobs={number}")

    limit(1)
    yield
    limit(-1)


def test_submit_limit_of_slurm_is_waited_out(bed, model_server, make_daemon, submit_limit):
    daemon = make_daemon()
    client = daemon.start().client
    body = config(bed, model_server, task(4, 1), task(), task())
    one = client.submit(body, model_server.env)["id"]
    limited = wait_for("Slurm's limit is met", lambda: [
        job for job in client.evaluation(one)["jobs"] if "AssocMaxSubmitJobLimit" in (job["waiting_on"] or "")])
    assert {job["state"] for job in limited} == {"submitting"}
    assert limited[0]["waiting_on"].startswith("room under a limit of Slurm's on alpha, since 2")
    later = client.submit(config(bed, model_server, task()), model_server.env)["id"]
    seen = client.wait_job(f"{later}.0", lambda job: "place" in (job["waiting_on"] or "") or job["slurm_job_id"], "waits")
    assert seen["slurm_job_id"] or seen["waiting_on"] == (
        "place 1 of 1 in the queue of alpha: Slurm has refused an earlier job of e2e-user for a limit of its own")
    for evaluation in (one, later):
        check_once(bed, client.wait_end(evaluation))


def test_forty_tasks_on_one_deployment_take_one_place(bed, make_daemon, model_server, submit_limit):
    """In Slurm and in this service's own limits."""
    client = make_daemon([cluster_settings(bed, submitted_jobs=1)]).start().client
    tasks = [task(4, 1, parallelism=1) for _ in range(40)]
    body = Site(bed, "alpha", 20900, model_server).vllm(*tasks, execution={"share_deployment": True})
    one = client.submit(body)["id"]
    client.wait_state(f"{one}.0", "running")
    jobs = client.evaluation(one)["jobs"]
    assert len(jobs) == 40 and {job["state"] for job in jobs} <= {"pending", "running", "succeeded"}
    assert len({job["slurm_job_id"] for job in jobs}) == len(bed.live_jobs_of("alpha", one)) == 1
    client.post(f"/v1/evaluations/{one}/cancel", 202)
    assert set(states(client.wait_end(one, "cancelled"))) <= {"succeeded", "cancelled"}


@pytest.fixture
def qos_of_a_minute(bed):
    """A job that asks for more than a minute is not taken."""
    def modify(*values):
        bed.run("alpha", "sacctmgr", "--immediate", "modify", "qos", "normal", "set", *values)

    modify("MaxWall=1", "Flags=DenyOnLimit")
    yield
    modify("MaxWall=-1", "Flags=-1")


def test_time_above_what_the_qos_permits_fails_with_slurms_words(bed, model_server, make_daemon, qos_of_a_minute):
    """sbatch says the same as for a submit limit, but for the name of the limit before it."""
    client = make_daemon().start().client
    evaluation = client.submit(config(bed, model_server, task()), model_server.env)["id"]
    job = client.wait_state(f"{evaluation}.0", "failed")
    assert "QOSMaxWallDurationPerJobLimit" in job["reason"]
    assert bed.jobs_of("alpha", evaluation) == []
