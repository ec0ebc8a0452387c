"""The daemon may be ended at any moment: nothing is lost, nothing is doubled, and it stops soon."""

import random
import subprocess
import threading
import time
import uuid
from collections import Counter

import pytest
import requests

from configs import SCORE, config, task
from daemon import free_port
from testbed import answers, questions, wait_for

STOP_WITHIN_S = 20  # it takes 3 s at most, and longer on a busy machine

pytestmark = pytest.mark.usefixtures("out_of_walltime")  # which takes its minute meanwhile


def check_once(bed, client, evaluation_id, cluster="alpha"):
    """Every attempt is one Slurm job, every question was asked once, and the scores are those of an undisturbed run."""
    evaluation = client.wait_end(evaluation_id)
    expected = []
    for job in evaluation["jobs"]:
        job = client.job(job["id"])
        assert job["attempt"] == 1
        assert len(questions(job)) == len(set(questions(job))) == job["progress"]["requests"]
        assert sorted(questions(job)) == sorted(answers(job))
        assert set(client.scores(job["id"]).values()) == {SCORE}
        expected += [attempt["slurm_job_id"] for attempt in job["attempts"]]
    found = bed.jobs_of(cluster, evaluation_id)
    assert sorted(expected, key=int) == [job_id for job_id, _ in found], found
    assert set(Counter(name for _, name in found).values()) == {1}


def start_in_every_state(bed, model_server, daemon):
    """A daemon with jobs that run, that wait for their time, and, as the last thing, that were sent this moment."""
    client = daemon.start().client
    later = {"sbatch_extra_flags": {"exclusive": False, "begin": "now+60"}}
    evaluations = [client.submit(config(bed, model_server, task(20, 2, parallelism=2)), model_server.env)["id"],
                   client.submit(config(bed, model_server, task(), execution=later), model_server.env)["id"]]
    client.wait_state(f"{evaluations[0]}.0", "running")
    client.wait_state(f"{evaluations[1]}.0", "pending")
    burst = config(bed, model_server, task(8), task(8))
    return evaluations + [client.submit(burst, model_server.env)["id"] for _ in range(4)]


def test_end_with_jobs_in_every_state_loses_and_doubles_nothing(bed, model_server, make_daemon):
    """SIGKILL for one daemon, SIGTERM for the other, side by side."""
    killed, stopped = make_daemon(), make_daemon()
    begun = [(daemon, start_in_every_state(bed, model_server, daemon)) for daemon in (killed, stopped)]
    killed.kill()
    stopped.stop()
    for daemon, evaluations in begun:
        daemon.start()
        states = {job["state"] for one in evaluations for job in daemon.client.evaluation(one)["jobs"]}
        assert states & {"queued", "submitting", "pending", "running"}
    for daemon, evaluations in begun:
        for one in evaluations:
            check_once(bed, daemon.client, one)


def test_kill_at_random_moments_during_submissions_loses_and_doubles_nothing(bed, model_server, make_daemon):
    """A client repeats a request whose reply it did not get, with the same Idempotency-Key."""
    daemon = make_daemon()
    daemon.start()
    body = {"config": config(bed, model_server, task(4, 0.2), task(4, 0)), "env": model_server.env}
    done = []

    def submit_patiently(count):
        for _ in range(count):
            key = str(uuid.uuid4())
            while True:
                try:
                    reply = requests.post(daemon.client.base + "/v1/evaluations", json=body, timeout=30,
                                          headers={**daemon.client.session.headers, "Idempotency-Key": key})
                    assert reply.status_code == 202, reply.text
                    done.append(reply.json()["id"])
                    break
                except requests.RequestException:
                    time.sleep(0.05)

    submitter = threading.Thread(target=submit_patiently, args=(8,))
    submitter.start()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(8):
        time.sleep(dice.uniform(0.02, 0.8))
        daemon.kill()
        daemon.start()
    submitter.join(120)
    assert len(done) == len(set(done)) == 8
    assert len(daemon.client.get("/v1/evaluations?limit=500")["items"]) == 8
    for one in done:
        check_once(bed, daemon.client, one)


def test_kill_while_sbatch_waits_for_slurmctld_takes_the_first_submission(bed, model_server, make_daemon):
    """The remote side goes on without the daemon; the repeat finds what it did."""
    daemon = make_daemon()
    client = daemon.start().client
    warm = client.submit(config(bed, model_server, task()), model_server.env)["id"]
    client.wait_end(warm)
    bed.ctl("alpha", "slurmctld", "pause")
    try:
        evaluation = client.submit(config(bed, model_server, task(), task()), model_server.env)["id"]
        rundir = client.evaluation(evaluation)["jobs"][0]["rundir"]
        wait_for("sbatch has been called", lambda: subprocess.run(["test", "-d", f"{rundir}/.submitted/1"]).returncode == 0)
        daemon.kill()
    finally:
        bed.ctl("alpha", "slurmctld", "continue")
    daemon.start()
    check_once(bed, client, evaluation)


def ask_in_vain(client, path):
    """A request that is under way when the daemon stops: answered, refused or cut off."""
    try:
        client.session.get(client.base + path, timeout=60)
    except requests.ConnectionError:
        pass


@pytest.mark.parametrize("hung", ["sshd", "slurmctld"])
def test_sigterm_while_a_command_hangs_ends_soon_and_loses_nothing(bed, model_server, make_daemon, hung):
    daemon = make_daemon()
    client = daemon.start().client
    running = client.submit(config(bed, model_server, task(8, 1, parallelism=2)), model_server.env)["id"]
    client.wait_state(f"{running}.0", "running")
    bed.ctl("alpha", hung, "pause")
    try:
        hanging = client.submit(config(bed, model_server, task()), model_server.env)["id"]
        wait_for("an SSH session is busy", lambda: client.cluster("alpha")["sessions"]["busy"] > 0)
        reader = threading.Thread(target=ask_in_vain, args=(client, f"/v1/jobs/{running}.0/logs"))
        reader.start()
        took_s = daemon.stop()
        reader.join(30)
    finally:
        bed.ctl("alpha", hung, "continue")
    assert took_s < STOP_WITHIN_S
    daemon.start()
    for one in (running, hanging):
        check_once(bed, client, one)


def test_second_daemon_on_the_same_database_refuses_to_start(make_daemon, tmp_path):
    daemon = make_daemon()
    daemon.start()
    text = daemon.settings_file.read_text().replace(f"127.0.0.1:{daemon.port}", f"127.0.0.1:{free_port()}")
    other = tmp_path / "second.yaml"
    other.write_text(text)
    command = [*daemon.arguments()[:-1], str(other)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert str(daemon.database) in done.stderr and "another nel-slurmd" in done.stderr
    assert daemon.client.is_ready()
