"""A job that runs out of its walltime goes on in a next attempt; on a cluster without accounting, by the script's stamps."""

import pytest
from configs import config, task
from resumed import check_resumed, check_slurm_jobs
from testbed import wait_for

TIME_LIMIT_S = 60


def test_job_out_of_walltime_without_accounting_goes_on(bed, out_of_walltime):
    daemon, job_id = out_of_walltime
    job, _ = check_resumed(daemon.client, job_id, "TIMEOUT", 40)
    first = job["attempts"][0]
    assert first["time_limit_s"] == TIME_LIMIT_S <= first["elapsed_s"] + 5
    check_slurm_jobs(bed, "beta", job)


@pytest.fixture
def reserved(bed):
    """From in 100 minutes on, a node is for root alone."""
    name = "nel-maintenance"
    bed.run("alpha", "scontrol", "create", "reservation", f"reservationname={name}", "starttime=now+100minutes", "duration=600",
            "users=root", "nodes=a2", "flags=maint,ignore_jobs")
    yield "a2"
    bed.run("alpha", "scontrol", "delete", f"reservationname={name}")


def test_walltime_auto_takes_what_ends_before_a_reservation_begins(bed, daemon, model_server, reserved):
    """Of 8 hours, 160, 53 and 30 minutes: 53 minutes start at once, more would not end before the reservation begins."""
    execution = {"walltime": "auto", "max_walltime": "08:00:00", "sbatch_extra_flags": {"exclusive": False, "nodelist": reserved}}
    body = config(bed, model_server, task(), execution=execution)
    evaluation = daemon.client.submit(body, model_server.env)["id"]
    daemon.client.wait_end(evaluation)
    job = daemon.client.job(f"{evaluation}.0")
    [attempt] = job["attempts"]
    assert attempt["time_limit_s"] == 53 * 60
    [reason] = [change["reason"] for change in job["history"] if change["to"] == "pending"]
    assert "attempt 1, for 3180 s (execution.walltime is auto): the longest that starts soonest" in reason
    assert "00:53:00 (at once)" in reason and "02:40:00 (" in reason
    ask = ("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={attempt['slurm_job_id']}", "--format=Timelimit")
    wait_for("accounting has its time limit", lambda: bed.run("alpha", *ask).strip() == "00:53:00")
