"""A daemon that dies, at chosen points and at any, with all other faults, and beside another one.
registry.py says what a scenario is."""

import random
import re
import subprocess
import threading
import time

from registry import full_only, scenario, seed
from world import ENDS, ROOT, Wrong, free_port, world


PLACING = ("place", "withdraw", "leave")  # placing.py has these


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
    points = [point for point in fault_points() if not point.startswith(("submit", *PLACING))]
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
                victim = draw.choice(made.evaluations[-6:])
                one = (made.cancel_job, (victim, draw.randint(0, 1))) if made.shared and draw.random() < 0.7 else None
                target, words = one or (made.cancel, (victim,))
                threads.append(threading.Thread(target=target, args=words))
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
