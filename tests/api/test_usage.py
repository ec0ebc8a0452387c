"""What the program says about its use: as a whole, and of one command."""

import re
import subprocess

import pytest
from conftest import BINARY

COMMANDS = re.findall(r"^  ([a-z][a-z-]*)(?= |$)", subprocess.run([BINARY, "--help"], capture_output=True, text=True,
                                                             check=True).stdout, re.M)


def run(*words):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=60)


def test_h_is_help():
    assert run("-h").stdout == run("--help").stdout != ""


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
@pytest.mark.parametrize("help_option", ["--help", "-h"])
def test_help_of_a_command_is_of_that_one_and_does_nothing_else(command, help_option, tmp_path):
    settings = tmp_path / "no-settings.yaml"
    done = run(command, help_option, "--config", str(settings))
    assert (done.returncode, done.stderr) == (0, "")
    told = re.findall(r"^  ([a-z][a-z-]*)(?= |$)", done.stdout, re.M)
    assert told == [name for name in COMMANDS if name == command]
    assert "--config FILE" in done.stdout
    assert run(help_option, command).stdout == done.stdout


def test_help_of_what_is_no_command_is_an_error():
    done = run("chek", "--help")
    assert (done.returncode, done.stdout) == (2, "") and "there is no command chek; did you mean check?" in done.stderr
