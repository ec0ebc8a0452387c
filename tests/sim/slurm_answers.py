"""What squeue, sacct and slurmctld say, or fail to.
registry.py says what a scenario is."""

import time
from pathlib import Path

from registry import scenario
from world import ENDS, Wrong, until, world


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
            if not made.are_running(evaluation):
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
                if not made.are_running(evaluation):
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
                if not made.are_running(evaluation):
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
            made.await_state(other, "running", 40)
            if not made.are_running(ended):
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
        if time.monotonic() - forgotten < 6 or set(made.states(evaluation)) != {"failed"}:
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
