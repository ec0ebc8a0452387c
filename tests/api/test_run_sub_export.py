"""The export that run.sub sends, and the script that exports."""

import signal
import subprocess

import pytest

from run_sub import RECORD, maker, wait_for

make = pytest.fixture(maker)


def test_export_script_runs_the_exporters_and_removes_its_secrets(make):
    run = make("commands")
    assert run.run() == 0, run.log
    (sbatch,) = run.calls("sbatch")
    arguments = sbatch["argv"][sbatch["argv"].index(f"{run.job_dir}/export.sub") :]
    (run.stand / "bin/srun").write_text(
        RECORD + 'record("srun")\nc = sys.argv.index("bash")\n'
        'os.environ["PATH"] = os.environ["STAND"] + "/container:" + os.environ["PATH"]\n'
        'os.execvp("bash", sys.argv[c:])\n'
    )
    for name in ("pip", "nemo-evaluator-launcher"):
        program = run.stand / "container" / name
        program.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >>"$STAND/export-calls"\n')
        program.chmod(0o755)
    environment = {"PATH": f"{run.stand}/bin:/usr/bin:/bin", "STAND": str(run.stand)}
    done = subprocess.run(["bash", *arguments], env=environment, timeout=60, check=False)
    assert done.returncode == 0
    config = f"--config {run.artifacts}/export_config.yml --job-dirs {run.output}"
    assert (run.stand / "export-calls").read_text().splitlines() == [
        "pip install nemo-evaluator-launcher",
        f"nemo-evaluator-launcher export 0123456789abcdef.0 --dest wandb {config}",
        f"nemo-evaluator-launcher export 0123456789abcdef.0 --dest mlflow {config}",
    ]
    call = run.calls("srun")[-1]
    assert call["argv"][:6] == [
        "--container-env=WANDB_API_KEY,WANDB_PROJECT",
        "--nodes=1",
        "--ntasks=1",
        "--container-image=python:3.12.7-slim",
        f"--container-mounts={run.artifacts}:{run.artifacts},{run.job_dir}/logs:{run.job_dir}/logs:ro",
        "--no-container-mount-home",
    ]
    assert call["env"]["WANDB_API_KEY"] == "s3cret-wandb"
    assert not (run.job_dir / ".export.env").exists()
    assert (run.job_dir / ".export/end").read_text() == "0\n"
    assert (run.artifacts / "export.tsv").read_text() == "wandb\t0\nmlflow\t0\n"


def test_run_with_a_refused_export_succeeds_and_leaves_no_secrets(make):
    run = make("commands")
    run.set("sbatch-refuses")
    assert run.run() == 0
    assert "warning: the export job was refused: sbatch: error: invalid partition" in run.log
    assert not (run.job_dir / ".export.env").exists()
    assert (run.job_dir / ".export/job").read_text() == "refused sbatch: error: invalid partition\n"


@pytest.mark.parametrize("said, known, noted", [
    ("77", None, "77"),
    ("77;alpha", None, "77"),
    ("sbatch: note: a budget of 4711\n77", None, "77"),
    ("4711\nsbatch: note: cheap\n77\n815", "12\n77", "77"),
    ("4711\n77;alpha", "77", "77"),
    ("4711\n77", None, None),  # a wrong id would be an export that is gone, whose secrets are removed under the real one
    ("thank you", None, None),
])
def test_run_takes_no_other_number_for_the_id_of_its_export(make, said, known, noted):
    run = make("commands")
    run.set("sbatch-says", said)
    if known:
        run.set("squeue-says", known)
    assert run.run() == 0
    text = (run.job_dir / ".export/job").read_text()
    assert text == (f"{noted}\n" if noted else "refused " + said.replace("\n", " ") + "\n")
    assert (run.job_dir / ".export.env").exists() == bool(noted)
    asked = [call["argv"] for call in run.calls("squeue") if "--format=%i" in call["argv"]]
    assert len(asked) == ("\n" in said)
    assert all(f"--name=nel-export-{run.job_dir.name}" in words for words in asked)


def test_run_does_not_wait_for_ever_to_send_its_export(make):
    run = make("commands")
    run.set("sbatch-hangs")
    run.edit("sbatch_timeout_s=300", "sbatch_timeout_s=8")
    assert run.run(SBATCH_EXCLUSIVE="user") == 0
    assert "warning: the export job was refused: sbatch did not answer within 8 s" in run.log
    assert not (run.job_dir / ".export.env").exists()
    (sbatch,) = run.calls("sbatch")
    assert not [name for name in sbatch["env"] if name.startswith("SBATCH_")]


def test_run_that_fails_leaves_nothing_of_an_earlier_export(make):
    run = make("commands")
    assert run.run() == 0, run.log
    run.set("evaluator-exit", "3")
    assert run.run() == 3
    assert not (run.job_dir / ".export").exists()
    assert len(run.calls("sbatch")) == 1


def test_run_that_is_cancelled_while_its_servers_stop_sends_no_export(make):
    run = make("commands")
    (run.stand / "container/vllm").write_text(
        '#!/bin/bash\ntrap \'touch "$STAND/stopping"; while [[ ! -e $STAND/told ]]; do /bin/sleep 0.1; done; /bin/sleep 1; exit\' TERM\ntouch "$STAND/healthy"\n'
        "while :; do /bin/sleep 0.1; done\n"
    )
    process = run.start()
    wait_for(run.stand / "stopping")
    process.send_signal(signal.SIGTERM)
    run.set("told")
    run.finish(process)
    assert "the evaluation ended with exit code 0" in run.log
    assert run.calls("sbatch") == []
    assert not (run.job_dir / ".export").exists()
