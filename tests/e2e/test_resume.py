"""A job that Slurm ends for a reason of its own goes on in a next attempt, and comes to the same scores. For the job that
runs out of its walltime see test_walltime.py."""

import re

import pytest

from configs import RESUMED_PARALLELISM, config, task
from resumed import check_resumed, check_slurm_jobs

TASK = task(16, 2, parallelism=RESUMED_PARALLELISM)


class Interrupted:
    """Two jobs at once: on one node of alpha one that is preempted, on the other one whose node fails."""

    def __init__(self, bed, daemon, model_server):
        self.bed, self.client = bed, daemon.client
        env = model_server.env
        body = config(bed, model_server, TASK, execution={"gres": "gpu:8"})
        self.failing = self.client.submit(body, env)["id"] + ".0"
        node = self.wait_asking(self.failing)["attempts"][0]["nodes"]
        self.preempted = self.client.submit(body, env)["id"] + ".0"
        other = self.wait_asking(self.preempted)["attempts"][0]["nodes"]
        assert {node, other} == {"a1", "a2"}
        self.urgent = bed.submit_as_bob("alpha", "--partition=urgent", f"--nodelist={other}", "--gres=gpu:8",
                                        command="sleep 5")
        bed.ctl("alpha", "node", node, "down")
        self.nodes = {self.failing: node, self.preempted: other}

    def wait_asking(self, job_id):
        return self.client.wait_job(job_id, lambda job: job["state"] == "running" and job["attempts"][0]["nodes"] and
                                    job["progress"] and job["progress"]["requests"] > 0, "asks questions")


@pytest.fixture(scope="module")
def interrupted(bed, daemon, model_server):
    yield Interrupted(bed, daemon, model_server)
    for node in ("a1", "a2"):
        bed.ctl("alpha", "node", node, "resume")


def test_preempted_job_goes_on_behind_its_first_attempt(bed, interrupted):
    job, script = check_resumed(interrupted.client, interrupted.preempted, "PREEMPTED", 16)
    assert "--exclude" not in script
    check_slurm_jobs(bed, "alpha", job)


def test_job_on_a_failed_node_goes_on_elsewhere(bed, interrupted):
    job, script = check_resumed(interrupted.client, interrupted.failing, "NODE_FAIL", 16)
    node = interrupted.nodes[interrupted.failing]
    assert re.search(rf"#SBATCH --exclude={node}\n", script)
    assert job["attempts"][1]["nodes"] != node
    check_slurm_jobs(bed, "alpha", job)
