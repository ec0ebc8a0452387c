"""Two people, each with a key and an account of his own; preflights of both clusters; a cluster that leaves the settings."""

import signal
from pathlib import Path

import pytest
import yaml

from client import Client
from configs import SCORE, config, task
from daemon import cluster_settings
from testbed import DIRECTORY, release, wait_for


class Person:
    """Somebody with a token, and an account on alpha of which the test is the owner."""

    def __init__(self, bed, daemon, name, account, slurm_account):
        self.bed, self.name, self.account, self.slurm_account = bed, name, account, slurm_account
        token = daemon.command("user", "add", name, "--role", "user").strip().split()[-1]
        self.client = Client(f"http://127.0.0.1:{daemon.port}", token)
        self.keys = DIRECTORY / f"alpha/ssh/authorized_keys.{account}"

    def submit(self, model_server, work, **execution):
        body = config(self.bed, model_server, work, execution={
            "account": self.slurm_account, "output_dir": str(self.bed.shared / self.account), **execution})
        return self.client.submit(body, model_server.env)["id"] + ".0"

    def let_in(self):
        with open(self.keys, "a", encoding="ascii") as file:
            file.write(self.client.get("/v1/identities/alpha")["authorized_keys"] + "\n")


@pytest.fixture
def people(bed, make_daemon):
    daemon = make_daemon([cluster_settings(bed, identity="per_user")]).start()
    pair = [Person(bed, daemon, "ann", bed.env["NEL_USER"], "team"),
            Person(bed, daemon, "ben", bed.env["NEL_USER_BOB"], "other")]
    yield pair
    for person in pair:
        bed.ctl("alpha", "key", person.account, "restore")


def test_two_people_run_as_their_own_accounts(bed, people, model_server):
    ann, ben = people
    for person in people:
        person.client.call("PUT", "/v1/identities/alpha", 201, json={"username": person.account})
    jobs = {person.name: person.submit(model_server, task(4)) for person in people}
    for person in people:
        person.client.wait_job(jobs[person.name],
                               lambda job: (job["waiting_on"] or "").startswith("credentials for alpha"), "waits for the key")
    # Naming the other's account lets nobody in.
    ben.client.call("PUT", "/v1/identities/alpha", 200, json={"username": ann.account})
    ann.let_in()
    assert ben.client.post("/v1/identities/alpha/check", 200)["state"] == "refused"
    ben.client.call("PUT", "/v1/identities/alpha", 200, json={"username": ben.account})
    ben.let_in()
    assert ben.client.post("/v1/identities/alpha/check", 200)["state"] == "ok"
    for person in people:  # ann's goes by itself, ben's by the check
        person.client.wait_end(jobs[person.name][:16])
        job = person.client.job(jobs[person.name])
        rundir = Path(job["rundir"])
        assert rundir.owner() == person.account and (rundir / "run.sub").owner() == person.account
        assert (rundir / "artifacts/results.yml").owner() == person.account
        assert set(person.client.scores(job["id"]).values()) == {SCORE}
        rows = wait_for("accounting has the job", lambda job=job: bed.run(
            "alpha", "sacct", "--allusers", "--allocations", "--noheader", "--parsable2",
            f"--jobs={job['slurm_job_id']}", "--format=User,Account").split())
        assert rows == [f"{person.account}|{person.slurm_account}"]
    other = ben.client.job(jobs["ben"])["rundir"]
    refused = bed.run("alpha", "runuser", "-u", ann.account, "--", "sh", "-c", f"ls {other} 2>&1 || true")
    assert "Permission denied" in refused
    assert [i["user"] for i in ann.client.get("/v1/identities")["items"]] == ["ann"]
    # Each one's jobs are observed with his own login.
    assert ann.client.cluster("alpha")["identity"] is None and ann.client.cluster("alpha")["active_identities"] >= 2


def checks(client, name, **params):
    return {item["name"]: item for item in client.post(f"/v1/clusters/{name}/check", 200, params=params)["checks"]}


def test_preflight_of_both_clusters(bed, make_daemon):
    client = make_daemon([cluster_settings(bed, name, name, output_roots=[str(bed.output)])
                          for name in ("alpha", "beta")]).start().client
    alpha = checks(client, "alpha", account=bed.env["NEL_ACCOUNT"], job="true")
    assert {name for name, item in alpha.items() if item["ok"] is not True} == set(), alpha
    assert "slurm" in alpha["sbatch"]["message"] and "/curl" in alpha["curl"]["message"]
    beta = checks(client, "beta")
    assert {name for name, item in beta.items() if item["ok"] is None} == {"accounting", "account", "curl"}, beta
    assert "job=true" in beta["curl"]["message"] and "no accounting" in beta["accounting"]["message"]
    assert {name for name, item in beta.items() if item["ok"] is False} == set(), beta


def test_preflight_names_what_is_missing(bed, make_daemon):
    client = make_daemon([
        cluster_settings(bed, "beta", "beta", accounting="sacct"),
        cluster_settings(bed, "noaccount", output_roots=["/proc/sys/no"])]).start().client
    assert checks(client, "beta")["accounting"]["ok"] is False
    wrong = checks(client, "noaccount", account="nobodys")
    assert wrong["account"]["ok"] is False and "team" in wrong["account"]["message"] and wrong["account"]["hint"]
    assert wrong["output_dir"]["ok"] is False and wrong["output_dir"]["message"].startswith("/proc/sys/no: ")
    bed.ctl("alpha", "slurmctld", "stop")
    try:
        away = checks(client, "noaccount")
        assert away["slurmctld"]["ok"] is False and away["slurmctld"]["hint"]
        assert away["login"]["ok"] is True and away["sbatch"]["ok"] is True
    finally:
        bed.ctl("alpha", "slurmctld", "start")


def test_cluster_that_leaves_the_settings_drains(bed, make_daemon, model_server):
    daemon = make_daemon([cluster_settings(bed), cluster_settings(bed, "beta", "beta")]).start()
    job = daemon.client.submit(config(bed, model_server, task(extra={"hold_after": 0})), model_server.env)["id"] + ".0"
    running = daemon.client.wait_state(job, "running")
    daemon.settings["clusters"] = daemon.settings["clusters"][1:]
    daemon.settings_file.write_text(yaml.safe_dump(daemon.settings))
    daemon.process.send_signal(signal.SIGHUP)
    wait_for("alpha drains", lambda: daemon.client.cluster("alpha")["state"] == "draining")
    body = {"config": config(bed, model_server, task(4)), "env": model_server.env}
    assert "draining" in daemon.client.post("/v1/evaluations", 422, json=body)["detail"]
    release(running)
    daemon.client.wait_end(job[:16])
    assert set(daemon.client.scores(job).values()) == {SCORE}
    assert daemon.client.job(job)["attempt"] == 1
    wait_for("alpha is gone", lambda: [c["name"] for c in daemon.client.get("/v1/clusters")["items"]] == ["beta"])
