"""A secret reaches the container that needs it, unchanged, and nothing and nobody else."""

import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from configs import config, task
from testbed import DIRECTORY, release, wait_for

# Parts that a search finds, joined by everything that shells, env files and JSON treat specially.
MARKS = ["Zq7first", "Zq8second", "Zq9third", "Zq0server"]
TRICKY = f"{MARKS[0]}'\"\\ `touch pwned-1` $(touch pwned-2) ${{HOME}} = #x;&|>\n{MARKS[1]}=ü€\U0001f511\t!\n"
OTHER = f"{MARKS[2]}'$(touch pwned-3)"
SERVER = f"{MARKS[3]}\"$(touch pwned-4)"

# Prints the hash of the one variable, and all others as they are: a secret that is where it does not belong is in the log.
SHOW = """
printf 'hash-of-%s %s\\n' {name} "$(printf %s "${name}" | sha256sum)"
env -0 | grep -zv '^{name}=' | tr '\\0' '\\n'
"""


def secret_config(bed, model_server):
    """A server with one secret, two tasks with one each, and one more that only the server of the tests sees."""
    tasks = [task(8, 0.5, extra={"hold_after": 4}, env_vars={"TRICKY": "$host:TRICKY"}, pre_cmd=SHOW.format(name="TRICKY")),
             task(8, 0.5, extra={"hold_after": 4}, env_vars={"OTHER": "host:OTHER"}, pre_cmd=SHOW.format(name="OTHER"))]
    body = config(bed, model_server, *tasks)
    body["defaults"][1] = {"deployment": "vllm"}
    del body["target"]
    body["deployment"] = {
        "checkpoint_path": bed.env["NEL_CHECKPOINT"], "served_model_name": "m", "tensor_parallel_size": 1,
        "env_vars": {"SERVER_SECRET": "$host:SERVER_SECRET"}, "pre_cmd": SHOW.format(name="SERVER_SECRET"),
    }
    body["execution"]["sbatch_extra_flags"] = {"exclusive": True}
    return body


class Run:
    """What is asked of the daemon and of the machine while the jobs run, and what is left when they have ended."""

    def __init__(self, bed, daemon, model_server):
        self.bed, self.daemon, self.client = bed, daemon, daemon.admin
        self.replies = []
        self.store_secrets()
        self.id = self.client.submit(secret_config(bed, model_server), {"TRICKY": TRICKY})["id"]
        self.jobs = [self.client.wait_job(f"{self.id}.{index}", lambda job: job["progress"], "asks questions")
                     for index in (0, 1)]
        self.processes = {job["id"]: self.read_processes(job["slurm_job_id"]) for job in self.jobs}
        self.modes = {path: stat.S_IMODE(path.stat().st_mode)
                      for job in self.jobs for path in self.secret_paths(job)}
        self.slurm = "".join(bed.run("alpha", "scontrol", *words, job["slurm_job_id"]) for job in self.jobs
                             for words in (["show", "job", "-dd"], ["write", "batch_script"]))
        self.slurm += "".join(bed.run("alpha", "scontrol", "write", "batch_script", job["slurm_job_id"], "-")
                              for job in self.jobs)
        self.slurm += bed.run("alpha", "sacct", "--allusers", "--long", "--parsable2", "--jobs",
                              ",".join(job["slurm_job_id"] for job in self.jobs))
        self.spool = self.grep(DIRECTORY / "alpha")
        self.daemon_files = self.grep(daemon.directory)
        self.run_files = self.grep(Path(self.jobs[0]["rundir"]).parent)
        self.core = [(Path("/proc") / str(daemon.process.pid) / name).read_text() for name in ("limits", "coredump_filter")]
        self.ask_all()
        for job in self.jobs:
            release(job)
        self.ended = self.client.wait_end(self.id)
        self.ask_all()

    def store_secrets(self):
        """One with the submission, one that the person keeps, one that is the team's; and others that must not win."""
        for name, value, scope in (("OTHER", OTHER, "user"), ("TRICKY", "not this one", "user"),
                                   ("SERVER_SECRET", SERVER, "team"), ("OTHER", "nor this one", "team")):
            reply = self.client.call("PUT", f"/v1/secrets/{name}?scope={scope}", 201, json={"value": value})
            self.replies.append((f"PUT {name}", reply))

    @staticmethod
    def secret_paths(job):
        directory = Path(job["rundir"])
        return [directory.parent, directory, directory / ".secrets.env"]

    @staticmethod
    def read_processes(slurm_id):
        """{pid: (command line, environment)} of all processes of a Slurm job."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                if f"SLURM_JOB_ID={slurm_id}".encode() in environment.split(b"\0"):
                    found[entry.name] = ((entry / "cmdline").read_bytes(), environment)
            except OSError:
                pass
        return found

    @staticmethod
    def grep(directory, *without):
        """Files below a directory that hold a mark."""
        found = []
        for root, _, names in os.walk(directory):
            for path in (Path(root) / name for name in names):
                if path.is_file() and not path.is_symlink() and path.name not in without:
                    data = path.read_bytes()
                    found += [(str(path), mark) for mark in MARKS if mark.encode() in data]
        return found

    def ask_all(self):
        paths = [f"/v1/evaluations/{self.id}", "/v1/evaluations", "/v1/jobs", "/v1/results", "/v1/clusters", "/v1/secrets",
                 "/v1/audit", "/v1/events"]
        paths += [f"/v1/evaluations/{self.id}/config?form={form}" for form in ("submitted", "resolved")]
        for index in (0, 1):
            job = f"/v1/jobs/{self.id}.{index}"
            paths += [job, f"{job}/script", f"{job}/results", f"{job}/logs", f"{job}/artifacts"]
            paths += [f"{job}/logs/{item['name']}" for item in self.client.get(f"{job}/logs")["items"]]
        self.replies += [(path, self.client.call("GET", path)) for path in paths]


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    return Run(bed, daemon, model_server)


def marks_in(data):
    return [mark for mark in MARKS if (mark.encode() if isinstance(data, bytes) else mark) in data]


def log_of(job, pattern):
    (path,) = (Path(job["rundir"]) / "logs").glob(pattern)
    return path.read_text()


def hash_line(name, value):
    return f"hash-of-{name} {hashlib.sha256(value.encode()).hexdigest()}"


def test_secret_with_quotes_newlines_and_commands_arrives_unchanged(run):
    assert hash_line("TRICKY", TRICKY) in log_of(run.jobs[0], "client-*.log")
    assert hash_line("OTHER", OTHER) in log_of(run.jobs[1], "client-*.log")
    for job in run.jobs:
        assert hash_line("SERVER_SECRET", SERVER) in log_of(job, "server-0-*.log")


def test_secret_that_looks_like_a_command_runs_nothing(run):
    homes = [DIRECTORY / "home", run.bed.shared, Path("/tmp")]
    found = [str(path) for home in homes for path in home.glob("pwned-*")]
    found += [str(path) for home in homes[:2] for path in home.rglob("pwned-*")]
    assert found == []


def test_secret_is_in_the_environment_of_its_own_step_only(run):
    """The batch script, srun's arguments, and the steps of others never have it."""
    mine = [{MARKS[0], MARKS[1], MARKS[3]}, {MARKS[2], MARKS[3]}]
    for index, job in enumerate(run.jobs):
        processes = run.processes[job["id"]]
        assert len(processes) > 3
        seen = set()
        for command, environment in processes.values():
            assert marks_in(command) == [], command
            marks = set(marks_in(environment))
            if b"slurm_script" in command or b"run.sub" in command:
                assert marks == set(), command
            assert marks <= {MARKS[3]} or MARKS[3] not in marks, f"both the server's and the task's: {command}"
            seen |= marks
        assert seen == mine[index]


def test_secrets_file_and_directories_are_closed_to_others(run):
    for path, mode in run.modes.items():
        assert mode == (0o600 if path.name == ".secrets.env" else 0o700), path


def test_secret_is_not_in_what_slurm_keeps(run):
    assert "Command=" in run.slurm and "#SBATCH" in run.slurm
    assert marks_in(run.slurm) == []
    assert run.spool == []
    names = {name for name, _ in Run.grep(DIRECTORY / "log")}
    assert names == set()


def test_secret_is_in_one_file_alone_while_the_jobs_run(run):
    """Not in the store, its write-ahead log or the daemon's log, and on the cluster only in the file that is closed."""
    assert run.daemon_files == []
    assert {Path(path).name for path, _ in run.run_files} == {".secrets.env"}
    limits, filters = run.core
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")] == [["0", "0"]]
    assert int(filters, 16) == 0


def test_secret_is_in_no_file_of_the_job_after_its_end(run):
    for job in run.jobs:
        directory = Path(job["rundir"])
        assert not (directory / ".secrets.env").exists()
        assert (directory / "run.sub").exists()
    assert Run.grep(Path(run.jobs[0]["rundir"]).parent) == []


def test_secret_is_in_no_reply(run):
    assert any("/logs/client-" in path for path, _ in run.replies)
    for path, reply in run.replies:
        assert marks_in(reply.text) == [], path
        assert marks_in(json.dumps(dict(reply.headers))) == [], path


def test_secret_is_in_neither_log_nor_database_of_the_daemon(run):
    files = [path for path in run.daemon.directory.iterdir() if path.is_file()]
    assert {"nel.db", "daemon.log"} <= {path.name for path in files}
    assert Run.grep(run.daemon.directory) == []
    log = run.daemon.log()
    for token in run.daemon.tokens.values():
        assert token not in log
