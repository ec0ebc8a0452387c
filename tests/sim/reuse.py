"""A daemon that dies while an equal job's scores are to stand for those of an evaluation's jobs, and Slurm is not asked.
registry.py says what a scenario is."""

import threading
from pathlib import Path

from crashes import fault_points
from registry import scenario
from world import Wrong, world


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
