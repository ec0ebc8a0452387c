"""What a submission would do, without doing it: ?dry_run=true, ?check=cluster where no Slurm answers, and
`nel-slurmd render`. With real clusters: tests/e2e/test_dry_run.py."""

import json
import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from conftest import BINARY, CONFIG, STOP_TIMEOUT_S

SECRET = "hush-Qq7-the-tail-ZqXw"
GPU_CONFIG = """\
defaults:
  - execution: slurm/default
  - deployment: vllm
  - _self_
execution:
  hostname: alpha.example
  account: acct
  output_dir: /shared/out
  walltime: "08:00:00"
  max_walltime: "04:00:00"
deployment:
  checkpoint_path: /models/m
  served_model_name: m
  tensor_parallel_size: 4
env_vars:
  HF_TOKEN: $host:HF_TOKEN
evaluation:
  tasks:
    - name: hellaswag
"""


def dry_run(client, config=CONFIG, status=200, **params):
    return client.submit(config, status, params={"dry_run": "true", **params})


def checks_of(reply, name=None):
    return [c for c in reply.json()["cluster_check"]["checks"] if name in (None, c["name"])]


# ---- the document ----

def test_dry_run_document_is_complete(ann):
    body = dry_run(ann).json()
    assert body["config"]["execution"]["partition"] == "batch"  # what was left out is filled in
    assert body["config"]["evaluation"]["tasks"][0]["container"]
    assert body["rundir"].startswith("/shared/out/")
    assert "cluster_check" not in body
    for index, job in enumerate(body["jobs"]):
        assert job["index"] == index and job["script"].startswith("#!/bin/bash\n#SBATCH ")
        assert body["rundir"] in job["script"]
        files = {file["path"].split("/", 1)[1]: file for file in job["files"]}
        assert {name: file["mode"] for name, file in files.items()} == {
            "": "0700", "logs/": "0700", "artifacts/": "0700", "config_ef.yaml": "0600", ".secrets.env": "0600"}
        assert yaml.safe_load(files["config_ef.yaml"]["content"])["config"]["output_dir"] == "/results"
        assert files[".secrets.env"]["content"] is None and files[".secrets.env"]["size"] == 0


def test_dry_run_of_many_jobs_shows_the_files_of_the_first(ann):
    config = yaml.safe_load(CONFIG)
    config["evaluation"]["tasks"] = [{"name": "hellaswag"}] * 300
    reply = dry_run(ann, json.dumps(config))
    body = reply.json()
    shown = [job["files"] is not None for job in body["jobs"]]
    count = shown.index(False)
    assert len(shown) == 300 and count > 20 and not any(shown[count:])
    assert len(reply.content) < 6 * 1024 * 1024
    assert all(job["script"] is None and job["secrets"] is None for job in body["jobs"][count:])
    assert [w for w in body["warnings"] if f"first {count} of 300 jobs" in w["message"] and "?task=" in w["message"]]
    last = dry_run(ann, json.dumps(config), task="hellaswag.299").json()["jobs"]
    assert len(last) == 1 and last[0]["files"]


def test_scripts_of_all_jobs_have_a_limit(ann):
    servers = {f"s{i}": {"type": "vllm", "image": "i", "command": "c", "port": 8000 + i, "served_model_name": "m",
                         "endpoints": {"chat": "/c", "health": "/h"}} for i in range(30)}
    config = yaml.safe_load(GPU_CONFIG)
    config["env_vars"] = {f"V{i}": "lit:" + "x" * 4000 for i in range(150)}
    config["auxiliary_deployments"] = servers
    error = dry_run(ann, json.dumps(config), 422).json()["errors"][0]
    assert error["pointer"] == "/evaluation/tasks" and "run.sub" in error["message"]


@pytest.mark.parametrize("check", [{}, {"check": "cluster"}], ids=["plain", "check"])
def test_dry_run_secret_is_redacted_whole(ann, daemon, check):
    envelope = json.dumps({"config": GPU_CONFIG, "env": {"HF_TOKEN": SECRET}})
    reply = ann.submit(envelope, 200, "application/json", params={"dry_run": "true", **check})
    assert "HF_TOKEN='<redacted>'" in reply.json()["jobs"][0]["secrets"]
    for size in (len(SECRET), 8, 4):
        for part in (SECRET[:size], SECRET[-size:]):
            assert part not in reply.text
    assert SECRET not in daemon.log()


def test_dry_run_warnings_that_save_gpu_hours(ann):
    envelope = json.dumps({"config": GPU_CONFIG, "env": {"HF_TOKEN": SECRET}})
    body = ann.submit(envelope, 200, "application/json", params={"dry_run": "true"}).json()
    warned = {warning["pointer"]: warning for warning in body["warnings"]}
    assert set(warned) == {"/execution/walltime", "/execution/mounts/mount_home", "/execution/evaluation_gpu_visible",
                           "/deployment/tensor_parallel_size",
                           "/deployment/image"}
    assert "above max_walltime" in warned["/execution/walltime"]["message"]
    assert "holds 8" in warned["/deployment/tensor_parallel_size"]["message"]
    assert "latest" in warned["/deployment/image"]["message"]
    none = {warning["pointer"]: warning["message"] for warning in dry_run(ann).json()["warnings"]}
    assert "holds GPUs" in none["/execution/gres"]


@pytest.mark.parametrize("override, pointer", [
    ("deployment.checkpoint_path=models/m", "/deployment/checkpoint_path"),
    ("++evaluation.tasks.0.dataset_dir=data", "/evaluation/tasks/0/dataset_dir"),
    ("execution.output_dir=out", "/execution/output_dir"),
])
def test_dry_run_relative_path_is_an_error(ann, override, pointer):
    envelope = json.dumps({"config": GPU_CONFIG, "env": {"HF_TOKEN": SECRET}, "overrides": [override]})
    errors = ann.submit(envelope, 422, "application/json", params={"dry_run": "true"}).json()["errors"]
    assert [(e["pointer"], "absolute" in e["message"]) for e in errors] == [(pointer, True)]


def test_dry_run_of_a_shared_deployment_shows_the_one_script_and_each_jobs_files(ann):
    envelope = {"config": GPU_CONFIG + "    - name: gsm8k\n", "env": {"HF_TOKEN": SECRET},
                "overrides": ["++execution.share_deployment=true"]}
    plan = ann.submit(json.dumps(envelope), 200, "application/json", params={"dry_run": "true"}).json()
    first, second = plan["jobs"]
    assert first["script"] == second["script"] and "readonly NEL_AT_ONCE=1\n" in first["script"]
    folders = [{file["path"].split("/")[0] for file in job["files"]} for job in plan["jobs"]]
    assert folders[1].isdisjoint(folders[0]) and "shared.1" in folders[0] and len(folders[1]) == 1


@pytest.mark.parametrize(("config", "overrides", "pointer", "words"), [
    (CONFIG, [], "/deployment", "behind a URL"),
    (GPU_CONFIG, ["deployment.checkpoint_path=null", "deployment.hf_model_handle=a/b"], "/deployment/checkpoint_path", "no checkpoint_path"),
    (GPU_CONFIG, ["++execution.share_deployment=true", "evaluation.tasks=[{name: hellaswag}, {name: lm-evaluation-harness.ifeval}]"],
     "/execution/share_deployment", "all together or not at all"),
], ids=["URL", "handle", "shared"])
def test_dry_run_with_reuse_warns_of_what_cannot_be(ann, config, overrides, pointer, words):
    document = ann.submit(json.dumps({"config": config, "overrides": overrides, "env": {"HF_TOKEN": "x"}}), 200, "application/json",
                          params={"dry_run": "true", "reuse": "true"}).json()
    (warning,) = [w for w in document["warnings"] if "reused" in w["message"]]
    assert warning["pointer"] == pointer and words in warning["message"]
    assert [job["reuse_candidate"] for job in document["jobs"]] == [None] * len(document["jobs"])
    assert "reuse_candidate" not in dry_run(ann).json()["jobs"][0]


def test_dry_run_strict_unknown_key_is_an_error(ann):
    config = CONFIG.replace("  account: acct", "  account: acct\n  wall_time: '1'")
    assert dry_run(ann, config).json()["warnings"][0]["pointer"] == "/execution/wall_time"
    error = dry_run(ann, config, 422, strict="true").json()["errors"][0]
    assert (error["pointer"], error["line"], error["column"]) == ("/execution/wall_time", 8, 3)
    assert "walltime" in error["message"]


# ---- tasks ----

@pytest.mark.parametrize("name, words", [
    ("mmlu", ["lm-evaluation-harness.mmlu", "simple_evals.mmlu"]),  # of two harnesses
    ("gpqa_diamond", ["simple_evals.gpqa_diamond", "codec.gpqa_diamond"]),
    ("hellaswga", ["did you mean 'hellaswag'"]),
    ("HellaSwag", ["did you mean 'hellaswag'"]),
    ("mmmlu", ["did you mean one of", "lm-evaluation-harness.mmlu", "simple_evals.mmlu"]),
    ("simple_eval.mmlu_pro", ["simple_evals.mmlu_pro"]),
    ("lm-eval-harness.helaswag", ["did you mean 'lm-evaluation-harness.hellaswag'"]),
    ("nothing_like_it_at_all", ["nothing_like_it_at_all", "needs a container", "GET /v1/tasks"]),
])
def test_task_that_is_not_clear_is_an_error_with_choices(ann, name, words):
    config = CONFIG.replace("lm-evaluation-harness.ifeval", name)
    errors = dry_run(ann, config, 422).json()["errors"]
    line = config[:config.index(f"name: {name}")].count("\n") + 1
    assert [(e["pointer"], e["line"]) for e in errors] == [("/evaluation/tasks/0/name", line)]
    for word in words:
        assert word in errors[0]["message"]


def test_task_misspelt_behind_its_harness_is_warned_of(ann):
    warnings = dry_run(ann, CONFIG.replace("simple_evals.mmlu_pro", "simple_evals.mmlu_prro")).json()["warnings"]
    message = next(w["message"] for w in warnings if w["pointer"] == "/evaluation/tasks/1/name")
    assert "did you mean 'simple_evals.mmlu_pro'" in message


def test_tasks_search_finds_what_the_choices_name(ann):
    items = ann.get("/v1/tasks?search=mmlu&limit=500").json()["items"]
    assert {("lm-evaluation-harness", "mmlu"), ("simple_evals", "mmlu")} <= {(i["harness"], i["task"]) for i in items}
    only = ann.get("/v1/tasks?search=mmlu&harness=simple_evals&limit=500").json()["items"]
    assert {i["harness"] for i in only} == {"simple_evals"} and len(only) < len(items)
    assert ann.get("/v1/tasks?search=nothing_like_it_at_all").json()["items"] == []


# ---- check=cluster ----

@pytest.mark.parametrize("params, word", [
    ({"check": "cluster"}, "dry_run"),
    ({"dry_run": "false", "check": "cluster"}, "dry_run"),
    ({"dry_run": "true", "check": "slurm"}, "cluster"),
    ({"dry_run": "true", "check": ""}, "cluster"),
])
def test_check_wrongly_asked_for_refused(ann, params, word):
    assert word in ann.submit(status=400, params=params).json()["detail"]


def test_check_of_a_wrong_config_is_its_errors(ann):
    dry_run(ann, CONFIG.replace("acct", "'a b\\n'"), 422, check="cluster")


def test_check_unreachable_cluster_is_a_login_that_fails(ann):
    reply = dry_run(ann, check="cluster")
    (login,) = checks_of(reply)
    assert login["name"] == "login" and login["ok"] is False
    assert "refused" in login["message"] or "connect" in login["message"]
    assert reply.json()["cluster_check"]["start_estimate"] is None
    assert reply.json()["jobs"] and reply.json()["cluster"] == "alpha"


SLURM = {
    "scontrol": "echo 'PartitionName=batch AllowAccounts=ALL State=UP'",
    "sbatch": "cat >/dev/null; echo 'sbatch: Job 7 to start at 1769860800 using 1 processors on nodes a1' >&2",
    "squeue": "exit 1",
}


@pytest.fixture
def with_slurm(fresh, sshd, tmp_path):
    """A daemon whose cluster beta is this machine, with stand-ins for Slurm's commands."""
    (tmp_path / "bin").mkdir()
    for name, text in SLURM.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    for name in ("key", "key.pub", "known_hosts"):
        shutil.copy(sshd.folder / name, tmp_path / name)
    daemon = fresh(beta_port=sshd.port)
    settings = daemon.settings.read_text()
    daemon.settings.write_text(settings.replace(
        "    accounting: none", f"    accounting: none\n    environment: {{PATH: '{tmp_path}/bin:/usr/bin:/bin'}}"))
    daemon.start()
    return daemon.client("ann")


def test_check_looks_at_paths_and_leaves_nothing(with_slurm, tmp_path):
    site = tmp_path / "site"
    (site / "data").mkdir(parents=True)
    config = yaml.safe_load(CONFIG)
    config["execution"].update(hostname="beta.example", output_dir=str(site / "out/deep"))
    config["evaluation"]["tasks"][0]["dataset_dir"] = str(site / "data")
    config["evaluation"]["tasks"][1]["dataset_dir"] = str(site / "gone;touch'pwned")
    reply = dry_run(with_slurm, yaml.safe_dump(config), check="cluster")
    assert [c["name"] for c in checks_of(reply)] == ["login", "account", "partition", "output_dir", "path", "path",
                                                     "sbatch", "sbatch"]
    assert [c["ok"] for c in checks_of(reply)] == [True, None, True, True, True, False, True, True]
    _, account, _, output, there, gone, *scripts = [c["message"] for c in checks_of(reply)]
    assert "not checked" in account  # the settings say: accounting none
    assert output.startswith(f"{site}/out/deep: ") and output.endswith(str(site))
    assert there.startswith(f"{site}/data (of lm-evaluation-harness.ifeval): ")
    assert gone.startswith(f"{site}/gone;touch'pwned (of simple_evals.mmlu_pro): ")
    assert scripts[1] == "simple_evals.mmlu_pro.1: would start at 2026-01-31T12:00:00Z using 1 processors on nodes a1"
    assert reply.json()["cluster_check"]["start_estimate"] == "2026-01-31T12:00:00Z"
    assert sorted(site.rglob("*")) == [site / "data"]


def test_check_hanging_cluster_blocks_nobody_and_ends_with_the_daemon(fresh):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        daemon = fresh(beta_port=silent.getsockname()[1])
        key = (daemon.folder / "key.pub").read_text().split()
        (daemon.folder / "known_hosts").write_text(f"[127.0.0.1]:{silent.getsockname()[1]} {key[0]} {key[1]}\n")
        daemon.start()
        config = CONFIG.replace("alpha.example", "beta.example")
        with ThreadPoolExecutor(20) as pool:
            waiting = [pool.submit(dry_run, daemon.client("ann"), config, check="cluster") for _ in range(20)]
            time.sleep(1)
            assert not any(future.done() for future in waiting)
            for _ in range(5):
                daemon.client("ann").get("/v1/evaluations")
            dry_run(daemon.client("ann"), config)
            assert not any(future.done() for future in waiting)  # so nobody waited for them
            assert daemon.stop() < STOP_TIMEOUT_S
            for future in waiting:
                assert future.exception() is not None or checks_of(future.result())[0]["ok"] is False


def test_check_viewer_refused(eve):
    eve.submit(status=403, params={"dry_run": "true", "check": "cluster"})


# ---- nel-slurmd render ----

def render(tmp_path, text, *words, name="c.yaml", **options):
    (tmp_path / name).write_text(text)
    return subprocess.run([BINARY, "render", name, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          **options)


def test_render_without_settings_prints_the_document(tmp_path):
    done = render(tmp_path, GPU_CONFIG, "execution.partition=long")
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert body["cluster"] is None and body["config"]["execution"]["partition"] == "long"
    assert "#SBATCH --partition=long\n" in body["jobs"][0]["script"]
    lines = done.stderr.splitlines()
    assert len(lines) == 5 and all(line.startswith("c.yaml:") and ": warning: /" in line for line in lines)


def test_render_needs_no_hostname(tmp_path):
    assert render(tmp_path, GPU_CONFIG.replace("  hostname: alpha.example\n", "")).returncode == 0


def test_render_from_standard_input(tmp_path):
    done = subprocess.run([BINARY, "render", "-"], input="a: [\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("<stdin>:2:1: ")


def test_render_wrong_config_names_every_mistake_with_its_place(tmp_path):
    text = GPU_CONFIG.replace("account: acct", "acount: acct").replace("/models/m", "m").replace("hellaswag", "mmlu")
    done = render(tmp_path, text)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    places = [line.split(": ", 2)[:2] for line in lines if "warning:" not in line]
    assert ["c.yaml:12:3", "/deployment/checkpoint_path"] in places
    assert ["c.yaml:19:7", "/evaluation/tasks/0/name"] in places
    assert any("Missing mandatory value: execution.account" in line for line in lines)
    assert any(line.startswith("c.yaml:7:3: warning: /execution/acount: ") for line in lines)  # why it is missing


def test_render_strict_unknown_key_is_an_error(tmp_path):
    text = GPU_CONFIG.replace("  account: acct", "  account: acct\n  wall_time: '1'")
    assert render(tmp_path, text).returncode == 0
    done = render(tmp_path, text, "--strict")
    assert done.returncode == 1
    assert "c.yaml:8:3: /execution/wall_time: " in done.stderr


@pytest.mark.parametrize("words, status, said", [
    (["render"], 2, "wanted: render CONFIG"),
    (["render", "nowhere.yaml"], 1, "cannot read nowhere.yaml: No such file"),
    (["render", "c.yaml", "--config", "nowhere.yaml"], 1, "nowhere.yaml"),
    (["render", "c.yaml", "--env", "NOT_SET_HERE"], 2, "--env"),
    (["render", "c.yaml", "--nonsense"], 2, "--help"),
    (["render", "c.yaml", "--output", "c.yaml"], 1, "c.yaml"),
    (["render", "c.yaml", "--output", "no/such/parent"], 1, "no/such/parent"),
    (["rendr", "c.yaml"], 2, "did you mean render?"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_render_used_wrongly_says_how(tmp_path, words, status, said):
    (tmp_path / "c.yaml").write_text(GPU_CONFIG)
    done = subprocess.run([BINARY, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr


def modes_below(folder):
    return {str(path.relative_to(folder)): oct(path.stat().st_mode & 0o7777) for path in folder.rglob("*")}


def test_render_output_has_modes_of_the_cluster_and_secrets(tmp_path):
    secret = "it's $(a) `secret`\nof two lines"
    (tmp_path / "out/hellaswag.0").mkdir(parents=True)
    (tmp_path / "out/hellaswag.0/.secrets.env").touch(0o644)
    done = render(tmp_path, GPU_CONFIG, "--output", "out", "--env", "HF_TOKEN",
                  env={**os.environ, "HF_TOKEN": secret})
    assert done.returncode == 0 and done.stdout == ""
    assert "secret" not in done.stderr
    job = tmp_path / "out/hellaswag.0"
    assert modes_below(job) == {"run.sub": "0o700", "config_ef.yaml": "0o600", ".secrets.env": "0o600",
                                "logs": "0o700", "artifacts": "0o700"}
    assert f"readonly NEL_JOB_DIR='{job}'\n" in (job / "run.sub").read_text()
    read = subprocess.run(["bash", "-c", '. ./.secrets.env deployment; printf %s "$HF_TOKEN"'], cwd=job,
                          capture_output=True, text=True, timeout=60)
    assert read.stdout == secret
    subprocess.run(["bash", "-n", job / "run.sub"], check=True, timeout=60)


def test_render_output_without_a_secret_warns(tmp_path):
    done = render(tmp_path, GPU_CONFIG, "--output", "out")
    assert done.returncode == 0
    assert "nel-slurmd: warning: the secret HF_TOKEN is not given" in done.stderr
    assert "HF_TOKEN='<redacted>'" in (tmp_path / "out/hellaswag.0/.secrets.env").read_text()


def test_render_with_settings_holds_to_them(fresh, tmp_path):
    daemon = fresh()
    done = render(tmp_path, GPU_CONFIG, "--config", str(daemon.settings))
    assert done.returncode == 0 and json.loads(done.stdout)["cluster"] == "alpha"
    text = daemon.settings.read_text().replace("    accounting: none", "    accounting: none\n    output_roots: [/data]")
    daemon.settings.write_text(text)
    done = render(tmp_path, GPU_CONFIG.replace("alpha.example", "beta.example"), "--config", str(daemon.settings))
    assert done.returncode == 1
    assert "c.yaml:8:3: /execution/output_dir: " in done.stderr and "/data" in done.stderr


# ---- ports that the config sets on nodes that others may share ----

SHARED = ["execution.sbatch_extra_flags.exclusive=false"]


@pytest.mark.parametrize("overrides, pointers", [
    ([], []),
    (SHARED, []),
    ([*SHARED, "deployment.port=8000"], ["/deployment/port"]),
    (["deployment.port=8000"], []),
    ([*SHARED, "deployment=vllm_ray"], []),
    ([*SHARED, "deployment=vllm_ray", "deployment.ray_ports.gcs=6379"], ["/deployment/ray_ports/gcs"]),
    ([*SHARED, "deployment=vllm_ray", "deployment.command='ray start --port ${deployment.port}'"], ["/deployment"]),
    (["deployment=vllm_ray", "deployment.command='ray start --port ${deployment.port}'"], []),
])
def test_fixed_ports_on_nodes_that_others_may_share_are_warned_of(admin, overrides, pointers):
    body = {"config": GPU_CONFIG, "overrides": overrides, "env": {"HF_TOKEN": SECRET}}
    reply = admin.post("/v1/evaluations?dry_run=true", 200, json=body)
    warnings = [item for item in reply.json()["warnings"] if "may share the nodes" in item["message"]]
    assert [item["pointer"] for item in warnings] == pointers
