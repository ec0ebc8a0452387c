"""Keys of people on a cluster where each has his own, against an sshd of the tests' own; preflights."""

import json
import os
import pwd
import subprocess

import pytest
from conftest import CONFIG, Daemon, Sshd, check_pages_of_whole, wait_until

ACCOUNT = pwd.getpwuid(os.getuid()).pw_name
ON_OWN = CONFIG.replace("hostname: alpha.example", "hostname: own.example")


class PersonalDaemon(Daemon):
    """alpha has an account for all; on `own`, each person has a key."""

    def __init__(self, folder, port):
        super().__init__(folder, port)
        text = self.settings.read_text()
        self.settings.write_text(text + f"""\
  - name: own
    hostname: own.example
    address: 127.0.0.1
    port: {port}
    known_hosts_file: {folder}/known_hosts
    identity: per_user
    accounting: none
    poll_interval_s: 1
  - name: agent
    hostname: agent.example
    address: 127.0.0.1
    port: {port}
    known_hosts_file: {folder}/known_hosts
    identity: {{username: {ACCOUNT}, agent: {folder}/agent.sock}}
""")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    sshd = Sshd(tmp_path_factory.mktemp("personal"))
    daemon = PersonalDaemon(sshd.folder, sshd.port)
    daemon.prepare()
    daemon.start()
    daemon.sshd = sshd
    yield daemon
    try:
        daemon.stop()
    finally:
        sshd.stop()


@pytest.fixture
def people(server):
    """ann and bob, without keys."""
    clients = {name: server.client(name) for name in ("ann", "bob", "eve", "root-of-all")}
    yield clients
    server.execute("DELETE FROM identities")
    (server.sshd.folder / "authorized").write_text((server.sshd.folder / "key.pub").read_text())


def put(client, username=None, status=201):
    reply = client.request("PUT", "/v1/identities/own", json={"username": username} if username else {})
    assert reply.status_code == status, reply.text
    return reply.json()


def let_in(server, identity):
    with open(server.sshd.folder / "authorized", "a") as file:
        file.write(identity["authorized_keys"] + "\n")


def test_put_makes_a_key_that_ssh_keygen_reads(server, people, tmp_path):
    identity = put(people["ann"], "alice")
    assert (identity["user"], identity["username"], identity["state"]) == ("ann", "alice", "unchecked")
    assert identity["authorized_keys"] == f"restrict {identity['public_key']} nel-slurmd:ann@own"
    assert "alice" in identity["instructions"] and "own.example" in identity["instructions"]
    public = tmp_path / "key.pub"
    public.write_text(identity["public_key"])
    assert "ED25519" in subprocess.run(["ssh-keygen", "-l", "-f", public], check=True, capture_output=True, text=True).stdout
    assert put(people["ann"], status=200) == identity
    other = put(people["ann"], "alice2", status=200)
    assert other["username"] == "alice2" and other["public_key"] == identity["public_key"]
    assert put(people["bob"])["username"] == "bob"


def test_two_people_who_name_one_account_have_keys_of_their_own(people):
    assert put(people["ann"], "shared")["public_key"] != put(people["bob"], "shared")["public_key"]


def test_clusters_have_pages(people):
    check_pages_of_whole(people["ann"], "/v1/clusters", "name")


def test_own_ones_only_and_an_admin_all(people):
    put(people["ann"])
    put(people["bob"])
    assert [i["user"] for i in people["ann"].get("/v1/identities").json()["items"]] == ["ann"]
    assert [i["user"] for i in people["root-of-all"].get("/v1/identities").json()["items"]] == ["ann", "bob"]
    check_pages_of_whole(people["root-of-all"], "/v1/identities")
    people["ann"].get("/v1/identities/own", status=403, params={"user": "bob"})
    assert people["ann"].request("DELETE", "/v1/identities/own", params={"user": "bob"}).status_code == 403
    people["ann"].post("/v1/identities/own/check", status=403, params={"user": "bob"})
    assert people["root-of-all"].get("/v1/identities/own", params={"user": "bob"}).json()["user"] == "bob"
    assert people["eve"].request("PUT", "/v1/identities/own", json={}).status_code == 403


@pytest.mark.parametrize("body, status", [
    ({"username": "a b"}, 400), ({"username": "-oProxyCommand=x"}, 400), ({"username": "a/b"}, 400), ({"username": ""}, 400),
    ({"username": "a\nb"}, 400), ({"username": 7}, 400), ({"user": "x"}, 400), ({"username": "a" * 65}, 400), ([], 400)])
def test_put_wrong_body_is_refused(people, body, status):
    reply = people["ann"].request("PUT", "/v1/identities/own", data=json.dumps(body),
                                  headers={"Content-Type": "application/json"})
    assert reply.status_code == status, reply.text
    people["ann"].get("/v1/identities/own", status=404)


def test_clusters_without_keys_of_people_say_so(people):
    reply = people["ann"].request("PUT", "/v1/identities/alpha", json={})
    assert reply.status_code == 409 and "svc" in reply.json()["detail"]
    people["ann"].get("/v1/identities/alpha", status=409)
    people["ann"].get("/v1/identities/nowhere", status=404)
    people["ann"].get("/v1/identities/own", status=404)


def test_check_says_what_is_wrong_and_then_that_it_works(server, people):
    identity = put(people["ann"], ACCOUNT)
    refused = people["ann"].post("/v1/identities/own/check", status=200).json()
    assert refused["state"] == "refused" and refused["checked_at"] is not None
    assert "refused" in refused["error"] and "authorized_keys" in refused["error"]
    let_in(server, identity)
    works = people["ann"].post("/v1/identities/own/check", status=200).json()
    assert (works["state"], works["error"]) == ("ok", None)
    assert people["ann"].get("/v1/identities/own").json()["state"] == "ok"
    # Another one who names the account is not let in by that.
    put(people["bob"], ACCOUNT)
    assert people["bob"].post("/v1/identities/own/check", status=200).json()["state"] == "refused"


def test_submission_before_the_key_works_waits_and_then_goes_by_itself(server, people):
    ann = people["ann"]
    job = ann.submit(ON_OWN).json()["id"] + ".0"
    identity = ann.get("/v1/identities/own").json()
    assert identity["username"] == "ann"
    waiting = wait_until(lambda: (t := ann.get(f"/v1/jobs/{job}").json()["waiting_on"] or "").startswith("credentials for own")
                         and t)
    assert "GET /v1/identities/own" in waiting and "authorized_keys" in waiting and " ann " in waiting
    reply = ann.request("DELETE", "/v1/identities/own")
    assert reply.status_code == 409 and "2 jobs" in reply.json()["detail"]
    assert ann.get("/v1/clusters/own").json()["identity"] is None
    ann.post(f"/v1/evaluations/{job[:16]}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{job[:16]}").json()["state"] == "cancelled")
    assert ann.request("DELETE", "/v1/identities/own").status_code == 204
    identity = put(ann, ACCOUNT)
    job = ann.submit(ON_OWN).json()["id"] + ".0"
    wait_until(lambda: (ann.get(f"/v1/jobs/{job}").json()["waiting_on"] or "").startswith("credentials for own"))
    let_in(server, identity)
    # Nobody says a word: it is tried again by itself. There is no Slurm here, which is what it then waits on.
    wait_until(lambda: "credentials" not in (ann.get(f"/v1/jobs/{job}").json()["waiting_on"] or ""),
               "the job is sent")


def test_username_of_another_account_is_refused_with_its_place(people):
    put(people["ann"], "alice")
    mine = ON_OWN.replace("  account: acct", "  username: alice\n  account: acct")
    assert people["ann"].submit(mine, status=200, params={"dry_run": "true"}).status_code == 200
    errors = people["ann"].submit(mine.replace("alice", "bob"), status=422).json()["errors"]
    assert errors[0]["pointer"] == "/execution/username" and errors[0]["line"] is not None
    assert "alice" in errors[0]["message"] and "/v1/identities/own" in errors[0]["message"]
    assert people["bob"].submit(mine, status=422).json()["errors"][0]["pointer"] == "/execution/username"


def test_private_half_is_nowhere(server, people):
    put(people["ann"])
    for path in server.folder.iterdir():
        if path.is_file() and path.name not in ("key", "host"):
            assert b"OPENSSH PRIVATE KEY" not in path.read_bytes(), path.name
    assert "PRIVATE" not in people["ann"].get("/v1/identities/own").text


def checks(client, cluster, **params):
    body = client.post(f"/v1/clusters/{cluster}/check", status=200, params=params).json()
    return body, {(item["name"], item["message"].split(":")[0] if item["name"] == "output_dir" else ""): item
                  for item in body["checks"]}


def test_preflight_unreachable_cluster_fails_the_login(people):
    body, items = checks(people["ann"], "alpha")
    assert body["ok"] is False and list(items) == [("login", "")]
    assert items["login", ""]["ok"] is False and items["login", ""]["hint"]


def test_login_node_that_shares_no_algorithm_is_told_with_what_would_help(fresh, tmp_path):
    """No libssh2 has this key exchange method."""
    sshd = Sshd(tmp_path, "KexAlgorithms sntrup761x25519-sha512@openssh.com")
    try:
        daemon = fresh(beta_port=sshd.port)
        daemon.start()
        _, items = checks(daemon.client("root-of-all"), "beta")
        job = daemon.client("ann").submit(CONFIG.replace("alpha.example", "beta.example")).json()["id"] + ".0"
        said = "no common key exchange method: the server has sntrup761x25519-sha512@openssh.com"

        def waits_on():
            return daemon.client("ann").get(f"/v1/jobs/{job}").json()["waiting_on"] or ""
        wait_until(lambda: said in waits_on(), "a reason")
        for text in (items["login", ""]["message"], waits_on()):
            assert said in text and "permit curve25519-sha256" in text
    finally:
        sshd.stop()


def test_preflight_names_each_missing_item(server, people, tmp_path):
    """The tests' sshd is a host without Slurm."""
    (tmp_path / "out").mkdir()
    body, items = checks(people["ann"], "beta", output_dir=str(tmp_path / "out"))
    assert body["ok"] is False and body["identity"] == ACCOUNT
    for name in ("slurmctld", "sbatch", "pyxis"):
        if items[name, ""]["ok"] is False:
            assert "PATH" in items[name, ""]["message"] or "failed" in items[name, ""]["message"]
            assert items[name, ""]["hint"]
    assert items["login", ""]["ok"] is True and items["clock", ""]["ok"] is True
    assert items["curl", ""]["ok"] is None and "job=true" in items["curl", ""]["message"]
    assert items["accounting", ""]["ok"] is None
    assert items["output_dir", str(tmp_path / "out")]["ok"] is True
    (tmp_path / "file").touch()
    _, items = checks(people["ann"], "beta", output_dir=str(tmp_path / "file/below"))
    assert items["output_dir", str(tmp_path / "file/below")]["ok"] is False


def test_keys_of_an_agent_log_in(server, people):
    socket = server.folder / "agent.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        try:
            wait_until(socket.exists)
            _, items = checks(people["ann"], "agent")
            assert items["login", ""]["ok"] is False  # it has no key yet
            subprocess.run(["ssh-add", "-q", server.folder / "key"], check=True,
                           env={**os.environ, "SSH_AUTH_SOCK": str(socket)})
            wait_until(lambda: checks(people["ann"], "agent")[1]["login", ""]["ok"], "the login")
        finally:
            agent.terminate()


def test_preflight_who_may_and_what_is_refused(people):
    people["eve"].post("/v1/clusters/beta/check", status=403)
    people["ann"].post("/v1/clusters/nowhere/check", status=404)
    people["ann"].post("/v1/clusters/own/check", status=404)  # no key of hers yet
    people["ann"].post("/v1/clusters/beta/check", status=400, params={"jobs": "true"})
    people["ann"].post("/v1/clusters/beta/check", status=400, params={"account": "a\nb"})
