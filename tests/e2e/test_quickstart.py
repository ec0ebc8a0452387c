"""examples/quickstart goes from a clone to scores; what it prints works, and what it leaves is what it says."""

import os
import re
import shutil
import signal
import subprocess

import requests
from testbed import ROOT, wait_for

TIMEOUT_S = 600  # it builds, beside other tests
SCORES = re.compile(r"TASK +METRIC +SCORE +VALUE +SAMPLES\n( +\w+ +acc +acc +0\.75 +20\n){3}")


def test_quickstart_that_stays_up_prints_steps_that_work(quickstart):
    status, text = quickstart.wait(TIMEOUT_S)
    assert status == 0, text[-4000:]
    assert SCORES.search(text), text[-4000:]
    assert re.search(r"this link signs in once.*:\n +http://\S+/#/sign-in/\w+\n", text), text[-4000:]
    steps, end = re.search(r"To use it from here:\n(.*)== settings and logs are in \S+ To end it all:\n(.*)", text, re.S).groups()
    commands = [line.strip() for line in steps.splitlines()]
    assert len(commands) == 10 and all("..." not in command for command in commands)
    script = "set -ex\n" + "\n".join(commands)
    done = subprocess.run(["bash", "-c", script], cwd="/", text=True, capture_output=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, env=quickstart.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("succeeded", "#SBATCH", "openapi: 3.1", "meta-llama/Llama-3.1-8B-Instruct", "mtbench", "mmlu_pro"):
        assert said in done.stdout, said
    # The printed link may have waited for the other tests for longer than it lives; this one does the same.
    exports = next(command for command in commands if command.startswith("export "))
    done = subprocess.run(["bash", "-c", f"{exports}; {ROOT}/examples/nelctl page"], text=True, capture_output=True, timeout=60,
                          stdin=subprocess.DEVNULL, env=quickstart.environment)
    url, code = re.fullmatch(r"(http://\S+)/#/sign-in/(\w+)\n", done.stdout).groups()
    sign_ins = [requests.post(f"{url}/v1/session", json={"code": code}, timeout=60).status_code for _ in range(2)]
    assert sign_ins == [201, 401]
    (end,) = end.split("\n")[:-1]
    done = subprocess.run(["bash", "-c", end], cwd="/", text=True, capture_output=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, env=quickstart.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert quickstart.states() == [] and quickstart.processes() == []


def test_quickstart_beside_one_that_was_killed_prints_scores_and_cleans_up(make_quickstart):
    killed = make_quickstart()
    wait_for("the cluster begins", lambda: any((state / "cluster/settings").exists() for state in killed.states()), TIMEOUT_S)
    os.killpg(killed.process.pid, signal.SIGKILL)
    killed.process.wait()
    left = killed.states()
    shutil.rmtree(left[0] / "cluster/log", ignore_errors=True)  # as when it was killed a moment earlier
    run = make_quickstart(beside=killed)
    status, text = run.wait(TIMEOUT_S)
    assert status == 0, text[-4000:]
    assert SCORES.search(text), text[-4000:]
    assert f"in {left[0]}; to end it: " in text
    assert "NEL_TOKEN" not in text  # of a service that has ended
    assert run.states() == left
    assert "all is ended" in run.stop()
    assert run.processes() == []


def test_quickstart_that_fails_keeps_the_logs_that_it_names(make_quickstart):
    run = make_quickstart("execution.output_dir=/not-there")
    status, text = run.wait(TIMEOUT_S)
    assert status == 1
    assert re.search(r"hellaswag: failed: .*/not-there", text), text[-4000:]
    assert "Of the log of the daemon, warnings and errors, and the last lines:\n" in text
    (state,) = run.states()
    assert text.endswith(f"quickstart: logs and settings are kept in {state} (exit code 1)\n")
    for name in ("build.log", "cluster.log", "daemon.log", "nel-slurmd.yaml", "cluster/log/alpha.slurmctld.log"):
        assert (state / name).stat().st_size > 0, name
    assert not (state / "master.key").exists()
    assert run.processes() == []
    assert "TASK" not in text


def test_quickstart_that_is_interrupted_leaves_nothing(make_quickstart):
    run = make_quickstart()
    run.wait_for("== waiting for evaluation", TIMEOUT_S)
    os.killpg(run.process.pid, signal.SIGINT)
    status, text = run.wait(120)
    assert status == 130, text[-4000:]
    assert run.states() == [] and run.processes() == []
    assert "kept in" not in text and "NEL_TOKEN" not in text
