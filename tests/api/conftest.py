"""A real daemon for the black-box tests: its own settings, store and keys, on a free port and a unix socket. The cluster
"alpha" does not answer; "beta" is an sshd of the tests' own, for files."""

import os
import pwd
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests
from contract import Contract
from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("NEL_BIN", str(ROOT / "build/debug/nel-slurmd"))
STOP_TIMEOUT_S = 20  # it takes 3 s at most, and longer with sanitizers on a busy machine
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:")
CONFIG = """\
defaults:
  - execution: slurm/default
  - deployment: none
  - _self_
execution:
  hostname: alpha.example
  account: acct
  output_dir: /shared/out
  mounts:
    mount_home: false
target:
  api_endpoint:
    url: https://models.example/v1/chat/completions
    model_id: org/model
evaluation:
  tasks:
    - name: lm-evaluation-harness.ifeval
    - name: simple_evals.mmlu_pro
"""


def wait_until(condition, what="the condition", timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true in {timeout_s} s")


class Client:
    """Sends requests as one user and holds every exchange to openapi.yaml."""

    def __init__(self, base, contract, token=None):
        self.base = base
        self.contract = contract
        self.token = token
        self.session = requests.Session()

    def request(self, method, path, headers=None, **kwargs):
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        reply = self.session.request(method, self.base + path, headers=headers, timeout=60, **kwargs)
        self.contract.check(reply)
        return reply

    def get(self, path, status=200, **kwargs):
        reply = self.request("GET", path, **kwargs)
        assert reply.status_code == status, reply.text
        return reply

    def post(self, path, status=202, **kwargs):
        reply = self.request("POST", path, **kwargs)
        assert reply.status_code == status, reply.text
        return reply

    def delete(self, path, status=204, **kwargs):
        reply = self.request("DELETE", path, **kwargs)
        assert reply.status_code == status, reply.text
        return reply

    def submit(self, config=CONFIG, status=202, content_type="application/yaml", headers=None, **kwargs):
        return self.post("/v1/evaluations", status, data=config.encode() if isinstance(config, str) else config,
                         headers={"Content-Type": content_type, **(headers or {})}, **kwargs)


class UnixConnection(HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self.path))


def check_pages_of_whole(client, path, key=None):
    """Of a list that is answered whole where no limit is given: its pages are its parts, in its order. key: what of an item
    stays as it is."""
    named = (lambda items: [item[key] for item in items]) if key else (lambda items: items)
    whole = client.get(path).json()
    assert whole["next"] is None and len(whole["items"]) > 1, whole
    for limit in (1, len(whole["items"]) - 1, len(whole["items"]), 500):
        items, query = [], {"limit": limit}
        while True:
            reply = client.get(path, params=query)
            page = reply.json()
            assert 0 < len(page["items"]) <= limit
            items += page["items"]
            assert (page["next"] is None) == ("Link" not in reply.headers)
            if page["next"] is None:
                break
            assert f"cursor={page['next']}>; rel=\"next\"" in reply.headers["Link"]
            query["cursor"] = page["next"]
        assert named(items) == named(whole["items"])
    for wrong in ({"limit": 0}, {"limit": 501}, {"limit": "x"}, {"cursor": "x"}):
        client.get(path, 400, params=wrong)


class Daemon:
    def __init__(self, folder, beta_port=None, limits="", listen=None, more=""):
        self.folder = folder
        self.settings = folder / "settings.yaml"
        self.database = folder / "nel.db"
        self.socket = folder / "api.sock"
        self.errors = folder / "stderr"
        self.tokens = {}
        self.process = None
        self.contract = Contract()
        key = folder / "key"
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        known_hosts = folder / "known_hosts"
        if not known_hosts.exists():  # where no sshd wrote one: nobody answers there
            known_hosts.write_text("[127.0.0.1]:* " + (folder / "key.pub").read_text())
        for name in ("requests_per_second", "failed_logins_per_minute"):
            if name not in limits:
                limits += f", {name}: 100000"
        listen = listen or (f"127.0.0.1:{free_port()}",)  # the same after a restart
        listens = "".join(f"  - {address}\n" for address in (f"unix:{self.socket}", *listen))
        self.settings.write_text(f"""\
listen:
{listens}database: {self.database}
master_key_file: {folder}/master.key
log_level: debug
limits: {{active_jobs_per_user: 100000, submitted_jobs_per_user: 100000{limits}}}
{more}clusters:
  - name: alpha
    hostname: alpha.example
    address: 127.0.0.1
    port: {free_port()}
    known_hosts_file: {known_hosts}
    identity: {{username: svc, key_file: {key}}}
  - name: beta
    hostname: beta.example
    address: 127.0.0.1
    port: {beta_port or free_port()}
    known_hosts_file: {known_hosts}
    identity: {{username: {pwd.getpwuid(os.getuid()).pw_name}, key_file: {key}}}
    accounting: none
    connect_timeout_s: 120
""")

    def command(self, *words):
        return subprocess.run([BINARY, *words, "--config", str(self.settings)], check=True, capture_output=True,
                              text=True).stdout

    def prepare(self):
        self.command("keygen")
        self.command("migrate")
        for name, role in (("root-of-all", "admin"), ("ann", "user"), ("bob", "user"), ("eve", "viewer")):
            self.tokens[name] = self.command("user", "add", name, "--role", role).strip().split()[-1]

    def start(self, *before):
        """before: words of a command that ends by executing another one."""
        begin = self.errors.stat().st_size if self.errors.exists() else 0
        with open(self.errors, "ab") as errors:
            self.process = subprocess.Popen([*before, BINARY, "--config", str(self.settings)], stdin=subprocess.DEVNULL,
                                            stdout=errors, stderr=errors)
        wait_until(lambda: self.process.poll() is not None or "msg=ready" in self.log()[begin:], "the start")
        assert self.process.poll() is None, self.log()[begin:]
        ports = re.findall(r"msg=listening address=\S+ port=(\d+)", self.log()[begin:])
        self.ports = [int(port) for port in ports]
        self.base = f"http://127.0.0.1:{ports[0]}"

    def log(self):
        return self.errors.read_text(errors="replace")

    def client(self, name=None):
        return Client(self.base, self.contract, self.tokens.get(name))

    def port(self):
        return self.ports[0]

    def stop(self):
        """Ends the process and says how long that took; it must end well."""
        begin = time.monotonic()
        self.process.terminate()
        try:
            status = self.process.wait(STOP_TIMEOUT_S * 3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the daemon did not stop") from None
        took_s = time.monotonic() - begin
        self.process = None
        log = self.log()
        for report in SANITIZER_REPORTS:
            assert report not in log, log[log.index(report) - 200:][:6000]
        assert status == 0, log[-4000:]
        return took_s

    def execute(self, sql, *values):
        """A statement on the store, beside the daemon."""
        store = sqlite3.connect(self.database, timeout=20)
        try:
            with store:
                return store.execute(sql, values).fetchall()
        finally:
            store.close()


class Sshd:
    """An sshd on a free port that lets this account in with the daemon's key. lines: more of its config."""

    def __init__(self, folder, lines=""):
        self.folder = folder
        self.port = free_port()
        for name in ("key", "host"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "authorized").write_text((folder / "key.pub").read_text())
        host = " ".join((folder / "host.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[127.0.0.1]:* {host}\n[beta.example]:{self.port} {host}\n")
        config = folder / "sshd_config"
        config.write_text(f"""\
Port {self.port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
UsePAM no
SetEnv HOME={folder}
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
{lines}
""")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        # OpenSSH 9.8 and later shut out an address for a while after a login that failed; those before do not know this.
        if subprocess.run(["/usr/sbin/sshd", "-t", "-f", str(config), "-o", "PerSourcePenalties=no"],
                          stderr=subprocess.DEVNULL).returncode == 0:
            with config.open("a") as file:
                file.write("PerSourcePenalties no\n")
        self.process = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", str(config), "-E",
                                         str(folder / "sshd.log")])
        wait_until(self.answers, what="sshd")

    def answers(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    server = Sshd(tmp_path_factory.mktemp("daemon"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def daemon(sshd):
    running = Daemon(sshd.folder, sshd.port)
    running.prepare()
    running.start()
    yield running
    if running.process is not None:
        assert running.stop() < STOP_TIMEOUT_S


def prepared_in(folder):
    daemons = []

    def make(**kwargs):
        one = Daemon(folder, **kwargs)
        one.prepare()
        daemons.append(one)
        return one

    yield make
    for one in daemons:
        if one.process is not None:
            one.stop()


@pytest.fixture
def fresh(tmp_path):
    """A daemon of the test's own, prepared but not started."""
    yield from prepared_in(tmp_path)


@pytest.fixture
def fresh_open():
    """The same where other accounts may enter: not below pytest's own directory, which each run that begins beside closes."""
    folder = Path(tempfile.mkdtemp(prefix="nel-open-", dir="/tmp"))
    folder.chmod(0o755)
    yield from prepared_in(folder)
    shutil.rmtree(folder)


@pytest.fixture
def admin(daemon):
    return daemon.client("root-of-all")


@pytest.fixture
def ann(daemon):
    return daemon.client("ann")


@pytest.fixture
def bob(daemon):
    return daemon.client("bob")


@pytest.fixture
def eve(daemon):
    return daemon.client("eve")


@pytest.fixture
def nobody(daemon):
    return daemon.client()
