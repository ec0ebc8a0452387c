"""The faults that are tried, each in a world of its own: a function with the binary and whether all is to be tried
(else a sample); it returns how many faults it tried and raises when the daemon did something wrong."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from world import ENDS, ROOT, Wrong, fill, free_port, until, world

SCENARIOS = {}
FULL_ONLY = set()  # too slow for a sample


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def full_only(function):
    FULL_ONLY.add(function.__name__)
    return function


def seed():
    return int(os.environ.get("NEL_FAULT_SEED", "1"))


# ---- kill -9 ----

def fault_points():
    """The names in the sources of the daemon's layers; commands that are run offline have their own tests."""
    names = set()
    for path in (ROOT / "daemon").glob("*/*.c"):
        text = path.read_text(encoding="utf-8")
        names |= set(re.findall(r'fault_point\("([a-z-]+)"\)', text))
        names |= set(re.findall(r'\.(?:taken|stored)_point = "([a-z-]+)"', text))
    if len(names) < 15:
        raise Wrong(f"only {len(names)} fault points were found: {sorted(names)}")
    return sorted(names)


def die_at(made, point):
    """One evaluation, during which the daemon dies at the point and is started anew."""
    cancel = point.startswith("cancel")
    # Jobs wait for so long that a repeated submission does not find what a job that has begun writes.
    made.sim.set(duration_s=3600 if cancel else 0.5, start_delay_s=6 if point.startswith("submit") else 0.2)
    made.start(fault=point, wait=False)
    poster = threading.Thread(target=made.post, kwargs={"tasks": 2})
    poster.start()
    if cancel:
        poster.join()
        made.await_state(made.evaluations[-1], ("pending", "running"))
        made.cancel(made.evaluations[-1])
    if not made.died_of_fault():
        raise Wrong(f"{point} was never passed")
    made.start()
    poster.join()
    made.await_state(made.evaluations[-1], ("pending", "running", *ENDS))
    made.stop()


def die_at_points(binary, points):
    with world(binary) as made:
        for point in points:
            die_at(made, point)
        made.start()
        made.settle()
        made.check(expect=None)
    return len(points)


@scenario
def kill_at_submit_points(binary, full):
    points = [point for point in fault_points() if point.startswith("submit")]
    return die_at_points(binary, points)


@scenario
def kill_at_other_points(binary, full):
    points = [point for point in fault_points() if not point.startswith("submit")]
    return die_at_points(binary, points)


@scenario
def kill_at_points_of_a_continued_chain(binary, full):
    """The second attempt of a chain, after a TIMEOUT: the second passing of each point of the submission."""
    points = [point for point in fault_points() if point.startswith("submit")]
    with world(binary) as made:
        for point in points if full else points[::3]:
            made.sim.ctl("fate", ".", 1, "TIMEOUT", 0.2, 1)
            made.start(fault=f"{point}:2")
            made.post()
            if not made.died_of_fault():
                raise Wrong(f"{point} was not passed twice")
            made.start()
            made.await_state(made.evaluations[-1], ("pending", "running", *ENDS))
            made.stop()
        made.start()
        made.settle()
        made.check()
        return len(points if full else points[::3])


@scenario
def kill_at_random_instants(binary, full):
    count = 500 if full else 20
    draw = random.Random(seed())
    with world(binary) as made:
        made.sim.set(fates="TIMEOUT:0.2,PREEMPTED:0.1,NODE_FAIL:0.1,FAILED:0.05", bad_attempts=1, seed=seed())
        made.start()
        posters = []
        for _ in range(count):
            posters.append(threading.Thread(target=made.post, kwargs={"tasks": draw.randint(1, 2)}))
            posters[-1].start()
            if draw.random() < 0.15 and made.evaluations:
                victim = draw.choice(made.evaluations[-5:])
                posters.append(threading.Thread(target=made.cancel, args=(victim,)))
                posters[-1].start()
            time.sleep(draw.uniform(0, 1.2))
            made.kill()
            if draw.random() < 0.1:
                made.sim.set(start_delay_s=draw.choice((0.1, 0.5, 3)))
            made.start(wait=False)
        made.await_ready()
        for poster in posters:
            poster.join()
        made.settle()
        made.check(expect=None)
    return count


# ---- the connection ----

@scenario
def cut_while_sbatch_runs(binary, full):
    """The session process dies before slurmctld has the job, and after that before sbatch prints."""
    with world(binary) as made:
        made.sim.set(start_delay_s=8)
        made.start()
        for place in ("before", "after"):
            made.sim.set(hold=place)
            made.post(tasks=2)
            made.sim.ctl("wait-held", 1, 120)
            made.sim.cut()
            time.sleep(0.5)
            made.sim.ctl("release")
        made.settle()
        made.check()
    return 2


@scenario
def cut_at_random_instants(binary, full):
    return break_at_random(binary, 150 if full else 12, lambda made: made.sim.cut())


@scenario
def login_node_crashes_at_random_instants(binary, full):
    """All that ran on the login node dies with the connection, sbatch too."""
    return break_at_random(binary, 100 if full else 8, lambda made: made.sim.crash())


def break_at_random(binary, count, fault):
    draw = random.Random(seed())
    with world(binary) as made:
        made.sim.set(fates="TIMEOUT:0.2,NODE_FAIL:0.1", bad_attempts=1, duration_s=0.5, start_delay_s=4)
        made.start()
        made.post()
        made.settle()  # so that the first session is warm
        for _ in range(count):
            made.post(tasks=draw.randint(1, 3))
            time.sleep(draw.uniform(0, 0.15))
            fault(made)
            time.sleep(draw.uniform(0, 0.5))
        made.settle()
        made.check(expect=None)
    return count


@scenario
def login_node_is_away(binary, full):
    """sshd does not answer for a while: during the submission, and while jobs run and end."""
    with world(binary) as made:
        made.start()
        made.post()
        made.await_state(made.evaluations[0], ("pending", "running"))
        pid = made.sim.sshd_pid()
        os.kill(pid, signal.SIGSTOP)
        made.sim.cut()
        made.post()
        time.sleep(4)
        if made.states(made.evaluations[1]) not in (["queued"], ["submitting"]):
            raise Wrong(f"submitted to a login node that is away: {made.describe(made.evaluations[1])}")
        os.kill(pid, signal.SIGCONT)
        made.settle()
        if 'msg="cluster can be observed again" cluster=sim' not in made.log():
            raise Wrong("nothing in the log says that the cluster is there again")
        made.check()
    return 1


# ---- sbatch ----

@scenario
def sbatch_lies(binary, full):
    """Taken and nothing printed; taken and killed; taken and "timed out"; not taken and "timed out"."""
    with world(binary) as made:
        made.sim.set(start_delay_s=20)
        made.start()
        for fault in ("silent", "killed", "timeout", "lost"):
            made.sim.set(sbatch=fault, sbatch_times=1)
            made.post(tasks=2)
            until(lambda: made.sim.ctl("get")["sbatch"] == "ok", 120, "an sbatch")
        made.settle()
        made.check()
    return 4


@scenario
def sbatch_is_refused(binary, full):
    with world(binary) as made:
        made.start()
        made.sim.set(sbatch="refuse:Requested node configuration is not available", sbatch_times=1)
        made.post()
        made.settle()
        made.check(expect="failed")
        if "Requested node configuration" not in str(made.describe(made.evaluations[0])):
            raise Wrong(f"the reason is not sbatch's: {made.describe(made.evaluations[0])}")
    return 1


@scenario
@full_only
def sbatch_takes_longer_than_the_timeout(binary, full):
    """A minute and more, and it submits after all: while the daemon asks again, and once more when it was killed."""
    with world(binary) as made:
        made.start()
        for place in ("before", "after"):
            made.sim.set(**{f"sbatch_{place}_s": 75})
            made.post()
            until(lambda: made.sim.ctl("get")["calls"].get("sbatch", 0) >= len(made.evaluations), 120, "sbatch")
            made.sim.set(**{f"sbatch_{place}_s": 0})
        made.settle()
        made.check()
    return 2


@scenario
@full_only
def late_arrival_of_a_killed_sbatch(binary, full):
    """The login node crashes while sbatch's request is on its way; slurmctld takes it twenty seconds later. Here the
    minute that a claim is let be for is a real one."""
    with world(binary) as made:
        made.closing.set()  # claims are not made older
        made.start()
        made.sim.set(sbatch_before_s=20)
        made.post()
        until(lambda: made.sim.ctl("get")["calls"].get("sbatch"), 120, "sbatch")
        made.sim.set(sbatch_before_s=0)
        made.sim.crash()
        made.settle()
        made.check()
    return 1


@scenario
def sbatch_refusals_that_pass_are_waited_out(binary, full):
    """A partition that is drained, an upgrade, an sbatch whose file system is away: the job says so until when it waits,
    and goes on; when it lasts for longer than the setting says, the job has failed."""
    texts = ("Required partition not available (inactive or drain)", "Incompatible versions of client and server code")
    with world(binary, refusal_deadline_s=12) as made:
        made.start()
        for text in texts:
            made.sim.set(sbatch=f"refuse:{text}", sbatch_times=1000)
            made.post()
            waits_on(made, "Slurm on sim to take it, until ", text)
            made.sim.set(sbatch="ok")
            made.settle()
        sbatch = Path(made.sim.directory, "bin/sbatch")
        sbatch.rename(f"{sbatch}.away")
        sbatch.write_text("#!/opt/slurm/bin/no-such-shell\n")
        sbatch.chmod(0o755)
        made.post()
        waits_on(made, "Slurm on sim to take it, until ", "sbatch cannot be run (exit status 12")
        Path(f"{sbatch}.away").rename(sbatch)
        made.settle()
        made.check()
        made.sim.set(sbatch=f"refuse:{texts[0]}", sbatch_times=1000)
        late = made.post()
        made.await_state(late, "failed")
        if "refused for 12 s (refusal_deadline_s)" not in made.describe(late)[0][1]:
            raise Wrong(f"the reason: {made.describe(late)}")
    return len(texts) + 2


def waits_on(made, *texts):
    """Until the newest evaluation waits on what has all these texts."""
    def look():
        waiting = made.evaluation(made.evaluations[-1])["jobs"][0]["waiting_on"] or ""
        return all(text in waiting for text in texts)

    until(look, 60, lambda: f"{texts}; it is {made.describe(made.evaluations[-1])}")


# ---- disks ----

@scenario
def full_disk_on_the_cluster(binary, full):
    """With so much room left, from nothing to enough for a part of the files."""
    rooms = (0, 4, 8, 16, 32, 64, 96, 128, 192, 256) if full else (0, 16, 64)
    with world(binary) as made:
        disk = made.disk("full", "4m")
        made.sim.set(start_delay_s=4)  # jobs begin when there is room again
        made.start()
        for room in rooms:
            filling = fill(disk, room)
            made.post(tasks=2, output=disk)
            time.sleep(2.5)
            os.unlink(filling)
            made.settle()
            for child in Path(disk).iterdir():
                if child.is_dir() and room != rooms[-1]:
                    keep_answers(child)
        made.check(expect=None)
    return len(rooms)


def keep_answers(rundir):
    """Room for the next: what the check does not read goes."""
    for folder in ("logs",):
        for path in rundir.rglob(folder):
            shutil.rmtree(path, ignore_errors=True)


@scenario
def read_only_directory_on_the_cluster(binary, full):
    """At the first submission it is an end with its reason; at a later one of the chain it is waited for."""
    with world(binary) as made:
        disk = made.disk("read-only", "4m")
        made.sim.set(duration_s=3600)
        made.start()
        chain = made.post(output=disk)
        made.await_state(chain, "running")
        made.kill()
        made.end_all("TIMEOUT")
        made.sim.set(duration_s=0.5)
        remount(disk, "ro")
        made.start()
        refused = made.post(output=disk)
        made.await_state(refused, "failed")
        if disk not in made.describe(refused)[0][1]:
            raise Wrong(f"the reason does not name {disk}: {made.describe(refused)}")
        made.evaluations.remove(refused)
        until(lambda: made.describe(chain)[0][3] == 2, 120, "the second attempt")
        time.sleep(4)
        if made.states(chain)[0] in ENDS:
            raise Wrong(f"a chain ended by a directory that was read-only for a while: {made.describe(chain)}")
        remount(disk, "rw")
        made.settle()
        made.check()
    return 2


def remount(path, mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", path], check=True)


@scenario
def run_directory_is_deleted(binary, full):
    """While the job runs, and before the next attempt."""
    with world(binary) as made:
        made.sim.set(duration_s=3600)
        made.start()
        for end in ("COMPLETED", "TIMEOUT"):
            evaluation = made.post()
            made.await_state(evaluation, "running")
            shutil.rmtree(Path(made.get(f"/v1/jobs/{evaluation}.0")["rundir"]).parent)
            made.sim.set(duration_s=0.5)
            made.end_all(end)
            made.settle()
            made.sim.set(duration_s=3600)
        made.check()
    return 2


@scenario
def full_disk_of_the_store(binary, full):
    """The database cannot grow: nothing is lost, and it goes on when there is room."""
    rooms = (0, 8, 32, 64, 128, 200) if full else (0, 64)
    with world(binary) as made:
        made.start()
        made.stop()
        disk = made.disk("store", "24m")
        for path in Path(made.directory).glob("nel.db*"):
            shutil.move(path, disk)
        made.database = f"{disk}/nel.db"
        made.sim.set(fates="TIMEOUT:0.3", bad_attempts=1, duration_s=2)
        for room in rooms:
            made.start()
            made.post(tasks=2)
            filling = fill(disk, room)
            poster = threading.Thread(target=made.post, kwargs={"tasks": 2})
            poster.start()
            time.sleep(4)
            if room % 64:
                made.kill()
                os.unlink(filling)
                made.start()
            else:
                os.unlink(filling)
            poster.join()
            made.settle()
            made.stop()
        made.start()
        made.check()
    return len(rooms)


# ---- what Slurm says ----

@scenario
def squeue_says_nothing_or_fails(binary, full):
    """For far longer than the time after which a job counts as lost."""
    faults = [{"squeue": "empty"}, {"squeue": "error"}, {"squeue": "empty", "sacct": "down"}]
    if full:
        faults.append({"squeue": "hang"})
    with world(binary, absence_deadline_s=2, command_timeout_s=20) as made:
        made.start()
        for fault in faults:
            made.sim.set(duration_s=3600)
            evaluation = made.post(tasks=2)
            made.await_state(evaluation, "running")
            made.sim.set(**fault)
            time.sleep(8)
            if set(made.states(evaluation)) != {"running"}:
                raise Wrong(f"with {fault}: {made.describe(evaluation)}")
            made.sim.set(squeue="ok", sacct="up")
            made.end_all("COMPLETED")
            made.settle()
        made.check()
    return len(faults)


@scenario
def commands_that_never_end_are_ended(binary, full):
    """squeue, and a wrapper of a site's around it, hang or never stop talking: with the connection there, and with the
    connection gone. Nothing of it is left on the login node, and it never needs much memory."""
    wrapper = {"hang": "sleep 3600", "child": "sleep 3600 & wait", "deaf": "trap '' TERM PIPE HUP; sleep 3600; sleep 3600",
               "talk": "yes 'q|1|RUNNING|0|0|0|1:00|None|someone-else|n1'", "line": "tr '\\0' x </dev/zero"}
    with world(binary, command_timeout_s=12) as made:
        made.sim.set(duration_s=3600)
        made.start()
        evaluation = made.post()
        made.await_state(evaluation, "running")
        squeue = Path(made.sim.directory, "bin/squeue")
        for cut in (False, True):
            for kind in wrapper if full else ("child", "deaf", "talk"):
                squeue.rename(f"{squeue}.kept")
                squeue.write_text(f"#!/bin/bash\necho >>{made.directory}/asked-{kind}-{cut}\n{wrapper[kind]}\n")
                squeue.chmod(0o755)
                until(lambda: Path(f"{made.directory}/asked-{kind}-{cut}").exists(), 60, f"{kind} to be asked")
                if cut:
                    time.sleep(0.5)
                    made.kill()
                    Path(f"{squeue}.kept").rename(squeue)
                    made.check_gone(12)
                    made.start()
                else:
                    until(lambda: "squeue" in str(made.get("/v1/clusters/sim")), 60, f"{kind} to be told")
                    Path(f"{squeue}.kept").rename(squeue)
                if made.states(evaluation) != ["running"]:
                    raise Wrong(f"{kind}: {made.describe(evaluation)}")
        made.end_all("COMPLETED")
        made.settle()
        made.check()
    return 2 * len(wrapper)


@scenario
def accounting_lags_or_is_down(binary, full):
    """A job ends, squeue forgets it at once, and accounting is down, or says RUNNING, far longer than the time after
    which a job counts as lost."""
    ends = (("COMPLETED", "succeeded"), ("FAILED", "failed"), ("CANCELLED", "cancelled"))
    with world(binary, absence_deadline_s=2) as made:
        made.sim.set(min_job_age_s=0, duration_s=3600)
        made.start()
        for fault in ({"sacct": "down"}, {"sacct": "frozen"}):
            started = []
            for slurm_end, end in ends:
                evaluation = made.post()
                made.await_state(evaluation, "running")
                started.append((evaluation, end))
            made.sim.set(**fault)
            for job in made.running():
                slurm_end = ends[[e for e, _ in started].index(made.owner(job))][0]
                made.sim.ctl("end", job["id"], slurm_end, 1 if slurm_end == "FAILED" else 0)
            time.sleep(8)
            for evaluation, _ in started:
                if made.states(evaluation) != ["running"]:
                    raise Wrong(f"with {fault}: {made.describe(evaluation)}")
            made.sim.set(sacct="up")
            for evaluation, end in started:
                made.await_state(evaluation, end)
        made.check(expect=None)
    return 6


@scenario
def accounting_fails_or_hangs_and_squeue_goes_on(binary, full):
    """What squeue says counts at once; a job that it has forgotten, and the cluster, say whose answer is missing."""
    with world(binary, absence_deadline_s=2) as made:
        made.sim.set(min_job_age_s=0, duration_s=3600, start_delay_s=0.2)
        made.start()
        for fault in ("hang", "down"):
            ended = made.post()
            made.await_state(ended, "running")
            made.sim.set(sacct=fault)
            made.end_all("COMPLETED")
            time.sleep(3)
            other = made.post()
            made.await_state(other, "running", 15)
            if made.states(ended) != ["running"]:
                raise Wrong(f"an end was guessed: {made.describe(ended)}")
            until(lambda: "accounting, which knows how it ended and does not answer: sacct" in
                  str(made.evaluation(ended)["jobs"][0]["waiting_on"]), 60, lambda: f"a reason: {made.describe(ended)}")
            seen = made.get("/v1/clusters/sim")
            if seen["health"] == "ok" or not str(seen["observation"]["accounting_error"]).startswith("sacct: "):
                raise Wrong(f"{fault} does not show: {seen}")
            if made.evaluation(other)["jobs"][0]["waiting_on"]:
                raise Wrong(f"a running job waits: {made.describe(other)}")
            made.sim.set(sacct="up")
            made.await_state(ended, "succeeded", 120)
            until(lambda: made.get("/v1/clusters/sim")["health"] == "ok", 60, "health")
            made.end_all("COMPLETED")
            made.settle()
        made.check()
    return 2


@scenario
def no_accounting_and_squeue_forgets(binary, full):
    """The script's own stamps tell how it ended."""
    with world(binary, absence_deadline_s=30, accounting="none") as made:
        made.sim.set(sacct="disabled", min_job_age_s=0, duration_s=1)
        made.start()
        made.post()
        made.sim.ctl("fate", ".", 1, "FAILED", 0.5, 1)
        made.settle()
        made.post()
        made.settle()
        if sorted(made.states(e)[0] for e in made.evaluations) != ["failed", "succeeded"]:
            raise Wrong(f"{[made.describe(e) for e in made.evaluations]}")
        if made.sim.ctl("get")["calls"].get("sacct"):
            raise Wrong("sacct was asked on a cluster without accounting")
    return 2


@scenario
def lost_only_when_both_have_answered(binary, full):
    """Everybody has forgotten the job: it counts as lost after the deadline, not before, and as failed."""
    with world(binary, absence_deadline_s=6) as made:
        made.sim.set(duration_s=60)
        made.start()
        evaluation = made.post()
        made.await_state(evaluation, "running")
        made.sim.ctl("forget", "all")
        forgotten = time.monotonic()
        made.await_state(evaluation, ENDS)
        if time.monotonic() - forgotten < 6 or made.states(evaluation) != ["failed"]:
            raise Wrong(f"{time.monotonic() - forgotten:.1f} s: {made.describe(evaluation)}")
    return 1


@scenario
def ends_that_are_not_resumed(binary, full):
    """Each ends the chain after its first attempt, with a reason that a person understands."""
    telling = {"OUT_OF_MEMORY": "more memory than it had been given", "DEADLINE": "deadline",
               "FAILED": "exit code 1", "CANCELLED": "not through this service"}
    with world(binary) as made:
        made.sim.set(duration_s=60)
        made.start()
        for state, words in telling.items():
            made.sim.ctl("fate", ".", 1, state, 0.5, 1)
            evaluation = made.post()
            made.await_state(evaluation, ENDS)
            job = made.get(f"/v1/jobs/{evaluation}.0")
            wanted = "cancelled" if state == "CANCELLED" else "failed"
            if job["state"] != wanted or job["attempt"] != 1 or words not in job["reason"]:
                raise Wrong(f"{state}: {job}")
            if state == "OUT_OF_MEMORY" and "Ask for more memory" not in job["failure"]["advice"]:
                raise Wrong(f"{state}: {job['failure']}")
        made.settle()
    return len(telling)


@scenario
def job_ids_are_reused(binary, full):
    """Our job has ended while the daemon was away, squeue has forgotten it, and another's job has its id: that one
    neither speaks for ours nor is cancelled in its place."""
    with world(binary) as made:
        made.start()
        for state in ("FAILED", "PENDING", "RUNNING", "CANCELLED"):
            made.sim.set(duration_s=3600)
            evaluation = made.post()
            made.await_state(evaluation, "running")
            made.kill()
            ours = made.running()[0]["id"]
            made.sim.ctl("end", ours, "COMPLETED")
            made.sim.ctl("purge", ours)
            made.sim.ctl("add", ours, f"another-{state}", state)
            made.start()
            if state == "RUNNING":
                made.cancel(evaluation)
            made.settle()
        made.check()
        others = {job["name"]: job["state"] for job in made.sim.ctl("jobs") if job["name"].startswith("another")}
        if others != {f"another-{state}": state for state in ("FAILED", "PENDING", "RUNNING", "CANCELLED")}:
            raise Wrong(f"the others' jobs: {others}")
    return 4


@scenario
def slurmctld_is_restarted(binary, full):
    """Down while jobs run, end and are to be submitted."""
    with world(binary, absence_deadline_s=2) as made:
        made.sim.set(duration_s=3600)
        made.start()
        made.post(tasks=2)
        made.await_state(made.evaluations[0], "running")
        made.sim.set(slurmctld="down", duration_s=0.5)
        made.end_all("COMPLETED")
        made.post(tasks=2)
        time.sleep(6)
        if any(state in ENDS for evaluation in made.evaluations for state in made.states(evaluation)):
            raise Wrong(f"ended while slurmctld was down: {[made.describe(e) for e in made.evaluations]}")
        made.sim.set(slurmctld="up")
        made.settle()
        made.check()
    return 1


@scenario
def requeued_by_slurm(binary, full):
    """The same attempt, and all its runs count."""
    with world(binary) as made:
        made.sim.set(duration_s=3600)
        made.start()
        evaluation = made.post()
        made.await_state(evaluation, "running")
        time.sleep(2)
        made.sim.ctl("requeue", made.running()[0]["id"])
        until(made.running, 120, "the second run")
        time.sleep(2)
        made.end_all("COMPLETED")
        made.settle()
        made.check()
        job = made.get(f"/v1/jobs/{evaluation}.0")
        if job["attempt"] != 1 or job["budget"]["used_s"] < 4:
            raise Wrong(f"{job['attempt']} attempts, {job['budget']}")
    return 1


# ---- cancel ----

@scenario
def cancel_at_every_moment(binary, full):
    """Before there is an id, at a resubmission, twice, and at random instants: nothing is left on the cluster."""
    draw = random.Random(seed())
    count = 60 if full else 8
    with world(binary) as made:
        made.sim.set(duration_s=3600)
        made.start()
        made.sim.set(hold="before")
        made.post()
        made.sim.ctl("wait-held", 1, 120)
        made.cancel(made.evaluations[-1])
        made.cancel(made.evaluations[-1])
        made.sim.ctl("release")
        made.settle()
        made.sim.set(fates="TIMEOUT:0.4,PREEMPTED:0.4", duration_s=3, bad_attempts=2)
        for _ in range(count):
            made.post(tasks=2)
            time.sleep(draw.uniform(0, 2))
            made.cancel(made.evaluations[-1])
        made.settle()
        for evaluation in made.evaluations:
            if set(made.states(evaluation)) - {"cancelled", "succeeded"}:
                raise Wrong(f"cancelled: {made.describe(evaluation)}")
        made.check(expect=None)
    return count + 2


# ---- everything at once ----

@scenario
@full_only
def storm(binary, full):
    """All kinds of faults at random instants, one upon the other."""
    draw = random.Random(seed() + 1)
    count = 250 if full else 60
    with world(binary) as made:
        sim, threads = made.sim, []
        sim.set(fates="TIMEOUT:0.2,PREEMPTED:0.1,NODE_FAIL:0.1,FAILED:0.05", bad_attempts=1, duration_s=1.5)
        made.start()

        def requeue():
            running = made.running()
            if running:
                sim.ctl("requeue", draw.choice(running)["id"])

        def cancel():
            if made.evaluations:
                threads.append(threading.Thread(target=made.cancel, args=(draw.choice(made.evaluations[-6:]),)))
                threads[-1].start()

        def restart_slurmctld():
            sim.set(slurmctld="down")
            time.sleep(draw.uniform(0, 1))
            sim.set(slurmctld="up")

        def restart_daemon():
            made.kill()
            made.start(wait=False)

        faults = [
            restart_daemon, restart_daemon, sim.cut, sim.crash, requeue, restart_slurmctld,
            lambda: sim.set(sbatch=draw.choice(("silent", "killed", "timeout", "lost")), sbatch_times=1),
            lambda: sim.set(squeue=draw.choice(("error", "empty", "ok"))),
            lambda: sim.set(sacct=draw.choice(("down", "frozen", "up"))),
            lambda: sim.set(sacct_lag_s=draw.choice((0, 5))),
            lambda: sim.set(start_delay_s=draw.choice((0.1, 1, 4)), sbatch_before_s=draw.choice((0, 0.3))),
            lambda: sim.set(min_job_age_s=draw.choice((0, 2, 300))),
            cancel,
        ]
        for i in range(count):
            if i % 2 == 0:
                threads.append(threading.Thread(target=made.post, kwargs={"tasks": draw.randint(1, 3)}))
                threads[-1].start()
            draw.choice(faults)()
            time.sleep(draw.uniform(0, 0.6))
        sim.set(squeue="ok", sacct="up", sacct_lag_s=0, sbatch_before_s=0, min_job_age_s=300)
        for thread in threads:
            thread.join()
        made.await_ready()
        made.settle(400)
        made.check(expect=None)
    return count


# ---- two daemons ----

@scenario
def two_daemons_on_one_store(binary, full):
    """The second refuses to start; when the first was killed it takes over."""
    with world(binary) as made:
        made.start()
        made.post()
        second = subprocess.run([made.binary, "--config", made.settings_file(port=free_port())], timeout=90,
                                capture_output=True, text=True)
        if second.returncode != 1 or "another nel-slurmd" not in second.stderr:
            raise Wrong(f"a second daemon: {second.returncode} {second.stderr}")
        made.kill()
        made.start()
        made.settle()
        made.check()
    return 2


# ---- a store that is older than the world ----

def restore(made, backup):
    """As nel-slurmd(8) says: the daemon is dead, its database is put aside, the backup takes its place."""
    made.kill()
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made.database + suffix)
    shutil.copy(backup, made.database)


def back_up(made, name):
    path = f"{made.directory}/{name}"
    subprocess.run([made.binary, "backup", path, "--config", made.settings_file()], check=True, capture_output=True)
    return path


def found_again(made, evaluations):
    """They are in the store, owned by who submitted them, as soon as the cluster has been looked at."""
    for evaluation in evaluations:
        until(lambda one=evaluation: made.request("GET", f"/v1/evaluations/{one}")[0] == 200, 60, f"{evaluation} to be found")
        if made.evaluation(evaluation)["user"] != "tester":
            raise Wrong(f"{evaluation} is {made.evaluation(evaluation)['user']}'s")


def live_through(made, count, speed_s=0.0):
    for _ in range(count):
        made.post(tasks=2)
        time.sleep(speed_s)
    for evaluation in made.evaluations:
        made.await_state(evaluation, ("pending", "running", "cancelling", *ENDS))


def restored(binary, faults, **knobs):
    """A backup is taken between evaluations in every state; the world goes on for a while: new ones, ends, further attempts,
    cancellations, a resumption; then the store is lost."""
    with world(binary) as made:
        made.sim.set(duration_s=2, fates="TIMEOUT:0.5,NODE_FAIL:0.2", bad_attempts=2, seed=seed(), **knobs)
        made.start()
        ended = made.post()
        made.await_state(ended, ENDS)
        live_through(made, 4)
        made.sim.set(start_delay_s=45)
        waiting = [made.post(tasks=2) for _ in range(3)]
        made.await_state(waiting[-1], "pending")
        backup = back_up(made, "backup.db")
        made.sim.set(start_delay_s=0.2)
        made.cancel(waiting[0])
        live_through(made, 12)
        made.cancel(made.evaluations[-1])
        made.cancel(made.evaluations[-4])
        time.sleep(3)
        live_through(made, 8)
        for fault in faults:
            restore(made, backup) if made.daemon.poll() is None else None
            made.start(fault=fault, wait=False)
            if not made.died_of_fault():
                raise Wrong(f"{fault} was never passed")
        if not faults:
            restore(made, backup)
        made.start()
        found_again(made, made.evaluations)
        made.settle()
        made.check(expect=None)
        if "succeeded" in made.states(waiting[0]):
            raise Wrong("what was cancelled after the backup has run again")
        listed = made.get("/v1/clusters/sim/orphans?limit=500")["items"]
        if any(not one["adopted"] for one in listed) or len(listed) < 20:
            raise Wrong(f"orphans: {listed}")
    return 1 + len(faults)


@full_only
@scenario
def store_restored_from_a_backup(binary, full):
    return restored(binary, ())


@scenario
def store_restored_and_killed_while_it_looks(binary, full):
    return restored(binary, ("look-taken", "look-stored", "look-taken:3", "look-stored:2"))


@full_only
@scenario
def store_restored_without_accounting(binary, full):
    return restored(binary, (), sacct="disabled")
