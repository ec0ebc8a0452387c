"""Attempts that choose their ports on one node at the same time never choose the same one."""

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

PORTS = Path(__file__).resolve().parents[2] / "daemon/slurm/script/run_body/08_ports.sh"
HOLD = 'source "$1"; shift; read -r go; hold_ports "$@"'
ATTEMPTS = 8
FIRST = 10000 + os.getpid() % 400 * 24  # this run's own: the same tests run beside with other builds, and would see what is bound here
CANDIDATES = [str(port) for port in range(FIRST, FIRST + 24)]


class Attempt:
    """One attempt's look for ports, which holds what it found until it is ended."""

    def __init__(self, node):
        self.process = subprocess.Popen(
            ["bash", "-c", HOLD, "bash", PORTS, *CANDIDATES], env={**os.environ, "SLURMD_NODENAME": node}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.ports = []
        self.reader = threading.Thread(target=self.read)

    def go(self):
        self.reader.start()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def read(self):
        for line in self.process.stdout:
            if line == "end\n":
                return
            self.ports.append(line.removeprefix("port ").strip())

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stdin.close()


def choose(count, node):
    attempts = [Attempt(node) for _ in range(count)]
    for attempt in attempts:
        attempt.go()
    for attempt in attempts:
        attempt.reader.join(30)
        assert not attempt.reader.is_alive()
    return attempts


@pytest.fixture
def node():
    return f"ports-test-{os.getpid()}"


@pytest.fixture(autouse=True)
def no_locks_left(node):
    yield
    for lock in Path(f"/tmp/nel-slurmd-ports.{os.getuid()}").glob(f"{node}.*"):
        lock.unlink()


@pytest.mark.parametrize("round_", range(5))
def test_attempts_at_the_same_time_never_hold_the_same_port(node, round_):
    attempts = choose(ATTEMPTS, node)
    held = [port for attempt in attempts for port in attempt.ports]
    for attempt in attempts:
        attempt.end()
    assert sorted(held) == CANDIDATES  # each once, and none lost


def test_ports_are_held_until_the_attempt_ends_and_taken_ones_are_left_alone(node):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as vLLM does
        taken.bind(("127.0.0.1", int(CANDIDATES[3])))
        taken.listen()
        (first,) = choose(1, node)
        assert first.ports == [port for port in CANDIDATES if port != CANDIDATES[3]]
    (second,) = choose(1, node)
    assert second.ports == []
    first.end()
    (third,) = choose(1, node)
    third.end()
    second.end()
    assert third.ports == CANDIDATES


def test_attempts_on_other_nodes_do_not_mind(node):
    (here,) = choose(1, node)
    (there,) = choose(1, node + "-b")
    here.end()
    there.end()
    assert here.ports == there.ports == CANDIDATES
