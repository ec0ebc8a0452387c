"""A store that is older than what is on the clusters.
registry.py says what a scenario is."""

import contextlib
import os
import shutil
import subprocess
import time

from registry import full_only, scenario, seed
from world import ENDS, Wrong, until, world


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
        until(lambda one=evaluation: made.request("GET", f"/v1/evaluations/{one}")[0] == 200, 180, f"{evaluation} to be found")
        if made.evaluation(evaluation)["user"] != "tester":
            raise Wrong(f"{evaluation} is {made.evaluation(evaluation)['user']}'s")


def live_through(made, count, speed_s=0.0):
    for _ in range(count):
        made.post(tasks=2)
        time.sleep(speed_s)
    for evaluation in made.evaluations:
        made.await_state(evaluation, ("pending", "running", "cancelling", *ENDS))


def restored(binary, faults, later=8, **knobs):
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
        live_through(made, later)
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
    return restored(binary, ("look-taken", "look-stored", "look-taken:3", "look-stored:2"), later=24)  # two pages


@full_only
@scenario
def store_restored_without_accounting(binary, full):
    return restored(binary, (), sacct="disabled")
