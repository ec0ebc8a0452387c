"""run.sub of a cluster with containers: apptainer, run as in run_sub.py. The stand-in for Apptainer takes the options and
variables as the one of the test clusters does (tests/cluster/apptainer), and runs the command on this machine; what is in a
container is shown by tests/e2e/test_apptainer.py."""

import json
import os
import subprocess

import pytest
from run_sub import EVALUATION_SECRET, RECORD, ROOT, Run, environment_file

STAND_IN = ROOT / "tests/cluster/apptainer"
BODY = ROOT / "daemon/slurm/script/run_body/09_apptainer.sh"
APPTAINER = RECORD + f"""
import importlib.machinery, importlib.util, subprocess
loader = importlib.machinery.SourceFileLoader("apptainer", {str(STAND_IN)!r})
apptainer = importlib.util.module_from_spec(importlib.util.spec_from_loader("apptainer", loader))
sys.dont_write_bytecode = True
loader.exec_module(apptainer)
name = os.path.basename(sys.argv[0])
if sys.argv[1:] == ["--version"]:
    sys.exit(print("apptainer version 1.3.6" if name == "apptainer" else "singularity version 3.8.7"))
assert sys.argv[1] == "exec"
options, image, command = apptainer.parse(sys.argv[2:])
env = apptainer.container_env(options, os.environ, {{"IMAGE_HAS": "image", "LANG": "C.UTF-8"}}, "/root", name.upper() + "ENV_")
entry = {{"name": "container", "options": options, "image": image, "command": command, "host": dict(os.environ), "cwd": os.getcwd(),
         "tmp": sorted(os.listdir(next(b for b in options["--bind"] if b.endswith(":/tmp")).split(":")[0]))}}
fd = os.open(os.environ["STAND"] + "/calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(fd, (json.dumps(entry) + "\\n").encode())
if has("fails"):
    sys.exit("FATAL:   " + open(os.environ["STAND"] + "/fails").read())
env["PATH"] = os.environ["STAND"] + "/container:" + env["PATH"]
os.execvpe(command[0], command, {{**env, "STAND": os.environ["STAND"], "ARTIFACTS": os.environ["ARTIFACTS"]}})
"""
SRUN = """#!/bin/bash
options=()
name=
for word in "$@"; do
    [[ $word == --* ]] || break
    [[ $word != --job-name=* ]] || name=${word#*=}
    [[ $word != --container* && $word != --no-container* ]] || { echo "srun: unrecognized option '$word'"; exit 1; }
    options+=("$word")
done
shift ${#options[@]}
export SLURM_PROCID=0 SLURM_STEP_ID=$name
set -m # all processes of a step are signalled
"$@" &
trap 'kill -TERM -- -$!' TERM
wait $!
status=$?
wait $! && exit 0
exit "$status"
"""


@pytest.fixture
def make(tmp_path):
    def make(runtime="apptainer"):
        run = Run(tmp_path, "apptainer", 6)
        for name, text in ((runtime, APPTAINER), ("srun", SRUN)):
            if name:
                (run.stand / "bin" / name).write_text(text)
                (run.stand / "bin" / name).chmod(0o755)
        (run.stand / "tmp").mkdir(exist_ok=True)
        return run
    return make


def containers(run):
    """The containers by a word of what they run."""
    words = {"serve": "server", "evaluate": "evaluation", "haproxy": "proxy", "run_exporters": "export"}
    found = {}
    for call in run.calls("container"):
        kind = call["command"][3] if call["command"][0] == "bash" else call["command"][0]
        found.setdefault(words[kind], []).append(call)
    return found


@pytest.mark.parametrize("runtime", ["apptainer", "singularity"])
def test_every_step_is_a_container_of_the_runtime_that_the_node_has(make, runtime):
    run = make(runtime)
    assert run.run(TMPDIR=str(run.stand / "tmp"), HOST_HAS="job", LANG="de_DE.UTF-8") == 0, run.log
    found = containers(run)
    assert sorted(call["image"] for call in found["server"]) == ["docker://vllm/vllm-openai:latest"] * 3
    assert [call["image"] for call in found["proxy"]] == ["docker://haproxy:latest"]
    (evaluation,) = found["evaluation"]
    assert evaluation["image"] == "docker://nvcr.io/nvidia/eval-factory/simple-evals:25.11"
    for kind, calls in found.items():
        for call in calls:
            options = call["options"]
            assert options["--cleanenv"] and options["--no-home"] and options["--writable-tmpfs"] and options["--pwd"] == call["cwd"] == "/"
            assert call["tmp"] == [] and "s3cret" not in json.dumps([call["command"], options])
            home = [bind for bind in options["--bind"] if bind.endswith(":/nonexistent")]
            assert len(home) == 1 and home[0].startswith(f"{run.stand}/tmp/nel-slurmd-containers."), kind
    binds = evaluation["options"]["--bind"]
    assert binds[-2:] == [f"{run.artifacts}:/results", "/data/mmlu:/datasets"]
    # Two instances and a judge, which start beside each other.
    assert sum("/models/llama:/checkpoint:ro" in call["options"]["--bind"] for call in found["server"]) == 2
    env = environment_file(run.stand / "evaluator-env")
    assert env["API_KEY"] == EVALUATION_SECRET and env["HF_HOME"] == "/cache/hf"
    assert (env["HOST_HAS"], env["IMAGE_HAS"], env["LANG"], env["HOME"]) == ("job", "image", "C.UTF-8", "/nonexistent")
    assert env["JUDGE_CHAT_URL"].startswith("http://10.0.0.5:")
    assert not [name for name in env if name.startswith(("NEL_", "APPTAINER", "SINGULARITY", "PS1", "PROMPT"))]
    assert not (run.job_dir / "evil").exists() and "s3cret" not in run.log
    # The export's job is made of the same.
    sent = run.calls("sbatch")[-1]["argv"]
    assert "docker://python:3.12.7-slim" in sent and not [word for word in sent if word.startswith("--container")]
    # Nothing of an evaluation that has ended is left; the servers were killed.
    left = [room.name for base in (run.stand / "tmp").iterdir() for room in base.iterdir()]
    assert not [name for name in left if ".evaluation." in name]


def test_gpus_are_there_for_servers_and_void_for_the_evaluation(make):
    run = make()
    assert run.run(TMPDIR=str(run.stand / "tmp"), CUDA_VISIBLE_DEVICES="0,1") == 0, run.log
    found = containers(run)
    assert all(call["options"].get("--nv") for call in found["server"])
    assert "--nv" not in found["evaluation"][0]["options"]
    assert environment_file(run.stand / "evaluator-env")["NVIDIA_VISIBLE_DEVICES"] == "void"


def test_node_without_either_says_so_and_its_last_words_are_the_reason(make):
    run = make("")
    assert run.run(TMPDIR=str(run.stand / "tmp")) == 1
    assert "has no apptainer and no singularity on its PATH" in run.log


def test_words_of_apptainer_are_the_reason_of_a_server_that_did_not_start(make):
    run = make()
    run.set("fails", "Unable to handle docker://x uri: manifest unknown")
    for name in ("server-0", "server-1", "judge-server-0"):
        (run.job_dir / f"logs/{name}-42-0.log").write_text("INFO:    Starting build...\nFATAL:   Unable to handle docker://x uri: manifest unknown\n"
                                                            "srun: error: n1: task 0: Exited with exit code 255\n")
    assert run.run(TMPDIR=str(run.stand / "tmp")) == 1
    assert "ends with: INFO:    Starting build... | FATAL:   Unable to handle docker://x uri: manifest unknown" in run.log


# ---- the node's side by itself ----

def on_node(tmp_path, script, **env):
    done = subprocess.run(["bash", "-c", f"source {BODY}\n{script}"], capture_output=True, text=True, timeout=60, check=False, env={
        "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TMPDIR": str(tmp_path), "SLURM_JOB_ID": "7", **env})
    return done


def test_room_of_a_container_that_was_killed_goes_with_the_next_and_one_in_use_stays(tmp_path):
    base = tmp_path / f"nel-slurmd-containers.{os.getuid()}"
    with subprocess.Popen(["bash", "-c", f"source {BODY}\nmake_room; echo; exec sleep 60"], stdout=subprocess.PIPE, env={
            "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "SLURM_JOB_ID": "5"}) as live:
        live.stdout.readline()
        (base / "4.0.0.n1/home/.cache").mkdir(parents=True)
        done = on_node(tmp_path, "make_room; ls ${room%/*}", SLURM_STEP_ID="2")
        assert done.stdout.split() == ["5.0.0.node", "7.2.0.node"], done.stderr
        live.kill()
    assert on_node(tmp_path, "make_room; ls ${room%/*}", SLURM_STEP_ID="3").stdout.split() == ["7.3.0.node"]


def test_directory_that_is_somebody_elses_is_refused(tmp_path):
    (tmp_path / f"nel-slurmd-containers.{os.getuid()}").symlink_to("/")
    done = on_node(tmp_path, "make_room; echo went on")
    assert done.returncode == 1 and "is not a directory of this account's" in done.stderr and "went on" not in done.stdout


def test_variable_that_is_too_long_once_encoded_is_named(tmp_path):
    done = on_node(tmp_path, 'NEL_PASS=APPTAINERENV_; export LONG; printf -v LONG "%050000d" 0; LONG=${LONG//0/;}; encode_variables LONG')
    assert done.returncode == 1 and "the variable LONG is too long" in done.stderr
    assert on_node(tmp_path, "NEL_PASS=APPTAINERENV_; export LONG; printf -v LONG '%0120000d' 0; encode_variables LONG").returncode == 0


@pytest.mark.parametrize("sort", ["directory", "file"])
def test_mount_below_tmp_gets_its_place_in_the_containers_own(tmp_path, sort):
    source = tmp_path / "source"
    source.mkdir() if sort == "directory" else source.write_text("x")
    done = on_node(tmp_path, f"make_place {source} {tmp_path}/room/tmp/a/b; stat -c %F {tmp_path}/room/tmp/a/b")
    assert done.stdout.strip() == {"directory": "directory", "file": "regular empty file"}[sort]
