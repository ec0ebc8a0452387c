"""The test clusters as the tests see them: what Slurm, the file system and sshd themselves say, past the daemon."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests/cluster"
DIRECTORY = Path(os.environ.get("NEL_CLUSTER_DIR", "/tmp/nel-clusters"))

PATIENCE_S = 300  # machines are slow and noisy; nothing that works comes near it


def wait_for(what, check, timeout_s=PATIENCE_S, interval_s=0.2):
    """Polls until check() is true and returns what it returned; fails with `what`, and what check() said last."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}; last: {result!r}")
        time.sleep(interval_s)


class Testbed:
    """Two Slurm clusters, alpha (with accounting) and beta (without), that tests/cluster/up made."""

    __test__ = False

    def __init__(self, env):
        self.env = env
        self.output = Path(env["NEL_OUTPUT"])
        self.shared = Path(env["NEL_SHARED"])

    @classmethod
    def load(cls):
        return cls(json.loads((DIRECTORY / "env.json").read_text()))

    @staticmethod
    def is_up():
        return (DIRECTORY / "env.json").exists()

    @staticmethod
    def bring_up():
        subprocess.run([SCRIPTS / "up"], check=True, stdin=subprocess.DEVNULL, timeout=300)

    @staticmethod
    def take_down():
        subprocess.run([SCRIPTS / "down"], check=True, stdin=subprocess.DEVNULL, timeout=120)

    def port(self, cluster):
        return int(self.env[f"NEL_{cluster.upper()}_PORT"])

    def host_key_line(self, cluster):
        """The right line of known_hosts."""
        wanted = f"[127.0.0.1]:{self.port(cluster)} "
        lines = Path(self.env["NEL_KNOWN_HOSTS"]).read_text().splitlines()
        return next(line for line in lines if line.startswith(wanted))

    def ctl(self, *arguments):
        done = subprocess.run([SCRIPTS / "ctl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=300)
        assert done.returncode == 0, f"ctl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, cluster, *command):
        """Runs a command as root on the login node."""
        return self.ctl(cluster, "run", *command)

    def jobs_of(self, cluster, evaluation):
        """All Slurm jobs, ended ones too, whose name has the evaluation's id: [(job id, name)], in order."""
        if cluster == "alpha":
            text = self.run(cluster, "sacct", "--allusers", "--allocations", "--duplicates", "--noheader",
                            "--parsable2", "--starttime=now-1day", "--format=JobID,JobName")
            # Accounting lags behind slurmctld.
            text += self.run(cluster, "squeue", "--noheader", "--states=all", "--format=%i|%j")
        else:
            text = self.run(cluster, "squeue", "--noheader", "--states=all", "--format=%i|%j")
        rows = {tuple(line.strip().split("|", 1)) for line in text.splitlines() if evaluation in line}
        return sorted(rows, key=lambda row: int(row[0]))

    def accounted_jobs_of(self, evaluation):
        """All of the evaluation's Slurm jobs on alpha as sacct has them, which lags behind slurmctld, in order: [(state, seconds,
        GPU seconds)]; a state of None: it has not ended."""
        text = self.run("alpha", "sacct", "--allusers", "--allocations", "--duplicates", "--noheader", "--parsable2",
                        "--starttime=now-1day", "--format=JobIDRaw,JobName,State,ElapsedRaw,AllocTRES,End")
        rows = [line.strip().split("|") for line in text.splitlines() if evaluation in line]
        return [(None if end == "Unknown" else state.split()[0], int(elapsed),
                 int(elapsed) * sum(map(int, re.findall(r"gres/gpu=(\d+)", tres))))
                for _, _, state, elapsed, tres, end in sorted(rows, key=lambda row: int(row[0]))]

    def await_ledger(self, client, evaluation_id, states):
        """Until accounting has the ends of the evaluation's Slurm jobs on alpha, which are to be these (`A|B`: one of them), and
        GET /v1/usage has their run time and GPU seconds, to the second; returns both. No other evaluation has its label `made`."""
        label = client.evaluation(evaluation_id)["labels"]["made"]
        seen = {}

        def look():
            jobs = self.accounted_jobs_of(evaluation_id)
            (used,) = [item for item in client.get("/v1/usage?by=label:made")["items"] if item["label:made"] == label] or [None]
            seen.update(sacct=jobs, ledger=used)
            if len(jobs) != len(states) or used is None:
                return False
            return all(state in wanted.split("|") for (state, _, _), wanted in zip(jobs, states)) and (
                used["run_s"], used["gpu_s"]) == (sum(run_s for _, run_s, _ in jobs), sum(gpu_s for _, _, gpu_s in jobs))

        try:
            wait_for(f"the ledger has of {evaluation_id} what sacct has", look, interval_s=1)
        except AssertionError as error:
            raise AssertionError(f"{error}; to be {states}: {seen}") from None
        assert seen["ledger"]["gpu_s"] > 0, seen
        return seen["ledger"]["run_s"], seen["ledger"]["gpu_s"]

    def live_jobs_of(self, cluster, evaluation):
        """The names of the evaluation's jobs that wait or run."""
        text = self.run(cluster, "squeue", "--noheader", "--format=%j")
        return sorted(line.strip() for line in text.splitlines() if evaluation in line)

    def submit_as_bob(self, cluster, *options, command="sleep 600"):
        """Another person's job; returns its id."""
        text = self.run(cluster, "runuser", "-u", self.env["NEL_USER_BOB"], "--", "sbatch", "--parsable",
                        "--output=/dev/null", "--account=other", "--chdir=/tmp", *options, f"--wrap={command}")
        return re.match(r"\d+", text).group()

    def cancel_job(self, cluster, job_id):
        self.run(cluster, "scancel", job_id)

    def execs(self, cluster):
        """How many commands sshd has started, by its log."""
        log = (DIRECTORY / f"log/{cluster}.sshd.log").read_text(errors="replace")
        return log.count("Starting session: command")


def release(job):
    """Lets an evaluation go on that holds (hold_after)."""
    (Path(job["rundir"]) / "artifacts/go").touch()


def questions(job):
    """The numbers of the questions that the stand-in evaluator sent, in order, all attempts together."""
    return [int(line) for line in (Path(job["rundir"]) / "artifacts/questions.log").read_text().split()]


def answers(job):
    """The numbers of the questions that were answered, as the stand-in evaluator's cache has them."""
    lines = (Path(job["rundir"]) / "artifacts/cache.jsonl").read_text().splitlines()
    return [json.loads(line)["question"] for line in lines]
