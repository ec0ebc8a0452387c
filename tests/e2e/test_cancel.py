"""Cancelling ends in `cancelled` from every state, with nothing left on the cluster."""

from pathlib import Path

import pytest

from configs import SCORE, config, task
from testbed import wait_for

LONG = {"limit": 400, "delay_s": 5}


class Jobs:
    """Evaluations in the states from which they are cancelled, all at once.

    mixed: job 0 has succeeded, 1 and 2 run, with a node each; 3 waits for a node, and so does all that follows.
    pending, alone: wait for a node."""

    def __init__(self, bed, daemon, model_server):
        self.bed, self.client = bed, daemon.client
        nodes = {"sbatch_extra_flags": {"exclusive": True}}
        tasks = [task(), task(**LONG), task(**LONG), task(**LONG)]
        self.mixed = self.client.submit(config(bed, model_server, *tasks, execution=nodes), model_server.env)["id"]
        self.client.wait_state(f"{self.mixed}.0", "succeeded")
        for index in (1, 2):
            self.client.wait_state(f"{self.mixed}.{index}", "running")
        body = config(bed, model_server, task(**LONG), execution=nodes)
        self.pending = self.client.submit(body, model_server.env)["id"]
        self.client.wait_state(f"{self.pending}.0", "pending")
        self.client.wait_state(f"{self.mixed}.3", "pending")


@pytest.fixture(scope="module")
def jobs(bed, daemon, model_server):
    return Jobs(bed, daemon, model_server)


def check_cancelled(bed, client, job_id, cluster="alpha"):
    job = client.wait_state(job_id, "cancelled")
    assert job["ended_at"] and job["waiting_on"] is None
    assert job["history"][-1]["to"] == "cancelled"
    assert "e2e-user" in job["reason"]
    name = f".{job['index']}-{job['evaluation']}."
    assert [row for row in bed.live_jobs_of(cluster, job["evaluation"]) if name in row] == []
    assert not (Path(job["rundir"]) / ".secrets.env").exists()
    return job


def test_cancel_of_a_pending_job_twice_takes_it_out_of_the_queue(bed, jobs):
    job_id = f"{jobs.pending}.0"
    assert (Path(jobs.client.job(job_id)["rundir"]) / ".secrets.env").exists()
    # Slurm itself needs a moment to say why.
    waiting = wait_for("why Slurm lets the job wait", lambda: (job := jobs.client.job(job_id))["attempts"][0]["pending_reason"] and job)
    assert waiting["waiting_on"].startswith(f"Slurm: {waiting['attempts'][0]['pending_reason']}: "), waiting
    for _ in range(2):
        jobs.client.post(f"/v1/jobs/{job_id}/cancel", 202)
    job = check_cancelled(bed, jobs.client, job_id)
    assert job["attempts"][0]["started_at"] is None or job["attempts"][0]["elapsed_s"] == 0
    assert jobs.client.post(f"/v1/jobs/{job_id}/cancel", 202)["state"] == "cancelled"
    assert jobs.client.evaluation(jobs.pending)["state"] == "cancelled"


def test_cancel_of_a_running_job_ends_it_alone(bed, jobs):
    job_id = f"{jobs.mixed}.1"
    jobs.client.post(f"/v1/jobs/{job_id}/cancel", 202)
    job = check_cancelled(bed, jobs.client, job_id)
    assert job["attempts"][0]["slurm_state"].startswith("CANCELLED")
    assert job["attempts"][0]["elapsed_s"] is not None
    assert jobs.client.evaluation(jobs.mixed)["state"] == "running"
    assert jobs.client.job(f"{jobs.mixed}.2")["state"] == "running"


def test_cancel_of_an_evaluation_in_mixed_states_keeps_what_succeeded(bed, jobs):
    jobs.client.post(f"/v1/evaluations/{jobs.mixed}/cancel", 202)
    evaluation = jobs.client.wait_end(jobs.mixed, "cancelled")
    assert [job["state"] for job in evaluation["jobs"]] == ["succeeded", "cancelled", "cancelled", "cancelled"]
    for index in (2, 3):
        check_cancelled(bed, jobs.client, f"{jobs.mixed}.{index}")
    assert set(jobs.client.scores(f"{jobs.mixed}.0").values()) == {SCORE}
    assert bed.live_jobs_of("alpha", jobs.mixed) == []


def test_cancel_right_after_the_submission_leaves_nothing_behind(bed, daemon, model_server):
    """Queued, being submitted, or already there: whatever the cancellation meets."""
    body = config(bed, model_server, task(**LONG), task(**LONG))
    ids = []
    for _ in range(6):
        ids.append(daemon.client.submit(body, model_server.env)["id"])
        daemon.client.post(f"/v1/evaluations/{ids[-1]}/cancel", 202)
    for one in ids:
        daemon.client.wait_end(one, "cancelled")
        for index in (0, 1):
            check_cancelled(bed, daemon.client, f"{one}.{index}")


def test_cancel_while_sshd_is_down_is_done_when_it_can_be(bed, model_server, make_daemon):
    """At once for a job that was never sent. Remembered, over a kill of the daemon, for one that runs, and for one of which
    the new daemon cannot know whether the old one had sent it; that one is never submitted."""
    daemon = make_daemon()
    client = daemon.start().client
    body = config(bed, model_server, task(**LONG))
    running = client.submit(body, model_server.env)["id"]
    client.wait_state(f"{running}.0", "running")
    bed.ctl("alpha", "sshd", "stop")
    try:
        # A submission on a connection that breaks may have been received; without a connection none is.
        wait_for("the connections to alpha are gone", lambda: client.cluster("alpha")["sessions"]["open"] == 0)
        wait_for("alpha fails", lambda: client.cluster("alpha")["health"] == "failing")
        unsent, unsure = [client.submit(body, model_server.env)["id"] for _ in range(2)]
        for one in (unsent, unsure):
            client.wait_job(f"{one}.0", lambda job: job["waiting_on"] and "alpha" in job["waiting_on"], "waits on alpha")
        for one in (running, unsent):
            client.post(f"/v1/jobs/{one}.0/cancel", 202)
        check_cancelled(bed, client, f"{unsent}.0")
        client.wait_state(f"{running}.0", "cancelling")
        daemon.kill()
        daemon.start()
        client.post(f"/v1/jobs/{unsure}.0/cancel", 202)
        client.wait_state(f"{unsure}.0", "cancelling")
        wait_for("alpha fails again", lambda: client.cluster("alpha")["health"] == "failing")
        assert [client.job(f"{one}.0")["state"] for one in (running, unsure)] == ["cancelling", "cancelling"]
        assert len(bed.live_jobs_of("alpha", running)) == 1
    finally:
        bed.ctl("alpha", "sshd", "start")
    for one in (running, unsure):
        check_cancelled(bed, client, f"{one}.0")
    assert [bed.jobs_of("alpha", one) for one in (unsent, unsure)] == [[], []]
