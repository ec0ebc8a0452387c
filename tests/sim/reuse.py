"""A daemon that dies while an equal job's scores are to stand for those of an evaluation's jobs, and Slurm is not asked.
registry.py says what a scenario is."""

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

from crashes import fault_points
from registry import scenario
from world import ENDS, Wrong, until, world


def make_checkpoint(made):
    made.checkpoint = Path(made.directory, "checkpoint")
    made.checkpoint.mkdir()
    (made.checkpoint / "config.json").write_text("{}")
    (made.checkpoint / "model.safetensors").write_text("weights")
    made.checkpoint.chmod(0o755)


def submissions(made):
    return [submission["name"] for submission in made.sim.ctl("submissions")]


def die_at(made, point, first):
    """One evaluation of two tasks; the daemon dies at the point and is started anew."""
    made.start(fault=point, wait=False)
    poster = threading.Thread(target=made.post, kwargs={"tasks": 2})
    poster.start()
    if not made.died_of_fault():
        raise Wrong(f"{point} was never passed")
    made.start()
    poster.join()
    made.await_state(made.evaluations[-1], "succeeded")
    made.stop()
    if len(submissions(made)) != 1:
        raise Wrong(f"{point}: {submissions(made)} were submitted")


@scenario
def kill_at_submit_points_of_reused_jobs(binary, full):
    points = [point for point in fault_points() if point.startswith("submit")]
    with world(binary) as made:
        make_checkpoint(made)
        made.start()
        first = made.post()
        made.await_state(first, "succeeded")
        made.stop()
        if len(submissions(made)) != 1:
            raise Wrong(f"{submissions(made)} were submitted for one job")
        for point in points:
            die_at(made, point, first)
        made.start()
        for evaluation in made.evaluations[1:]:
            for job in made.evaluation(evaluation)["jobs"]:
                if not (job["reused_from"] or "").startswith(f"{first}."):
                    raise Wrong(f"{job['id']} is reused from {job['reused_from']}")
        # What was answered so is forgotten when the checkpoint is another one: it is a miss, and runs once.
        (made.checkpoint / "model.safetensors").write_text("others")
        other = made.post()
        made.await_state(other, "succeeded")
        made.check()
        if len(submissions(made)) != 2:
            raise Wrong(f"a changed checkpoint: {submissions(made)} were submitted")
    return len(points)


def commands(made):
    """How often each kind of command was sent to the cluster, as the audit has it, but for observations."""
    with contextlib.closing(sqlite3.connect(made.database, timeout=60)) as store:
        rows = store.execute("SELECT action, sum(count) FROM audit WHERE action LIKE 'remote.%' GROUP BY action").fetchall()
    return {action: count for action, count in rows if action != "remote.observe"}


def since(made, before):
    return {action: count - before.get(action, 0) for action, count in commands(made).items() if count > before.get(action, 0)}


@scenario
def one_command_a_submission_that_may_be_reused(binary, full):
    """The checkpoint's fingerprint is taken in the command that submits, whether its scores are reused or it runs; and where
    all is reused nothing else is sent."""
    with world(binary) as made:
        make_checkpoint(made)
        made.start()
        first = made.post(tasks=2)
        made.await_state(first, "succeeded")
        until(lambda: commands(made).get("remote.collect"), 60, "its collection")
        time.sleep(2)
        before = commands(made)
        reused = made.post(tasks=2)
        made.await_state(reused, "succeeded")
        time.sleep(3)  # for what should not come
        if since(made, before) != {"remote.submit": 1} or len(submissions(made)) != 2:
            raise Wrong(f"what is reused costs {since(made, before)}, and {submissions(made)} were submitted")
        if not all(job["reused_from"] for job in made.evaluation(reused)["jobs"]):
            raise Wrong(f"not reused: {made.describe(reused)}")
        made.sim.set(duration_s=3600)
        (made.checkpoint / "model.safetensors").write_text("others")
        before = commands(made)
        missed = made.post(tasks=2)
        made.await_state(missed, "running")
        if since(made, before) != {"remote.submit": 1} or len(submissions(made)) != 4:
            raise Wrong(f"what is not reused costs {since(made, before)}")
        made.cancel(missed)
        made.await_state(missed, ENDS)
    return 2
