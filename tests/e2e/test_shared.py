"""Several tasks on one deployment: one Slurm job, one start of the server, and each task's own state, scores and end."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from configs import task
from submissions import FIRST_PORT, PORTS, Site, Submissions, artifact
from testbed import ROOT, answers, questions, wait_for

TIMEOUT_S = 420
START_S = 60  # of the server
SHARED_LIMIT = 0.4  # of what it costs with a server each
SHARED = {"execution": {"share_deployment": True}}

LONG = task(8, delay_s=5, parallelism=1, extra={"bar": True})

submissions = Submissions()
submission = submissions.add


def slow(shared):
    """On a GPU of its own, by which its cost is told."""
    return {"deployment": {"env_vars": {"NEL_TEST_SERVER_DELAY_S": f"lit:{START_S}"}},
            "execution": {"share_deployment": shared, "gres": "gpu:1"}}


def six(delay_s=2):
    return [task(4, delay_s=delay_s, extra={"bar": True}, name=f"lm-evaluation-harness.{name}")
            for name in ("ifeval", "mmlu", "gsm8k", "hellaswag", "arc", "bbh")]


@submission()
def together(site):
    return site.vllm(*six(), **slow(True))


@submission()
def apart(site):
    return site.vllm(*six(), **slow(False))


@submission()
def out_of_time(site):
    execution = {"share_deployment": True, "walltime": "00:01:00", "max_walltime": "00:10:00"}
    return site.vllm(task(4), task(16, delay_s=6, parallelism=1), task(4), execution=execution)


@submission()
def mixed(site):
    fails = task(4, extra={"fail_with": 7})
    return site.vllm(fails, LONG, task(4), **SHARED)


@submission()
def dies(site):
    dying = {"env_vars": {"NEL_TEST_SERVER_DIE_AFTER_S": "lit:20"}}
    return site.vllm(task(4), task(40, delay_s=3, parallelism=1), task(4), deployment=dying, **SHARED)


@submission()
def called_off(site):
    return site.vllm(task(4), task(40, delay_s=30, parallelism=1), **SHARED)


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    return submissions.submit_all(bed, daemon, model_server)


def ended(run, name, state):
    """The evaluation when it has ended, its jobs with their attempts."""
    client = run.daemon.client
    evaluation = client.wait_end(run.evaluations[name]["id"], state, TIMEOUT_S)
    return evaluation, [client.job(job["id"]) for job in evaluation["jobs"]]


def await_gpu_seconds(bed, evaluation_id, jobs):
    """When sacct, which lags, has the ends of all its Slurm jobs, which are so many: their GPU seconds together."""
    def look():
        text = bed.run("alpha", "sacct", "--allusers", "--allocations", "--noheader", "--parsable2", "--starttime=now-1day",
                       "--format=JobName,ElapsedRaw,State,AllocTRES")
        rows = [line.strip().split("|")[1:] for line in text.splitlines() if evaluation_id in line]
        if len(rows) != jobs or any(state != "COMPLETED" for _, state, _ in rows):
            return None
        return sum(int(elapsed) * int(re.search(r"gres/gpu=(\d+)", tres)[1]) for elapsed, _, tres in rows)

    return wait_for(f"sacct has the ends of {evaluation_id}", look)


def log_of(run, job_id, name, **params):
    return run.daemon.client.call("GET", f"/v1/jobs/{job_id}/logs/{name}", params=params).text


def nelctl(run, *words):
    env = {"PATH": "/usr/bin:/bin", "NEL_URL": run.daemon.client.base, "NEL_TOKEN": run.daemon.tokens["user"], "COLUMNS": "200"}
    return subprocess.run([ROOT / "examples/nelctl", *words], env=env, capture_output=True, text=True, timeout=120, check=True).stdout


def end_by_sacct(bed, evaluation):
    """When its only Slurm job ended, by this machine's clock; None while accounting does not know."""
    text = bed.run("alpha", "env", "SLURM_TIME_FORMAT=%s", "sacct", "--allusers", "--allocations", "--noheader", "--parsable2",
                   "--starttime=now-1day", "--format=JobName,End")
    (end,) = [line.strip().split("|")[1] for line in text.splitlines() if evaluation["id"] in line]
    return int(end) if end.isdigit() else None


def of_any_port(text):
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)


# First, for it looks while they run.
def test_each_job_says_its_own_truth_and_is_resumed_by_itself(run, bed):
    client = run.daemon.admin
    fails, cancelled, follows = [f"{run.evaluations['mixed']['id']}.{index}" for index in range(3)]
    client.wait_job(cancelled, lambda job: job["state"] == "running", "runs", TIMEOUT_S)
    assert "its turn on the shared server: 3 of 3" in client.job(follows)["waiting_on"]
    job = client.wait_job(cancelled, lambda job: job["progress"] and job["progress"]["rate_per_s"] and job["progress"]["total"],
                          "comes on", TIMEOUT_S)
    progress = job["progress"]
    assert progress["total"] == 8 and 0 < progress["rate_per_s"] < 8 and (progress["eta_s"] > 0 or progress["requests"] == 8)
    assert re.search(r"^1 +lm-evaluation-harness.ifeval +running +1 +[0-8]/8, 0\.\d+/s", nelctl(run, "status", run.evaluations["mixed"]["id"]), re.M)
    # The server's log is there for each of them, also for one that has not begun, as of a job of its own.
    server = Path(job["rundir"]).parent / f"shared.1/logs/server-0-{job['slurm_job_id']}-0.log"
    for one in (fails, follows):
        names = [item["name"] for item in client.get(f"/v1/jobs/{one}/logs")["items"]]
        assert names == sorted(names) and {server.name, f"shared-slurm-{job['slurm_job_id']}.log"} <= set(names)
        assert log_of(run, one, "server-0-current-0.log", tail=1000).startswith(server.read_text()[:200])
    assert "3 jobs on one deployment" in log_of(run, follows, "shared-slurm-current.log")
    client.post(f"/v1/jobs/{cancelled}/cancel", 202)
    _, jobs = ended(run, "mixed", "failed")
    assert [job["state"] for job in jobs] == ["failed", "cancelled", "succeeded"]
    assert "exit code 7" in jobs[0]["reason"] and "cancelled by" in jobs[1]["reason"]
    asked = questions(jobs[2])
    client.post(f"/v1/jobs/{cancelled}/resume", 202)
    wait_for("it is resumed", lambda: client.job(cancelled)["state"] != "cancelled")
    job = client.wait_job(cancelled, lambda job: job["state"] == "succeeded", "succeeds", TIMEOUT_S)
    assert job["attempts"][-1]["jobs"] == [cancelled] and job["attempts"][-1]["number"] == 2
    assert questions(client.job(follows)) == asked
    assert client.job(fails)["state"] == "failed"
    # Equal jobs tell how long each takes; what none tells of is last.
    body = Site(bed, "alpha", FIRST_PORT + PORTS * len(run.made), None).vllm(
        LONG, task(12, delay_s=1), task(4), execution={"share_deployment": True, "share_order": "shortest_first"})
    later = run.daemon.admin.submit(body)["id"]
    job = client.wait_job(f"{later}.2", lambda job: job["state"] != "queued" and job["attempts"], "is sent", TIMEOUT_S)
    assert job["attempts"][0]["jobs"] == [f"{later}.2", f"{later}.0", f"{later}.1"]
    client.wait_job(f"{later}.0", lambda job: job["state"] == "running", "runs", TIMEOUT_S)
    client.wait_job(f"{later}.2", lambda job: job["state"] == "succeeded", "has ended before", TIMEOUT_S)
    assert "its turn on the shared server: 3 of 3" in client.job(f"{later}.1")["waiting_on"]
    client.post(f"/v1/evaluations/{later}/cancel", 202)


def test_cancel_of_the_last_job_that_lives_ends_the_slurm_job_at_once(run, bed):
    """What was left of the other would have taken 20 minutes; the servers have 30 s to stop."""
    client = run.daemon.admin
    evaluation = run.evaluations["called_off"]
    done, last = [f"{evaluation['id']}.{index}" for index in range(2)]
    client.wait_job(last, lambda job: job["state"] == "running", "runs", TIMEOUT_S)
    asked_at = time.time()
    client.post(f"/v1/jobs/{last}/cancel", 202)
    client.wait_job(last, lambda job: job["state"] == "cancelled", "is cancelled", TIMEOUT_S)
    assert client.job(done)["state"] == "succeeded"
    ended_at = wait_for("sacct has the end", lambda: end_by_sacct(bed, evaluation))
    assert ended_at - asked_at < 90, (asked_at, ended_at)


def test_six_tasks_on_one_server_cost_its_start_once(run, bed):
    evaluation, jobs = ended(run, "together", "succeeded")
    others, alone = ended(run, "apart", "succeeded")
    (chain,) = evaluation["chains"]
    assert chain["id"] == f"{evaluation['id']}.c1" and chain["jobs"] == [job["id"] for job in jobs]
    assert all(job["chain"] == chain["id"] and len(job["attempts"]) == 1 for job in jobs)
    assert jobs[0]["attempts"][0]["jobs"] == chain["jobs"]
    assert len(others["chains"]) == 6
    for one, other in zip(jobs, alone):
        assert of_any_port(artifact(one, "results.yml")) == of_any_port(artifact(other, "results.yml"))
        assert run.daemon.client.scores(one["id"]) == run.daemon.client.scores(other["id"])
        assert one["progress"] == other["progress"] == {"requests": 4, "total": 4, "rate_per_s": None, "eta_s": None}
    shared_s = await_gpu_seconds(bed, evaluation["id"], 1)
    alone_s = await_gpu_seconds(bed, others["id"], 6)
    assert shared_s <= SHARED_LIMIT * alone_s, (shared_s, alone_s)


def test_after_a_time_out_only_what_has_no_end_is_evaluated(run):
    evaluation, jobs = ended(run, "out_of_time", "succeeded")
    (chain,) = evaluation["chains"]
    first, second = jobs[0]["attempts"][0], jobs[0]["attempts"][-1]
    assert first["jobs"] == [job["id"] for job in jobs[:2]]
    assert jobs[0]["id"] not in second["jobs"] and jobs[2]["id"] in second["jobs"]
    for job in jobs:
        assert sorted(answers(job)) == sorted(set(answers(job))), "something was evaluated twice"
    assert questions(jobs[0]) == sorted(set(questions(jobs[0])))
    used = sum(attempt["elapsed_s"] for attempt in jobs[0]["attempts"])
    assert chain["budget"]["used_s"] == used


def test_server_that_dies_is_started_again_once(run):
    evaluation, jobs = ended(run, "dies", "failed")
    assert [job["state"] for job in jobs] == ["succeeded", "failed", "failed"]
    for job in jobs[1:]:
        assert "a server was lost for the second time" in job["reason"], job["reason"]
    assert re.search(r"engine process failed", jobs[1]["reason"])
    # Its log stays readable for all, when the directory is gone.
    slurm_id = evaluation["chains"][0]["slurm_job_id"]
    name = f"server-0-{slurm_id}-0.log"
    ones = [jobs[0]["id"], jobs[2]["id"]]
    before = [log_of(run, one, name) for one in ones]
    shutil.rmtree(Path(jobs[0]["rundir"]).parent)
    assert "engine process failed" in before[0] and [log_of(run, one, name) for one in ones] == before
    for one in ones:
        items = {item["name"]: item["kept_from"] for item in run.daemon.client.get(f"/v1/jobs/{one}/logs")["items"]}
        assert items[name] == 0 and f"shared-slurm-{slurm_id}.log" in items
        assert log_of(run, one, name, follow="true") == before[0]
