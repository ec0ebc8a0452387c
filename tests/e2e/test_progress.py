"""How far a running job with a chain of its own is, as the API and nelctl tell it, for both forms in which evaluators say how many
requests there will be, and without any. For jobs that share a deployment: test_shared.py."""

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from configs import config, task
from testbed import ROOT

COUNT = 20
TOTALS = {"lm-evaluation-harness": COUNT, "nemo-evaluator": COUNT, "none": None}
BARS = {"lm-evaluation-harness": True, "nemo-evaluator": "events", "none": None}


def nelctl(daemon, *words):
    env = {"PATH": os.environ["PATH"], "NEL_URL": daemon.client.base, "NEL_TOKEN": daemon.tokens["user"], "COLUMNS": "200"}
    return subprocess.run([ROOT / "examples/nelctl", *words], env=env, capture_output=True, text=True, timeout=120,
                          check=True).stdout


def check_running(daemon, evaluation, total):
    """Once it says all that is to be known."""
    def comes_on(job):
        progress = job["progress"]
        return job["state"] == "running" and progress and progress["rate_per_s"] and progress["total"] == total

    progress = daemon.client.wait_job(f"{evaluation}.0", comes_on, "says how far it is")["progress"]
    assert set(progress) == {"requests", "total", "rate_per_s", "eta_s"} and 0 < progress["requests"] <= COUNT
    assert 0 < progress["rate_per_s"] <= 1  # one takes 4 s, and is counted when the cluster is looked at
    if total is None:
        assert progress["eta_s"] is None
    else:
        assert abs(progress["eta_s"] - (total - progress["requests"]) / progress["rate_per_s"]) <= 1
    finished = f"/{total}" if total else ""
    listed = nelctl(daemon, "status", evaluation)
    assert re.search(rf"^0 +lm-evaluation-harness.ifeval +running +1 +\d+{finished}, [01](\.\d+)?/s", listed, re.M), listed


def test_running_jobs_say_how_far_they_are_and_how_long_they_take(bed, daemon, model_server):
    evaluations = {}
    for name, bar in BARS.items():
        work = task(COUNT, delay_s=4, parallelism=1, extra={"bar": bar})
        evaluations[name] = daemon.client.submit(config(bed, model_server, work), model_server.env)["id"]
    with ThreadPoolExecutor() as pool:  # side by side, for they run side by side
        list(pool.map(lambda name: check_running(daemon, evaluations[name], TOTALS[name]), TOTALS))
    for evaluation in evaluations.values():
        job = daemon.client.wait_state(f"{evaluation}.0", "succeeded")
        assert job["progress"] == {"requests": COUNT, "total": COUNT, "rate_per_s": None, "eta_s": None}  # by its results
