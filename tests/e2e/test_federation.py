"""A job that is sent to one cluster of a federation and runs on the other: alpha knows it as revoked, and it is no end."""

import contextlib
import subprocess
import time

import pytest

from configs import SCORE, config, task
from testbed import DIRECTORY, Testbed, wait_for


@pytest.fixture(scope="module")
def federation(bed, request):
    """alpha and beta under alpha's slurmdbd, and alpha takes no jobs."""
    def manage(*words):
        bed.run("alpha", "sacctmgr", "-i", "-Q", *words)

    def restore():
        """However far it came: the others have their clusters back."""
        for step in [lambda node=node: bed.ctl("alpha", "node", node, "resume") for node in ("a1", "a2")] + [
                lambda: manage("delete", "federation", "nel"), lambda: manage("delete", "cluster", "beta")]:
            with contextlib.suppress(AssertionError, subprocess.CalledProcessError):
                step()
        Testbed.bring_up()

    request.addfinalizer(restore)
    known = dict(line.split("=", 1) for line in bed.run("alpha", "bash", "-c", "cat $SLURM_CONF").splitlines() if "=" in line)
    for name in ("Type", "Host", "Port", "Pass"):
        bed.ctl("beta", "set", f"AccountingStorage{name}={known[f'AccountingStorage{name}']}")
    manage("add", "cluster", "beta")
    manage("add", "account", "team,other", "cluster=beta", "description=tests", "organization=tests")
    manage("add", "user", f"{bed.env['NEL_USER']},{bed.env['NEL_USER_BOB']}", "account=team,other", "cluster=beta", "defaultaccount=team")
    bed.ctl("beta", "slurmctld", "stop")
    # A slurmctld 24.11 without slurmdbd chooses an id for its cluster, too, and refuses another that slurmdbd gives it.
    (DIRECTORY / "beta/state/clustername").unlink(missing_ok=True)
    bed.ctl("beta", "slurmctld", "start")
    manage("add", "federation", "nel", "clusters=alpha,beta")
    wait_for("the siblings know each other", lambda: all("Synced:Yes" in bed.run(name, "scontrol", "show", "federation") for name in ("alpha", "beta")))
    for node in ("a1", "a2"):
        bed.ctl("alpha", "node", node, "drain")

def submit(bed, daemon, model_server, **work):
    evaluation = daemon.client.submit(config(bed, model_server, task(**work)), model_server.env)["id"]
    return evaluation


def test_job_that_runs_on_the_sibling_succeeds_once(bed, daemon, model_server, federation):
    evaluation = submit(bed, daemon, model_server, limit=20, delay_s=1, parallelism=2)
    rows = ("squeue", "--noheader", "--local", "--states=running", "--format=%N %j")
    wait_for("it runs on beta", lambda: any(row.startswith("b1 ") and evaluation in row for row in bed.run("beta", *rows).splitlines()))
    daemon.client.wait_end(evaluation, timeout_s=200)
    job = daemon.client.job(f"{evaluation}.0")
    (attempt,) = job["attempts"]
    assert attempt["nodes"] in ("b1", None)  # Slurm's record of a sibling's job may have its end before its nodes
    assert set(daemon.client.scores(job["id"]).values()) == {SCORE}


def test_job_that_runs_on_the_sibling_is_cancelled_there(bed, daemon, model_server, federation):
    evaluation = submit(bed, daemon, model_server, limit=400, delay_s=1, parallelism=2)
    running = lambda: evaluation in bed.run("beta", "squeue", "--noheader", "--local", "--states=running", "--format=%j")  # noqa: E731
    wait_for("it runs on beta", running)
    time.sleep(5)
    daemon.client.post(f"/v1/evaluations/{evaluation}/cancel", 202)
    daemon.client.wait_end(evaluation, "cancelled", timeout_s=200)
    wait_for("it is gone from beta", lambda: not running(), 60)
