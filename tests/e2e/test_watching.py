"""A whole evaluation watched from outside, over the death of the daemon: nothing is missed and nothing comes twice."""

import hashlib
import hmac
import json
import threading
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from configs import config, task
from testbed import wait_for


class Listener(threading.Thread):
    """Reads the stream of events, and comes again whenever it ends."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.events, self.last, self.over = client, [], "0", False
        self.connections = 0

    def run(self):
        while not self.over:
            try:
                self.read()
            except requests.RequestException:
                time.sleep(0.05)

    def read(self):
        headers = {**self.client.session.headers, "Accept": "text/event-stream", "Last-Event-ID": self.last}
        with requests.get(self.client.base + "/v1/events", headers=headers, stream=True, timeout=30) as reply:
            reply.raise_for_status()
            self.connections += 1
            place = None
            for line in reply.iter_lines(chunk_size=1):
                if self.over:
                    return
                name, _, value = line.decode().partition(": ")
                if name == "id":
                    place = value
                elif name == "data":
                    self.events.append(json.loads(value))
                elif not line and place is not None:
                    self.last = place


class Receiver:
    """Refuses the first few deliveries."""

    def __init__(self, refuse):
        self.got = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken = len(receiver.got) >= refuse
                receiver.got.append((dict(self.headers), body, taken))
                self.send_response(200 if taken else 503)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()

    def taken(self):
        return [json.loads(body) for _, body, taken in list(self.got) if taken]


def test_evaluation_watched_over_the_daemons_death(bed, model_server, make_daemon):
    receiver = Receiver(refuse=2)
    daemon = make_daemon(webhooks={"allow_private": True, "allow_http": True})
    client = daemon.start().client
    hook = client.post("/v1/webhooks", 201, json={"url": f"http://127.0.0.1:{receiver.server.server_port}/",
                                                  "kinds": ["attempt.started", "evaluation.ended"]})
    listener = Listener(client)
    listener.start()
    identity = client.submit(config(bed, model_server, task(6, 1)), model_server.env)["id"]
    wait_for("the job is seen to run", lambda: any(e["kind"] == "attempt.started" for e in list(listener.events)))
    daemon.kill()
    daemon.start()
    client.wait_end(identity)
    wait_for("the listener hears the end", lambda: any(e["kind"] == "evaluation.ended" for e in list(listener.events)))
    listener.over = True
    assert listener.connections >= 2
    seqs = [event["seq"] for event in listener.events]
    assert seqs == list(range(1, len(seqs) + 1))
    assert listener.events == client.get("/v1/events?limit=500&after=0")["items"][:len(seqs)]
    kinds = [event["kind"] for event in listener.events]
    for kind in ("evaluation.submitted", "attempt.submitted", "attempt.started", "attempt.ended", "results.recorded",
                 "evaluation.ended"):
        assert kinds.count(kind) == 1, (kind, kinds)
    assert kinds.index("attempt.ended") < kinds.index("results.recorded") < kinds.index("evaluation.ended")
    job = client.job(f"{identity}.0")
    changes = [(e["data"]["from"], e["data"]["to"]) for e in listener.events if e["kind"] == "job.state"]
    assert changes == [(change["from"], change["to"]) for change in job["history"] if change["from"]]
    ended = next(e["data"] for e in listener.events if e["kind"] == "attempt.ended")
    assert ended["slurm_job_id"] == job["slurm_job_id"] and ended["exit_code"] == 0
    check_deliveries(client, hook, receiver)
    check_metrics(client)


def check_deliveries(client, hook, receiver):
    wait_for("the webhook delivers", lambda: len(receiver.taken()) >= 2)
    assert list(dict.fromkeys(e["kind"] for e in receiver.taken())) == ["attempt.started", "evaluation.ended"]
    ids = [headers["webhook-id"] for headers, _, _ in receiver.got]
    assert len(set(ids)) == 2 and ids == sorted(ids, key=lambda one: int(one.rsplit("_", 1)[1]))
    key = b64decode(hook["secret"].removeprefix("whsec_"))
    for headers, body, _ in receiver.got:
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        assert headers["webhook-signature"] == "v1," + b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    wait_for("the deliveries are noted", lambda: [d["state"] for d in client.get(
        f"/v1/webhooks/{hook['id']}/deliveries")["items"]] == ["delivered", "delivered"])
    receiver.server.shutdown()


def check_metrics(client):
    text = client.get("/metrics").text
    assert 'nel_attempts_ended_total{cluster="alpha",state="COMPLETED"} 1' in text
    assert 'nel_gpu_seconds_wasted_total{cluster="alpha"} 0' in text
    assert 'nel_jobs{cluster="alpha",state="succeeded"} 1' in text
