"""Nothing in a config reaches a shell unquoted. Each place of a config in turn, a value or a key, gets text that a shell
would run; what is then accepted is rendered, and its run.sub runs under stand-ins for Slurm. The planted command makes a
file: there must never be one.

What is a command by definition (command, pre_cmd, post_cmd, extra_args, ...) may run in its container's shell and nowhere
else: the stand-in for srun does not run the containers of servers, nor others when such a place was planted."""

import copy
import json
import os
import re
import subprocess
from collections import Counter

import pytest
import yaml
from conftest import BINARY
from run_sub import BODY, CONTAINER, STAND_INS, Run

CANARY = "INJECTED"
TOUCH = f"touch {CANARY}"

FORMS = f"'; {TOUCH}; '\"; {TOUCH}; \"$({TOUCH})`{TOUCH}` | {TOUCH} & {TOUCH} ; {TOUCH} > {CANARY} %j %A"

# Most places take any text of one line or of several, so one text holds many forms.
LINE = f"--wrap=x{FORMS} \\$({TOUCH}) # \\"
LINES = f"x\n{TOUCH}\n#SBATCH --wrap={CANARY}\n#PBS -W x\n#BSUB -x\n{FORMS}\n'\n{TOUCH}\n'$({TOUCH})\r\n{TOUCH}\n"
# For places that refuse LINE. A place of one word refuses blanks, for which braces stand here.
MILDER = [
    FORMS,
    f"'; {TOUCH}; '",
    f'"; {TOUCH}; "',
    f"$({TOUCH})",
    f"`{TOUCH}`",
    f"$({{touch,{CANARY}}});{{touch,{CANARY}}}&{{touch,{CANARY}}}|{{touch,{CANARY}}}%j",
    f"x[$({TOUCH})]",
    "--wrap=x",
    "\\",
]

SERVER = {
    "image": "registry#server:1",
    "served_model_name": "org/served",
    "cache_path": "/cache-dir",
    "port": 8000,
    "extra_args": "--seed 1",
    "pre_cmd": "export FROM_PRE_CMD=1",
    "tensor_parallel_size": 1,
    "gpu_memory_utilization": 0.5,
    "endpoints": {"chat": "/v1/chat/completions", "health": "/health"},
    "env_vars": {"SERVER_SECRET": "host:TOKEN", "SERVER_PLAIN": "lit:plain", "SERVER_NODE": "runtime:SLURMD_NODENAME"},
}

EXECUTION = {
    "hostname": "login",
    "username": "svc",
    "account": "acct",
    "output_dir": "/shared/out",
    "partition": "batch",
    "cpu_partition": "cpu",
    "num_nodes": 2,
    "num_instances": 2,
    "ntasks_per_node": 1,
    "gres": "gpu:8",
    "gpus_per_node": "a100:8",
    "walltime": "01:00:00",
    "max_walltime": "10:00:00",
    "endpoint_readiness_timeout": 60,
    "subproject": "project",
    "mpi": "pmix",
    "sbatch_comment": "a comment",
    "sbatch_extra_flags": {"exclusive": True, "constraint": "h100", "switches": 1},
    "deployment": {"n_tasks": 2},
    "evaluation_gpu_visible": "0,1",
    "mounts": {
        "deployment": {"/host/models": "/models:ro"},
        "evaluation": {"/host/data": "/data"},
        "auxiliary": {"judge": {"/host/judge": "/judge"}},
        "mount_home": False,
    },
    "proxy": {
        "type": "haproxy",
        "image": "haproxy:latest",
        "config": {"haproxy_port": 5009, "health_check_path": "/health", "health_check_status": 200},
    },
    "auto_export": {
        "destinations": ["wandb", "local"],
        "launcher_install_cmd": "true",
        "export_image": "python:3.12",
        "export_mounts": {"/host/export": "/export"},
        "partition": "export",
    },
    "auto_resume": {"mode": "in_job", "on": ["TIMEOUT"], "max_attempts": 3},
}

TASK = {
    "name": "own.task",
    "container": "registry#evaluator:1",
    "endpoint_type": "chat",
    "env_vars": {"TASK_SECRET": "host:TOKEN", "TASK_PLAIN": "lit:plain", "TASK_NODE": "runtime:SLURMD_NODENAME"},
    "nemo_evaluator_config": {"config": {"params": {"limit_samples": 1, "extra": {"judge": "x"}}}},
    "dataset_dir": "/host/dataset",
    "dataset_mount_path": "/datasets",
    "pre_cmd": "export FROM_TASK=1",
    "post_cmd": "true",
}

EVALUATION = {
    "tasks": [TASK],
    "nemo_evaluator_config": {"config": {"params": {"parallelism": 1}}},
    "env_vars": {"EVALUATION_PLAIN": "lit:plain"},
    "pre_cmd": "true",
    "post_cmd": "true",
}

EXPORT = {
    "env_vars": {"EXPORT_SECRET": "host:TOKEN", "EXPORT_PLAIN": "lit:plain"},
    "wandb": {"project": "project", "tags": ["a"]},
    "local": {"format": "json"},
}

FULL = {
    "defaults": [
        {"execution": "slurm/default"},
        {"deployment": "vllm"},
        "deployment/vllm@auxiliary_deployments.judge",
        "_self_",
    ],
    "env_vars": {"EVERYWHERE": "lit:plain"},
    "execution": EXECUTION,
    "deployment": {"checkpoint_path": "/host/checkpoint", **SERVER},
    "auxiliary_deployments": {
        "judge": {"checkpoint_path": "/host/judge-model", "num_nodes": 2, "num_instances": 2, "n_tasks": 2, **SERVER}
        | {"env_prefix": "JUDGE", "port": 8001}
    },
    "evaluation": EVALUATION,
    "export": EXPORT,
}

HOSTED = {
    "defaults": [{"execution": "slurm/default"}, {"deployment": "none"}, "_self_"],
    "execution": {"hostname": "login", "account": "acct", "output_dir": "/shared/out"},
    "target": {"api_endpoint": {"url": "https://models.example/v1", "model_id": "org/model", "api_key_name": "TOKEN"}},
    "evaluation": {"tasks": [{"name": "lm-evaluation-harness.ifeval"}]},
}

# A generic deployment has its command in the config; its group has little else.
GENERIC = {
    "defaults": [{"execution": "slurm/default"}, {"deployment": "generic"}, "_self_"],
    "execution": {"hostname": "login", "account": "acct", "output_dir": "/shared/out"},
    "deployment": {"image": "/images/server.sqsh", "command": "serve --port 8000", "served_model_name": "served"},
    "evaluation": {"tasks": [{"name": "lm-evaluation-harness.ifeval"}]},
}

CONFIGS = {"full": FULL, "hosted": HOSTED, "generic": GENERIC}

# Commands that the evaluation's and the export's own containers run.
CONTAINER_COMMANDS = ("pre_cmd", "post_cmd", "launcher_install_cmd")

# The options of srun that run.sub itself may use: every "--name" of its fixed body.
SRUN_OPTIONS = set(re.findall(r"--[a-z][a-z-]*", BODY))

PLANTED_STAND_INS = STAND_INS | {
    # As sbatch does, it runs the script of the export job; the job's successor never begins.
    "sbatch": """#!/bin/bash
printf '%s\\0' sbatch "$@" >>"$STAND/words"
while [[ $1 == --* ]]; do shift; done
[[ $1 != */export.sub ]] || SLURM_JOB_ID=77 bash "$@" >"$STAND/export.log" 2>&1
echo 77
""",
    "squeue": "#!/bin/bash\n",
    "scancel": "#!/bin/bash\n",
    "sacct": "#!/bin/bash\n",
    "srun": """#!/bin/bash
printf '%s\\0' srun "$@" >>"$STAND/words"
name=export
while [[ $1 == --* ]]; do
    [[ $1 != --job-name=* ]] || name=${1#--job-name=}
    shift
done
PATH=$STAND/container:$PATH
case $name in
ports)
    trap 'kill $(jobs -p); exit' TERM
    for node in n1 n2 n3 n4; do SLURMD_NODENAME=$node PATH=/usr/bin:/bin timeout 60 "$@" 2>/dev/null & done
    wait ;;
evaluation | export) [[ ! -e $STAND/run-containers ]] || exec "$@" ;;
*) touch "$STAND/healthy"; exec /bin/sleep 60 ;;
esac
""",
    "curl": '#!/bin/bash\n[[ ! -e $STAND/healthy ]] || { printf 200; exit; }\nprintf 000\nexit 7\n',
    "sleep": "#!/bin/bash\n(($1 < 10)) && exec /bin/sleep 0.02\nexec /bin/sleep 30\n",
}

PLANTED_CONTAINER = CONTAINER | {
    "nemo-evaluator-launcher": "#!/bin/bash\nexit 0\n",
    "nemo-evaluator": "#!/bin/bash\nexit 0\n",
}


class Planted(Run):
    """The run.sub that the daemon's renderer wrote."""

    def __init__(self, stand, job_dir):
        self.stand = stand
        self.job_dir = job_dir
        self.artifacts = job_dir / "artifacts"
        self.script = job_dir / "run.sub"
        self.nodes = "n1,n2,n3,n4"
        self.log = ""

    def words(self):
        """The words of each call of srun and sbatch."""
        path = self.stand / "words"
        text = path.read_bytes().decode() if path.exists() else ""
        calls = []
        for word in text.split("\0")[:-1]:
            if word in ("srun", "sbatch"):
                calls.append([])
            calls[-1].append(word)
        return calls


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    """The stand-ins, made once."""
    stand = tmp_path_factory.mktemp("stand")
    for where, programs in (("bin", PLANTED_STAND_INS), ("container", PLANTED_CONTAINER)):
        (stand / where).mkdir()
        for name, text in programs.items():
            path = stand / where / name
            path.write_text(text)
            path.chmod(0o755)
    (stand / "settings.yaml").write_text("clusters: []\n")
    return stand


def value_places(node, path=()):
    """Where values stand: the paths of all leaves."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from value_places(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from value_places(value, (*path, index))
    else:
        yield path


def key_places(node, path=()):
    """The paths of all mappings: each can get one more key."""
    if isinstance(node, dict):
        yield path
        for key, value in node.items():
            yield from key_places(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from key_places(value, (*path, index))


def at(config, path):
    for step in path:
        config = config[step]
    return config


def planted_values(config, path, payload):
    """Configs with the value replaced or, where it would be refused for its beginning, made longer."""
    original = at(config, path)
    for value in [payload, original + payload] if isinstance(original, str) else [payload]:
        planted = copy.deepcopy(config)
        at(planted, path[:-1])[path[-1]] = value
        yield planted


def planted_keys(config, path, payload):
    """Configs with one more key, and a value as its neighbours have."""
    value = next(iter(at(config, path).values()), "x")
    for key in (payload, "X" + payload, "/x" + payload):
        planted = copy.deepcopy(config)
        at(planted, path)[key] = copy.deepcopy(value)
        yield planted


def render(config, directory, stand, env="it's a token"):
    source = directory.parent / "config.json"
    source.write_text(json.dumps(config))
    command = [BINARY, "render", str(source), "--output", str(directory), "--config", str(stand / "settings.yaml")]
    return subprocess.run(
        [*command, "--env", f"TOKEN={env}"], capture_output=True, text=True, cwd=directory.parent, timeout=60
    )


def canaries(directory):
    return [os.path.join(d, n) for d, _, names in os.walk(directory) for n in names if n == CANARY]


def check_syntax(job_dir):
    for name in ("run.sub", ".secrets.env", "export.sub"):
        path = job_dir / name
        if path.exists():
            done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
            assert done.returncode == 0, f"{path.read_text()}\n{done.stderr}"


def check_options(calls):
    """What stands before a step's command is options of ours: no value has become one of its own."""
    for name, *words in calls:
        if name != "srun":
            continue
        end = next((i for i, word in enumerate(words) if not word.startswith("--")), len(words))
        names = {word.partition("=")[0] for word in words[:end]}
        assert names <= SRUN_OPTIONS, words[:end]
        shells = ("bash", "/usr/bin/bash", "/bin/bash")  # a path: the step on the nodes themselves that looks for ports
        assert words[end : end + 1] in (*([shell] for shell in shells), ["haproxy"]), words


def run_job(job_dir, stand, tmp_path, run_containers):
    scratch = tmp_path / "stand"
    scratch.mkdir()
    for name in ("bin", "container"):
        (scratch / name).symlink_to(stand / name)
    if run_containers:
        (scratch / "run-containers").touch()
    run = Planted(scratch, job_dir)
    code = run.run(TMPDIR=str(tmp_path))
    check_options(run.words())
    check_syntax(job_dir)
    export_log = scratch / "export.log"
    log = run.log + (export_log.read_text() if export_log.exists() else "")
    assert canaries(tmp_path) == [], log
    return code, log, run


class Checker:
    """Renders and runs planted configs, each in a folder of its own."""

    def __init__(self, stand, tmp_path):
        self.stand = stand
        self.tmp_path = tmp_path
        self.count = 0

    def check(self, config, run_containers, name="out", env="it's a token"):
        """Was the config accepted?"""
        self.count += 1
        directory = self.tmp_path / str(self.count)
        directory.mkdir()
        out = directory / name
        done = render(config, out, self.stand, env)
        assert done.returncode in (0, 1), done.stderr
        assert canaries(directory) == []
        if done.returncode == 1:
            assert done.stderr, config
            return False
        jobs = sorted(path for path in out.iterdir() if path.is_dir())
        assert jobs
        for job_dir in jobs:
            check_syntax(job_dir)
            assert isinstance(yaml.safe_load((job_dir / "config_ef.yaml").read_text()), dict)
        code, log, _ = run_job(jobs[0], self.stand, directory, run_containers)
        assert code == 0, log
        return True


@pytest.fixture
def checker(stand, tmp_path):
    return Checker(stand, tmp_path)


def runs_containers(path):
    return not any(step in CONTAINER_COMMANDS for step in path)


def name_of(entry):
    return f"{entry[0]}:{'.'.join(map(str, entry[1])) or 'top'}"


VALUES = [(name, path) for name, config in CONFIGS.items() for path in value_places(config) if path[0] != "defaults"]
KEYS = [(name, path) for name, config in CONFIGS.items() for path in key_places(config)]


def test_render_of_what_nothing_was_planted_in_runs_all_of_it(stand, tmp_path):
    """The others would prove nothing if their configs were refused or their steps were not reached."""
    expected = {
        "full": ["server-0", "server-1", "judge-server-0", "judge-server-1", "proxy", "judge-proxy", "evaluation", None],
        "hosted": ["evaluation"],
        "generic": ["server-0", "evaluation"],
    }
    for name, config in CONFIGS.items():
        directory = tmp_path / name
        directory.mkdir()
        done = render(config, directory / "out", stand)
        assert done.returncode == 0, done.stderr
        (job_dir,) = [path for path in (directory / "out").iterdir() if path.is_dir()]
        code, log, run = run_job(job_dir, stand, directory, True)
        assert code == 0, log
        steps = [[word for word in call if word.startswith("--job-name=")] for call in run.words() if call[0] == "srun"]
        # Servers are started side by side, so their order is nobody's promise.
        assert Counter(step[0].partition("=")[2] if step else None for step in steps) == Counter(expected[name])
        assert ("exporting to local" in log) == (name == "full")


def test_stand_ins_would_show_what_reaches_a_shell(stand, tmp_path):
    """The check itself can fail: an evaluation's pre_cmd is run in its container."""
    config = copy.deepcopy(HOSTED)
    config["evaluation"]["pre_cmd"] = f"{TOUCH}"
    done = render(config, tmp_path / "out", stand)
    assert done.returncode == 0, done.stderr
    (job_dir,) = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    with pytest.raises(AssertionError):
        run_job(job_dir, stand, tmp_path, True)
    assert canaries(tmp_path)


def check_place(checker, plant, config, path, run_containers):
    """Of each payload the first form that is accepted; the milder ones, all of them, only where LINE never is."""

    def first(payload):
        return any(checker.check(planted, run_containers) for planted in plant(config, path, payload))

    first(LINES)
    if not first(LINE):
        for payload in MILDER:
            first(payload)


@pytest.mark.parametrize("entry", VALUES, ids=name_of)
def test_render_of_a_planted_value_runs_nothing_of_it(checker, entry):
    name, path = entry
    check_place(checker, planted_values, CONFIGS[name], path, runs_containers(path))


@pytest.mark.parametrize("entry", KEYS, ids=name_of)
def test_render_of_a_planted_key_runs_nothing_of_it(checker, entry):
    name, path = entry
    check_place(checker, planted_keys, CONFIGS[name], path, True)


@pytest.mark.parametrize("payload", [LINE, LINES, *MILDER])
def test_render_of_a_planted_secret_runs_nothing_of_it(checker, payload):
    assert checker.check(FULL, True, env=payload)


@pytest.mark.parametrize("payload", [LINE, LINES, *MILDER])
def test_render_into_a_planted_directory_runs_nothing_of_it(checker, payload):
    """The run directory is below execution.output_dir, so it may have any name that a file may have."""
    name = payload.replace("/", "")
    if checker.check(FULL, True, name=name):
        assert not set(":,\\\n\r \"$`") & set(name)
