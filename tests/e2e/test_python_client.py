"""The Python client as its users have it: installed by pip, its notebook run from a config to a table, on a real cluster."""

import os
import subprocess

import pytest
import yaml

from configs import config, task
from testbed import ROOT


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter of a virtual environment with the client in it, and Debian's libraries beside."""
    folder = tmp_path_factory.mktemp("venv")
    source = folder / "source"
    subprocess.run(["cp", "-r", ROOT / "examples/python", source], check=True)  # a build leaves files there
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-build-isolation", source],
                   check=True)
    return folder / "bin/python"


def test_the_notebook_goes_from_a_config_to_a_table(daemon, bed, model_server, python, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config(bed, model_server, task(4), task(8))))
    environment = {"PATH": os.environ["PATH"], "NEL_URL": daemon.client.base, "NEL_TOKEN": daemon.tokens["user"], **model_server.env,
                   "LC_ALL": "C.UTF-8", "HOME": str(tmp_path)}
    done = subprocess.run([python, ROOT / "examples/python/notebook.py"], cwd=tmp_path, env=environment, text=True,
                          capture_output=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "signed in as e2e-user"
    rows = [line.split() for line in lines if " acc " in line and not line.startswith("[")]
    assert sorted(row[:4] for row in rows) == [["ifeval", "acc", "acc", "0.75"], ["ifeval", "acc", "acc", "0.75"]], done.stdout
    assert "2/2" in done.stderr and "2 succeeded" in done.stderr


def test_a_log_is_followed_and_an_artifact_fetched(daemon, bed, model_server, python, tmp_path):
    evaluation = daemon.client.submit(config(bed, model_server, task(4, 1, parallelism=1)), model_server.env)["id"]
    program = ("import sys; from nel_slurmd import Client\n"
               "nel = Client(); text = ''.join(nel.follow_log(sys.argv[1]))\n"
               "assert text == nel.log(sys.argv[1]) or nel.log(sys.argv[1]) in text, text\n"
               "print(nel.job(sys.argv[1] + '.0')['state'], nel.download(sys.argv[1], 'results.yml', 'results.yml').stat().st_size > 0)\n")
    environment = {"PATH": os.environ["PATH"], "NEL_URL": daemon.client.base, "NEL_TOKEN": daemon.tokens["user"], "HOME": str(tmp_path)}
    done = subprocess.run([python, "-c", program, evaluation], cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "succeeded True\n"
