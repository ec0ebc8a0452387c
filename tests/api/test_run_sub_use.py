"""What run.sub samples of GPUs and servers, and how it ends an evaluation that does nothing."""

import time

import pytest

from run_sub import maker, wait_for

make = pytest.fixture(maker)

SMI = """#!/bin/bash
[[ $* == '--query-gpu=index,utilization.gpu --format=csv,noheader,nounits' ]] || exit 9
[[ -e $STAND/gpus ]] || exit 6
cat "$STAND/gpus"
"""
METRICS = """# TYPE vllm:request_success_total counter
vllm:request_success_total{finished_reason="stop",model_name="m"} %d.0
vllm:request_success_total{finished_reason="length",model_name="m"} 2.0
vllm:num_requests_running{model_name="m"} 1.0
"""


def sampled(make, gpus, limit=None, golden="vllm", nodes=1):
    run = make(golden, nodes)
    if gpus is not None:
        show(run, gpus)
        smi = run.stand / "bin/nvidia-smi"
        smi.write_text(SMI)
        smi.chmod(0o755)
    curl = run.stand / "bin/curl"
    curl.write_text(curl.read_text().replace('print("200"', """if sys.argv[-1].endswith("/metrics") and has("metrics"):
    if has("requests-finish"):  # one from each look to the next
        with open(os.environ["STAND"] + "/requests-finish", "a+") as file:
            file.write(".")
            count = file.tell()
    else:
        count = 7
    print(open(os.environ["STAND"] + "/metrics").read() % count)
print("200\""""))
    if limit:
        run.edit("readonly NEL_TOTAL_NODES=", f"readonly NEL_IDLE_LIMIT_S={limit}\nreadonly NEL_TOTAL_NODES=")
    return run


def show(run, gpus):
    """What nvidia-smi says from now on."""
    new = run.stand / "gpus.new"
    new.write_text(gpus)
    new.rename(run.stand / "gpus")


def use_of(run):
    path = run.job_dir / ".attempts/1/use"
    return [int(n) for n in path.read_text().split()] if path.exists() else None


def fate_of(run, attempt=1):
    path = run.job_dir / f".attempts/{attempt}/fate"
    return path.read_text().split()[0] if path.exists() else None


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def run_until_sampled(run, enough=lambda use: use[0] >= 5, **env):
    run.set("evaluator-waits")
    process = run.start(**env)
    wait_for(run.stand / "evaluator-started")
    wait_until(lambda: use_of(run) and enough(use_of(run)))
    process.terminate()
    run.finish(process)
    return use_of(run)


def idle_once_started(run, how):
    """Runs it to its end; its GPUs have work until the evaluator is there. Returns the exit code."""
    gpus = (run.stand / "gpus").read_text()
    show(run, "0, 95\n")
    (run.stand / "evaluator-started").unlink(missing_ok=True)
    run.set(how)
    process = run.start()
    wait_for(run.stand / "evaluator-started")
    show(run, gpus)
    return run.finish(process)


@pytest.mark.parametrize("gpus, env, mean, low", [
    ("0, 95\n1, 45\n", {}, 70, False),
    ("0, 0\n1, 9\n", {}, 4, True),
    ("0, [N/A]\n1, 100\n", {}, 100, False),
    ("0, 255\n", {}, 100, False),
    # Of a node that is shared, this job's.
    ("0, 90\n1, 8\n2, 90\n3, 6\n", {"SLURM_GPUS_ON_NODE": "2", "SLURM_JOB_GPUS": "1,3"}, 7, True),
    # Slurm shows this job's alone, under other numbers.
    ("0, 20\n1, 40\n", {"SLURM_GPUS_ON_NODE": "2", "SLURM_JOB_GPUS": "4,5"}, 30, False),
])
def test_samples_are_the_mean_of_the_jobs_own_gpus(make, gpus, env, mean, low):
    use = run_until_sampled(sampled(make, gpus), **env)
    assert use[1] == use[0] * mean
    assert use[2] == (use[0] if low else 0)


@pytest.mark.parametrize("gpus", [None, "0, [N/A]\n", "No devices were found\n", ""])
def test_without_a_gpu_that_says_something_nothing_is_sampled_and_nothing_ends(make, gpus):
    run = sampled(make, gpus, limit=1)
    assert run.run() == 0, run.log
    assert use_of(run) is None and fate_of(run) is None
    assert ("there is no nvidia-smi on this node" in run.log) == (gpus is None)


def test_nothing_is_sampled_before_the_server_is_ready(make):
    run = sampled(make, "0, 0\n", limit=1)
    run.set("server-waits")
    server = run.stand / "container/vllm"
    server.write_text(server.read_text().replace("touch", "while [[ -e $STAND/server-waits ]]; do /bin/sleep 0.1; done\ntouch"))
    process = run.start()
    wait_for(run.stand / "server-argv")
    asked = len(run.calls("curl"))
    time.sleep(2)  # longer than it may be idle
    wait_until(lambda: len(run.calls("curl")) > asked + 5)
    assert use_of(run) is None
    show(run, "0, 95\n")
    (run.stand / "server-waits").unlink()
    assert run.finish(process) == 0, run.log
    assert fate_of(run) is None


def test_an_idle_evaluation_is_stopped_and_says_so(make):
    run = sampled(make, "0, 3\n", limit=2)
    run.set("metrics", METRICS)
    assert idle_once_started(run, "evaluator-waits") == 123, run.log
    assert "neither the GPUs nor the servers have done anything for 2 s (execution.idle_limit)" in run.log
    assert fate_of(run) == "IDLE"
    assert (run.artifacts / ".nemo_evaluator_interrupted").exists()
    assert run.stamps()["ended"][0].endswith(" 123")
    assert use_of(run)[3] >= 2
    # A later start of the attempt adds to what was sampled.
    before = use_of(run)
    (run.stand / "evaluator-waits").unlink()
    show(run, "0, 95\n")
    assert run.run() == 0, run.log
    assert fate_of(run) is None and use_of(run)[0] >= before[0]


def test_an_idle_evaluation_that_ignores_the_signal_is_killed(make):
    run = sampled(make, "0, 3\n", limit=1)
    run.edit("stop_grace_s=30", "stop_grace_s=1")
    assert idle_once_started(run, "evaluator-stubborn") == 123, run.log
    assert "the evaluation is killed" in run.log and fate_of(run) == "IDLE"


@pytest.mark.parametrize("gpus, counted", [("0, 0\n1, 10\n", False), ("0, 0\n", True)])
def test_a_gpu_that_works_or_a_request_that_is_finished_is_not_idle(make, gpus, counted):
    run = sampled(make, gpus, limit=2)
    if counted:
        run.set("metrics", METRICS)
        run.set("requests-finish")
    use = run_until_sampled(run, lambda use: use[0] >= 25)
    assert fate_of(run) != "IDLE" and "idle_limit" not in run.log
    assert use[3] == 0


def test_of_several_nodes_gpus_alone_do_not_tell(make):
    """Those of the other nodes are not seen from here; a counter is."""
    run = sampled(make, "0, 0\n", limit=1, golden="instances", nodes=6)
    assert run_until_sampled(run, lambda use: use[0] >= 15)[3] == 0
    run.set("metrics", METRICS)
    assert idle_once_started(run, "evaluator-waits") == 123, run.log
