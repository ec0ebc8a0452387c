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
SHARED = {"execution": {"share_deployment": True, "gres": "gpu:1"}}

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
    execution = {**SHARED["execution"], "walltime": "00:02:00", "max_walltime": "00:10:00"}
    return site.vllm(task(4), task(32, delay_s=6, parallelism=1), task(4), execution=execution)


@submission()
def out_of_budget(site):
    execution = {**SHARED["execution"], "walltime": "00:02:00", "max_walltime": "00:03:50"}
    return site.vllm(task(4), task(40, delay_s=200, parallelism=1), task(4), execution=execution)


@submission()
def mixed(site):
    fails = task(4, extra={"fail_with": 7})
    return site.vllm(fails, LONG, task(4), task(4, post_cmd="rm /results/results.yml"), **SHARED)


@submission()
def dies(site):
    dying = {"env_vars": {"NEL_TEST_SERVER_DIE_AFTER_S": "lit:40"}}
    return site.vllm(task(4), task(40, delay_s=3, parallelism=1), task(4), deployment=dying, **SHARED)


@submission()
def dies_once(site):
    """The second server finds the mark of the first one."""
    command = "if mkdir /mark/begun; then export NEL_TEST_SERVER_DIE_AFTER_S=30; fi; $SERVE"
    mounts = {"mount_home": False, "deployment": {str(mark_of(site.env)): "/mark"}}
    return site.generic(command, task(4), task(20, delay_s=3, parallelism=1), task(4),
                        execution={**SHARED["execution"], "mounts": mounts})


@submission()
def called_off(site):
    return site.vllm(task(4), task(40, delay_s=30, parallelism=1), **SHARED)


@submission()
def waits(site):
    """In Slurm's queue, for longer than the tests take."""
    execution = {**SHARED["execution"], "sbatch_extra_flags": {"begin": "now+2hours"}}
    return site.vllm(task(4), task(4), task(4), execution=execution)


def mark_of(env):
    return Path(env["NEL_SHARED"]) / "shared-mark"


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    shutil.rmtree(mark_of(bed.env), ignore_errors=True)
    mark_of(bed.env).mkdir()
    mark_of(bed.env).chmod(0o777)
    return submissions.submit_all(bed, daemon, model_server)


def ended(run, name, state):
    """The evaluation when it has ended, its jobs with their attempts."""
    client = run.daemon.client
    evaluation = client.wait_end(run.evaluations[name]["id"], state, TIMEOUT_S)
    return evaluation, [client.job(job["id"]) for job in evaluation["jobs"]]


def starts(jobs):
    """How often each of the chain's servers was started, a log an attempt."""
    logs = (Path(jobs[0]["rundir"]).parent / "shared.1/logs").glob("server-*.log")
    return [path.read_text().count(" loading ") for path in sorted(logs, key=lambda path: int(path.name.split("-")[2]))]


def starts_of_own(job):
    """How often the server of a job that shares none was started."""
    return sum(path.read_text().count(" loading ") for path in (Path(job["rundir"]) / "logs").glob("server-*.log"))


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
    mixed = run.evaluations["mixed"]["id"]
    fails, cancelled, follows, nothing = [f"{mixed}.{index}" for index in range(4)]
    client.wait_job(cancelled, lambda job: job["state"] == "running", "runs", TIMEOUT_S)
    assert "its turn on the shared server: 3 of 4" in client.job(follows)["waiting_on"]
    job = client.wait_job(cancelled, lambda job: job["progress"] and job["progress"]["rate_per_s"] and job["progress"]["total"],
                          "comes on", TIMEOUT_S)
    progress = job["progress"]
    assert progress["total"] == 8 and 0 < progress["rate_per_s"] < 8 and (progress["eta_s"] > 0 or progress["requests"] == 8)
    assert re.search(r"^1 +lm-evaluation-harness.ifeval +running +1 +[0-8]/8, 0\.\d+/s", nelctl(run, "status", mixed), re.M)
    # The server's log is there for each of them, also for one that has not begun, as of a job of its own.
    server = Path(job["rundir"]).parent / f"shared.1/logs/server-0-{job['slurm_job_id']}-0.log"
    for one in (fails, follows):
        names = [item["name"] for item in client.get(f"/v1/jobs/{one}/logs")["items"]]
        assert names == sorted(names) and {server.name, f"shared-slurm-{job['slurm_job_id']}.log"} <= set(names)
        assert log_of(run, one, "server-0-current-0.log", tail=1000).startswith(server.read_text()[:200])
    assert "4 jobs on one deployment" in log_of(run, follows, "shared-slurm-current.log")
    client.post(f"/v1/jobs/{cancelled}/cancel", 202)
    _, jobs = ended(run, "mixed", "failed")
    assert [job["state"] for job in jobs] == ["failed", "cancelled", "succeeded", "succeeded"]
    assert "exit code 7" in jobs[0]["reason"] and "cancelled by" in jobs[1]["reason"]
    assert "is not there" in jobs[3]["warnings"][0] and client.scores(nothing) == {}
    assert client.scores(follows) and jobs[2]["warnings"] == []
    asked = [questions(job) for job in jobs[2:]]
    # Resumed together, what did not succeed is evaluated again, and nothing else; then one by itself.
    client.post(f"/v1/evaluations/{mixed}/resume", 202)
    wait_for("it is resumed", lambda: client.job(cancelled)["state"] != "cancelled")
    client.wait_job(cancelled, lambda job: job["state"] == "succeeded", "succeeds", TIMEOUT_S)
    evaluation, jobs = ended(run, "mixed", "failed")
    (chain,) = evaluation["chains"]
    assert [attempt["jobs"] for attempt in jobs[1]["attempts"]][1:] == [[fails, cancelled]], chain
    assert [job["state"] for job in jobs] == ["failed", "succeeded", "succeeded", "succeeded"]
    client.post(f"/v1/jobs/{fails}/resume", 202)
    wait_for("it is resumed", lambda: len(client.job(fails)["attempts"]) == 3)
    _, jobs = ended(run, "mixed", "failed")
    assert jobs[0]["attempts"][-1]["jobs"] == [fails] and starts(jobs) == [1, 1, 1]
    assert [questions(job) for job in jobs[2:]] == asked
    bed.await_ledger(client, mixed, ["COMPLETED"] * 3)
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
    """What was left of the other would have taken 20 minutes. It costs no more than a moment, in which Slurm is told, and
    the evaluator and the server, which stop when they are told to, are gone."""
    client = run.daemon.admin
    evaluation = run.evaluations["called_off"]
    done, last = [f"{evaluation['id']}.{index}" for index in range(2)]
    client.wait_job(last, lambda job: job["state"] == "running", "runs", TIMEOUT_S)
    asked_at = time.time()
    client.post(f"/v1/jobs/{last}/cancel", 202)
    client.wait_job(last, lambda job: job["state"] == "cancelled", "is cancelled", TIMEOUT_S)
    assert client.job(done)["state"] == "succeeded"
    ended_at = wait_for("sacct has the end", lambda: end_by_sacct(bed, evaluation))
    assert ended_at - asked_at < 180, (asked_at, ended_at)
    bed.await_ledger(client, evaluation["id"], ["CANCELLED"])


def test_jobs_cancelled_in_slurms_queue_end_at_once_and_are_left_out_when_it_starts(run, bed):
    client = run.daemon.admin
    first, second, goes_on = [f"{run.evaluations['waits']['id']}.{index}" for index in range(3)]
    client.wait_job(goes_on, lambda job: job["state"] == "pending", "waits in Slurm", TIMEOUT_S)
    for job_id in (second, first):
        client.post(f"/v1/jobs/{job_id}/cancel", 202)
    for job_id in (first, second):
        job = client.wait_job(job_id, lambda job: job["state"] in ("cancelled", "running"), "is cancelled", 120)
        assert job["state"] == "cancelled" and "cancelled by" in job["reason"]
    assert client.job(goes_on)["state"] == "pending"
    bed.run("alpha", "scontrol", "update", f"jobid={client.job(goes_on)['slurm_job_id']}", "starttime=now")
    _, jobs = ended(run, "waits", "cancelled")
    assert [job["state"] for job in jobs] == ["cancelled", "cancelled", "succeeded"]
    assert [len(job["attempts"]) for job in jobs] == [1] * 3 and starts(jobs) == [1]
    assert len(answers(jobs[2])) == 4
    assert not any((Path(job["rundir"]) / "artifacts/questions.log").exists() for job in jobs[:2])
    bed.await_ledger(client, run.evaluations["waits"]["id"], ["COMPLETED"])


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
    assert starts(jobs) == [1] and [starts_of_own(job) for job in alone] == [1] * 6
    _, shared_s = bed.await_ledger(run.daemon.client, evaluation["id"], ["COMPLETED"])
    _, alone_s = bed.await_ledger(run.daemon.client, others["id"], ["COMPLETED"] * 6)
    assert shared_s <= SHARED_LIMIT * alone_s, (shared_s, alone_s)


def test_after_a_time_out_only_what_has_no_end_is_evaluated(run, bed):
    evaluation, jobs = ended(run, "out_of_time", "succeeded")
    (chain,) = evaluation["chains"]
    first, second = jobs[0]["attempts"][0], jobs[0]["attempts"][-1]
    assert first["jobs"] == [job["id"] for job in jobs[:2]]
    assert jobs[0]["id"] not in second["jobs"] and jobs[2]["id"] in second["jobs"]
    for job in jobs:
        assert sorted(answers(job)) == sorted(set(answers(job))), "something was evaluated twice"
    assert sorted(questions(jobs[0])) == sorted(set(questions(jobs[0])))  # in an order of their own, where two are under way
    used = sum(attempt["elapsed_s"] for attempt in jobs[0]["attempts"])
    assert chain["budget"]["used_s"] == used
    timeouts = len(jobs[0]["attempts"]) - 1
    assert starts(jobs) == [1] * (timeouts + 1)
    bed.await_ledger(run.daemon.client, evaluation["id"], ["TIMEOUT"] * timeouts + ["COMPLETED"])


def test_budget_is_that_of_all_together_charged_once_and_clips_the_last_attempt(run, bed):
    evaluation, jobs = ended(run, "out_of_budget", "failed")
    (chain,) = evaluation["chains"]
    assert chain["state"] == "budget_exhausted"
    assert [job["state"] for job in jobs] == ["succeeded", "budget_exhausted", "budget_exhausted"]
    attempts = jobs[0]["attempts"]
    assert [attempt["time_limit_s"] for attempt in attempts] == [120, 60]
    assert [attempt["jobs"] for attempt in attempts] == [[job["id"] for job in jobs[:2]], [jobs[1]["id"]]]
    run_s, _ = bed.await_ledger(run.daemon.client, evaluation["id"], ["TIMEOUT", "TIMEOUT|FAILED"])
    assert 120 < run_s <= 230 and chain["budget"]["limit_s"] == 230
    assert [holder["budget"]["used_s"] for holder in (chain, *jobs)] == [run_s] * 4
    for job in jobs[1:]:
        assert f"ran {run_s} s of 230 s" in job["reason"]
    assert sorted(questions(jobs[0])) == [0, 1, 2, 3]


def test_server_that_died_once_is_started_again_and_tasks_go_on_where_they_were(run, bed):
    evaluation, jobs = ended(run, "dies_once", "succeeded")
    assert starts(jobs) == [2] and [len(job["attempts"]) for job in jobs] == [1] * 3
    for job in jobs:
        assert sorted(answers(job)) == sorted(set(answers(job))), "something was answered twice"
    # What was under way is asked again, and what was asked in vain while the server was away; what had been answered is not.
    asked = questions(jobs[1])
    again = next((i for i in range(1, len(asked)) if asked[i] <= asked[i - 1]), 0)
    assert asked[again:] == list(range(asked[again], 20)) and (again == 0 or asked[again] > 0), asked
    bed.await_ledger(run.daemon.client, evaluation["id"], ["COMPLETED"])


def test_server_that_dies_again_fails_what_has_no_end(run, bed):
    evaluation, jobs = ended(run, "dies", "failed")
    assert [job["state"] for job in jobs] == ["succeeded", "failed", "failed"]
    for job in jobs[1:]:
        assert "a server was lost for the second time" in job["reason"], job["reason"]
    assert re.search(r"engine process failed", jobs[1]["reason"])
    assert starts(jobs) == [2]
    bed.await_ledger(run.daemon.client, evaluation["id"], ["FAILED"])
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
