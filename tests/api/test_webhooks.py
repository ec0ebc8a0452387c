"""Webhooks: who gets what, signed, in order, again after failures and restarts; and where they may not go."""

import base64
import hashlib
import hmac
import json
import subprocess
import threading
import time
from pathlib import Path
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import BINARY, STOP_TIMEOUT_S, check_pages_of_whole, wait_until

OPEN = "webhooks: {allow_private: true, allow_http: true, per_user: 6}\n"


class Receiver:
    """Answers with the statuses that it was given, then with 204; keeps what it got."""

    def __init__(self):
        self.got, self.answers, self.headers = [], [], {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), body, self.path))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def events(self):
        return [json.loads(body) for _, body, _ in list(self.got)]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.stop()


@pytest.fixture
def server(fresh):
    daemon = fresh(more=OPEN)
    daemon.start()
    return daemon


def make(client, url, **more):
    return client.post("/v1/webhooks", 201, json={"url": url, **more}).json()


def deliveries(client, hook):
    return client.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["items"]


def signature(secret, headers, body):
    """The recipe of api/README.md."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def test_events_arrive_in_order_signed(server, receiver):
    ann = server.client("ann")
    ann.submit()
    hook = make(ann, receiver.url)
    assert (hook["user"], hook["scope"], hook["kinds"], hook["state"]) == ("ann", "own", None, "active")
    place = ann.get("/v1/events").json()["last"]
    identity = ann.submit().json()["id"]
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: any(e["kind"] == "evaluation.ended" for e in receiver.events()), what="the end")
    got = receiver.events()
    log = ann.get(f"/v1/events?after={place}&limit=500").json()["items"]
    log = [e for e in log if got[0]["seq"] <= e["seq"] <= got[-1]["seq"]]  # others may have come since
    assert [e for e in got if e["seq"] > place] == log[-len([e for e in got if e["seq"] > place]):]
    assert [e["seq"] for e in got] == sorted({e["seq"] for e in got})
    for headers, body, path in receiver.got:
        assert path == "/hook" and headers["Content-Type"] == "application/json"
        assert headers["webhook-signature"] == signature(hook["secret"], headers, body)
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 120
        ann.contract.check_value(json.loads(body), {"$ref": "#/components/schemas/Event"}, "event ")
    ids = [headers["webhook-id"] for headers, _, _ in receiver.got]
    assert len(set(ids)) == len(ids)

    def settled():
        log = deliveries(ann, hook)
        told = [e["seq"] for e in reversed(receiver.events())]
        return log if {d["state"] for d in log} == {"delivered"} and [d["event"] for d in log] == told else None

    log = wait_until(settled, "the log")
    assert all(d["status"] == 204 and d["tries"] == 1 and d["error"] is None for d in log)


def test_scope_and_kinds(server):
    ann, bob = server.client("ann"), server.client("bob")
    receivers = [Receiver() for _ in range(3)]
    make(ann, receivers[0].url, kinds=["evaluation.submitted"])
    make(ann, receivers[1].url, kinds=["evaluation.submitted"], scope="all")
    make(bob, receivers[2].url, kinds=["evaluation.submitted", "cluster.unreachable"])
    of_bob = bob.submit().json()["id"]
    of_ann = ann.submit().json()["id"]
    wait_until(lambda: len(receivers[0].got) == 1 and len(receivers[1].got) == 2 and len(receivers[2].got) == 2)
    assert [e["evaluation"] for e in receivers[0].events()] == [of_ann]
    assert [e["evaluation"] for e in receivers[1].events()] == [of_bob, of_ann]
    assert {(e["kind"], e["evaluation"]) for e in receivers[2].events()} == \
        {("evaluation.submitted", of_bob), ("cluster.unreachable", None)}
    for one in receivers:
        one.stop()


def test_failures_are_repeated_in_order_with_the_same_id(server, receiver):
    ann = server.client("ann")
    receiver.answers = [500, 301]
    receiver.headers = {"Location": receiver.url, "Retry-After": "8"}  # time to look at the failure
    hook = make(ann, receiver.url, kinds=["evaluation.submitted"])
    made = [ann.submit().json()["id"] for _ in range(3)]
    wait_until(lambda: receiver.got, what="the first try")
    failing = wait_until(lambda: [d for d in deliveries(ann, hook) if d["tries"] > 0], what="the failure")[0]
    assert failing["state"] == "pending" and failing["next_at"] and "500" in failing["error"]
    assert ann.get(f"/v1/webhooks/{hook['id']}").json()["state"] == "failing"
    wait_until(lambda: len(receiver.got) == 5, "all of them")
    assert [e["evaluation"] for e in receiver.events()] == [made[0]] * 3 + made[1:]
    assert len({headers["webhook-id"] for headers, _, _ in receiver.got[:3]}) == 1
    assert len({body for _, body, _ in receiver.got[:3]}) == 1
    wait_until(lambda: [d["tries"] for d in deliveries(ann, hook)] == [1, 1, 3], what="the log")
    assert ann.get(f"/v1/webhooks/{hook['id']}").json()["state"] == "active"


def test_killed_daemon_delivers_what_was_stored(server, receiver):
    ann = server.client("ann")
    receiver.answers = [503]
    receiver.headers = {"Retry-After": "1"}
    hook = make(ann, receiver.url, kinds=["evaluation.submitted"])
    made = [ann.submit().json()["id"] for _ in range(4)]
    wait_until(lambda: receiver.got, what="the first try")
    server.process.kill()
    server.process.wait()
    server.start()
    made.append(server.client("ann").submit().json()["id"])
    wait_until(lambda: len({e["evaluation"] for e in receiver.events()}) == 5, "all of them")
    in_order = list(dict.fromkeys(e["evaluation"] for e in receiver.events()))
    assert in_order == made
    ids = {event["evaluation"]: headers["webhook-id"] for event, (headers, _, _) in zip(receiver.events(), receiver.got)}
    assert len(set(ids.values())) == 5 and all(hook["id"] in one for one in ids.values())


def test_gone_disables(server, receiver):
    ann = server.client("ann")
    receiver.answers = [410]
    hook = make(ann, receiver.url, kinds=["evaluation.submitted"])
    ann.submit()
    found = wait_until(lambda: (h := ann.get(f"/v1/webhooks/{hook['id']}").json())["state"] == "disabled" and h,
                       what="the end")
    assert "410" in found["disabled_reason"]
    assert deliveries(ann, hook)[0]["state"] == "failed"
    ann.submit()
    ann.post(f"/v1/webhooks/{hook['id']}/test", 409)
    assert len(receiver.got) == 1


def test_test_is_sent_once_and_told(server, receiver):
    ann = server.client("ann")
    receiver.answers = [204, 500]
    hook = make(ann, receiver.url, kinds=["job.export"])
    told = []
    for state in ("delivered", "failed"):
        sent = ann.post(f"/v1/webhooks/{hook['id']}/test").json()
        told += wait_until(lambda seq=sent["seq"]: [d for d in deliveries(ann, hook)
                                                    if d["seq"] == seq and d["state"] != "pending"], what="the test")
        assert told[-1]["state"] == state and told[-1]["tries"] == 1 and told[-1]["event"] is None
    event = receiver.events()[0]
    assert (event["seq"], event["kind"], event["user"], event["data"]) == (0, "webhook.test", "ann", {"webhook": hook["id"]})
    headers, body, _ = receiver.got[0]
    assert headers["webhook-signature"] == signature(hook["secret"], headers, body)


def test_own_only(server, receiver):
    ann, bob, eve, admin = (server.client(name) for name in ("ann", "bob", "eve", "root-of-all"))
    hook = make(ann, receiver.url)
    path = f"/v1/webhooks/{hook['id']}"
    assert [h["id"] for h in ann.get("/v1/webhooks").json()["items"]] == [hook["id"]]
    assert bob.get("/v1/webhooks").json()["items"] == []
    for client, method, where in ((bob, "GET", path), (bob, "GET", path + "/deliveries"), (bob, "DELETE", path),
                                  (bob, "POST", path + "/test"), (ann, "GET", "/v1/webhooks/nothing")):
        assert client.request(method, where).status_code == 404
    eve.get("/v1/webhooks", 403)
    server.client().get("/v1/webhooks", 401)
    assert [h["user"] for h in admin.get("/v1/webhooks").json()["items"]] == ["ann"]
    assert "secret" not in ann.get(path).json() and hook["secret"] not in ann.get("/v1/webhooks").text
    assert server.execute("SELECT count(*) FROM webhooks WHERE instr(sealed_secret, ?) > 0",
                          hook["secret"].encode()) == [(0,)]
    assert hook["secret"] not in server.log()
    ann.delete(path)
    ann.get(path, 404)
    made = [make(bob, receiver.url) for _ in range(3)]
    check_pages_of_whole(bob, "/v1/webhooks")
    for one in made:
        admin.delete(f"/v1/webhooks/{one['id']}")
    make(bob, receiver.url)
    admin.delete("/v1/users/bob")
    assert admin.get("/v1/webhooks").json()["items"] == []


def test_idempotency_key_and_limit(server, receiver):
    ann = server.client("ann")
    headers = {"Idempotency-Key": "one"}
    first = ann.post("/v1/webhooks", 201, json={"url": receiver.url}, headers=headers).json()
    again = ann.post("/v1/webhooks", 201, json={"url": receiver.url}, headers=headers).json()
    assert again == {**first, "secret": None}
    ann.post("/v1/webhooks", 422, json={"url": receiver.url + "2"}, headers=headers)
    for _ in range(5):
        make(ann, receiver.url)
    assert "per_user" in ann.post("/v1/webhooks", 409, json={"url": receiver.url}).json()["detail"]


@pytest.mark.parametrize("body, word", [
    ({}, "url"), ({"url": ""}, "url"), ({"url": 5}, "url"), ({"url": "hook"}, "url"), ({"url": "ftp://example.org/"}, "https"),
    ({"url": "file:///etc/passwd"}, "https"), ({"url": "https://u:p@example.org/"}, "password"),
    ({"url": "https://?x"}, "url"), ({"url": "https://example.org/a b"}, "url"), ({"url": "https://example.org/\n"}, "url"),
    ({"url": "https://example.org/", "kinds": []}, "kinds"), ({"url": "https://example.org/", "kinds": ["x"]}, "kinds"),
    ({"url": "https://example.org/", "kinds": "job.state"}, "kinds"), ({"url": "https://example.org/", "scope": "x"}, "scope"),
    ({"url": "https://example.org/", "secret": "x"}, "secret"), ({"url": "https://example.org/" + "x" * 2050}, "url"),
])
def test_wrong_refused(ann, body, word):
    assert word in ann.post("/v1/webhooks", 400, json=body).json()["detail"]


@pytest.mark.parametrize("url", [
    "http://example.org/", "https://127.0.0.1/", "https://10.1.2.3/", "https://169.254.169.254/latest", "https://[::1]/",
    "https://[fd00::1]/", "https://[::ffff:127.0.0.1]/", "https://0/", "https://127.1/", "https://2130706433/",
    "https://0x7f000001/", "https://[fe80::1]/", "https://192.168.0.1:8443/", "https://[64:ff9b::7f00:1]/",
])
def test_address_not_public_refused_at_once(ann, url):
    assert "webhooks.allow_" in ann.post("/v1/webhooks", 400, json={"url": url}).json()["detail"]


def test_name_of_private_address_refused_when_connecting(fresh, receiver, monkeypatch):
    """localhost is a name; what counts is the address that is connected to. A proxy of the environment is not asked."""
    monkeypatch.setenv("http_proxy", receiver.url)
    monkeypatch.setenv("all_proxy", receiver.url)
    daemon = fresh(more="webhooks: {allow_http: true}\n")
    daemon.start()
    monkeypatch.undo()
    ann = daemon.client("ann")
    hook = make(ann, receiver.url.replace("127.0.0.1", "localhost"))
    ann.post(f"/v1/webhooks/{hook['id']}/test")
    failed = wait_until(lambda: [d for d in deliveries(ann, hook) if d["state"] == "failed"], what="the refusal")[0]
    assert "not a public address" in failed["error"] and failed["status"] is None
    assert receiver.got == []


def test_listed_network_permitted(fresh, receiver):
    daemon = fresh(more="webhooks: {allow_http: true, allow_private: [127.0.0.0/8]}\n")
    daemon.start()
    ann = daemon.client("ann")
    hook = make(ann, receiver.url)
    ann.post(f"/v1/webhooks/{hook['id']}/test")
    wait_until(lambda: receiver.got, what="the test")
    assert "allow_private" in ann.post("/v1/webhooks", 400, json={"url": "http://10.0.0.1/"}).json()["detail"]


def test_dead_receiver_delays_nobody(server, receiver):
    ann = server.client("ann")
    dead = make(ann, "http://127.0.0.1:1/", kinds=["evaluation.submitted"])
    make(ann, receiver.url, kinds=["evaluation.submitted"])
    made = [ann.submit().json()["id"] for _ in range(3)]
    wait_until(lambda: [e["evaluation"] for e in receiver.events()] == made, what="all of them")
    waiting = wait_until(lambda: [d for d in deliveries(ann, dead) if d["tries"] > 0], what="a try")
    assert len(waiting) == 1 and waiting[0]["state"] == "pending" and waiting[0]["error"]
    assert server.stop() < STOP_TIMEOUT_S


# In place of libcurl's: the first transfer cannot be begun.
NO_MEMORY_AT_FIRST = """
#define _GNU_SOURCE
#include <dlfcn.h>
int curl_multi_add_handle(void *multi, void *easy)
{
	static int calls;
	int (*add)(void *, void *) = (int (*)(void *, void *))dlsym(RTLD_NEXT, "curl_multi_add_handle");
	return calls++ == 0 ? 3 : add(multi, easy);
}
"""


@pytest.mark.skipif(any(name in Path(BINARY).read_bytes() for name in (b"__asan_init", b"__tsan_init")),
                    reason="a sanitizer has to come before what is preloaded")
def test_transfer_that_cannot_be_begun_is_tried_again(fresh, receiver, tmp_path):
    library = tmp_path / "preloaded.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=NO_MEMORY_AT_FIRST, text=True, check=True)
    daemon = fresh(more=OPEN)
    daemon.start("env", f"LD_PRELOAD={library}")
    ann = daemon.client("ann")
    hook = make(ann, receiver.url)
    ann.submit()
    wait_until(lambda: receiver.got, "the first event")
    assert "a webhook cannot be sent: Out of memory" in daemon.log()
    wait_until(lambda: all(d["state"] == "delivered" for d in deliveries(ann, hook)), what="the log")
    assert [event["seq"] for event in receiver.events()] == sorted({event["seq"] for event in receiver.events()})
