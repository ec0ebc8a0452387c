"""Every example config runs to scores as it stands, by nelctl with the one file of overrides, on the test clusters and with the
settings and stored secrets of examples/quickstart."""

import re
import subprocess

import pytest

from configs import SCORE
from daemon import Daemon, cluster_settings
from testbed import ROOT, wait_for

EXAMPLES = ROOT / "examples"
OVERRIDES = EXAMPLES / "quickstart.overrides"
CONFIGS = sorted(path.name for pattern in ("*.yaml", "*.json") for path in EXAMPLES.glob(pattern) if path.name != "nel-slurmd.yaml")
TIMEOUT_S = 400  # of all together: most want whole nodes, and there are two


def from_quickstart(name):
    """The value of a line `name=(...)` of the script."""
    return re.search(rf"^{name}=\((.*)\)$", (EXAMPLES / "quickstart").read_text(), re.M).group(1).split()


@pytest.fixture(scope="module")
def daemon(bed, tmp_path_factory):
    """With the site's groups of the examples, and who may use commands, as the quickstart's daemon."""
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), [cluster_settings(bed)], groups_dir=str(EXAMPLES / "groups"),
                    allow={"commands": ["admin", "user"]})
    daemon.start()
    for name in from_quickstart("secrets"):
        daemon.client.call("PUT", f"/v1/secrets/{name}", 201, data="a secret", headers={"Content-Type": "text/plain"})
    yield daemon
    daemon.end()


@pytest.fixture(scope="module")
def evaluations(daemon):
    """All at once; name of the file: id."""
    made = {}
    for name in CONFIGS:
        done = subprocess.run([EXAMPLES / "nelctl", "run", EXAMPLES / name, "--overrides", OVERRIDES], text=True,
                              capture_output=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "NEL_URL": daemon.client.base, "NEL_TOKEN": daemon.tokens["user"]})
        assert done.returncode == 0, done.stderr
        made[name] = done.stdout.strip()
    return made


def jobs_of(daemon, evaluations, name):
    ended = daemon.client.wait_end(evaluations[name], timeout_s=TIMEOUT_S)
    return [daemon.client.job(job["id"]) for job in ended["jobs"]]


@pytest.mark.parametrize("name", CONFIGS)
def test_example_runs_to_scores(daemon, evaluations, name):
    for job in jobs_of(daemon, evaluations, name):
        assert set(daemon.client.scores(job["id"]).values()) == {SCORE}


def text_of(daemon, job, path):
    return daemon.client.get(f"/v1/jobs/{job['id']}/{path}").text


def test_commands_example_leaves_its_summary(daemon, evaluations):
    (job,) = jobs_of(daemon, evaluations, "dataset-and-commands.yaml")
    assert re.search(r"in /results: .*results\.yml", text_of(daemon, job, "artifacts/summary.txt"), re.S)


def test_export_example_exports_to_both(daemon, evaluations):
    (job,) = jobs_of(daemon, evaluations, "auto-export.yaml")
    export = wait_for("the export ends", lambda: daemon.client.job(job["id"])["export"]["state"] not in ("pending", "running")
                      and daemon.client.job(job["id"])["export"])
    assert export["state"] == "succeeded", export
    (name,) = [log["name"] for log in daemon.client.get(f"/v1/jobs/{job['id']}/logs")["items"] if log["name"].startswith("export-")]
    for destination in ("mlflow", "wandb"):
        assert f"would export {job['id']} to {destination}" in text_of(daemon, job, f"logs/{name}")
