"""examples/nelctl for the tests, and services for it to ask that are none."""

import contextlib
import http.server
import json
import os
import subprocess
import threading

from conftest import CONFIG, ROOT

NEL = ROOT / "examples/nelctl"
NO_ID = "0123456789abcdef"


class Nel:
    """Runs the command as one user, in a folder of its own."""

    def __init__(self, daemon, folder, user="ann", **env):
        self.folder = folder
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "NEL_URL": daemon.base, "NEL_PATIENCE": "20",
                    "NEL_INTERVAL": "0.05", "TERM": "xterm", "COLUMNS": "200", **env}
        if user:
            self.env["NEL_TOKEN"] = daemon.tokens[user]

    def start(self, *words, env=None, **options):
        return subprocess.Popen([NEL, *words], env={**self.env, **(env or {})}, cwd=self.folder, text=True, **options)

    def __call__(self, *words, code=0, stdin=None, env=None):
        done = subprocess.run([NEL, *words], env={**self.env, **(env or {})}, cwd=self.folder, input=stdin, text=True,
                              capture_output=True, timeout=120)
        assert done.returncode == code, f"nel {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert self.env.get("NEL_TOKEN", "nel_") not in done.stdout + done.stderr
        self.err = done.stderr
        return done.stdout


def of_ann(daemon, tmp_path):
    """For pytest.fixture(): ann's, beside a config."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    return Nel(daemon, tmp_path)


def set_state(daemon, identity, state, reason="told so"):
    job_state = state
    daemon.execute("UPDATE jobs SET state = ?, reason = ?, waiting_on = NULL, attention = 0, collected = 1 WHERE"
                   " evaluation = ?", job_state, reason, identity)
    daemon.execute("UPDATE evaluations SET state = ?, version = version + 1 WHERE id = ?", state, identity)


@contextlib.contextmanager
def answering(reply):
    """A service that says to each request what reply(path) returns: status, headers, and text or a document. Gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, document = reply(self.path)
            body = (document if isinstance(document, str) else json.dumps(document)).encode()
            self.send_response(status)
            for name, value in {"Content-Length": len(body), **headers}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
