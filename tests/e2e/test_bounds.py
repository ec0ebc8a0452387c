"""What no chain may do, whatever Slurm's timing: pass its walltime budget, stop before its end, or have two attempts at one
set of results. The chains of a test run side by side; NEL_CHAIN_TRIALS says how many there are of each kind (1)."""

import hashlib
import os
import re
from pathlib import Path

import pytest

from client import ENDS
from configs import config, task
from daemon import Daemon, cluster_settings
from testbed import questions, wait_for

TRIALS = int(os.environ.get("NEL_CHAIN_TRIALS", "1"))
TIMEOUT_S = 600
ENDLESS = {"limit": 400, "delay_s": 5, "parallelism": 1}
TWO_MINUTES = {"limit": 60, "delay_s": 2, "parallelism": 1}
# walltime, max_walltime
BUDGETS = [("00:01:00", 60), ("00:01:00", 130), ("00:03:00", 150)]


def spell(seconds):
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def ended_rows(bed, cluster, slurm_id):
    """States and seconds of a job and its requeues by accounting, which lags behind; None while one of them lives."""
    text = bed.run(cluster, "sacct", "--allocations", "--duplicates", "--noheader", "--parsable2", f"--jobs={slurm_id}",
                   "--format=State,ElapsedRaw")
    rows = [line.split("|") for line in text.splitlines()]
    return rows if rows and not any(state.startswith(("RUNNING", "PENDING", "COMPLETING")) for state, _ in rows) else None


def elapsed_s(bed, cluster, job):
    """What Slurm counts for the attempts of a chain, past the daemon."""
    total = 0
    for attempt in job["attempts"]:
        if cluster == "alpha":
            rows = wait_for("accounting has the end", lambda one=attempt["slurm_job_id"]: ended_rows(bed, cluster, one))
            total += sum(int(seconds) for _, seconds in rows)
        else:
            text = bed.run(cluster, "scontrol", "--oneliner", "show", "job", attempt["slurm_job_id"])
            hours, minutes, seconds = map(int, re.search(r" RunTime=(\d+):(\d+):(\d+) ", text).groups())
            total += 3600 * hours + 60 * minutes + seconds
    return total


def test_no_chain_runs_longer_than_its_budget(bed, daemon, model_server):
    client = daemon.client
    chains = {}
    for _ in range(TRIALS):
        for cluster in ("alpha", "beta"):
            for mode in ("daemon", "in_job"):
                for walltime, budget_s in BUDGETS:
                    execution = {"walltime": walltime, "max_walltime": spell(budget_s), "auto_resume": {"mode": mode}}
                    body = config(bed, model_server, task(**ENDLESS), cluster=cluster, execution=execution)
                    chains[client.submit(body, model_server.env)["id"] + ".0"] = (cluster, mode, budget_s)
    over = []
    for job_id, (cluster, mode, budget_s) in chains.items():
        job = client.wait_job(job_id, lambda job: job["state"] in ENDS, "ends", TIMEOUT_S)
        assert job["state"] == "budget_exhausted", (cluster, mode, budget_s, job)
        used_s = elapsed_s(bed, cluster, job)
        print(cluster, mode, budget_s, used_s, [(a["slurm_state"], a["exit_code"], a["elapsed_s"]) for a in job["attempts"]])
        assert used_s >= budget_s / 2
        if used_s > budget_s or job["budget"]["used_s"] > budget_s:
            over.append((cluster, mode, budget_s, used_s, job["budget"]["used_s"]))
    assert over == []


@pytest.mark.parametrize("ends", ["first", "only"])
def test_in_job_chains_go_on_when_slurm_ends_the_steps_first(bed, model_server, tmp_path, ends):
    """As enroot with squashfuse does: evaluators die of SIGBUS, and the script's trap runs last, or never. The daemon is
    away from the first attempt on."""
    away = Daemon(tmp_path, [cluster_settings(bed, name, name) for name in ("alpha", "beta")]).start()
    jobs = []
    try:
        for cluster in ("alpha", "beta"):
            bed.ctl(cluster, "ends", ends)
            for _ in range(TRIALS):
                execution = {"walltime": "00:01:00", "auto_resume": {"mode": "in_job"}}
                body = config(bed, model_server, task(**TWO_MINUTES), cluster=cluster, execution=execution)
                jobs.append(away.client.submit(body, model_server.env)["id"] + ".0")
        for job_id in jobs:
            away.client.wait_job(job_id, lambda job: job["slurm_job_id"], "has reached Slurm")
        away.kill()

        def all_gone():
            text = "".join(bed.run(cluster, "squeue", "--noheader", "--format=%j") for cluster in ("alpha", "beta"))
            return not any(job_id.partition(".")[0] in text for job_id in jobs)

        wait_for("the chains end without their daemon", all_gone, TIMEOUT_S, 2)
        away.start()
        codes = []
        for job_id in jobs:
            job = away.client.wait_job(job_id, lambda job: job["state"] in ENDS, "ends", TIMEOUT_S)
            logs = "".join(path.read_text() for path in sorted((Path(job["rundir"]) / "logs").glob("slurm-*.log")))
            codes += re.findall(r"the evaluation ended with exit code (\d+)", logs)
            states = [attempt["slurm_state"] for attempt in job["attempts"]]
            print(job_id, job["state"], states)
            assert job["state"] == "succeeded", (job, logs)
            assert len(states) >= 2 and set(states[:-1]) == {"TIMEOUT"}
        assert "135" in codes  # it has been so
    finally:
        for cluster in ("alpha", "beta"):
            bed.ctl(cluster, "ends", "kind")
        away.end()


def test_attempt_that_outlives_its_node_changes_nothing(bed, daemon, model_server):
    """slurmctld gives the node up (NODE_FAIL) while the evaluation on it goes on: a cut network, a slurmd that is gone."""
    client = daemon.client
    work = {"limit": 32, "delay_s": 2, "parallelism": 1}
    job_id = client.submit(config(bed, model_server, task(**work)), model_server.env)["id"] + ".0"
    job = client.wait_job(job_id, lambda job: (job["progress"] or {}).get("requests", 0) >= 4, "is at work")
    node, rundir = job["attempts"][0]["nodes"], Path(job["rundir"])
    bed.ctl("alpha", "node", node, "slurmd-stop")
    try:
        bed.ctl("alpha", "node", node, "down")
        client.wait_job(job_id, lambda job: job["attempt"] == 2 and job["state"] == "running", "goes on")
        first, second = (rundir / f"logs/slurm-{attempt['slurm_job_id']}.log" for attempt in client.job(job_id)["attempts"])
        wait_for("the second attempt has begun", lambda: second.exists() and "starting the evaluation" in second.read_text())
        assert "goes on in a copy of artifacts" in second.read_text()
        # srun and the script of the first have seen it, and its evaluation goes on. srun of 22.05 ends with 0 then, that
        # of 24.11 with 1.
        assert re.search("it was interrupted and is not finished|the evaluation ended with exit code [1-9]", first.read_text())
        assert not (rundir / ".attempts/1/results").exists()
        job = client.wait_state(job_id, "succeeded")
    finally:
        bed.ctl("alpha", "node", node, "slurmd-start")
        bed.ctl("alpha", "node", node, "resume")
    states = [attempt["slurm_state"] for attempt in job["attempts"]]
    assert states == ["NODE_FAIL", "COMPLETED"]
    asked = questions(job)
    assert sorted(set(asked)) == list(range(32)) and len(asked) <= 33  # the one that was lost with the node
    sealed = (rundir / ".attempts/2/results").read_text().split()
    assert sealed[0] == hashlib.sha256((rundir / "artifacts/results.yml").read_bytes()).hexdigest()
    assert not (rundir / ".attempts/1/results").exists() and not (rundir / "artifacts.old").exists()
