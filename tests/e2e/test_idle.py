"""An evaluation that hangs, on a real cluster: its GPUs and its server do nothing, and it is stopped and resumed once."""

import os

from configs import task
from daemon import cluster_settings
from submissions import Site


def test_an_attempt_that_does_nothing_is_stopped_and_resumed(bed, make_daemon, model_server):
    """Its GPUs work until the evaluator is seen to be at work."""
    tools = bed.shared / "idle"
    tools.mkdir(exist_ok=True)
    gpus = tools / "gpus"
    gpus.write_text("0, 35\n1, 5\n")
    (tools / "nvidia-smi").write_text(f"#!/bin/bash\ncat {gpus}\n")
    (tools / "nvidia-smi").chmod(0o755)
    daemon = make_daemon([cluster_settings(bed, environment={"PATH": f"{tools}:{os.environ['PATH']}"})]).start()
    site = Site(bed, "alpha", 8600, model_server)
    body = site.vllm(task(4, delay_s=600, parallelism=1, extra={"bar": True}), execution={"idle_limit": "00:00:20"})
    job_id = daemon.client.submit(body)["id"] + ".0"
    shared = Site(bed, "alpha", 8620, model_server).vllm(task(4, delay_s=600), task(4), execution={"share_deployment": True})
    shared_id = daemon.client.submit(shared)["id"]
    at_work = daemon.client.wait_job(job_id, lambda job: job["progress"] and job["progress"]["total"] and
                                     job["gpu_utilization"], "is at work")
    assert at_work["progress"]["total"] == 4
    assert at_work["gpu_utilization"] == {"mean": 0.2, "below_10_percent": 0}
    # On a shared deployment what the GPUs do counts for who is evaluated.
    first = daemon.client.wait_job(f"{shared_id}.0", lambda job: job["gpu_utilization"], "uses GPUs")
    assert first["gpu_utilization"] == {"mean": 0.2, "below_10_percent": 0}
    assert daemon.client.job(f"{shared_id}.1")["gpu_utilization"] is None
    daemon.client.post(f"/v1/evaluations/{shared_id}/cancel", 202)
    gpus.write_text("0, 9\n1, 0\n")
    job = daemon.client.wait_job(job_id, lambda job: len(job["attempts"]) == 2, "is resumed")
    [reason] = [change["reason"] for change in job["history"] if change["to"] == "resuming"]
    assert "attempt 1 ended with idle GPUs and servers (execution.idle_limit) and will be continued" in reason
    assert job["attempts"][0]["exit_code"] == 123
    assert 0 < job["gpu_utilization"]["below_10_percent"] < 1
    daemon.client.post(f"/v1/jobs/{job_id}/cancel", 202)
    daemon.client.wait_state(job_id, "cancelled")
