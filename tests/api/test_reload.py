"""SIGHUP: the settings are read again while requests and chains go on."""

import os
import signal
import socket

import pytest
from conftest import CONFIG, wait_until

ON_GAMMA = CONFIG.replace("hostname: alpha.example", "hostname: gamma.example")


class Reloads:
    def __init__(self, daemon):
        self.daemon = daemon
        self.text = daemon.settings.read_text()

    def write(self, text):
        self.daemon.settings.write_text(text)

    def gamma(self, **more):
        extra = "".join(f"    {key}: {value}\n" for key, value in more.items())
        return self.text + self.text[self.text.index("  - name: alpha"):self.text.index("  - name: beta")] \
            .replace("alpha", "gamma") + extra

    def hup(self, said="msg=\"settings reloaded\""):
        begin = len(self.daemon.log())
        self.daemon.process.send_signal(signal.SIGHUP)
        return wait_until(lambda: said in self.daemon.log()[begin:] and self.daemon.log()[begin:], what=said)


@pytest.fixture
def reloads(fresh):
    daemon = fresh()
    daemon.start()
    return Reloads(daemon)


def clusters(client):
    return {item["name"]: item for item in client.get("/v1/clusters").json()["items"]}


def test_reload_adds_and_changes_clusters_and_limits(reloads):
    ann = reloads.daemon.client("ann")
    assert set(clusters(ann)) == {"alpha", "beta"}
    ann.submit(ON_GAMMA, status=422)
    reloads.write(reloads.gamma(poll_interval_s=7, max_sessions=9).replace("limits: {", "limits: {config_bytes: 2000, "))
    reloads.hup()
    assert clusters(ann)["gamma"]["poll_interval_s"] == 7 and clusters(ann)["gamma"]["sessions"]["max"] == 9
    assert ann.submit(ON_GAMMA).json()["cluster"] == "gamma"
    ann.submit(ON_GAMMA + "#" * 2000, status=413)
    reloads.write(reloads.gamma(poll_interval_s=8, max_sessions=2))
    reloads.hup()
    assert clusters(ann)["gamma"]["poll_interval_s"] == 8 and clusters(ann)["gamma"]["sessions"]["max"] == 2
    ann.submit(ON_GAMMA + "#" * 2000)


def test_reload_wrong_file_is_refused_and_the_old_settings_stay(reloads):
    ann = reloads.daemon.client("ann")
    reloads.write(reloads.gamma(poll_intervall_s=7))
    log = reloads.hup("the old ones stay in force")
    assert "poll_intervall_s" in log and "settings.yaml:" in log
    assert set(clusters(ann)) == {"alpha", "beta"}
    reloads.write(reloads.gamma())
    reloads.hup()
    assert set(clusters(ann)) == {"alpha", "beta", "gamma"}


def test_reload_what_wants_a_restart_is_said(reloads):
    reloads.write(reloads.text.replace("nel.db", "other.db").replace(f"  - 127.0.0.1:{reloads.daemon.port()}", "  - 127.0.0.1:1"))
    log = reloads.hup()
    assert log.count("wants a restart") == 2 and "key=database" in log and "key=listen" in log
    reloads.daemon.client("ann").submit()
    # Until then it is said each time, and no more once it is as it runs.
    log = reloads.hup()
    assert log.count("wants a restart") == 2 and "key=database" in log and "key=listen" in log
    reloads.write(reloads.text.replace("log_level: debug", "log_level: debug\ntrusted_proxy: {accounts: [nobody], user_header: X-U}"))
    log = reloads.hup()
    assert log.count("wants a restart") == 1 and "key=trusted_proxy" in log
    reloads.write(reloads.text)
    assert "wants a restart" not in reloads.hup()
    assert reloads.daemon.client("ann").request("GET", "/readyz").status_code == 200


def test_reload_removed_cluster_drains(reloads):
    """Its chain goes on with the old definition; the cluster goes when the chain has ended."""
    ann = reloads.daemon.client("ann")
    reloads.write(reloads.gamma())
    reloads.hup()
    job = ann.submit(ON_GAMMA).json()["id"] + ".0"
    wait_until(lambda: "gamma" in (ann.get(f"/v1/jobs/{job}").json()["waiting_on"] or ""))
    reloads.write(reloads.text)
    reloads.hup()
    assert clusters(ann)["gamma"]["state"] == "draining" and clusters(ann)["alpha"]["state"] == "active"
    error = ann.submit(ON_GAMMA, status=422).json()["errors"][0]
    assert error["pointer"] == "/execution/hostname" and "draining" in error["message"]
    # It is tried as before, not given up: its cluster is only away.
    assert "settings" not in ann.get(f"/v1/jobs/{job}").json()["waiting_on"]
    reloads.hup()  # again: it lives, so it stays
    assert clusters(ann)["gamma"]["state"] == "draining"
    ann.post(f"/v1/evaluations/{job[:16]}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{job[:16]}").json()["state"] == "cancelled")
    wait_until(lambda: "gamma" not in clusters(ann))
    ann.post(f"/v1/jobs/{job}/resume", status=409)


def test_drain_by_the_settings(reloads):
    ann = reloads.daemon.client("ann")
    reloads.write(reloads.gamma(drain="true"))
    reloads.hup()
    assert clusters(ann)["gamma"]["state"] == "draining"
    assert "draining" in ann.submit(ON_GAMMA, status=422).json()["errors"][0]["message"]
    reloads.write(reloads.gamma())
    reloads.hup()
    ann.submit(ON_GAMMA)


def test_reload_tells_the_service_manager(fresh, tmp_path, monkeypatch):
    daemon = fresh()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        daemon.start()
        monkeypatch.delenv("NOTIFY_SOCKET")
        assert manager.recv(4096) == b"READY=1"
        os.kill(daemon.process.pid, signal.SIGHUP)
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4096) == b"READY=1"
