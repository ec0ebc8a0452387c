"""bash completion of both programs, by bash itself: what would be offered for a line that is being written."""

import os
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY, ROOT

OFFER = """
source "$1"
program=$2
shift 2
COMP_WORDS=("$program" "$@")
COMP_CWORD=$#
COMPREPLY=()
"$function" "$program" "${@: -1}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(name, program, words, folder):
    done = subprocess.run(["bash", "-c", OFFER, "bash", ROOT / f"examples/completion/{name}.bash", program, *words], cwd=folder,
                          env={"PATH": os.environ["PATH"], "function": f"_{name.replace('-', '_')}"}, capture_output=True, text=True,
                          timeout=30, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("words, offer", [
    (["mig"], {"migrate"}),
    (["r"], {"render", "rotate-key"}),
    (["user", "se"], {"set-role"}),
    (["user", ""], {"add", "list", "set-role", "remove"}),
    (["token", "cr"], {"create"}),
    (["user", "add", "alice", "--role", ""], {"admin", "user", "viewer"}),
    (["user", "add", "alice", "--ro"], {"--role"}),
    (["backup", "a"], {"a.yaml"}),
    (["--config", "a"], {"a.yaml"}),
    (["check", "--s"], {"--syntax-only"}),
])
def test_completion_of_nel_slurmd(words, offer, tmp_path):
    (tmp_path / "a.yaml").touch()
    assert set(offered("nel-slurmd", BINARY, words, tmp_path)) == offer


def test_completion_of_nel_slurmd_offers_options_of_the_command_alone(tmp_path):
    assert "--strict" in offered("nel-slurmd", BINARY, ["render", "--"], tmp_path)
    assert "--strict" not in offered("nel-slurmd", BINARY, ["check", "--"], tmp_path)


@pytest.mark.parametrize("words, offer", [
    (["ki"], {"kill"}),
    (["wh"], {"whoami"}),
    (["ta"], {"tasks"}),
    (["hel"], {"help"}),
    (["secret", ""], {"set", "ls", "rm"}),
    (["run", "--over"], {"--overrides"}),
    (["run", "a"], {"a.yaml"}),
    (["run", "a.yaml", "--env-file", "a"], {"a.yaml"}),
    (["export", "x", "--format", "c"], {"csv"}),
    (["resume", "x", "--re"], {"--reset-budget"}),
])
def test_completion_of_nelctl(words, offer, tmp_path):
    (tmp_path / "a.yaml").touch()
    assert set(offered("nelctl", ROOT / "examples/nelctl", words, tmp_path)) == offer


def test_completion_of_nelctl_offers_each_command_of_its_help(tmp_path):
    words = set(offered("nelctl", ROOT / "examples/nelctl", [""], tmp_path))
    assert words >= {"run", "status", "info", "logs", "kill", "resume", "ls", "results", "export", "artifacts", "secret", "cluster",
                     "login", "logout", "page", "whoami", "clusters", "tasks", "help"}
    assert all(Path(word).name == word and word.isalpha() for word in words), words
