"""The log of events: list, wait, stream; nothing lost, nothing twice."""

import json
import threading
import time

import pytest
import requests
from conftest import wait_until


class Listener(threading.Thread):
    """Reads a stream as a browser does, also over ends of it: what it got, and when there was a sign of life."""

    def __init__(self, daemon, query="", user="ann", last=None):
        super().__init__(daemon=True)
        self.server, self.query, self.user, self.last = daemon, query, user, last
        self.events, self.beats, self.done = [], [], False
        self.opened = 0
        self.start()
        wait_until(lambda: self.opened, what="the stream's begin")

    def run(self):
        while not self.done:
            try:
                self.read_stream()
            except (requests.RequestException, OSError, KeyError):
                time.sleep(0.05)

    def read_stream(self):
        headers = {"Authorization": f"Bearer {self.server.tokens[self.user]}", "Accept": "text/event-stream"}
        if self.last is not None:
            headers["Last-Event-ID"] = self.last
        with requests.get(f"{self.server.base}/v1/events?{self.query}", headers=headers, stream=True, timeout=30) as reply:
            assert reply.status_code == 200, reply.text
            assert reply.headers["Content-Type"] == "text/event-stream"
            fields = {}
            for line in reply.iter_lines(chunk_size=1):
                if self.done:
                    return
                self.take(line.decode(), fields)

    def take(self, line, fields):
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
            return
        self.opened += 1
        if "id" in fields:
            self.last = fields["id"]
        if "data" in fields:
            assert fields["event"] != "events.pruned" or "after" in fields["data"]
            self.events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
        elif ":" in fields:
            self.beats.append(time.monotonic())
        fields.clear()

    def seqs(self):
        return [seq for seq, _, _ in list(self.events)]

    def wait_for(self, seq):
        wait_until(lambda: self.seqs()[-1:] >= [seq], f"event {seq}")
        return list(self.events)  # as they are now; others may come

    def stop(self):
        self.done = True


def last(client):
    return client.get("/v1/events?limit=1").json()["last"]


def listed(client, query="", after=0, limit=500):
    """All pages from a place on."""
    items = []
    while True:
        page = client.get(f"/v1/events?after={after}&limit={limit}{query}").json()
        items += page["items"]
        if page["next"] >= page["last"]:
            return items
        assert page["next"] > after
        after = page["next"]


def live_once(client):
    """A life of an evaluation without a cluster; its id, and its last event's number."""
    identity = client.submit().json()["id"]
    client.post(f"/v1/evaluations/{identity}/cancel")
    ended = wait_until(lambda: listed(client, f"&evaluation={identity}&kind=evaluation.ended"), what="the end")
    return identity, ended[-1]["seq"]


@pytest.fixture(scope="module")
def quiet(daemon):
    """A listener to what never happens, from the beginning of the tests on."""
    listener = Listener(daemon, "user=nobody", "eve")
    begun = time.monotonic()
    yield listener, begun
    listener.stop()


def test_life_of_an_evaluation_in_order_and_self_contained(ann, quiet):
    after = last(ann)
    identity, end = live_once(ann)
    events = [e for e in listed(ann, after=after) if e["evaluation"] == identity]
    kinds = [e["kind"] for e in events]
    assert kinds[0] == "evaluation.submitted" and kinds[-1] == "evaluation.ended" and events[-1]["seq"] == end
    assert kinds.count("job.cancel_requested") == 2
    assert {e["user"] for e in events} == {"ann"}
    submitted = events[0]["data"]
    assert submitted["jobs"] == 2 and submitted["to"] == "queued" and len(submitted["tasks"]) == 2
    assert events[-1]["data"]["to"] == "cancelled" and events[-1]["data"]["counts"]["cancelled"] == 2
    for index in (0, 1):
        job = f"{identity}.{index}"
        changes = [e["data"] for e in events if e["job"] == job and e["kind"] == "job.state"]
        history = ann.get(f"/v1/jobs/{job}").json()["history"]
        assert [(c["from"], c["to"], c["reason"]) for c in changes] == \
            [(h["from"], h["to"], h["reason"]) for h in history if h["from"]]


def test_stream_is_the_list(ann, daemon):
    listener = Listener(daemon)
    after = last(ann)
    _, end = live_once(ann)
    got = listener.wait_for(end)
    listener.stop()
    assert [event for _, _, event in got] == [e for e in listed(ann, after=after) if e["seq"] <= got[-1][0]]
    assert all((seq, kind) == (event["seq"], event["kind"]) for seq, kind, event in got)


def test_stream_begins_where_it_is_told(ann, daemon):
    _, end = live_once(ann)
    for query, header, begin in (("after=0", None, 1), (f"after={end - 1}", None, end), ("after=0", str(end - 2), end - 1)):
        listener = Listener(daemon, query, last=header)
        listener.wait_for(end)
        listener.stop()
        assert listener.seqs()[0] == begin
        assert listener.seqs() == list(range(begin, begin + len(listener.events)))


@pytest.mark.parametrize("form", ["stream", "stream=true"])
def test_stream_by_query(ann, daemon, form):
    with requests.get(f"{daemon.base}/v1/events?{form}", headers={"Authorization": f"Bearer {ann.token}"}, stream=True,
                      timeout=30) as reply:
        assert reply.headers["Content-Type"] == "text/event-stream"
        assert next(reply.iter_lines(chunk_size=1)).startswith(b"retry: ")
    assert "items" in ann.get("/v1/events?stream=false&limit=1", headers={"Accept": "text/event-stream"}).json()
    assert ann.request("HEAD", "/v1/events?stream").headers["Content-Type"] == "text/event-stream"


def test_pages_cover_everything_once(ann):
    live_once(ann)
    everything = listed(ann)
    assert [e["seq"] for e in everything] == list(range(1, everything[-1]["seq"] + 1))
    few = listed(ann, limit=3)
    assert few[:len(everything)] == everything


def test_filters(ann, bob):
    after = last(ann)
    of_ann, _ = live_once(ann)
    of_bob, _ = live_once(bob)
    everything = listed(ann, after=after)

    def check(query, keep):
        expected = [e["seq"] for e in everything if keep(e)]
        got = [e["seq"] for e in listed(ann, "&" + query, after) if e["seq"] <= everything[-1]["seq"]]
        assert got == expected, query

    check(f"evaluation={of_bob}", lambda e: e["evaluation"] == of_bob)
    check(f"job={of_ann}.1", lambda e: e["job"] == f"{of_ann}.1")
    check("user=bob", lambda e: e["user"] == "bob")
    check("kind=job.state&kind=evaluation.ended", lambda e: e["kind"] in ("job.state", "evaluation.ended"))
    check("state=cancelled", lambda e: e["data"].get("to") == "cancelled")
    check("cluster=alpha", lambda e: e["data"].get("cluster") == "alpha")
    check(f"user=ann&evaluation={of_bob}", lambda e: False)


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=99999999999", "wait=61", "wait=-1", "limit=0", "kind=job",
                                   "state=done", "stream=yes", "since=1", "user=a&user=b"])
def test_query_wrong_refused(ann, query):
    assert ann.get(f"/v1/events?{query}", 400).json()["detail"]


def test_place_wrong_refused(ann):
    ann.get("/v1/events", 400, headers={"Last-Event-ID": "abc"})
    assert "backup" in ann.get("/v1/events?after=99999999999", 400).json()["detail"]


def test_wait_ends_with_the_event(ann, bob):
    place = last(ann)
    found = []
    query = f"/v1/events?after={place}&wait=60&user=bob&kind=evaluation.submitted"
    waiter = threading.Thread(target=lambda: found.append(bob.get(query).json()))
    waiter.start()
    live_once(ann)  # passes by
    identity = bob.submit().json()["id"]
    waiter.join(50)
    assert [e["evaluation"] for e in found[0]["items"]] == [identity]
    assert found[0]["next"] >= found[0]["items"][0]["seq"]


def test_wait_ends_without_event(ann):
    place = last(ann)
    reply = ann.get(f"/v1/events?after={place}&wait=1&user=nobody").json()
    assert reply["items"] == [] and reply["next"] >= place


def test_who_may_listen(eve, nobody, daemon):
    eve.get("/v1/events?limit=1")
    nobody.get("/v1/events", 401)
    Listener(daemon, user="eve").stop()


def test_many_writers_no_listener_misses_or_repeats(ann, daemon):
    listeners = [Listener(daemon) for _ in range(4)] + [Listener(daemon, "kind=evaluation.submitted") for _ in range(2)]
    place = last(ann)
    made = []

    def write():
        client = daemon.client("ann")
        for _ in range(6):
            made.append(client.submit().json()["id"])
            client.post(f"/v1/evaluations/{made[-1]}/cancel")

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    wait_until(lambda: all(listed(ann, f"&evaluation={one}&kind=evaluation.ended") for one in made), "their ends")
    end = last(ann)
    everything = {e["seq"]: e for e in listed(ann, after=place)}
    submitted = [e["evaluation"] for e in everything.values() if e["kind"] == "evaluation.submitted"]
    assert sorted(submitted) == sorted(made)
    for listener in listeners[:4]:
        listener.wait_for(end)
        seqs = listener.seqs()
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) and seqs[0] <= place + 1
    for listener in listeners[4:]:
        wait_until(lambda one=listener: len(one.events) >= len(made), what="all submissions")
        assert [e["evaluation"] for _, _, e in listener.events] == submitted
    for listener in listeners:
        listener.stop()


def test_kill_and_restart_listener_comes_again_and_misses_nothing(fresh):
    daemon = fresh()
    daemon.start()
    everything, narrow = Listener(daemon), Listener(daemon, "kind=evaluation.submitted")
    made = []
    for _ in range(3):
        client = daemon.client("ann")
        made += [client.submit().json()["id"] for _ in range(3)]
        daemon.process.kill()
        daemon.process.wait()
        daemon.start()
    client = daemon.client("ann")
    made.append(live_once(client)[0])
    end = last(client)
    everything.wait_for(end)
    assert everything.seqs()[:end] == list(range(1, end + 1))
    wait_until(lambda: len(narrow.events) >= len(made), what="all submissions")
    assert [e["evaluation"] for _, _, e in narrow.events] == made
    for listener in (everything, narrow):
        listener.stop()


def test_pruned_places_are_told(fresh):
    daemon = fresh()
    daemon.start()
    client = daemon.client("ann")
    _, end = live_once(client)
    daemon.execute("DELETE FROM events WHERE seq <= 4")
    problem = client.get("/v1/events?after=2", 410).json()
    assert "after=4" in problem["detail"]
    assert [e["seq"] for e in listed(client, after=4)][0] == 5
    assert client.get("/v1/events").json()["items"][0]["seq"] == 5
    listener = Listener(daemon, last="2")
    listener.wait_for(end)
    listener.stop()
    assert listener.events[0] == (4, "events.pruned", {"after": 2, "first": 5})
    assert listener.seqs()[1:end - 3] == list(range(5, end + 1))


def test_pruning_forgets_what_is_old_and_ended_only(fresh):
    daemon = fresh(more="events: {keep_days: 2}\nevaluations: {keep_days: 3}\n")
    daemon.start()
    client = daemon.client("ann")
    old, _ = live_once(client)
    young, _ = live_once(client)
    living = client.submit().json()["id"]
    place = last(client)
    daemon.stop()
    daemon.execute("UPDATE evaluations SET ended_at = ended_at - 300000 WHERE id = ?", old)
    daemon.execute("UPDATE evaluations SET created_at = 1000000000 WHERE id = ?", living)
    daemon.execute("UPDATE events SET at = at - 200000 WHERE seq <= 5")
    daemon.start()
    client = daemon.client("ann")
    wait_until(lambda: client.request("GET", f"/v1/evaluations/{old}").status_code == 404, what="pruning")
    client.get(f"/v1/jobs/{old}.0", 404)
    assert {e["id"] for e in client.get("/v1/evaluations").json()["items"]} == {young, living}
    wait_until(lambda: client.get("/v1/events").json()["items"][0]["seq"] == 6, what="pruning of events")
    assert last(client) >= place
    client.get("/v1/events?after=3", 410)
    again = client.submit().json()["id"]
    assert again not in (old, young, living)


def test_what_comes_after_the_newest_was_pruned_is_begun_too(fresh):
    """The store gives the numbers of its newest rows anew once they are gone."""
    daemon = fresh(more="evaluations: {keep_days: 3}\n")
    daemon.start()
    client = daemon.client("ann")
    young, _ = live_once(client)
    newest, _ = live_once(client)
    daemon.stop()
    seqs = daemon.execute("SELECT seq FROM jobs WHERE evaluation = ?", newest)
    daemon.execute("UPDATE evaluations SET ended_at = ended_at - 300000 WHERE id = ?", newest)
    daemon.start()
    client = daemon.client("ann")
    wait_until(lambda: client.request("GET", f"/v1/evaluations/{newest}").status_code == 404, what="pruning")
    again = client.submit().json()["id"]
    assert daemon.execute("SELECT seq FROM jobs WHERE evaluation = ?", again) == seqs  # else this test tells nothing
    wait_until(lambda: {job["state"] for job in client.get(f"/v1/evaluations/{again}").json()["jobs"]} == {"submitting"},
               what="their begin")
    client.get(f"/v1/evaluations/{young}")


def test_slow_listener_costs_nobody_anything_and_gets_all(fresh):
    """It takes nothing while far more than socket buffers hold is stored; what it misses stays in the store."""
    daemon = fresh()
    daemon.start()
    client = daemon.client("ann")
    text = json.dumps({"cluster": "alpha", "error": "x" * 1000})
    daemon.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
                   "INSERT INTO events (at, kind, data) SELECT 5, 'cluster.unreachable', ? FROM n", text)
    with requests.get(f"{daemon.base}/v1/events?stream&after=0", headers={"Authorization": f"Bearer {client.token}"},
                      stream=True, timeout=60) as slow:
        _, end = live_once(client)
        seqs = []
        for line in slow.iter_lines():
            if line.startswith(b"data: "):
                seqs.append(json.loads(line[6:])["seq"])
                if seqs[-1] >= end:
                    break
        assert seqs == list(range(1, end + 1))


def test_quiet_stream_has_signs_of_life(quiet):
    listener, begun = quiet
    wait_until(lambda: len(listener.beats) > 1, "a sign of life")
    assert not listener.events
    gaps = [b - a for a, b in zip([begun, *listener.beats], listener.beats)]
    assert max(gaps) < 50  # 10 s, and what a busy machine adds; proxies wait for a minute


def test_a_page_of_events_is_bounded_in_bytes(daemon):
    ann = daemon.client("ann")
    first = ann.get("/v1/events", params={"after": 0, "limit": 1}).json()["last"]
    text = json.dumps({"cluster": "alpha", "error": "x" * 20000})
    daemon.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
                   "INSERT INTO events (at, kind, data) SELECT 5, 'cluster.unreachable', ? FROM n", text)
    seen, after = 0, first
    while True:
        reply = ann.get("/v1/events", params={"after": after, "limit": 500})
        assert len(reply.content) < 2 * 1024 * 1024
        page = reply.json()
        if not page["items"]:
            break
        assert [item["seq"] for item in page["items"]] == list(range(after + 1, after + 1 + len(page["items"])))
        seen, after = seen + len(page["items"]), page["next"]
    assert seen == 200
