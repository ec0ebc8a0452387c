"""Every example config renders with `nel-slurmd render`, and what it warns of is known."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
BINARY = Path(os.environ.get("NEL_BIN", ROOT / "build/debug/nel-slurmd"))
SETTINGS = "nel-slurmd.yaml"
CONFIGS = sorted(path.name for path in [*EXAMPLES.glob("*.yaml"), *EXAMPLES.glob("*.json")] if path.name != SETTINGS)

# The two that show the shipped defaults; all others name versions and keep the home directory out.
WARNED = {"vllm-checkpoint.yaml": {"/execution/mounts/mount_home", "/deployment/tensor_parallel_size", "/deployment/image"},
          "vllm-hf-handle.yaml": {"/deployment/image"},
          "nim.yaml": {"/deployment/env_vars/NGC_API_KEY"}}


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A site with the groups of the examples and no cluster."""
    path = tmp_path_factory.mktemp("site") / "settings.yaml"
    path.write_text(f"listen: [127.0.0.1:1]\ndatabase: {path.parent}/nel.db\nmaster_key_file: {path.parent}/key\n"
                    f"groups_dir: {EXAMPLES}/groups\nclusters: []\n")
    return path


@pytest.fixture(params=CONFIGS)
def rendered(request, settings):
    done = run("render", EXAMPLES / request.param, "--config", settings)
    assert done.returncode == 0, done.stderr
    return request.param, json.loads(done.stdout)


def test_render_of_an_example_gives_scripts_that_bash_can_read(rendered, tmp_path):
    _, document = rendered
    assert document["jobs"]
    for job in document["jobs"]:
        script = tmp_path / "run.sub"
        script.write_text(job["script"])
        done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_render_of_an_example_warns_of_nothing_new(rendered):
    name, document = rendered
    warned = {warning["pointer"] for warning in document["warnings"]}
    assert warned - {"/execution/evaluation_gpu_visible"} == WARNED.get(name, set())


def test_examples_have_one_of_every_deployment_type():
    shipped = {path.stem for path in (ROOT / "daemon/config/groups/deployment").glob("*.yaml")}
    text = "".join((EXAMPLES / name).read_text() for name in CONFIGS)
    assert {kind for kind in shipped if f"deployment: {kind}\n" in text or f'"deployment": "{kind}"' in text} == shipped


def test_settings_example_is_right():
    done = run("check", "--syntax-only", "--config", EXAMPLES / SETTINGS)
    assert done.returncode == 0, done.stderr
    done = run("check", "--config", EXAMPLES / SETTINGS)
    assert done.returncode == 1 and "the SSH key /etc/nel-slurmd/keys/" in done.stderr
