"""Certificates, against an sshd that trusts their authority and has no authorized key: of people, in files, and handed out by a
command; what is refused, in which words; when they end, and how that is told."""

import os
import pwd
import re
import signal
import stat
import subprocess

import pytest
from conftest import BINARY, CONFIG, STOP_TIMEOUT_S, Daemon, Sshd, wait_until

ACCOUNT = pwd.getpwuid(os.getuid()).pw_name
FAR = "-V+52w"


class Authority:
    """Keys, and certificates of them, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.key("ca")

    def key(self, name, kind="ecdsa", passphrase=""):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", self.folder / name], check=True)
        return (self.folder / name).read_text()

    def sign(self, public, *options, principal=ACCOUNT):
        """public: a name here, or a line."""
        path = self.folder / "signed.pub"
        path.write_text(public if " " in public else (self.folder / f"{public}.pub").read_text())
        subprocess.run(["ssh-keygen", "-q", "-s", self.folder / "ca", "-I", "somebody", "-n", principal, *options, path],
                       check=True)
        return (self.folder / "signed-cert.pub").read_text()


class Program:
    """What credential_command runs."""

    def __init__(self, path, authority):
        self.path, self.authority, self.calls_file = path, authority, path.with_suffix(".calls")
        authority.key(f"{path.name}-key")
        self.hand_out("-V", "+1h")

    def does(self, body):
        """In one step: it may be running."""
        new = self.path.with_suffix(".new")
        new.write_text(f"#!/bin/bash\ncd {self.authority.folder} || exit\necho call >>{self.calls_file}\n{body}\n")
        new.chmod(0o755)
        new.rename(self.path)

    def hand_out(self, *options):
        key = f"{self.path.name}-key"
        self.does(f"ssh-keygen -q -s ca -I x -n {ACCOUNT} {' '.join(options)} {key}.pub && cat {key} {key}-cert.pub")

    def calls(self):
        return len(self.calls_file.read_text().splitlines()) if self.calls_file.exists() else 0


class CertificateDaemon(Daemon):
    """On `own` each person has a key; for `file` the certificate is in a file; `command` and `slow` have it handed out."""

    def __init__(self, folder, port):
        super().__init__(folder, port)
        self.sshd = None
        self.authority = Authority(folder)
        self.authority.key("file-key")
        (folder / "file-cert.pub").write_text(self.authority.sign("file-key", FAR))
        self.program = Program(folder / "hand-out", self.authority)
        common = f"address: 127.0.0.1, port: {port}, known_hosts_file: {folder}/known_hosts, accounting: none, poll_interval_s: 1"
        with self.settings.open("a") as file:
            file.write(f"""\
  - {{name: own, hostname: own.example, {common}, identity: per_user}}
  - {{name: file, hostname: file.example, {common}, identity: {{username: {ACCOUNT}, key_file: {folder}/file-key,
      certificate_file: {folder}/file-cert.pub}}}}
  - {{name: command, hostname: command.example, {common}, identity: {{username: {ACCOUNT}, credential_timeout_s: 10,
      credential_command: [{self.program.path}]}}}}
""")

    def check(self):
        return subprocess.run([BINARY, "check", "--config", str(self.settings)], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    sshd = Sshd(folder, f"TrustedUserCAKeys {folder}/ca.pub\nAuthorizedKeysFile none")
    daemon = CertificateDaemon(folder, sshd.port)
    daemon.prepare()
    daemon.start()
    yield daemon
    try:
        daemon.stop()
    finally:
        sshd.stop()


@pytest.fixture
def ann(server):
    yield server.client("ann")
    server.execute("DELETE FROM identities")


def put(client, certificate, private_key=None, status=200):
    body = {"certificate": certificate, **({"private_key": private_key} if private_key else {})}
    reply = client.request("PUT", "/v1/identities/own/certificate", json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


def login(client, cluster):
    checks = client.post(f"/v1/clusters/{cluster}/check", status=200).json()["checks"]
    return next(item for item in checks if item["name"] == "login")


# ---- of people ----

def test_person_brings_key_and_certificate_and_is_let_in(server, ann):
    key = server.authority.key("ann")
    identity = put(ann, server.authority.sign("ann", "-V", "20200101000000Z:20400101000000Z", "-z", "5"), key)
    assert identity["username"] == "ann" and identity["state"] == "unchecked" and "PRIVATE" not in str(identity)
    ann.request("PUT", "/v1/identities/own", json={"username": ACCOUNT})
    identity = ann.get("/v1/identities/own").json()
    assert identity["public_key"].startswith("ecdsa-sha2-nistp256 ") and identity["expires_at"] == "2040-01-01T00:00:00Z"
    assert identity["certificate"] == {
        "type": "ecdsa-sha2-nistp256-cert-v01@openssh.com", "key_id": "somebody", "serial": 5, "principals": [ACCOUNT],
        "valid_after": "2020-01-01T00:00:00Z", "expires_at": "2040-01-01T00:00:00Z", "warnings": []}
    assert ann.post("/v1/identities/own/check", status=200).json()["state"] == "ok"
    assert ann.get("/v1/identities").json()["items"][0]["expires_at"] == "2040-01-01T00:00:00Z"
    # The key alone lets nobody in.
    ann.delete("/v1/identities/own/certificate")
    assert ann.get("/v1/identities/own").json()["certificate"] is None
    refused = ann.post("/v1/identities/own/check", status=200).json()
    assert refused["state"] == "refused"
    ann.delete("/v1/identities/own/certificate", status=404)
    # A renewed one, of the key that there is now.
    assert put(ann, server.authority.sign("ann", FAR))["state"] == "unchecked"
    assert ann.post("/v1/identities/own/check", status=200).json()["state"] == "ok"
    secret = key.splitlines()[2]
    for path in server.folder.iterdir():
        if path.is_file() and path.name != "ann":
            assert secret.encode() not in path.read_bytes(), path.name


def test_certificate_of_the_key_that_the_daemon_made(server, ann):
    """ed25519: with libssh2 1.10 no certificate of it can log in, and that is said when it is brought."""
    put(ann, server.authority.sign("ca", FAR), status=404)  # there is no key yet
    public = ann.request("PUT", "/v1/identities/own", json={"username": ACCOUNT}).json()["public_key"]
    reply = ann.request("PUT", "/v1/identities/own/certificate", json={"certificate": server.authority.sign(public, FAR)})
    if reply.status_code == 200:
        assert ann.post("/v1/identities/own/check", status=200).json()["state"] == "ok"
    else:
        assert reply.status_code == 400
        assert "libssh2 1.10" in reply.json()["detail"] and "ECDSA" in reply.json()["detail"]
        assert ann.get("/v1/identities/own").json()["certificate"] is None


def test_certificates_of_no_use_are_refused_in_words(server, ann):
    authority = server.authority
    key = authority.key("plain")
    put(ann, authority.sign("plain", FAR), key)
    locked = authority.key("locked", passphrase="pass phrase")
    other = authority.key("other")
    pem = subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout"], check=True, capture_output=True,
                         text=True).stdout
    good = authority.sign("plain", FAR)
    cases = [
        (authority.sign("plain", "-V", "20000101:20010101"), None, "expired at 2001-01-01T"),
        (authority.sign("plain", "-V", "+52w:+60w"), None, "is not valid before 2"),
        (authority.sign("plain", "-h"), None, "is of a host, not of a user"),
        (authority.sign("other", FAR), None, "is not of the key"),
        ((authority.folder / "plain.pub").read_text(), None, "is not one of OpenSSH's: `ssh-keygen -s"),
        (good[:400], None, "is not one of OpenSSH's"),
        ("garbage", None, "is not one of OpenSSH's"),
        (good, "garbage", "the private key is not a private key"),
        (good, locked, "is encrypted"),
        (good, other, "is not of the key"),
        (good, pem, "not in OpenSSH's format"),
    ]
    for certificate, private_key, says in cases:
        assert says in put(ann, certificate, private_key, 400)["detail"], says
    for body in ({}, {"certificate": 7}, {"certificate": ""}, {"certificate": "x" * 20000}, {"certificate": good, "key": "x"}):
        assert ann.request("PUT", "/v1/identities/own/certificate", json=body).status_code == 400
    identity = ann.get("/v1/identities/own").json()
    assert identity["certificate"]["principals"] == [ACCOUNT]  # the good one is still there
    assert server.client("eve").request("PUT", "/v1/identities/own/certificate", json={"certificate": good}).status_code == 403
    assert ann.request("PUT", "/v1/identities/alpha/certificate", json={"certificate": good}).status_code == 409


def test_what_only_the_login_node_knows_is_a_warning(server, ann):
    key = server.authority.key("warned")
    certificate = server.authority.sign("warned", FAR, "-O", "force-command=/bin/true", "-O", "source-address=192.0.2.0/24",
                                        principal="somebody-else")
    put(ann, certificate, key)
    ann.request("PUT", "/v1/identities/own", json={"username": ACCOUNT})
    warnings = ann.get("/v1/identities/own").json()["certificate"]["warnings"]
    for part in ("/bin/true", "192.0.2.0/24", "AuthorizedPrincipalsFile"):
        assert any(part in warning for warning in warnings), warnings
    refused = ann.post("/v1/identities/own/check", status=200).json()
    assert refused["state"] == "refused" and "is the user among its principals" in refused["error"]


def test_account_that_is_named_again_is_logged_in_to_with_the_key_of_now(server, ann):
    key = server.authority.key("first")
    put(ann, server.authority.sign("first", FAR), key)
    ann.request("PUT", "/v1/identities/own", json={"username": ACCOUNT})
    assert ann.post("/v1/identities/own/check", status=200).json()["state"] == "ok"
    ann.request("PUT", "/v1/identities/own", json={"username": "nobody"})
    key = server.authority.key("second")
    put(ann, server.authority.sign("second", FAR, principal="somebody-else"), key)
    ann.request("PUT", "/v1/identities/own", json={"username": ACCOUNT})
    assert ann.post("/v1/identities/own/check", status=200).json()["state"] == "refused"


def expiring(server, cluster):
    events = server.client("root-of-all").get("/v1/events", params={"after": 0, "kind": "identity.expiring", "cluster": cluster})
    return events.json()["items"]


def test_end_of_a_person_s_certificate_is_told_once(server, ann):
    key = server.authority.key("ending")
    certificate = server.authority.sign("ending", "-V", "-9m:+100s")  # a fifth of ten minutes are left, and less
    identity = put(ann, certificate, key)
    event = wait_until(lambda: expiring(server, "own"), "the event")[0]
    assert event["user"] == "ann" and event["evaluation"] is None
    assert event["data"] == {"cluster": "own", "username": "ann", "certificate": None, "expires_at": identity["expires_at"]}
    put(ann, certificate)
    put(ann, server.authority.sign("ending", "-V", "-9m:+2m"))  # another one, whenever
    wait_until(lambda: len(expiring(server, "own")) == 2, "the other one's event")
    assert len({event["data"]["expires_at"] for event in expiring(server, "own")}) == 2


# ---- in a file ----

def test_file_is_read_and_its_end_shown_and_told(server, ann):
    def credentials():
        return ann.get("/v1/clusters/file").json()["credentials"]
    found = wait_until(lambda: credentials()["expires_at"] and credentials(), what="the file is read")
    assert (found["source"], found["error"], found["runs"]) == ("key_file", None, 0)
    assert login(ann, "file")["ok"] is True
    path = server.folder / "file-cert.pub"
    path.write_text(server.authority.sign("file-key", "-V", "-9m:+100s"))
    event = wait_until(lambda: expiring(server, "file"), "the event")[0]
    assert event["user"] is None and event["data"]["username"] == ACCOUNT
    assert event["data"]["expires_at"] == credentials()["expires_at"] and re.fullmatch("[0-9a-f]{64}", event["data"]["certificate"])
    path.write_text(server.authority.sign("file-key", "-V", "20000101:20010101"))
    wait_until(lambda: "expired at 2001-01-01" in (credentials()["error"] or ""), what="the end")
    path.write_text("garbage")
    wait_until(lambda: "is not one of OpenSSH's" in (credentials()["error"] or ""), what="the fault")
    done = server.check()
    assert done.returncode == 1 and "cluster file: the certificate" in done.stderr and "is not one of OpenSSH's" in done.stderr
    path.write_text(server.authority.sign("file-key", FAR, "-O", "source-address=192.0.2.0/24"))
    wait_until(lambda: credentials()["warnings"], what="the warning")
    done = server.check()
    assert done.returncode == 0 and "warning" in done.stderr and "192.0.2.0/24" in done.stderr and "good until 2" in done.stdout
    path.write_text(server.authority.sign("file-key", FAR))
    assert [e["data"]["expires_at"] for e in expiring(server, "file")] == [event["data"]["expires_at"], "2001-01-01T00:00:00Z"]


# ---- handed out by a command ----

def test_command_hands_out_what_logs_in(server, ann):
    program = server.program
    program.hand_out("-V", "+1h")
    before = program.calls()
    wait_until(lambda: login(ann, "command")["ok"] is True, "the login")
    shown = ann.get("/v1/clusters/command").json()["credentials"]
    assert shown["source"] == "credential_command" and shown["error"] is None and shown["expires_at"] and shown["renewed_at"]
    for _ in range(3):
        assert login(ann, "command")["ok"] is True
    assert program.calls() <= before + 1 or before > 0
    done = server.check()
    assert done.returncode == 0 and "cluster command: the certificate is good until" in done.stdout


def reload(server, number):
    """Other words of the command: what was handed out before counts no more."""
    text = server.settings.read_text()
    server.settings.write_text(re.sub(r"credential_command: \[(\S+?)(, \d+)?\]", rf"credential_command: [\1, {number}]", text))
    count = server.log().count("settings reloaded")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.log().count("settings reloaded") > count, what="the reload")


def test_what_a_command_does_wrong_is_said_everywhere(server, ann):
    program = server.program
    private = (server.folder / "hand-out-key").read_text().splitlines()[2]
    cases = [
        ("echo 'no ticket: run kinit' >&2; exit 3", "failed with exit status 3: no ticket: run kinit"),
        ("cat hand-out-key hand-out-key >&2; cat hand-out-key; exit 1", "failed with exit status 1"),
        ("sleep 100", "did not end within 10 s"),
        ("echo garbage", "wrote no private key"),
        ("cat hand-out-key", "wrote a key and no certificate"),
        ("yes", "wrote more than 65536 bytes"),
        (f"ssh-keygen -q -s ca -I x -n {ACCOUNT} -V 20000101:20010101 hand-out-key.pub && cat hand-out-key hand-out-key-cert.pub",
         "expired at 2001-01-01"),
    ]
    server.authority.key("new25519", "ed25519")
    cases.append((f"ssh-keygen -q -s ca -I x -n {ACCOUNT} new25519.pub && cat new25519 new25519-cert.pub", None))
    for number, (body, says) in enumerate(cases):
        program.does(body)
        reload(server, number)
        item = login(ann, "command")
        if says is None:  # libssh2 1.11 takes it
            if item["ok"]:
                continue
            says = "with which libssh2 1.10.0 cannot log in"
        assert item["ok"] is False and says in item["message"], (body, item)
        shown = ann.get("/v1/clusters/command").json()
        assert says in shown["credentials"]["error"] and shown["credentials"]["expires_at"] is None
        assert shown["health"] == "failing" and says in shown["last_error"]
        done = server.check()
        assert done.returncode == 1 and says in done.stderr, done.stderr
        for text in (item["message"], done.stderr, server.log()):
            assert private not in text
    program.path.chmod(stat.S_IRUSR)
    reload(server, 99)
    assert "cannot be run" in login(ann, "command")["message"]
    done = server.check()
    assert done.returncode == 1 and "cluster command: credential_command" in done.stderr
    program.hand_out("-V", "+1h")
    reload(server, 100)
    assert login(ann, "command")["ok"] is True


def test_jobs_wait_for_a_command_with_its_reason(server, ann):
    server.program.does("echo 'the authority is away' >&2; exit 1")
    reload(server, 200)
    job = ann.submit(CONFIG.replace("alpha.example", "command.example")).json()["id"] + ".0"

    def waits_on():
        return ann.get(f"/v1/jobs/{job}").json()["waiting_on"] or ""
    wait_until(lambda: waits_on().startswith("credentials for command: ") and "the authority is away" in waits_on(), "the reason")
    calls = server.program.calls()
    server.program.hand_out("-V", "+1h")
    # It goes by itself; there is no Slurm here, which is what it then waits on.
    wait_until(lambda: "credentials" not in waits_on(), "the job is sent")
    assert server.program.calls() >= calls
    ann.post(f"/v1/evaluations/{job[:16]}/cancel")


def test_stopping_does_not_wait_for_a_command(server, ann):
    server.program.does("sleep 100")
    reload(server, 300)
    text = server.settings.read_text()
    server.settings.write_text(text.replace("credential_timeout_s: 10", "credential_timeout_s: 100"))
    reload(server, 301)
    calls = server.program.calls()
    job = ann.submit(CONFIG.replace("alpha.example", "command.example")).json()["id"]
    wait_until(lambda: server.program.calls() > calls, "the command runs")
    assert server.stop() < STOP_TIMEOUT_S
    server.program.hand_out("-V", "+1h")
    server.start()
    ann.base = server.base
    ann.post(f"/v1/evaluations/{job}/cancel")
