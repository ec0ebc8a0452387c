"""Evaluations whose cluster is left open, between two simulated ones: never on both at once, and each runs exactly once.
registry.py says what a scenario is."""

import contextlib
import datetime
import os
import random
import re
import signal
import time

from crashes import PLACING, fault_points
from registry import scenario, seed
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


def post(made, cluster=("sim", "other"), **execution):
    cluster = cluster if isinstance(cluster, str) else list(cluster)
    return made.post(output="${site:out}", hostname=None, cluster=cluster, **({"move_after": "00:00:02"} | execution))


def jobs_on(sim, evaluation):
    return [job for job in sim.ctl("jobs") if f"-{evaluation}." in job["name"]]


def placement(made, evaluation):
    return made.evaluation(evaluation)["placement"]


def check(made, other, evaluation, on):
    """It has run once, on that cluster; what was elsewhere had ended before anything was sent there, and left no secrets."""
    for job in made.evaluation(evaluation)["jobs"]:
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
        cluster = made.evaluation(evaluation)["jobs"][0]["cluster"]
        check(made, other, evaluation, cluster)
        if cluster != "sim" or jobs_on(other, evaluation):
            raise Wrong(f"it had begun, and was moved: {placement(made, evaluation)}")
        return 1


@scenario
def answer_lost_at_withdrawal(binary, full):
    """The connection breaks before scancel has acted, and after: what it did is found out, and only then is it sent to the
    other."""
    with two_clusters(binary) as (made, other):
        made.start()
        for place in ("before", "after"):
            made.sim.set(hold=f"scancel-{place}")
            evaluation = post(made)
            made.sim.ctl("wait-held", 1, 120)
            if place == "before" and jobs_on(made.sim, evaluation)[0]["state"] != "PENDING":
                raise Wrong(f"it is not to be withdrawn: {jobs_on(made.sim, evaluation)}")
            made.sim.cut()
            time.sleep(2)
            if place == "before" and jobs_on(other, evaluation):
                raise Wrong("it was sent to the other before it had ended here")
            made.sim.ctl("release")
            made.await_state(evaluation, ENDS)
            check(made, other, evaluation, "other")
    return 2


@scenario
def withdrawal_takes_long(binary, full):
    """Slurm takes the scancel and the job is there for some time yet: nothing is sent to the other before it is seen gone."""
    with two_clusters(binary) as (made, other):
        made.sim.set(cancel_delay_s=8)
        made.start()
        evaluation = post(made)
        until(lambda: made.sim.ctl("get")["calls"].get("scancel", 0) > 0, 120, "the scancel")
        made.await_state(evaluation, ENDS)
        check(made, other, evaluation, "other")
    return 1


@scenario
def unreachable_when_withdrawn(binary, full):
    """The login node is away when the evaluation is to be withdrawn: it is not sent to the other meanwhile. Back again it is
    withdrawn if it still waits, and stays if it has begun."""
    with two_clusters(binary) as (made, other):
        made.start()
        for begins in (False, True):
            made.sim.set(hold="scancel-before", capacity=0)
            evaluation = post(made)
            made.sim.ctl("wait-held", 1, 120)
            pid = made.sim.sshd_pid()
            os.kill(pid, signal.SIGSTOP)
            try:
                made.sim.crash()  # scancel dies with the connection, but for what the simulator has of it
                time.sleep(6)
                if jobs_on(other, evaluation) or made.evaluation(evaluation)["cluster"] != "sim":
                    raise Wrong(f"it was moved unseen: {made.describe(evaluation)}")
                if begins:
                    made.sim.set(capacity=100, duration_s=5)
                    until(lambda: jobs_on(made.sim, evaluation)[0]["state"] == "RUNNING", 60, "its start")
            finally:
                os.kill(pid, signal.SIGCONT)
            if not begins:
                made.sim.ctl("release")
            made.await_state(evaluation, ENDS, 240)
            check(made, other, evaluation, "sim" if begins else "other")
            if begins:
                made.sim.ctl("release")
    return 2


@scenario
def kill_at_any_instant_of_a_move(binary, full):
    """The daemon is killed, connections of both are cut, at random instants while evaluations choose and move."""
    draw = random.Random(seed())
    count = 40 if full else 8
    with two_clusters(binary) as (made, other):
        made.start()
        evaluations = []
        for _ in range(count):
            evaluations.append(post(made, move_after="00:00:01"))
            time.sleep(draw.uniform(0, 2.5))
            for sim in (made.sim, other):
                if draw.random() < 0.5:
                    sim.cut()
            made.kill()
            made.start()
        for evaluation in evaluations:
            made.await_state(evaluation, ENDS, 240)
            check(made, other, evaluation, "other")
    return count


# ---- the choice ----

def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def metric(made, name, cluster):
    status, text = made.request("GET", "/metrics")
    found = re.search(rf'^{name}{{cluster="{cluster}"}} ([0-9.e+]+)$', (text or b"").decode() if status == 200 else "", re.M)
    return float(found[1]) if found else 0


@scenario
def any_goes_where_it_starts_first(binary, full):
    """`any`, to the end: on the second of the clusters, which starts it sooner. How far out its forecast was is told, added
    up, and is the start that Slurm has less the one that it had foretold."""
    with two_clusters(binary) as (made, other):
        made.sim.set(foretold_s=3600)
        made.start()
        error_s = 0
        for count, (foretold_s, delay_s) in enumerate(((300, 0.2), (0, 7)), 1):
            other.set(foretold_s=foretold_s, start_delay_s=delay_s)
            evaluation = post(made, "any", move_after=None)
            made.await_state(evaluation, ENDS)
            check(made, other, evaluation, "other")
            if jobs_on(made.sim, evaluation):
                raise Wrong("it was on the other one, too")
            settled = until(lambda: (now := placement(made, evaluation))["state"] == "settled" and now, 60, "the end of the placement")
            sim, chosen = settled["candidates"]
            if (sim["cluster"], sim["answer"], chosen["answer"]) != ("sim", "starts", "starts"):
                raise Wrong(f"not both were asked: {settled}")
            if settled["cluster"] != "other" or settled["expected_start"] != chosen["expected_start"] >= sim["expected_start"]:
                raise Wrong(f"not the one that starts first: {settled}")
            [job] = jobs_on(other, evaluation)
            want = int(job["start"]) - int(seconds(settled["expected_start"]))
            if seconds(settled["started_at"]) != int(job["start"]) or settled["error_s"] != want or (want < 0) != (foretold_s > 0):
                raise Wrong(f"the error is {want}: {settled}")
            history = [change["reason"] or "" for change in made.get(f"/v1/jobs/{evaluation}.0")["history"]]
            way = "earlier" if want < 0 else "later"
            if not any(reason.startswith(f"the first job started {abs(want)} s {way} than other had said (") for reason in history):
                raise Wrong(f"the history does not tell of it: {history}")
            error_s += abs(want)
            if (metric(made, "nel_start_forecasts_total", "other"), metric(made, "nel_start_forecast_error_seconds_total", "other"),
                    metric(made, "nel_placements_total", "other")) != (count, error_s, count):
                raise Wrong(f"the metrics do not have {count} forecasts and {error_s} s")
    return 2


@scenario
def clusters_are_asked_side_by_side(binary, full):
    """Neither says when it would start: both are being asked at once, for connect_timeout_s and no longer. Asked anew, the
    one that answers has it."""
    with two_clusters(binary) as (made, other):
        for sim in (made.sim, other):
            sim.set(test_only="hang")
        for settings in (made.cluster, *made.others):
            settings["connect_timeout_s"] = 30
        made.start()
        begin = time.monotonic()
        evaluation = post(made, "any")
        until(lambda: all(sim.ctl("get")["calls"].get("sbatch", 0) for sim in (made.sim, other)), 120, "both to be asked")
        asked = placement(made, evaluation)["candidates"]
        if any(one["answer"] for one in asked):
            raise Wrong(f"not at once: {asked}")

        def answers():
            candidates = placement(made, evaluation)["candidates"]
            return candidates if all(one["answer"] for one in candidates) else None

        told = until(answers, 120, "the answers")
        took_s = time.monotonic() - begin
        if any(one["answer"] != "silent" or not re.search("(no|not) answer", one["message"]) for one in told):
            raise Wrong(f"they were not silent: {told}")
        if jobs_on(made.sim, evaluation) or jobs_on(other, evaluation) or set(made.states(evaluation)) != {"queued"}:
            raise Wrong(f"it went to one that says nothing: {made.describe(evaluation)}")
        if took_s > 58:
            raise Wrong(f"two clusters took {took_s:.0f} s, of which each may take 30")
        made.sim.set(test_only="ok", slurmctld="down")  # which is silence, too
        other.set(test_only="ok")
        made.await_state(evaluation, ENDS, 240)
        check(made, other, evaluation, "other")
    return 2


@scenario
def walltime_is_chosen_on_each_cluster(binary, full):
    """`cluster: any` and `walltime: auto` together, the daemon dying on the way: where it was withdrawn its attempt had the length
    that would have started soonest there, and on the cluster that it was moved to it has that cluster's."""
    faults = ("place-committed:2", "submit-taken:2", "submit-after-exec:2")
    faults = faults if full else faults[1:2]
    for fault in faults:
        with two_clusters(binary) as (made, other):  # each time anew: equal runs would say how long it takes
            made.sim.set(holes="1800:0,999999:90000")
            other.set(holes="2700:0,999999:90000")
            made.start(fault=fault)
            evaluation = post(made, "any", walltime="auto", max_walltime="03:00:00")
            if not made.died_of_fault():
                raise Wrong(f"{fault} was never passed: {made.evaluation(evaluation)}")
            made.start()
            made.await_state(evaluation, ENDS)
            check(made, other, evaluation, "other")
            check_lengths(made, other, evaluation)
    return len(faults)


def check_lengths(made, other, evaluation):
    """1800 s on the first and 2700 s on the other one, to the daemon as to Slurm."""
    slurms = [[one["limit_s"] for one in sim.ctl("submissions") if f"-{evaluation}." in one["name"]] for sim in (made.sim, other)]
    for job in made.evaluation(evaluation)["jobs"]:
        job = made.get(f"/v1/jobs/{job['id']}")
        found = [attempt["time_limit_s"] for attempt in job["attempts"]]
        told = [change["reason"] for change in job["history"] if change["to"] == "pending"]
        if found != [1800, 2700] or slurms != [[1800], [2700]]:
            raise Wrong(f"{job['id']}: time limits {found}, in Slurm {slurms}; history: {told}")
        if not all(f"for {length} s (execution.walltime is auto)" in reason for length, reason in zip(found, told)):
            raise Wrong(f"{job['id']}: history: {told}")
