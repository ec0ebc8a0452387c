"""What run.sub does: what it starts, where, with which variables and files, and what of a container it does not trust."""

import os
import re

import pytest

from run_sub import EVALUATION_SECRET, environment_file, has_secret, maker

make = pytest.fixture(maker)


def test_run_of_a_hosted_endpoint_starts_the_evaluation_only(make):
    run = make("none")
    assert run.run() == 0, run.log
    steps = run.steps()
    assert list(steps) == ["evaluation"]
    options, env, command = steps["evaluation"]
    assert options == [
        "--container-env=API_KEY,HF_HOME,NODE_NAME,NVIDIA_VISIBLE_DEVICES",
        "--overlap",
        "--job-name=evaluation",
        f"--output={run.job_dir}/logs/client-%A.log",
        "--open-mode=append",
        "--mpi=pmix",
        "--nodelist=n1",
        "--nodes=1",
        "--ntasks=1",
        "--container-image=nvcr.io#nvidia/eval-factory/simple-evals:25.11",
        f"--container-mounts={run.artifacts}:/results,/data/mmlu:/datasets",
    ]
    assert command[:2] == ["bash", "-c"]
    assert env["API_KEY"] == EVALUATION_SECRET
    assert env["HF_HOME"] == "/cache/hf"
    assert env["NODE_NAME"] == "n1"
    assert env["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert not [n for n in env if n.startswith("NEL_") or n == "MASTER_IP"]
    assert run.calls("curl") == []
    assert (run.stand / "evaluator-argv").read_text() == "run_eval --run_config /results/config_ef.yaml\n"
    assert not (run.job_dir / "evil").exists()
    assert "s3cret" not in run.log


def test_run_of_a_deployment_succeeds_in_order_with_secrets_where_they_belong(make):
    run = make("vllm")
    assert run.run() == 0, run.log
    steps = run.steps()
    assert list(steps) == ["server-0", "evaluation"]
    options, env, command = steps["server-0"]
    assert options == [
        "--container-env=ALL_NODE_IPS,HF_HOME,HF_TOKEN,MASTER_IP",
        "--overlap",
        "--job-name=server-0",
        f"--output={run.job_dir}/logs/server-0-%A-%t.log",
        "--open-mode=append",
        "--mpi=pmix",
        "--nodelist=n1",
        "--nodes=1",
        "--kill-on-bad-exit=1",
        "--ntasks=1",
        "--container-image=vllm/vllm-openai:latest",
        f"--container-mounts={run.artifacts}:/results,/models/llama:/checkpoint:ro,/scratch/cache:/cache",
    ]
    # The name of n1 leads to its loopback address, so Slurm's address of it is taken.
    assert env["MASTER_IP"] == env["ALL_NODE_IPS"] == "10.0.0.1"
    assert env["HF_TOKEN"] == "s3cret-model"
    assert env["HF_HOME"] == "/root/.cache"
    assert has_secret(env, {"HF_TOKEN"}) == []
    assert steps["evaluation"][1]["HF_HOME"] == "/cache/hf"
    assert has_secret(steps["evaluation"][1], {"API_KEY"}) == []
    for _, _, command in steps.values():
        assert not [word for word in command if "s3cret" in word]
    server = environment_file(run.stand / "server-env-10.0.0.1")
    assert server["PROC_ID"] == "0" and server["NODES_PER_INSTANCE"] == "1"
    assert (run.stand / "server-argv").read_text() == "serve /checkpoint --port 8000 --served-model-name llama\n"
    asked = [call["argv"][-1] for call in run.calls("curl")]
    assert asked[:2] == ["http://10.0.0.1:8000/", "http://127.0.0.1:8000/"]  # nobody must be there yet
    assert "http://127.0.0.1:8000/health" in asked and "http://127.0.0.1:8000/v1/models" in asked
    assert "--max-time" in run.calls("curl")[0]["argv"]
    # The servers are stopped.
    with pytest.raises(ProcessLookupError):
        os.kill(run.calls("srun")[0]["pid"], 0)


def test_run_with_a_port_that_answers_already_starts_no_server(make):
    run = make("vllm")
    run.edit("#!/bin/bash\n", '#!/bin/bash\ntouch "$STAND/healthy"\n')
    assert run.run() == 1
    assert "gave up: port 8000 of 10.0.0.1 answers although deployment was not started yet" in run.log
    assert run.steps() == {}


def test_run_with_commands_gives_each_its_place_and_sends_the_export(make):
    run = make("commands")
    run.edit('echo "post $FROM_PRE_CMD"', 'echo "post $FROM_PRE_CMD" >"$STAND/post"; false')
    assert run.run() == 0, run.log
    steps = run.steps()
    assert "--no-container-mount-home" in steps["server-0"][0]
    assert "--no-container-mount-home" in steps["evaluation"][0]
    assert not [o for o in steps["evaluation"][0] if o.startswith("--mpi")]
    assert steps["evaluation"][1]["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert environment_file(run.stand / "evaluator-env")["FROM_PRE_CMD"] == "it's set"
    assert environment_file(run.stand / "server-env-10.0.0.1")["FROM_SERVER_PRE_CMD"] == "1"
    assert (run.stand / "post").read_text() == "post it's set\n"
    (sbatch,) = run.calls("sbatch")
    assert [a for a in sbatch["argv"] if a.startswith("--partition")] == ["--partition=cpu"]
    assert not [n for n in sbatch["env"] if n.startswith("SLURM_") and n != "SLURM_CONF"]
    assert has_secret(sbatch["env"]) == [] and "s3cret" not in " ".join(sbatch["argv"])
    secrets = run.job_dir / ".export.env"
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert secrets.read_text() == "export WANDB_API_KEY=s3cret-wandb\n"
    assert (run.job_dir / ".export/job").read_text() == "77\n"


def test_run_of_a_failing_pre_cmd_skips_the_evaluator_but_not_post_cmd(make):
    run = make("commands")
    run.edit("# Comes first.", "exit 5")
    run.edit('echo "post $FROM_PRE_CMD"', 'touch "$STAND/post"')
    assert run.run() == 5, run.log
    assert (run.stand / "post").exists()
    assert not (run.stand / "evaluator-argv").exists()


@pytest.mark.parametrize("setting", ["set -e", "trap : EXIT"])
def test_run_of_a_pre_cmd_that_changes_the_shell_keeps_post_cmd_and_the_exit_code(make, setting):
    run = make("commands")
    run.edit("# Comes first.", setting)
    run.edit('echo "post $FROM_PRE_CMD"', 'echo once >>"$STAND/post"')
    run.set("evaluator-exit", "9")
    assert run.run() == 9, run.log
    assert (run.stand / "post").read_text() == "once\n"


def test_run_without_nemo_evaluator_uses_eval_factory(make):
    run = make("none")
    container = run.stand / "container"
    (container / "nemo-evaluator").rename(container / "eval-factory")
    assert run.run() == 0, run.log
    assert (run.stand / "evaluator-argv").read_text() == "run_eval --run_config /results/config_ef.yaml\n"


def test_run_of_instances_and_a_judge_puts_each_on_its_nodes(make):
    run = make("instances", nodes=6)
    assert run.run() == 0, run.log
    steps = run.steps()
    places = {}
    for name, (options, _, _) in steps.items():
        places[name] = [o for o in options if re.match("--(nodelist|nodes|ntasks)=", o)]
    assert places == {
        "server-0": ["--nodelist=n1,n2", "--nodes=2", "--ntasks=2"],
        "server-1": ["--nodelist=n3,n4", "--nodes=2", "--ntasks=2"],
        "proxy": ["--nodelist=n1", "--nodes=1", "--ntasks=1"],
        "judge-server-0": ["--nodelist=n5,n6", "--nodes=2", "--ntasks=2"],
        "evaluation": ["--nodelist=n1", "--nodes=1", "--ntasks=1"],
    }
    model = "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4"
    for name, master, everyone in (
        ("server-0", "10.0.0.1", model),
        ("server-1", "10.0.0.3", model),
        ("judge-server-0", "10.0.0.5", "10.0.0.5,10.0.0.6"),
    ):
        assert steps[name][1]["MASTER_IP"] == master
        assert steps[name][1]["ALL_NODE_IPS"] == everyone
    some_server = next(run.stand.glob("server-env-*"))
    assert environment_file(some_server)["NODES_PER_INSTANCE"] == "2"
    options, env, _ = steps["judge-server-0"]
    assert env["JUDGE_MASTER_IP"] == "10.0.0.5" and env["HF_TOKEN"] == "s3cret-judge"
    assert options[0] == "--container-env=ALL_NODE_IPS,HF_TOKEN,JUDGE_ALL_NODE_IPS,JUDGE_MASTER_IP,MASTER_IP"
    assert "--no-container-mount-home" in options
    assert not [o for o in options if o.startswith("--container-mounts")]
    options, env, command = steps["proxy"]
    assert has_secret(env) == []
    assert not [o for o in options if o.startswith("--container-env")]
    assert f"--container-mounts={run.job_dir}/proxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro" in options
    assert command == ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
    proxy = (run.job_dir / "proxy.cfg").read_text()
    assert "balance leastconn" in proxy and "bind *:5009" in proxy and "option httpchk GET /health" in proxy
    assert re.findall(r"server \S+ (\S+) check", proxy) == ["10.0.0.1:8000", "10.0.0.3:8000"]
    evaluation = steps["evaluation"][1]
    assert evaluation["JUDGE_CHAT_URL"] == "http://10.0.0.5:8001/v1/chat/completions"
    assert evaluation["JUDGE_MODEL_ID"] == "judge-model"
    assert "JUDGE_HEALTH_URL" not in evaluation
    assert steps["evaluation"][0][0] == (
        "--container-env=API_KEY,HF_HOME,JUDGE_CHAT_URL,JUDGE_MODEL_ID,NODE_NAME,NVIDIA_VISIBLE_DEVICES"
    )
    assert (run.artifacts / "config_ef.yaml").read_text() == (
        "config:\n  type: mmlu\n  judge: http://10.0.0.5:8001/v1/chat/completions\n  x: ${OTHER}\n"
    )


def test_run_does_not_write_through_what_a_container_has_planted(make):
    run = make("none")
    mine = run.stand / "mine"
    mine.write_text("mine")
    attempt = run.job_dir / ".attempts/1"
    attempt.mkdir(parents=True)
    for path in (run.artifacts / "config_ef.yaml", attempt / "alive", attempt / "fate"):
        path.symlink_to(mine)
    assert run.run() == 0, run.log
    assert mine.read_text() == "mine"
    config = run.artifacts / "config_ef.yaml"
    assert not config.is_symlink() and "type: mmlu" in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in run.artifacts.iterdir()) == ["config_ef.yaml"]


@pytest.mark.parametrize("name", ["started", "ended"])
def test_run_appends_no_stamp_through_a_link(make, name):
    run = make("none")
    mine = run.stand / "mine"
    mine.write_text("mine")
    attempt = run.job_dir / ".attempts/1"
    attempt.mkdir(parents=True)
    (attempt / name).symlink_to(mine)
    run.run()
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("plant", [lambda path: os.mkfifo(path), lambda path: path.mkdir()])
def test_run_is_not_held_by_what_has_the_name_of_its_config(make, plant):
    run = make("none")
    plant(run.artifacts / "config_ef.yaml")
    status = run.run()
    assert status == 0 or "cannot write to" in run.log, run.log


@pytest.mark.parametrize("name", ["artifacts", "logs", ".attempts"])
def test_run_in_a_directory_that_is_a_link_gives_up(make, name):
    run = make("none")
    elsewhere = run.stand / "elsewhere"
    elsewhere.mkdir()
    if (run.job_dir / name).exists():
        (run.job_dir / name).rmdir()
    (run.job_dir / name).symlink_to(elsewhere)
    assert run.run() == 1
    assert "reached by a symbolic link" in run.log
    assert not [path for path in elsewhere.rglob("*") if path.is_file() and path.name == "config_ef.yaml"]
    assert not run.steps()


def test_run_on_too_few_nodes_says_so(make):
    run = make("instances", nodes=5)
    assert run.run() == 1
    assert "needs 6 nodes, but the allocation has 5" in run.log


def test_run_without_a_runtime_variable_fails_before_anything_starts(make):
    run = make("vllm")
    run.edit("'SLURMD_NODENAME'", "'NOT_THERE'")
    assert run.run() == 1
    assert "evaluation: NODE_NAME wants NOT_THERE, which is not set" in run.log
    assert run.calls("srun") == []
    # The heartbeat, ended before it had begun, does not think itself the script.
    assert len(run.stamps()["ended"]) == 1
    assert run.log.count("ended with exit code") == 1


def test_run_with_variables_named_like_its_own_passes_them_on(make):
    run = make("none")
    names = ["nodes", "step", "rows", "names", "options", "IFS", "i", "consumer", "NEL_JOB_DIR", "PATH_LIKE", "srun"]
    rows = "".join(f"    evaluation {name} literal 'value of {name}'\n" for name in names)
    run.edit("    evaluation HF_HOME literal '/cache/hf'\n", rows)
    assert run.run() == 0, run.log
    env = run.steps()["evaluation"][1]
    assert {name: env.get(name) for name in names} == {name: f"value of {name}" for name in names}
