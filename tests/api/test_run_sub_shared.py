"""What run.sub does for several jobs on one deployment: one start of the server, each job's own files, secrets and end, and
what the next attempt still evaluates."""

import os
import signal
import socket

import pytest

from run_sub import GOLDEN, GOLDEN_OUTPUT, SHARED_BODY, Run, environment_file, has_secret, wait_for

RUN_DIR = "20260131_120000-0123456789abcdef"
JOBS = {"gsm8k.2": "2", "mmlu.0": "0", "ifeval.3": "3"}  # as in the golden header: the order that it asks for

# Like the real one it writes its scores in the end, and saves what it has when it is told to stop.
EVALUATOR = """#!/bin/bash
echo "start $JOB" >>"$STAND/order"
env -0 >"$STAND/env-$JOB"
echo $$ >"$STAND/pid-$JOB"
stop() {
    touch "$ARTIFACTS/.nemo_evaluator_interrupted"
    exit 0
}
trap stop TERM
[[ ! -e $STAND/stubborn-$JOB ]] || trap '' TERM
touch "$STAND/begun-$JOB"
while [[ -e $STAND/waits-$JOB ]]; do /bin/sleep 0.05; done
if [[ -e $STAND/kills-$JOB ]]; then
    server=$(cat "$STAND/kills-$JOB")
    rm -f "$STAND/kills-$JOB" "$STAND/healthy"
    kill -KILL "$server"
    exit 1
fi
[[ -e $STAND/fails-$JOB ]] && exit "$(cat "$STAND/fails-$JOB")"
[[ -e $STAND/resultless-$JOB ]] || echo "results: of $JOB" >"$ARTIFACTS/results.yml"
echo "end $JOB" >>"$STAND/order"
"""

SQUEUE = """#!/bin/bash
[[ $* != *--steps* ]] || for job in 0 2 3; do echo "42.$job evaluation-$job"; done
"""

SCANCEL = """#!/bin/bash
signal=${1#--signal=} job=${2#42.}
echo "$signal $job" >>"$STAND/signals"
kill -s "$signal" "$(cat "$STAND/pid-$job")"
"""


class SharedRun(Run):
    def __init__(self, tmp_path, golden="shared", nodes=1):
        super().__init__(tmp_path, "vllm", nodes)
        self.run_dir = self.output / RUN_DIR
        self.chain = self.run_dir / "shared.1"
        for folder in ["shared.1", *JOBS]:
            for directory in ("logs", "artifacts"):
                (self.run_dir / folder / directory).mkdir(parents=True, exist_ok=True)
        (self.chain / ".secrets.env").write_text(
            "case $1 in\ndeployment) export HF_TOKEN=s3cret-model ;;\nauxiliary.judge) export HF_TOKEN=s3cret-judge ;;\nesac\n"
        )
        for folder, index in JOBS.items():
            (self.run_dir / folder / ".secrets.env").write_text(
                f"case $1 in\nevaluation) export API_KEY=s3cret-{index} OTHER_KEY=s3cret-{index} ;;\n"
                f"export) export WANDB_API_KEY=s3cret-export-{index} ;;\nesac\n"
            )
            (self.run_dir / folder / "config_ef.yaml").write_text(f"config:\n  type: {folder}\n  url: ${{JUDGE_CHAT_URL}}\n")
        header = (GOLDEN / f"run_sub_{golden}.txt").read_text().replace(GOLDEN_OUTPUT, str(self.output))
        self.job_dir = self.chain
        self.script = self.chain / "run.sub"
        self.script.write_text(header + SHARED_BODY)
        for where, name, text in (
            ("container", "nemo-evaluator", EVALUATOR),
            ("bin", "squeue", SQUEUE),
            ("bin", "scancel", SCANCEL),
        ):
            (self.stand / where / name).write_text(text)

    def next_attempt(self, number):
        self.edit(f"readonly NEL_ATTEMPT={number - 1}\n", f"readonly NEL_ATTEMPT={number}\n")
        (self.stand / "order").unlink(missing_ok=True)

    def record(self, folder):
        return self.chain / ".jobs" / folder

    def end(self, folder):
        """Exit code, attempt and why; None when it has no end."""
        path = self.record(folder) / "end"
        if not path.exists():
            return None
        code, started, ended, attempt, why = path.read_text().split()
        assert 1600000000 < int(started) <= int(ended)
        return int(code), int(attempt), why

    def ends(self):
        return {folder: self.end(folder) for folder in JOBS}

    def cancel(self, folder):
        self.record(folder).mkdir(parents=True, exist_ok=True)
        (self.record(folder) / "cancel").touch()

    def order(self):
        path = self.stand / "order"
        return path.read_text().split("\n")[:-1] if path.exists() else []

    def job_log(self, folder, job_id="42"):
        return (self.run_dir / folder / f"logs/slurm-{job_id}.log").read_text()

    def server_starts(self):
        return len([c for c in self.calls("srun") if "--job-name=server-0" in c["argv"]])

    def server_pid(self):
        return [c for c in self.calls("srun") if "--job-name=server-0" in c["argv"]][-1]["pid"]


@pytest.fixture
def make(tmp_path):
    return lambda golden="shared", nodes=1: SharedRun(tmp_path, golden, nodes)


ENDED = (0, 1, "ended")


def test_jobs_are_evaluated_one_after_the_other_on_one_server(make):
    run = make()
    assert run.run() == 0, run.log
    assert run.server_starts() == 1
    assert run.order() == ["start 2", "end 2", "start 0", "end 0", "start 3", "end 3"]
    assert run.ends() == dict.fromkeys(JOBS, ENDED)
    for folder, index in JOBS.items():
        assert (run.run_dir / folder / "artifacts/results.yml").read_text() == f"results: of {index}\n"
        attempt = run.record(folder) / ".attempts/1"
        assert len((attempt / "started").read_text().split()) == 1
        assert (attempt / "ended").read_text().split()[1:] == ["0"]
        assert len((attempt / "results").read_text().split()[0]) == 64
        assert "ended with exit code 0" in run.job_log(folder)
    assert run.stamps()["ended"][0].split()[1] == "0"
    with pytest.raises(ProcessLookupError):
        os.kill(run.server_pid(), 0)


def test_jobs_whose_exit_codes_bash_loses_have_finished_where_their_scores_are(make):
    """It loses one when a trap runs in the instant in which a child ends."""
    run = make()
    run.set("fails-2", "7")
    run.edit("if jobs -rp | grep -qx", "if echo \"$1\" | grep -qx")
    assert run.run() == 0, run.log
    assert run.ends() == {"gsm8k.2": (143, 1, "ended"), "mmlu.0": ENDED, "ifeval.3": ENDED}


def test_each_job_notes_the_total_that_its_own_evaluator_says(make):
    run = make()
    bars = {"gsm8k.2": ("\rRequesting API:  40%|####      | 400/1000 [01:00<01:30,  6.66it/s]\n", "1000\n"),  # lm-evaluation-harness
            "mmlu.0": ("[I 2026-01-31T12:00:00] Evaluation progress processed=30 total=300 pct=10\n", "300\n"),  # nemo-evaluator
            "ifeval.3": ("starting\n", None)}
    for folder, (bar, _) in bars.items():
        (run.run_dir / folder / "logs/client-42.log").write_text(bar)
    assert run.run() == 0, run.log
    noted = {folder: run.record(folder) / ".attempts/1/total" for folder in bars}
    assert {folder: path.read_text() if path.exists() else None for folder, path in noted.items()} == {
        folder: total for folder, (_, total) in bars.items()}


def test_each_evaluation_has_its_own_image_mounts_log_and_secrets(make):
    run = make()
    assert run.run() == 0, run.log
    steps = run.steps()
    assert list(steps) == ["server-0", "evaluation-2", "evaluation-0", "evaluation-3"]
    assert f"--container-mounts={run.run_dir}/mmlu.0/artifacts:/results,/data/mmlu:/datasets" in steps["evaluation-0"][0]
    assert f"--output={run.run_dir}/mmlu.0/logs/client-%A.log" in steps["evaluation-0"][0]
    assert f"--output={run.chain}/logs/server-0-%A-%t.log" in steps["server-0"][0]
    # Each sees its own secrets, and nobody else's.
    assert steps["evaluation-2"][1]["OTHER_KEY"] == "s3cret-2"
    assert steps["evaluation-0"][1]["API_KEY"] == "s3cret-0"
    assert has_secret(steps["evaluation-3"][1]) == []  # it asks for none, so its file is not read
    for name, own in {"evaluation-2": "s3cret-2", "evaluation-0": "s3cret-0", "server-0": "s3cret-model"}.items():
        assert {v for v in steps[name][1].values() if "s3cret" in v} == {own}
    # So with pre_cmd and post_cmd: of job 2 alone.
    assert environment_file(run.stand / "env-2")["FROM_PRE_CMD"] == "gsm8k"
    assert "FROM_PRE_CMD" not in environment_file(run.stand / "env-0")
    assert "ADAPTER_PORT" not in environment_file(run.stand / "env-0")
    assert "s3cret" not in run.log + "".join(run.job_log(folder) for folder in JOBS)


def test_jobs_at_once_share_the_auxiliaries_and_each_is_exported(make):
    run = make("shared_export", nodes=2)
    for index in ("0", "2", "3"):
        run.set(f"waits-{index}")
    process = run.start()
    wait_for(run.stand / "begun-2")
    wait_for(run.stand / "begun-0")
    assert not (run.stand / "begun-3").exists()
    (run.stand / "waits-2").unlink()
    wait_for(run.stand / "begun-3")
    for index in ("0", "3"):
        (run.stand / f"waits-{index}").unlink()
    assert run.finish(process) == 0, run.log
    assert run.ends() == dict.fromkeys(JOBS, ENDED)
    # The evaluators' adapters are not each other's.
    adapters = [environment_file(run.stand / f"env-{index}")["ADAPTER_PORT"] for index in JOBS.values()]
    assert len(set(adapters)) == 3 and all(23000 <= int(port) < 25000 for port in adapters)
    servers = [a for c in run.calls("srun") for a in c["argv"] if a.startswith("--job-name=") and "server" in a]
    assert sorted(servers) == ["--job-name=judge-server-0", "--job-name=server-0"]
    assert "url: http://10.0.0.2:8001/v1/chat/completions" in (run.run_dir / "mmlu.0/artifacts/config_ef.yaml").read_text()
    names = [a for c in run.calls("sbatch") for a in c["argv"] if a.startswith("--job-name=nel-export-")]
    assert sorted(names) == sorted(f"--job-name=nel-export-{folder}" for folder in JOBS)
    for folder, index in JOBS.items():
        assert (run.run_dir / folder / ".export.env").read_text() == f"export WANDB_API_KEY=s3cret-export-{index}\n"


def test_adapters_get_no_port_that_is_taken_and_none_where_the_config_has_one(make):
    run = make("shared_export", nodes=2)
    run.edit("evaluation API_KEY secret ''", "evaluation API_KEY secret ''\n    evaluation ADAPTER_PORT literal '4000'")
    first = 23000 + (42 * 16 + 2) % 2000  # of job 2 in Slurm job 42
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert run.run() == 0, run.log
    ports = {index: int(environment_file(run.stand / f"env-{index}")["ADAPTER_PORT"]) for index in JOBS.values()}
    assert ports["0"] == 4000 and first < ports["2"] < first + 20


def test_a_failed_job_and_one_without_results_stop_no_other(make):
    run = make()
    run.set("fails-2", "7")
    run.set("resultless-0")
    assert run.run() == 0, run.log
    assert run.ends() == {"gsm8k.2": (7, 1, "ended"), "mmlu.0": ENDED, "ifeval.3": ENDED}
    assert (run.record("mmlu.0") / ".attempts/1/results").read_text() == "none 0 0\n"
    assert not (run.record("gsm8k.2") / ".attempts/1/results").exists()
    assert run.job_log("gsm8k.2").endswith("ended with exit code 7\n")


def test_a_job_that_gives_up_says_why_in_its_own_log(make):
    run = make()
    (run.run_dir / "gsm8k.2/config_ef.yaml").unlink()
    assert run.run() == 0, run.log
    assert run.end("gsm8k.2") == (1, 1, "ended")
    assert "gave up: cannot read" in run.job_log("gsm8k.2").splitlines()[-1]
    assert run.end("mmlu.0") == run.end("ifeval.3") == ENDED


@pytest.mark.parametrize("stubborn", [False, True])
def test_cancel_of_the_running_job_ends_its_step_alone(make, stubborn):
    run = make()
    run.set("waits-2")
    if stubborn:
        run.edit("stop_grace_s=30", "stop_grace_s=1")
        run.set("stubborn-2")
    process = run.start()
    wait_for(run.stand / "begun-2")
    run.cancel("gsm8k.2")
    assert run.finish(process) == 0, run.log
    code, attempt, why = run.end("gsm8k.2")
    assert code != 0 and (attempt, why) == (1, "cancelled")
    assert run.end("mmlu.0") == run.end("ifeval.3") == ENDED
    signals = (run.stand / "signals").read_text().split("\n")[:-1]
    assert signals[0] == "TERM 2" and set(signals) <= {"TERM 2", "KILL 2"}
    assert ("KILL 2" in signals) == stubborn


def test_cancel_of_a_waiting_job_never_starts_it(make):
    run = make()
    run.set("waits-2")
    process = run.start()
    wait_for(run.stand / "begun-2")
    run.cancel("mmlu.0")
    wait_for(run.record("mmlu.0") / "end")
    (run.stand / "waits-2").unlink()
    assert run.finish(process) == 0, run.log
    assert run.ends() == {"gsm8k.2": ENDED, "mmlu.0": (143, 1, "cancelled"), "ifeval.3": ENDED}
    assert "start 0" not in run.order()


def test_cancel_of_the_last_job_ends_the_script(make):
    run = make()
    run.set("waits-2")
    process = run.start()
    wait_for(run.stand / "begun-2")
    for folder in reversed(JOBS):
        run.cancel(folder)
    assert run.finish(process) == 0, run.log
    assert {end[2] for end in run.ends().values()} == {"cancelled"}
    assert run.order() == ["start 2"]
    with pytest.raises(ProcessLookupError):
        os.kill(run.server_pid(), 0)


def test_cancel_of_all_jobs_while_the_server_loads_ends_the_script(make):
    run = make()
    (run.stand / "container/vllm").write_text("#!/bin/bash\ntouch \"$STAND/loading\"\nwhile :; do /bin/sleep 0.1; done\n")
    process = run.start()
    wait_for(run.stand / "loading")
    for folder in JOBS:
        run.cancel(folder)
    assert run.finish(process) == 0, run.log
    assert run.order() == []
    assert "nothing is left to do" in run.log


def test_an_attempt_with_nothing_left_starts_no_server(make):
    run = make()
    assert run.run() == 0, run.log
    run.next_attempt(2)
    assert run.run(job_id="43") == 0, run.log
    assert run.server_starts() == 1 and run.order() == []
    assert run.ends() == dict.fromkeys(JOBS, ENDED)


def test_the_attempt_after_a_time_out_evaluates_what_has_no_end_and_nothing_else(make):
    run = make()
    run.set("waits-0")
    process = run.start()
    wait_for(run.stand / "begun-0")
    (run.run_dir / "mmlu.0/artifacts/cache").write_text("half")
    os.killpg(process.pid, signal.SIGTERM)  # as Slurm ends a job: all processes of all steps
    assert run.finish(process) != 0
    assert run.ends() == {"gsm8k.2": ENDED, "mmlu.0": None, "ifeval.3": None}
    assert run.order() == ["start 2", "end 2", "start 0"]
    (run.stand / "waits-0").unlink()
    run.next_attempt(2)
    assert run.run(job_id="43") == 0, run.log
    assert run.order() == ["start 0", "end 0", "start 3", "end 3"]
    assert run.ends() == {"gsm8k.2": ENDED, "mmlu.0": (0, 2, "ended"), "ifeval.3": (0, 2, "ended")}
    assert (run.run_dir / "mmlu.0/artifacts/cache").read_text() == "half"  # it goes on from there


def test_a_signal_for_the_script_alone_is_passed_on_to_the_running_steps(make):
    run = make("shared_export", nodes=2)
    for index in JOBS.values():
        run.set(f"waits-{index}")
    process = run.start()
    wait_for(run.stand / "begun-2")
    wait_for(run.stand / "begun-0")
    process.send_signal(signal.SIGTERM)
    assert run.finish(process) == 143, run.log
    assert run.ends() == dict.fromkeys(JOBS)
    assert sorted(set((run.stand / "signals").read_text().split("\n")[:-1])) == ["TERM 0", "TERM 2"]


def test_the_end_of_the_budget_stops_the_running_job_and_leaves_it_without_an_end(make):
    run = make()
    run.edit("readonly NEL_BUDGET_LEFT_S=9000", "readonly NEL_BUDGET_LEFT_S=60")
    run.set("waits-2")
    assert run.run() == 124, run.log
    assert run.ends() == dict.fromkeys(JOBS)
    assert run.order() in ([], ["start 2"])  # on a slow machine the budget may end before
    assert (run.chain / ".attempts/1/fate").read_text().startswith("TIMEOUT ")


def test_a_server_that_dies_once_is_started_again_and_the_jobs_go_on(make):
    run = make()
    run.set("waits-0")
    process = run.start()
    wait_for(run.stand / "begun-0")
    (run.stand / "begun-0").unlink()
    (run.stand / "healthy").unlink()
    os.kill(run.server_pid(), signal.SIGKILL)
    wait_for(run.stand / "begun-0")
    (run.stand / "waits-0").unlink()
    assert run.finish(process) == 0, run.log
    assert run.server_starts() == 2
    assert run.order() == ["start 2", "end 2", "start 0", "start 0", "end 0", "start 3", "end 3"]
    assert run.ends() == dict.fromkeys(JOBS, ENDED)
    assert len((run.record("mmlu.0") / ".attempts/1/started").read_text().split()) == 2


def test_a_job_that_fails_because_its_server_died_is_evaluated_again(make):
    run = make()
    run.set("waits-0")
    process = run.start()
    wait_for(run.stand / "begun-0")
    run.set("kills-0", str(run.server_pid()))
    (run.stand / "waits-0").unlink()
    assert run.finish(process) == 0, run.log
    assert run.server_starts() == 2
    assert run.ends() == dict.fromkeys(JOBS, ENDED)


def test_a_server_that_dies_twice_ends_the_attempt_with_its_last_lines(make):
    run = make()
    run.set("waits-0")
    process = run.start()
    for _ in range(2):
        wait_for(run.stand / "begun-0")
        (run.stand / "begun-0").unlink()
        (run.stand / "healthy").unlink()
        (run.chain / "logs/server-0-42-0.log").write_text("CUDA error: device lost\n")
        os.kill(run.server_pid(), signal.SIGKILL)
    assert run.finish(process) == 1, run.log
    assert run.ends() == {"gsm8k.2": ENDED, "mmlu.0": None, "ifeval.3": None}
    last = run.log.splitlines()[-1]
    assert "gave up: a server was lost for the second time: logs/server-0-42-*.log ends with: CUDA error" in last


def test_the_successor_in_the_job_has_the_same_directory(make):
    run = make("shared_export", nodes=2)
    assert run.run() == 0, run.log
    successor = [c for c in run.calls("sbatch") if "run.sub" in c["argv"]]
    assert len(successor) == 1 and successor[0]["argv"][-3:-1] == ["run.sub", "2"]
    assert (run.chain / ".submitted/2/id").read_text().startswith("77 ")
    assert (run.chain / ".attempts/2/fate").read_text() == "WITHDRAWN 0\n"  # nothing was left for it
