"""The recipes of README.md and api/README.md run as they stand, and examples/nelctl works, against a real daemon and cluster."""

import json
import os
import re
import subprocess

import pytest
import yaml

from configs import config, task
from daemon import Daemon, cluster_settings
from testbed import ROOT

NEL = ROOT / "examples/nelctl"
TEXT = (ROOT / "README.md").read_text() + (ROOT / "api/README.md").read_text()
RECIPES = dict(re.findall(r"^<!-- recipe: (.+?) -->\n```bash\n(.*?)^```$", TEXT, re.M | re.S))

# What each prints, as a pattern for all of it.
PRINTS = {
    "first submission": r'\["[0-9a-f]{16}\.0","\w+"\]\n',
    "first watch": r'(?s)data: ?\{.*"kind":"evaluation\.ended".*\}\n.*ifeval acc 0\.75\n',
    "function": r'\{"user":"e2e-user","role":"user".*\}\s*',
    "secret": r"API_KEY 20\S+Z\n",
    "submit YAML": r"[0-9a-f]{16}\n",
    "submit JSON": r"[0-9a-f]{16}\n",
    "submit an envelope": r'\{"purpose":"nightly","team":"x"\}\n',
    "submit a form": r"[0-9a-f]{16} \w+\n",
    "dry run": r"(?:/.*: .*\n)*(?:true \w+: .*\n)+",
    "safe repeats": r"([0-9a-f]{16})\n\1\n",
    "wait": r"succeeded\n[0-9a-f]{16}\.0 \S+ifeval succeeded .*\n",
    "poll with an ETag": r"200\n(304|200)\n",
    "list": r"(?:[0-9a-f]{16}\n)*(?:[0-9a-f]{16}\.0 \w+\n){5,}",
    "logs": r"(?s).*ifeval.*",
    "artifacts": r"(?s)(?:\d+ .+\n)*\d+ results\.yml\n.*",
    "results": r"(?s)ifeval acc acc 0\.75 ± \S+ of 4\nevaluation,job,.*\n.*\n\S+ ifeval 0\.75 \(0\)\n.*"
               r'\{"added":0,"changed":0,"removed":0,"unchanged":1\}\n',
    "equal runs": r"(?:[0-9a-f]{16} e2e-user 20\S+Z\n)+",
    "cancel and resume": r'[0-9a-f]{16}\n\{"total":1,.*\}\n',
    "events": r'(?:\d+ [\w.]+ \w*\n)*data: ?\{.*"kind":"evaluation\.ended".*\}\n',
    "webhook": r"0\n",
    "token": r'\{"user":"e2e-user","role":"viewer".*\}\s*',
    "identity": r"(?:\S+ )*ssh-ed25519 \S+.*\n(?:refused|ok): .+\n",
    "metrics": r"(?:nel_jobs\{.*\} \d+\n)+",
    "unix socket": r"alpha ok\nbeta \w+\n",
}


@pytest.fixture(scope="module")
def service(bed, model_server, tmp_path_factory):
    """A daemon with a socket, and a folder with the files that the recipes speak of: (daemon, folder)."""
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "daemon").mkdir()
    daemon = Daemon(folder / "daemon", [cluster_settings(bed), cluster_settings(bed, "beta", "beta", identity="per_user")])
    daemon.settings["listen"].append(f"unix:{folder}/api.sock")
    daemon.settings_file.write_text(yaml.safe_dump(daemon.settings))
    daemon.start()
    body = config(bed, model_server, task(4))
    body["target"]["api_endpoint"]["api_key_name"] = "API_KEY"
    key = model_server.env["MODELS_API_KEY"]
    (folder / "config.yaml").write_text(yaml.safe_dump(body))
    (folder / "config.json").write_text(json.dumps(body))
    (folder / "api_key").write_text(key)
    (folder / ".env").write_text(f"API_KEY={key}\n")
    yield daemon, folder
    daemon.end()


def environment(daemon, folder):
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "NEL_URL": daemon.client.base, "NEL_TOKEN": daemon.tokens["user"],
            "NEL_SOCKET": f"{folder}/api.sock", "NEL_INTERVAL": "0.5", "LC_ALL": "C.UTF-8"}


# What a recipe sets is there for the next one: its variables, which are in lower case, and its functions.
FRAME = """set -euo pipefail
test ! -e state || . ./state
trap '{ declare -p | grep -E "^declare -- [a-z]+=" || true; declare -f; } >state' EXIT
"""


def test_every_block_of_the_recipes_is_a_recipe_with_a_test():
    assert TEXT.count("```bash") == TEXT.count("```") / 2 == TEXT.count("<!-- recipe: ") == len(RECIPES)
    assert list(RECIPES) == list(PRINTS)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(service, name):
    daemon, folder = service
    done = subprocess.run(["bash", "-c", FRAME + RECIPES[name]], cwd=folder, env=environment(daemon, folder), text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert re.fullmatch(PRINTS[name], done.stdout), f"{done.stdout!r}\n{done.stderr}"


def nel(service, *words, code=0):
    daemon, folder = service
    done = subprocess.run([NEL, *words], cwd=folder, env=environment(daemon, folder), text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=180)
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout, done.stderr


def test_nel_from_a_config_to_scores(service):
    out, err = nel(service, "run", "config.yaml", "--env-file", ".env", "--label", "by=nel", "--wait")
    identity = out.split()[0]
    assert re.search(r"ifeval +acc +acc +0.75 ", out)  # --wait ends with the scores
    assert re.search(rf"^{identity}; succeeded; ", err, re.M)
    assert "ifeval" in nel(service, "logs", identity)[0]
    assert "ifeval" in nel(service, "logs", "-f", identity)[0]  # of an ended job: all of it, and its end
    assert "results.yml" in nel(service, "artifacts", f"{identity}.0")[0]
    assert "0.75" in nel(service, "artifacts", f"{identity}.0", "results.yml")[0]
    assert re.search(r"ifeval +acc +acc +0.75 +\S+ +4 ", nel(service, "results", identity)[0])
    assert "0.75" in nel(service, "results", "--matrix", "--label", "by=nel")[0]
    assert "succeeded" in nel(service, "status", identity)[0]


def test_nel_kill_and_resume(service):
    params = "++evaluation.tasks.ifeval.nemo_evaluator_config.config.params"
    # Of 4 questions all are answered before the cancellation, and a resumption has nothing left to do.
    longer = "-o", f"{params}.limit_samples=40", "-o", f"{params}.extra.delay_s=60"
    identity = nel(service, "run", "config.yaml", *longer)[0].strip()
    nel(service, "kill", identity)
    assert "cancelled" in nel(service, "status", identity, "--watch", code=3)[0]
    nel(service, "resume", f"{identity}.0", "--reset-budget")
    nel(service, "kill", identity)
    nel(service, "status", identity, "--watch", code=3)
