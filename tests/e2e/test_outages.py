"""While a part of a cluster is away no state is guessed; when it is back, the jobs go on to their scores."""

import pytest

from configs import SCORE, config, task
from testbed import questions, wait_for

SSHD_AWAY, SLURMCTLD_AWAY = "beta", "alpha"


class Outage:
    """sshd of one cluster and slurmctld of the other are away at the same time. A job ends meanwhile where Slurm still
    works; one runs on in each cluster, and one is submitted while nothing can be sent."""

    def __init__(self, bed, daemon, model_server):
        self.bed, self.daemon, self.client = bed, daemon, daemon.client
        self.env, self.model_server = model_server.env, model_server
        self.ending = self.submit(SSHD_AWAY, 32)
        self.running = {cluster: self.submit(cluster, 72) for cluster in (SSHD_AWAY, SLURMCTLD_AWAY)}
        for job_id in (self.ending, *self.running.values()):
            self.client.wait_job(job_id, lambda job: job["progress"] and job["state"] == "running", "runs")
        bed.ctl(SSHD_AWAY, "sshd", "stop")
        bed.ctl(SLURMCTLD_AWAY, "slurmctld", "stop")
        try:
            self.late = {cluster: self.submit(cluster, 4) for cluster in (SSHD_AWAY, SLURMCTLD_AWAY)}
            wait_for("the short job ends", lambda: bed.live_jobs_of(SSHD_AWAY, self.ending[:16]) == [])
            for cluster in (SSHD_AWAY, SLURMCTLD_AWAY):
                wait_for(f"{cluster} cannot be observed", lambda cluster=cluster: self.failed(cluster))
            self.meanwhile = {job_id: self.client.job(job_id)
                              for job_id in (self.ending, *self.running.values(), *self.late.values())}
            self.no_log = self.client.session.get(f"{self.client.base}/v1/jobs/{self.ending}/logs", timeout=60)
        finally:
            bed.ctl(SSHD_AWAY, "sshd", "start")
            bed.ctl(SLURMCTLD_AWAY, "slurmctld", "start")

    def submit(self, cluster, limit):
        """A job of a little more than `limit` seconds."""
        body = config(self.bed, self.model_server, task(limit, 1, parallelism=1), cluster=cluster)
        return self.client.submit(body, self.env)["id"] + ".0"

    def failed(self, cluster):
        return any('msg="cluster cannot be observed"' in line and f"cluster={cluster} " in line
                   for line in self.daemon.log().splitlines())

    def check_nothing_guessed(self, job_id):
        job = self.meanwhile[job_id]
        assert (job["state"], job["ended_at"], job["attempt"]) == ("running", None, 1)

    def check_end(self, cluster, job_id):
        self.client.wait_end(job_id[:16])
        job = self.client.job(job_id)
        path = [entry["to"] for entry in job["history"]]
        assert set(path) <= {"queued", "submitting", "pending", "running", "succeeded"} and len(path) == len(set(path))
        assert job["attempt"] == 1
        assert len(questions(job)) == len(set(questions(job)))
        assert set(self.client.scores(job_id).values()) == {SCORE}
        assert len(self.bed.jobs_of(cluster, job_id[:16])) == 1


@pytest.fixture(scope="module")
def outage(bed, daemon, model_server):
    return Outage(bed, daemon, model_server)


def test_sshd_away_until_after_a_job_ended_guesses_no_state(outage):
    for job_id in (outage.ending, outage.running[SSHD_AWAY]):
        outage.check_nothing_guessed(job_id)
        outage.check_end(SSHD_AWAY, job_id)


def test_sshd_away_during_a_submission_sends_it_later(outage):
    job_id = outage.late[SSHD_AWAY]
    assert outage.meanwhile[job_id]["state"] in ("queued", "submitting")
    assert SSHD_AWAY in outage.meanwhile[job_id]["waiting_on"]
    outage.check_end(SSHD_AWAY, job_id)


def test_sshd_away_when_a_log_is_asked_for_is_said(outage):
    assert outage.no_log.status_code in (502, 503, 504), outage.no_log.text
    assert SSHD_AWAY in outage.no_log.json()["detail"] or "connect" in outage.no_log.json()["detail"]


def test_slurmctld_away_during_a_run_guesses_no_state(outage):
    job_id = outage.running[SLURMCTLD_AWAY]
    outage.check_nothing_guessed(job_id)
    outage.check_end(SLURMCTLD_AWAY, job_id)


def test_slurmctld_away_during_a_submission_sends_it_once(outage):
    job_id = outage.late[SLURMCTLD_AWAY]
    assert outage.meanwhile[job_id]["state"] in ("queued", "submitting")
    outage.check_end(SLURMCTLD_AWAY, job_id)
