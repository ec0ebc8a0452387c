"""Campaigns on real clusters: a directory in which checkpoints appear is watched while the daemon is killed; checkpoints that
no server loads are converted first.

NEL_CAMPAIGN_FULL=1: twenty checkpoints in five minutes, some with their markers written first; and twenty conversions."""

import json
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from configs import MODEL, config, task
from testbed import wait_for

PARAMETER = "evaluation.tasks.0.nemo_evaluator_config.config.params.extra.checkpoint"
FULL = os.environ.get("NEL_CAMPAIGN_FULL", "0") != "0"
CHECKPOINTS = 20 if FULL else 8
PERIOD_S = 15 if FULL else 1.5  # from one to the next
QUIET_S = 12 if FULL else 3
KILLS = (5, 11, 16) if FULL else (2, 5, 7)  # while that one is being written
LIVE = 3 if FULL else 2
MARKER = "model.safetensors.index.json"


class Trainer:
    """Writes checkpoints, one after the other; complete_at says when the last file of each was begun."""

    def __init__(self, bed):
        self.directory = bed.output / f"checkpoints-{time.time_ns()}"
        self.directory.mkdir()
        self.complete_at = {}
        self.begun = 0
        self.thread = threading.Thread(target=self.train, daemon=True)
        self.thread.start()

    def write(self, folder, marker_first):
        names = [f"model-{shard}.safetensors" for shard in range(3)]
        names.insert(0 if marker_first else len(names), MARKER)
        folder.mkdir()
        for name in names:
            self.complete_at[str(folder)] = int(time.time())
            (folder / name).write_text("weights" * 1000)
            time.sleep(PERIOD_S / 4)

    def train(self):
        (self.directory / "step_50").mkdir()  # never complete
        for i in range(CHECKPOINTS):
            self.begun += 1
            # A pause between two files may be longer than quiet_s where a machine is busy: of use with room to spare only.
            self.write(self.directory / f"step_{100 * (i + 1)}", marker_first=FULL and i % 2 == 1)


def check_order(events, steps, live):
    """By the events, in their order: of those that waited the newest was submitted, each once, and so many lived at most."""
    waiting, living = set(), set()
    for event in events:
        step = steps.get(event["data"].get("value") or event["evaluation"])
        if step is None:
            continue
        if event["kind"] == "campaign.value_found":
            assert step not in waiting
            waiting.add(step)
        elif event["kind"] == "evaluation.submitted":
            assert step == max(waiting), (step, waiting)
            waiting.remove(step)
            living.add(step)
            assert len(living) <= live
        else:
            living.remove(step)
    assert not waiting and not living


def all_events(client, **params):
    """Of these kinds, in their order."""
    found, after = [], 0
    while True:
        page = client.get("/v1/events", params={"after": after, "limit": 500, **params})["items"]
        if not page:
            return found
        found += page
        after = page[-1]["seq"]


def test_checkpoints_that_appear_while_the_daemon_is_killed_are_evaluated_once_each(bed, model_server, make_daemon):
    daemon = make_daemon()
    client = daemon.start().client
    trainer = Trainer(bed)
    body = {"name": "training", "config": config(bed, model_server, task()), "env": model_server.env, "parameter": PARAMETER, "live": LIVE,
            "watch": {"cluster": "alpha", "directory": str(trainer.directory), "pattern": "step_*",
                      "ready": {"file": MARKER, "quiet_s": QUIET_S}}}
    path = f"/v1/campaigns/{client.post('/v1/campaigns', 201, json=body)['id']}"
    for number in KILLS:
        wait_for(f"checkpoint {number} is begun", lambda: trainer.begun >= number, 600)
        daemon.kill()
        daemon.start()

    def states():
        return Counter(value["state"] for value in client.get(path)["values"])

    wait_for("all are evaluated", lambda: states() == {"succeeded": CHECKPOINTS}, 900)
    campaign = client.get(path)
    assert sorted(value["value"] for value in campaign["values"]) == sorted(trainer.complete_at)
    assert [(e["name"], e["state"]) for e in campaign["watch"]["entries"]] == [("step_50", "incomplete")]
    evaluations = client.get(f"/v1/evaluations?label=campaign:{campaign['id']}&limit=100")["items"]
    assert {e["id"] for e in evaluations} == {value["evaluation"] for value in campaign["values"]} and len(evaluations) == CHECKPOINTS
    assert {e["id"]: len(bed.jobs_of("alpha", e["id"])) for e in evaluations} == {e["id"]: 1 for e in evaluations}
    events = all_events(client, kind=["campaign.value_found", "evaluation.submitted", "evaluation.ended"])
    found = [event for event in events if event["kind"] == "campaign.value_found"]
    assert Counter(event["data"]["value"] for event in found) == Counter(list(trainer.complete_at))
    for event in found:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(trainer.complete_at[event["data"]["value"]]))
        assert event["at"] >= at, "none was found before it was whole"
    check_order(events, {value[key]: value["step"] for value in campaign["values"] for key in ("value", "evaluation")}, LIVE)
    client.post(f"{path}/cancel", 202)


CONVERTED = 20 if FULL else 4  # and one that is broken, and one that is worse
WORSE, BROKEN = 300, 400
TASKS = ("ifeval", "mmlu", "gsm8k", "hellaswag")
CONVERT = """
if [[ -e $NEL_CHECKPOINT/broken ]]; then
    echo 'no layer 7 in this checkpoint' >&2
    exit 3
fi
mkdir "$NEL_CONVERTED/hf"
cp "$NEL_CHECKPOINT/weights" "$NEL_CONVERTED/hf"
sleep 2
cp "$NEL_CHECKPOINT/wrong" "$NEL_CONVERTED/hf/config.json"
"""


@pytest.fixture
def hooked():
    """What a webhook is sent; its server has the URL as `url`."""
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.url = [], f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def write_trained(bed):
    """Checkpoints that the server does not load: no config.json; their steps and paths."""
    directory = bed.output / f"trained-{time.time_ns()}"
    made = {100 * (i + 1): directory / f"step_{100 * (i + 1)}" for i in range(CONVERTED)}
    for step, folder in made.items():
        folder.mkdir(parents=True)
        (folder / "weights").write_text(f"weights of {step}")
        (folder / "wrong").write_text(json.dumps({"wrong": [1, 3, 5, 7] if step == WORSE else [7]}))
    (made[BROKEN] / "broken").touch()
    return made


def sharing(bed, model_server):
    """A server, and four tasks on it."""
    body = config(bed, model_server, *(task(40, parallelism=8, name=f"lm-evaluation-harness.{name}", extra={"samples": ["lm_eval"]}) for name in TASKS),
                  execution={"share_deployment": True, "output_dir": str(bed.output / "converted")})
    del body["target"]
    return {**body, "defaults": [{"execution": "slurm/default"}, {"deployment": "vllm"}, "_self_"],
            "deployment": {"served_model_name": MODEL, "checkpoint_path": None}}


def test_checkpoints_are_converted_once_each_and_a_worse_one_is_told_of_once(bed, model_server, make_daemon, hooked):
    daemon = make_daemon(webhooks={"allow_private": True, "allow_http": True})
    client = daemon.start().client
    trained = write_trained(bed)
    client.post("/v1/webhooks", 201, json={"url": hooked.url, "kinds": ["campaign.regression"], "scope": "own"})
    body = {"name": "trained", "config": sharing(bed, model_server), "parameter": "deployment.checkpoint_path", "live": 4,
            "values": [str(folder) for folder in trained.values()],
            "convert": {"image": bed.env["NEL_IMAGE"], "command": CONVERT, "output": "hf", "walltime": "00:05:00", "cpus": 1}}
    path = f"/v1/campaigns/{client.post('/v1/campaigns', 201, json=body)['id']}"

    def values():
        return {value["step"]: value for value in client.get(path)["values"]}

    for number in (1, 3):
        wait_for("conversions begin", lambda: sum(value["conversion"] is not None for value in values().values()) >= number)
        daemon.kill()
        daemon.start()
    wait_for("the end", lambda: client.get(path)["state"] == "ended", 1200)
    ended = values()
    states = {step: value["state"] for step, value in ended.items()}
    assert states == {step: "failed" if step == BROKEN else "succeeded" for step in trained}, ended
    assert ended[BROKEN]["evaluation"] is None and "no layer 7 in this checkpoint" in ended[BROKEN]["conversion"]["reason"]
    broken = client.job(ended[BROKEN]["conversion"]["job"])
    log = client.call("GET", f"/v1/jobs/{broken['id']}/logs/client-{broken['slurm_job_id']}.log").text
    assert "no layer 7 in this checkpoint" in log
    # One Slurm job a conversion, and one for the four tasks of each evaluation.
    assert [len(bed.jobs_of("alpha", value["conversion"]["job"].split(".")[0])) for value in ended.values()] == [1] * CONVERTED
    evaluations = [value["evaluation"] for value in ended.values() if value["evaluation"]]
    assert [len(bed.jobs_of("alpha", evaluation)) for evaluation in evaluations] == [1] * (CONVERTED - 1)
    shown = [client.evaluation(evaluation) for evaluation in evaluations]
    assert [e["counts"]["succeeded"] for e in shown] == [len(TASKS)] * (CONVERTED - 1)
    assert all_events(client, kind="job.warning") == []
    rundir = client.job(ended[100]["conversion"]["job"])["rundir"]
    resolved = client.get(f"/v1/evaluations/{ended[100]['evaluation']}/config?form=resolved")
    assert f"{rundir}/converted/hf" in (resolved if isinstance(resolved, str) else getattr(resolved, "text", json.dumps(resolved)))
    used = {row["task"]: row for row in client.get("/v1/usage?by=task")["items"]}
    assert used["convert"]["attempts"] == CONVERTED
    events = all_events(client, kind="campaign.regression")
    assert [event["data"]["step"] for event in events] == [WORSE]
    assert sorted(score["task"] for score in events[0]["data"]["scores"]) == sorted(TASKS), events
    assert {score["method"] for score in events[0]["data"]["scores"]} == {"mcnemar_exact"}
    wait_for("the webhook", lambda: hooked.got)
    daemon.stop()
    daemon.start()
    assert [event["data"]["step"] for event in hooked.got] == [WORSE]
