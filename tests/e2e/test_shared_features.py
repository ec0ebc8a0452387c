"""Tasks that share a deployment, with all that an evaluation may have at once, and on every type of deployment."""

import re
from pathlib import Path

import pytest

from configs import MODEL, SCORE, task
from submissions import Submissions, artifact, export_log, lines_of, variables
from testbed import questions

submissions = Submissions()
submission = submissions.add

TIMEOUT_S = 420
TASKS = ("ifeval", "mmlu", "gsm8k", "hellaswag")
SECRETS = {f"SECRET_{i}": f"Kx{i}mark" for i in range(4)}
SHARED = {"share_deployment": True}
# What the container has, and every file of secrets, and of this one kind beside, that it can reach.
LOOK = r"""env -0 >/results/env
find / \( -path /proc -o -path /sys -o -path /usr \) -prune -o \( -name '*.env' -o -name config_ef.yaml \) -print >/results/found 2>/dev/null; true"""
ASK_JUDGE = """curl -fsS -H 'Content-Type: application/json' "$JUDGE_CHAT_URL" -d '{"model": "judge", "messages": [{"role":
"user", "content": "What is 1 + 1?"}]}' >>/results/judgement; echo "post of $NUMBER" >/results/post"""
EXPORTER = r"""nemo-evaluator-launcher() {
env -0 >"export-env"; ls ..; cat results.yml >/dev/null || return
find / \( -path /proc -o -path /sys -o -path /usr \) -prune -o \( -name '*.env' -o -name config_ef.yaml \) -print >export-found 2>/dev/null; true; }"""


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    bed.shared.joinpath("shared-data").mkdir(exist_ok=True)
    bed.shared.joinpath("shared-data/sums.txt").write_text("1 + 1\n")
    return submissions.submit_all(bed, daemon, model_server)


def ended(run, name):
    """The evaluation, which has succeeded, and its jobs with their attempts."""
    client = run.daemon.client
    evaluation = client.wait_end(run.evaluations[name]["id"], "succeeded", TIMEOUT_S)
    return evaluation, [client.job(job["id"]) for job in evaluation["jobs"]]


@submission(env={**SECRETS, "EXPORT_KEY": "Kx9mark"})
def everything(site):
    """Two instances on a node each behind a proxy, a judge on a third, two tasks at once, and of each task its own."""
    tasks = [task(8, delay_s=0.5, parallelism=1, name=f"lm-evaluation-harness.{name}", pre_cmd=LOOK,
                  env_vars={"OWN": f"host:SECRET_{i}", "NUMBER": f"lit:{i}"}) for i, name in enumerate(TASKS)]
    tasks[1]["dataset_dir"] = f"{site.env['NEL_SHARED']}/shared-data"
    del tasks[2]["pre_cmd"]
    judge = {"type": "vllm", "image": site.env["NEL_IMAGE"], "checkpoint_path": site.env["NEL_CHECKPOINT"],
             "served_model_name": "judge", "port": site.port + 2, "num_nodes": 1,
             "endpoints": {"chat": "/v1/chat/completions", "health": "/health"}}
    return site.vllm(
        *tasks, evaluation={"pre_cmd": LOOK + "; touch /results/common", "post_cmd": ASK_JUDGE},
        execution={"share_deployment": 2, "num_nodes": 2, "num_instances": 2, "partition": "wide", "cpu_partition": "cpu",
                   "auto_export": {"destinations": ["local"], "launcher_install_cmd": EXPORTER}},
        export={"env_vars": {"EXPORT_KEY": "host:EXPORT_KEY"}}, auxiliary_deployments={"judge": judge})


def stamps(job, name):
    folder = Path(job["rundir"])
    return [int(line.split()[0]) for line in
            (folder.parent / f"shared.1/.jobs/{folder.name}/.attempts/1" / name).read_text().splitlines()]


def chain_logs(job, pattern):
    return sorted((Path(job["rundir"]).parent / "shared.1/logs").glob(pattern))


def test_everything_starts_once_and_serves_all_tasks_two_at_once(bed, run):
    evaluation, jobs = ended(run, "everything")
    assert len(bed.jobs_of("alpha", evaluation["id"])) == 1
    assert [len(job["attempts"]) for job in jobs] == [1] * 4
    assert jobs[0]["attempts"][0]["nodes"] == "a[1-3]"
    logs = {name: chain_logs(jobs[0], name) for name in ("server-0-*.log", "server-1-*.log", "judge-server-0-*.log")}
    for name, files in logs.items():
        assert len(files) == 1, name
        assert files[0].read_text().count(" loading ") == 1, name
    shares = [path.read_text().count("POST /v1/") for path in logs["server-0-*.log"] + logs["server-1-*.log"]]
    assert sum(shares) == 32 and min(shares) >= 4, shares
    assert logs["judge-server-0-*.log"][0].read_text().count("POST /v1/chat/completions") == 4
    spans = [(stamps(job, "started")[-1], stamps(job, "ended")[-1]) for job in jobs]
    assert max(spans[0][0], spans[1][0]) < min(spans[0][1], spans[1][1]), "the first two are not evaluated at once"
    assert len({variables(job)["ADAPTER_PORT"] for job in jobs}) == 4
    for begin, _ in spans:
        assert sum(start <= begin < end for start, end in spans) <= 2, spans
    for job in jobs:
        assert set(run.daemon.client.scores(job["id"]).values()) == {SCORE}
        assert sorted(questions(job)) == list(range(8))


def test_each_task_has_its_own_commands_data_and_secrets_and_reaches_no_others(run):
    _, jobs = ended(run, "everything")
    for i, job in enumerate(jobs):
        text = artifact(job, "env")
        assert variables(job)["OWN"] == SECRETS[f"SECRET_{i}"]
        assert re.findall(r"Kx\dmark", text) == [SECRETS[f"SECRET_{i}"]]
        assert "/results/config_ef.yaml" in lines_of(job, "found")
        assert not [path for path in lines_of(job, "found") if path.endswith(".env")]
        assert artifact(job, "post") == f"post of {i}\n"
        assert artifact(job, "judgement").count('"judge"') == 1
        assert ("NEMO_EVALUATOR_DATASET_DIR" in variables(job)) == (i == 1)
        assert (Path(job["rundir"]) / "artifacts/common").exists() == (i == 2)  # in place of whose own it stands
        assert "the export ended with exit code 0" in export_log(job)
        assert re.findall(r"Kx\dmark", artifact(job, "export-env")) == ["Kx9mark"]
        assert lines_of(job, "export-found") == [f"{job['rundir']}/artifacts/config_ef.yaml"]
    for file in Path(jobs[0]["rundir"]).parent.rglob("*"):
        if file.is_file() and file.name not in ("env", "export-env"):
            assert not re.search(r"Kx\dmark", file.read_text(errors="replace")), file


# ---- types ----

def two():
    return [task(name="lm-evaluation-harness.ifeval"), task(name="lm-evaluation-harness.mmlu")]


@submission("beta")
def sglang(site):
    return site.config({"type": "sglang", "checkpoint_path": None, "hf_model_handle": "org/model"}, *two(), execution=SHARED)


@submission("beta")
def nim(site):
    return site.config({"type": "nim", "image": site.env["NEL_IMAGE"], "env_vars": {
        "NIM_SERVER_PORT": f"lit:{site.port}", "NIM_MODEL_NAME": f"lit:{MODEL}"}}, *two(), execution=SHARED)


@submission("beta")
def trtllm(site):
    return site.config({"type": "trtllm", "checkpoint_path": site.env["NEL_CHECKPOINT"], "served_model_name": "checkpoint"},
                       *two(), execution=SHARED)


@submission("beta")
def generic(site):
    return site.generic("$SERVE", *two(), execution=SHARED)


@submission("alpha")
def vllm_ray(site):
    return site.vllm(*two(), deployment={"type": "vllm_ray"}, execution={**SHARED, "num_nodes": 2})


@pytest.mark.parametrize("name", ["sglang", "nim", "trtllm", "generic", "vllm_ray"])
def test_deployment_of_every_type_serves_two_tasks(run, name):
    _, jobs = ended(run, name)
    assert jobs[0]["slurm_job_id"] == jobs[1]["slurm_job_id"]
    (head, *_) = chain_logs(jobs[0], "server-0-*.log")
    assert head.read_text().count("POST /v1/") == 8
    for job in jobs:
        assert set(run.daemon.client.scores(job["id"]).values()) == {SCORE}
