"""What cannot work says why, waits where waiting helps, and goes on by itself once it is put right."""

import ctypes
import subprocess
from pathlib import Path

import pytest

from configs import SCORE, config, task
from daemon import Daemon, cluster_settings, free_port
from testbed import DIRECTORY, wait_for

# Names of clusters that all lead to alpha's sshd, each with something wrong.
UNKNOWN, CHANGED, REFUSED, CLOSED = "unknown-key", "changed-key", "refused-key", "closed-port"


def make_key(path, kind="ed25519"):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "e2e", "-f", path], check=True)
    return path


class Trouble:
    """One daemon, a healthy cluster and four that are not, with a job submitted to each of those."""

    def __init__(self, bed, model_server, directory):
        self.bed = bed
        self.dir = directory
        self.closed_port = free_port()
        self.known_hosts = {UNKNOWN: directory / "unknown_hosts", CHANGED: directory / "changed_hosts"}
        self.known_hosts[UNKNOWN].write_text("")
        other = make_key(directory / "other_host_key").with_suffix(".pub").read_text().split()
        self.known_hosts[CHANGED].write_text(f"[127.0.0.1]:{bed.port('alpha')} {other[0]} {other[1]}\n")
        self.key = make_key(directory / "refused")
        identity = {"username": bed.env["NEL_USER"], "key_file": str(self.key)}
        self.daemon = Daemon(directory, [
            cluster_settings(bed),
            cluster_settings(bed, UNKNOWN, known_hosts_file=str(self.known_hosts[UNKNOWN])),
            cluster_settings(bed, CHANGED, known_hosts_file=str(self.known_hosts[CHANGED])),
            cluster_settings(bed, REFUSED, identity=identity),
            cluster_settings(bed, CLOSED, port=self.closed_port),
        ])
        self.client = self.daemon.start().client
        self.jobs = {}
        for name in (UNKNOWN, CHANGED, REFUSED, CLOSED):
            body = config(bed, model_server, task(), cluster=name)
            self.jobs[name] = self.client.submit(body, model_server.env)["id"] + ".0"

    def authorize(self):
        file = DIRECTORY / f"alpha/ssh/authorized_keys.{self.bed.env['NEL_USER']}"
        with open(file, "a") as keys:
            keys.write(self.key.with_suffix(".pub").read_text())

    def wait_trouble(self, name, *words):
        """Waits until the cluster is seen to fail; its error and the job's waiting_on say all the words."""
        cluster = wait_for(f"{name} fails", lambda: [c for c in [self.client.cluster(name)] if c["last_error"]])[0]
        job = self.client.wait_job(self.jobs[name], lambda j: j["waiting_on"] and name in j["waiting_on"],
                                   f"waits on {name}")
        assert cluster["health"] == "failing"
        for word in words:
            assert word in cluster["last_error"]
        return job, cluster

    def check_waiting(self, name):
        job = self.client.job(self.jobs[name])
        assert job["state"] in ("queued", "submitting")
        assert job["slurm_job_id"] is None
        assert self.bed.jobs_of("alpha", job["evaluation"]) == []

    def check_done(self, name):
        job = self.client.wait_state(self.jobs[name], "succeeded")
        assert job["waiting_on"] is None
        assert set(self.client.scores(job["id"]).values()) == {SCORE}
        assert len(self.bed.jobs_of("alpha", job["evaluation"])) == 1
        assert self.client.cluster(name)["health"] == "ok"


@pytest.fixture(scope="module")
def trouble(bed, model_server, tmp_path_factory):
    trouble = Trouble(bed, model_server, tmp_path_factory.mktemp("daemon"))
    yield trouble
    trouble.daemon.end()
    bed.ctl("alpha", "key", bed.env["NEL_USER"], "restore")


def with_flag(name, value):
    return {"sbatch_extra_flags": {"exclusive": False, name: value}}


@pytest.fixture(scope="module")
def refusals(bed, model_server, trouble):
    """Configs that a healthy cluster cannot run, all submitted at once: {what: evaluation}."""
    missing = str(bed.output / "no-such-data")
    outside = dict(execution={"output_dir": str(bed.shared / "images/out")})
    own_image = dict(container="registry.example/no-such-image:1")
    bodies = {
        "output_dir": config(bed, model_server, task(), **outside),
        "mount": config(bed, model_server, task(), task(dataset_dir=missing), task()),
        "account": config(bed, model_server, task(), execution={"account": "nobody-s"}),
        "option": config(bed, model_server, task(), execution=with_flag("nosuchflag", "zz")),
        "value": config(bed, model_server, task(), execution=with_flag("mail-type", "FOO")),
        "elsewhere": config(bed, model_server, task(), execution=with_flag("clusters", "beta")),
        "here": config(bed, model_server, task(), execution=with_flag("clusters", "alpha")),
        "image": config(bed, model_server, task(**own_image)),
        "evaluator": config(bed, model_server, task(), task(extra={"fail_with": 7})),
    }
    return {what: trouble.client.submit(body, model_server.env) for what, body in bodies.items()}


@pytest.fixture(scope="module")
def parked(trouble, refusals):  # noqa: ARG001: those run meanwhile
    """Each cluster's trouble has been seen, its jobs wait, and then it is put right, but for the closed port."""
    seen = {
        UNKNOWN: trouble.wait_trouble(UNKNOWN, "host key", "unknown", str(trouble.known_hosts[UNKNOWN])),
        CHANGED: trouble.wait_trouble(CHANGED, "host key", str(trouble.known_hosts[CHANGED])),
        REFUSED: trouble.wait_trouble(REFUSED, "key"),
        CLOSED: trouble.wait_trouble(CLOSED, "refused"),
    }
    for name in seen:
        trouble.check_waiting(name)
    line = trouble.bed.host_key_line("alpha")
    for name in (UNKNOWN, CHANGED):
        trouble.known_hosts[name].write_text(line + "\n")
    trouble.authorize()
    return seen


def test_unknown_host_key_until_it_is_added_names_the_line_and_waits(trouble, parked):
    job, cluster = parked[UNKNOWN]
    assert trouble.bed.host_key_line("alpha") in cluster["last_error"]  # what to add, as known_hosts wants it
    assert cluster["sessions"]["open"] == cluster["execs"] == 0
    assert "host key" in job["waiting_on"]
    trouble.check_done(UNKNOWN)


def test_changed_host_key_until_it_is_corrected_is_refused_and_waits(trouble, parked):
    job, cluster = parked[CHANGED]
    assert trouble.bed.host_key_line("alpha").split()[-1] in cluster["last_error"] or "changed" in cluster["last_error"]
    assert cluster["sessions"]["open"] == cluster["execs"] == 0
    assert "host key" in job["waiting_on"]
    trouble.check_done(CHANGED)


def test_refused_key_until_it_is_authorized_waits_for_credentials(trouble, parked):
    job, cluster = parked[REFUSED]
    assert job["waiting_on"] == f"credentials for {REFUSED}"
    assert cluster["execs"] == 0
    trouble.check_done(REFUSED)


def test_unreachable_host_that_stays_so_waits_and_holds_up_no_other(trouble, parked):
    job, cluster = parked[CLOSED]
    assert str(trouble.closed_port) in cluster["last_error"]
    assert CLOSED in job["waiting_on"]
    trouble.check_waiting(CLOSED)
    assert trouble.client.cluster("alpha")["health"] == "ok"


def failed_job(trouble, evaluation, index=0):
    job = trouble.client.wait_state(f"{evaluation['id']}.{index}", "failed")
    assert job["ended_at"] and job["waiting_on"] is None
    return job


def test_output_dir_that_cannot_be_written_fails_and_names_it(trouble, refusals):
    job = failed_job(trouble, refusals["output_dir"])
    assert str(trouble.bed.shared / "images/out") in job["reason"]
    assert "Permission denied" in job["reason"]
    assert trouble.bed.jobs_of("alpha", job["evaluation"]) == []
    trouble.client.wait_end(job["evaluation"], "failed")


def test_mount_source_that_is_missing_fails_only_its_own_job(trouble, refusals):
    evaluation = trouble.client.wait_end(refusals["mount"]["id"], "failed")
    assert [job["state"] for job in evaluation["jobs"]] == ["succeeded", "failed", "succeeded"]
    assert str(trouble.bed.output / "no-such-data") in evaluation["jobs"][1]["reason"]
    names = [name for _, name in trouble.bed.jobs_of("alpha", evaluation["id"])]
    assert [name.split("-")[-2].rsplit(".", 1)[1] for name in names] == ["0", "2"]


def test_account_that_slurm_refuses_fails_with_the_words_of_sbatch(trouble, refusals):
    job = failed_job(trouble, refusals["account"])
    assert "Invalid account" in job["reason"]
    assert job["attempts"][0]["slurm_job_id"] is None
    assert not (Path(job["rundir"]) / ".secrets.env").exists()


@pytest.mark.parametrize("what, says", [
    ("option", "unrecognized option '--nosuchflag=zz'"), ("value", "Invalid --mail-type specification"),
    ("elsewhere", "sbatch_extra_flags.clusters is beta, and jobs are followed on the cluster alpha alone"),
])
def test_options_that_sbatch_does_not_take_and_other_clusters_fail_at_once(trouble, refusals, what, says):
    job = failed_job(trouble, refusals[what])
    assert says in job["reason"] and len(job["attempts"]) == 1
    for cluster in ("alpha", "beta"):
        assert trouble.bed.jobs_of(cluster, job["evaluation"]) == []


def test_the_clusters_own_name_may_be_told_to_sbatch(trouble, refusals):
    job = trouble.client.wait_state(refusals["here"]["id"] + ".0", "succeeded")
    assert len(trouble.bed.jobs_of("alpha", job["evaluation"])) == 1


def test_image_that_is_unknown_fails_with_the_line_of_the_log_that_tells(trouble, refusals):
    job = failed_job(trouble, refusals["image"])
    assert job["attempts"][0]["slurm_state"] == "FAILED"
    assert job["attempts"][0]["exit_code"] > 0
    assert f"client-{job['slurm_job_id']}.log" in job["reason"]
    assert "Could not import docker://registry.example/no-such-image:1" in job["reason"]


def test_evaluator_that_fails_shows_its_exit_code_and_last_words(trouble, refusals):
    client = trouble.client
    job = failed_job(trouble, refusals["evaluator"], 1)
    assert (job["attempts"][0]["slurm_state"], job["attempts"][0]["exit_code"]) == ("FAILED", 7)
    assert "ERROR told to fail (fail_with)" in job["reason"]
    assert "exit code 7" in job["reason"]
    assert len(job["attempts"]) == 1
    assert client.get(f"/v1/jobs/{job['id']}/results")["items"] == []
    evaluation = client.wait_end(job["evaluation"], "failed")
    assert [entry["state"] for entry in evaluation["jobs"]] == ["succeeded", "failed"]


def test_evaluator_that_fails_without_accounting_shows_its_exit_code(bed, model_server, make_daemon):
    client = make_daemon([cluster_settings(bed, "beta", "beta")]).start().client
    body = config(bed, model_server, task(extra={"fail_with": 7}), cluster="beta")
    job = client.wait_state(client.submit(body, model_server.env)["id"] + ".0", "failed")
    assert (job["attempts"][0]["slurm_state"], job["attempts"][0]["exit_code"]) == ("FAILED", 7)
    assert "ERROR told to fail (fail_with)" in job["reason"]


def takes_rsa():
    """Has the daemon a libssh2 that signs RSA with SHA-2, 1.11 or later?"""
    version = ctypes.CDLL("libssh2.so.1").libssh2_version
    version.restype = ctypes.c_char_p
    return version(0x010b00) is not None


def test_rsa_key_logs_in_or_is_refused_at_start_with_the_reason(bed, make_daemon, tmp_path):
    key = make_key(tmp_path / "rsa", "rsa")
    daemon = make_daemon([cluster_settings(bed, identity={"username": bed.env["NEL_USER"], "key_file": str(key)})])
    if takes_rsa():
        file = DIRECTORY / f"alpha/ssh/authorized_keys.{bed.env['NEL_USER']}"
        before = file.read_text()
        file.write_text(before + key.with_suffix(".pub").read_text())
        try:
            checks = daemon.start().client.post("/v1/clusters/alpha/check", 200)["checks"]
        finally:
            file.write_text(before)
        assert {item["name"]: item["ok"] for item in checks}["login"] is True
        return
    done = subprocess.run(daemon.arguments(), capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert str(key) in done.stderr
    assert "RSA" in done.stderr and "ed25519" in done.stderr
