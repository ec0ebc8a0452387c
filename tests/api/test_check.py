"""`nel-slurmd check`: not only what the settings say, but whether the daemon's account could start with them."""

import os
import pwd
import re
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


@pytest.mark.parametrize("lines", ["", "other.example {key}\n", "@revoked * {key}\n"])
def test_check_tells_of_a_host_whose_key_is_not_known(fresh, lines):
    daemon = fresh()
    ports = re.findall(r"port: (\d+)", daemon.settings.read_text())
    file = daemon.folder / "known_hosts"
    file.write_text(lines.format(key=(daemon.folder / "key.pub").read_text()))
    done = check(daemon)
    assert done.returncode == 1
    for name, port in zip(("alpha", "beta"), ports):
        assert (f"cluster {name}: the known_hosts file {file} has no key of [127.0.0.1]:{port}; "
                f"`ssh-keyscan -p {port} 127.0.0.1` gives its lines") in done.stderr
    file.write_text("".join(f"[127.0.0.1]:{port} {(daemon.folder / 'key.pub').read_text()}" for port in ports))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert "127.0.0.1" not in file.read_text()  # hashed names are understood
    assert check(daemon).returncode == 0


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


def test_check_tells_of_every_file_that_is_there_and_of_no_use(fresh):
    """What the daemon would not start with is no "ok", and what it would is; all of it at once."""
    daemon = fresh(more="")
    folder = daemon.folder
    for name in ("crt", "pem"):
        (folder / name).write_text("no PEM\n")
    (folder / "tasks").write_text("one column\n")
    (folder / "groups").write_text("")
    os.chmod(folder / "master.key", 0o644)
    os.chmod(folder / "key", 0o644)
    os.unlink(folder / "known_hosts")
    (folder / "known_hosts").mkdir()
    (folder / "nel.db").write_text("no database\n" * 1000)
    text = daemon.settings.read_text()
    daemon.settings.write_text(f"{text}\ntls: {{cert_file: {folder}/crt, key_file: {folder}/pem}}\n"
                               f"tasks_file: {folder}/tasks\ngroups_dir: {folder}/groups\n")
    done = check(daemon)
    assert done.returncode == 1 and done.stdout == ""
    for says in ("cluster alpha: the key file", "is open to others (mode 0644): it must be 0600",
                 "cluster alpha: the known_hosts file", "known_hosts: Is a directory",
                 f"the master key {folder}/master.key may be read by others: chmod 600 it",
                 f"tls: {folder}/crt and {folder}/pem are not the certificate and the key, as PEM files, of one pair",
                 f"{folder}/tasks:1: needs four columns", f"groups_dir {folder}/groups: Not a directory",
                 f"the database {folder}/nel.db is not one of SQLite's"):
        assert says in done.stderr, f"{says}\n{done.stderr}"
    assert all(line.startswith(f"{daemon.settings}: ") for line in done.stderr.splitlines()), done.stderr
    assert check(daemon, "--syntax-only").returncode == 0


def test_check_takes_a_database_that_is_still_empty(fresh):
    daemon = fresh()
    (daemon.folder / "nel.db").write_text("")
    assert check(daemon).returncode == 0


def header(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("spoil, says", [
    (lambda folder: header(folder / "nel.db", 60, (9999).to_bytes(4, "big")), "nel.db has version 9999, and this program knows versions up to"),
    (lambda folder: os.truncate(folder / "nel.db", 20480), "nel.db cannot be used: "),
    (lambda folder: (folder / "nel.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000), "nel.db cannot be used: "),
    (lambda folder: (folder / "master.key").write_text("ab" * 32), "master.key is not the master key of "),
])
def test_check_tells_of_a_database_that_the_daemon_cannot_use(fresh, spoil, says):
    daemon = fresh()
    daemon.start()
    daemon.stop()
    assert check(daemon).returncode == 0
    spoil(daemon.folder)
    done = check(daemon)
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert check(daemon, "--syntax-only").returncode == 0


def test_check_leaves_the_database_of_a_running_daemon_alone(fresh):
    daemon = fresh()
    names = sorted(os.listdir(daemon.folder))
    assert check(daemon).returncode == 0 and sorted(os.listdir(daemon.folder)) == names
    daemon.start()
    before = {name: os.stat(daemon.folder / name).st_mtime_ns for name in os.listdir(daemon.folder) if name.startswith("nel.db")}
    done = check(daemon)
    assert (done.returncode, done.stderr) == (0, "")
    assert {name: os.stat(daemon.folder / name).st_mtime_ns for name in before} == before
    daemon.stop()


def test_check_tells_of_group_files_and_of_the_proxy_s_accounts(fresh):
    daemon = fresh(more="")
    groups = daemon.folder / "groups"
    (groups / "deployment").mkdir(parents=True)
    (groups / "deployment" / "ours.yaml").write_text("a: [1\n")
    (groups / "deployment" / "sound.yaml").write_text("a: [1]\n")
    text = daemon.settings.read_text()
    daemon.settings.write_text(f"{text}\ngroups_dir: {groups}\n"
                               f"trusted_proxy: {{accounts: [nosuchacc], user_header: X-Remote-User}}\n")
    done = check(daemon)
    assert done.returncode == 1
    assert re.search(r"groups_dir: .*deployment/ours.*not valid YAML", done.stderr), done.stderr
    assert "trusted_proxy: " in done.stderr and "nosuchacc" in done.stderr and "sound" not in done.stderr


@pytest.mark.parametrize("text, says", [("xx\n", "is not a master key: 64 hex digits are wanted"), (None, "Is a directory")])
def test_check_tells_of_a_master_key_that_is_none(fresh, text, says):
    daemon = fresh()
    os.unlink(daemon.folder / "master.key")
    if text is None:
        (daemon.folder / "master.key").mkdir(mode=0o700)
    else:
        (daemon.folder / "master.key").write_text(text)
        os.chmod(daemon.folder / "master.key", 0o600)
    done = check(daemon)
    assert done.returncode == 1 and says in done.stderr


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
