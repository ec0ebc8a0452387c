"""Bearer tokens of an issuer: which are taken, whom they stand for, and what happens while the issuer changes its keys or
cannot be reached."""

import json
import re
import secrets
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests
from conftest import BINARY, CONFIG, STOP_TIMEOUT_S, Client, Daemon, wait_until
from issuer import Issuer, Key, b64, jwt, number

SETTINGS = """\
oidc:
  issuer: {url}
  audience: [nel-slurmd, other-name]
  client_id: nelctl
  user_claim: preferred_username
  users: {users}
  roles: {{claim: groups, admin: [nel-admins], user: [evals], viewer: [readers, "all staff"]}}
  jwks_cache_s: {cache_s}
  jwks_keep_s: {keep_s}
  jwks_refetch_s: {refetch_s}
  leeway_s: 30
"""


def settings(issuer, users="existing", cache_s=3600, keep_s=86400, refetch_s=1, more=""):
    return SETTINGS.format(url=issuer.url, users=users, cache_s=cache_s, keep_s=keep_s, refetch_s=refetch_s) + more


def bearer(daemon, token):
    return Client(daemon.base, daemon.contract, token)


def whoami(daemon, token, status=200):
    return bearer(daemon, token).get("/v1/whoami", status)


def refused(daemon, token, part, status=401):
    """The reply names why in its body and its challenge, and the token is nowhere."""
    reply = whoami(daemon, token, status)
    detail, how = reply.json()["detail"], reply.headers["WWW-Authenticate"]
    code = {401: "invalid_token", 403: "insufficient_scope"}[status]
    assert part in detail, detail
    match = re.fullmatch(rf'Bearer realm="nel-slurmd", error="{code}", error_description="([ !#-\[\]-~]*)"', how)
    assert match, how
    assert token not in reply.text + how and max(token.split("."), key=len) not in daemon.log()
    return reply


@pytest.fixture(scope="module")
def issuer():
    one = Issuer("/realms/team")
    one.keys = [Key("rsa"), Key("p256", "P-256"), Key("p384", "P-384"), Key("p521", "P-521"), Key("pinned", alg="PS256")]
    yield one
    one.stop()


@pytest.fixture(scope="module")
def oidc(issuer, tmp_path_factory):
    """A daemon that only lets in who is a user already."""
    one = Daemon(tmp_path_factory.mktemp("oidc"), more=settings(issuer))
    one.prepare()
    one.start()
    wait_until(lambda: "the issuer's keys are known" in one.log(), what="the keys")
    yield one
    one.stop()


@pytest.fixture
def lone():
    one = Issuer()
    yield one
    one.stop()


def make(fresh, issuer, **kwargs):
    one = fresh(more=settings(issuer, **kwargs))
    one.start()
    return one


# --- what is taken ---

@pytest.mark.parametrize("index, algorithm", [
    (0, "RS256"), (0, "RS384"), (0, "RS512"), (0, "PS256"), (0, "PS384"), (0, "PS512"), (1, "ES256"), (2, "ES384"),
    (3, "ES512"), (4, "PS256"),
])
def test_every_algorithm_of_the_list_is_taken(oidc, issuer, index, algorithm):
    body = whoami(oidc, issuer.token(issuer.keys[index], algorithm)).json()
    assert body["user"] == "ann" and body["role"] == "user" and body["signed_in_by"] == "oidc"
    left_s = time.mktime(time.strptime(body["expires_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())
    assert 3500 < left_s < 3700


@pytest.mark.parametrize("header", [{"typ": None}, {"typ": "at+jwt"}, {"typ": "application/at+JWT"}, {"typ": "jwt"},
                                    {"x5t": "abc"}])
def test_types_of_access_and_id_tokens_are_taken(oidc, issuer, header):
    whoami(oidc, issuer.token(header=header))


@pytest.mark.parametrize("claims", [
    {"aud": ["x", "nel-slurmd"]}, {"aud": "other-name"}, {"nbf": int(time.time()) - 5}, {"exp": time.time() + 99.5},
    {"exp": int(time.time()) - 10}, {"iat": int(time.time()) + 20}, {"nbf": int(time.time()) + 20},
    {"groups": ["x"] * 300 + ["evals"]}, {"nested": {"a": [{"b": "ä" * 300}]}}, {"name": "Änn 안 \U0001f600"},
])
def test_right_tokens_are_taken_within_the_leeway(oidc, issuer, claims):
    if "exp" in claims or "iat" in claims or "nbf" in claims:  # parametrized when the tests were collected
        name, value = next(iter(claims.items()))
        claims = {name: value + time.time() - COLLECTED}
    assert whoami(oidc, issuer.token(**claims)).json()["user"] == "ann"


COLLECTED = time.time()


def test_a_token_as_large_as_the_limit_is_taken_and_a_larger_one_is_not(oidc, issuer):
    size = len(issuer.token(pad=""))
    token = issuer.token(pad="x" * ((16384 - size) * 3 // 4 - 4))
    assert 16300 < len(token) <= 16384
    whoami(oidc, token)
    assert "16384 bytes" in whoami(oidc, issuer.token(pad="x" * 12500), 401).json()["detail"]


# --- what is not ---

@pytest.mark.parametrize("claims, part", [
    ({"iss": "https://other.example"}, "another issuer"), ({"iss": None}, "another issuer"), ({"iss": ["x"]}, "another issuer"),
    ({"aud": "nel"}, "not for this service"), ({"aud": None}, "not for this service"), ({"aud": []}, "not for this service"),
    ({"aud": ["x", 7, None]}, "not for this service"), ({"aud": {"nel-slurmd": 1}}, "not for this service"),
    ({"exp": 1000}, "expired at 1970-01-01T00:16:40Z"), ({"exp": None}, "when it expires"), ({"exp": "never"}, "when it expires"),
    ({"exp": True}, "when it expires"), ({"exp": 1e300}, "when it expires"), ({"exp": -5}, "when it expires"),
    ({"iat": None}, "when it was issued"), ({"iat": 32503680000}, "in the future"), ({"nbf": 32503680000}, "not valid before"),
    ({"nbf": "soon"}, "nbf"), ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "events"),
])
def test_wrong_claims_401(oidc, issuer, claims, part):
    refused(oidc, issuer.token(**claims), part)


def test_exp_just_past_the_leeway_401(oidc, issuer):
    refused(oidc, issuer.token(exp=int(time.time()) - 31), "expired at")


def test_alg_none_and_confusion_401(oidc, issuer):
    key = issuer.keys[0]
    claims = {"iss": issuer.url, "aud": "nel-slurmd", "exp": int(time.time()) + 600, "iat": int(time.time()),
              "sub": "s-ann", "preferred_username": "ann", "groups": ["nel-admins"]}
    refused(oidc, jwt(key, claims, "none"), "algorithm")
    for name in ("None", "NONE", "HS256", "HS512", "EdDSA", "RSA-OAEP", "", "rs256"):
        refused(oidc, jwt(key, claims, "RS256", {"alg": name}), "algorithm")
    for secret in (key.public_pem(), number(key.private.public_key().public_numbers().n).encode(),
                   json.dumps(key.jwk()).encode()):
        refused(oidc, jwt(key, claims, "HS256", secret=secret), "algorithm")
    refused(oidc, jwt(key, claims, "RS256", {"alg": 7}), "algorithm")
    refused(oidc, jwt(issuer.keys[1], claims, "ES256", {"alg": "ES384"}), "not for the token's algorithm")
    refused(oidc, jwt(key, claims, "RS256", {"kid": "p256"}), "not for the token's algorithm")
    refused(oidc, jwt(issuer.keys[4], claims, "RS256"), "not for the token's algorithm")  # its JWK says PS256
    refused(oidc, jwt(key, claims, "RS256", {"alg": "PS256"}), "signature")


def test_wrong_signatures_401(oidc, issuer):
    token = issuer.token()
    head, body, signature = token.split(".")
    other = issuer.token(preferred_username="root-of-all").split(".")[1]
    refused(oidc, f"{head}.{other}.{signature}", "signature")
    for index in (0, len(signature) // 2):
        wrong = signature[:index] + ("A" if signature[index] != "A" else "B") + signature[index + 1:]
        refused(oidc, f"{head}.{body}.{wrong}", "signature")
    stranger = Key("rsa", bits=2049)
    refused(oidc, issuer.token(stranger), "signature")
    embedded = issuer.token(Key("evil", bits=2050), header={"kid": "rsa", "jwk": Key("evil", bits=2050).jwk()})
    refused(oidc, embedded, "signature")
    zeros = jwt(issuer.keys[1], {}, "ES256").rsplit(".", 1)[0] + "." + b64(bytes(64))
    refused(oidc, zeros, "signature")  # CVE-2022-21449


@pytest.mark.parametrize("header, part", [
    ({"typ": "logout+jwt"}, "type"), ({"typ": "secevent+jwt"}, "type"), ({"typ": 7}, "type"), ({"crit": ["b64"], "b64": False}, "critical"),
    ({"crit": []}, "critical"), ({"kid": 7}, "kid"), ({"kid": "x" * 600}, "kid"),
])
def test_wrong_headers_401(oidc, issuer, header, part):
    refused(oidc, issuer.token(header=header), part)


def test_misshapen_tokens_401(oidc, issuer):
    head, body, signature = issuer.token().split(".")
    for text, part in [("abc", "neither"), ("a.b", "neither"), (f"{head}.{body}", "neither"), (f"{head}.{body}.{signature}.x", "neither"),
                       ("a.b.c.d.e", "neither"), ("..", "no JSON"), (f".{body}.{signature}", "no JSON"), (f"!!.{body}.{signature}", "neither"), (f"A.{body}.{signature}", "base64url"),
                       (f"{b64(b'[]')}.{body}.{signature}", "no JSON"), (f"{b64(b'{')}.{body}.{signature}", "no JSON"),
                       (f"{head}..{signature}", ""), (f"{head}.{body}.", ""), (f"{head}=.{body}.{signature}", "neither"),
                       (f"{head}.{body}.{signature}==", "neither"), (f"{head} .{body}.{signature}", "")]:
        reply = whoami(oidc, text, 401)
        assert part in reply.json()["detail"], text
    key = issuer.keys[0]
    twice = b'{"alg": "RS256", "kid": "rsa", "alg": "none"}'
    refused(oidc, jwt(key, {}, raw_header=twice), "no JSON")
    good = {"iss": issuer.url, "aud": "nel-slurmd", "exp": int(time.time()) + 60, "iat": 1, "sub": "s", "preferred_username": "bob"}
    twice = json.dumps(good)[:-1].encode() + b', "preferred_username": "ann"}'
    refused(oidc, jwt(key, {}, raw_claims=twice), "stands twice")
    for raw in (b"[]", b"7", b"\xff\xfe", b'{"sub": "a\x00b"}', b"[" * 5000, b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}", b"{}x"):
        refused(oidc, jwt(key, {}, raw_claims=raw), "claims")


def test_no_kid_is_taken_from_an_issuer_with_one_key_only(oidc, issuer, lone, fresh):
    refused(oidc, issuer.token(algorithm="PS256", header={"kid": None}), "which one (kid)")
    whoami(oidc, issuer.token(header={"kid": None}))  # for RS256 there is one only
    one = make(fresh, lone)
    assert whoami(one, lone.token(header={"kid": None})).json()["user"] == "ann"


def test_tokens_of_ours_and_of_the_issuer_are_told_apart(oidc, issuer):
    body = whoami(oidc, oidc.tokens["ann"]).json()
    assert body == {"user": "ann", "role": "user", "signed_in_by": "token", "expires_at": None}
    for text in ("nel_" + issuer.token(), "nel_a.b.c", "nel_" + "x" * 43):
        reply = whoami(oidc, text, 401)
        assert "error_description" not in reply.headers["WWW-Authenticate"]
        assert reply.json()["detail"] == "the token is not a valid one"
    assert whoami(oidc, issuer.token()).json()["signed_in_by"] == "oidc"


def test_without_the_setting_no_issuer_is_believed(daemon, issuer):
    assert bearer(daemon, issuer.token()).get("/v1/whoami", 401).json()["detail"] == "the token is not a valid one"
    assert bearer(daemon, None).get("/v1/login").json() == {"oidc": None}


# --- who it is ---

@pytest.mark.parametrize("claims, part", [
    ({"preferred_username": None}, "no claim preferred_username"), ({"preferred_username": ""}, "no claim"), ({"preferred_username": 7}, "no claim"),
    ({"preferred_username": "Ann"}, "Ann is no user's name"), ({"preferred_username": "ann@example.org"}, "user_domain"),
    ({"preferred_username": "änn"}, "??nn is no user's name"), ({"preferred_username": "an n"}, "an?n is no user's name"),
    ({"preferred_username": "a\"b\\c\r\nX: y"}, "is no user's name"), ({"preferred_username": "x" * 65}, "longer"),
    ({"preferred_username": "../ann"}, "is no user's name"), ({"preferred_username": "zed", "sub": "z"}, "zed is not a user of this service"),
    ({"sub": None}, "subject"), ({"sub": ""}, "subject"), ({"sub": "x" * 256}, "subject"),
    ({"groups": None}, "gives no role"), ({"groups": []}, "gives no role"), ({"groups": ["evalsx", "eval", "EVALS"]}, "gives no role"),
    ({"groups": "evals readers"}, "gives no role"), ({"groups": {"evals": True}}, "gives no role"), ({"groups": [["evals"]]}, "gives no role"),
])
def test_valid_tokens_of_nobody_here_403(oidc, issuer, claims, part):
    refused(oidc, issuer.token(**claims), part, 403)


def test_the_highest_role_counts_and_one_value_may_be_a_text(fresh, lone):
    one = make(fresh, lone)
    now = int(time.time())
    for index, (groups, role) in enumerate([(["readers"], "viewer"), (["readers", "evals"], "user"), ("all staff", "viewer"),
                                            (["evals", "nel-admins", "readers"], "admin"), ("evals", "user")]):
        token = lone.token(groups=groups, iat=now - 20 + index)
        assert whoami(one, token).json()["role"] == role, groups


def test_role_of_the_newest_token_holds_and_an_older_one_gives_no_more(fresh, lone):
    one = make(fresh, lone)
    admin, now = one.client("root-of-all"), int(time.time())
    old = lone.token(groups=["nel-admins"], iat=now - 100)
    assert whoami(one, old).json()["role"] == "admin"
    new = lone.token(groups=["readers"], iat=now - 50)
    assert whoami(one, new).json()["role"] == "viewer"
    assert whoami(one, old).json()["role"] == "viewer" and whoami(one, one.tokens["ann"]).json()["role"] == "viewer"
    bearer(one, old).get("/v1/users", 403)
    newest = lone.token(groups=["evals"], iat=now - 20)
    assert whoami(one, newest).json()["role"] == "user" and whoami(one, new).json()["role"] == "viewer"
    # What an admin says holds until a token that was issued later.
    reply = admin.request("PATCH", "/v1/users/ann", json={"role": "viewer"})
    assert reply.json()["role"] == "viewer" and whoami(one, newest).json()["role"] == "viewer"
    wait_until(lambda: time.time() > now + 2)
    assert whoami(one, lone.token(groups=["evals"], iat=int(time.time()) + 1)).json()["role"] == "user"
    said = [row["detail"] for row in admin.get("/v1/audit?action=signIn").json()["items"]]
    assert said == ["role user, was viewer", "role user, was viewer", "role viewer, was admin",
                    "role admin, was user; subject of the issuer noted"]


def test_a_name_belongs_to_its_first_subject(fresh, lone):
    one = make(fresh, lone)
    whoami(one, lone.token())
    refused(one, lone.token(sub="s-other"), "somebody else at the issuer", 403)
    admin = one.client("root-of-all")
    assert admin.get("/v1/users/ann").json()["oidc_subject"] == "s-ann"
    assert admin.request("PATCH", "/v1/users/ann", json={"oidc_subject": None}).json()["oidc_subject"] is None
    assert whoami(one, lone.token(sub="s-other")).json()["user"] == "ann"
    refused(one, lone.token(), "somebody else at the issuer", 403)
    for body in ({"oidc_subject": "x"}, {"suspended": "yes"}, {}):
        assert admin.request("PATCH", "/v1/users/ann", json=body).status_code == 400


def test_suspended_is_let_in_by_no_way(fresh, lone):
    one = make(fresh, lone)
    admin = one.client("root-of-all")
    whoami(one, lone.token())
    assert admin.request("PATCH", "/v1/users/ann", json={"suspended": True}).json()["suspended"] is True
    refused(one, lone.token(), "the user ann is suspended", 403)
    refused(one, lone.token(groups=["nel-admins"]), "the user ann is suspended", 403)
    whoami(one, one.tokens["ann"], 401)
    assert admin.request("PATCH", "/v1/users/ann", json={"suspended": False}).json()["suspended"] is False
    whoami(one, lone.token())
    whoami(one, one.tokens["ann"])


def test_users_made_on_first_sight_but_not_who_was_removed(fresh, lone):
    one = make(fresh, lone, users="create")
    admin = one.client("root-of-all")
    zed = {"preferred_username": "zed", "sub": "s-zed"}
    refused(one, lone.token(**zed, groups=[]), "gives no role", 403)
    admin.get("/v1/users/zed", 404)
    results = []
    threads = [threading.Thread(target=lambda: results.append(whoami(one, lone.token(**zed)).json())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and all(r["user"] == "zed" and r["role"] == "user" for r in results)
    user = admin.get("/v1/users/zed").json()
    assert user["role"] == "user" and user["oidc_subject"] == "s-zed"
    assert [row["detail"] for row in admin.get("/v1/audit?target=zed&action=signIn").json()["items"]] == \
        ["user made, role user; subject of the issuer noted"]
    identity = bearer(one, lone.token(**zed)).submit().json()
    assert identity["user"] == "zed"
    bearer(one, lone.token(**zed)).post(f"/v1/evaluations/{identity['id']}/cancel")
    wait_until(lambda: admin.get(f"/v1/evaluations/{identity['id']}").json()["state"] == "cancelled")
    admin.delete("/v1/users/zed")
    refused(one, lone.token(**zed), "the user zed was removed", 403)
    admin.post("/v1/users", 201, json={"name": "zed", "role": "viewer"})
    assert whoami(one, lone.token(**zed, iat=int(time.time()) - 20)).json()["role"] == "user"


def test_audit_shows_the_user_and_the_way_in(oidc, issuer):
    client = bearer(oidc, issuer.token())
    identity = client.submit().json()["id"]
    admin = oidc.client("root-of-all")
    row = admin.get(f"/v1/audit?target={identity}").json()["items"][-1]
    assert row["actor"] == "ann" and row["action"] == "submitEvaluation" and row["signed_in_by"] == "oidc"
    client = oidc.client("ann")
    identity = client.submit().json()["id"]
    assert admin.get(f"/v1/audit?target={identity}").json()["items"][-1]["signed_in_by"] == "token"


def test_tokens_made_by_who_is_signed_in_by_the_issuer_end(oidc, issuer):
    client = bearer(oidc, issuer.token())
    made = client.post("/v1/tokens", 201, json={"label": "ci"}).json()
    days = (time.mktime(time.strptime(made["expires_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())) / 86400
    assert 29.9 < days <= 30
    assert "token_days" in client.post("/v1/tokens", 400, json={"expires_in": 40 * 86400}).json()["detail"]
    client.post("/v1/tokens", 201, json={"expires_in": 86400})


def test_failed_logins_are_limited_and_good_ones_are_not(fresh, lone):
    one = fresh(limits=", failed_logins_per_minute: 3", more=settings(lone))
    one.start()
    good = lone.token()
    wait_until(lambda: bearer(one, good).request("GET", "/v1/whoami").status_code == 200)
    statuses = [bearer(one, lone.token(aud="x")).request("GET", "/v1/whoami").status_code for _ in range(6)]
    assert statuses == [401] * 3 + [429] * 3
    assert bearer(one, lone.token(groups=[])).request("GET", "/v1/whoami").status_code == 429
    whoami(one, good)


def test_an_event_stream_ends_when_the_token_does(fresh, lone):
    one = make(fresh, lone)
    whoami(one, lone.token())
    token = lone.token(exp=int(time.time()) - 15)  # some 15 s are left, with the leeway
    reply = bearer(one, token).session.get(one.base + "/v1/events", headers={
        "Authorization": f"Bearer {token}", "Accept": "text/event-stream"}, stream=True, timeout=60)
    assert reply.status_code == 200
    begin = time.monotonic()
    for _ in reply.iter_content(None):
        pass
    assert time.monotonic() - begin < 60


# --- keys, and the issuer's bad days ---

def test_rotation_is_followed_at_once(fresh, lone):
    one = make(fresh, lone, refetch_s=30)
    whoami(one, lone.token())
    assert lone.count("/keys") == 1
    second = Key("second", "P-256")
    lone.keys = [second, lone.keys[0]]
    assert whoami(one, lone.token(second, "ES256")).json()["user"] == "ann"
    assert lone.count("/keys") == 2
    whoami(one, lone.token(lone.keys[1]))


def test_a_write_with_a_new_key_waits_and_is_done_once(fresh, lone):
    one = make(fresh, lone, refetch_s=30)
    whoami(one, lone.token())
    lone.keys = [Key("second", "P-256")]
    client = bearer(one, lone.token(lone.keys[0], "ES256"))
    identity = client.submit().json()["id"]
    assert [e["id"] for e in client.get("/v1/evaluations").json()["items"]] == [identity]


def test_random_kids_do_not_hammer_the_issuer(fresh, lone):
    one = make(fresh, lone, refetch_s=3600)
    whoami(one, lone.token())
    stranger = Key("stranger", "P-256")

    def knock():
        for _ in range(25):
            stranger_token = lone.token(stranger, "ES256", header={"kid": secrets.token_hex(8)})
            assert "does not publish" in whoami(one, stranger_token, 401).json()["detail"]
    threads = [threading.Thread(target=knock) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lone.count("/keys") <= 2 and lone.count("openid-configuration") <= 2
    whoami(one, lone.token())


def test_a_key_that_is_withdrawn_is_refused_after_the_next_fetch(fresh, lone):
    one = make(fresh, lone, cache_s=1, keep_s=60)
    token = lone.token()
    whoami(one, token)
    lone.keys = [Key("second", "P-256")]
    wait_until(lambda: bearer(one, token).request("GET", "/v1/whoami").status_code == 401)
    whoami(one, lone.token(lone.keys[0], "ES256"))


def test_cached_keys_go_on_while_the_issuer_is_ill(fresh, lone):
    one = make(fresh, lone, cache_s=1, keep_s=3600)
    whoami(one, lone.token())
    for mode in ("500", "garbage", "html", "huge", "redirect", "cut", "hang"):
        fetched, said = lone.count("openid-configuration"), one.log().count("cannot be fetched")
        lone.mode = mode
        wait_until(lambda: lone.count("openid-configuration") > fetched)
        if mode != "hang":
            wait_until(lambda: one.log().count("cannot be fetched") > said)
        given_up = one.log().count("cannot be fetched")
        whoami(one, lone.token())
        if mode == "hang":  # nobody waits for the issuer, which is given up after 5 s: two looks, for the end of those may come between
            if one.log().count("cannot be fetched") != given_up:
                given_up = one.log().count("cannot be fetched")
                whoami(one, lone.token())
            assert one.log().count("cannot be fetched") == given_up
        for _ in range(9):
            whoami(one, lone.token())
        lone.mode = "ok"
        lone.release.set()
        if mode != "hang":
            known = one.log().count("keys are known")
            wait_until(lambda: one.log().count("keys are known") > known)


def test_keys_are_given_up_after_the_stated_time_and_come_back(fresh, lone):
    one = make(fresh, lone, cache_s=1, keep_s=2)
    whoami(one, lone.token())
    lone.mode = "500"
    wait_until(lambda: bearer(one, lone.token()).request("GET", "/v1/whoami").status_code == 503)
    reply = whoami(one, lone.token(), 503)
    assert "answers 500" in reply.json()["detail"] and reply.headers["Retry-After"]
    whoami(one, one.tokens["ann"])  # ours need no issuer
    lone.mode = "ok"
    wait_until(lambda: bearer(one, lone.token()).request("GET", "/v1/whoami").status_code == 200)


def test_an_issuer_that_hangs_at_the_start_holds_up_nobody_else(fresh, lone):
    lone.mode = "hang"
    token = lone.token()  # signed before: from the start on, the issuer is given up after 5 s
    one = make(fresh, lone)
    results = []
    waiting = [threading.Thread(target=lambda: results.append(bearer(one, token).request("GET", "/v1/whoami")))
               for _ in range(12)]
    for thread in waiting:
        thread.start()
    wait_until(lambda: lone.fetches)
    for _ in range(5):
        whoami(one, one.tokens["ann"])
    assert not results  # those wait, so nobody else did
    lone.mode = "ok"
    lone.release.set()
    for thread in waiting:
        thread.join()
    # Those that waited for the fetch that was given up are told to come again, or were in time for the next one.
    assert {r.status_code for r in results} <= {200, 503} and len(results) == 12
    wait_until(lambda: bearer(one, lone.token()).request("GET", "/v1/whoami").status_code == 200)


def test_stops_at_once_while_requests_wait_for_the_issuer(fresh, lone):
    lone.mode = "hang"
    one = make(fresh, lone)
    details = []

    def ask(token):
        try:
            reply = bearer(one, token).request("GET", "/v1/whoami")
            details.append((reply.status_code, reply.json()["detail"]))
        except requests.ConnectionError as error:
            details.append((0, str(error)))

    # The issuer is given up after 5 s, and nobody says when the request has come: a busy machine may be early or late.
    fetches = 0
    for _ in range(5):
        waiting = threading.Thread(target=ask, args=(lone.token(),))
        waiting.start()
        wait_until(lambda seen=fetches: len(lone.fetches) > seen)
        time.sleep(1.5)
        assert one.stop() < STOP_TIMEOUT_S
        waiting.join()
        if details[-1][0] == 503 and "stopping" in details[-1][1]:
            return
        fetches = len(lone.fetches)
        one.start()
    raise AssertionError(details)


@pytest.mark.parametrize("extra, taken", [
    ([{"kty": "oct", "kid": "shared", "k": b64(b"x" * 32)}, {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(b"x" * 32)}], True),
    ([7, None, {"kty": "RSA"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "off"}, {"kid": "no"}], True),
])
def test_keys_of_no_use_are_left_out(fresh, lone, extra, taken):
    lone.extra_jwks = extra
    one = make(fresh, lone)
    whoami(one, lone.token())
    assert " keys=1" in one.log()
    shared = jwt(Key("shared", bits=2048), {"iss": lone.url}, "HS256", secret=b"x" * 32)
    refused(one, shared, "algorithm")


def test_short_rsa_keys_and_keys_for_encryption_are_no_keys(fresh, lone):
    lone.keys = [Key("short", bits=1024), Key("enc", "P-256", use="enc"), Key("ops", "P-256", key_ops=["sign"])]
    one = make(fresh, lone)
    reply = whoami(one, lone.token(lone.keys[1], "ES256"), 503)
    assert "of the issuer's 3 keys none" in reply.json()["detail"]


def check(folder, daemon, text, *options):
    """nel-slurmd check of the daemon's settings with another issuer."""
    file = folder / "other.yaml"
    file.write_text(re.sub(r"(?s)oidc:.*?(?=clusters:)", "", daemon.settings.read_text()) + text)
    return subprocess.run([BINARY, "check", *options, "--config", file], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("document, part", [
    ({"issuer": "https://elsewhere.example"}, "https://elsewhere.example"), ({"issuer": None}, "names no issuer"), ({"jwks_uri": None}, "names no jwks_uri"),
    ({"jwks_uri": "http://keys.example/keys"}, "not https"), ({"jwks_uri": "file:///etc/passwd"}, "not https"), ({"jwks_uri": 7}, "names no jwks_uri"),
])
def test_discovery_documents_that_do_not_fit_are_said(oidc, lone, tmp_path, document, part):
    lone.document = document
    done = check(tmp_path, oidc, settings(lone))
    assert done.returncode == 1 and part in done.stderr and "oidc" in done.stderr


def test_a_discovery_document_that_does_not_fit_is_said_to_who_signs_in(fresh, lone):
    lone.document = {"issuer": "https://elsewhere.example"}
    one = make(fresh, lone)
    assert "spelled exactly so" in whoami(one, lone.token(), 503).json()["detail"]


def test_check_reaches_the_issuer(oidc, lone, tmp_path):
    done = check(tmp_path, oidc, settings(lone))
    assert done.returncode == 0 and f"the issuer {lone.url}: ok, 1 key" in done.stdout, done.stderr
    lone.document = {"device_authorization_endpoint": None}
    done = check(tmp_path, oidc, settings(lone))
    assert done.returncode == 1 and "device flow" in done.stderr
    lone.mode = "404"
    done = check(tmp_path, oidc, settings(lone))
    assert done.returncode == 1 and "openid-configuration answers 404" in done.stderr
    assert check(tmp_path, oidc, settings(lone), "--syntax-only").returncode == 0
    lone.stop()
    done = check(tmp_path, oidc, settings(lone))
    assert done.returncode == 1 and "onnect" in done.stderr


def test_reload_brings_another_issuer(fresh, lone):
    one = make(fresh, lone)
    whoami(one, lone.token())
    other = Issuer("/other/")
    try:
        one.settings.write_text(one.settings.read_text().replace(lone.url, other.url))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "settings reloaded" in one.log())
        wait_until(lambda: bearer(one, other.token()).request("GET", "/v1/whoami").status_code == 200)
        refused(one, lone.token(), "")
        # The subject of another issuer is another matter: the user is bound anew.
        assert one.client("root-of-all").get("/v1/users/ann").json()["oidc_subject"] == "s-ann"
        one.settings.write_text(re.sub(r"(?s)oidc:.*?(?=clusters:)", "", one.settings.read_text()))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: one.log().count("settings reloaded") == 2)
        assert whoami(one, other.token(), 401).json()["detail"] == "the token is not a valid one"
        assert bearer(one, None).get("/v1/login").json() == {"oidc": None}
    finally:
        other.stop()


def test_the_issuers_own_certificate_authority(fresh, tmp_path):
    cert, key = tmp_path / "ca.pem", tmp_path / "ca.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
                    cert, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)
    issuer = Issuer(tls=(cert, key))
    try:
        one = make(fresh, issuer, more=f"  ca_file: {cert}\n")
        whoami(one, issuer.token())
        one.settings.write_text(one.settings.read_text().replace(f"  ca_file: {cert}\n", ""))
        one.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "settings reloaded" in one.log())
        assert "certificate" in whoami(one, issuer.token(), 503).json()["detail"]
    finally:
        issuer.stop()


# --- settings ---

@pytest.mark.parametrize("text, part", [
    ("{audience: x}", "oidc.issuer"), ("{issuer: https://i.example}", "oidc.audience"), ("{issuer: 'http://i.example', audience: x}", "loopback only"),
    ("{issuer: 'https://u@i.example', audience: x}", "oidc.issuer"), ("{issuer: 'https://i.example/?a=b', audience: x}", "oidc.issuer"),
    ("{issuer: 'https://i.example', audience: []}", "oidc.audience"), ("{issuer: 'https://i.example', audience: x, users: all}", "existing or create"),
    ("{issuer: 'https://i.example', audience: x, users: create}", "oidc.roles"), ("{issuer: 'https://i.example', audience: x, roles: {}}", "nobody in"),
    ("{issuer: 'https://i.example', audience: x, roles: {other: admin}}", "user, viewer, or none"), ("{issuer: 'https://i.example', audience: x, client_tokn: y}", "client_token"),
    ("{issuer: 'https://i.example', audience: x, jwks_cache_s: 100, jwks_keep_s: 50}", "at least"), ("{issuer: 'https://i.example', audience: x, user_domain: a@b}", "user_domain"),
    ("{issuer: 'https://i.example', audience: x, ca_file: ca.pem}", "absolute"),
])
def test_wrong_settings_are_said(oidc, tmp_path, text, part):
    done = check(tmp_path, oidc, f"oidc: {text}\n", "--syntax-only")
    assert done.returncode == 1 and part in done.stderr, done.stderr


def test_names_with_a_domain_nested_claims_and_other_role(fresh, lone):
    one = fresh(more=f"""\
oidc:
  issuer: {lone.url}
  audience: nel-slurmd
  user_claim: email
  user_domain: Example.org
  users: create
  roles: {{claim: realm_access.roles, admin: [nel-admins], other: viewer}}
""")
    one.start()
    assert whoami(one, lone.token(email="Ann.Smith@example.ORG", sub="1")).json()["user"] == "ann.smith"
    assert whoami(one, lone.token(email="max@example.org", sub="2", realm_access={"roles": ["nel-admins"]})).json()["role"] == "admin"
    assert whoami(one, lone.token(email="eve@example.org", sub="3")).json()["role"] == "viewer"
    whole = {"realm_access.roles": "nel-admins"}
    assert whoami(one, lone.token(email="tom@example.org", sub="4", **whole)).json()["role"] == "admin"
    for email in ("ann@evil.example", "ann@example.org.evil.example", "ann", "@example.org", "a@b@example.org", "x" * 65 + "@example.org"):
        whoami(one, lone.token(email=email, sub=email), 403)


def test_without_roles_each_user_keeps_the_own_one(fresh, lone):
    one = fresh(more=f"oidc: {{issuer: '{lone.url}', audience: nel-slurmd}}\n")
    one.start()
    assert whoami(one, lone.token(groups=["nel-admins"])).json()["role"] == "user"
    eve = {"sub": "e", "preferred_username": "eve"}
    assert whoami(one, lone.token(**eve)).json()["role"] == "viewer"
    bearer(one, lone.token(**eve)).submit(status=403)


def test_scopes_are_words(fresh, lone):
    one = fresh(more=f"""\
oidc: {{issuer: '{lone.url}', audience: nel-slurmd, roles: {{claim: scope, user: ["nel:run"], viewer: ["nel"]}}}}
""")
    one.start()
    assert whoami(one, lone.token(scope="openid nel:run  profile")).json()["role"] == "user"
    assert whoami(one, lone.token(scope="openid nel", iat=int(time.time()) + 1)).json()["role"] == "viewer"
    refused(one, lone.token(scope="openid nel:runner xnel"), "gives no role", 403)


def test_login_is_found_by_anybody(oidc, issuer):
    assert bearer(oidc, None).get("/v1/login").json() == {"oidc": {
        "issuer": issuer.url, "client_id": "nelctl", "scopes": ["openid", "profile", "offline_access"], "token": "access_token"}}


def test_a_token_behind_a_trusted_proxy_that_names_nobody(fresh, lone):
    one = fresh(more="trusted_proxy: {accounts: ['0'], user_header: X-Remote-User}\n" + settings(lone))
    one.start()
    whoami(one, lone.token())

    def ask(*headers):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(one.socket))
            lines = "".join(f"{h}\r\n" for h in headers)
            s.sendall(f"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()
    assert '"signed_in_by":"oidc"' in ask(f"Authorization: Bearer {lone.token()}")
    both = ask(f"Authorization: Bearer {lone.token()}", "X-Remote-User: eve")
    assert '"user":"eve"' in both and '"signed_in_by":"proxy"' in both


def test_a_path_is_decoded_once_however_often_who_asks_is_looked_at(fresh, lone):
    one = make(fresh, lone, refetch_s=30)
    whoami(one, lone.token())
    lone.keys = [Key("second", "P-256")]
    reply = bearer(one, lone.token(lone.keys[0], "ES256", groups=["nel-admins"])).request("DELETE", "/v1/users/a%252561")
    assert reply.status_code == 404 and reply.json()["detail"] == "there is no user a%2561"
