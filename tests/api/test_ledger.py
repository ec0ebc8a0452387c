"""The ledger's sums, over rows that were put into the store."""

import csv
import io

import pytest

ROW = ("INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, slurm_job_id, slurm_state, ended_at, run_s, queue_s,"
       " gpu_s, start_up_gpu_s, idle_gpu_s, lost_gpu_s, source) VALUES (?, ?, ?, ?, ?, ?, ?, '7', ?, ?, ?, ?, ?, ?, 0, ?, 'sacct')")
NOVEMBER, DECEMBER = 1763000000, 1765000000


@pytest.fixture(scope="module", autouse=True)
def ledger(daemon):
    rows = [("a.1", "e1.0", "e1", "ledger-ann", "alpha", "org/one", "ifeval", "TIMEOUT", NOVEMBER, 100, 5, 800, 80, 0),
            ("a.2", "e1.0", "e1", "ledger-ann", "alpha", "org/two", "ifeval", "COMPLETED", DECEMBER, 50, 6, 400, 40, 0),
            ("b.1", "e2.0", "e2", "ledger-bob", "beta", "org/two", "gsm8k", "FAILED", DECEMBER, 10, 7, 80, 0, 80)]
    for row in rows:
        daemon.execute(ROW, *row)
    daemon.execute("INSERT INTO usage_labels VALUES ('e1', 'team', 'red, blue')")


@pytest.fixture
def client(daemon):
    return daemon.client("ann")


def items(client, **params):
    return client.get("/v1/usage", params=params).json()["items"]


def test_sums_by_each_key(client):
    people = {i["user"]: i for i in items(client, by="user")}
    assert people["ledger-ann"] == {"user": "ledger-ann", "gpu_s": 1200, "gpu_s_waste": {"start_up": 120, "idle": 0, "lost": 0},
                                   "run_s": 150, "queue_s": 11, "attempts": 2, "jobs": 1}
    assert people["ledger-bob"]["gpu_s_waste"] == {"start_up": 0, "idle": 0, "lost": 80}
    assert {(i["user"], i["month"]): i["gpu_s"] for i in items(client, by="user,month")} == {
        ("ledger-ann", "2025-11"): 800, ("ledger-ann", "2025-12"): 400, ("ledger-bob", "2025-12"): 80}
    assert {i["task"]: i["gpu_s"] for i in items(client, by="task")} == {"ifeval": 1200, "gsm8k": 80}
    assert {i["label:team"]: i["gpu_s"] for i in items(client, by="label:team")} == {"red, blue": 1200, None: 80}
    assert [i["gpu_s"] for i in items(client)] == [1280]


def test_sums_by_cluster_and_by_model(client):
    clusters = {i.pop("cluster"): i for i in items(client, by="cluster")}
    assert clusters == {
        "alpha": {"gpu_s": 1200, "gpu_s_waste": {"start_up": 120, "idle": 0, "lost": 0}, "run_s": 150, "queue_s": 11, "attempts": 2, "jobs": 1},
        "beta": {"gpu_s": 80, "gpu_s_waste": {"start_up": 0, "idle": 0, "lost": 80}, "run_s": 10, "queue_s": 7, "attempts": 1, "jobs": 1}}
    models = {i.pop("model"): i for i in items(client, by="model")}
    assert models == {
        "org/one": {"gpu_s": 800, "gpu_s_waste": {"start_up": 80, "idle": 0, "lost": 0}, "run_s": 100, "queue_s": 5, "attempts": 1, "jobs": 1},
        "org/two": {"gpu_s": 480, "gpu_s_waste": {"start_up": 40, "idle": 0, "lost": 80}, "run_s": 60, "queue_s": 13, "attempts": 2, "jobs": 2}}
    assert {(i["cluster"], i["model"]): i["gpu_s"] for i in items(client, by="cluster,model")} == {
        ("alpha", "org/one"): 800, ("alpha", "org/two"): 400, ("beta", "org/two"): 80}


def test_bounds_are_of_the_end(client):
    assert [i["gpu_s"] for i in items(client, since="2025-12-01T00:00:00Z")] == [480]
    assert [i["gpu_s"] for i in items(client, until="2025-12-01T00:00:00Z")] == [800]
    assert items(client, since="2026-01-01T00:00:00Z", until="2026-01-02T00:00:00Z") == []


def test_csv_has_the_same(client):
    reply = client.get("/v1/usage", params={"by": "label:team,user", "format": "csv"})
    assert reply.headers["content-type"].startswith("text/csv") and "Accept" in reply.headers["vary"]
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [(row["user"], row["label:team"], row["gpu_s"], row["gpu_s_start_up"]) for row in rows] == [
        ("ledger-ann", "red, blue", "1200", "120"), ("ledger-bob", "", "80", "0")]


@pytest.mark.parametrize("by", ["", "colour", "label:", "label:a,label:b", "user,,task", "user,", "user,user"])
def test_what_is_no_key_is_refused(client, by):
    assert "by" in client.get("/v1/usage", 400, params={"by": by}).json()["detail"]


def test_more_rows_than_a_request_may_take_are_refused(daemon, client):
    many = {"since": "1971-01-01T00:00:00Z", "until": "1972-01-01T00:00:00Z"}
    daemon.execute("WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
                   " INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, ended_at, run_s, queue_s, gpu_s,"
                   " start_up_gpu_s, idle_gpu_s, lost_gpu_s, source) SELECT 'many.' || i, 'many', 'e', 'ledger-many', 'alpha', 'm',"
                   " 't', 31536000 + i, 1, 0, 8, 0, 0, 0, 'service' FROM n")
    try:
        assert "`since` and `until`" in client.get("/v1/usage", 400, params=many).json()["detail"]
        client.get("/v1/usage", 400, params={"by": "user"})
        daemon.execute("DELETE FROM usage WHERE attempt = 'many.0'")
        assert [(i["attempts"], i["jobs"], i["gpu_s"]) for i in items(client, **many)] == [(50000, 1, 400000)]
    finally:
        daemon.execute("DELETE FROM usage WHERE user = 'ledger-many'")
