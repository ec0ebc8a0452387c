"""The faults of the other files, with evaluations whose tasks share a deployment, in one chain, and those that only they have.
registry.py says what a scenario is."""

import threading

import connections
import crashes
import cuts
import disks
import old_stores
import reuse
import sbatch_answers
import slurm_answers
from registry import SCENARIOS, full_only, scenario
from world import ENDS, Wrong, sharing, until, world


def shared(function):
    def try_shared(binary, full):
        sharing.on = True
        try:
            return function(binary, full)
        finally:
            sharing.on = False

    try_shared.__name__ = f"shared_{function.__name__}"
    return try_shared


SAMPLE = (crashes.kill_at_submit_points, crashes.kill_at_points_of_a_continued_chain, slurm_answers.requeued_by_slurm)

for file in (connections, crashes, cuts, disks, old_stores, reuse, sbatch_answers, slurm_answers):
    for one in [one for name, one in vars(file).items() if SCENARIOS.get(name) is one]:
        made = scenario(shared(one))
        if one not in SAMPLE:
            full_only(made)


def check_states(made, evaluation, *wanted):
    if made.states(evaluation) != list(wanted):
        raise Wrong(f"not {wanted}: {made.describe(evaluation)}")


def killed_at(made, point, act):
    """The daemon dies at the point, which what act() asks for leads to, and is started anew."""
    made.stop()
    made.start(fault=point)
    asking = threading.Thread(target=act)
    asking.start()
    if not made.died_of_fault():
        raise Wrong(f"{point} was never passed")
    made.start()
    asking.join()


@scenario
@shared
def kill_while_one_of_several_is_cancelled(binary, full):
    """The one that runs and one whose turn has not come: the others are evaluated, each once."""
    points = [point for point in crashes.fault_points() if point.startswith("cancel")]
    with world(binary) as made:
        made.start()
        for point in points:
            made.sim.set(duration_s=3600)
            evaluation = made.post(tasks=3)
            made.await_state(evaluation, "running")
            last = next(i for i, state in enumerate(made.states(evaluation)) if state == "pending")

            def cancel():
                made.cancel_job(evaluation, 0)
                made.cancel_job(evaluation, last)

            killed_at(made, point, cancel)
            until(lambda: made.states(evaluation)[0] == made.states(evaluation)[last] == "cancelled", 120,
                  lambda: f"both to be cancelled: {made.describe(evaluation)}")
            made.end_all("COMPLETED")
            made.await_state(evaluation, ENDS)
            check_states(made, evaluation, *("cancelled" if i in (0, last) else "succeeded" for i in range(4)))
        made.check(expect=None)
    return len(points)


@scenario
@shared
def kill_while_one_of_several_is_resumed(binary, full):
    """One has failed, one was cancelled; what is resumed is evaluated, and none of the others again."""
    points = [point for point in crashes.fault_points() if point.startswith("submit")]
    with world(binary) as made:
        made.start()
        for point in points if full else points[::3]:
            made.sim.set(job_fails=1, duration_s=1)
            evaluation = made.post(tasks=2)
            until(lambda: "failed" in made.states(evaluation), 120, lambda: f"one to fail: {made.describe(evaluation)}")
            made.sim.set(job_fails=0)
            made.await_state(evaluation, ENDS)
            failed = [i for i, state in enumerate(made.states(evaluation)) if state == "failed"]
            killed_at(made, point, lambda: made.resume_job(evaluation, failed[-1]))
            for index in failed:
                made.resume_job(evaluation, index)
            made.await_state(evaluation, "succeeded")
        made.check()
    return len(points)
