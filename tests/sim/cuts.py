"""Connections that break and login nodes that are away.
registry.py says what a scenario is."""

import os
import random
import signal
import time

from registry import scenario, seed
from world import Wrong, world


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
        made.sim.set(duration_s=8)
        made.start()
        made.post()
        made.await_state(made.evaluations[0], ("pending", "running"))
        pid = made.sim.sshd_pid()
        os.kill(pid, signal.SIGSTOP)
        made.sim.cut()
        made.post()
        time.sleep(9)  # the jobs end meanwhile
        if set(made.states(made.evaluations[1])) - {"queued", "submitting"}:
            raise Wrong(f"submitted to a login node that is away: {made.describe(made.evaluations[1])}")
        os.kill(pid, signal.SIGCONT)
        made.settle()
        log = made.log()  # an observation may not have fallen into that time
        if 'msg="cluster cannot be observed" cluster=sim' in log and 'msg="cluster can be observed again" cluster=sim' not in log:
            raise Wrong("nothing in the log says that the cluster is there again")
        made.check()
    return 1
