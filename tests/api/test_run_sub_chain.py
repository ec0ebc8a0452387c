"""The chain of run.sub in mode in_job, under the stand-ins of run_sub.py: what an attempt queues, what it withdraws,
and when a successor has nothing to do."""

import os
import signal
import time

import pytest

from run_sub import RECORD, Run, wait_for

STEM = "team-nemo-evaluator-launcher.mmlu.0-0123456789abcdef"
STAND_INS = {
    "sbatch": RECORD + """
record("sbatch")
if has("sbatch-fails"):
    print("sbatch: error: Batch job submission failed: Socket timed out", file=sys.stderr)
    sys.exit(1)
print("sbatch: warning: it is late", file=sys.stderr)
print(open(os.environ["STAND"] + "/sbatch-says").read() if has("sbatch-says") else "77;alpha")
""",
    "scancel": RECORD + """
record("scancel")
if sys.argv[1] == "--signal=TERM":
    os.kill(int(open(os.environ["STAND"] + "/evaluator-pid").read()), 15)
""",
    "scontrol": RECORD + """
record("scontrol")
words = sys.argv[1:]
if words[:2] == ["show", "hostnames"]:
    print(words[2].replace(",", "\\n"))
elif "job" in words and has("job-" + words[-1]):
    print(open(os.environ["STAND"] + "/job-" + words[-1]).read(), end="")
elif words[0] == "update":
    sys.exit(has("update-fails"))
""",
    "sacct": RECORD + 'record("sacct")\nif has("sacct-rows"): print(open(os.environ["STAND"] + "/sacct-rows").read(), end="")\n',
}


class Chain(Run):
    def __init__(self, tmp_path):
        super().__init__(tmp_path, "in_job", 1)
        for name, text in STAND_INS.items():
            (self.stand / "bin" / name).write_text(text)
            (self.stand / "bin" / name).chmod(0o755)
        self.arguments = []
        self.job("42", f"{STEM}.1", "RUNNING", "00:00:00")

    def start(self, job_id="42", **env):
        # As sbatch passes them on: run.sub 2 3600.
        self.edit("#!/bin/bash\n#SBATCH", f"#!/bin/bash\nset -- {' '.join(self.arguments)}\n#SBATCH")
        return super().start(job_id, **env)

    def job(self, job_id, name, state, runtime="00:01:01", more=""):
        """What scontrol shows of a job."""
        self.set(f"job-{job_id}", f"JobId={job_id} JobName={name} UserId=u(1) JobState={state} {more} RunTime={runtime} X=1\n")

    def attempt(self, number, job_id, started=1000, ended=None):
        """An earlier attempt."""
        directory = self.job_dir / f".attempts/{number}"
        directory.mkdir(parents=True)
        (directory / "job").write_text(f"{job_id}\n")
        (directory / "started").write_text(f"{started}\n")
        (directory / "alive").touch()
        if ended is not None:
            (directory / "ended").write_text(f"{ended} 143\n")

    def succeed(self, number, job_id, state, limit_s=3600, seconds=61, **more):
        """This run is attempt `number`; the one before ended like that."""
        self.arguments = [str(number), str(limit_s)]
        self.attempt(number - 1, job_id, 1000, 1000 + seconds)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        self.job(job_id, f"{STEM}.{number - 1}", state, clock, **more)

    def sent(self):
        """The options and arguments of what was queued."""
        calls = self.calls("sbatch")
        assert len(calls) <= 1
        return calls[0]["argv"] if calls else None

    def fate(self, number):
        path = self.job_dir / f".attempts/{number}/fate"
        return path.read_text().split() if path.exists() else None

    def marker(self, number):
        return (self.job_dir / f".submitted/{number}/id").read_text().split()


@pytest.fixture
def chain(tmp_path):
    return Chain(tmp_path)


def test_first_attempt_queues_the_second_and_withdraws_it_after_success(chain):
    assert chain.run(SBATCH_PARTITION="wrong", SLURM_CPUS_PER_TASK="8") == 0, chain.log
    assert chain.sent() == ["--parsable", "--dependency=afternotok:42", "--kill-on-invalid-dep=yes",
                            f"--job-name={STEM}.2", "--time=60:0", "run.sub", "2", "3600"]
    environment = chain.calls("sbatch")[0]["env"]
    assert [name for name in environment if name.startswith(("SLURM_", "SBATCH_"))] == ["SLURM_CONF"]
    assert chain.marker(2)[0] == "77"
    assert [call["argv"][1] for call in chain.calls("scancel")] == [f"--name={STEM}.2"]
    assert chain.fate(2) == ["WITHDRAWN", "0"]


def test_failure_of_the_evaluation_withdraws_the_successor(chain):
    chain.set("evaluator-exit", "7")
    assert chain.run() == 7
    assert len(chain.calls("scancel")) == 1


def test_failure_that_is_to_be_resumed_leaves_the_successor(chain):
    chain.edit("NEL_RESUME_ON=('TIMEOUT'", "NEL_RESUME_ON=('FAILED'")
    chain.set("evaluator-exit", "7")
    assert chain.run() == 7
    assert chain.sent() and chain.calls("scancel") == []


@pytest.mark.parametrize("edit", [("NEL_MAX_ATTEMPTS=5", "NEL_MAX_ATTEMPTS=1"), ("NEL_BUDGET_S=9000", "NEL_BUDGET_S=59")])
def test_last_attempt_queues_nothing(chain, edit):
    chain.edit(*edit)
    assert chain.run() == 0
    assert chain.sent() is None and chain.calls("scancel") == []


def test_claim_that_is_there_queues_nothing_more(chain):
    """The daemon's, or of an earlier start of the same attempt; it is withdrawn all the same."""
    (chain.job_dir / ".submitted/2").mkdir(parents=True)
    assert chain.run() == 0
    assert chain.sent() is None and len(chain.calls("scancel")) == 1


@pytest.mark.parametrize("said", ["4500\n77", "77\n4500", "budget left:\n4500", "Submitted batch job 77", "77 GPU hours", ""])
def test_id_among_a_sites_notes_is_left_to_the_daemon(chain, said):
    """A wrong id would be a second job in the same directory: the claim stays, and the daemon asks for the name."""
    chain.set("sbatch-says", said)
    assert chain.run() == 0, chain.log
    assert (chain.job_dir / ".submitted/2").is_dir() and not (chain.job_dir / ".submitted/2/id").exists()
    assert "queued attempt 2; sbatch printed other than a job's id" in chain.log
    assert [call["argv"][1] for call in chain.calls("scancel")] == [f"--name={STEM}.2"]


def test_sbatch_that_fails_keeps_the_claim_and_the_job_goes_on(chain):
    chain.set("sbatch-fails")
    assert chain.run() == 0
    assert "attempt 2 could not be queued" in chain.log
    claim = chain.job_dir / ".submitted/2"
    assert claim.is_dir() and not (claim / "id").exists()


def test_successor_goes_on_with_what_the_budget_leaves(chain):
    chain.succeed(2, "41", "TIMEOUT", seconds=3700)
    chain.edit("NEL_BUDGET_S=9000", "NEL_BUDGET_S=4040")
    assert chain.run() == 0, chain.log
    assert chain.fate(1) == ["TIMEOUT", "3700"]
    assert "attempt 1 ended with TIMEOUT after 3700 s; this one may run 300 s" in chain.log
    assert [call["argv"] for call in chain.calls("scontrol") if call["argv"][0] == "update"] == [
        ["update", "JobId=42", "TimeLimit=5"]]
    assert chain.stamps(2)["job"] == ["42"]
    assert chain.sent()[4:] == ["--time=5:0", "run.sub", "3", "300"]


def test_successor_with_room_in_the_budget_keeps_its_limit(chain):
    chain.succeed(2, "41", "PREEMPTED")
    assert chain.run() == 0
    assert [call for call in chain.calls("scontrol") if call["argv"][0] == "update"] == []
    assert "--time=60:0" in chain.sent()


def test_successor_after_fast_failures_queues_the_next_with_a_delay(chain):
    chain.attempt(1, "40", 1000, 1010)
    (chain.job_dir / ".attempts/1/fate").write_text("NODE_FAIL 10\n")
    chain.succeed(3, "41", "NODE_FAIL", seconds=10)
    assert chain.run() == 0
    assert "--begin=now+60" in chain.sent()


@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "OUT_OF_MEMORY", "DEADLINE", "COMPLETED"])
def test_successor_of_an_attempt_that_is_not_to_be_resumed_stands_down(chain, state):
    chain.succeed(2, "41", state)
    assert chain.run() == 4
    assert f"nothing to do: attempt 1 ended with {state}" in chain.log
    assert chain.sent() is None and chain.calls("srun") == []
    assert chain.stamps(2)["ended"][0].endswith(" 4")


def test_successor_without_budget_stands_down(chain):
    chain.succeed(2, "41", "TIMEOUT", seconds=8950)
    assert chain.run() == 4
    assert "less than 60 s" in chain.log and chain.calls("srun") == []


def test_successor_that_cannot_lower_its_limit_stands_down(chain):
    chain.succeed(2, "41", "TIMEOUT", seconds=8000)
    chain.set("update-fails")
    assert chain.run() == 4
    assert chain.calls("srun") == []


def test_budget_counts_from_the_attempt_at_which_it_was_begun_anew(chain):
    chain.attempt(1, "40", 1000, 9900)
    chain.succeed(3, "41", "TIMEOUT", seconds=61)
    chain.edit("NEL_BUDGET_FROM=1", "NEL_BUDGET_FROM=2")
    assert chain.run() == 0, chain.log


def test_fate_of_a_forgotten_predecessor_comes_from_accounting(chain):
    chain.succeed(2, "41", "TIMEOUT")
    (chain.stand / "job-41").unlink()
    chain.set("sacct-rows", f"someone's|COMPLETED|9\n{STEM}.1|CANCELLED by 1001|30\n")
    assert chain.run() == 4
    assert chain.fate(1) == ["CANCELLED", "30"]


@pytest.mark.parametrize("state, told, fate, status", [
    ("FAILED", "124", "TIMEOUT", 0),  # it ended itself, for the budget
    ("FAILED", "143", "PREEMPTED", 0),  # it ended in its time of grace
    ("TIMEOUT", "0", None, 4),  # it had finished before Slurm ended it
    ("NODE_FAIL", "0", None, 4),
])
def test_successor_believes_what_its_predecessor_knew_better(chain, state, told, fate, status):
    chain.succeed(2, "41", state)
    (chain.job_dir / ".attempts/1/ended").write_text(f"1061 {told}\n")
    if fate:
        (chain.job_dir / ".attempts/1/fate").write_text(f"{fate} 61\n")
    assert chain.run() == status, chain.log
    assert chain.fate(1) == [fate or "COMPLETED", "61"]


@pytest.mark.parametrize("code", [135, 143])
@pytest.mark.parametrize("more", ["Reason=TimeLimit", "Reason=None PreemptTime=1790000000", None])
def test_steps_that_slurm_ends_before_the_script_hears_of_it_leave_the_successor(chain, code, more):
    """No SIGTERM comes. None: slurmctld does not answer."""
    chain.set("evaluator-exit", str(code))
    if more:
        chain.job("42", f"{STEM}.1", "COMPLETING", more=more)
    else:
        (chain.stand / "job-42").unlink()
    assert chain.run() == code, chain.log
    assert chain.sent() and chain.calls("scancel") == []


def test_end_of_the_budget_withdraws_the_successor(chain):
    chain.edit("NEL_BUDGET_S=9000", "NEL_BUDGET_S=450")
    chain.edit("NEL_WALLTIME_S=3600", "NEL_WALLTIME_S=60")
    chain.set("evaluator-waits")
    chain.set("job-42", f"JobId=42 JobName={STEM}.1 JobState=RUNNING \n")
    # When it ends itself 54 s are left.
    process = chain.start(SLURM_JOB_START_TIME=str(int(time.time()) - 385))
    assert chain.finish(process) == 124, chain.log
    assert chain.fate(1)[0] == "TIMEOUT"
    assert [call["argv"][1] for call in chain.calls("scancel") if "--name" in call["argv"][1]] == [f"--name={STEM}.2"]


@pytest.mark.parametrize("ended, fate, told, status", [
    (1061, None, ["FAILED", "61"], 4),  # by itself
    (1061, "TIMEOUT 61", ["TIMEOUT", "61"], 0),  # it saw that it was ended, and why
    (None, None, ["NODE_FAIL", None], 0),  # no end at all
])
def test_fate_of_a_predecessor_that_nobody_remembers_comes_from_its_stamps(chain, ended, fate, told, status):
    chain.edit("NEL_BUDGET_S=9000", "NEL_BUDGET_S=-1")
    chain.arguments = ["2", "3600"]
    chain.attempt(1, "41", 1000, ended)
    if fate:
        (chain.job_dir / ".attempts/1/fate").write_text(fate + "\n")
    # The id belongs to somebody else by now.
    chain.job("41", "someone-elses", "COMPLETED")
    assert chain.run() == status, chain.log
    assert chain.fate(1)[0] == told[0] and told[1] in (None, chain.fate(1)[1])


IDLE = """#!/bin/bash
echo "0, 0"
"""


@pytest.mark.parametrize("before, goes_on", [(None, True), ("TIMEOUT", True), ("IDLE", False)])
def test_the_first_attempt_that_does_nothing_is_followed_and_a_second_is_not(chain, before, goes_on):
    smi = chain.stand / "bin/nvidia-smi"
    smi.write_text(IDLE)
    smi.chmod(0o755)
    chain.edit("((${#NEL_SERVER_NAME[@]} > 0)) || return 0\n    if ! type", "if ! type")  # there is no server here
    chain.edit("readonly NEL_TOTAL_NODES=", "readonly NEL_IDLE_LIMIT_S=1\nreadonly NEL_TOTAL_NODES=")
    chain.set("evaluator-waits")
    if before:
        chain.succeed(2, "41", "FAILED")
        (chain.job_dir / ".attempts/1/fate").write_text(f"{before} 61\n")
    number = 2 if before else 1
    chain.job("42", f"{STEM}.{number}", "RUNNING", "00:00:00")
    assert chain.run() == 123, chain.log
    assert chain.fate(number)[0] == "IDLE"
    if before:
        assert f"attempt 1 ended with {before} after 61 s; this one may run" in chain.log
    assert (f"withdrew attempt {number + 1}" not in chain.log) == goes_on


@pytest.mark.parametrize("more, state, fate", [
    ("Reason=TimeLimit", "COMPLETING", "TIMEOUT"),
    ("Reason=None PreemptTime=2026-01-31T12:00:00", "COMPLETING", "PREEMPTED"),
    ("Reason=None PreemptTime=None", "COMPLETING", None),
    ("Reason=None PreemptTime=None", "RUNNING", None),
])
def test_sigterm_leaves_the_successor_when_slurm_ends_the_job(chain, more, state, fate):
    chain.set("evaluator-waits")
    process = chain.start()
    wait_for(chain.stand / "evaluator-started")
    chain.job("42", f"{STEM}.1", state, more=more)
    process.send_signal(signal.SIGTERM)
    os.kill(int((chain.stand / "evaluator-pid").read_text()), signal.SIGTERM)
    assert chain.finish(process) == 143, chain.log
    assert (chain.fate(1) or [None])[0] == fate
    # A SIGTERM for the script alone is no end of Slurm's: the job fails by itself.
    withdrawn = [call for call in chain.calls("scancel") if f"--name={STEM}.2" in call["argv"]]
    assert len(withdrawn) == (state == "RUNNING")
