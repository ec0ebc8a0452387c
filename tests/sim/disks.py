"""Disks that are full or read-only, and directories that are gone, on the cluster and in the store.
registry.py says what a scenario is."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from registry import scenario
from world import ENDS, Wrong, fill, until, world


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
            made.end_all(end)
            made.removed |= {evaluation} if end == "COMPLETED" else set()
            made.sim.set(duration_s=0.5)
            if made.shared and end == "COMPLETED":  # how each of them ended was to be read there
                made.await_state(evaluation, "failed")
                if "without a record of the end of this job" not in made.describe(evaluation)[0][1]:
                    raise Wrong(f"the reason: {made.describe(evaluation)}")
                made.evaluations.remove(evaluation)
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
