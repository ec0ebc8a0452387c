"""What overviews show: counts by state, cluster, person and day, failures by cause, and totals of lists."""

import json

import pytest
from conftest import CONFIG, wait_until

@pytest.fixture(scope="module")
def past(daemon):
    """Four evaluations of two jobs each, among others."""
    return [client.submit(json.dumps({"config": CONFIG, "labels": {"of": "summary"}}), content_type="application/json").json()["id"]
            for client in map(daemon.client, ("ann", "ann", "bob", "bob"))]


def recount(daemon, time):
    """The same from the rows, without the counters."""
    found = {}
    for table, index in (("evaluations", 0), ("jobs", 1)):
        for day, cluster, user, state, count in daemon.execute(
                f"SELECT date({time}_at, 'unixepoch'), cluster, user, state, count(*) FROM {table} WHERE {time}_at IS NOT NULL"
                " GROUP BY 1, 2, 3, 4"):
            found.setdefault((day, cluster, user, state), [0, 0])[index] = count
    return found


def counts(client, **params):
    body = client.get("/v1/summary", params=params).json()
    rows = {(i["day"], i["cluster"], i["user"], i["state"]): [i["evaluations"], i["jobs"]] for i in body["items"]}
    assert len(rows) == len(body["items"])
    return rows


def test_counters_are_what_a_count_of_the_rows_gives(fresh):
    daemon = fresh()
    daemon.start()
    ann, bob = daemon.client("ann"), daemon.client("bob")
    ids = [client.submit().json()["id"] for client in (ann, ann, bob, bob)]
    first, second, third, _ = ids
    wait_until(lambda: ann.get(f"/v1/jobs/{first}.0").json()["attempt"] == 1)
    daemon.stop()
    daemon.execute("UPDATE evaluations SET created_at = created_at - 86400, state = 'failed', ended_at = 3 * 86400 WHERE id = ?", first)
    daemon.execute("UPDATE jobs SET created_at = created_at - 86400, state = 'failed', ended_at = 3 * 86400 + 1, collected = 1"
                   " WHERE evaluation = ?", first)
    daemon.execute("UPDATE evaluations SET state = 'succeeded', ended_at = 4 * 86400 WHERE id = ?", second)
    daemon.execute("UPDATE jobs SET state = 'succeeded', ended_at = 4 * 86400, collected = 1 WHERE evaluation = ?", second)
    daemon.execute("UPDATE jobs SET state = 'budget_exhausted', ended_at = 4 * 86400, collected = 1 WHERE id = ?", f"{third}.1")
    daemon.execute("DELETE FROM jobs WHERE evaluation = ?", ids[3])
    daemon.execute("DELETE FROM chains WHERE evaluation = (SELECT seq FROM evaluations WHERE id = ?)", ids[3])
    daemon.execute("DELETE FROM evaluations WHERE id = ?", ids[3])
    daemon.execute("UPDATE attempts SET slurm_state = NULL")
    daemon.execute("UPDATE attempts SET slurm_state = 'OUT_OF_MEMORY' WHERE chain = (SELECT chain FROM jobs WHERE id = ?)",
                   f"{first}.0")
    daemon.start()
    ann = daemon.client("ann")
    for time in ("created", "ended"):
        # What is still on its way may change between the two.
        wait_until(lambda time=time: counts(ann, by="day,cluster,user,state", time=time) == recount(daemon, time))
    assert counts(ann, by="day,cluster,user,state", time="ended") == {
        ("1970-01-04", "alpha", "ann", "failed"): [1, 2], ("1970-01-05", "alpha", "ann", "succeeded"): [1, 2],
        ("1970-01-05", "alpha", "bob", "budget_exhausted"): [0, 1]}
    assert daemon.execute("SELECT count(*) FROM day_counts WHERE evaluations < 0 OR jobs < 0 OR (evaluations = 0 AND jobs = 0)") == [(0,)]
    # Whole days, people, clusters.
    assert counts(ann, by="day", time="ended", since="1970-01-05T13:00:00Z") == {("1970-01-05", None, None, None): [1, 3]}
    assert counts(ann, by="user", time="ended", until="1970-01-05T00:00:00Z") == {(None, None, "ann", None): [1, 2]}
    assert counts(ann, by="user", user="bob") == {(None, None, "bob", None): [1, 2]}
    assert counts(ann, by="cluster", cluster="beta") == {}
    failures = ann.get("/v1/summary", params={"user": "ann", "until": "1970-01-05T00:00:00Z"}).json()
    assert failures["failures"] == [{"cause": "not_submitted", "jobs": 1}, {"cause": "out_of_memory", "jobs": 1}] and failures["failures_capped"] is False
    assert ann.get("/v1/summary", params={"since": "1970-01-05T00:00:00Z"}).json()["failures"] == [
        {"cause": "budget_exhausted", "jobs": 1}]


def test_summary_by_state_unless_told(ann, past):
    rows = counts(ann)
    assert rows and all(key[:3] == (None, None, None) and key[3] for key in rows)
    assert sum(jobs for _, jobs in rows.values()) >= 2 * len(past)


@pytest.mark.parametrize("query", ["by=", "by=task", "by=day,day", "by=day,", "time=started", "since=yesterday", "page=2"])
def test_summary_wrong_query_refused(ann, query):
    assert query.split("=")[0] in ann.get(f"/v1/summary?{query}", 400).json()["detail"]


def test_more_rows_than_a_summary_has_are_refused(daemon, ann):
    span = {"since": "1971-01-01T00:00:00Z", "until": "2000-01-01T00:00:00Z"}
    daemon.execute("WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO day_counts"
                   " SELECT 'created', 400 + i % 9000, 'alpha', 'many-' || (i / 9000), 'failed', 1, 1 FROM n")
    try:
        assert "`since` and `until`" in ann.get("/v1/summary", 400, params={"by": "day,user", **span}).json()["detail"]
        assert len(counts(ann, by="day", **span)) == 9000
        daemon.execute("DELETE FROM day_counts WHERE user = 'many-0' AND day = 400")
        assert len(counts(ann, by="day,user", **span)) == 10000
    finally:
        daemon.execute("DELETE FROM day_counts WHERE user LIKE 'many-%'")


def test_lists_say_how_many_there_are_when_asked(ann, past):
    for path, wanted in (("/v1/evaluations", 4), ("/v1/jobs", 8)):
        plain = ann.get(f"{path}?label=of:summary&limit=1").json()
        assert set(plain) == {"items", "next"}
        body = ann.get(f"{path}?label=of:summary&limit=1&total=true").json()
        assert (body["total"], body["total_capped"], len(body["items"])) == (wanted, False, 1)
        second = ann.get(f"{path}?label=of:summary&limit=1&total=true&cursor={body['next']}").json()
        assert second["total"] == wanted
        assert ann.get(f"{path}?label=of:nothing&total=true").json() == {"items": [], "next": None, "total": 0, "total_capped": False}
        ann.get(f"{path}?total=perhaps", 400)
