"""The example configs run to scores, unchanged but for host, paths, account and image."""

import json
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
import yaml

from configs import SCORE
from testbed import ROOT, answers, questions, wait_for

EXAMPLES = ROOT / "examples"
VLLM_TASKS = ["hellaswag", "arc_challenge", "winogrande"]
TIMEOUT_S = 500  # of all examples together: they wait for each other's GPUs


def site(bed, cluster):
    """What any site changes in an example."""
    return [f"execution.hostname=login.{cluster}.example", f"execution.account={bed.env['NEL_ACCOUNT']}",
            f"execution.output_dir={bed.output}/examples"]


def submit_yaml(bed, client, cluster):
    """As the config itself, with overrides in the query."""
    overrides = site(bed, cluster) + [f"deployment.checkpoint_path={bed.env['NEL_CHECKPOINT']}"]
    return client.post("/v1/evaluations", 202, params={"override": overrides},
                       headers={"Content-Type": "application/yaml"}, data=(EXAMPLES / "vllm-checkpoint.yaml").read_bytes())


def submit_form(bed, client):
    """As curl -F does, with the secret in a file of variables."""
    text = (EXAMPLES / "vllm-hf-handle.yaml").read_text().replace("/shared/cache/huggingface", bed.env["NEL_CACHE"])
    parts = [("config", ("vllm-hf-handle.yaml", text, "application/yaml")),
             ("env_file", ("env", "HF_TOKEN=hf_of_the_examples\n"))]
    parts += [("override", (None, override)) for override in site(bed, "alpha")] + [("label", (None, "example:hf-handle"))]
    return client.post("/v1/evaluations", 202, files=parts)


def submit_envelope(bed, client, model_server):
    """In the JSON envelope, with secret and overrides."""
    text = json.loads((EXAMPLES / "external-endpoint.json").read_text())
    overrides = site(bed, "alpha") + [f"target.api_endpoint.url={model_server.url}"]
    return client.submit(text, model_server.env, overrides)


@pytest.fixture(scope="module")
def evaluations(bed, daemon, model_server):
    """All of them at once; the tests wait for theirs."""
    return {
        "vllm-checkpoint": submit_yaml(bed, daemon.client, "alpha"),
        "vllm-checkpoint-beta": submit_yaml(bed, daemon.client, "beta"),
        "external-endpoint": submit_envelope(bed, daemon.client, model_server),
        "vllm-hf-handle": submit_form(bed, daemon.client),
    }


def epoch(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


def check_times(job, attempt):
    for name in ("created_at", "started_at", "ended_at", "observed_at"):
        assert job[name], name
    assert epoch(job["created_at"]) <= epoch(attempt["submitted_at"]) + 1
    assert epoch(attempt["submitted_at"]) <= epoch(attempt["started_at"]) <= epoch(attempt["ended_at"])
    assert 0 <= attempt["elapsed_s"] <= TIMEOUT_S
    assert abs(epoch(attempt["ended_at"]) - epoch(attempt["started_at"]) - attempt["elapsed_s"]) <= 3
    assert job["budget"]["used_s"] == attempt["elapsed_s"]
    assert job["budget"]["remaining_s"] == job["budget"]["limit_s"] - attempt["elapsed_s"]


def check_history(job):
    """Every state follows from the one before, and the last is the job's."""
    history = job["history"]
    assert history[0]["from"] in (None, "queued")
    assert history[-1]["to"] == job["state"] == "succeeded"
    for before, after in zip(history, history[1:]):
        assert after["from"] == before["to"]
        assert before["at"] <= after["at"]
    assert {"submitting", "pending"} <= {entry["to"] for entry in history}


def check_job(client, job, count, nodes):
    attempt = job["attempts"][0]
    assert (job["attempt"], len(job["attempts"])) == (1, 1)
    assert (attempt["slurm_state"], attempt["exit_code"], attempt["signal"]) == ("COMPLETED", 0, 0)
    assert attempt["slurm_job_id"] == job["slurm_job_id"]
    assert attempt["nodes"] in nodes
    assert job["waiting_on"] is None
    assert job["progress"] == {"requests": count, "total": count, "rate_per_s": None, "eta_s": None}
    check_times(job, attempt)
    check_history(job)
    assert set(client.scores(job["id"]).values()) == {SCORE}
    assert sorted(questions(job)) == sorted(answers(job)) == list(range(count))


def check_results_file(client, job):
    """results.yml through the API is the file on the cluster, and the scores are what it says."""
    listed = {item["path"]: item["size"] for item in client.get(f"/v1/jobs/{job['id']}/artifacts")["items"]}
    data = client.get(f"/v1/jobs/{job['id']}/artifacts/results.yml").content
    assert data == (Path(job["rundir"]) / "artifacts/results.yml").read_bytes()
    assert listed["results.yml"] == len(data)
    tasks = yaml.safe_load(data)["results"]["tasks"]
    (name, task), = tasks.items()
    assert client.scores(job["id"])[(name, False, "acc", "acc")] == task["metrics"]["acc"]["scores"]["acc"]["value"]


def check_evaluation(daemon, evaluation, tasks, count, nodes):
    client = daemon.client
    ended = client.wait_end(evaluation["id"], timeout_s=TIMEOUT_S)
    assert [job["task"] for job in ended["jobs"]] == tasks
    assert ended["counts"]["total"] == ended["counts"]["succeeded"] == len(tasks)
    assert ended["user"] == "e2e-user"
    for job in ended["jobs"]:
        job = client.job(job["id"])
        check_job(client, job, count, nodes)
        check_results_file(client, job)
        script = client.get(f"/v1/jobs/{job['id']}/script").content
        assert script == (Path(job["rundir"]) / "run.sub").read_bytes()


def test_vllm_checkpoint_on_a_cluster_with_accounting_runs_to_scores(daemon, evaluations):
    check_evaluation(daemon, evaluations["vllm-checkpoint"], VLLM_TASKS, 20, {"a1", "a2"})


def used_by_sacct(bed, evaluation):
    """(attempts, their run time, their GPU seconds), of those that have ended."""
    text = bed.run("alpha", "sacct", "--allusers", "--allocations", "--duplicates", "--noheader", "--parsable2",
                   "--starttime=now-1day", "--format=JobName,End,ElapsedRaw,AllocTRES")
    rows = [line.split("|") for line in text.splitlines() if evaluation in line and "|Unknown|" not in line]
    gpus = [re.search(r"gres/gpu=(\d+)", row[3]) for row in rows]
    return len(rows), sum(int(row[2]) for row in rows), sum(int(row[2]) * int(gpu[1]) for row, gpu in zip(rows, gpus))


def test_vllm_hf_handle_with_a_secret_from_a_form_runs_to_scores(bed, daemon, evaluations):
    check_evaluation(daemon, evaluations["vllm-hf-handle"], VLLM_TASKS, 20, {"a1", "a2"})
    wanted = evaluations["vllm-hf-handle"]["id"]
    wait_for("accounting has every end", lambda: used_by_sacct(bed, wanted)[0] == len(VLLM_TASKS))
    used, = [item for item in daemon.client.get("/v1/usage?by=label:example")["items"] if item["label:example"] == "hf-handle"]
    assert (used["attempts"], used["run_s"], used["gpu_s"]) == used_by_sacct(bed, wanted)
    assert 0 < used["gpu_s_waste"]["start_up"] <= used["gpu_s"] and used["gpu_s_waste"]["lost"] == 0


def test_external_endpoint_that_wants_a_key_runs_to_scores(daemon, evaluations):
    tasks = ["lm-evaluation-harness.ifeval", "simple_evals.mmlu_pro"]
    check_evaluation(daemon, evaluations["external-endpoint"], tasks, 100, {"a1", "a2"})


def test_vllm_checkpoint_on_a_cluster_without_accounting_runs_to_scores(daemon, evaluations):
    check_evaluation(daemon, evaluations["vllm-checkpoint-beta"], VLLM_TASKS, 20, {"b1"})


def test_logs_of_an_ended_job_are_listed_and_read_whole_in_ranges_and_by_tail(daemon, evaluations):
    client = daemon.client
    job = client.wait_end(evaluations["vllm-checkpoint"]["id"], timeout_s=TIMEOUT_S)["jobs"][0]
    directory = Path(job["rundir"]) / "logs"
    path = f"/v1/jobs/{job['id']}/logs"
    listed = {item["name"]: item["size"] for item in client.get(path)["items"]}
    assert listed == {file.name: file.stat().st_size for file in directory.iterdir()}
    slurm_id = job["slurm_job_id"]
    assert {f"slurm-{slurm_id}.log", f"client-{slurm_id}.log"} <= set(listed)
    assert any(re.match(rf"server-0-{slurm_id}-\d+\.log$", name) for name in listed)
    for name in listed:
        data = (directory / name).read_bytes()
        assert client.get(f"{path}/{name}").content == data, name
    name = f"server-0-{slurm_id}-0.log" if f"server-0-{slurm_id}-0.log" in listed else f"client-{slurm_id}.log"
    data = (directory / name).read_bytes()
    part = client.get(f"{path}/{name}", 206, headers={"Range": "bytes=10-39"})
    assert part.content == data[10:40]
    assert part.headers["Content-Range"] == f"bytes 10-39/{len(data)}"
    assert client.get(f"{path}/{name}", 206, headers={"Range": "bytes=-25"}).content == data[-25:]
    assert client.get(f"{path}/{name}", 206, headers={"Range": f"bytes={len(data) - 5}-"}).content == data[-5:]
    client.call("GET", f"{path}/{name}", 416, headers={"Range": f"bytes={len(data)}-"})
    assert client.get(f"{path}/{name}?tail=2").content == b"".join(data.splitlines(keepends=True)[-2:])
    client.call("GET", f"{path}/no-such.log", 404)


def test_results_across_evaluations_filtered_by_task_have_every_score(daemon, evaluations):
    client = daemon.client
    wanted = set()
    for name in ("vllm-checkpoint", "vllm-checkpoint-beta", "vllm-hf-handle"):
        wanted |= {job["id"] for job in client.wait_end(evaluations[name]["id"], timeout_s=TIMEOUT_S)["jobs"]
                   if job["task"] == "winogrande"}
    found = {row["job"]: row["value"] for row in client.get("/v1/results?task=winogrande&metric=acc")["items"]}
    assert found == dict.fromkeys(wanted, SCORE)
