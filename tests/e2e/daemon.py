"""Starts the real daemon with settings, database, key, ports and log of its own, and ends it."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import yaml

from client import Client
from ports import free_port
from testbed import ROOT, wait_for

BINARY = Path(os.environ.get("NEL_BIN", ROOT / "build/debug/nel-slurmd"))
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer")
STOP_LIMIT_S = 60  # until a daemon that does not stop is killed


def cluster_settings(bed, name="alpha", at="alpha", **changes):
    """The entry `clusters[]` of the settings for the test cluster `at`, under a name and a hostname of its own."""
    entry = {
        "name": name,
        "hostname": f"login.{name}.example",
        "address": "127.0.0.1",
        "port": bed.port(at),
        "known_hosts_file": bed.env["NEL_KNOWN_HOSTS"],
        "identity": {"username": bed.env["NEL_USER"], "key_file": bed.env["NEL_SSH_KEY"]},
        "poll_interval_s": 2,
    }
    return {**entry, **changes}


class Daemon:
    """One nel-slurmd: `start`, `stop` and `kill` may follow each other as often as a test likes."""

    def __init__(self, directory, clusters, **settings):
        self.directory = Path(directory)
        self.settings_file = self.directory / "nel-slurmd.yaml"
        self.database = self.directory / "nel.db"
        self.log_file = self.directory / "daemon.log"
        self.process = None
        self.port = free_port()
        self.settings = {
            "listen": [f"127.0.0.1:{self.port}"],
            "database": str(self.database),
            "master_key_file": str(self.directory / "master.key"),
            "log_level": "debug",
            "limits": {"requests_per_second": 100000},
            "clusters": clusters,
            **settings,
        }
        self.settings_file.write_text(yaml.safe_dump(self.settings))
        self.command("keygen")
        self.command("migrate")
        self.tokens = {role: self.command("user", "add", f"e2e-{role}", "--role", role).strip()
                       for role in ("admin", "user")}
        self.client = Client(f"http://127.0.0.1:{self.port}", self.tokens["user"])
        self.admin = Client(f"http://127.0.0.1:{self.port}", self.tokens["admin"])

    def arguments(self, *words):
        return [str(BINARY), *words, "--config", str(self.settings_file)]

    def command(self, *words):
        done = subprocess.run(self.arguments(*words), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"nel-slurmd {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        assert self.process is None
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("the daemon is ready", self._is_ready, 60, 0.05)
        return self

    def _is_ready(self):
        assert self.process.poll() is None, f"the daemon ended: {self.log()[-2000:]}"
        return self.client.is_ready()

    def stop(self):
        """SIGTERM, and it must end well; returns how many seconds that took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the daemon did not stop within {STOP_LIMIT_S} s of SIGTERM") from None
        self.process = None
        took_s = time.monotonic() - begin
        assert status == 0, f"the daemon ended with {status}: {self.log()[-2000:]}"
        return took_s

    def kill(self):
        """SIGKILL, at whatever it is doing."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def end(self):
        """What a fixture does last: a daemon that still runs stops well, and no sanitizer has complained."""
        try:
            if self.process is not None:
                self.stop()
        finally:
            report = SANITIZER_REPORT.search(self.log())
            assert report is None, self.log()[report.start() - 200:][:6000]

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
