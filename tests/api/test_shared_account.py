"""People who share an account on a cluster are kept from each other's files, as far as a text shows."""

import pytest
from conftest import CONFIG

RUN = "20260131_120000-0a57bcf1e977cb35"
PREFIXES = "allow: {mounts: {user: [/shared/models]}}\n"


def plan(client, mounts, status, **changes):
    body = {"config": CONFIG, "overrides": [f"++execution.mounts.{key}={{{source}: /m}}" for key, source in mounts.items()]}
    return client.post("/v1/evaluations?dry_run=true", status, json={**body, **changes}).json()


@pytest.mark.parametrize("source", ["/", "/shared", "/shared/out", f"/shared/out/{RUN}/mmlu.0", "/home/svc/.ssh"])
def test_mount_of_what_is_not_the_evaluations_422_at_its_place(ann, source):
    errors = plan(ann, {"evaluation": source}, 422)["errors"]
    escaped = source.replace("/", "~1")
    assert [error["pointer"] for error in errors] == [f"/execution/mounts/evaluation/{escaped}"] * len(errors)
    assert f"{source} cannot be mounted on cluster alpha" in errors[0]["message"]


def test_mount_of_anything_else_is_planned(ann):
    script = plan(ann, {"evaluation": "/shared/models"}, 200)["jobs"][0]["script"]
    assert "/shared/models:/m" in script


@pytest.mark.parametrize("source, status", [
    ("/shared/teams", 422), ("/shared/teams/bob", 422), ("/shared/teams//bob/./", 422), ("/shared/teams/bob/out", 422),
    ("/shared/teams/bo", 200), ("/shared/teams/bob/out/models", 200), ("/shared/teams/bob0", 200)])
def test_mount_above_the_runs_of_another_evaluation_422(ann, bob, source, status):
    out = {"config": CONFIG, "overrides": ["execution.output_dir=/shared/./teams//bob/out/"]}
    assert bob.post("/v1/evaluations", 202, json=out).json()["jobs"][0]["rundir"].startswith("/shared/teams/bob/out/2")
    body = plan(ann, {"evaluation": source}, status)
    if status == 422:
        assert "run directories of everybody lie below it" in body["errors"][0]["message"]


def test_dataset_of_another_run_422(ann):
    override = f"++evaluation.tasks.0.dataset_dir=/shared/out/{RUN}/mmlu.0/artifacts"
    errors = plan(ann, {}, 422, overrides=[override])["errors"]
    assert [error["pointer"] for error in errors] == ["/evaluation/tasks/0"]


def test_home_of_the_shared_account_is_not_mounted_and_a_warning_says_so(ann):
    body = plan(ann, {}, 200, config=CONFIG.replace("mount_home: false", "mount_home: true"))
    assert "readonly NEL_EVALUATION_MOUNT_HOME='no'" in body["jobs"][0]["script"]
    (warning,) = [item for item in body["warnings"] if item["pointer"] == "/execution/mounts/mount_home"]
    assert "is not mounted on cluster alpha" in warning["message"]


def test_variables_that_would_act_on_srun_pass_it_under_another_name(ann):
    names = ["LD_PRELOAD", "BASH_ENV", "PATH", "SLURM_CONF", "PMIX_X", "https_proxy", "HOME", "ENROOT_CONFIG_PATH"]
    names += ["TAR_OPTIONS", "OPENSSL_CONF", "PERL5OPT", "PARALLEL", "PYTHONPATH", "LUA_CPATH", "HOSTALIASES", "POSIXLY_CORRECT"]
    plain = ["HF_HOME", "NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "MY_PATH"]
    variables = [f"++evaluation.env_vars.{name}=lit:x" for name in names + plain]
    job = plan(ann, {}, 200, overrides=[*variables, "++evaluation.env_vars.LD_AUDIT=host:S"], env={"S": "x"})["jobs"][0]
    rows = {line.split()[1] for line in job["script"].splitlines() if line.startswith("    evaluation ")}
    assert rows == {f"NEL_INSIDE_{name}" for name in [*names, "LD_AUDIT"]} | set(plain)
    assert "export NEL_INSIDE_LD_AUDIT='<redacted>'" in job["secrets"]


def test_prefixes_of_a_role_hold_for_that_role(fresh):
    daemon = fresh(more=PREFIXES)
    daemon.start()
    ann, admin = daemon.client("ann"), daemon.client("root-of-all")
    plan(ann, {"evaluation": "/shared/models/llama"}, 200)
    errors = plan(ann, {"evaluation": "/shared/data"}, 422)["errors"]
    assert "allow.mounts" in errors[0]["message"]
    plan(admin, {"evaluation": "/shared/data"}, 200)
