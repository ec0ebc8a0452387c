"""What an attempt used, by real accounting, what is told of it to the next one, and what a quota does with that."""

import sqlite3
from contextlib import closing

from configs import config, task
from testbed import wait_for

SPENT = "team:spent"


def test_usage_is_sacct_s_and_the_next_run_is_told(bed, make_daemon, model_server):
    daemon = make_daemon(quotas={"labels": {SPENT: {"gpu_hours": 0, "per": "month"}}}).start()
    client = daemon.client
    envelope = {"config": config(bed, model_server, task(), execution={"gres": "gpu:2"}), "env": model_server.env}
    assert client.post("/v1/evaluations?dry_run=true", 200, json=envelope)["forecast"] is None
    evaluation = client.submit(envelope["config"], model_server.env)["id"]
    client.wait_end(evaluation)
    job = client.job(f"{evaluation}.0")
    assert job["state"] == "succeeded", job["reason"]

    def accounted():
        """Nothing else is observed on the cluster any more, and the ledger has what sacct says all the same."""
        run_s, tres = bed.run("alpha", "sacct", "-nXP", "-o", "ElapsedRaw,AllocTRES", "-j", job["slurm_job_id"]).strip().split("|")
        [used] = client.get("/v1/usage?by=task")["items"]
        with closing(sqlite3.connect(daemon.database, timeout=60)) as store:
            [(source,)] = store.execute("SELECT source FROM usage").fetchall()
        return source == "sacct" and "gres/gpu=2" in tres and used["run_s"] == int(run_s) and used["gpu_s"] == 2 * int(run_s) and used

    used = wait_for("the ledger has what sacct says", accounted, 240)
    forecast = client.post("/v1/evaluations?dry_run=true", 200, json=envelope)["forecast"]
    [expected] = forecast["jobs"]
    assert (expected["basis"], expected["runs"]) == ("equal", 1)
    assert expected["duration_s"] == {"p50": used["run_s"], "p90": used["run_s"]}
    assert abs(expected["gpu_hours"]["p50"] - used["gpu_s"] / 3600) < 0.001
    held = client.post("/v1/evaluations", 202, json={**envelope, "labels": {"team": "spent"}})["jobs"][0]["id"]
    job = client.wait_job(held, lambda job: job["queue"] and job["queue"]["reason"], "is held")
    assert (job["state"], job["queue"]["reason"], job["queue"]["until"][7:]) == ("queued", "gpu_hours_of_label", "-01T00:00:00Z")
    client.post(f"/v1/jobs/{held}/cancel", 202)
    client.wait_job(held, lambda job: job["state"] == "cancelled", "is cancelled")
    assert client.job(held)["attempts"] == [] and len(bed.jobs_of("alpha", held.split(".")[0])) == 0
