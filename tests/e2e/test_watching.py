"""A whole evaluation watched from outside, over the death of the daemon, and a log from its first byte to its last, over a
preemption: nothing is missed and nothing comes twice."""

import hashlib
import hmac
import io
import json
import tarfile
import threading
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from configs import RESUMED_PARALLELISM, config, task
from resumed import check_resumed
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
    wait_for("the listener is back", lambda: listener.connections >= 2)
    listener.over = True
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


LOG = "client-current.log"
QUESTIONS = 32


class LogReader(threading.Thread):
    """Follows the evaluation's current log; what went wrong is raised by finish()."""

    def __init__(self, client, job_id):
        super().__init__(daemon=True)
        self.client, self.error, self.over = client, None, False
        self.url = f"{client.base}/v1/jobs/{job_id}/logs/{LOG}?follow=true"
        self.start()

    def run(self):
        try:
            self.read()
        except Exception as error:  # finish() raises it
            self.error = error

    def open(self, kind, **headers):
        reply = requests.get(self.url, headers={**self.client.session.headers, "Accept": kind, **headers}, stream=True,
                             timeout=240)
        reply.raise_for_status()
        return reply

    def wait(self, what, check):
        """While it follows."""
        wait_for(what, lambda: check() or not self.is_alive())
        if not self.is_alive():
            self.finish()
            raise AssertionError(f"the log ended before {what}")

    def finish(self):
        self.join(120)
        assert not self.is_alive(), "the log was followed on behind its end"
        if self.error is not None:
            raise self.error


class TextReader(LogReader):
    """As plain text, until its end or until it is told to leave."""

    def __init__(self, client, job_id):
        self.got = b""
        super().__init__(client, job_id)

    def read(self):
        with self.open("text/plain") as reply:
            for piece in reply.iter_content(None):
                self.got += piece
                if self.over:
                    return


class EventReader(LogReader):
    """As Server-Sent Events; comes back with Last-Event-ID after each `patience` events of bytes (None: never). Every event
    must begin where the one before ended."""

    def __init__(self, client, job_id, patience=None):
        self.files, self.marks, self.last, self.connections, self.patience = {}, [], None, 0, patience
        super().__init__(client, job_id)

    def read(self):
        while not self.over:
            headers = {"Last-Event-ID": self.last} if self.last else {}
            with self.open("text/event-stream", **headers) as reply:
                assert reply.headers["Content-Type"] == "text/event-stream"
                self.connections += 1
                self.take(reply.iter_lines(chunk_size=1, delimiter=b"\n"))

    def take(self, lines):
        name, place, pieces = "message", None, 0
        for line in lines:
            field, _, value = line.decode().partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                place = value
            elif field == "data":
                self.event(name, json.loads(value))
                name, self.last, pieces = "message", place, pieces + (name == "message")
            elif not line and (self.over or (self.patience is not None and pieces >= self.patience)):
                return
        raise AssertionError("the stream ended without an end")

    def event(self, name, data):
        if name == "message":
            file = self.marks[-1]["name"]
            assert data["offset"] == len(self.files[file])
            self.files[file] += b64decode(data["base64"]) if "base64" in data else data["text"].encode()
            return
        assert name in ("file", "end"), name
        assert data["offset"] == len(self.files.setdefault(data["name"], b""))
        self.marks.append(data)
        self.over = name == "end"


def remote_readers(bed):
    """Scripts of the daemon that have run for a while on the login node: the commands of a poll are over by then. Their own
    children, which have the same arguments, do not count."""
    text = bed.run("alpha", "ps", "-ww", "-u", bed.env["NEL_USER"], "-o", "pid=,ppid=,etimes=,args=")
    lines = [line.split(None, 3) for line in text.splitlines() if "s=$(head -c" in line]
    scripts = {line[0] for line in lines}
    return [line for line in lines if line[1] not in scripts and int(line[2]) >= 3]


def check_tar(client, job_id, directory):
    content = client.get(f"/v1/jobs/{job_id}/artifacts?format=tar").content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        got = {member.name.removeprefix("./").rstrip("/"): archive.extractfile(member).read() if member.isfile() else None
               for member in archive}
    got = {name: data for name, data in got.items() if name not in ("", ".")}
    assert got == {str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
                   for path in directory.rglob("*")}
    assert "results.yml" in got


def test_log_followed_to_the_end_over_a_preemption(bed, daemon, model_server):
    client = daemon.client
    work = task(QUESTIONS, 2, parallelism=RESUMED_PARALLELISM, extra={"verbose": True, "hold_after": QUESTIONS - 8})
    job_id = client.submit(config(bed, model_server, work, execution={"gres": "gpu:8"}), model_server.env)["id"] + ".0"
    leaves = TextReader(client, job_id)  # before there is a file
    leaves.wait("the log comes", lambda: leaves.got)
    leaves.wait("there is one remote reader", lambda: len(remote_readers(bed)) == 1)
    leaves.over = True
    leaves.finish()
    wait_for("the remote reader ends with who followed", lambda: not remote_readers(bed), 30)

    text, events, returns = TextReader(client, job_id), EventReader(client, job_id), EventReader(client, job_id, patience=1)
    returns.wait("it has come back in the middle", lambda: returns.connections > 2 and events.files and text.got)
    wait_for("there is one remote reader at most", lambda: len(remote_readers(bed)) <= 1)  # a slow look at the queue passes for one
    node = client.wait_job(job_id, lambda job: job["attempts"][0]["nodes"], "has a node")["attempts"][0]["nodes"]
    bed.submit_as_bob("alpha", "--partition=urgent", f"--nodelist={node}", "--gres=gpu:8", command="sleep 5")
    job, _ = check_resumed(client, job_id, "PREEMPTED", QUESTIONS)
    for reader in (text, events, returns):
        reader.finish()
    wait_for("the remote reader ends with the job", lambda: not remote_readers(bed), 30)

    names = [f"client-{attempt['slurm_job_id']}.log" for attempt in job["attempts"]]
    first, second = contents = [(Path(job["rundir"]) / "logs" / name).read_bytes() for name in names]
    assert first and second and first.startswith(leaves.got)
    assert text.got == first + f"\n==> {names[1]}: attempt 2 <==\n".encode() + second
    for reader in (events, returns):
        assert reader.files == dict(zip(names, contents))
        assert (reader.marks[-1]["state"], reader.marks[-1]["attempt"]) == ("succeeded", 2)
    assert [(mark["name"], mark["attempt"], mark["offset"]) for mark in events.marks[:-1]] == [
        (names[0], 1, 0), (names[1], 2, 0)]
    check_tar(client, job_id, Path(job["rundir"]) / "artifacts")
