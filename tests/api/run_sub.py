"""run.sub (a golden header and the body), run for real under stand-ins for Slurm, curl and the evaluator that record how
they are called. The stand-in for srun runs the container's command on this machine."""

import json
import os
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
PARTS = sorted((ROOT / "daemon/slurm/script/run_body").glob("*.sh"))
SHARED_PARTS = PARTS[:-1] + sorted((ROOT / "daemon/slurm/script/run_shared").glob("*.sh"))
# The stand-in for sleep takes a tenth of a second for any time. The watch over the budget is as fast as it can really be.
WATCH_SLEEP = "/bin/sleep 1 &"


def join_parts(parts):
    text = "\n".join(part.read_text() for part in parts)
    assert text.count('sleep "$pause" &') == 1
    return text.replace('sleep "$pause" &', WATCH_SLEEP)


BODY = join_parts(PARTS)
SHARED_BODY = join_parts(SHARED_PARTS)
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
if step["--job-name"].startswith("evaluation-"):  # one of several jobs
    os.environ["JOB"] = step["--job-name"][len("evaluation-") :]
    os.environ["ARTIFACTS"] = step["--container-mounts"].partition(":")[0]
elif step["--job-name"] != "evaluation":
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
[[ ! -e $STAND/evaluator-stubborn ]] || { trap '' TERM; touch "$STAND/evaluator-started"; while :; do /bin/sleep 0.1; done; }
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
        self.log, _ = process.communicate(timeout=300)
        self.group = process.pid
        return process.returncode

    def wait_for_all(self):
        """Until nothing of the run that has ended is there: its watch is killed, and may leave a `touch` under way."""
        deadline = time.monotonic() + 60
        while True:
            try:
                os.killpg(self.group, 0)
            except ProcessLookupError:
                return
            assert time.monotonic() < deadline, "processes of the run are left"
            time.sleep(0.05)

    def run(self, **kwargs):
        return self.finish(self.start(**kwargs))

    def calls(self, name):
        path = self.stand / "calls"
        lines = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []  # the last may be under way
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


def environment_file(path):
    entries = path.read_bytes().decode(errors="surrogateescape").split("\0")
    return dict(entry.partition("=")[::2] for entry in entries if entry)


def wait_for(path):
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def has_secret(environment, but=()):
    return [n for n, v in environment.items() if "s3cret" in v and n not in but]


def maker(tmp_path):
    """For pytest.fixture(): makes a Run."""
    return lambda golden="vllm", nodes=1: Run(tmp_path, golden, nodes)


def seal(run, attempt=1):
    path = run.job_dir / f".attempts/{attempt}/results"
    return path.read_text().split() if path.exists() else None
