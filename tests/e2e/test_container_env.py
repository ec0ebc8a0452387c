"""What a container gets besides what the config gives it: nothing, and files it writes have the account's own mode."""

import pwd
import shlex
import subprocess
import uuid
from pathlib import Path

import pytest

from configs import MODEL, config, task

# Of the job, the step and the shell: they differ from job to job.
# With srun's --mpi=pmix Slurm 24.11 adds names of Open MPI and of its own plugins' options.
OWN = ("SLURM", "_SLURM_SPANK_OPTION", "OMPI_MCA_", "PMI", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES")
SHELL = {"_", "SHLVL", "PWD", "OLDPWD", "HOSTNAME", "TMPDIR", "SSH_CLIENT", "SSH_CONNECTION"}


def ssh(bed, command):
    """Runs a command as the account, by a login of its own."""
    done = subprocess.run(["ssh", "-F", "none", "-p", str(bed.port("alpha")), "-i", bed.env["NEL_SSH_KEY"], "-o", "BatchMode=yes",
                           "-o", f"UserKnownHostsFile={bed.env['NEL_KNOWN_HOSTS']}", f"{bed.env['NEL_USER']}@127.0.0.1", command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read_env(text):
    pairs = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
    return {name: value for name, value in pairs.items() if not name.startswith(OWN) and name not in SHELL}


@pytest.fixture(scope="module")
def plain(bed):
    """The environment in a container that the account starts by sbatch and srun itself, and what was set up for it."""
    out = bed.output / f"plain-{uuid.uuid4().hex[:8]}"
    srun = f"srun --container-image={shlex.quote(bed.env['NEL_IMAGE'])} --no-container-mount-home --container-mounts={out}:/out"
    wrap = f"{srun} bash -c 'env -0 >/out/env; umask >/out/umask'"
    ssh(bed, f"mkdir -p {out} && sbatch --wait --parsable --account={bed.env['NEL_ACCOUNT']} --time=5 --output={out}/log "
             f"--wrap={shlex.quote(wrap)}")
    return read_env((out / "env").read_text()), (out / "umask").read_text()


@pytest.fixture(scope="module")
def ours(bed, daemon, model_server):
    """The same of a server and of an evaluation that the daemon starts."""
    body = config(bed, model_server, task(), deployment={
        "image": bed.env["NEL_IMAGE"], "checkpoint_path": bed.env["NEL_CHECKPOINT"], "served_model_name": MODEL,
        "pre_cmd": "env -0 >/results/server-env; umask >/results/server-umask"})
    body["defaults"] = [{"execution": "slurm/default"}, {"deployment": "vllm"}, "_self_"]
    del body["target"]
    body["evaluation"]["pre_cmd"] = "env -0 >/results/env; umask >/results/umask"
    evaluation = daemon.admin.submit(body)["id"]
    daemon.client.wait_end(evaluation)
    return Path(daemon.client.job(f"{evaluation}.0")["rundir"]) / "artifacts"


# PRIMARY_NODE is the launcher's, too; MASTER_IP and ALL_NODE_IPS are documented.
@pytest.mark.parametrize("file, own", [("env", {"PRIMARY_NODE", "NVIDIA_VISIBLE_DEVICES"}),
                                       ("server-env", {"PRIMARY_NODE", "MASTER_IP", "ALL_NODE_IPS", "PROC_ID", "NODES_PER_INSTANCE"})])
def test_container_has_the_environment_of_a_plain_one_and_what_is_documented(plain, ours, file, own):
    seen, known = read_env((ours / file).read_text()), plain[0]
    assert set(seen) - set(known) == own
    assert set(known) - set(seen) == set()
    assert {name: (seen[name], value) for name, value in known.items() if seen[name] != value} == {}
    assert not [name for name in seen if name.startswith(("NEL_S", "NEL_E", "NEL_J", "NEL_I", "PYXIS", "TAR_"))]
    assert (ours / file.replace("env", "umask")).read_text() == plain[1] == "0022\n"


@pytest.fixture
def account_umask(bed):
    """umask(VALUE): from then on, until the end of the test, the account's shells begin with it."""
    file = Path(pwd.getpwnam(bed.env["NEL_USER"]).pw_dir) / ".bashrc"
    before = file.read_bytes() if file.exists() else None

    def change(value):
        file.write_bytes(f"umask {value}\n".encode() + (before or b""))

    yield change
    if before is None:
        file.unlink()
    else:
        file.write_bytes(before)


@pytest.mark.parametrize("umask, modes", [("002", ("664", "775")), ("027", ("640", "750")), ("077", ("600", "700"))])
def test_files_in_a_shared_cache_have_the_mode_that_the_account_gives_its_files(bed, make_daemon, model_server, account_umask, umask, modes):
    account_umask(umask)
    cache = bed.output / f"cache-{uuid.uuid4().hex[:8]}"
    ssh(bed, f"mkdir -m 2775 {cache}")
    daemon = make_daemon().start()
    mounts = {"mount_home": False, "evaluation": {str(cache): "/cache"}}
    body = config(bed, model_server, task(pre_cmd="mkdir /cache/hub; echo weights >/cache/hub/file"), execution={"mounts": mounts})
    evaluation = daemon.admin.submit(body, model_server.env)["id"]
    daemon.client.wait_end(evaluation)
    found = [format((cache / name).stat().st_mode & 0o777, "o") for name in ("hub/file", "hub")]
    assert tuple(found) == modes
    job = Path(daemon.client.job(f"{evaluation}.0")["rundir"])
    # What is private is private whatever the account's own umask is.
    assert [format(path.stat().st_mode & 0o777, "o") for path in (job.parent, job, job / "artifacts", job / "logs")] == ["700"] * 4
