"""A dry run that asks a real cluster: it sees what is wrong there before anything is submitted, and leaves no trace.
What it shows without a cluster: tests/api/test_dry_run.py."""

import os
import subprocess
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml

from configs import SCORE, config, task
from daemon import cluster_settings, free_port
from testbed import wait_for


def ask(client, model_server, body, env=None):
    """The whole document of a dry run with the cluster's check."""
    envelope = {"config": body, "env": model_server.env if env is None else env}
    return client.post("/v1/evaluations", 200, params={"dry_run": "true", "check": "cluster"}, json=envelope)


def check(client, model_server, body):
    return ask(client, model_server, body)["cluster_check"]


def of(result, name):
    return [entry for entry in result["checks"] if entry["name"] == name]


def failing(result):
    return {entry["name"] for entry in result["checks"] if entry["ok"] is False}


def server_config(bed, model_server, **execution):
    """With a model server of its own: a checkpoint, a cache, GPUs."""
    body = config(bed, model_server, task(), execution={"gres": "gpu:8", **execution})
    body["defaults"][1] = {"deployment": "vllm"}
    body["deployment"] = {"checkpoint_path": bed.env["NEL_CHECKPOINT"], "served_model_name": "m",
                          "image": bed.env["NEL_SQSH_IMAGE"], "cache_path": bed.env["NEL_CACHE"]}
    del body["target"]
    return body


@pytest.mark.parametrize("cluster", ["alpha", "beta"])
def test_check_of_a_sound_config_is_all_well(bed, daemon, model_server, cluster):
    result = check(daemon.client, model_server, config(bed, model_server, task(), task(), cluster=cluster))
    assert failing(result) == set()
    assert [entry["name"] for entry in result["checks"]] == ["login", "account", "partition", "output_dir", "sbatch",
                                                             "sbatch"]
    assert f"{bed.env['NEL_USER']} is logged in on {cluster}-login" in of(result, "login")[0]["message"]
    account = of(result, "account")[0]
    if cluster == "alpha":
        assert account["ok"] is True and bed.env["NEL_ACCOUNT"] in account["message"]
    else:
        assert account["ok"] is None and "not checked" in account["message"]
    start = datetime.strptime(result["start_estimate"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
    assert time.time() - 300 < start < time.time() + 2 * 86400
    assert all("would start at 20" in entry["message"] for entry in of(result, "sbatch"))


def test_check_sees_checkpoint_image_and_cache(bed, daemon, model_server):
    result = check(daemon.client, model_server, server_config(bed, model_server))
    assert failing(result) == set()
    told = " ".join(entry["message"] for entry in of(result, "path"))
    for name in ("NEL_CHECKPOINT", "NEL_SQSH_IMAGE", "NEL_CACHE"):
        assert bed.env[name] in told


def test_check_missing_sources_are_each_named(bed, daemon, model_server):
    """A checkpoint, an image, a data set, and mounts; one is there but closed to the account."""
    missing = [str(bed.output / name) for name in ("no-model", "no-image.sqsh", "no-data", "no-mount")]
    closed = Path(bed.env["NEL_SHARED"]) / "closed-to-alice"
    closed.mkdir(mode=0o700, exist_ok=True)
    body = server_config(bed, model_server)
    body["deployment"].update(checkpoint_path=missing[0], image=missing[1])
    body["evaluation"]["tasks"] = [task(dataset_dir=missing[2]), task()]
    body["execution"]["mounts"]["evaluation"] = {missing[3]: "/a", str(closed): "/b"}
    try:
        result = check(daemon.client, model_server, body)
    finally:
        closed.rmdir()
    assert failing(result) == {"path"}
    bad = {entry["message"] for entry in of(result, "path") if not entry["ok"]}
    assert len(bad) == 5
    for path in missing:
        (message,) = [text for text in bad if path in text]
        assert "No such file or directory" in message
    assert any(str(closed) in text and "Permission denied" in text for text in bad)
    assert any(bed.env["NEL_CACHE"] in entry["message"] and entry["ok"] for entry in of(result, "path"))


@pytest.mark.parametrize("where, words", [
    ("images/out/deep", ["images", "Permission denied"]),
    ("nelalice/a-file/out", ["a-file", "not a directory"]),
])
def test_check_output_dir_that_cannot_be_made_is_named(bed, daemon, model_server, where, words):
    file = bed.output / "a-file"
    file.touch()
    body = config(bed, model_server, task(), execution={"output_dir": str(bed.shared / where)})
    result = check(daemon.client, model_server, body)
    file.unlink()
    assert failing(result) == {"output_dir"}
    for word in words:
        assert word in of(result, "output_dir")[0]["message"]


def test_check_account_that_is_not_the_users_is_told_with_those_that_are(bed, daemon, model_server):
    result = check(daemon.client, model_server, config(bed, model_server, task(), execution={"account": "nobody-s"}))
    assert failing(result) == {"account", "sbatch"}
    assert "nobody-s" in of(result, "account")[0]["message"]
    assert bed.env["NEL_ACCOUNT"] in of(result, "account")[0]["message"]
    assert "Invalid account" in of(result, "sbatch")[0]["message"]
    assert result["start_estimate"] is None


@pytest.mark.parametrize("cluster", ["alpha", "beta"])
def test_check_partition_that_is_not_there_is_told_with_those_that_are(bed, daemon, model_server, cluster):
    body = config(bed, model_server, task(), cluster=cluster, execution={"partition": "nowhere"})
    result = check(daemon.client, model_server, body)
    assert failing(result) == {"partition", "sbatch"}
    assert "'nowhere'" in of(result, "partition")[0]["message"] and "batch, gpu" in of(result, "partition")[0]["message"]
    assert "partition" in of(result, "sbatch")[0]["message"]


def test_check_partition_that_is_drained_is_told(bed, daemon, model_server):
    bed.run("alpha", "scontrol", "update", "partitionname=cpu", "state=drain")
    try:
        body = config(bed, model_server, task(), execution={"partition": "cpu"})
        result = check(daemon.client, model_server, body)
    finally:
        bed.run("alpha", "scontrol", "update", "partitionname=cpu", "state=up")
    assert "partition" in failing(result)
    assert "DRAIN" in of(result, "partition")[0]["message"]


def test_check_more_nodes_than_there_are_is_refused_by_sbatch(bed, daemon, model_server):
    result = check(daemon.client, model_server, server_config(bed, model_server, num_nodes=50))
    assert failing(result) == {"sbatch"}
    assert "node configuration is not available" in of(result, "sbatch")[0]["message"]


def test_check_unreachable_cluster_shows_the_plan_and_why(bed, model_server, make_daemon):
    port = free_port()
    client = make_daemon([cluster_settings(bed, port=port)]).start().client
    document = ask(client, model_server, config(bed, model_server, task()))
    (login,) = document["cluster_check"]["checks"]
    assert (login["name"], login["ok"]) == ("login", False)
    assert str(port) in login["message"]
    assert document["cluster_check"]["start_estimate"] is None
    assert document["jobs"][0]["script"].startswith("#!/bin/bash")


def snapshot(bed):
    """All files that the account could have written, and all jobs that Slurm knows of."""
    roots = [bed.shared, Path(bed.env["NEL_OUTPUT"]).parent, bed.output]
    files = {path for root in roots for path in root.rglob("*")}
    user = bed.env["NEL_USER"]
    homes = bed.run("alpha", "sh", "-c", f"find ~{user} /tmp /var/tmp -maxdepth 1 -user {user}")
    jobs = [bed.run(cluster, "squeue", "--noheader", "--states=all", "--format=%i|%j") for cluster in ("alpha", "beta")]
    return files, sorted(homes.splitlines()), [sorted(text.split()) for text in jobs]


def test_check_leaves_nothing_and_submits_nothing(bed, daemon, model_server):
    bed.ctl("alpha", "idle")
    bed.ctl("beta", "idle")
    before = snapshot(bed)
    env = {"MODELS_API_KEY": "hush-Qq7-the-tail-ZqXw"}
    for cluster in ("alpha", "beta"):
        body = config(bed, model_server, task(), task(), cluster=cluster,
                      execution={"output_dir": str(bed.output / "dry-run/deep/er")})
        document = ask(daemon.client, model_server, body, env)
        assert failing(document["cluster_check"]) == set()
        assert "'<redacted>'" in document["jobs"][0]["secrets"]
        for part in (env["MODELS_API_KEY"], "hush", "ZqXw"):
            assert part not in str(document)
    assert snapshot(bed) == before
    assert daemon.client.get("/v1/evaluations", params={"label": "none:none"})["items"] == []
    assert "hush" not in daemon.log()


def test_check_takes_one_command(bed, daemon, model_server):
    """However many questions there are: one exec."""
    body = config(bed, model_server, task(), task(), task())
    check(daemon.client, model_server, body)

    def execs_of_a_check():
        before = daemon.client.cluster("alpha")["execs"]
        check(daemon.client, model_server, body)
        return daemon.client.cluster("alpha")["execs"] - before

    assert min(execs_of_a_check() for _ in range(5)) == 1  # an observation beside may add one


def test_rendered_run_directory_runs_to_scores(bed, daemon, model_server, tmp_path):
    """What `render --output` writes is what the cluster would get: sbatch of its run.sub gives the scores."""
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config(bed, model_server, task())))
    out = bed.output / f"rendered-{uuid.uuid4()}"
    subprocess.run([*daemon.arguments("render", str(tmp_path / "c.yaml"), "--output", str(out), "--env",
                                      "MODELS_API_KEY")],
                   env={**os.environ, **model_server.env}, check=True, timeout=60)
    subprocess.run(["chown", "-R", bed.env["NEL_USER"], out], check=True)
    (script,) = out.glob("*/run.sub")
    job = bed.run("alpha", "runuser", "-u", bed.env["NEL_USER"], "--", "sbatch", "--parsable", str(script)).strip()
    sacct = ["sacct", "--noheader", "--allocations", "--parsable2", f"--jobs={job}", "--format=State"]
    wait_for(f"job {job} completes", lambda: bed.run("alpha", *sacct).strip() == "COMPLETED")
    assert str(SCORE) in (script.parent / "artifacts/results.yml").read_text()
