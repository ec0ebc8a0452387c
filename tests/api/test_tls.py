"""TLS by setting: with a certificate of the test's own; the unix socket stays plain; plain text beyond loopback refused."""

import json
import re
import socket
import ssl
import subprocess

import pytest
import requests
from conftest import BINARY, CONFIG, UnixConnection


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name in ("one", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", "-days", "2", "-subj", "/CN=nel",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)
    return folder


def tls(folder, cert="one", key="one"):
    return f"tls: {{cert_file: {folder}/{cert}.crt, key_file: {folder}/{key}.key}}\n"


def test_tls_over_tcp_plain_over_unix(fresh, certificate):
    daemon = fresh(more=tls(certificate))
    daemon.start()
    base, trust = daemon.base.replace("http:", "https:"), str(certificate / "one.crt")
    token = {"Authorization": f"Bearer {daemon.tokens['ann']}"}
    assert requests.get(f"{base}/v1/whoami", headers=token, verify=trust, timeout=60).json()["user"] == "ann"
    reply = requests.post(f"{base}/v1/evaluations", CONFIG, headers={**token, "Content-Type": "application/yaml"},
                          verify=trust, timeout=60)
    assert reply.status_code == 202
    out = subprocess.run(["curl", "-sS", "--fail-with-body", "--cacert", trust, "-H", f"Authorization: Bearer {daemon.tokens['ann']}",
                          f"{base}/v1/evaluations/{reply.json()['id']}"], capture_output=True, text=True, timeout=60)
    assert json.loads(out.stdout)["id"] == reply.json()["id"], out.stderr
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{base}/healthz", verify=str(certificate / "other.crt"), timeout=60)
    with socket.create_connection(("127.0.0.1", daemon.port()), 30) as plain:  # no HTTP without TLS, and no harm
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" not in plain.recv(1000)
    old = ssl.create_default_context(cafile=trust)
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", daemon.port()), 30) as s, old.wrap_socket(s, server_hostname="localhost") as t:
        assert t.version() == "TLSv1.2"
    connection = UnixConnection(daemon.socket)
    connection.request("GET", "/v1/whoami")
    assert connection.getresponse().status == 200
    connection.close()
    assert "tls=yes" in daemon.log()


@pytest.mark.parametrize("cert, key, part", [("one", "other", "pair"), ("missing", "one", "missing.crt"),
                                             ("one", "missing", "missing.key")])
def test_tls_wrong_files_refused_at_start(fresh, certificate, cert, key, part):
    daemon = fresh(more=tls(certificate, cert, key))
    done = subprocess.run([BINARY, "--config", str(daemon.settings)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and part in done.stderr


@pytest.mark.parametrize("more, starts", [("", False), ("insecure: true\n", True), ("tls", True)])
def test_address_beyond_loopback_wants_tls_or_insecure(fresh, certificate, more, starts):
    daemon = fresh()
    text = re.sub(r"  - 127[.]0[.]0[.]1:\d+", "  - 0.0.0.0:0", daemon.settings.read_text())
    daemon.settings.write_text((tls(certificate) if more == "tls" else more) + text)
    done = subprocess.run([BINARY, "check", "--config", str(daemon.settings)], capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == starts
    if not starts:
        assert "0.0.0.0:0" in done.stderr and "insecure: true" in done.stderr
        done = subprocess.run([BINARY, "--config", str(daemon.settings)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "insecure: true" in done.stderr
        return
    daemon.start()
    scheme, verify = ("https", str(certificate / "one.crt")) if more == "tls" else ("http", None)
    assert requests.get(f"{scheme}://127.0.0.1:{daemon.port()}/healthz", verify=verify, timeout=60).status_code == 200
