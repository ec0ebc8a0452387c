"""run.sub of a conversion: its command has the evaluator's place, and what it made gets its name once it is whole."""

import shlex

import pytest
from run_sub import maker, seal

make = pytest.fixture(maker)


def conversion(make, command, output="", **more):
    run = make("none", **more)
    run.edit("    evaluation NODE_NAME", f"    evaluation NEL_CHECKPOINT literal '{run.stand}'\n"
             f"    evaluation NEL_CONVERTED literal {shlex.quote(str(run.artifacts / 'converted.new'))}\n    evaluation NODE_NAME")
    run.edit("readonly NEL_PRE_CMD=''", f"readonly NEL_PRE_CMD={shlex.quote(command)}")
    run.edit("readonly NEL_POST_CMD=''", f"readonly NEL_POST_CMD=''\nreadonly NEL_CONVERSION='{output}'")
    return run


def made(run):
    folder = run.job_dir / "converted"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()} if folder.exists() else None


def test_what_was_converted_is_beside_the_artifacts_when_it_is_whole(make):
    run = conversion(make, 'echo "$NEL_CHECKPOINT" >"$NEL_CONVERTED/from"\nmkdir "$NEL_CONVERTED/hf"\necho w >"$NEL_CONVERTED/hf/weights"', "hf")
    assert run.run() == 0, run.log
    assert made(run) == {"from": f"{run.stand}\n", "hf/weights": "w\n"}
    assert not (run.artifacts / "converted.new").exists() and seal(run)[0] == "conversion"
    options, env, _ = run.steps()["evaluation"]
    assert list(run.steps()) == ["evaluation"] and env["NEL_CHECKPOINT"] == str(run.stand)
    assert not (run.stand / "evaluator-argv").exists()


@pytest.mark.parametrize("command, output, why", [
    ('echo half >"$NEL_CONVERTED/weights"; exit 3', "", "the conversion ended with exit code 3"),
    ('echo half >"$NEL_CONVERTED/weights"\nfalse\necho more >"$NEL_CONVERTED/more"', "", "the conversion ended with exit code 1"),
    ('echo half >"$NEL_CONVERTED/weights"\nfalse | cat\ntrue', "", "the conversion ended with exit code 1"),
    ("true", "", "wrote nothing"),
    ('rmdir "$NEL_CONVERTED"', "", "has removed NEL_CONVERTED"),
    ('rmdir "$NEL_CONVERTED"; ln -s / "$NEL_CONVERTED"', "", "put a link in its place"),
    ('touch "$NEL_CONVERTED/x"', "hf", "wrote no hf"),
    ('ln -s /etc "$NEL_CONVERTED/hf"', "hf", "symbolic link"),
    ('ln -s /etc "$NEL_CONVERTED/hf"', "hf/ssl", "symbolic link"),
])
def test_what_is_not_whole_never_gets_the_name(make, command, output, why):
    run = conversion(make, command, output)
    assert run.run() not in (0, 143) and why in run.log, run.log
    assert made(run) is None and seal(run) is None


def test_next_attempt_begins_anew_and_one_that_was_converted_is_not_again(make):
    run = conversion(make, 'if [[ ! -e $ARTIFACTS/again ]]; then touch "$ARTIFACTS/again" "$NEL_CONVERTED/half"; exit 3; fi\n'
                           'echo whole >"$NEL_CONVERTED/weights"')
    assert run.run() == 3, run.log
    run.edit("readonly NEL_ATTEMPT=1", "readonly NEL_ATTEMPT=2")
    assert run.run(job_id="43") == 0, run.log
    assert made(run) == {"weights": "whole\n"}
    steps = len(run.calls("srun"))
    run.edit("readonly NEL_ATTEMPT=2", "readonly NEL_ATTEMPT=3")
    assert run.run(job_id="44") == 0 and "an earlier attempt has converted it" in run.log, run.log
    assert made(run) == {"weights": "whole\n"} and len(run.calls("srun")) == steps and seal(run, 3)[0] == "conversion"
