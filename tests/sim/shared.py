"""The faults of the other files, with evaluations whose tasks share a deployment, in one chain, and those that only they have.
registry.py says what a scenario is."""

import random
import threading
import time

import connections
import crashes
import cuts
import disks
import old_stores
import placing
import reuse
import sbatch_answers
import slurm_answers
from registry import SCENARIOS, full_only, scenario, seed
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


SAMPLE = (crashes.kill_at_submit_points, crashes.kill_at_points_of_a_continued_chain, placing.kill_at_points_of_a_move,
          slurm_answers.requeued_by_slurm)

for file in (connections, crashes, cuts, disks, old_stores, placing, reuse, sbatch_answers, slurm_answers):
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
        for point in points if full else points[::2]:
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
    return len(points if full else points[::2])


@scenario
@shared
def kill_while_one_of_several_is_resumed(binary, full):
    """What has failed and is resumed is evaluated again, and none of the others."""
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
    return len(points if full else points[::3])


@scenario
@shared
def people_change_their_minds(binary, full):
    """Single jobs and whole evaluations are cancelled and resumed at random, while attempts and jobs end as they like and the
    daemon dies; in the end whatever is resumed succeeds, and of each attempt the end is known."""
    count = 240 if full else 50
    draw = random.Random(seed())
    with world(binary) as made:
        made.sim.set(fates="TIMEOUT:0.3,PREEMPTED:0.1,NODE_FAIL:0.1,FAILED:0.05", duration_s=1.5, job_fails=0.15, seed=seed())
        made.start()
        threads = []

        def do(target, *words, **more):
            threads.append(threading.Thread(target=target, args=words, kwargs=more))
            threads[-1].start()

        def ask(action, what):
            made.request("POST", f"/v1/{what}/{action}", {})

        for i in range(count):
            if i % 5 == 0:
                do(made.post, tasks=draw.randint(1, 4))
            if made.evaluations:
                victim = draw.choice(made.evaluations[-5:])
                one, whole = f"jobs/{victim}.{draw.randint(0, 3)}", f"evaluations/{victim}"
                action, what = draw.choice((("cancel", one), ("cancel", one), ("resume", one), ("resume", one), ("resume", one),
                                            ("cancel", whole), ("resume", whole), ("die", None)))
                if action == "die":
                    made.kill()
                    made.start(wait=False)
                else:
                    do(ask, action, what)
            time.sleep(draw.uniform(0, 0.6))
        for thread in threads:
            thread.join()
        made.await_ready()
        made.settle()
        made.sim.set(fates="", job_fails=0)
        for evaluation in made.evaluations:
            for index, state in enumerate(made.states(evaluation)):
                if state != "succeeded":
                    made.resume_job(evaluation, index)
        for evaluation in made.evaluations:
            made.await_state(evaluation, "succeeded")
        made.check()
        for job in [job for evaluation in made.evaluations for job in made.evaluation(evaluation)["jobs"]]:
            for attempt in made.get(f"/v1/jobs/{job['id']}")["attempts"]:
                if attempt["slurm_job_id"] and attempt["ended_at"] is None:
                    raise Wrong(f"{job['id']}: an attempt without an end: {attempt}")
    return count
