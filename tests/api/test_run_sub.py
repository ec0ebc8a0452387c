"""Runs run.sub (a golden header and the body) for real, under stand-ins for Slurm, curl and the evaluator that record
how they are called. The stand-in for srun runs the container's command on this machine."""

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
BODY = "\n".join(part.read_text() for part in sorted((ROOT / "daemon/slurm/script/run_body").glob("*.sh")))
GOLDEN_OUTPUT = "/shared/out"
JOB = "20260131_120000-0123456789abcdef/mmlu.0"
SECRETS = """case $1 in
deployment) export HF_TOKEN='s3cret-model' ;;
auxiliary.judge) export HF_TOKEN='s3cret-judge' ;;
evaluation) export API_KEY='s3cret-$(touch evil)"`
eval' ;;
export) export WANDB_API_KEY='s3cret-wandb' ;;
esac
"""
EVALUATION_SECRET = "s3cret-$(touch evil)\"`\neval"

RECORD = """#!/usr/bin/python3
import json, os, sys, time
def record(name):
    entry = {"name": name, "argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid()}
    line = json.dumps(entry) + "\\n"
    fd = os.open(os.environ["STAND"] + "/calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, line.encode())
def has(name):
    return os.path.exists(os.environ["STAND"] + "/" + name)
"""

STAND_INS = {
    "srun": RECORD
    + """
record("srun")
options = [a for a in sys.argv[1:]]
command = 0
while options[command].startswith("--"):
    command += 1
step = dict(a.partition("=")[::2] for a in options[:command])
if step["--job-name"] != "evaluation":
    if has("server-dies"):
        sys.exit(1)
    if has("server-leaves"):
        open(os.environ["STAND"] + "/healthy", "w").close()
        time.sleep(0.3)
        sys.exit(0)
    os.environ["SLURM_PROCID"] = "0"
os.environ["PATH"] = os.environ["STAND"] + "/container:" + os.environ["PATH"]
os.execvp(options[command], options[command:])
""",
    "scontrol": """#!/bin/bash
if [[ $2 == hostnames ]]; then printf '%s\\n' ${3//,/ }; else echo "   NodeAddr=10.0.0.${3#n} NodeHostName=$3"; fi
""",
    "getent": """#!/bin/bash
if [[ $2 == n1 ]]; then echo "127.0.1.1 STREAM n1"; else echo "10.0.0.${2#n} STREAM $2"; fi
""",
    "curl": RECORD + 'record("curl")\nprint("200" if has("healthy") else "000", end="")\n'
    + 'sys.exit(0 if has("healthy") else 7)\n',
    "sbatch": RECORD
    + """
record("sbatch")
if has("sbatch-refuses"):
    print("sbatch: error: invalid partition", file=sys.stderr)
    sys.exit(1)
if has("sbatch-hangs"):
    time.sleep(20)
print(open(os.environ["STAND"] + "/sbatch-says").read() if has("sbatch-says") else "77")
""",
    "squeue": RECORD
    + """
record("squeue")
if not any(a.startswith("--name=") for a in sys.argv):
    print("42.0 server-0", "42.1 evaluation", sep="\\n")
elif has("squeue-says"):
    print(open(os.environ["STAND"] + "/squeue-says").read())
""",
    "scancel": RECORD
    + """
record("scancel")
os.kill(int(open(os.environ["STAND"] + "/evaluator-pid").read()), 9 if "--signal=KILL" in sys.argv else 15)
""",
    "sacct": "#!/bin/bash\nexit 1\n",
    "sleep": "#!/bin/bash\nexec /bin/sleep 0.1\n",
}

CONTAINER = {
    "nemo-evaluator": """#!/bin/bash
printf '%s\\n' "$*" >"$STAND/evaluator-argv"
env -0 >"$STAND/evaluator-env"
echo $$ >"$STAND/evaluator-pid"
[[ ! -e $STAND/evaluator-stubborn ]] || { trap '' TERM; while :; do /bin/sleep 0.1; done; }
[[ ! -e $STAND/evaluator-waits ]] || { trap 'touch "$ARTIFACTS/.nemo_evaluator_interrupted"; exit 0' TERM
    touch "$STAND/evaluator-started"; while :; do /bin/sleep 0.1; done; }
[[ ! -e $STAND/evaluator-results ]] || cp -P "$STAND/evaluator-results" "$ARTIFACTS/results.yml"
[[ ! -e $STAND/evaluator-marks ]] || touch "$ARTIFACTS/.nemo_evaluator_interrupted"
exit "$(cat "$STAND/evaluator-exit" 2>/dev/null || echo 0)"
""",
    "haproxy": "#!/bin/bash\nwhile :; do /bin/sleep 0.1; done\n",
    "vllm": """#!/bin/bash
env -0 >"$STAND/server-env-$MASTER_IP"
printf '%s\\n' "$*" >"$STAND/server-argv"
touch "$STAND/healthy"
while :; do /bin/sleep 0.1; done
""",
}


class Run:
    """One run.sub in a directory of its own."""

    def __init__(self, tmp_path, golden, nodes):
        self.stand = tmp_path / "stand"
        self.output = tmp_path / "out dir"
        self.job_dir = self.output / JOB
        self.artifacts = self.job_dir / "artifacts"
        for directory in (self.stand / "bin", self.stand / "container", self.job_dir / "logs", self.artifacts):
            directory.mkdir(parents=True)
        for where, programs in (("bin", STAND_INS), ("container", CONTAINER)):
            for name, text in programs.items():
                path = self.stand / where / name
                path.write_text(text)
                path.chmod(0o755)
        (self.job_dir / ".secrets.env").write_text(SECRETS)
        (self.job_dir / "config_ef.yaml").write_text("config:\n  type: mmlu\n  judge: ${JUDGE_CHAT_URL}\n  x: ${OTHER}\n")
        header = (GOLDEN / f"run_sub_{golden}.txt").read_text().replace(GOLDEN_OUTPUT, str(self.output))
        self.script = self.job_dir / "run.sub"
        self.script.write_text(header + BODY)
        self.nodes = ",".join(f"n{i + 1}" for i in range(nodes))
        self.log = ""

    def set(self, name, text=""):
        (self.stand / name).write_text(text)

    def edit(self, old, new):
        text = self.script.read_text()
        assert old in text
        self.script.write_text(text.replace(old, new))

    def start(self, job_id="42", **env):
        (self.stand / "healthy").unlink(missing_ok=True)  # of an earlier run: nothing listens before its server starts
        environment = {
            "PATH": f"{self.stand}/bin:/usr/bin:/bin",
            "HOME": "/nonexistent",
            "STAND": str(self.stand),
            "ARTIFACTS": str(self.artifacts),
            "SLURM_JOB_ID": job_id,
            "SLURM_JOB_NODELIST": self.nodes,
            "SLURM_CONF": "/etc/slurm/slurm.conf",
            "SLURMD_NODENAME": "n1",
        }
        environment.update(env)
        return subprocess.Popen(
            ["bash", str(self.script)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.job_dir,
            start_new_session=True,
        )

    def finish(self, process):
        self.log, _ = process.communicate(timeout=60)
        return process.returncode

    def run(self, **kwargs):
        return self.finish(self.start(**kwargs))

    def calls(self, name):
        path = self.stand / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if call["name"] == name]

    def steps(self):
        """The sruns by step name: their options without the command, and their environment."""
        steps = {}
        for call in self.calls("srun"):
            options = [a for a in call["argv"][: call["argv"].index(next(x for x in call["argv"] if x[:2] != "--"))]]
            name = next(a for a in options if a.startswith("--job-name="))[len("--job-name=") :]
            steps[name] = (options, call["env"], call["argv"][len(options) :])
        return steps

    def stamps(self, attempt=1):
        directory = self.job_dir / f".attempts/{attempt}"
        return {
            name: (directory / name).read_text().split("\n")[:-1] if (directory / name).exists() else []
            for name in ("job", "started", "ended")
        }


@pytest.fixture
def make(tmp_path):
    return lambda golden="vllm", nodes=1: Run(tmp_path, golden, nodes)


def environment_file(path):
    entries = path.read_bytes().decode(errors="surrogateescape").split("\0")
    return dict(entry.partition("=")[::2] for entry in entries if entry)


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def has_secret(environment, but=()):
    return [n for n, v in environment.items() if "s3cret" in v and n not in but]


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


def test_run_writes_stamps_that_add_up_over_restarts(make):
    run = make("none")
    assert run.run() == 0
    stamps = run.stamps()
    assert stamps["job"] == ["42"]
    assert len(stamps["started"]) == 1 and len(stamps["ended"]) == 1
    begin, (end, code) = int(stamps["started"][0]), stamps["ended"][0].split()
    assert begin <= int(end) <= begin + 30 and code == "0"
    # The same job again: Slurm requeued it. The start in between was killed and ended with its last sign of life.
    attempt = run.job_dir / ".attempts/1"
    with (attempt / "started").open("a") as started:
        started.write("1000\n")
    os.utime(attempt / "alive", (1234, 1234))
    assert run.run() == 0
    stamps = run.stamps()
    assert len(stamps["started"]) == 3
    assert stamps["ended"][1] == "1234 -1"
    assert stamps["ended"][2].endswith(" 0")


def test_run_of_a_second_job_of_the_attempt_leaves_at_once(make):
    run = make("none")
    assert run.run() == 0
    before = run.stamps()
    assert run.run(job_id="43") == 3
    assert "belongs to Slurm job 42" in run.log
    assert run.stamps() == before
    assert len(run.calls("srun")) == 1


def seal(run, attempt=1):
    path = run.job_dir / f".attempts/{attempt}/results"
    return path.read_text().split() if path.exists() else None


def test_run_of_a_finished_evaluation_seals_its_results(make):
    run = make("none")
    run.set("evaluator-results", "results: {}\n")
    assert run.run() == 0, run.log
    results = run.artifacts / "results.yml"
    digest = hashlib.sha256(results.read_bytes()).hexdigest()
    assert seal(run) == [digest, "12", str(int(results.stat().st_mtime))]


def test_run_of_a_failed_evaluation_seals_nothing(make):
    """Not the results of an earlier start either."""
    run = make("none")
    run.set("evaluator-results", "results: {}\n")
    assert run.run() == 0
    run.set("evaluator-exit", "7")
    assert run.run() == 7
    assert (run.artifacts / "results.yml").exists() and seal(run) is None


@pytest.mark.parametrize("left", ["nothing", "a link", "a FIFO"])
def test_run_without_a_file_of_results_says_so_in_the_seal(make, left):
    run = make("none")
    if left == "a link":
        (run.artifacts / "results.yml").symlink_to("/etc/passwd")
    elif left == "a FIFO":
        os.mkfifo(run.artifacts / "results.yml")
    assert run.run() == 0, run.log
    assert seal(run) == ["none", "0", "0"]


@pytest.mark.parametrize("code", [1, 7, 143])
def test_run_of_a_failing_evaluator_ends_with_its_exit_code(make, code):
    run = make("commands")
    run.set("evaluator-exit", str(code))
    assert run.run() == code, run.log
    assert run.stamps(2)["ended"][0].endswith(f" {code}")
    assert run.calls("sbatch") == []


def test_run_of_an_interrupted_evaluation_ends_with_143(make):
    run = make("commands")
    run.set("evaluator-marks")
    assert run.run() == 143
    assert run.calls("sbatch") == []
    # The next attempt finishes: the old marker does not count.
    (run.stand / "evaluator-marks").unlink()
    assert run.run() == 0, run.log


def test_run_of_a_server_that_dies_ends_the_wait_at_once(make):
    run = make("vllm")
    run.set("server-dies")
    logs = run.job_dir / "logs"
    # Of three tasks the second ended by itself; the others were ended with it.
    (logs / "server-0-42-0.log").write_text("serving\nslurmstepd: error: *** STEP 42.0 ON n1 CANCELLED AT now ***\n")
    (logs / "server-0-42-1.log").write_text("loading\n\nout of\nmemory\nsrun: error: n1: task 1: Exited\n")
    (logs / "server-0-42-2.log").write_text("serving\nslurmstepd: error: *** STEP 42.0 ON n2 CANCELLED AT now ***\n")
    begin = time.monotonic()
    assert run.run() == 1
    assert time.monotonic() - begin < 20
    told = "a server died before all were ready: logs/server-0-42-*.log ends with: loading | out of | memory\n"
    assert run.log.endswith(f" gave up: {told}")
    assert list(run.steps()) == ["server-0"]
    assert run.stamps()["ended"][0].endswith(" 1")


def test_run_of_a_server_that_is_never_healthy_ends_at_the_timeout(make):
    run = make("vllm")
    (run.stand / "container/vllm").write_text("#!/bin/bash\nwhile :; do /bin/sleep 0.1; done\n")
    run.edit("NEL_READINESS_TIMEOUT_S=3600", "NEL_READINESS_TIMEOUT_S=3")
    assert run.run() == 1
    assert "deployment was not ready after 3 s: http://127.0.0.1:8000/health answered nothing" in run.log
    assert list(run.steps()) == ["server-0"]


def test_run_of_a_server_that_is_gone_before_it_is_stopped_fails_whatever_the_evaluator_says(make):
    run = make("vllm")
    # It answers, then leaves while the evaluation runs.
    (run.stand / "container/vllm").write_text('#!/bin/bash\ntouch "$STAND/healthy"\n/bin/sleep 1\n')
    (run.stand / "container/nemo-evaluator").write_text("#!/bin/bash\n/bin/sleep 2\n")
    assert run.run() == 1
    assert "gave up: a server was away while the evaluation ran, so its scores do not count: logs/server-0-" in run.log
    assert not (run.job_dir / ".attempts/1/results").exists()


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


def test_export_script_runs_the_exporters_and_removes_its_secrets(make):
    run = make("commands")
    assert run.run() == 0, run.log
    (sbatch,) = run.calls("sbatch")
    arguments = sbatch["argv"][sbatch["argv"].index(f"{run.job_dir}/export.sub") :]
    (run.stand / "bin/srun").write_text(
        RECORD + 'record("srun")\nc = sys.argv.index("bash")\n'
        'os.environ["PATH"] = os.environ["STAND"] + "/container:" + os.environ["PATH"]\n'
        'os.execvp("bash", sys.argv[c:])\n'
    )
    for name in ("pip", "nemo-evaluator-launcher"):
        program = run.stand / "container" / name
        program.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >>"$STAND/export-calls"\n')
        program.chmod(0o755)
    environment = {"PATH": f"{run.stand}/bin:/usr/bin:/bin", "STAND": str(run.stand)}
    done = subprocess.run(["bash", *arguments], env=environment, timeout=60, check=False)
    assert done.returncode == 0
    config = f"--config {run.artifacts}/export_config.yml --job-dirs {run.output}"
    assert (run.stand / "export-calls").read_text().splitlines() == [
        "pip install nemo-evaluator-launcher",
        f"nemo-evaluator-launcher export 0123456789abcdef.0 --dest wandb {config}",
        f"nemo-evaluator-launcher export 0123456789abcdef.0 --dest mlflow {config}",
    ]
    call = run.calls("srun")[-1]
    assert call["argv"][:6] == [
        "--container-env=WANDB_API_KEY,WANDB_PROJECT",
        "--nodes=1",
        "--ntasks=1",
        "--container-image=python:3.12.7-slim",
        f"--container-mounts={run.job_dir.parent}:{run.job_dir.parent}:ro,{run.artifacts}:{run.artifacts}",
        "--no-container-mount-home",
    ]
    assert call["env"]["WANDB_API_KEY"] == "s3cret-wandb"
    assert not (run.job_dir / ".export.env").exists()
    assert (run.job_dir / ".export/end").read_text() == "0\n"
    assert (run.artifacts / "export.tsv").read_text() == "wandb\t0\nmlflow\t0\n"


def test_run_with_a_refused_export_succeeds_and_leaves_no_secrets(make):
    run = make("commands")
    run.set("sbatch-refuses")
    assert run.run() == 0
    assert "warning: the export job was refused: sbatch: error: invalid partition" in run.log
    assert not (run.job_dir / ".export.env").exists()
    assert (run.job_dir / ".export/job").read_text() == "refused sbatch: error: invalid partition\n"


@pytest.mark.parametrize("said, known, noted", [
    ("77", None, "77"),
    ("77;alpha", None, "77"),
    ("sbatch: note: a budget of 4711\n77", None, "77"),
    ("4711\nsbatch: note: cheap\n77\n815", "12\n77", "77"),
    ("4711\n77;alpha", "77", "77"),
    ("4711\n77", None, None),  # a wrong id would be an export that is gone, whose secrets are removed under the real one
    ("thank you", None, None),
])
def test_run_takes_no_other_number_for_the_id_of_its_export(make, said, known, noted):
    run = make("commands")
    run.set("sbatch-says", said)
    if known:
        run.set("squeue-says", known)
    assert run.run() == 0
    text = (run.job_dir / ".export/job").read_text()
    assert text == (f"{noted}\n" if noted else "refused " + said.replace("\n", " ") + "\n")
    assert (run.job_dir / ".export.env").exists() == bool(noted)
    asked = [call["argv"] for call in run.calls("squeue") if "--format=%i" in call["argv"]]
    assert len(asked) == ("\n" in said)
    assert all(f"--name=nel-export-{run.job_dir.name}" in words for words in asked)


def test_run_does_not_wait_for_ever_to_send_its_export(make):
    run = make("commands")
    run.set("sbatch-hangs")
    run.edit("sbatch_timeout_s=300", "sbatch_timeout_s=1")
    assert run.run(SBATCH_EXCLUSIVE="user") == 0
    assert "warning: the export job was refused: sbatch did not answer within 1 s" in run.log
    assert not (run.job_dir / ".export.env").exists()
    (sbatch,) = run.calls("sbatch")
    assert not [name for name in sbatch["env"] if name.startswith("SBATCH_")]


def test_run_that_fails_leaves_nothing_of_an_earlier_export(make):
    run = make("commands")
    assert run.run() == 0, run.log
    run.set("evaluator-exit", "3")
    assert run.run() == 3
    assert not (run.job_dir / ".export").exists()
    assert len(run.calls("sbatch")) == 1


def test_run_that_is_cancelled_while_its_servers_stop_sends_no_export(make):
    run = make("commands")
    (run.stand / "container/vllm").write_text(
        '#!/bin/bash\ntrap \'touch "$STAND/stopping"; /bin/sleep 2; exit\' TERM\ntouch "$STAND/healthy"\n'
        "while :; do /bin/sleep 0.1; done\n"
    )
    process = run.start()
    wait_for(run.stand / "stopping")
    process.send_signal(signal.SIGTERM)
    run.finish(process)
    assert "the evaluation ended with exit code 0" in run.log
    assert run.calls("sbatch") == []
    assert not (run.job_dir / ".export").exists()


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


@pytest.mark.parametrize("whole_job", [False, True])
def test_run_at_sigterm_lets_the_evaluation_save_and_ends_with_143(make, whole_job):
    run = make("vllm")
    run.set("evaluator-waits")
    process = run.start()
    wait_for(run.stand / "evaluator-started")
    if whole_job:
        # As Slurm does at the time limit: every process, the evaluation's too.
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
    assert run.finish(process) == 143, run.log
    cancelled = [call["argv"] for call in run.calls("scancel")]
    assert cancelled == ([] if whole_job else [["--signal=TERM", "42.1"]])
    assert run.stamps()["ended"][0].endswith(" 143")


# ---- the end of the budget ----


def budget(run, left_s):
    run.edit("NEL_BUDGET_LEFT_S=9000", f"NEL_BUDGET_LEFT_S={left_s}")


def fate(run, attempt=1):
    path = run.job_dir / f".attempts/{attempt}/fate"
    return path.read_text().split()[0] if path.exists() else None


@pytest.mark.parametrize("does", ["waits", "stubborn"])
def test_run_ends_itself_before_its_budget_does(make, does):
    """As Slurm's time limit would: the evaluation saves, and is killed when it does not; the exit code is 124."""
    run = make("vllm")
    run.set(f"evaluator-{does}")
    budget(run, 16)  # stopped after 12 s, killed after 13.6, over after 15.2
    begin = time.time()
    assert run.run() == 124, run.log
    assert 11 <= time.time() - begin <= 16  # stamps are whole seconds
    assert fate(run) == "TIMEOUT" and run.stamps()["ended"][0].endswith(" 124")
    assert "the walltime budget is all but spent" in run.log
    assert seal(run) is None
    signals = [call["argv"][0] for call in run.calls("scancel")]
    assert signals[0] == "--signal=TERM" and ("--signal=KILL" in signals) == (does == "stubborn")
    with pytest.raises(ProcessLookupError):
        os.kill(run.calls("srun")[0]["pid"], 0)


def test_run_that_slurm_requeued_has_what_its_earlier_start_left(make):
    run = make("none")
    run.set("evaluator-waits")
    directory = run.job_dir / ".attempts/1"
    directory.mkdir(parents=True)
    (directory / "job").write_text("42\n")
    (directory / "started").write_text("1000\n")
    (directory / "ended").write_text("1992 143\n")
    budget(run, 1000)
    assert run.run() == 124, run.log
    assert len(run.stamps()["ended"]) == 2


def test_run_counts_what_slurm_counts_from_before_the_script(make):
    run = make("none")
    run.set("evaluator-waits")
    budget(run, 1000)
    begin = int(time.time()) - 950  # a long prolog
    assert run.run(SLURM_JOB_START_TIME=str(begin)) == 124, run.log
    assert run.stamps()["started"] == [str(begin)]


def test_run_whose_evaluation_finishes_when_told_to_stop_succeeds(make):
    run = make("none")
    run.set("evaluator-waits")
    evaluator = run.stand / "container/nemo-evaluator"
    text = evaluator.read_text().replace("""touch "$ARTIFACTS/.nemo_evaluator_interrupted"; exit 0""",
                                         """echo "results: {}" >"$ARTIFACTS/results.yml"; exit 0""")
    evaluator.write_text(text)
    budget(run, 8)
    assert run.run() == 0, run.log
    assert fate(run) is None and len(seal(run)[0]) == 64


def test_run_whose_evaluation_leaves_quietly_when_told_to_stop_has_not_finished(make):
    """Exit code 0, no marker, and no results but those of an earlier attempt."""
    run = make("none")
    (run.artifacts / "results.yml").write_text("results: {}\n")
    os.utime(run.artifacts / "results.yml", (1000, 1000))
    run.set("evaluator-waits")
    evaluator = run.stand / "container/nemo-evaluator"
    evaluator.write_text(evaluator.read_text().replace("""touch "$ARTIFACTS/.nemo_evaluator_interrupted"; exit 0""", "exit 0"))
    budget(run, 8)
    assert run.run() == 124, run.log
    assert seal(run) is None


def test_run_that_hangs_is_killed_at_the_end_of_its_budget(make):
    run = make("none")
    (run.stand / "bin/getent").write_text("#!/bin/bash\nexit 0\n")
    (run.stand / "bin/scontrol").write_text("#!/bin/bash\n[[ $2 != hostnames ]] || exec /bin/sleep 20\n")
    budget(run, 4)
    process = run.start()
    status = process.wait(30)
    assert status == -signal.SIGKILL, process.stdout.read()
    assert fate(run) == "TIMEOUT"


# ---- one attempt at a time ----


def test_run_of_a_lost_attempt_ends_when_a_newer_one_has_begun(make):
    run = make("vllm")
    run.set("evaluator-waits")
    process = run.start()
    wait_for(run.stand / "evaluator-started")
    newer = run.job_dir / ".attempts/2"
    newer.mkdir()
    (newer / "job").write_text("43\n")
    assert run.finish(process) == 143, run.log
    assert "another attempt has begun" in run.log
    assert seal(run) is None and run.stamps()["ended"] == []


def leave_past(run, claimed="41", **files):
    """What attempt 1 has left, this run being attempt 2."""
    directory = run.job_dir / ".attempts/1"
    directory.mkdir(parents=True)
    for name, text in {"job": f"{claimed}\n", "started": "1000\n", "alive": "x", **files}.items():
        (directory / name).write_text(text)
    (run.artifacts / "cache").mkdir()
    (run.artifacts / "cache/answers").write_text("what was done\n")
    (run.artifacts / "link").symlink_to("/etc/passwd")
    os.link(run.artifacts / "cache/answers", run.artifacts / "again")
    return os.open(run.artifacts, os.O_RDONLY | os.O_DIRECTORY)


def test_run_after_a_lost_node_goes_on_in_a_copy_that_the_earlier_attempt_does_not_reach(make):
    run = make("commands")
    theirs = leave_past(run)
    assert run.run() == 0, run.log
    assert "goes on in a copy" in run.log
    assert (run.artifacts / "cache/answers").read_text() == "what was done\n"
    assert (run.artifacts / "again").samefile(run.artifacts / "cache/answers")
    assert os.readlink(run.artifacts / "link") == "/etc/passwd"
    assert os.fstat(theirs).st_ino != run.artifacts.stat().st_ino
    with pytest.raises(FileNotFoundError):
        os.open("results.yml", os.O_CREAT | os.O_WRONLY, dir_fd=theirs)
    assert not (run.job_dir / "artifacts.old").exists() and not (run.job_dir / ".attempts/2/artifacts").exists()


def test_run_whose_node_is_lost_has_not_finished_although_srun_says_so(make):
    """srun ends with 0, and the evaluation goes on."""
    run = make("none")
    (run.stand / "bin/scontrol").write_text(
        "#!/bin/bash\nif [[ $2 == hostnames ]]; then echo n1; else echo 'JobId=42 JobName=x JobState=NODE_FAIL Reason=NodeDown '; fi\n")
    assert run.run() == 143, run.log
    assert fate(run) == "NODE_FAIL" and seal(run) is None


def test_run_after_a_lost_node_copies_although_the_script_there_wrote_an_end(make):
    run = make("commands")
    theirs = leave_past(run, ended="1060 143\n", fate="NODE_FAIL 60\n")
    assert run.run() == 0, run.log
    assert os.fstat(theirs).st_ino != run.artifacts.stat().st_ino


def test_run_after_an_attempt_that_wrote_its_end_keeps_the_directory(make):
    run = make("commands")
    theirs = leave_past(run, ended="1060 143\n")
    assert run.run() == 0, run.log
    assert os.fstat(theirs).st_ino == run.artifacts.stat().st_ino


def test_run_that_was_killed_while_it_took_the_copy_into_use_finds_it_again(make):
    run = make("commands")
    leave_past(run, ended="1060 143\n")
    run.artifacts.rename(run.job_dir / ".attempts/1/artifacts")
    assert run.run() == 0, run.log
    assert (run.artifacts / "cache/answers").read_text() == "what was done\n"


def test_run_at_sigterm_while_a_server_starts_ends(make):
    run = make("vllm")
    (run.stand / "container/vllm").write_text('#!/bin/bash\ntouch "$STAND/up"\nwhile :; do /bin/sleep 0.1; done\n')
    process = run.start()
    wait_for(run.stand / "up")
    process.send_signal(signal.SIGTERM)
    assert run.finish(process) == 143
    assert list(run.steps()) == ["server-0"]
