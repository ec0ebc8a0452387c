"""`nel-slurmd check`: not only what the settings say, but whether the daemon's account could start with them."""

import os
import pwd
import shutil
import subprocess

import pytest
from conftest import BINARY


def check(daemon, *words):
    return subprocess.run([BINARY, "check", *words, "--config", str(daemon.settings)], capture_output=True, text=True, timeout=60)


def test_check_of_settings_that_the_daemon_can_start_with(fresh):
    done = check(fresh())
    assert (done.returncode, done.stderr) == (0, "") and "ok, 2 clusters" in done.stdout


@pytest.mark.parametrize("name, says", [
    ("key", "cluster alpha: the SSH key"), ("known_hosts", "cluster alpha: the known_hosts file"),
    ("master.key", "the master key"), ("nel.db", "the database"),
])
def test_check_tells_of_each_file_that_is_not_there(fresh, name, says):
    daemon = fresh()
    os.unlink(daemon.folder / name)
    done = check(daemon)
    assert done.returncode == 1 and says in done.stderr and "No such file or directory" in done.stderr
    assert check(daemon, "--syntax-only").returncode == 0


@pytest.mark.parametrize("command", ["check", "keygen", "migrate"])
def test_words_that_a_command_does_not_take_are_refused(fresh, command):
    """check other.yaml says nothing of other.yaml."""
    daemon = fresh()
    done = subprocess.run([BINARY, command, "other.yaml", "--config", str(daemon.settings)], capture_output=True, text=True)
    assert done.returncode == 2 and "--config FILE names the settings" in done.stderr and done.stdout == ""


def test_check_tells_of_the_files_of_tls(fresh):
    daemon = fresh(more="tls: {cert_file: /no/such/crt, key_file: /no/such/key}\n")
    done = check(daemon)
    assert done.returncode == 1
    for says in ("the TLS certificate /no/such/crt: No such file", "the TLS key /no/such/key: No such file"):
        assert says in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another account")
def test_check_looks_as_the_daemon_s_account(fresh):
    daemon = fresh()
    for folder in [daemon.folder, *daemon.folder.parents][:-2]:
        os.chmod(folder, 0o755)
    done = check(daemon, "--user", "nobody")
    assert done.returncode == 1
    for says in ("cluster alpha: the SSH key", "the master key", "the directory of the database"):
        assert any(says in line and "Permission denied for the account nobody; chown or chmod" in line
                   for line in done.stderr.splitlines()), says
    assert "makes one" not in done.stderr and "makes it" not in done.stderr  # what is there is not to be made anew
    nobody = pwd.getpwnam("nobody")
    for path in [daemon.folder, *daemon.folder.iterdir()]:
        shutil.chown(path, nobody.pw_uid, nobody.pw_gid)
    done = check(daemon, "--user", "nobody")
    assert (done.returncode, done.stderr) == (0, "")
    assert check(daemon, "--user", "no-such-account").returncode == 1
