"""An evaluation whose cluster is left open, on two real clusters: it goes to the one that is free, and on to the other when
it does not start there."""

import re
from pathlib import Path

from configs import config, task
from daemon import cluster_settings
from testbed import wait_for


def make_busy(bed):
    """A job that has all nodes of alpha for half an hour; returns its id, once it runs."""
    job_id = bed.run("alpha", "sbatch", "--parsable", "--exclusive", "--nodes=2", "--time=30", "--chdir=/",
                     "--output=/dev/null", "--wrap", "sleep 1800").strip()
    wait_for("alpha is busy", lambda: bed.run("alpha", "squeue", "--noheader", "--format=%T", f"--jobs={job_id}").strip() ==
             "RUNNING")
    return job_id


def test_evaluation_goes_to_the_free_cluster_and_on_to_the_other(bed, model_server, make_daemon):
    """Held by its own flags, it starts on neither before somebody releases it: whatever the machine's speed, it moves."""
    paths = {name: {"out": str(bed.output / f"on-{name}")} for name in ("alpha", "beta")}
    daemon = make_daemon([cluster_settings(bed, name, name, paths=paths[name]) for name in ("alpha", "beta")]).start()
    client = daemon.client
    blocker = make_busy(bed)
    try:
        body = config(bed, model_server, task(), execution={
            "cluster": ["alpha", "beta"], "output_dir": "${site:out}", "move_after": "00:00:01",
            "sbatch_extra_flags": {"exclusive": False, "hold": True}})
        evaluation = client.submit(body, model_server.env)["id"]
        job_id = f"{evaluation}.0"
        moved = client.wait_job(job_id, lambda job: job["cluster"] == "alpha" and job["state"] == "pending", "has moved")
    finally:
        bed.cancel_job("alpha", blocker)
    assert moved["rundir"].startswith(paths["alpha"]["out"])
    assert bed.live_jobs_of("beta", evaluation) == [] and len(bed.live_jobs_of("alpha", evaluation)) == 1
    [left] = Path(paths["beta"]["out"]).glob(f"*{evaluation}*")
    assert list(left.glob("*/run.sub")) and not list(left.rglob(".secrets*")) and not list(left.glob(".origin"))
    withdrawn, held = moved["attempts"]
    assert withdrawn["withdrawn_at"] and withdrawn["slurm_state"] == "CANCELLED" and held["withdrawn_at"] is None
    bed.run("alpha", "scontrol", "release", moved["slurm_job_id"])
    client.wait_end(evaluation)
    placement = wait_for("it is settled", lambda: (now := client.evaluation(evaluation)["placement"])["state"] == "settled" and now)
    assert placement["cluster"] == "alpha" and isinstance(placement["error_s"], int)
    job = client.job(job_id)
    assert job["placement"] == placement
    reasons = [change["reason"] or "" for change in job["history"]]
    assert any(reason.startswith("placed on beta: alpha: would start at ") for reason in reasons)
    assert any("was withdrawn, since it had not started (execution.move_after)" in reason for reason in reasons)
    assert any(reason.startswith("moved from beta to alpha") for reason in reasons)
    assert any(re.match(r"the first job started \d+ s (earlier|later) than alpha had said \(20", reason) for reason in reasons)
    events = client.get("/v1/events", params={"evaluation": evaluation, "kind": "evaluation.placed"})["items"]
    assert [(event["data"]["from"], event["data"]["cluster"]) for event in events] == [(None, "beta"), ("beta", "alpha")]
    alpha, beta = events[0]["data"]["candidates"]
    assert alpha["answer"] == beta["answer"] == "starts" and beta["expected_start"] < alpha["expected_start"]
