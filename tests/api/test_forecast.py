"""What a dry run and a submission say of what to expect, from runs in the store."""

import json
import re
import subprocess

import pytest
from conftest import CONFIG, ROOT

MODEL = "target.api_endpoint.model_id=org/forecast"
OTHER_LIMIT = "++evaluation.nemo_evaluator_config.config.params.limit_samples=5"
TEMPERATURE = "++evaluation.nemo_evaluator_config.config.params.temperature=0.25"


def submit(client, *overrides, status=202, **kwargs):
    return client.submit(json.dumps({"config": CONFIG, "overrides": [MODEL, *overrides]}), status, content_type="application/json", **kwargs).json()


def succeed(daemon, evaluation, index, *attempts):
    """The job has succeeded, with attempts of so many seconds and GPU seconds."""
    job = f"{evaluation}.{index}"
    daemon.execute("UPDATE jobs SET state = 'succeeded', ended_at = 5, attention = 0, collected = 1 WHERE id = ?", job)
    for number, (run_s, gpu_s) in enumerate(attempts):
        daemon.execute("INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, ended_at, run_s, queue_s, gpu_s,"
                       " start_up_gpu_s, idle_gpu_s, lost_gpu_s, source) VALUES (?, ?, ?, 'forecast', 'alpha', 'm', 't', 5, ?, 0, ?, 0, 0,"
                       " 0, 'sacct')", f"{job}-{number}", job, evaluation, run_s, gpu_s)


def dry_run(client, *overrides):
    return submit(client, *overrides, status=200, params={"dry_run": "true"})["forecast"]


@pytest.fixture(scope="module")
def runs(daemon):
    """Of the first task ten equal runs, one of other temperature, one of other samples; of the second task none."""
    ann = daemon.client("ann")
    assert dry_run(ann) is None and submit(ann)["forecast"] is None
    for n in range(1, 11):
        succeed(daemon, submit(ann)["id"], 0, (60 * n, 360 * n), (60 * n, 0))
    succeed(daemon, submit(ann, TEMPERATURE)["id"], 0, (7, 7200))
    succeed(daemon, submit(ann, OTHER_LIMIT)["id"], 0, (9, 3600))
    succeed(daemon, submit(ann)["id"], 1)  # nothing is known of what it used
    yield ann
    daemon.execute("DELETE FROM usage WHERE user = 'forecast'")  # others add up the whole ledger


def test_forecast_is_by_equal_runs_all_attempts_together(runs):
    forecast = dry_run(runs)
    assert forecast == {"jobs_known": 1, "gpu_hours": {"p50": 0.5, "p90": 0.9}, "duration_s": {"p50": 600, "p90": 1080}, "jobs": [
        {"index": 0, "task": "lm-evaluation-harness.ifeval", "basis": "equal", "runs": 10, "gpu_hours": {"p50": 0.5, "p90": 0.9},
         "duration_s": {"p50": 600, "p90": 1080}}]}
    headers = {"Idempotency-Key": "forecast"}
    assert submit(runs, headers=headers)["forecast"] == forecast
    assert "forecast" not in submit(runs, headers=headers)  # the repeat is about what was made then
    identity = submit(runs)["id"]
    assert "forecast" not in runs.get(f"/v1/evaluations/{identity}").json()


def test_forecast_is_by_similar_runs_else_by_the_task(runs):
    limit = OTHER_LIMIT.replace("=5", "=6")
    similar = dry_run(runs, TEMPERATURE.replace("0.25", "0.75"))["jobs"][0]
    assert (similar["basis"], similar["runs"]) == ("similar", 11)  # the ten, and that of the other temperature
    assert (dry_run(runs, OTHER_LIMIT)["jobs"][0]["basis"], dry_run(runs, OTHER_LIMIT)["gpu_hours"]) == ("equal", {"p50": 1, "p90": 1})
    other = dry_run(runs, limit)["jobs"][0]
    assert (other["basis"], other["runs"]) == ("task", 12)
    assert dry_run(runs, MODEL + "-other") is None


DEPLOYED = CONFIG.replace("deployment: none", "deployment: vllm").replace("""target:
  api_endpoint:
    url: https://models.example/v1/chat/completions
    model_id: org/model
""", """deployment:
  checkpoint_path: /shared/models/m
  served_model_name: org/sharing
""")


def sharing(client, *overrides, config=DEPLOYED):
    request = json.dumps({"config": config, "overrides": overrides})
    return client.submit(request, 200, content_type="application/json", params={"dry_run": "true"}).json()["sharing"]


def test_dry_run_says_what_sharing_the_deployment_would_save(daemon):
    ann = daemon.client("ann")
    unknown = sharing(ann)
    assert unknown == {"tasks": 2, "set": "execution.share_deployment=true", "runs": 0, "start_up_s": None, "would_save_gpu_hours": None,
                       "text": "with execution.share_deployment=true the model's servers start once for all 2 tasks, and not 2 times;"
                               " how long a start takes is not known here yet"}
    made = [ann.submit(DEPLOYED, 202).json()["id"] for _ in range(4)]
    for evaluation in made:
        for index in range(2):
            succeed(daemon, evaluation, index, (4000, 32000), (100, 800))
    put = "UPDATE usage SET start_up_s = ?, start_up_gpu_s = ? WHERE job = ? AND attempt = ?"
    for evaluation, start_s in zip(made, (1800, 2400)):
        daemon.execute(put, start_s, 8 * start_s, f"{evaluation}.0", f"{evaluation}.0-0")
    # Two that shared one attempt have waited for its servers together; what is not known of the others is no 0.
    daemon.execute("UPDATE usage SET attempt = 'together', start_up_s = 300, start_up_gpu_s = 2400 WHERE attempt IN (?, ?)",
                   f"{made[2]}.0-0", f"{made[2]}.1-0")
    known = sharing(ann)
    assert (known["runs"], known["start_up_s"], known["would_save_gpu_hours"]) == (4, 600, 1.333)
    assert known["text"].endswith(", which would save 1.333 GPU hours: 1 start of 600 s, the median of 4 runs")
    three = sharing(ann, config=DEPLOYED + "    - name: simple_evals.gpqa_diamond\n")
    assert (three["tasks"], three["would_save_gpu_hours"]) == (3, 2.667)
    for plus in ("", "+", "++"):
        assert sharing(ann, plus + known["set"]) is None  # what it says is taken as it stands
    assert sharing(ann, "++execution.share_deployment=false") == known
    assert sharing(ann, config=DEPLOYED.replace("    - name: simple_evals.mmlu_pro\n", "")) is None
    assert sharing(ann, config=CONFIG) is None
    daemon.execute("DELETE FROM usage WHERE user = 'forecast' AND (attempt = 'together' OR evaluation IN (?, ?, ?, ?))", *made)


def test_nelctl_says_what_to_expect(runs, daemon, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)

    def nelctl(*words):
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "NEL_URL": daemon.base, "NEL_TOKEN": daemon.tokens["ann"], "COLUMNS": "200"}
        return subprocess.run([ROOT / "examples/nelctl", "run", "config.yaml", *words], cwd=tmp_path, env=env, capture_output=True,
                              text=True, timeout=120, check=True)
    lines = nelctl("-o", MODEL, "--dry-run").stdout.splitlines()
    assert "expected: 0.5 GPU hours (p90 0.9), 10 min (p90 18 min), of 1 of 2 jobs" in lines
    assert "  0 lm-evaluation-harness.ifeval: 0.5 GPU hours (p90 0.9), 10 min (p90 18 min), by 10 equal runs" in lines
    (tmp_path / "config.yaml").write_text(DEPLOYED)
    assert "saving: with execution.share_deployment=true the model's servers start once for all 2 tasks" in nelctl("--dry-run").stdout
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = nelctl("-o", MODEL)
    assert re.fullmatch("[0-9a-f]{16}\n", done.stdout) and "expected: 0.5 GPU hours" in done.stderr
    assert "expected" not in nelctl("-o", MODEL + "-other", "--dry-run").stdout
