"""How often somebody may ask and fail to log in; peers of the unix socket that are not admins; a proxy that is trusted."""

import json
import os
import pwd
import subprocess
import sys

import pytest
from conftest import BINARY, UnixConnection, wait_until

SLOW = ", requests_per_second: 5, failed_logins_per_minute: 3"
AS_ACCOUNT = """
import os, socket, sys
uid, path, request = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.setgroups([])
os.setuid(uid)
s = socket.socket(socket.AF_UNIX)
s.connect(path)
s.sendall(request.encode())
data = b""
while chunk := s.recv(65536):
    data += chunk
sys.stdout.buffer.write(data)
"""


def burst(client, count, path="/v1/whoami", **kwargs):
    return [client.request("GET", path, **kwargs) for _ in range(count)]


def test_requests_per_second_of_each_token(fresh):
    daemon = fresh(limits=SLOW)
    daemon.start()
    ann = daemon.client("ann")
    replies = burst(ann, 40)
    refused = [reply for reply in replies if reply.status_code == 429]
    assert replies[0].status_code == 200 and refused
    assert "requests_per_second" in refused[0].json()["detail"] and int(refused[0].headers["Retry-After"]) >= 1
    assert daemon.client("bob").get("/v1/whoami")  # another token has a bucket of its own
    for path in ("/healthz", "/readyz"):
        assert {reply.status_code for reply in burst(daemon.client(), 40, path)} == {200}
    assert 429 in {reply.status_code for reply in burst(daemon.client(), 40)}  # without any: of the address
    wait_until(lambda: ann.request("GET", "/v1/whoami").status_code == 200)
    connection = UnixConnection(daemon.socket)
    statuses = []
    for _ in range(40):
        connection.request("GET", "/v1/whoami")
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
    connection.close()
    assert statuses[0] == 200 and 429 in statuses


def test_failed_logins_of_each_address(fresh):
    daemon = fresh(limits=SLOW.replace("_second: 5", "_second: 10000"))
    daemon.start()
    nobody = daemon.client()
    wrong = {"Authorization": "Bearer nel_" + "W" * 43}
    replies = burst(nobody, 12, headers=wrong)
    assert [reply.status_code for reply in replies[:3]] == [401] * 3
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused and 1 <= int(refused[0].headers["Retry-After"]) <= 60
    assert "failed logins" in refused[0].json()["detail"] and "WWW-Authenticate" not in refused[0].headers
    # Good credentials from the same address are never held up, nor is there a trace of the bad ones.
    daemon.client("ann").get("/v1/whoami")
    nobody.get("/v1/whoami", 401)
    lines = wait_until(lambda: [li for li in daemon.log().split("\n") if 'msg="login failed"' in li])
    assert "address=127.0.0.1" in lines[0] and "WWWW" not in daemon.log()


def as_account(daemon, uid, headers=""):
    """A request over the unix socket by another account: (status, body)."""
    text = f"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
    done = subprocess.run([sys.executable, "-c", AS_ACCOUNT, str(uid), str(daemon.socket), text], check=True,
                          capture_output=True, timeout=60)
    head, body = done.stdout.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), json.loads(body)


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="other accounts are root's to play")


@needs_root
def test_unix_peer_is_the_user_of_the_accounts_name(fresh_open):
    daemon = fresh_open()
    games = pwd.getpwnam("games")
    daemon.start()
    daemon.socket.chmod(0o666)
    status, body = as_account(daemon, games.pw_uid)
    assert status == 401 and "games is not a user" in body["detail"]
    daemon.command("user", "add", "games", "--role", "viewer")
    assert as_account(daemon, games.pw_uid) == (200, {
        "user": "games", "role": "viewer", "signed_in_by": "account", "expires_at": None})
    status, body = as_account(daemon, 4242424)
    assert status == 401 and "4242424" in body["detail"]
    # A header that names somebody means nothing without the setting.
    assert as_account(daemon, games.pw_uid, "X-Remote-User: root-of-all\r\n")[1]["user"] == "games"


@needs_root
def test_trusted_proxy_names_the_user(fresh_open):
    daemon = fresh_open(more="trusted_proxy: {accounts: [games], user_header: X-Remote-User}\n")
    daemon.start()
    daemon.socket.chmod(0o666)
    proxy, other = pwd.getpwnam("games").pw_uid, pwd.getpwnam("nobody").pw_uid
    assert as_account(daemon, proxy, "x-remote-user: ann\r\n") == (200, {
        "user": "ann", "role": "user", "signed_in_by": "proxy", "expires_at": None})
    # The header counts before a token that came with it; without the header the token does, and the account never.
    token = f"Authorization: Bearer {daemon.tokens['eve']}\r\n"
    assert as_account(daemon, proxy, "X-Remote-User: ann\r\n" + token)[1]["user"] == "ann"
    assert as_account(daemon, proxy, token)[1]["user"] == "eve"
    assert as_account(daemon, proxy, "X-Remote-User: \r\n" + token)[1]["user"] == "eve"
    for headers, part in [("", "names no user"), ("X-Remote-User: zoe\r\n", "zoe is not a user"),
                          ("X-Remote-User: Ann\r\n", "not a user"),
                          ("X-Remote-User: ann\r\nX-Remote-User: root-of-all\r\n", "more than once")]:
        status, body = as_account(daemon, proxy, headers)
        assert status == 401 and part in body["detail"], headers
    assert as_account(daemon, other, "X-Remote-User: ann\r\n")[0] == 401
    connection = UnixConnection(daemon.socket)  # root is not the proxy
    connection.request("GET", "/v1/whoami", headers={"X-Remote-User": "eve"})
    assert json.loads(connection.getresponse().read())["role"] == "admin"
    connection.close()
    # Nor is anything believed over TCP.
    daemon.client().get("/v1/whoami", 401, headers={"X-Remote-User": "root-of-all"})
    assert daemon.client("eve").get("/v1/whoami", headers={"X-Remote-User": "root-of-all"}).json()["user"] == "eve"


@pytest.mark.parametrize("more, listen, part", [
    ("trusted_proxy: {accounts: [root], user_header: X-User}\n", None, "unix socket"),
    ("trusted_proxy: {accounts: [], user_header: X-User}\n", True, "accounts"),
    ("trusted_proxy: {accounts: [root]}\n", True, "user_header"),
    ("trusted_proxy: {accounts: [root], user_header: Authorization}\n", True, "user_header"),
    ("trusted_proxy: {accounts: [root], user_header: 'X User'}\n", True, "user_header"),
    ("trusted_proxy: {accounts: [root], user_header: X-User, role: admin}\n", True, "role"),
    ("trusted_proxy: {accounts: [no-such-account-here], user_header: X-User}\n", True, "no-such-account-here"),
])
def test_trusted_proxy_wrong_refused_at_start(fresh, more, listen, part):
    daemon = fresh()
    daemon.settings.write_text(more + daemon.settings.read_text())
    if listen is None:
        daemon.settings.write_text(daemon.settings.read_text().replace(f"  - unix:{daemon.socket}\n", ""))
    done = subprocess.run([BINARY, "--config", str(daemon.settings)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and part in done.stderr


def test_core_dumps_are_off(daemon):
    limits = dict(line.rsplit(None, 3)[:2] for line in
                  open(f"/proc/{daemon.process.pid}/limits").read().splitlines() if line.startswith("Max core"))
    assert list(limits.values()) == ["0"]
    assert int(open(f"/proc/{daemon.process.pid}/coredump_filter").read(), 16) == 0
