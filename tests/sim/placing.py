"""Evaluations whose cluster is left open, between two simulated ones: never on both at once, and each runs exactly once.
registry.py says what a scenario is."""

import contextlib
import re

from crashes import PLACING, fault_points
from registry import scenario
from world import ENDS, Sim, Wrong, until, world


@contextlib.contextmanager
def two_clusters(binary):
    """A world with a second cluster: on the first nothing ever starts, which says that it would at once."""
    with world(binary) as made:
        other = Sim(f"{made.directory}/other")
        made.closers.append(other.stop)
        made.closers.append(other.crash)
        made.cluster["paths"] = {"out": made.sim.output}
        made.others.append({**made.cluster, "name": "other", "hostname": "login.other.example",
                            "port": int(other.settings["NEL_SIM_PORT"]),
                            "known_hosts_file": other.settings["NEL_SIM_KNOWN_HOSTS"],
                            "identity": {"username": other.settings["NEL_SIM_USER"],
                                         "key_file": other.settings["NEL_SIM_KEY"]},
                            "paths": {"out": other.output}})
        made.sim.set(capacity=0, foretold_s=0)
        other.set(duration_s=0.5, start_delay_s=0.2, foretold_s=600)
        yield made, other


def post(made):
    return made.post(output="${site:out}", hostname=None, cluster=["sim", "other"], move_after="00:00:02")


def jobs_on(sim, evaluation):
    return [job for job in sim.ctl("jobs") if f"-{evaluation}." in job["name"]]


def placement(made, evaluation):
    return made.evaluation(evaluation)["placement"]


def check(made, other, evaluation, on):
    """It has run once, on that cluster; what was elsewhere had ended before anything was sent there, and left no secrets."""
    [job] = made.evaluation(evaluation)["jobs"]
    if job["state"] != "succeeded" or job["cluster"] != on:
        raise Wrong(f"{job['id']} is {job['state']} on {job['cluster']}: {job['reason']}")
    here, there = (jobs_on(sim, evaluation) for sim in ((made.sim, other) if on == "sim" else (other, made.sim)))
    if [one["state"] for one in here].count("COMPLETED") != 1:
        raise Wrong(f"{evaluation}: {here}")
    for one in there:
        if one["state"] != "CANCELLED" or one["end"] > min(job["submit"] for job in here):
            raise Wrong(f"{evaluation} was on both at once: {one}, {here}")
    for sim in (made.sim, other):
        facts = sim.ctl("get")
        if facts["violations"] or facts["unknown"]:
            raise Wrong(f"simulated Slurm: {facts['violations']} {facts['unknown']}")


@scenario
def kill_at_points_of_a_move(binary, full):
    """The daemon dies while it chooses, withdraws, leaves and moves, and is started anew."""
    points = [point for point in fault_points() if point.startswith(PLACING)]
    points += ["place-before-commit:2", "place-committed:2", "cancel-before-exec", "cancel-after-exec"]
    points = points if full else points[::3]
    with two_clusters(binary) as (made, other):
        for point in points:
            made.start(fault=point)
            evaluation = post(made)
            if not made.died_of_fault():
                raise Wrong(f"{point} was never passed: {made.evaluation(evaluation)}")
            made.start()
            made.await_state(evaluation, ENDS)
            check(made, other, evaluation, "other")
            made.stop()
    return len(points)


@scenario
def cluster_lost_during_withdrawal(binary, full):
    """Slurm does not answer when the evaluation is to be withdrawn: it stays, and runs there."""
    with two_clusters(binary) as (made, other):
        made.start()
        evaluation = post(made)
        made.await_state(evaluation, "pending")
        made.sim.set(slurmctld="down")
        until(lambda: placement(made, evaluation)["state"] == "withdrawing", 120, "the withdrawal")
        until(lambda: "Unable to contact" in (made.evaluation(evaluation)["jobs"][0]["waiting_on"] or ""), 120,
              "a scancel that fails")
        made.sim.set(capacity=100, duration_s=30)
        made.sim.set(slurmctld="up")  # what waited begins before scancel is tried again
        until(lambda: jobs_on(made.sim, evaluation)[0]["state"] != "PENDING", 120, "its start")
        made.await_state(evaluation, ENDS)
        [job] = made.evaluation(evaluation)["jobs"]
        check(made, other, evaluation, job["cluster"])
        if job["cluster"] != "sim" or jobs_on(other, evaluation):
            raise Wrong(f"it had begun, and was moved: {placement(made, evaluation)}")
        return 1
