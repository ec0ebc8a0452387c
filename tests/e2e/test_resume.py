"""A job that Slurm ends for a reason of its own goes on in a next attempt, and comes to the same scores. For the job that
runs out of its walltime see test_walltime.py."""

import re

import pytest

from configs import RESUMED_PARALLELISM, config, task
from resumed import check_resumed, check_shared_resumed, check_slurm_jobs
from submissions import Site
from testbed import wait_for

COUNT = 32
TASK = task(COUNT, 1, parallelism=RESUMED_PARALLELISM, extra={"hold_after": 4})  # none is done before it is ended
HALF = {"gres": "gpu:4"}  # two of them fill a node


class Interrupted:
    """Two chains on each node of alpha, one of them of three jobs that share a server. On one node they are preempted; the
    other one fails."""

    def __init__(self, bed, daemon, model_server):
        self.bed, self.client, self.admin = bed, daemon.client, daemon.admin
        self.failing, self.failing_shared = self.start_two(model_server, 20000)
        self.preempted, self.preempted_shared = self.start_two(model_server, 20040)
        node = self.wait_asking(self.failing, self.failing_shared)
        other = self.wait_asking(self.preempted, self.preempted_shared)
        assert {node, other} == {"a1", "a2"}
        self.urgent = bed.submit_as_bob("alpha", "--partition=urgent", f"--nodelist={other}", "--gres=gpu:8",
                                        command="sleep 5")
        bed.ctl("alpha", "node", node, "down")
        self.nodes = {self.failing: node, self.preempted: other}

    def start_two(self, model_server, port):
        """A job and an evaluation of several, which reach Slurm in this order."""
        labels = {"made": f"alone-{port}"}, {"made": f"shared-{port}"}
        body = config(self.bed, model_server, TASK, execution=HALF)
        shared = Site(self.bed, "alpha", port, model_server).vllm(
            task(4), TASK, task(4), execution={**HALF, "share_deployment": True})
        job_id = self.client.submit(body, model_server.env, labels=labels[0])["id"] + ".0"
        evaluation = self.admin.submit(shared, labels=labels[1])["id"]
        for name in (job_id, f"{evaluation}.0"):
            self.client.wait_job(name, lambda job: job["slurm_job_id"], "has reached Slurm")
        return job_id, evaluation

    def wait_asking(self, job_id, evaluation):
        """Until the job, and the evaluation's second, are under way; returns their node."""
        jobs = [self.client.wait_job(name, lambda job: job["state"] == "running" and job["attempts"][0]["nodes"] and
                                     job["progress"] and job["progress"]["requests"] > 0, "asks questions")
                for name in (f"{evaluation}.1", job_id)]
        (node,) = {job["attempts"][0]["nodes"] for job in jobs}
        return node


@pytest.fixture(scope="module")
def interrupted(bed, daemon, model_server):
    yield Interrupted(bed, daemon, model_server)
    for node in ("a1", "a2"):
        bed.ctl("alpha", "node", node, "resume")


def test_preempted_job_goes_on_behind_its_first_attempt(bed, interrupted):
    job, script = check_resumed(interrupted.client, interrupted.preempted, "PREEMPTED", COUNT)
    assert "--exclude" not in script
    check_slurm_jobs(bed, "alpha", job)
    bed.await_ledger(interrupted.client, job["evaluation"], ["PREEMPTED", "COMPLETED"])


def test_job_on_a_failed_node_goes_on_elsewhere(bed, interrupted):
    job, script = check_resumed(interrupted.client, interrupted.failing, "NODE_FAIL", COUNT)
    node = interrupted.nodes[interrupted.failing]
    assert re.search(rf"#SBATCH --exclude={node}\n", script)
    assert job["attempts"][1]["nodes"] != node
    check_slurm_jobs(bed, "alpha", job)
    bed.await_ledger(interrupted.client, job["evaluation"], ["NODE_FAIL", "COMPLETED"])


@pytest.mark.parametrize("slurm_state", ["PREEMPTED", "NODE_FAIL"])
def test_of_jobs_on_one_server_the_next_attempt_evaluates_the_others_only(bed, interrupted, slurm_state):
    evaluation = interrupted.preempted_shared if slurm_state == "PREEMPTED" else interrupted.failing_shared
    jobs = check_shared_resumed(interrupted.client, evaluation, slurm_state, COUNT)
    check_slurm_jobs(bed, "alpha", jobs[0])
    bed.await_ledger(interrupted.admin, evaluation, [slurm_state, "COMPLETED"])


@pytest.mark.parametrize("slurm_state", ["PREEMPTED", "NODE_FAIL"])
def test_in_job_jobs_on_one_server_go_on_without_the_daemon(bed, interrupted, make_daemon, model_server, slurm_state):
    """The daemon is killed while the second is evaluated, and back when Slurm has nothing of them left."""
    for name in interrupted.nodes:
        interrupted.client.wait_end(name.partition(".")[0])
    for node in ("a1", "a2"):
        bed.ctl("alpha", "node", node, "resume")
    daemon = make_daemon().start()
    body = Site(bed, "alpha", 20080, model_server).vllm(
        task(4), TASK, task(4), execution={**HALF, "share_deployment": True, "auto_resume": {"mode": "in_job"}})
    evaluation = daemon.admin.submit(body, labels={"made": "in-job"})["id"]
    job = daemon.admin.wait_job(f"{evaluation}.1", lambda job: job["state"] == "running" and job["attempts"][0]["nodes"] and
                                job["progress"] and job["progress"]["requests"] > 0, "asks questions")
    wait_for("the successor is queued", lambda: len(bed.live_jobs_of("alpha", evaluation)) == 2)
    daemon.kill()
    node = job["attempts"][0]["nodes"]
    if slurm_state == "PREEMPTED":
        bed.submit_as_bob("alpha", "--partition=urgent", f"--nodelist={node}", "--gres=gpu:8", command="sleep 5")
    else:
        bed.ctl("alpha", "node", node, "down")
    wait_for("the chain ends without its daemon", lambda: bed.live_jobs_of("alpha", evaluation) == [])
    daemon.start()
    jobs = check_shared_resumed(daemon.admin, evaluation, slurm_state, COUNT)
    assert [attempt["slurm_state"] for attempt in jobs[0]["attempts"]] == [slurm_state, "COMPLETED"]
    bed.await_ledger(daemon.admin, evaluation, [slurm_state, "COMPLETED", "CANCELLED"])
