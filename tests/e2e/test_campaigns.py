"""Campaigns on real clusters: a directory in which checkpoints appear is watched while the daemon is killed."""

import time
from collections import Counter

from configs import config, task
from testbed import wait_for

PARAMETER = "evaluation.tasks.0.nemo_evaluator_config.config.params.extra.checkpoint"
CHECKPOINTS = 8
LIVE = 2


class Trainer:
    """Writes checkpoints, the marker last; complete_at says when that was begun."""

    def __init__(self, bed):
        self.directory = bed.output / f"checkpoints-{time.time_ns()}"
        self.directory.mkdir()
        self.complete_at = {}

    def write(self, step):
        folder = self.directory / f"step_{step}"
        folder.mkdir()
        for shard in range(3):
            (folder / f"model-{shard}.safetensors").write_text("weights" * 1000)
            time.sleep(0.5)
        self.complete_at[str(folder)] = int(time.time())
        (folder / "model.safetensors.index.json").write_text("{}")


def test_checkpoints_that_appear_while_the_daemon_is_killed_are_evaluated_once_each(bed, model_server, make_daemon):
    daemon, trainer = make_daemon(), Trainer(bed)
    client = daemon.start().client
    body = {"name": "training", "config": config(bed, model_server, task()), "env": model_server.env, "parameter": PARAMETER, "live": LIVE,
            "watch": {"cluster": "alpha", "directory": str(trainer.directory), "pattern": "step_*",
                      "ready": {"file": "model.safetensors.index.json", "quiet_s": 3}}}
    path = f"/v1/campaigns/{client.post('/v1/campaigns', 201, json=body)['id']}"
    (trainer.directory / "step_50").mkdir()  # never complete
    for i in range(CHECKPOINTS):
        trainer.write(100 * (i + 1))
        if i in (1, 4, 6):
            daemon.kill()
            daemon.start()

    def states():
        values = client.get(path)["values"]
        assert sum(value["state"] in ("queued", "running") for value in values) <= LIVE
        return Counter(value["state"] for value in values)

    wait_for("all are evaluated", lambda: states() == {"succeeded": CHECKPOINTS}, 400)
    campaign = client.get(path)
    assert sorted(value["value"] for value in campaign["values"]) == sorted(trainer.complete_at)
    assert [(e["name"], e["state"]) for e in campaign["watch"]["entries"]] == [("step_50", "incomplete")]
    evaluations = client.get(f"/v1/evaluations?label=campaign:{campaign['id']}&limit=100")["items"]
    assert {e["id"] for e in evaluations} == {value["evaluation"] for value in campaign["values"]} and len(evaluations) == CHECKPOINTS
    assert {e["id"]: len(bed.jobs_of("alpha", e["id"])) for e in evaluations} == {e["id"]: 1 for e in evaluations}
    found = client.get("/v1/events", params={"after": 0, "limit": 500, "kind": "campaign.value_found"})["items"]
    assert Counter(event["data"]["value"] for event in found) == Counter(list(trainer.complete_at))
    for event in found:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(trainer.complete_at[event["data"]["value"]]))
        assert event["at"] >= at, "none was found before it was whole"
    client.post(f"{path}/cancel", 202)
