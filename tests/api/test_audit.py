"""The audit: one row for each write, refused ones too, and for commands on clusters; for admins only."""

import json
import time

import pytest
from conftest import CONFIG, UnixConnection, wait_until


def rows(admin, **filters):
    return admin.get("/v1/audit", params=filters).json()["items"]


def one(admin, request_id):
    found = [row for row in rows(admin, limit=500) if row["request_id"] == request_id]
    assert len(found) == 1, found
    return found[0]


def test_write_leaves_one_row_with_its_transaction(admin, ann):
    reply = ann.submit(headers={"X-Request-Id": "audit-1"})
    row = one(admin, "audit-1")
    assert {**row, "seq": 0, "at": 0, "last_at": 0} == {
        "seq": 0, "at": 0, "last_at": 0, "count": 1, "actor": "ann", "role": "user", "source": "127.0.0.1",
        "request_id": "audit-1", "action": "submitEvaluation", "target": reply.json()["id"], "cluster": None,
        "outcome": "ok", "status": None, "detail": None, "signed_in_by": "token"}
    ann.post(f"/v1/evaluations/{reply.json()['id']}/cancel", headers={"X-Request-Id": "audit-2"})
    row = one(admin, "audit-2")
    assert (row["action"], row["target"], row["outcome"]) == ("cancelEvaluation", reply.json()["id"], "ok")


def test_refused_writes_leave_a_row_with_the_reason(admin, ann, bob, eve, nobody):
    def people_rows():
        return len([row for row in rows(admin, limit=500) if row["role"]])  # the daemon's own have none

    identity = ann.submit().json()["id"]
    bob.post(f"/v1/evaluations/{identity}/cancel", 403, headers={"X-Request-Id": "audit-3"})
    row = one(admin, "audit-3")
    assert (row["actor"], row["target"], row["outcome"], row["status"]) == ("bob", identity, "refused", 403)
    assert "only ann or an admin" in row["detail"]
    eve.submit(status=403, headers={"X-Request-Id": "audit-4"})
    assert one(admin, "audit-4")["role"] == "viewer"
    ann.submit("{", 422, headers={"X-Request-Id": "audit-5"})
    assert one(admin, "audit-5")["status"] == 422
    ann.post("/v1/jobs/0123456789abcdef.0/cancel", 404, headers={"X-Request-Id": "audit-6"})
    assert one(admin, "audit-6")["target"] == "0123456789abcdef.0"
    before = people_rows()
    nobody.submit(status=401)
    nobody.submit(status=401, headers={"Authorization": "Bearer x"})
    ann.get("/v1/evaluations")
    ann.submit(status=200, params={"dry_run": "true"})
    ann.request("POST", "/healthz")
    assert people_rows() == before  # no credentials, reads, and dry runs leave none


def test_repeat_leaves_a_row_of_its_own(admin, ann):
    for number in (7, 8):
        ann.submit(headers={"Idempotency-Key": "audit-key", "X-Request-Id": f"audit-{number}"})
    assert one(admin, "audit-7")["status"] is None and one(admin, "audit-8")["status"] == 202


def test_no_secret_in_the_audit(admin, ann, daemon):
    secret = "Aud1t-sEcret-xx7"
    ann.request("PUT", "/v1/secrets/AUDITED", json={"value": secret})
    ann.request("PUT", "/v1/secrets/AUDITED", json={"value": [secret]})
    token = ann.post("/v1/tokens", 201, json={"label": "audited", "expires_in": 60}).json()
    ann.request("DELETE", f"/v1/tokens/{token['id']}")
    ann.request("DELETE", "/v1/secrets/AUDITED")
    text = json.dumps(rows(admin, limit=500))
    assert secret not in text and token["token"] not in text
    made = rows(admin, action="createToken", limit=1)[0]
    assert made["target"] == str(token["id"]) and made["detail"] == "of ann, role user, expires"
    assert rows(admin, action="revokeToken", limit=1)[0]["detail"] == "of ann"
    assert [row["outcome"] for row in rows(admin, target="AUDITED")] == ["ok", "refused", "ok"]


def test_audit_is_for_admins(ann, eve):
    ann.get("/v1/audit", 403)
    eve.get("/v1/audit", 403)


def test_audit_filters_and_pages(admin, ann, bob):
    for client in (ann, bob, ann):
        client.post("/v1/tokens", 201, json={"expires_in": 60})
    assert {row["actor"] for row in rows(admin, actor="bob")} == {"bob"}
    mine = rows(admin, actor="ann", action="createToken")
    assert len(mine) >= 2 and {(row["actor"], row["action"]) for row in mine} == {("ann", "createToken")}
    whole, path = rows(admin, limit=500), "/v1/audit?limit=3"
    seen = []
    while path and len(seen) < len(whole):
        page = admin.get(path)
        seen += [row["seq"] for row in page.json()["items"]]
        path = page.json()["next"] and f"/v1/audit?limit=3&cursor={page.json()['next']}"
        assert bool(path) == ("Link" in page.headers)
    whole_seqs = [row["seq"] for row in whole]
    assert [seq for seq in seen if seq in whole_seqs] == [seq for seq in whole_seqs if seq in seen][:len(seen)]
    assert rows(admin, until="2001-01-01T00:00:00Z") == []
    hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
    assert rows(admin, since=hour, limit=1) and not rows(admin, since="2999-01-01T00:00:00Z")
    for wrong in ("since=yesterday", "cursor=x", "who=ann"):
        admin.get(f"/v1/audit?{wrong}", 400)


def test_commands_on_a_cluster_leave_a_row_an_hour(admin, ann):
    """alpha does not answer: the looks before anything is sent there are the daemon's own, with why, and further ones only
    count. (Whose a submission is: tests/e2e/test_restore.py.)"""
    ann.submit()
    row = wait_until(lambda: rows(admin, target="alpha", action="remote.look"))[0]
    assert (row["actor"], row["role"], row["source"], row["cluster"]) == ("daemon", None, "daemon", "alpha")
    assert row["outcome"] == "failed" and row["detail"] and row["request_id"] is None
    wait_until(lambda: rows(admin, target="alpha", action="remote.look")[0]["count"] > 1)
    assert len(rows(admin, target="alpha", action="remote.look")) == 1


def test_reading_files_leaves_a_row_an_hour(admin, ann, bob):
    job = ann.submit().json()["id"] + ".0"
    for client in (ann, ann, bob):
        assert client.request("GET", f"/v1/jobs/{job}/logs").status_code in (502, 503, 504)
    assert sorted(row["actor"] for row in rows(admin, target=job, action="listJobLogs")) == ["ann", "bob"]


def test_reading_the_store_leaves_no_row(admin, ann):
    for path in ("/v1/evaluations", "/v1/events", "/v1/events?wait=0&limit=1", "/v1/whoami"):
        ann.get(path)
    actions = {row["action"] for row in rows(admin, actor="ann")}
    assert not actions & {"listEvaluations", "listEvents", "whoami"}, actions


def test_unix_peer_and_command_line_are_named(admin, daemon):
    connection = UnixConnection(daemon.socket)
    connection.request("POST", "/v1/evaluations", CONFIG, {"Content-Type": "application/yaml", "X-Request-Id": "audit-9"})
    assert connection.getresponse().status == 202
    connection.close()
    assert one(admin, "audit-9")["source"].startswith("uid ")
    daemon.command("user", "set-role", "eve", "--role", "viewer")
    row = rows(admin, action="user set-role", limit=1)[0]
    assert (row["source"], row["target"], row["detail"]) == ("command line", "eve", "viewer")


@pytest.mark.parametrize("keep, left", [("", 3), ("audit: {keep_days: 2}\n", 2)])
def test_audit_kept_as_long_as_the_setting_says(fresh, keep, left):
    daemon = fresh()
    daemon.settings.write_text(keep + daemon.settings.read_text())
    daemon.start()
    admin = daemon.client("root-of-all")
    admin.post("/v1/users", 201, json={"name": "old", "role": "user"})
    daemon.execute("UPDATE audit SET at = at - 3 * 86400 WHERE target = 'old'")
    admin.post("/v1/users", 201, json={"name": "new", "role": "user"})
    admin.post("/v1/users", 201, json={"name": "newer", "role": "user"})
    assert len(rows(admin, action="createUser")) == left
