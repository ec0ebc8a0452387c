"""HTTP itself: credentials, methods, request ids, odd and slow clients, both kinds of socket, starting and stopping."""

import json
import os
import signal
import socket
import stat
import threading
import time

import pytest
from conftest import CONFIG, STOP_TIMEOUT_S, Daemon, UnixConnection, wait_until

ALL_PATHS = ["/v1/evaluations", "/v1/evaluations/0123456789abcdef", "/v1/evaluations/0123456789abcdef/config", "/v1/jobs",
             "/v1/jobs/0123456789abcdef.0", "/v1/jobs/0123456789abcdef.0/script", "/v1/jobs/0123456789abcdef.0/logs",
             "/v1/jobs/0123456789abcdef.0/logs/a", "/v1/jobs/0123456789abcdef.0/artifacts",
             "/v1/jobs/0123456789abcdef.0/artifacts/a/b", "/v1/jobs/0123456789abcdef.0/results", "/v1/results",
             "/v1/clusters", "/v1/clusters/alpha", "/v1/tasks", "/v1/whoami"]


def raw(daemon, text, timeout_s=60):
    """Sends bytes as they are, and returns what comes until the other side closes or is silent."""
    with socket.create_connection(("127.0.0.1", daemon.port()), timeout_s) as s:
        answer = b""
        try:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                answer += chunk
        except OSError:
            pass  # closed by the other side, or silent
        return answer


@pytest.mark.parametrize("path", ALL_PATHS)
def test_credentials_missing_or_wrong_401(nobody, daemon, path):
    assert nobody.get(path, 401).headers["WWW-Authenticate"] == 'Bearer realm="nel-slurmd"'
    token = daemon.tokens["ann"]
    for value in (f"Bearer {token}x", f"Bearer {token[:-1]}", "Bearer", "Bearer ", "Basic YTpi", token, f"Bearer {'x' * 5000}",
                  f"Bearer {token} {token}", "Bearer nel_" + "A" * 43, f"Bearer ' OR 1=1 --"):
        reply = nobody.get(path, 401, headers={"Authorization": value})
        assert token not in reply.text


def test_credentials_scheme_any_case_accepted(nobody, daemon):
    nobody.get("/v1/whoami", headers={"Authorization": f"bEARER {daemon.tokens['ann']}"})


@pytest.mark.parametrize("method, path, allow", [
    ("DELETE", "/v1/evaluations", {"GET", "HEAD", "POST"}), ("PUT", "/v1/evaluations/0123456789abcdef", {"GET", "HEAD"}),
    ("GET", "/v1/evaluations/0123456789abcdef/cancel", {"POST"}), ("POST", "/healthz", {"GET", "HEAD"}),
    ("PATCH", "/v1/jobs", {"GET", "HEAD"}), ("OPTIONS", "/v1/tasks", {"GET", "HEAD"}),
    ("BREW", "/v1/whoami", {"GET", "HEAD"}),
])
def test_method_wrong_405_with_allow(ann, method, path, allow):
    reply = ann.request(method, path)
    assert reply.status_code == 405
    assert {m.strip() for m in reply.headers["Allow"].split(",")} == allow


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v2/evaluations", "/v1/evaluations/", "/v1/evaluations//config",
                                  "/v1/Evaluations", "/v1/Users", "/metric", "/favicon.ico",
                                  "/v1/jobs/0123456789abcdef.0/logs/"])
def test_path_unknown_404(ann, path):
    ann.get(path, 404)


def test_path_with_two_slashes_first_404(daemon):
    """By hand: newer clients make one of them."""
    token = daemon.tokens["ann"].encode()
    answer = raw(daemon, b"GET //v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + token + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ") and b"application/problem+json" in answer


def test_request_id_taken_when_sane_made_when_not(ann):
    assert ann.get("/healthz", headers={"X-Request-Id": "abc-1.2_Z"}).headers["X-Request-Id"] == "abc-1.2_Z"
    seen = set()
    for value in (None, "", "x" * 65, "a b", "a;b", "<script>", "a\tb", "caf\u00e9".encode("latin-1")):
        reply = ann.get("/healthz", headers={"X-Request-Id": value} if value is not None else {})
        assert reply.headers["X-Request-Id"] != value
        seen.add(reply.headers["X-Request-Id"])
    assert len(seen) == 8


def test_request_id_is_in_problem_and_log(ann, daemon):
    reply = ann.get("/v1/evaluations/nothing", 404, headers={"X-Request-Id": "find-me-42"})
    assert reply.json()["request_id"] == "find-me-42"
    line = wait_until(lambda: [li for li in daemon.log().split("\n") if "request=find-me-42" in li])[0]
    for field in ("user=ann", "method=GET", "path=/v1/evaluations/nothing", "status=404", "ms=", "level=info"):
        assert field in line


def test_log_levels_and_no_query_values(ann, daemon):
    ann.get("/v1/tasks?search=hidden-value-77", headers={"X-Request-Id": "read-1"})
    ann.submit(params={"override": "++execution.sbatch_comment=hidden-value-78"}, headers={"X-Request-Id": "write-1"})
    wait_until(lambda: "request=write-1" in daemon.log())
    log = daemon.log()
    assert "hidden-value" not in log
    assert "level=debug" in next(li for li in log.split("\n") if "request=read-1" in li)
    assert "level=info" in next(li for li in log.split("\n") if "request=write-1" in li)


@pytest.mark.parametrize("target", ["/v1/jobs/%zz", "/v1/jobs/%", "/v1/jobs/%0d%0aX-Injected:1", "/v1/clusters/%00",
                                    "/v1/tasks?search=%zz", "/v1/tasks?search=%0d%0aX-Injected:%201", "/v1/tasks?search=%ff"])
def test_escapes_wrong_400_and_nothing_injected(daemon, target):
    answer = raw(daemon, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                         f"Authorization: Bearer {daemon.tokens['ann']}\r\n\r\n".encode())
    head = answer.split(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 400 ") and b"X-Request-Id: " in head and b"\r\nX-Injected" not in head


@pytest.mark.parametrize("value", ["a\r\n X: 1", "a\rX-Injected: 1", "a\nX-Injected: 1", "a\x01b"])
def test_header_injection_not_echoed(daemon, value):
    answer = raw(daemon, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: "
                 + value.encode() + b"\r\n\r\n")
    assert b"X-Injected" not in answer.split(b"\r\n\r\n")[0]


@pytest.mark.parametrize("text", [b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
                                  b"GET " + b"/" * 100000 + b" HTTP/1.1\r\n\r\n",
                                  b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                                  b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                                  b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
                                  b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                  b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"])
def test_garbage_does_no_harm(daemon, nobody, text):
    raw(daemon, text, 1)
    nobody.get("/healthz")


def test_expect_continue_refused_before_the_body(daemon):
    with socket.create_connection(("127.0.0.1", daemon.port()), 60) as s:
        s.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Type: application/yaml\r\n"
                  b"Content-Length: 2000000\r\nExpect: 100-continue\r\nAuthorization: Bearer "
                  + daemon.tokens["ann"].encode() + b"\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_expect_continue_goes_on_when_welcome(daemon):
    body = CONFIG.encode()
    with socket.create_connection(("127.0.0.1", daemon.port()), 60) as s:
        s.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Type: application/yaml\r\nConnection: close\r\n"
                  b"Content-Length: %d\r\nExpect: 100-continue\r\nAuthorization: Bearer " % len(body)
                  + daemon.tokens["ann"].encode() + b"\r\n\r\n")
        assert s.recv(65536).startswith(b"HTTP/1.1 100 ")
        s.sendall(body)
        assert b"HTTP/1.1 202 " in s.recv(65536)


def test_body_without_credentials_read_to_its_end(nobody):
    nobody.submit(b"# " + b"x" * 900000, 401)
    nobody.submit(b"# " + b"x" * 3000000, 401)


def test_slow_body_does_not_hold_others(daemon, ann):
    slow = []
    body = CONFIG.encode()
    for _ in range(60):
        s = socket.create_connection(("127.0.0.1", daemon.port()), 60)
        s.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Type: application/yaml\r\nContent-Length: %d\r\n"
                  b"Authorization: Bearer " % len(body) + daemon.tokens["ann"].encode() + b"\r\n\r\n" + body[:7])
        slow.append(s)
    begin = time.monotonic()
    for _ in range(20):
        ann.get("/v1/evaluations?limit=1")
    assert time.monotonic() - begin < 15
    slow[0].sendall(body[7:])
    assert slow[0].recv(65536).startswith(b"HTTP/1.1 202 ")
    for s in slow:
        s.close()


def test_keepalive_many_requests_one_connection(daemon):
    text = (f"GET /v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {daemon.tokens['ann']}\r\n\r\n" * 50
            + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = raw(daemon, text.encode())
    assert answer.count(b"HTTP/1.1 200 OK") == 51


@pytest.mark.parametrize("more, mode", [("", 0o660), ("socket_mode: '0666'\n", 0o666), ("socket_mode: '0600'\n", 0o600)])
def test_unix_socket_has_the_mode_of_the_settings(tmp_path, more, mode):
    daemon = Daemon(tmp_path, more=more)
    daemon.prepare()
    daemon.start()
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == mode
    daemon.stop()


def test_unix_socket_peer_is_the_credential(daemon):
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660
    connection = UnixConnection(daemon.socket)
    connection.request("GET", "/v1/whoami")
    reply = connection.getresponse()
    assert reply.status == 200 and json.loads(reply.read())["role"] == "admin"
    connection.request("GET", "/v1/whoami", headers={"Authorization": f"Bearer {daemon.tokens['eve']}"})
    assert json.loads(connection.getresponse().read()) == {
        "user": "eve", "role": "viewer", "signed_in_by": "token", "expires_at": None}
    connection.request("GET", "/v1/whoami", headers={"Authorization": "Bearer nonsense"})
    reply = connection.getresponse()
    assert reply.status == 401
    reply.read()
    connection.request("POST", "/v1/evaluations", CONFIG, {"Content-Type": "application/yaml"})
    assert connection.getresponse().status == 202
    connection.close()


def test_start_stale_socket_replaced_live_one_refused(fresh):
    daemon = fresh(listen=("127.0.0.1:0", "'[::1]:0'"))
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(daemon.socket))
    daemon.start()
    assert len(daemon.ports) == 2
    with socket.create_connection(("::1", daemon.ports[1]), 5) as s:
        s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b"200 OK" in s.recv(1000)
    daemon.stop()
    assert not daemon.socket.exists()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        other.listen()
        with pytest.raises(AssertionError, match="another process listens there"):
            daemon.start()
    daemon.process = None


def test_stop_ends_idle_slow_and_waiting_requests(fresh):
    """A request that waits for a cluster that says nothing, a slow body and an idle connection do not hold the stop."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    daemon = fresh(beta_port=silent.getsockname()[1])
    daemon.start()
    client = daemon.client("ann")
    job = client.submit().json()["id"] + ".0"
    daemon.execute("UPDATE jobs SET cluster = 'beta', identity = (SELECT ? ) WHERE id = ?",
                   daemon.settings.read_text().rsplit("username: ", 1)[1].split(",")[0], job)
    statuses = []
    waiting = threading.Thread(target=lambda: statuses.append(client.request("GET", f"/v1/jobs/{job}/logs").status_code))
    waiting.start()
    silent.settimeout(20)
    peer, _ = silent.accept()
    idle = socket.create_connection(("127.0.0.1", daemon.port()), 60)
    slow = socket.create_connection(("127.0.0.1", daemon.port()), 60)
    slow.sendall(b"POST /v1/evaluations HTTP/1.1\r\nHost: x\r\nContent-Le")
    assert daemon.stop() < STOP_TIMEOUT_S
    waiting.join()
    assert statuses and statuses[0] in (502, 503)
    for s in (peer, idle, slow, silent):
        s.close()


def test_stop_answers_every_request_that_came_before(fresh):
    """The daemon stands still while requests arrive and SIGTERM comes: none of them is cut off."""
    daemon = fresh()
    daemon.start()
    job = daemon.client("ann").submit().json()["id"] + ".0"
    head = f"Host: x\r\nAuthorization: Bearer {daemon.tokens['ann']}\r\n\r\n"
    for _ in range(3):
        pid = daemon.process.pid
        os.kill(pid, signal.SIGSTOP)
        # No more than a slow machine answers in the 2 s that a stop gives them.
        callers = [socket.create_connection(("127.0.0.1", daemon.port()), 60) for _ in range(30)]
        for index, caller in enumerate(callers):
            path = "/v1/whoami" if index % 2 else f"/v1/jobs/{job}/logs"
            caller.sendall(f"GET {path} HTTP/1.1\r\n{head}".encode())
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
        replies = [caller.recv(100) for caller in callers]
        assert all(reply.startswith(b"HTTP/1.1 ") for reply in replies), replies
        for caller in callers:
            caller.close()
        daemon.process.wait(STOP_TIMEOUT_S * 3)
        daemon.start()


def test_restart_keeps_what_was_accepted(fresh):
    daemon = fresh()
    daemon.start()
    identity = daemon.client("ann").submit(headers={"Idempotency-Key": "k"}).json()["id"]
    daemon.stop()
    daemon.start()
    client = daemon.client("ann")
    assert client.get(f"/v1/evaluations/{identity}").json()["counts"]["total"] == 2
    assert client.submit(headers={"Idempotency-Key": "k"}).json()["id"] == identity
