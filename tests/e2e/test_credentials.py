"""A login node that trusts an authority alone, and certificates that a command hands out for a few seconds each: a chain runs on
over many of them, no observation is missed, and each is asked for once. Then the command fails for a while: what is new waits with
that reason, what runs is found again, nothing is doubled.

$NEL_CREDENTIALS_LIFE_S (12) is how long a certificate is good, and $NEL_CREDENTIALS_FOR_S (40) how long all goes well; with 60 and
600 and a walltime of four minutes (as these numbers make it) the chain has several attempts."""

import os
import re
import signal
import subprocess
import time
from datetime import datetime

import pytest
import yaml

from configs import SCORE, config, task
from daemon import cluster_settings, free_port
from testbed import DIRECTORY, questions, wait_for

LIFE_S = int(os.environ.get("NEL_CREDENTIALS_LIFE_S", "12"))
FOR_S = int(os.environ.get("NEL_CREDENTIALS_FOR_S", "40"))
WALLTIME_S = max(600, FOR_S) if FOR_S < 300 else 240
AWAY = "the authority is away"


class Authority:
    """Its key, and the program that signs."""

    def __init__(self, folder):
        self.folder = folder
        self.calls_file = folder / "calls"
        self.broken = folder / "broken"
        self.program = folder / "hand out"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "ca"], check=True)
        self.program.write_text(f"""#!/bin/bash
set -e
date +%s.%N >>'{self.calls_file}'
if [[ -e '{self.broken}' ]]; then echo '{AWAY}' >&2; exit 1; fi
dir=$(mktemp -d -p '{folder}')
trap 'rm -r "$dir"' EXIT
ssh-keygen -q -t ecdsa -N '' -f "$dir/id"
ssh-keygen -q -s '{folder}/ca' -I "$NEL_CLUSTER $1" -n "$NEL_USERNAME" -V "+${{1}}s" "$dir/id.pub"
cat "$dir/id" "$dir/id-cert.pub"
""")
        self.program.chmod(0o755)

    def calls(self):
        return [float(line) for line in self.calls_file.read_text().split()] if self.calls_file.exists() else []


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def port(bed, authority):
    """Of a second sshd on alpha's login node, which lets nobody in by a plain key."""
    number = free_port()
    ssh = DIRECTORY / "alpha/ssh"
    kept = [line for line in (ssh / "sshd_config").read_text().splitlines()
            if not re.match("Port |AuthorizedKeysFile |PidFile ", line)]
    trusted, settings, pid = (ssh / f"certified.{name}" for name in ("ca", "config", "pid"))
    trusted.write_bytes((authority.folder / "ca.pub").read_bytes())
    settings.write_text("\n".join([f"Port {number}", "AuthorizedKeysFile none", f"TrustedUserCAKeys {trusted}", f"PidFile {pid}", *kept, ""]))
    bed.run("alpha", "/usr/sbin/sshd", "-f", str(settings), "-E", str(authority.folder / "sshd.log"))
    wait_for("sshd is there", pid.exists)
    yield number
    bed.run("alpha", "kill", pid.read_text().strip())
    wait_for("sshd has gone", lambda: not pid.exists())
    trusted.unlink()
    settings.unlink()


@pytest.fixture
def certified(bed, make_daemon, authority, port, tmp_path):
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(bed.host_key_line("alpha").replace(f":{bed.port('alpha')} ", f":{port} ") + "\n")
    identity = {"username": bed.env["NEL_USER"], "credential_command": [str(authority.program), str(LIFE_S)]}
    return make_daemon([cluster_settings(bed, identity=identity, port=port, known_hosts_file=str(known_hosts))]).start()


def log_in_anew(daemon):
    """Another number of sessions at most: what is asked from now on goes over new connections."""
    cluster = daemon.settings["clusters"][0]
    cluster["max_sessions"] = 9 - cluster.get("max_sessions", 4)
    daemon.settings_file.write_text(yaml.safe_dump(daemon.settings))
    daemon.process.send_signal(signal.SIGHUP)


def count(daemon, message):
    return daemon.log().count(f'msg="{message}"')


def age_s(at):
    return time.time() - datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def test_chain_runs_over_many_certificates_and_an_authority_that_is_away(bed, certified, authority, model_server):
    client = certified.client

    def submit(seconds):
        body = config(bed, model_server, task(seconds // 4 * 4, 1, parallelism=1),
                      execution={"walltime": f"00:{WALLTIME_S // 60:02d}:00"})
        return client.submit(body, model_server.env)["id"] + ".0"

    chain = submit(FOR_S + 2 * LIFE_S + 24)
    client.wait_job(chain, lambda job: job["state"] == "running" and job["progress"], "runs")
    end = time.monotonic() + FOR_S
    due = time.monotonic()
    while time.monotonic() < end:
        if time.monotonic() > due:
            log_in_anew(certified)
            due += LIFE_S
        shown = client.cluster("alpha")
        assert shown["observation"]["failures"] == 0 and shown["credentials"]["error"] is None, shown
        time.sleep(1)
    assert count(certified, "cluster cannot be observed") == 0 and count(certified, "remote work failed") == 0
    calls = authority.calls()
    gaps = [after - before for before, after in zip(calls, calls[1:])]
    assert len(calls) > FOR_S // LIFE_S and min(gaps) > 0.7 * LIFE_S, gaps  # at nine tenths
    wait_for("each run is counted", lambda: client.cluster("alpha")["credentials"]["runs"] == len(authority.calls()))
    logins = (authority.folder / "sshd.log").read_text().count("Accepted publickey")
    assert logins > FOR_S // LIFE_S, "each certificate was to be logged in with"

    authority.broken.touch()
    wait_for("the certificate has ended", lambda: age_s(client.cluster("alpha")["credentials"]["expires_at"]) > 0)
    assert count(certified, "cluster cannot be observed") == 0  # sshd keeps the sessions that are open
    log_in_anew(certified)
    wait_for("alpha cannot be observed", lambda: count(certified, "cluster cannot be observed") > 0)
    late = submit(4)
    waiting = client.wait_job(late, lambda job: (job["waiting_on"] or "").startswith("credentials for alpha: "), "waits")
    assert AWAY in waiting["waiting_on"] and waiting["state"] in ("queued", "submitting")
    assert AWAY in client.cluster("alpha")["credentials"]["error"]
    last = client.cluster("alpha")["credentials"]["expires_at"]

    def ends_told():
        """Of an earlier certificate, too, where its renewal had to wait for a worker."""
        events = client.get("/v1/events", params={"after": 0, "kind": "identity.expiring"})["items"]
        ends = [event["data"]["expires_at"] for event in events]
        return last in ends and ends

    ends = wait_for("its end is told of", ends_told)
    assert len(set(ends)) == len(ends), "once each"
    before = client.job(chain)
    assert before["ended_at"] is None
    authority.broken.unlink()

    for job_id in (late, chain):
        client.wait_end(job_id[:16])
        job = client.job(job_id)
        assert set(client.scores(job_id).values()) == {SCORE}
        assert len(questions(job)) == len(set(questions(job))) or job["attempt"] > 1
        assert len(bed.jobs_of("alpha", job_id[:16])) == job["attempt"]
    assert client.job(late)["attempt"] == 1
    assert client.job(chain)["attempt"] > 1 or WALLTIME_S > FOR_S
    assert "PRIVATE KEY" not in certified.log()
