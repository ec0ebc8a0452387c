"""Variables that would act on srun, Pyxis or a shell before the container arrive in it, and act nowhere before."""

import subprocess
from pathlib import Path

import pytest

from configs import config, task

ROOT = Path(__file__).resolve().parents[2]

# Would each end, or mark, what reads it on the host: a library that is not there, a PATH without anything, a file to source.
VARIABLES = {
    "LD_PRELOAD": "/nowhere/evil.so",
    "PATH": "/opt/own/bin:/opt/nel-test/bin:/usr/bin:/bin",
    "BASH_ENV": "/tmp/nel-e2e-bash-env",
    "SLURM_JOB_NAME": "renamed",
    "SRUN_DEBUG": "5",
    "HOME": "/tmp/own home",
    "ENROOT_CONFIG_PATH": "/nowhere",
}
SHOW = "".join(f'printf "{name}=%s\\n" "${name}" >>/results/seen\n' for name in VARIABLES) + "unset LD_PRELOAD\n"


@pytest.mark.parametrize("source", ["lit", "host"])
def test_variables_act_in_the_container_alone(bed, daemon, model_server, source):
    if source == "lit":
        variables, env = {name: f"lit:{value}" for name, value in VARIABLES.items()}, {}
    else:
        variables, env = {name: f"host:V_{name}" for name in VARIABLES}, {f"V_{name}": value for name, value in VARIABLES.items()}
    body = config(bed, model_server, task(limit=4, env_vars=variables, pre_cmd=SHOW))
    client = daemon.admin
    evaluation = client.submit(body, {**model_server.env, **env})["id"]
    client.wait_end(evaluation)
    job = client.job(f"{evaluation}.0")
    seen = client.call("GET", f"/v1/jobs/{job['id']}/artifacts/seen").text
    assert dict(line.split("=", 1) for line in seen.splitlines()) == VARIABLES
    log = client.call("GET", f"/v1/jobs/{job['id']}/logs/slurm-{job['slurm_job_id']}.log").text
    assert "ld.so" not in log and "srun: " not in log


WHO_HOLDS = """
mkdir -p fs/team/out bind home && mount --bind fs bind && cd / && HOME=$1/home
source "$2"
for path in bind bind/team bind/team/out bind/team/models; do
    mkdir -p "$1/$path" && refuse_source "$1/$path" "$1/fs/team/out" >/dev/null && echo "$path"
done
"""


def test_directory_above_the_run_directories_is_refused_by_its_other_name_too(tmp_path):
    mounts = ROOT / "daemon/slurm/script/run_body/09_mounts.sh"
    command = ["unshare", "-rm", "bash", "-c", WHO_HOLDS, "bash", str(tmp_path), str(mounts)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["bind", "bind/team", "bind/team/out"], done.stderr
