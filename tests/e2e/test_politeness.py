"""One observation of a cluster per interval, whatever the number of jobs and of readers."""

import threading
import time

from configs import config, task
from daemon import cluster_settings
from testbed import wait_for

POLL_S = 2
WINDOW_S = 12
JOBS = 6
READERS = 6


class Readers:
    """Dashboards that ask for everything, as fast as they can."""

    def __init__(self, daemon, paths):
        self.daemon, self.paths = daemon, paths
        self.stop = threading.Event()
        self.counts = [0] * READERS
        self.threads = [threading.Thread(target=self.read, args=(index,)) for index in range(READERS)]

    def read(self, index):
        session = self.daemon.client.session.__class__()
        headers = dict(self.daemon.client.session.headers)
        while not self.stop.is_set():
            for path in self.paths:
                reply = session.get(self.daemon.client.base + path, headers=headers, timeout=60)
                assert reply.status_code == 200
                self.counts[index] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_observation_with_many_jobs_and_readers_is_one_command_per_interval(bed, model_server, make_daemon):
    daemon = make_daemon([cluster_settings(bed, poll_interval_s=POLL_S)])
    client = daemon.start().client
    slow = task(4, 600, parallelism=1)  # no progress while we count: nothing changes, so the interval is the settings'
    ids = [client.submit(config(bed, model_server, *[slow] * (JOBS // 2)), model_server.env)["id"] for _ in range(2)]
    jobs = [f"{one}.{index}" for one in ids for index in range(JOBS // 2)]
    for job_id in jobs:
        client.wait_job(job_id, lambda job: job["state"] == "running" and job["progress"], "runs")
    seen = {job_id: client.job(job_id)["observed_at"] for job_id in jobs}
    wait_for("all was observed again", lambda: all(client.job(job)["observed_at"] > seen[job] for job in jobs))
    time.sleep(POLL_S)
    paths = ["/v1/evaluations", "/v1/jobs", "/v1/clusters", "/v1/results", *[f"/v1/jobs/{job_id}" for job_id in jobs]]
    begin = time.monotonic()
    execs, sshd_execs = client.cluster("alpha")["execs"], bed.execs("alpha")
    with Readers(daemon, paths) as readers:
        time.sleep(WINDOW_S)  # the length of the measurement
    execs = client.cluster("alpha")["execs"] - execs
    sshd_execs = bed.execs("alpha") - sshd_execs
    most = (time.monotonic() - begin) / (POLL_S * 0.9) + 2
    assert sum(readers.counts) > 10 * most  # far more than observations
    assert 1 <= execs <= most
    assert abs(sshd_execs - execs) <= 1  # sshd counts as the daemon does
    assert client.cluster("alpha")["handshakes"] <= 4
    for one in ids:
        client.post(f"/v1/evaluations/{one}/cancel", 202)
    for one in ids:
        client.wait_end(one, "cancelled")
