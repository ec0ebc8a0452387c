"""The daemon under systemd: the shipped settings as the shipped unit gives them, and what the journal shows."""

import os
import re
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import BINARY, ROOT, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account, and mount")
ACCOUNT = "nobody"


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
    (tmp_path / "etc/known_hosts").touch()
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


def test_shipped_settings_start_as_the_shipped_unit_starts_them(site):
    env = {"CREDENTIALS_DIRECTORY": str(site / "credentials")}
    subprocess.run(as_account(site, "migrate"), check=True, env=env)
    done = subprocess.run(as_account(site, "check"), env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = site / "log"
    with log.open("w") as file:
        daemon = subprocess.Popen(as_account(site), env=env, stdout=file, stderr=file)
    try:
        wait_until(lambda: "msg=ready" in log.read_text() or daemon.poll() is not None, 60, "the start")
        assert daemon.poll() is None, log.read_text()
        assert (site / "run/api.sock").is_socket()
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(20)


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
