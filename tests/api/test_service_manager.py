"""The daemon under a service manager: the shipped settings as the shipped unit gives them, what the journal shows, the
watchdog, and sockets that are handed over."""

import ctypes
import fcntl
import os
import re
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
import requests
from conftest import BINARY, ROOT, UnixConnection, wait_until

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account, and mount")
ACCOUNT = "nobody"
PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 17, 0x4206, 0x4207
WALL = 0x40000000


@pytest.fixture
def site():
    """A directory that other accounts find their way through; pytest's own are for root alone."""
    with tempfile.TemporaryDirectory(prefix="nel-site-") as name:
        os.chmod(name, 0o755)
        yield make_site(Path(name))


def make_site(tmp_path):
    """The shipped settings and unit below a directory of the test's own; the master key is root's alone."""
    places = {"/etc/nel-slurmd": tmp_path / "etc", "/var/lib/nel-slurmd": tmp_path / "lib", "/run/nel-slurmd": tmp_path / "run"}
    for place in places.values():
        place.mkdir()
    text = (ROOT / "examples/nel-slurmd.yaml").read_text().replace("127.0.0.1:8990", "127.0.0.1:0")
    unit = (ROOT / "systemd/nel-slurmd.service").read_text()
    for name, place in places.items():
        text, unit = text.replace(name, str(place)), unit.replace(name, str(place))
    settings = tmp_path / "etc/nel-slurmd.yaml"
    settings.write_text(text)
    settings.chmod(0o644)
    (tmp_path / "etc/keys").mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "etc/keys/alpha"], check=True)
    (tmp_path / "etc/known_hosts").write_text("login.alpha.example " + (tmp_path / "etc/keys/alpha.pub").read_text())
    with_key = tmp_path / "with-key.yaml"
    with_key.write_text(f"{text}\nmaster_key_file: {tmp_path}/etc/master.key\n")
    subprocess.run([BINARY, "keygen", "--config", with_key], check=True)
    credential, source = re.search(r"^LoadCredential=(.*):(.*)$", unit, re.M).groups()
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / credential).write_bytes(open(source, "rb").read())
    for path in (tmp_path / "lib", tmp_path / "run", tmp_path / "credentials", tmp_path / "credentials" / credential,
                 tmp_path / "etc/keys/alpha"):
        subprocess.run(["chown", ACCOUNT, path], check=True)
        path.chmod(0o700 if path.is_dir() else 0o400)
    assert os.stat(source).st_uid == 0
    return tmp_path


def as_account(site, *words):
    return ["setpriv", f"--reuid={ACCOUNT}", "--regid=nogroup", "--clear-groups", BINARY, *words, "--config",
            str(site / "etc/nel-slurmd.yaml")]


@only_root
def test_shipped_settings_start_as_the_shipped_unit_starts_them(site):
    env = {"CREDENTIALS_DIRECTORY": str(site / "credentials")}
    subprocess.run(as_account(site, "migrate"), check=True, env=env)
    done = subprocess.run(as_account(site, "check"), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = site / "log"
    with log.open("w") as file:
        daemon = subprocess.Popen(as_account(site), env=env, stdout=file, stderr=file)
    try:
        wait_until(lambda: "msg=ready" in log.read_text() or daemon.poll() is not None, "the start")
        assert daemon.poll() is None, log.read_text()
        assert (site / "run/api.sock").is_socket()
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(60)


@only_root
def test_journal_shows_why_it_cannot_start(site):
    """A datagram socket stands where journald's is, in a mount namespace; stderr is what JOURNAL_STREAM names (systemd.exec(5))."""
    (site / "journal").mkdir()
    (site / "etc/master.key").unlink()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal, (site / "stderr").open("w") as stderr:
        journal.bind(str(site / "journal/socket"))
        journal.settimeout(10)
        status = os.fstat(stderr.fileno())
        script = ('mkdir -p /run/systemd/journal 2>/dev/null || { mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/journal; }; '
                  'mount --bind "$1" /run/systemd/journal; shift; exec "$@"')
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", site / "journal", BINARY, "--config",
                               site / "with-key.yaml"], stderr=stderr,
                              env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert done.returncode == 1
        entry = journal.recv(65536).decode()
    assert re.search(rf'^MESSAGE=cannot start error="cannot read the master key {site}/etc/master.key .*No such file', entry, re.M), entry
    assert "\nPRIORITY=3\n" in entry and "\nNEL_ERROR=cannot read the master key" in entry
    assert (site / "stderr").read_text() == ""


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The socket on which a service manager is told things."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


class StoppedThread:
    """One thread of a process stands still, the others go on (ptrace(2))."""

    def __init__(self, pid, name):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        self.thread = next(int(task.name) for task in tasks if (task / "comm").read_text().strip() == name)
        self.ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def call(self, request):
        assert self.ptrace(request, self.thread, None, None) == 0, os.strerror(ctypes.get_errno())

    def __enter__(self):
        self.call(PTRACE_SEIZE)
        self.call(PTRACE_INTERRUPT)
        os.waitpid(self.thread, WALL)

    def __exit__(self, *_):
        self.call(PTRACE_DETACH)


def told_within(manager, timeout_s):
    manager.settimeout(timeout_s)
    try:
        return manager.recv(4096)
    except socket.timeout:
        return None


def test_watchdog_is_fed_while_the_scheduler_goes_round_and_not_when_it_stands_still(fresh, manager, monkeypatch):
    daemon = fresh()
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    daemon.start()
    assert told_within(manager, 60) == b"READY=1"
    assert told_within(manager, 60) == b"WATCHDOG=1"
    assert told_within(manager, 60) == b"WATCHDOG=1"
    with StoppedThread(daemon.process.pid, "scheduler"):
        # Half a period after the last round the last word has been said.
        wait_until(lambda: told_within(manager, 2) is None, "silence")
        assert told_within(manager, 3) is None
        assert daemon.client().get("/healthz").status_code == 200  # the others are alive
    wait_until(lambda: told_within(manager, 60) == b"WATCHDOG=1", "the watchdog to be fed again")


def test_without_a_watchdog_nothing_is_said_but_readiness(fresh, manager):
    fresh().start()
    assert told_within(manager, 60) == b"READY=1"
    assert told_within(manager, 2) is None


def activate(daemon, *sockets):
    """Starts the daemon as systemd would with these listening sockets (sd_listen_fds(3))."""
    numbers = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 50) for one in sockets]
    for number in numbers:
        os.set_inheritable(number, True)
    moves = " ".join(f"{3 + i}<&{number} {number}<&-" for i, number in enumerate(numbers))
    script = daemon.folder / "activate"
    script.write_text(f"#!/bin/bash\nexec {moves}\nLISTEN_PID=$$ LISTEN_FDS={len(numbers)} LISTEN_FDNAMES=a exec \"$@\"\n")
    script.chmod(0o755)
    with open(daemon.errors, "ab") as errors:
        daemon.process = subprocess.Popen([script, BINARY, "--config", str(daemon.settings)], stdin=subprocess.DEVNULL,
                                          stdout=errors, stderr=errors, close_fds=False)
    for number in numbers:
        os.close(number)


def listening_at(address):
    one = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    one.bind(address)
    one.listen()
    return one


def answer_on(path):
    connection = UnixConnection(path)
    connection.request("GET", "/v1/whoami")
    return connection.getresponse()


def test_sockets_of_the_service_manager_are_used_and_left_in_place(fresh):
    """Who calls before the daemon is there is answered by it, and who calls between two of them by the second."""
    with listening_at(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        daemon = fresh(listen=(f"127.0.0.1:{port}",))
        with listening_at(str(daemon.socket)) as unix:
            inode = daemon.socket.stat().st_ino
            for _ in range(2):
                early = socket.create_connection(("127.0.0.1", port))
                early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                activate(daemon, unix, tcp)
                early.settimeout(60)
                assert early.recv(65536).startswith(b"HTTP/1.1 200 ")
                early.close()
                assert answer_on(daemon.socket).status == 200
                assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
                environment = Path(f"/proc/{daemon.process.pid}/environ").read_bytes()
                assert b"LISTEN_FDS=2" in environment  # it came that way
                daemon.stop()
                assert daemon.socket.stat().st_ino == inode
            assert daemon.log().count('opened_by="service manager"') == 4, daemon.log()


def test_addresses_that_are_not_handed_over_are_opened_by_the_daemon(fresh):
    daemon = fresh()
    with listening_at(str(daemon.socket)) as unix:
        activate(daemon, unix)
        wait_until(lambda: "msg=ready" in daemon.log() or daemon.process.poll() is not None, "the start")
        assert answer_on(daemon.socket).status == 200
        port = int(re.search(r"msg=listening address=127.0.0.1 port=(\d+)", daemon.log())[1])
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200


def refusal(daemon, *sockets):
    activate(daemon, *sockets)
    assert daemon.process.wait(60) == 1
    daemon.process = None
    return daemon.log()


def test_socket_that_the_settings_do_not_name_is_refused_with_its_address(fresh):
    daemon = fresh()
    with listening_at(("127.0.0.2", 0)) as tcp, listening_at(str(daemon.folder / "other.sock")) as unix:
        port = tcp.getsockname()[1]
        assert f"the service manager listens at 127.0.0.2:{port}, which the settings' listen does not name" in refusal(daemon, tcp)
        assert f"listens at unix:{daemon.folder}/other.sock, which" in refusal(daemon, unix)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(daemon.socket))
        assert f"listens at unix:{daemon.socket}, which" in refusal(daemon, deaf)
    daemon.socket.unlink()
    with open(daemon.settings) as file:
        assert "listens at no socket, which" in refusal(daemon, file)


def test_sockets_meant_for_another_process_are_left_alone(fresh, monkeypatch):
    daemon = fresh()
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    daemon.start()
    assert "opened_by=nel-slurmd" in daemon.log()
