"""What sbatch does and says, and cancellations.
registry.py says what a scenario is."""

import random
import time
from pathlib import Path

from registry import full_only, scenario, seed
from world import Wrong, until, world


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


@scenario
def walltime_is_chosen_once(binary, full):
    """execution.walltime: auto, the daemon dying around the submission, and the cluster free for any length afterwards: the
    attempt's time limit is what its job has. And every attempt of a chain chooses anew."""
    holes = "1800:0,999999:90000"
    for fault in ("submit-after-exec", "submit-taken"):
        with world(binary) as made:
            made.sim.set(holes=holes)
            made.start(fault=fault)
            made.post(tasks=2, walltime="auto")
            made.died_of_fault()
            made.sim.set(holes="")
            made.start()
            made.settle()
            made.check()
            check_limits(made, [[1800], [1800]])
    with world(binary) as made:
        made.sim.set(holes=holes, duration_s=360000)
        made.start()
        evaluation = made.post(walltime="auto", max_walltime="03:00:00")
        made.await_state(evaluation, "running")
        made.sim.set(holes="")
        made.end_all("TIMEOUT")
        until(lambda: len(made.sim.ctl("submissions")) == 2, 120, "a second attempt")
        made.await_state(evaluation, "running")
        made.end_all("COMPLETED")
        made.settle()
        made.check()
        limit_s = made.sim.ctl("submissions")[1]["limit_s"]
        check_limits(made, [[1800, limit_s]])
        [job] = made.evaluation(evaluation)["jobs"]
        told = [change["reason"] for change in made.get(f"/v1/jobs/{job['id']}")["history"] if change["to"] == "pending"]
        if len(told) != 2 or "attempt 1, for 1800 s (execution.walltime is auto)" not in told[0] or limit_s <= 7200:
            raise Wrong(f"{limit_s} s, history: {told}")
    return 3


def check_limits(made, wanted):
    """The time limits of the attempts of each job: as the daemon has them, and as Slurm has."""
    limits = {str(submission["id"]): submission["limit_s"] for submission in made.sim.ctl("submissions")}
    for evaluation in made.evaluations:
        jobs = [made.get(f"/v1/jobs/{job['id']}") for job in made.evaluation(evaluation)["jobs"]]
        found = [[attempt["time_limit_s"] for attempt in job["attempts"]] for job in jobs]
        slurms = [[limits[attempt["slurm_job_id"]] for attempt in job["attempts"]] for job in jobs]
        if found != wanted or slurms != wanted:
            raise Wrong(f"time limits {found}, in Slurm {slurms}, not {wanted}")
