"""Fixtures: real clusters, a model server, and the real daemon.

The suite needs root (for the clusters) and nobody else's work on the clusters in $NEL_CLUSTER_DIR (default
/tmp/nel-clusters), for it stops parts of them. It brings up what is down, and takes the clusters down at the end when they
were not there before. $NEL_BIN is the daemon (default build/debug/nel-slurmd)."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
pytest.register_assert_rewrite("client", "daemon", "resumed", "testbed")

from configs import RESUMED_PARALLELISM, config, task  # noqa: E402
from daemon import BINARY, Daemon, cluster_settings  # noqa: E402
from testbed import ROOT, SCRIPTS, Testbed, wait_for  # noqa: E402

API_KEY = "sk-e2e-model-server-key"


def pytest_addoption(parser):
    parser.addoption("--write", action="store_true", help="test_openapi_examples.py: take the real replies into openapi.yaml")


def pytest_configure():
    """A run that is ended from outside ends what it has started, too."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", 1))


@dataclass
class ModelServer:
    url: str  # of chat completions, as the nodes reach it
    env: dict  # what a submission says


@pytest.fixture(scope="session")
def bed():
    assert BINARY.exists(), f"{BINARY} is not built"
    was_up = Testbed.is_up()
    Testbed.bring_up()
    bed = Testbed.load()
    bed.ctl("alpha", "idle")
    bed.ctl("beta", "idle")
    yield bed
    if was_up:
        Testbed.bring_up()  # puts right what a failed test left stopped
    else:
        Testbed.take_down()


@pytest.fixture(scope="session")
def model_server(bed, tmp_path_factory):
    """An OpenAI-compatible endpoint on this machine that wants a key."""
    log = tmp_path_factory.mktemp("model-server") / "log"
    command = [SCRIPTS / "model-server", "--port", "0", "--model", "meta/llama-3.1-8b-instruct", "--api-key", API_KEY]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    port = wait_for("the model server serves", lambda: re.search(r"http://[^ ]*:(\d+)", log.read_text())).group(1)
    yield ModelServer(f"http://{bed.env['NEL_HOST_ADDR']}:{port}/v1/chat/completions", {"MODELS_API_KEY": API_KEY})
    process.terminate()
    process.wait(60)


@pytest.fixture
def make_daemon(bed, tmp_path):
    """make_daemon(clusters=None, **settings): a daemon, not yet started, for this test alone."""
    made = []

    def make(clusters=None, **settings):
        directory = tmp_path / f"daemon{len(made)}"
        directory.mkdir()
        made.append(Daemon(directory, clusters or [cluster_settings(bed)], **settings))
        return made[-1]

    yield make
    for daemon in made:
        daemon.end()


@pytest.fixture(scope="module")
def daemon(bed, tmp_path_factory):
    """A daemon that the tests of a module share: alpha and beta."""
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), [cluster_settings(bed, name, name) for name in ("alpha", "beta")])
    daemon.start()
    yield daemon
    daemon.end()


@pytest.fixture(scope="session")
def out_of_walltime(bed, model_server, tmp_path_factory):
    """A job on beta with the shortest walltime that Slurm has, and work for more; (daemon, job id). Slurm needs a
    minute or two for it, so test_restart.py starts it, and test_walltime.py waits for it."""
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), [cluster_settings(bed, "beta", "beta")])
    daemon.start()
    work = task(40, 1, parallelism=RESUMED_PARALLELISM, extra={"hold_after": 10})
    body = config(bed, model_server, work, cluster="beta", execution={"walltime": "00:01:00"})
    evaluation = daemon.client.submit(body, model_server.env)["id"]
    yield daemon, f"{evaluation}.0"
    if daemon.client.evaluation(evaluation)["state"] == "running":
        daemon.client.post(f"/v1/evaluations/{evaluation}/cancel", 202)
        daemon.client.wait_end(evaluation, "cancelled")
    daemon.end()


class Quickstart:
    """examples/quickstart, which builds and has a cluster of its own; so it runs beside the other tests. It takes an
    interruption also where these tests run in a shell's background, which has SIGINT ignored."""

    def __init__(self, directory, *arguments):
        self.log_file = directory / f"log{len(list(directory.iterdir()))}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("NEL_")}
        self.environment["TMPDIR"] = str(directory)
        self.directory = directory
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen([ROOT / "examples/quickstart", *arguments], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=directory, env=self.environment, start_new_session=True,
                                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def text(self):
        return self.log_file.read_text(errors="replace")

    def wait_for(self, what, timeout_s):
        wait_for(what, lambda: what in self.text() or self.process.poll() is not None, timeout_s)
        assert what in self.text(), self.text()[-4000:]

    def wait(self, timeout_s):
        return self.process.wait(timeout_s), self.text()

    def states(self):
        """The directories that runs have left."""
        return sorted(self.directory.glob("nel-quickstart.*"))

    def stop(self):
        """What --stop says, with which everything that was left must go."""
        said = ""
        for state in self.states():
            done = subprocess.run([ROOT / "examples/quickstart", "--stop", state], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, env=self.environment, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
            said += done.stdout
        assert self.states() == []
        return said

    def processes(self):
        """Those that have its directory among their arguments or in their environment."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes() if entry.name.isdigit() else b""
            except OSError:
                continue
            if f"{self.directory}/nel-quickstart".encode() in text:
                found.append(text)
        return found

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(120)
        self.stop()
        shutil.rmtree(self.directory)


def quickstart_directory():
    """Through which the accounts of its cluster find their way; pytest's own are for root alone."""
    directory = Path(tempfile.mkdtemp(prefix="nel-e2e-"))
    directory.chmod(0o755)
    return directory


@pytest.fixture(scope="session")
def quickstart(bed):
    """One that stays up."""
    run = Quickstart(quickstart_directory(), "--keep")
    yield run
    run.end()


@pytest.fixture
def make_quickstart(bed):
    runs = []

    def make(*arguments, beside=None):
        runs.append(Quickstart(beside.directory if beside else quickstart_directory(), *arguments))
        return runs[-1]

    yield make
    for run in runs:
        if run.directory.exists():
            run.end()


@pytest.fixture(scope="session", autouse=True)
def _beside(request):
    """Starts at once what takes long and only waits."""
    if any("quickstart" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("quickstart")


def pytest_collection_modifyitems(items):
    """What was started beside the others comes last."""
    items.sort(key=lambda item: "quickstart" in " ".join(item.fixturenames))
