"""GET /metrics, read by the client library's own parser."""

import time

import pytest
from conftest import wait_until
from prometheus_client.parser import text_string_to_metric_families


def families(client):
    reply = client.get("/metrics")
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(reply.text)}


def value(found, family, sample=None, **labels):
    """The sample's value; 0 when there is none."""
    matching = [s.value for s in found[family].samples
                if s.name == (sample or s.name) and all(s.labels.get(k) == v for k, v in labels.items())]
    assert len(matching) <= 1, matching
    return matching[0] if matching else 0


def test_every_metric_is_described_and_well_formed(ann):
    found = families(ann)
    for family in found.values():
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family.name
        keys = [(s.name, tuple(sorted(s.labels.items()))) for s in family.samples]
        assert len(keys) == len(set(keys)), family.name
    assert value(found, "nel_build_info") == 1
    assert 0 < value(found, "process_resident_memory_bytes") < 4e9
    assert 0 < value(found, "process_open_fds") <= value(found, "process_max_fds")
    assert abs(value(found, "process_start_time_seconds") - time.time()) < 3600
    assert value(found, "process_cpu_seconds", "process_cpu_seconds_total") > 0
    assert value(found, "nel_database_bytes") > 0
    assert {s.labels["cluster"] for s in found["nel_ssh_breaker"].samples} == {"alpha", "beta"}
    assert sum(s.value for s in found["nel_ssh_breaker"].samples if s.labels["cluster"] == "alpha") == 1


def test_requests_counted_by_route_and_code(ann, nobody):
    name = "nel_http_requests"
    before = families(ann)
    for _ in range(3):
        ann.get("/v1/whoami")
    ann.get("/v1/evaluations/none", 404)
    nobody.get("/v1/whoami", 401)
    ann.request("GET", "/v1/no-such-path")
    after = families(ann)

    def grown(**labels):
        return value(after, name, f"{name}_total", **labels) - value(before, name, f"{name}_total", **labels)

    assert grown(route="whoami", code="200") == 3 and grown(route="whoami", code="401") == 1
    assert grown(route="getEvaluation", code="404") == 1 and grown(route="none", code="404") == 1
    duration = "nel_http_request_duration_seconds"
    buckets = [(float(s.labels["le"]), s.value) for s in after[duration].samples
               if s.name.endswith("_bucket") and s.labels["route"] == "whoami"]
    assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    assert buckets[-1][1] == value(after, duration, f"{duration}_count", route="whoami") >= 4
    assert value(after, duration, f"{duration}_sum", route="whoami") > 0


def test_jobs_counted_by_state_through_their_life(fresh):
    daemon = fresh()
    daemon.start()
    ann = daemon.client("ann")

    def counts():
        return {(s.labels["cluster"], s.labels["state"]): s.value for s in families(ann)["nel_jobs"].samples if s.value}

    assert counts() == {}
    identity = ann.submit().json()["id"]
    assert sum(counts().values()) == 2
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: counts() == {("alpha", "cancelled"): 2}, what="the ends")
    daemon.stop()
    daemon.start()
    ann = daemon.client("ann")
    found = families(ann)
    assert value(found, "nel_jobs", cluster="alpha", state="cancelled") == 2
    assert value(found, "nel_events", "nel_events_total") == ann.get("/v1/events").json()["last"]
    assert value(found, "nel_ssh_handshakes", "nel_ssh_handshakes_total", cluster="beta") <= 3  # looks, seldom repeated
    assert value(found, "nel_orphans", cluster="beta", outcome="adopted") == 0
    daemon.execute("DELETE FROM jobs")
    assert counts() == {}


def test_ssh_and_listeners(ann, daemon):
    ann.submit()
    wait_until(lambda: value(families(ann), "nel_ssh_failures", "nel_ssh_failures_total", cluster="alpha") > 0,
               what="a failed connection")
    before = value(families(ann), "nel_event_listeners", type="stream")
    with daemon.client("ann").session.get(f"{daemon.base}/v1/events?stream", stream=True, timeout=30,
                                          headers={"Authorization": f"Bearer {ann.token}"}):
        assert value(families(ann), "nel_event_listeners", type="stream") == before + 1


@pytest.mark.parametrize("public", [False, True])
def test_who_may_read(fresh, public):
    daemon = fresh(more="metrics: {public: true}\n" if public else "")
    daemon.start()
    daemon.client().get("/metrics", 200 if public else 401)
    daemon.client("eve").get("/metrics")
    daemon.client().get("/v1/whoami", 401)
    daemon.client("eve").get("/metrics?x=1", 400)


def test_scrape_costs_the_same_however_much_is_stored(fresh):
    """Not by the clock: the statements behind it find a handful of rows by their keys (tests/unit/test_db_totals.c)."""
    daemon = fresh()
    daemon.start()
    ann = daemon.client("ann")
    identity = ann.submit().json()["id"]
    before = len(ann.get("/metrics").text.splitlines())
    daemon.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO jobs "
                   "(id, evaluation_seq, evaluation, idx, user, cluster, identity, task, model, job_dir, state, "
                   "chain, created_at, updated_at, ended_at, collected, attention) "
                   "SELECT evaluation || '.' || (1000 + i), evaluation_seq, evaluation, 1000 + i, user, cluster, identity, "
                   "task, model, job_dir, 'succeeded', chain, 1, 1, 1, 1, 0 FROM jobs, n WHERE id = ?",
                   f"{identity}.0")
    after = ann.get("/metrics").text
    assert 'nel_jobs{cluster="alpha",state="succeeded"} 5000' in after
    assert len(after.splitlines()) <= before + 40
