"""examples/nginx.conf, in front of a real daemon: TLS, a sub-path, uploads, streams that arrive as they come, and who is who."""

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import CONFIG, ROOT, Daemon, Sshd, free_port, wait_until
from test_follow import Job, append

EXAMPLE = (ROOT / "examples/nginx.conf").read_text()
FOLLOWERS = 40


def replaced(text, *pairs):
    for old, new in pairs:
        assert old in text, f"the example no longer has {old}"
        text = text.replace(old, new)
    return text


class Nginx:
    """The example as it stands but for its places; login: with a login of its own."""

    def __init__(self, folder, socket, login=False):
        self.folder = folder
        self.port = free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=nel.example",
                        "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        site = replaced(EXAMPLE, ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"), ("    listen [::]:443 ssl;\n", ""),
                        ("/run/nel-slurmd/api.sock;", f"{socket};"), ("server_name nel.example;", "server_name localhost;"),
                        ("/etc/ssl/nel.example/fullchain.pem", f"{folder}/cert.pem"),
                        ("/etc/ssl/nel.example/key.pem", f"{folder}/key.pem"))
        if login:
            password = subprocess.run(["openssl", "passwd", "-apr1", "secret"], check=True, capture_output=True, text=True)
            (folder / "htpasswd").write_text(f"ann:{password.stdout}")
            site = replaced(site, ('        proxy_set_header X-Remote-User "";\n', ""), ('# auth_basic "nel";', 'auth_basic "nel";'),
                            ("# auth_basic_user_file /etc/nginx/nel.htpasswd;", f"auth_basic_user_file {folder}/htpasswd;"),
                            ("# proxy_set_header X-Remote-User $remote_user;", "proxy_set_header X-Remote-User $remote_user;"),
                            ('# proxy_set_header Authorization "";', 'proxy_set_header Authorization "";'))
        (folder / "site.conf").write_text(site)
        bodies = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(f"""\
user www-data;
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    {bodies}
    include {folder}/site.conf;
}}
""")
        self.process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-e", folder / "error.log", "-c",
                                         folder / "nginx.conf"], stdin=subprocess.DEVNULL)
        self.trust = ssl.create_default_context(cafile=folder / "cert.pem")
        wait_until(lambda: self.process.poll() is not None or self.status("/healthz") in (200, 401), what="nginx")
        assert self.process.poll() is None, (folder / "error.log").read_text()

    def open(self, path, body=None, **headers):
        request = urllib.request.Request(f"https://localhost:{self.port}/nel{path}", body,
                                         {name.replace("_", "-"): value for name, value in headers.items()})
        return urllib.request.urlopen(request, timeout=60, context=self.trust)

    def call(self, path, body=None, **headers):
        """(status, what came)"""
        try:
            with self.open(path, body, **headers) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status(self, path):
        try:
            return self.call(path)[0]
        except urllib.error.URLError:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def behind():
    """A daemon that believes www-data on its socket, with a cluster to read logs from."""
    folder = Path(tempfile.mkdtemp(prefix="nel-nginx-", dir="/tmp"))
    folder.chmod(0o755)  # www-data enters it
    sshd = Sshd(folder)
    running = Daemon(folder, sshd.port,
                     more="socket_mode: \"0666\"\ntrusted_proxy: {accounts: [www-data], user_header: X-Remote-User}\n")
    running.prepare()
    running.start()
    yield running
    running.stop()
    sshd.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def nginx(behind):
    (behind.folder / "nginx").mkdir()
    server = Nginx(behind.folder / "nginx", behind.socket)
    yield server
    server.stop()


def bearer(behind, name):
    return f"Bearer {behind.tokens[name]}"


def test_tokens_pass_and_no_name_of_a_client_does(behind, nginx):
    for spoof in ({}, {"X_Remote_User": "root-of-all"}, {"x_remote_user": "root-of-all"}):
        status, text = nginx.call("/v1/whoami", Authorization=bearer(behind, "eve"), **spoof)
        assert (status, json.loads(text)["user"]) == (200, "eve")
        assert nginx.call("/v1/whoami", **spoof)[0] == 401
        # nginx itself would take the name of this for $remote_user, whatever the password.
        basic = "Basic " + base64.b64encode(b"root-of-all:anything").decode()
        assert nginx.call("/v1/whoami", Authorization=basic, **spoof)[0] == 401


def test_login_of_nginx_is_the_user_and_no_name_of_a_client(behind):
    (behind.folder / "login").mkdir()
    server = Nginx(behind.folder / "login", behind.socket, login=True)
    try:
        basic = "Basic " + base64.b64encode(b"ann:secret").decode()
        status, text = server.call("/v1/whoami", Authorization=basic, X_Remote_User="root-of-all")
        assert (status, json.loads(text)) == (200, {"user": "ann", "role": "user", "signed_in_by": "proxy", "expires_at": None})
        assert server.call("/v1/whoami", X_Remote_User="ann")[0] == 401
        wrong = "Basic " + base64.b64encode(b"ann:other").decode()
        assert server.call("/v1/whoami", Authorization=wrong)[0] == 401
    finally:
        server.stop()


def test_uploads_up_to_the_daemons_limit_pass(behind, nginx):
    """And what has been made is told with the sub-path before it."""
    headers = {"Authorization": bearer(behind, "ann"), "Content_Type": "application/yaml"}
    padded = CONFIG + "# " + "x" * (1024 * 1024 - len(CONFIG) - 3) + "\n"
    assert len(padded) == 1024 * 1024
    with nginx.open("/v1/evaluations", padded.encode(), **headers) as reply:
        assert reply.status == 202 and re.fullmatch(
            rf"(https://localhost:{nginx.port})?/nel/v1/evaluations/[0-9a-f]{{16}}", reply.headers["Location"])
    status, text = nginx.call("/v1/evaluations", (padded + "#" * 1024 * 1024).encode(), **headers)
    assert status == 413 and json.loads(text)["status"] == 413  # the daemon's own words
    assert nginx.call("/v1/evaluations", b"#" * (5 * 1024 * 1024), **headers)[0] == 413


def test_large_file_comes_whole(behind, nginx, tmp_path):
    job = Job(behind, tmp_path)
    data = os.urandom(3 * 1024 * 1024)
    append(job.logs / "large.log", data)
    with nginx.open(f"/v1/jobs/{job.id}/logs/large.log", Authorization=bearer(behind, "ann")) as reply:
        assert reply.read() == data


def test_events_arrive_as_they_happen_and_a_quiet_stream_stays(behind, nginx):
    with nginx.open("/v1/events?stream", Authorization=bearer(behind, "ann"), Accept="text/event-stream") as stream:
        begin = time.monotonic()
        made = behind.client("ann").submit().json()["id"]
        for line in stream:
            if made in line.decode():
                break
        assert time.monotonic() - begin < 60  # not when a buffer is full, or the stream ends
        for line in stream:
            if line.startswith(b":"):
                break
        assert line.startswith(b":")


def test_many_followers_of_one_log(behind, nginx, tmp_path):
    job = Job(behind, tmp_path)
    append(job.logs / "client-1.log", b"first\n")
    job.attempt(1, "1")
    streams = [nginx.open(job.path("client-1.log"), Authorization=bearer(behind, "ann"), Accept="text/plain")
               for _ in range(FOLLOWERS)]
    got = [b""] * FOLLOWERS

    def follow(index):
        while b"last\n" not in got[index]:
            got[index] += streams[index].readline()

    followers = [threading.Thread(target=follow, args=(index,)) for index in range(FOLLOWERS)]
    for one in followers:
        one.start()
    wait_until(lambda: all(b"first\n" in text for text in got), "the beginning at every follower")
    append(job.logs / "client-1.log", b"second\nlast\n")
    for one in followers:
        one.join(60)
    assert set(got) == {b"first\nsecond\nlast\n"}
    for stream in streams:
        stream.close()
    job.end()


def test_timeouts_are_longer_than_silences():
    """Those of the daemon: a heartbeat of its streams, and the longest poll of openapi.yaml."""
    heartbeat_ms = int(re.search(r"SSE_HEARTBEAT_MS (\d+)", (ROOT / "api/http/sse.h").read_text())[1])
    poll_s = int(re.search(r"name: wait\b.*?maximum: (\d+)", (ROOT / "openapi.yaml").read_text(), re.S)[1])
    for name in ("proxy_read_timeout", "proxy_send_timeout"):
        assert int(re.search(rf"^ *{name} (\d+)s;", EXAMPLE, re.M)[1]) > max(2 * heartbeat_ms / 1000, poll_s)
