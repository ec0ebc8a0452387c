"""Secrets that are stored: names and times come out, values never; whose counts; the change of the master key."""

import json
import os
import re
import sqlite3
import stat
import subprocess

import pytest
from conftest import BINARY, CONFIG, check_pages_of_whole, wait_until

MARKS = ["Own-Zq1x77", "Own-Zq2x77", "Team-Zq3x77", "Sent-Zq4x77"]
THREE = CONFIG.replace("execution:", "execution:", 1).replace(
    "evaluation:\n", "evaluation:\n  env_vars:\n    A: $host:SECRET_A\n    B: host:SECRET_B\n    C: $host:SECRET_C\n")


def put(client, name, value, status=201, scope=None, text=False):
    options = {"data": value.encode(), "headers": {"Content-Type": "text/plain; charset=utf-8"}} if text \
        else {"json": {"value": value}}
    reply = client.request("PUT", f"/v1/secrets/{name}" + (f"?scope={scope}" if scope else ""), **options)
    assert reply.status_code == status, reply.text
    assert value not in reply.text or len(value) < 6
    return reply


def delete(client, name, status=204, scope=None):
    reply = client.request("DELETE", f"/v1/secrets/{name}" + (f"?scope={scope}" if scope else ""))
    assert reply.status_code == status, reply.text
    return reply


def nowhere(daemon, marks):
    for path in daemon.folder.iterdir():
        if path.is_file() and path.name not in ("key", "host"):
            data = path.read_bytes()
            assert not [mark for mark in marks if mark.encode() in data], path.name


def test_secret_put_listed_replaced_deleted(ann, bob, eve, daemon):
    made = put(ann, "S_ONE", MARKS[0]).json()
    assert made["name"] == "S_ONE" and made["scope"] == "user"
    assert put(ann, "S_ONE", MARKS[1] + "\n'\"", 200, text=True).json()["created_at"] == made["created_at"]
    listed = ann.get("/v1/secrets?scope=user")
    assert [item["name"] for item in listed.json()["items"]] == ["S_ONE"]
    assert not [mark for mark in MARKS if mark in listed.text]
    for other in (bob, eve):
        assert "S_ONE" not in other.get("/v1/secrets").text
    delete(bob, "S_ONE", 404)
    delete(ann, "S_ONE")
    delete(ann, "S_ONE", 404)
    assert ann.get("/v1/secrets?scope=user").json() == {"items": [], "next": None}
    nowhere(daemon, MARKS)


def test_secrets_have_pages_over_both_owners(admin, ann):
    made = (ann, "PAGE_A", {}), (ann, "PAGE_B", {}), (admin, "PAGE_T", {"scope": "team"})
    for client, name, query in made:
        assert client.request("PUT", f"/v1/secrets/{name}", json={"value": "x"}, params=query).status_code == 201
    check_pages_of_whole(ann, "/v1/secrets")
    for client, name, query in made:
        delete(client, name, **query)


def test_secret_of_the_team_is_set_by_admins_and_seen_by_name(admin, ann, eve):
    put(ann, "S_TEAM", MARKS[2], 403, scope="team")
    put(eve, "S_MINE", MARKS[0], 403)
    put(admin, "S_TEAM", MARKS[2], scope="team")
    for client in (ann, eve):
        items = client.get("/v1/secrets").json()["items"]
        assert [(item["name"], item["scope"]) for item in items] == [("S_TEAM", "team")]
        assert client.get("/v1/secrets?scope=user").json()["items"] == []
    delete(ann, "S_TEAM", 403, scope="team")
    delete(admin, "S_TEAM", 404)
    delete(admin, "S_TEAM", scope="team")


@pytest.mark.parametrize("name, options, status, part", [
    ("a-b", {"json": {"value": "x"}}, 400, "variable"), ("1A", {"json": {"value": "x"}}, 400, "variable"),
    ("A" * 129, {"json": {"value": "x"}}, 400, "variable"), ("A", {"json": {"value": 7}}, 400, "value"),
    ("A", {"json": {}}, 400, "value"), ("A", {"json": {"value": "x" * 65537}}, 400, "bytes"),
    ("A", {"json": {"value": "x", "secret": "y"}}, 400, "secret"), ("A", {"data": b"{\"value\": \"\\u0000\"}", "headers": {
        "Content-Type": "application/json"}}, 400, "object"),
    ("A", {"data": b"a\0b", "headers": {"Content-Type": "text/plain"}}, 400, "NUL"),
    ("A", {"data": b"\xff", "headers": {"Content-Type": "text/plain"}}, 400, "UTF-8"),
    ("A", {"data": b"x", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 415, "must be application/json or text/plain here"),
    ("A?scope=all", {"json": {"value": "x"}}, 400, "user or team"), ("A?who=me", {"json": {"value": "x"}}, 400, "who"),
])
def test_secret_wrong_400_says_what(ann, name, options, status, part):
    reply = ann.request("PUT", f"/v1/secrets/{name}", **options)
    assert reply.status_code == status and part in reply.json()["detail"]
    assert ann.get("/v1/secrets?scope=user").json()["items"] == []


def test_secret_of_the_team_is_for_some_users_and_hosts_alone(admin, ann, bob):
    wants = CONFIG.replace("evaluation:\n", "evaluation:\n  env_vars:\n    A: host:S_SOME\n")

    def plan(client, status, *overrides):
        body = {"config": wants, "overrides": list(overrides)}
        return client.post("/v1/evaluations?dry_run=true", status, json=body).json()

    def change(status=200, **limits):
        reply = admin.request("PUT", "/v1/secrets/S_SOME?scope=team", json={"value": "v" * 8, **limits})
        assert reply.status_code == status, reply.text
        return reply.json()

    made = change(201, users=["ann"], hosts=["Models.example"])
    assert made["users"] == ["ann"] and made["hosts"] == ["models.example"]
    assert change()["users"] == ["ann"]  # a new value alone changes nothing else
    plan(ann, 200)
    ann.post("/v1/evaluations", json={"config": wants})
    plan(bob, 422)
    bob.post("/v1/evaluations", 422, json={"config": wants})
    for url in ("https://evil.example/v1", "https://models.example@evil.example/v1", "https://models.example.evil/v1",
                "https://evil.example/models.example", "https://evil.example\\@models.example/"):
        plan(ann, 422, f"target.api_endpoint.url='{url}'")
    plan(ann, 422, "++evaluation.nemo_evaluator_config.target.api_endpoint.url=https://evil.example/v1")
    plan(ann, 200, "target.api_endpoint.url=https://MODELS.example:8443/v1/chat/completions")
    assert change(users=None, hosts=None)["users"] is None
    plan(bob, 200, "target.api_endpoint.url=https://other.example/v1")
    for limits in ({"users": []}, {"users": ["a,b"]}, {"hosts": [7]}, {"hosts": ["https://x"]}):
        change(400, **limits)
    put_own = ann.request("PUT", "/v1/secrets/S_OWN", json={"value": "v", "users": ["ann"]})
    assert put_own.status_code == 400 and "team" in put_own.json()["detail"]
    delete(admin, "S_SOME", scope="team")


def test_secrets_of_one_evaluation_larger_than_the_limit_together_400(ann):
    names = [f"BIG_{index}" for index in range(3)]
    wanted = "".join(f"    V{index}: host:{name}\n" for index, name in enumerate(names))
    body = {"config": CONFIG.replace("evaluation:\n", "evaluation:\n  env_vars:\n" + wanted)}
    sizes = [65536] * 2 + [1]
    for name, size in zip(names, sizes):
        put(ann, name, "x" * size)
    reply = ann.post("/v1/evaluations", 400, json=body)
    assert "131072 bytes together, not 131073" in reply.json()["detail"], reply.text
    put(ann, names[0], "x" * 65535, 200)
    ann.post("/v1/evaluations", json=body)
    for name in names:
        delete(ann, name)


def opened_env(daemon, identity):
    """What an evaluation keeps: opened as the daemon opens it, by a program of the tests' own (XChaCha20-Poly1305)."""
    import ctypes
    import ctypes.util
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
    (sealed,), = daemon.execute("SELECT sealed_env FROM evaluation_texts JOIN evaluations ON seq = evaluation WHERE id = ?",
                                identity)
    key = bytes.fromhex((daemon.folder / "master.key").read_text().strip())
    label = f"env:{identity}".encode()
    out, size = ctypes.create_string_buffer(len(sealed)), ctypes.c_ulonglong()
    assert sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        out, ctypes.byref(size), None, sealed[24:], ctypes.c_ulonglong(len(sealed) - 24), label,
        ctypes.c_ulonglong(len(label)), sealed[:24], key) == 0
    return json.loads(out.raw[:size.value])


def test_secret_order_sent_then_own_then_team(admin, ann, bob, daemon):
    for name, mark in (("SECRET_A", "team-a"), ("SECRET_B", "team-b"), ("SECRET_C", "team-c")):
        put(admin, name, mark, scope="team")
    put(ann, "SECRET_B", "own-b")
    put(ann, "SECRET_C", "own-c")
    body = {"config": THREE, "env": {"SECRET_C": "sent-c"}}
    identity = ann.submit(json.dumps(body), content_type="application/json").json()["id"]
    assert opened_env(daemon, identity) == {"SECRET_A": "team-a", "SECRET_B": "own-b", "SECRET_C": "sent-c"}
    # What an evaluation took stays, whatever becomes of the secret.
    delete(ann, "SECRET_B")
    assert opened_env(daemon, identity)["SECRET_B"] == "own-b"
    again = bob.submit(THREE).json()["id"]
    assert opened_env(daemon, again) == {"SECRET_A": "team-a", "SECRET_B": "team-b", "SECRET_C": "team-c"}
    for name in ("SECRET_A", "SECRET_B", "SECRET_C"):
        delete(admin, name, scope="team")
    delete(ann, "SECRET_C")


def test_secret_missing_ones_named_at_once(ann, bob):
    put(ann, "SECRET_B", "own-b")
    errors = ann.submit(THREE, status=422).json()["errors"]
    assert [re.search(r"SECRET_\w", error["message"])[0] for error in errors] == ["SECRET_A", "SECRET_C"]
    assert all("PUT /v1/secrets/" in error["message"] for error in errors)
    assert len(ann.submit(THREE, status=422, params={"dry_run": "true"}).json()["errors"]) == 2
    assert len(bob.submit(THREE, status=422).json()["errors"]) == 3
    delete(ann, "SECRET_B")


def test_secrets_go_with_their_user(admin, daemon):
    admin.post("/v1/users", 201, json={"name": "short-lived", "role": "user"})
    token = admin.post("/v1/tokens", 201, json={"user": "short-lived"}).json()["token"]
    put(daemon.client(), "S_GONE", "x" * 9, 401)
    reply = admin.request("PUT", "/v1/secrets/S_GONE", json={"value": "y"}, headers={"Authorization": f"Bearer {token}"})
    assert reply.status_code == 201
    admin.request("DELETE", "/v1/users/short-lived")
    assert daemon.execute("SELECT count(*) FROM secrets WHERE owner = 'short-lived'") == [(0,)]


def test_secrets_of_an_ended_evaluation_are_forgotten_and_wanted_by_a_resumption(fresh):
    daemon = fresh()
    daemon.start()
    ann = daemon.client("ann")
    body = {"config": THREE, "env": {"SECRET_A": MARKS[3], "SECRET_B": MARKS[3], "SECRET_C": MARKS[3]}}
    identity = ann.post("/v1/evaluations", json=body).json()["id"]
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{identity}").json()["state"] == "cancelled")
    ann.post(f"/v1/evaluations/{identity}/resume", json={"env": {"SECRET_A": MARKS[0]}})  # while they are kept: one alone
    assert opened_env(daemon, identity) == {"SECRET_A": MARKS[0], "SECRET_B": MARKS[3], "SECRET_C": MARKS[3]}
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{identity}").json()["state"] == "cancelled")
    daemon.stop()
    daemon.execute("UPDATE evaluations SET ended_at = ended_at - 8 * 86400")
    daemon.execute("UPDATE jobs SET collected = 1, attention = 0")
    daemon.start()
    ann = daemon.client("ann")
    wait_until(lambda: daemon.execute("SELECT sealed_env FROM evaluation_texts") == [(None,)])
    put(ann, "SECRET_B", MARKS[1])
    reply = ann.post(f"/v1/evaluations/{identity}/resume", 422)
    assert "SECRET_A, SECRET_C" in reply.json()["detail"] and "SECRET_B" not in reply.json()["detail"]
    assert ann.get(f"/v1/evaluations/{identity}").json()["state"] == "cancelled"
    ann.post(f"/v1/jobs/{identity}.0/resume", json={"env": {"SECRET_A": MARKS[0], "SECRET_C": MARKS[2]}})
    assert opened_env(daemon, identity) == {"SECRET_A": MARKS[0], "SECRET_B": MARKS[1], "SECRET_C": MARKS[2]}
    ann.post(f"/v1/jobs/{identity}.1/resume", 400, json={"env": {"SECRET_A": 1}})
    assert not [mark for mark in MARKS if mark in daemon.log()]


def rotate(daemon, fault=None):
    environment = {**os.environ, "NEL_FAULT_POINT": fault} if fault else os.environ
    return subprocess.run([BINARY, "rotate-key", "--config", str(daemon.settings)], env=environment, capture_output=True,
                          text=True, timeout=60)


def keys(daemon):
    return sorted(path.name for path in daemon.folder.glob("master.key*"))


def test_rotate_key_wants_the_daemon_stopped(daemon):
    done = rotate(daemon)
    assert done.returncode == 1 and "stop the daemon first" in done.stderr
    assert keys(daemon) == ["master.key"]


def test_rotate_key_removes_no_key_that_it_cannot_read(fresh):
    daemon = fresh()
    next_key = daemon.folder / "master.key.new"
    next_key.symlink_to("/proc/self/mem")  # opens, and every read of its beginning fails
    done = rotate(daemon)
    assert done.returncode == 1 and "cannot read" in done.stderr, done.stderr
    assert next_key.is_symlink()
    next_key.unlink()
    assert rotate(daemon).returncode == 0


def test_rotate_key_removes_a_broken_key_only_when_the_other_one_opens_the_store(fresh):
    daemon = fresh()
    daemon.start()
    put(daemon.client("ann"), "A", MARKS[0])
    daemon.stop()
    assert rotate(daemon, "rotate-committed").returncode == -9  # from here on the next key alone opens the store
    next_key = daemon.folder / "master.key.new"
    whole = next_key.read_bytes()
    next_key.write_bytes(whole[:10])
    done = rotate(daemon)
    assert done.returncode == 1 and "neither is touched" in done.stderr, done.stderr
    assert next_key.read_bytes() == whole[:10]
    next_key.write_bytes(whole)
    assert rotate(daemon).returncode == 0


def test_rotate_key_goes_on_after_one_that_was_killed_before_it_wrote(fresh):
    daemon = fresh()
    (daemon.folder / "master.key.new").touch(0o600)  # nothing is sealed with it
    assert rotate(daemon).returncode == 0


@pytest.mark.parametrize("fault", [None, "rotate-made", "rotate-sealed", "rotate-committed", "rotate-scrubbed", "rotate-kept",
                                   "rotate-renamed"])
def test_rotate_key_killed_anywhere_goes_on(fresh, fault):
    daemon = fresh()
    daemon.start()
    client = daemon.client("ann")
    put(client, "SECRET_B", MARKS[0])
    put(daemon.client("root-of-all"), "SECRET_A", MARKS[2], scope="team")
    body = {"config": THREE, "env": {"SECRET_C": MARKS[3]}}
    identity = client.submit(json.dumps(body), content_type="application/json").json()["id"]
    expected = {"SECRET_A": MARKS[2], "SECRET_B": MARKS[0], "SECRET_C": MARKS[3]}
    daemon.stop()
    old_key = (daemon.folder / "master.key").read_text()
    old_sealed = [row[0] for row in sqlite3.connect(daemon.database).execute("SELECT sealed FROM secrets")]
    if fault:
        assert rotate(daemon, fault).returncode == -9
        # In the middle the store belongs to one key, and the daemon starts with that one only.
        in_between = fault in ("rotate-committed", "rotate-scrubbed", "rotate-kept")
        if in_between:
            with pytest.raises(AssertionError, match="rotate-key"):
                daemon.start()
            daemon.process = None
        else:
            daemon.start()
            assert opened_env(daemon, identity) == expected
            daemon.stop()
    if fault != "rotate-renamed":
        done = rotate(daemon)
        assert done.returncode == 0, done.stderr
    assert (daemon.folder / "master.key").read_text() != old_key
    assert stat.S_IMODE((daemon.folder / "master.key").stat().st_mode) == 0o600
    kept = [name for name in keys(daemon) if ".old-" in name]
    assert "master.key.new" not in keys(daemon) and kept
    assert (daemon.folder / kept[0]).read_text() == old_key
    daemon.start()
    assert opened_env(daemon, identity) == expected
    client = daemon.client("ann")
    again = client.submit(json.dumps(body), content_type="application/json").json()["id"]
    assert opened_env(daemon, again) == expected
    daemon.stop()
    store = b"".join(path.read_bytes() for path in daemon.folder.glob("nel.db*"))
    assert not [sealed for sealed in old_sealed if sealed in store]


def test_start_with_another_master_key_refused(fresh):
    daemon = fresh()
    daemon.start()
    daemon.stop()
    (daemon.folder / "master.key").unlink()
    daemon.command("keygen")
    with pytest.raises(AssertionError, match="is not the master key"):
        daemon.start()
    daemon.process = None
    assert rotate(daemon).returncode == 1
