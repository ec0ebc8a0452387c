"""A container prints the secrets that it was given: nothing of that is in what the daemon keeps and shows."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from configs import config, task
from daemon import Daemon, cluster_settings
from testbed import wait_for

TOKEN = "hf_Kq7x/Zp+2mW9 vB4n?t"
PRINT = """
seq -f 'line %06g of the job' 4000
printf 'plain %s\\n' "$TOKEN"
printf 'base64 %s\\n' "$(printf 'user:%s' "$TOKEN" | base64 -w 0)"
printf 'url %s\\n' "$(printf %s "$TOKEN" | od -An -v -tx1 | tr -d '\\n' | tr ' ' %)"
echo "error: no access with $TOKEN"
exit 3
"""
ENCODED = base64.b64encode(b"user:" + TOKEN.encode()).decode()
FORMS = (TOKEN, "".join(f"%{byte:02x}" for byte in TOKEN.encode()), ENCODED[8:-4])


def forms_in(data):
    data = data if isinstance(data, bytes) else data.encode()
    return [form for form in FORMS if form.encode() in data]


@pytest.fixture(scope="module")
def daemon(bed, tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), [cluster_settings(bed)],
                    webhooks={"allow_private": True, "allow_http": True})
    daemon.start()
    yield daemon
    daemon.end()


@pytest.fixture(scope="module")
def hooked(daemon):
    """What a webhook of everything is sent."""
    bodies = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    daemon.admin.post("/v1/webhooks", 201, json={"url": f"http://127.0.0.1:{server.server_port}/", "scope": "all"})
    yield bodies
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def failed(bed, daemon, model_server, hooked):
    body = config(bed, model_server, task(limit=4, env_vars={"TOKEN": "host:TOKEN"}, pre_cmd=PRINT))
    client = daemon.admin
    evaluation = client.submit(body, {**model_server.env, "TOKEN": TOKEN})["id"]
    client.wait_end(evaluation, "failed")
    return client, client.job(f"{evaluation}.0")


def test_reason_and_failure_are_masked(failed):
    _, job = failed
    assert job["state"] == "failed" and job["reason"].endswith("error: no access with ****"), job["reason"]
    assert "plain ****" in job["failure"]["lines"] and not forms_in(str(job))


def test_events_are_masked(failed):
    client, job = failed
    text = client.call("GET", f"/v1/events?job={job['id']}&after=0").text
    assert "no access with ****" in text and not forms_in(text)


def test_webhooks_are_masked(failed, hooked):
    wait_for("the event of the end", lambda: any(b"no access with ****" in body for body in hooked))
    assert not forms_in(b"".join(hooked))


def test_what_the_daemon_keeps_is_masked(failed, daemon):
    _, job = failed
    assert "no access with ****" in daemon.log()
    kept = [path for path in daemon.directory.iterdir() if path.is_file() and forms_in(path.read_bytes())]
    assert not kept, kept


def test_logs_on_the_cluster_are_the_jobs_own_and_kept_ones_are_masked(failed):
    client, job = failed
    path = f"/v1/jobs/{job['id']}/logs/client-{job['slurm_job_id']}.log"
    whole = client.call("GET", path).content
    assert len(forms_in(whole)) == len(FORMS)
    directory = Path(job["rundir"]).parent
    away = directory.with_name("away")
    directory.rename(away)
    try:
        kept = client.session.get(client.base + path, timeout=60)
    finally:
        away.rename(directory)
    assert not forms_in(kept.content)
    assert len(kept.content) == len(whole) - int(kept.headers["Nel-Kept-From"])  # offsets are as of the file
    assert b"plain " + b"*" * len(TOKEN) + b"\n" in kept.content and kept.content.startswith(b"line 000001 of the job\n")
