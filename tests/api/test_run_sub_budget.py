"""run.sub at SIGTERM and at the end of its budget, and one attempt at a time."""

import os
import signal
import time

import pytest

from run_sub import WATCH_SLEEP, maker, seal, wait_for

make = pytest.fixture(maker)


@pytest.mark.parametrize("whole_job", [False, True])
def test_run_at_sigterm_lets_the_evaluation_save_and_ends_with_143(make, whole_job):
    run = make("vllm")
    run.set("evaluator-waits")
    # In the stand-in's 0.1 s a busy machine may not yet have ended the process by which run.sub tells whom Slurm told.
    run.edit("    sleep 1\n    ! kill -0", "    /bin/sleep 3\n    ! kill -0")
    process = run.start()
    wait_for(run.stand / "evaluator-started")
    if whole_job:
        # As Slurm does at the time limit: every process, the evaluation's too.
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
    assert run.finish(process) == 143, run.log
    cancelled = [call["argv"] for call in run.calls("scancel")]
    assert cancelled == ([] if whole_job else [["--signal=TERM", "42.1"]])
    assert run.stamps()["ended"][0].endswith(" 143")


def test_run_loses_no_signal_that_comes_while_it_expands_a_command(make):
    """bash 5.2 parses a trap that is pending when $(...) or <(...) is expanded as a part of it."""
    run = make("vllm")
    run.set("evaluator-waits")
    run.edit("trap on_alarm ALRM", "trap ': alarm' ALRM")  # one that takes no time
    process = run.start()
    wait_for(run.job_dir / ".attempts/1/started")  # the traps are set
    for _ in range(600):
        process.send_signal(signal.SIGALRM)
        time.sleep(0.002)
    wait_for(run.stand / "evaluator-started")
    process.send_signal(signal.SIGTERM)
    assert run.finish(process) == 143, run.log
    assert "unexpected EOF" not in run.log
    assert run.stamps()["ended"][0].endswith(" 143")


def budget(run, left_s):
    run.edit("NEL_BUDGET_LEFT_S=9000", f"NEL_BUDGET_LEFT_S={left_s}")


def fate(run, attempt=1):
    path = run.job_dir / f".attempts/{attempt}/fate"
    return path.read_text().split()[0] if path.exists() else None


@pytest.mark.parametrize("does", ["waits", "stubborn"])
def test_run_ends_itself_before_its_budget_does(make, does):
    """As Slurm's time limit would: the evaluation saves, and is killed when it does not; the exit code is 124."""
    run = make("vllm")
    run.set(f"evaluator-{does}")
    budget(run, 60)  # stopped after 45 s, killed after 51, over after 57
    begin = time.time()
    assert run.run() == 124, run.log
    assert 44 <= time.time() - begin <= 75  # with the start and the end of the processes on a busy machine
    assert 44 <= int(run.stamps()["ended"][0].split()[0]) - int(run.stamps()["started"][0]) <= 60
    assert fate(run) == "TIMEOUT" and run.stamps()["ended"][0].endswith(" 124")
    assert "the walltime budget is all but spent" in run.log
    assert seal(run) is None
    signals = [call["argv"][0] for call in run.calls("scancel")]
    assert signals[0] == "--signal=TERM" and ("--signal=KILL" in signals) == (does == "stubborn")
    with pytest.raises(ProcessLookupError):
        os.kill(run.calls("srun")[0]["pid"], 0)


def test_run_whose_alarms_come_faster_than_it_can_heed_them_ends_in_time(make):
    run = make("none")
    run.set("evaluator-waits")
    (run.stand / "bin/scontrol").write_text("#!/bin/bash\n[[ $1 == --oneliner ]] && exec /bin/sleep 3\necho n1\n")
    run.edit(WATCH_SLEEP, 'sleep "$pause" &')  # the stand-in's: ten alarms in a second
    budget(run, 60)  # 6 s from the signal to the kill, and as long to the end
    assert run.run() == 124, run.log
    assert "the walltime budget is all but spent" in run.log and fate(run) == "TIMEOUT"


def test_run_that_slurm_requeued_has_what_its_earlier_start_left(make):
    run = make("none")
    run.set("evaluator-waits")
    directory = run.job_dir / ".attempts/1"
    directory.mkdir(parents=True)
    (directory / "job").write_text("42\n")
    (directory / "started").write_text("1000\n")
    (directory / "ended").write_text("1940 143\n")
    budget(run, 1000)  # 60 s of it are left: 6 from the signal to the kill
    assert run.run() == 124, run.log
    assert len(run.stamps()["ended"]) == 2


def test_run_counts_what_slurm_counts_from_before_the_script(make):
    run = make("none")
    run.set("evaluator-waits")
    budget(run, 1000)
    begin = int(time.time()) - 935  # a long prolog; 10 s are left to it before it is stopped
    assert run.run(SLURM_JOB_START_TIME=str(begin)) == 124, run.log
    assert begin - 6 <= int(run.stamps()["started"][0]) <= begin  # the clock is looked at before and after scontrol, which has 5 s


INTERRUPTED = """touch "$ARTIFACTS/.nemo_evaluator_interrupted"; exit 0"""
FINISHED = """echo "results: {}" >"$ARTIFACTS/results.yml"; exit 0"""


def at_sigterm(run, old, new):
    """The evaluation does something else when it is told to stop."""
    evaluator = run.stand / "container/nemo-evaluator"
    text = evaluator.read_text()
    assert old in text
    evaluator.write_text(text.replace(old, new))


def lose_exit_code(run):
    """As bash does when a trap runs in the instant in which a child ends."""
    run.edit("if jobs -rp | grep -qx", "if echo \"$1\" | grep -qx")


@pytest.mark.parametrize("code_is_lost", [False, True])
def test_run_whose_evaluation_finishes_when_told_to_stop_succeeds(make, code_is_lost):
    run = make("none")
    run.set("evaluator-waits")
    at_sigterm(run, INTERRUPTED, FINISHED)
    if code_is_lost:
        lose_exit_code(run)
    budget(run, 60)  # 6 s from the signal to the kill, and as long to the end
    assert run.run() == 0, run.log
    assert "the walltime budget is all but spent" in run.log
    assert fate(run) is None and len(seal(run)[0]) == 64


@pytest.mark.parametrize("leaves", ["an old result", "nothing", "a marker", "a result, and is killed"])
def test_run_whose_evaluation_was_stopped_has_not_finished_where_its_exit_code_is_lost(make, leaves):
    run = make("none")
    if leaves == "an old result":
        (run.artifacts / "results.yml").write_text("results: {}\n")
        os.utime(run.artifacts / "results.yml", (1000, 1000))
    if leaves == "a result, and is killed":
        run.set("evaluator-stubborn")
        at_sigterm(run, "trap '' TERM;", """trap '' TERM; sleep 2; echo "results: {}" >"$ARTIFACTS/results.yml";""")
    else:
        run.set("evaluator-waits")
        at_sigterm(run, INTERRUPTED, FINISHED.replace("exit 0", INTERRUPTED) if leaves == "a marker" else "exit 0")
    lose_exit_code(run)
    budget(run, 60)
    assert run.run() == 124, run.log
    assert seal(run) is None and fate(run) == "TIMEOUT"


def test_run_whose_evaluation_leaves_quietly_when_told_to_stop_has_not_finished(make):
    """Exit code 0, no marker, and no results but those of an earlier attempt."""
    run = make("none")
    (run.artifacts / "results.yml").write_text("results: {}\n")
    os.utime(run.artifacts / "results.yml", (1000, 1000))
    run.set("evaluator-waits")
    at_sigterm(run, INTERRUPTED, "exit 0")
    budget(run, 60)  # 6 s from the signal to the kill, and as long to the end
    assert run.run() == 124, run.log
    assert seal(run) is None


def test_run_that_hangs_is_killed_at_the_end_of_its_budget(make):
    run = make("none")
    (run.stand / "bin/getent").write_text("#!/bin/bash\nexit 0\n")
    (run.stand / "bin/scontrol").write_text("#!/bin/bash\n[[ $2 != hostnames ]] || exec /bin/sleep 20\n")
    budget(run, 4)
    process = run.start()
    status = process.wait(120)
    assert status == -signal.SIGKILL, process.stdout.read()
    assert fate(run) == "TIMEOUT"


def test_run_of_a_lost_attempt_ends_when_a_newer_one_has_begun(make):
    run = make("vllm")
    run.set("evaluator-waits")
    process = run.start()
    wait_for(run.stand / "evaluator-started")
    newer = run.job_dir / ".attempts/2"
    newer.mkdir()
    (newer / "job").write_text("43\n")
    assert run.finish(process) == 143, run.log
    assert "another attempt has begun" in run.log
    assert seal(run) is None and run.stamps()["ended"] == []


def leave_past(run, claimed="41", **files):
    """What attempt 1 has left, this run being attempt 2."""
    directory = run.job_dir / ".attempts/1"
    directory.mkdir(parents=True)
    for name, text in {"job": f"{claimed}\n", "started": "1000\n", "alive": "x", **files}.items():
        (directory / name).write_text(text)
    (run.artifacts / "cache").mkdir()
    (run.artifacts / "cache/answers").write_text("what was done\n")
    (run.artifacts / "link").symlink_to("/etc/passwd")
    os.link(run.artifacts / "cache/answers", run.artifacts / "again")
    return os.open(run.artifacts, os.O_RDONLY | os.O_DIRECTORY)


def test_run_after_a_lost_node_goes_on_in_a_copy_that_the_earlier_attempt_does_not_reach(make):
    run = make("commands")
    theirs = leave_past(run)
    assert run.run() == 0, run.log
    assert "goes on in a copy" in run.log
    assert (run.artifacts / "cache/answers").read_text() == "what was done\n"
    assert (run.artifacts / "again").samefile(run.artifacts / "cache/answers")
    assert os.readlink(run.artifacts / "link") == "/etc/passwd"
    assert os.fstat(theirs).st_ino != run.artifacts.stat().st_ino
    with pytest.raises(FileNotFoundError):
        os.open("results.yml", os.O_CREAT | os.O_WRONLY, dir_fd=theirs)
    assert not (run.job_dir / "artifacts.old").exists() and not (run.job_dir / ".attempts/2/artifacts").exists()


def test_run_whose_node_is_lost_has_not_finished_although_srun_says_so(make):
    """srun ends with 0, and the evaluation goes on."""
    run = make("none")
    (run.stand / "bin/scontrol").write_text(
        "#!/bin/bash\nif [[ $2 == hostnames ]]; then echo n1; else echo 'JobId=42 JobName=x JobState=NODE_FAIL Reason=NodeDown '; fi\n")
    assert run.run() == 143, run.log
    assert fate(run) == "NODE_FAIL" and seal(run) is None


def test_run_after_a_lost_node_copies_although_the_script_there_wrote_an_end(make):
    run = make("commands")
    theirs = leave_past(run, ended="1060 143\n", fate="NODE_FAIL 60\n")
    assert run.run() == 0, run.log
    assert os.fstat(theirs).st_ino != run.artifacts.stat().st_ino


def test_run_after_an_attempt_that_wrote_its_end_keeps_the_directory(make):
    run = make("commands")
    theirs = leave_past(run, ended="1060 143\n")
    assert run.run() == 0, run.log
    assert os.fstat(theirs).st_ino == run.artifacts.stat().st_ino


def test_run_that_was_killed_while_it_took_the_copy_into_use_finds_it_again(make):
    run = make("commands")
    leave_past(run, ended="1060 143\n")
    run.artifacts.rename(run.job_dir / ".attempts/1/artifacts")
    assert run.run() == 0, run.log
    assert (run.artifacts / "cache/answers").read_text() == "what was done\n"


def test_run_at_sigterm_while_a_server_starts_ends(make):
    run = make("vllm")
    (run.stand / "container/vllm").write_text('#!/bin/bash\ntouch "$STAND/up"\nwhile :; do /bin/sleep 0.1; done\n')
    process = run.start()
    wait_for(run.stand / "up")
    process.send_signal(signal.SIGTERM)
    assert run.finish(process) == 143
    assert list(run.steps()) == ["server-0"]
