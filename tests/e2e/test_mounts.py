"""What would show people who share an account each other's runs is not mounted, wherever links lead and whenever they are turned."""

import shutil
import uuid

import pytest

from configs import config, task
from testbed import wait_for

REFUSED = "is not mounted for people who share the account"


@pytest.fixture(scope="module")
def places(bed, daemon, model_server):
    """A team's directory with runs two levels below, and one with models."""
    top = bed.output / f"mounts-{uuid.uuid4().hex[:8]}"
    (top / "models").mkdir(parents=True)
    shutil.chown(top, bed.env["NEL_USER"])
    out = {"output_dir": str(top / "teams/bob/out")}
    evaluation = daemon.client.submit(config(bed, model_server, task(), execution=out), model_server.env)
    daemon.client.wait_end(evaluation["id"])
    return top


def mounting(bed, model_server, source, target="/m", **execution):
    mounts = {"mount_home": False, "evaluation": {str(source): target}}
    return config(bed, model_server, task(), execution={"mounts": mounts, **execution})


def turn(link, target):
    new = link.with_name(link.name + ".new")
    new.symlink_to(target)
    new.rename(link)


@pytest.mark.parametrize("target", ["teams", "teams/bob", "teams/bob/out"])
def test_link_to_a_directory_above_the_runs_of_others_is_refused_before_sbatch(bed, daemon, model_server, places, target):
    link = places / f"link-{target.replace('/', '-')}"
    link.symlink_to(places / target)
    evaluation = daemon.client.submit(mounting(bed, model_server, link), model_server.env)
    daemon.client.wait_end(evaluation["id"], "failed")
    job = daemon.client.job(f"{evaluation['id']}.0")
    assert f"{link} {REFUSED}" in job["reason"] and "lie below it" in job["reason"]
    assert bed.jobs_of("alpha", evaluation["id"]) == []
    checked = daemon.client.post("/v1/evaluations?dry_run=true&check=cluster", 200, json={
        "config": mounting(bed, model_server, link), "env": model_server.env})
    assert [item for item in checked["cluster_check"]["checks"] if item["ok"] is False and "lie below it" in item["message"]]


@pytest.mark.parametrize("target", ["teams/bob", "models"])
def test_link_that_is_turned_while_the_job_waits_is_looked_at_again_before_it_is_mounted(bed, daemon, model_server, places, target):
    link = places / f"turned-{target.replace('/', '-')}"
    link.symlink_to(places / "models")
    body = mounting(bed, model_server, link, sbatch_extra_flags={"exclusive": False, "begin": "now+8"})
    evaluation = daemon.client.submit(body, model_server.env)["id"]
    wait_for("the job to be in Slurm", lambda: daemon.client.job(f"{evaluation}.0")["slurm_job_id"])
    turn(link, places / target)
    if target == "models":
        daemon.client.wait_end(evaluation)
        return
    daemon.client.wait_end(evaluation, "failed")
    job = daemon.client.job(f"{evaluation}.0")
    assert f"{link} {REFUSED}" in job["reason"] and "lie below it" in job["reason"]
    assert not [item for item in daemon.client.get(f"/v1/jobs/{job['id']}/logs")["items"] if item["name"].startswith("client-")]


def test_export_mount_that_is_turned_is_not_mounted(bed, daemon, model_server, places):
    link = places / "turned-export"
    link.symlink_to(places / "models")
    export = {"destinations": ["local"], "launcher_install_cmd": "ls /m >seen; nemo-evaluator-launcher() { :; }",
              "export_mounts": {str(link): "/m"}}
    body = mounting(bed, model_server, places / "models", "/other", auto_export=export)
    body["evaluation"]["post_cmd"] = "sleep 5"
    evaluation = daemon.admin.submit(body, model_server.env)["id"]
    wait_for("the job to be in Slurm", lambda: daemon.client.job(f"{evaluation}.0")["slurm_job_id"])
    turn(link, places / "teams/bob")
    daemon.client.wait_end(evaluation)
    log = wait_for("the export's log", lambda: next(
        (item["name"] for item in daemon.client.get(f"/v1/jobs/{evaluation}.0/logs")["items"] if item["name"].startswith("export-")), None))
    wait_for("its end", lambda: "exit code 1" in daemon.client.get(f"/v1/jobs/{evaluation}.0/logs/{log}").text)
    assert f"{link} {REFUSED}" in daemon.client.get(f"/v1/jobs/{evaluation}.0/logs/{log}").text
