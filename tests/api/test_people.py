"""Users and tokens: who may make, see, change and remove what; repeats; the offline commands."""

import json
import os
import re
import socket
import subprocess
import time

import pytest
import requests
from conftest import BINARY, CONFIG, Client, wait_until

TOKEN = re.compile(r"nel_[0-9A-Za-z]{43}")


def name_of(request):
    """A user's name that no other test has."""
    return re.sub("[^a-z0-9]", "-", request.node.name.lower())[-50:].strip("-0123456789") + "-x"


@pytest.fixture
def carl(admin, request):
    """A user of the test's own, and that user's client."""
    name = "u" + name_of(request)
    admin.post("/v1/users", 201, json={"name": name, "role": "user"})
    token = admin.post("/v1/tokens", 201, json={"user": name}).json()["token"]
    client = Client(admin.base, admin.contract, token)
    client.name = name
    yield client
    admin.request("DELETE", f"/v1/users/{name}")


def delete(client, path, status=204):
    reply = client.request("DELETE", path)
    assert reply.status_code == status, reply.text
    return reply


def patch(client, path, body, status=200):
    reply = client.request("PATCH", path, json=body)
    assert reply.status_code == status, reply.text
    return reply


def test_user_made_listed_changed_removed(admin, nobody):
    reply = admin.post("/v1/users", 201, json={"name": "zoe.new", "role": "viewer"})
    assert reply.headers["Location"] == "/v1/users/zoe.new"
    assert admin.get("/v1/users/zoe.new").json() == reply.json()
    items = admin.get("/v1/users?limit=500").json()["items"]
    assert [i["name"] for i in items] == sorted(i["name"] for i in items) and reply.json() in items
    token = admin.post("/v1/tokens", 201, json={"user": "zoe.new"}).json()["token"]
    zoe = {"Authorization": f"Bearer {token}"}
    assert nobody.get("/v1/whoami", headers=zoe).json() == {
        "user": "zoe.new", "role": "viewer", "signed_in_by": "token", "expires_at": None}
    assert patch(admin, "/v1/users/zoe.new", {"role": "user"}).json()["role"] == "user"
    assert nobody.get("/v1/whoami", headers=zoe).json()["role"] == "user"
    delete(admin, "/v1/users/zoe.new")
    nobody.get("/v1/whoami", 401, headers=zoe)
    admin.get("/v1/users/zoe.new", 404)
    delete(admin, "/v1/users/zoe.new", 404)
    patch(admin, "/v1/users/zoe.new", {"role": "user"}, 404)


def test_users_paged(admin):
    names = [item["name"] for item in admin.get("/v1/users?limit=500").json()["items"]]
    path, seen = "/v1/users?limit=2", []
    while path:
        page = admin.get(path).json()
        seen += [item["name"] for item in page["items"]]
        path = page["next"] and f"/v1/users?limit=2&cursor={page['next']}"
    assert seen == names and len(names) > 2


@pytest.mark.parametrize("body, part", [
    ({"name": "Zoe", "role": "user"}, "lower-case"), ({"name": "x y", "role": "user"}, "lower-case"),
    ({"name": "x" * 65, "role": "user"}, "name"), ({"name": "zoe"}, "role"), ({"role": "user"}, "name"),
    ({"name": "zoe", "role": "root"}, "viewer, user, admin"), ({"name": 7, "role": "user"}, "name"),
    ({"name": "zoe", "role": "user", "token": 1}, "token"), ([], "object"), ("zoe", "object"),
])
def test_user_wrong_400_says_what(admin, body, part):
    assert part in admin.post("/v1/users", 400, json=body).json()["detail"]


def test_user_known_409(admin):
    assert "ann" in admin.post("/v1/users", 409, json={"name": "ann", "role": "user"}).json()["detail"]


def test_body_of_another_type_415(admin):
    reply = admin.post("/v1/users", 415, data="name: zoe", headers={"Content-Type": "application/yaml"})
    assert reply.headers["Accept-Post"] == "application/json"


def test_user_with_live_jobs_not_removed(admin, carl):
    identity = carl.submit().json()["id"]
    detail = delete(admin, f"/v1/users/{carl.name}", 409).json()["detail"]
    assert "2 jobs that have not ended" in detail and "cancel" in detail
    carl.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: carl.get(f"/v1/evaluations/{identity}").json()["state"] == "cancelled")
    delete(admin, f"/v1/users/{carl.name}")
    assert admin.get(f"/v1/evaluations/{identity}").json()["user"] == carl.name


def test_token_shown_once_listed_revoked(ann, daemon):
    reply = ann.post("/v1/tokens", 201, json={"label": "laptop", "expires_in": 3600})
    made = reply.json()
    assert reply.headers["Cache-Control"] == "no-store" and reply.headers["Location"] == f"/v1/tokens/{made['id']}"
    secret = made.pop("token")
    assert TOKEN.fullmatch(secret) and made["label"] == "laptop" and made["role"] == "user" and made["user"] == "ann"
    assert made["state"] == "active" and made["expires_at"] and made["last_used_at"] is None
    assert ann.get(f"/v1/tokens/{made['id']}").json() == made
    assert made in ann.get("/v1/tokens?limit=500").json()["items"]
    assert secret not in ann.get("/v1/tokens?limit=500").text and secret not in daemon.log()
    other = Client(ann.base, ann.contract, secret)
    assert other.get("/v1/whoami").json()["user"] == "ann"
    used = wait_until(lambda: ann.get(f"/v1/tokens/{made['id']}").json()["last_used_at"])
    assert used >= made["created_at"]
    delete(ann, f"/v1/tokens/{made['id']}")
    other.get("/v1/whoami", 401)
    after = ann.get(f"/v1/tokens/{made['id']}").json()
    assert after["state"] == "revoked" and after["revoked_at"]
    delete(ann, f"/v1/tokens/{made['id']}")
    assert ann.get(f"/v1/tokens/{made['id']}").json() == after


def memory_of(pid):
    """What is in the memory that a process may write to."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            begin, end = (int(number, 16) for number in span.split("-"))
            if mode.startswith("rw") and end - begin < 1 << 30:  # not the shadow of a sanitizer
                for at in range(begin, end, 1 << 24):
                    try:
                        memory.seek(at)
                        yield memory.read(min(end - at, 1 << 24))
                    except OSError:
                        break  # guard pages, and what has been unmapped since


@pytest.mark.skipif(os.getuid() != 0, reason="another process's memory is for root")
def test_token_is_not_in_memory_after_its_reply(ann, daemon):
    secret = ann.post("/v1/tokens", 201, json={"label": "label-that-is-found"}).json()["token"].encode()

    def found(text):
        return sum(part.count(text) for part in memory_of(daemon.process.pid))
    assert found(b"label-that-is-found") > 0
    wait_until(lambda: found(secret) == 0, what="the end of the reply")


def test_token_use_is_not_a_write_for_each_request(ann, daemon):
    made = ann.post("/v1/tokens", 201).json()
    other = Client(ann.base, ann.contract, made["token"])
    other.get("/v1/whoami")
    wait_until(lambda: ann.get(f"/v1/tokens/{made['id']}").json()["last_used_at"])
    version = lambda: daemon.execute("SELECT last_used_at FROM tokens WHERE id = ?", made["id"])  # noqa: E731
    daemon.execute("UPDATE tokens SET last_used_at = last_used_at - 30 WHERE id = ?", made["id"])
    before = version()
    for _ in range(5):
        other.get("/v1/whoami")
    assert version() == before
    daemon.execute("UPDATE tokens SET last_used_at = last_used_at - 60 WHERE id = ?", made["id"])
    other.get("/v1/whoami")
    wait_until(lambda: version() > before)


def test_token_expires(ann, daemon):
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    made = ann.post("/v1/tokens", 201, json={"expires_at": at}).json()
    assert made["expires_at"] == at
    other = Client(ann.base, ann.contract, made["token"])
    other.get("/v1/whoami")
    daemon.execute("UPDATE tokens SET expires_at = 1 WHERE id = ?", made["id"])
    other.get("/v1/whoami", 401)
    assert ann.get(f"/v1/tokens/{made['id']}").json()["state"] == "expired"


@pytest.mark.parametrize("body, part", [
    ({"expires_in": 0}, "expires_in"), ({"expires_in": 10 ** 12}, "expires_in"), ({"expires_in": "1h"}, "expires_in"),
    ({"expires_at": "tomorrow"}, "expires_at"), ({"expires_at": "2001-01-01T00:00:00Z"}, "after now"),
    ({"expires_at": "2999-01-01T00:00:00Z"}, "10 years"), ({"expires_in": 5, "expires_at": "2030-01-01T00:00:00Z"}, "one of"),
    ({"label": "x" * 129}, "label"), ({"label": "a\nb"}, "label"), ({"role": "root"}, "role"), ({"name": "ann"}, "name"),
    ({"role": "admin"}, "wider"),
])
def test_token_wrong_400_says_what(ann, body, part):
    assert part in ann.post("/v1/tokens", 400, json=body).json()["detail"]


def test_token_never_gives_more_than_its_user_or_maker_has(admin, ann, bob, eve, nobody):
    eve.post("/v1/tokens", 403)  # a viewer writes nothing
    ann.post("/v1/tokens", 403, json={"user": "bob"})
    ann.get("/v1/tokens?user=bob", 403)
    admin.post("/v1/tokens", 400, json={"user": "eve", "role": "user"})
    admin.post("/v1/tokens", 404, json={"user": "nobody-of-that-name"})
    mine = ann.post("/v1/tokens", 201, json={"role": "viewer"}).json()
    narrow = Client(ann.base, ann.contract, mine["token"])
    assert narrow.get("/v1/whoami").json() == {
        "user": "ann", "role": "viewer", "signed_in_by": "token", "expires_at": None}
    narrow.submit(status=403)
    narrow.post("/v1/tokens", 403)
    bob.get(f"/v1/tokens/{mine['id']}", 403)
    delete(bob, f"/v1/tokens/{mine['id']}", 403)
    delete(eve, f"/v1/tokens/{mine['id']}", 403)
    assert mine["id"] not in [t["id"] for t in bob.get("/v1/tokens?limit=500").json()["items"]]
    assert admin.get("/v1/tokens?user=ann").json()["items"][0]["id"] == mine["id"]
    # An admin's narrower token makes no wider ones, also not for that admin.
    small = admin.post("/v1/tokens", 201, json={"role": "user"}).json()["token"]
    small = Client(admin.base, admin.contract, small)
    assert small.post("/v1/tokens", 201).json()["role"] == "user"
    small.post("/v1/tokens", 403, json={"role": "admin"})
    small.get("/v1/users", 403)
    delete(admin, f"/v1/tokens/{mine['id']}")


def child_of(client, status=201, **wish):
    made = client.post("/v1/tokens", status, json=wish).json()
    return (made, Client(client.base, client.contract, made["token"])) if status == 201 else made


def test_token_ends_with_the_one_that_made_it(ann, admin):
    parent, by_parent = child_of(ann)
    child, by_child = child_of(by_parent, expires_in=60)
    _, by_grandchild = child_of(by_child)
    _, unrelated = child_of(ann)
    delete(ann, f"/v1/tokens/{parent['id']}")
    assert ann.get(f"/v1/tokens/{child['id']}").json()["state"] == "revoked"
    for client in (by_parent, by_child, by_grandchild):
        client.get("/v1/whoami", 401)
    unrelated.get("/v1/whoami")
    boss, by_boss = child_of(admin)
    _, for_ann = child_of(by_boss, user="ann")
    delete(admin, f"/v1/tokens/{boss['id']}")
    for_ann.get("/v1/whoami", 401)  # also of another user


def test_token_expires_with_the_one_that_made_it_at_the_latest(ann):
    parent, by_parent = child_of(ann, expires_in=600)
    assert child_of(by_parent)[0]["expires_at"] == parent["expires_at"]
    assert child_of(by_parent, expires_in=60)[0]["expires_at"] < parent["expires_at"]
    assert "outlive" in child_of(by_parent, 400, expires_in=6000)["detail"]


def test_token_of_a_narrow_one_stays_narrow_when_its_user_may_more(admin, daemon):
    admin.post("/v1/users", 201, json={"name": "nora", "role": "admin"})
    _, nora = child_of(admin, user="nora")
    _, narrow = child_of(nora, role="user")
    patch(admin, "/v1/users/nora", {"role": "user"})
    _, child = child_of(narrow)
    patch(admin, "/v1/users/nora", {"role": "admin"})
    assert nora.get("/v1/whoami").json()["role"] == "admin"
    assert child.get("/v1/whoami").json()["role"] == "user"
    delete(admin, "/v1/users/nora")


def test_token_for_another_narrows_with_its_makers_role_and_goes_with_him(admin):
    for name in ("mara", "otto"):
        admin.post("/v1/users", 201, json={"name": name, "role": "admin"})
    _, mara = child_of(admin, user="mara")
    _, otto = child_of(mara, user="otto")
    patch(admin, "/v1/users/mara", {"role": "user"})
    assert otto.get("/v1/whoami").json()["role"] == "user"
    delete(admin, "/v1/users/mara")
    otto.get("/v1/whoami", 401)
    delete(admin, "/v1/users/otto")


def test_narrow_token_revokes_no_wider_one(admin):
    wide, by_wide = child_of(admin)
    narrow, by_narrow = child_of(admin, role="user")
    delete(by_narrow, f"/v1/tokens/{wide['id']}", 403)
    by_wide.get("/v1/whoami")
    delete(by_narrow, f"/v1/tokens/{narrow['id']}")
    by_narrow.get("/v1/whoami", 401)


def test_stream_of_events_ends_with_its_token(ann):
    made, client = child_of(ann)
    headers = {"Authorization": f"Bearer {made['token']}", "Accept": "text/event-stream"}
    with requests.get(f"{client.base}/v1/events", headers=headers, stream=True, timeout=60) as reply:
        lines = reply.iter_lines(chunk_size=1)
        assert next(lines).startswith(b"retry: ")
        delete(ann, f"/v1/tokens/{made['id']}")
        begin = time.monotonic()
        assert sum(1 for _ in lines) < 1000  # others' events come, too
        assert time.monotonic() - begin < 50  # 10 s, and what a busy machine adds


@pytest.mark.parametrize("identity", ["0", "-1", "x", "99999999999999999999", "123456789"])
def test_token_unknown_404(admin, identity):
    assert admin.request("GET", f"/v1/tokens/{identity}").status_code == 404
    assert admin.request("DELETE", f"/v1/tokens/{identity}").status_code == 404


def test_idempotency_key_of_users_and_tokens(admin, carl):
    key = {"Idempotency-Key": f"key-{carl.name}"}
    made = carl.post("/v1/tokens", 201, json={"label": "a", "expires_in": 60}, headers=key).json()
    again = carl.post("/v1/tokens", 201, json={"expires_in": 60, "label": "a"}, headers=key).json()
    assert again == {**made, "token": None} and made["token"]
    assert len(carl.get("/v1/tokens").json()["items"]) == 2
    carl.post("/v1/tokens", 422, json={"label": "b"}, headers=key)
    carl.submit(status=422, headers=key)  # one key, another operation
    admin.post("/v1/tokens", 201, json={"user": carl.name, "label": "b"}, headers=key)  # keys are each person's own
    key = {"Idempotency-Key": f"user-{carl.name}"}
    first = admin.post("/v1/users", 201, json={"name": f"{carl.name}-2", "role": "user"}, headers=key)
    second = admin.post("/v1/users", 201, json={"role": "user", "name": f"{carl.name}-2"}, headers=key)
    assert first.json() == second.json() and first.headers["Location"] == second.headers["Location"]
    admin.post("/v1/users", 422, json={"name": f"{carl.name}-3", "role": "user"}, headers=key)
    admin.post("/v1/users", 409, json={"name": f"{carl.name}-2", "role": "user"})
    admin.post("/v1/users", 400, json={"name": f"{carl.name}-4", "role": "user"}, headers={"Idempotency-Key": "a b"})
    delete(admin, f"/v1/users/{carl.name}-2")


@pytest.mark.parametrize("path, body", [
    ("/v1/evaluations", {"config": CONFIG}), ("/v1/users", {"name": "dora", "role": "user"}), ("/v1/tokens", {"label": "x"}),
])
def test_idempotency_key_when_killed_between_commit_and_reply(fresh, path, body):
    """The store has it, the client heard nothing: the repeat answers with what is there, and makes nothing new."""
    daemon = fresh()
    os.environ["NEL_FAULT_POINT"] = "create-committed"
    try:
        daemon.start()
    finally:
        del os.environ["NEL_FAULT_POINT"]
    text = json.dumps(body)
    head = (f"POST {path} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {daemon.tokens['root-of-all']}\r\nContent-Length: {len(text)}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", daemon.port()), 30) as s:
        s.sendall((head + text).encode())
        try:
            assert s.recv(1000) == b""
        except ConnectionResetError:
            pass  # as good
    assert daemon.process.wait(30) == -9
    daemon.process = None
    daemon.start()
    admin = daemon.client("root-of-all")
    count = {"/v1/evaluations": lambda: len(admin.get("/v1/evaluations").json()["items"]),
             "/v1/users": lambda: len(admin.get("/v1/users").json()["items"]),
             "/v1/tokens": lambda: len(admin.get("/v1/tokens").json()["items"])}[path]
    before = count()
    key = {"Idempotency-Key": "k1"}
    reply = admin.request("POST", path, json=body, headers=key)
    assert reply.status_code in (201, 202) and count() == before
    identity = reply.json().get("id", reply.json().get("name"))
    assert admin.request("POST", path, json=body, headers=key).json().get("id", "dora") in (identity, "dora")
    if path == "/v1/tokens":
        assert reply.json()["token"] is None and identity == 5
    admin.request("POST", path, json={**body, "labels": {}}, headers=key)
    assert count() == before


def test_commands_users_and_tokens(fresh):
    daemon = fresh()
    out = daemon.command("user", "list")
    assert [line.split()[0] for line in out.splitlines()] == ["user", "user", "viewer", "admin"]
    assert "ann" in out.splitlines()[0]
    assert daemon.command("user", "set-role", "eve", "--role", "user") == "eve: user\n"
    token = daemon.command("token", "create", "ann", "--role", "viewer", "--label", "for the wall", "--expires-in", "90d")
    assert TOKEN.fullmatch(token.strip())
    lines = daemon.command("token", "list", "ann").splitlines()
    assert len(lines) == 3 and lines[0].split()[:3] == ["ID", "STATE", "ROLE"]
    assert re.search(r"^5 +active +viewer .* ann  for the wall$", lines[1]) and token.strip() not in "".join(lines)
    assert len(daemon.command("token", "list").splitlines()) == 6
    daemon.start()
    client = Client(daemon.base, daemon.contract, token.strip())
    shown = client.get("/v1/whoami").json()
    assert (shown["user"], shown["role"], shown["signed_in_by"]) == ("ann", "viewer", "token")
    assert daemon.command("token", "revoke", "5") == "revoked 5\n"
    client.get("/v1/whoami", 401)
    assert daemon.command("user", "remove", "bob") == "removed bob\n"
    daemon.client("bob").get("/v1/whoami", 401)
    daemon.client("ann").submit()
    for words, status, part in [
            (("user", "remove", "ann"), 1, "have not ended"), (("user", "remove", "bob"), 1, "no user bob"),
            (("user", "set-role", "ann"), 2, "--role"), (("user", "add", "Bob", "--role", "user"), 1, "lower-case"),
            (("user", "add", "ann", "--role", "user"), 1, "exists already"), (("user",), 2, "user list"),
            (("token", "create", "zoe"), 1, "no user zoe"), (("token", "create", "ann", "--role", "admin"), 1, "wider"),
            (("token", "create", "ann", "--expires-in", "never"), 2, "90d"), (("token", "revoke", "x"), 2, "token list"),
            (("token", "revoke", "77"), 1, "no token 77"), (("token",), 2, "token revoke ID"),
            (("token", "list", "zoe"), 1, "no user zoe"),
            (("user", "add", "eve", "--role", "user", "--expires-in", "1h"), 2, "user add does not take --expires-in"),
            (("user", "add", "eve", "--role", "user", "--label", "x"), 2, "user add does not take --label"),
            (("token", "list", "ann", "--role", "admin"), 2, "token list does not take --role"),
            (("user", "remove", "ann", "--user", "x"), 2, "user remove does not take --user"),
            (("check", "--strict"), 2, "check does not take --strict"), (("migrate", "--output", "x"), 2, "--output"),
            (("--strict",), 2, "--strict belongs to a command"), (("usr", "--role", "user"), 2, "no command usr")]:
        done = subprocess.run([BINARY, *words, "--config", str(daemon.settings)], capture_output=True, text=True)
        assert done.returncode == status and part in done.stderr, (words, done)
