"""What scores of real runs are of: two checkpoints under one served name, and two sizes of one task, side by side."""

import os
import shutil
from pathlib import Path

import pytest

from configs import MODEL, task
from submissions import Site, Submissions

SAMPLES = {"samples": ["lm_eval", "byob", "n5"], "wrong": [1]}

submissions = Submissions()
submission = submissions.add


def second(env):
    return Path(env["NEL_CHECKPOINT"]).parent / "checkpoint_two"


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    shutil.copytree(bed.env["NEL_CHECKPOINT"], second(bed.env), dirs_exist_ok=True)
    (second(bed.env) / "model.safetensors").write_text("weights")
    return submissions.submit_all(bed, daemon, model_server).ended


@submission("alpha")
def one(site):
    return site.vllm(task(extra=SAMPLES))


@submission("alpha")
def two(site):
    return site.vllm(task(extra=SAMPLES), deployment={"checkpoint_path": str(second(site.env))})


@submission("alpha")
def larger(site):
    return site.vllm(task(8, extra=SAMPLES))


def test_unlike_runs_of_one_model_are_kept_apart(daemon, run):
    jobs = {name: run(name)["id"] for name in ("one", "two", "larger")}
    latest = daemon.client.get("/v1/results?latest=true")["items"]
    assert {i["job"] for i in latest} == set(jobs.values())
    assert all(i["model"] == MODEL and i["harness"] and i["image"] for i in latest)
    matrix = daemon.client.get(f"/v1/results?form=matrix&baseline={MODEL}")
    assert {(r["checkpoint"].rsplit("/", 1)[1], *r["differs"]) for r in matrix["rows"]} >= {("checkpoint_two", "checkpoint")}
    assert len(matrix["rows"]) == 2 and all(r["differs"] == ["checkpoint"] for r in matrix["rows"])
    assert {c["params"]["limit_samples"]: c["differs"] for c in matrix["columns"]} == {4: ["params"], 8: ["params"]}
    cells = {c["job"]: c for r in matrix["rows"] for c in r["cells"] if c}
    assert set(cells) == set(jobs.values())
    differing = {frozenset(c["differs"]) for c in cells.values()}
    assert frozenset() in differing and len(differing) > 1


def test_their_samples_are_read_and_paired(daemon, run):
    a, b = run("one")["id"], run("larger")["id"]
    listed = daemon.client.get(f"/v1/jobs/{a}/samples")
    assert listed["stored"] == {"samples": 16, "left_out": 0, "unread_lines": 0, "unread_files": 0}  # two filters
    assert {item["file"].rsplit("/", 1)[-1].split("_")[0] for item in listed["items"]} == {"samples", "byob", "results.jsonl"}
    (item,) = daemon.client.get(f"/v1/compare?a={a}&b={b}&flips=true")["items"]
    assert (item["method"], item["pairs"], item["unpaired"]) == ("mcnemar_exact", 4, {"a": 0, "b": 4})
    assert item["flips"] == {"better": 0, "worse": 0, "samples": [], "more": 0} and item["verdict"] == "inconclusive"
    wrong = daemon.client.get(f"/v1/jobs/{a}/samples?outcome=wrong")["items"]
    assert {1} <= {item["id"] for item in wrong}
    record = daemon.client.get(next(one for one in wrong if one["id"] == 1 and one["filter"] == "strict")["record"])
    assert record["doc"]["question"] == "What is 1 + 2?" and record["acc"] == 0


def stat_of(file):
    return file.stat().st_mtime_ns


def test_an_equal_job_is_reused_until_its_checkpoint_changes(bed, daemon, model_server, run):
    """Of an evaluation the job that has run before is answered without Slurm, and the other one runs."""
    first, client = run("two"), daemon.client
    made, _, port, *_ = submissions.made["two"]
    config = made(Site(bed, "alpha", port + 100, model_server))
    weights, text = second(bed.env) / "model.safetensors", second(bed.env) / "config.json"
    ends = len(client.get("/v1/usage?by=task")["items"])

    def submit(expect, *more):
        """The job's scores are those of `expect`, or, with None, it goes to Slurm; returns it."""
        config["evaluation"]["tasks"] = [task(extra=SAMPLES), *more]
        evaluation = client.submit(config, params={"reuse": "true"})
        job = client.wait_job(f"{evaluation['id']}.0", lambda j: j["reused_from"] or j["slurm_job_id"], "is reused or submitted")
        assert job["reused_from"] == (expect and expect["id"])
        if expect is None:
            client.post(f"/v1/evaluations/{evaluation['id']}/cancel", 202)
        return job

    dry = client.post("/v1/evaluations?dry_run=true&reuse=true", 200, json={"config": {
        **config, "evaluation": {"tasks": [task(extra=SAMPLES), task(5)]}}})
    assert [job["reuse_candidate"] for job in dry["jobs"]] == [first["id"], None]

    job = submit(first, task(5))
    assert (job["state"], job["attempt"], job["slurm_job_id"], job["attempts"]) == ("succeeded", 0, None, [])
    assert [change["to"] for change in job["history"]] == ["queued", "submitting", "succeeded"]
    assert f"reused from {first['id']}" in job["reason"] and job["rundir"] == first["rundir"]

    assert client.scores(job["id"]) == client.scores(first["id"]) != {}
    mine, theirs = (client.get(f"/v1/jobs/{one['id']}/samples") for one in (job, first))
    assert mine["stored"] == theirs["stored"] and mine["items"][0]["record"] != theirs["items"][0]["record"]
    assert client.get(mine["items"][0]["record"]) == client.get(theirs["items"][0]["record"])
    other = client.wait_state(f"{job['evaluation']}.1", "succeeded")
    assert other["reused_from"] is None and other["slurm_job_id"]
    assert len(client.get("/v1/usage?by=task")["items"]) == ends
    submit(first)

    was = stat_of(weights)
    weights.touch()
    submit(None)
    os.utime(weights, ns=(was, was))
    submit(first)
    was = stat_of(text)
    content = text.read_text()
    text.write_text(content[:-1] + " ")
    os.utime(text, ns=(was, was))
    submit(None)
    text.write_text(content)
    os.utime(text, ns=(was, was))
    submit(first)
