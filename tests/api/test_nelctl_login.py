"""nelctl login and logout: the device flow against a stand-in issuer, what is kept and how, and its renewal."""

import json
import os
import stat
import subprocess
import time

import pytest
from conftest import CONFIG, Daemon, wait_until
from issuer import Issuer
from nel_command import NEL, Nel
from test_oidc import settings


@pytest.fixture(scope="module")
def issuer():
    one = Issuer("/realms/team")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def served(issuer, tmp_path_factory):
    one = Daemon(tmp_path_factory.mktemp("login"), more=settings(issuer))
    one.prepare()
    one.start()
    yield one
    one.stop()


@pytest.fixture
def nel(served, issuer, tmp_path):
    issuer.mode, issuer.interval, issuer.token_life_s, issuer.document = "ok", 1, 3600, {}
    issuer.verdicts, issuer.refuse_refresh, issuer.opaque_access_tokens = [], False, False
    issuer.person = {"sub": "s-ann", "preferred_username": "ann", "groups": ["evals"]}
    issuer.posts.clear()
    issuer.fetches.clear()
    yield Nel(served, tmp_path, user=None, NEL_PATIENCE="0")
    print(f"{issuer.url}, {issuer.mode}, was asked for {issuer.fetches}")  # shown when a test has failed


def kept(nel):
    files = list((nel.folder / ".config/nelctl").glob("*.json"))
    return files[0] if files else None


def tokens_of(nel):
    login = json.loads(kept(nel).read_text())
    return [login["token"], login["refresh_token"]]


def test_login_shows_where_to_go_keeps_what_it_got_and_logout_takes_it_back(nel, issuer):
    issuer.verdicts = ["authorization_pending", "authorization_pending"]
    out = nel("login")
    assert out == "signed in as ann (user)\n"
    assert f"Open {issuer.url}/activate in a browser, here or elsewhere, and enter the code WDJB-MJHT" in nel.err
    assert f"or open {issuer.url}/activate?user_code=WDJB-MJHT" in nel.err
    file = kept(nel)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    token, refresh = tokens_of(nel)
    assert token not in out + nel.err and refresh not in out + nel.err
    assert [form["grant_type"] for path, form in issuer.posts if path.endswith("/token")] == \
        ["urn:ietf:params:oauth:grant-type:device_code"] * 3
    assert nel("whoami") == "ann (user)\n" == nel("login", "--status")
    assert json.loads(nel("whoami", "--json"))["signed_in_by"] == "oidc"
    assert nel("logout") == "" and "signed out" in nel.err
    assert issuer.revoked[-1] == refresh and kept(nel) is None
    nel("whoami", code=5)
    assert "nelctl login" in nel.err
    nel("logout", code=2)
    nel("login", "--status", code=5)


def test_slow_down_is_heeded_and_faults_of_the_issuer_are_waited_out(nel, issuer):
    issuer.verdicts = [503, "slow_down"]
    begin = time.monotonic()
    nel("login")
    assert time.monotonic() - begin >= 1 + 2 + 7  # twice as long after the fault, five seconds more after slow_down


@pytest.mark.parametrize("verdict, code, says", [
    ("access_denied", 5, "refused at the issuer"), ("expired_token", 5, "expired"), ("invalid_client", 4, "because of invalid_client"),
])
def test_refusals_end_the_login_and_keep_nothing(nel, issuer, verdict, code, says):
    issuer.verdicts = [verdict]
    nel("login", code=code)
    assert says in nel.err and kept(nel) is None and "\x1b" not in nel.err


def test_a_code_that_nobody_enters_expires(nel, issuer):
    issuer.verdicts, issuer.device_life_s = ["authorization_pending"] * 20, 2
    try:
        nel("login", code=5)
    finally:
        issuer.device_life_s = 600
    assert kept(nel) is None and "nelctl login" in nel.err


@pytest.mark.parametrize("document, says", [
    ({"device_authorization_endpoint": None}, "no device flow"), ({"token_endpoint": None}, "no token endpoint"),
    ({"issuer": "https://other.example"}, "discovery document"), ({"device_authorization_endpoint": "http://other.example/x"}, "only https"),
])
def test_issuers_that_do_not_fit_are_said(nel, issuer, document, says):
    issuer.document = document
    done = subprocess.run([NEL, "login"], env=nel.env, capture_output=True, text=True, timeout=60)
    assert done.returncode in (4, 6) and says in done.stderr and kept(nel) is None


def test_who_is_not_let_in_keeps_nothing(nel, issuer):
    issuer.person = {"sub": "s-zed", "preferred_username": "zed", "groups": ["evals"]}
    nel("login", code=5)
    assert "zed is not a user of this service" in nel.err and kept(nel) is None


def test_a_service_without_an_issuer(daemon, tmp_path):
    nel = Nel(daemon, tmp_path, user=None)
    nel("login", code=4)
    assert "an admin gives you a token" in nel.err


def renewals(issuer):
    return [form.get("grant_type") for _, form in issuer.posts].count("refresh_token")


def test_the_token_is_renewed_before_it_ends_once_by_many_at_a_time(nel, issuer):
    issuer.token_life_s = 61
    nel("login")
    old = tokens_of(nel)
    wait_until(lambda: time.time() + 60 >= json.loads(kept(nel).read_text())["until"])
    issuer.token_life_s = 3600
    before = renewals(issuer)  # a slow login makes one of its own
    many = [nel.start("whoami", stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(5)]
    for one in many:
        out, err = one.communicate(timeout=120)
        assert (one.returncode, out) == (0, "ann (user)\n"), err
    assert renewals(issuer) == before + 1
    assert old[1] in issuer.spent and tokens_of(nel)[1] not in old
    assert stat.S_IMODE(kept(nel).stat().st_mode) == 0o600


def expire(nel):
    """As if the token had been given an hour ago."""
    login = json.loads(kept(nel).read_text())
    kept(nel).write_text(json.dumps({**login, "until": 0}))


def test_a_login_that_the_issuer_has_ended_says_what_to_do(nel, issuer):
    nel("login")
    expire(nel)
    issuer.refuse_refresh = True
    nel("whoami", code=5)
    assert "Session not active" in nel.err and "nelctl login" in nel.err


def test_a_long_command_goes_on_over_the_end_of_its_token(nel, issuer, served):
    issuer.token_life_s = 62
    nel("login")
    (nel.folder / "config.yaml").write_text(CONFIG)
    identity = nel("run", "config.yaml").strip()
    watching = nel.start("status", identity, "--watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: "refresh_token" in [form["grant_type"] for path, form in issuer.posts if path.endswith("/token")])
        nel("kill", identity)
        assert watching.wait(60) in (1, 3), watching.stderr.read()
    finally:
        watching.kill()
        watching.communicate()


def test_tokens_are_no_arguments_and_go_to_their_own_service_only(nel, issuer, daemon):
    """curl and jq are replaced by programs that note how they are called."""
    tools = nel.folder / "tools"
    tools.mkdir()
    for name in ("curl", "jq"):
        real = subprocess.run(["which", name], capture_output=True, text=True, check=True).stdout.strip()
        (tools / name).write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >>"{nel.folder}/calls"\nexec {real} "$@"\n')
        (tools / name).chmod(0o755)
    nel.env["PATH"] = f"{tools}:{os.environ['PATH']}"
    nel("login")
    first = tokens_of(nel)
    expire(nel)
    nel("whoami")
    second = tokens_of(nel)
    nel("whoami", env={"NEL_URL": daemon.base}, code=5)  # another service: it has no login of ours
    nel("logout")
    calls = (nel.folder / "calls").read_text()
    assert not [secret for secret in first + second if secret in calls] and "device_code@" in calls
    assert first != second


def test_id_tokens_where_access_tokens_are_opaque(issuer, nel, fresh):
    one = fresh(more=settings(issuer, more="  client_token: id_token\n"))
    one.start()
    issuer.opaque_access_tokens = True
    nel.env["NEL_URL"] = one.base
    assert nel("login") == "signed in as ann (user)\n"


def test_an_environment_s_token_comes_first_and_a_broken_login_says_so(nel, served, issuer):
    nel("login")
    assert nel("whoami", env={"NEL_TOKEN": served.tokens["eve"]}) == "eve (viewer)\n"
    kept(nel).chmod(0o644)
    nel("whoami", code=2)
    assert "others may read" in nel.err
    kept(nel).chmod(0o600)
    kept(nel).write_text("{")
    nel("whoami", code=2)
    assert "is broken" in nel.err
    assert nel("login") == "signed in as ann (user)\n"
    nel("login", "x", code=2)
    nel("logout", "x", code=2)
