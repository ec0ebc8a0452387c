"""What the service says of itself when its store is out of order, and what one address may take of it."""

import os
import re
import socket
import subprocess

import pytest
from conftest import CONFIG, Daemon


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def check_not_ready(nobody, ann, says):
    report = nobody.get("/readyz", 503).json()
    assert report["ready"] is False and re.search(says, report["checks"]["database"])
    reply = ann.submit(CONFIG, 503)
    assert reply.headers["Content-Type"] == "application/problem+json"


@pytest.fixture
def on_small_disk(small_disk):
    daemon = Daemon(small_disk)
    daemon.prepare()
    daemon.start()
    yield daemon
    daemon.stop()


def test_full_disk_is_told_and_nothing_is_accepted(on_small_disk, small_disk):
    daemon = on_small_disk
    ann, nobody = daemon.client("ann"), daemon.client(None)
    ann.submit(CONFIG)
    with open(small_disk / "filler", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) > 0:
                pass
        except OSError:
            pass
    check_not_ready(nobody, ann, "disk is full")
    os.unlink(small_disk / "filler")
    assert nobody.get("/readyz").json()["ready"] is True
    ann.submit(CONFIG)


def test_database_whose_file_is_gone_is_told_and_nothing_is_accepted(fresh):
    daemon = fresh()
    daemon.start()
    ann, nobody = daemon.client("ann"), daemon.client(None)
    first = ann.submit(CONFIG).json()["id"]
    os.rename(daemon.database, f"{daemon.database}.away")
    check_not_ready(nobody, ann, "moved or deleted|no database")
    os.rename(f"{daemon.database}.away", daemon.database)
    assert nobody.get("/readyz").json()["ready"] is True
    assert ann.get(f"/v1/evaluations/{first}").json()["id"] == first


def test_one_address_never_has_all_connections(fresh):
    daemon = fresh(limits=", connections_per_address: 50")
    daemon.start()
    idle = []
    for _ in range(60):
        connection = socket.create_connection(("127.0.0.1", daemon.port()))
        connection.settimeout(10)
        idle.append(connection)
    answered = 0
    for connection in idle:
        try:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answered += connection.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            pass  # refused
    # one place may have been taken by the connection that asked whether the daemon was up
    assert 49 <= answered <= 50
    with socket.create_connection(("127.0.0.1", daemon.port()), source_address=("127.0.0.2", 0)) as other:
        other.settimeout(10)
        other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 200")
    for connection in idle:
        connection.close()


def test_one_address_leaves_room_where_few_descriptors_are_permitted(fresh):
    """Of 600 descriptors 172 are for the connections of each of the two listeners, fewer than one address may have by default."""
    daemon = fresh()
    daemon.start("prlimit", "--nofile=600")
    idle = [socket.create_connection(("127.0.0.1", daemon.port())) for _ in range(300)]
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", daemon.port()), 10, source_address=("127.0.0.2", 0)) as other:
            other.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 200")
    for connection in idle:
        connection.close()
