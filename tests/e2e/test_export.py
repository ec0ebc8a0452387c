"""What a job shows of its export, which is a Slurm job of its own: from the first look to its end."""

import re
from pathlib import Path

import pytest

from submissions import Submissions, log
from testbed import wait_for

submissions = Submissions()
submission = submissions.add

KEY = {"MODELS_API_KEY": "sk-e2e-model-server-key"}
ENDED = {"succeeded", "failed", "refused", "unknown"}
# In place of the launcher; $4 is the destination.
EXPORTER = "nemo-evaluator-launcher() { test \"$4\" != wandb; }"


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    """run(name): the ended job of a submission; all are submitted before the first is waited for."""
    return submissions.submit_all(bed, daemon, model_server).ended


def exporting(site, *destinations, install=EXPORTER, partition="cpu"):
    return site.external(
        execution={**({"cpu_partition": partition} if partition else {}),
                   "auto_export": {"destinations": list(destinations), "launcher_install_cmd": install}},
        export={"env_vars": {"WANDB_API_KEY": "host:WANDB_API_KEY"}})


SECRETS = {**KEY, "WANDB_API_KEY": "s3cret-wandb"}


@submission("alpha", env=SECRETS)
def good(site):
    return exporting(site, "local", "mlflow")


@submission("beta", env=SECRETS)
def bad(site):
    return exporting(site, "local", "wandb", partition=None)


@submission("alpha", env=SECRETS)
def refused(site):
    return exporting(site, "local", partition="no-such")


@submission("alpha", env=SECRETS)
def cancelled(site):
    return exporting(site, "local", install="sleep 600; " + EXPORTER)


@submission("alpha", env=KEY)
def without(site):
    return site.external()


def export_of(daemon, job):
    return daemon.client.job(job["id"])["export"]


def ended_export(daemon, job):
    def ended():
        export = export_of(daemon, job)
        return export if export and export["state"] in ENDED else None
    return wait_for("the export has ended", ended)


def number(job):
    return re.search(r"sent export job (\d+)", log(job, "slurm-*.log")).group(1)


def secrets(job):
    return [name for name in (".secrets.env", ".export.env") if (Path(job["rundir"]) / name).exists()]


def test_export_that_works_is_shown(daemon, run):
    job = run("good")
    assert job["export"]["state"] in ("pending", "running", "succeeded")
    assert ended_export(daemon, job) == {
        "state": "succeeded", "slurm_job_id": number(job), "reason": None,
        "destinations": [{"name": "local", "exit_code": 0}, {"name": "mlflow", "exit_code": 0}]}
    assert secrets(job) == []
    (listed,) = daemon.client.get(f"/v1/evaluations/{job['evaluation']}")["jobs"]
    assert listed["export"]["state"] == "succeeded"


def test_export_that_fails_is_shown_with_its_exit_codes(daemon, run):
    job = run("bad")
    assert ended_export(daemon, job) == {
        "state": "failed", "slurm_job_id": number(job), "reason": "it ended with exit code 1",
        "destinations": [{"name": "local", "exit_code": 0}, {"name": "wandb", "exit_code": 1}]}
    assert secrets(job) == []
    assert daemon.client.job(job["id"])["state"] == "succeeded"


def test_export_that_is_refused_is_shown_at_the_end(run):
    job = run("refused")
    export = job["export"]
    assert (job["state"], export["state"], export["slurm_job_id"]) == ("succeeded", "refused", None)
    assert "partition" in export["reason"] and export["destinations"] == []
    assert secrets(job) == []


def test_export_that_is_cancelled_leaves_no_secrets_and_is_found_after_a_restart(bed, daemon, run):
    job = run("cancelled")
    assert job["export"]["state"] in ("pending", "running")
    daemon.stop()
    daemon.start()
    bed.cancel_job("alpha", number(job))
    export = ended_export(daemon, job)
    assert (export["state"], export["slurm_job_id"]) == ("failed", number(job))
    assert "CANCELLED" in export["reason"]
    assert secrets(job) == []


def test_job_without_export_shows_none(run):
    assert run("without")["export"] is None
