"""Configs for a cluster with containers: apptainer: written as for Pyxis, and refused where Apptainer cannot do as they say."""

import pytest
from conftest import CONFIG

ON_BETA = CONFIG.replace("alpha.example", "beta.example")



@pytest.fixture
def daemon(fresh):
    daemon = fresh()
    daemon.settings.write_text(daemon.settings.read_text().replace("accounting: none", "accounting: none\n    containers: apptainer"))
    daemon.start()
    return daemon


def plan(daemon, status, overrides=(), config=ON_BETA):
    body = {"config": config, "overrides": list(overrides)}
    return daemon.client("root-of-all").post("/v1/evaluations?dry_run=true", status, json=body).json()


def test_same_config_is_scripted_for_what_the_cluster_has(daemon):
    overrides = ["+evaluation.tasks.0.container=nvcr.io#nvidia/x:1"]
    script = plan(daemon, 200, overrides)["jobs"][0]["script"]
    assert "readonly NEL_CONTAINERS='apptainer'" in script
    assert "readonly NEL_EVALUATION_IMAGE='docker://nvcr.io/nvidia/x:1'" in script
    other = plan(daemon, 200, overrides, CONFIG)["jobs"][0]["script"]
    assert "NEL_CONTAINERS=" not in other and "readonly NEL_EVALUATION_IMAGE='nvcr.io#nvidia/x:1'" in other


@pytest.mark.parametrize("overrides, pointer, says", [
    (["+evaluation.tasks.0.container=me@nvcr.io#nvidia/x:1"], "/evaluation/tasks/0/container", "apptainer registry login"),
    (["+evaluation.tasks.1.container=podman://x:1"], "/evaluation/tasks/1/container", "the path of a .sif file"),
    (["+execution.mounts.evaluation={/data: '/data:ro+nosuid'}"], "/execution/mounts/evaluation/~1data", "takes ro and rw"),
    (["+execution.sbatch_extra_flags.container-image=x"], "/execution/sbatch_extra_flags/container-image", "option of Pyxis's"),
    (["+execution.sbatch_extra_flags.no-container-mount-home=true"], "/execution/sbatch_extra_flags/no-container-mount-home", "Pyxis's"),
])
def test_what_apptainer_cannot_do_422_at_its_place(daemon, overrides, pointer, says):
    errors = plan(daemon, 422, overrides)["errors"]
    assert [error["pointer"] for error in errors] == [pointer]
    assert says in errors[0]["message"]
    plan(daemon, 200, overrides, CONFIG)


def test_images_of_servers_and_of_the_proxy_422_at_their_places(daemon):
    config = ON_BETA.replace("deployment: none", "deployment: vllm").replace(ON_BETA[ON_BETA.index("target:"):ON_BETA.index("evaluation:")], "")
    overrides = ["deployment.checkpoint_path=/models/m", "deployment.served_model_name=m", "execution.num_nodes=2",
                 "execution.num_instances=2", "deployment.image=./x.sif", "execution.proxy.image=dockerd://haproxy",
                 "+execution.mounts.deployment={/c: '/c:rbind'}"]
    errors = plan(daemon, 422, overrides, config)["errors"]
    assert sorted(error["pointer"] for error in errors) == ["/deployment/image", "/execution/mounts/deployment/~1c", "/execution/proxy/image"]
    one = [override for override in overrides if "num_instances" not in override]
    errors = plan(daemon, 422, one, config)["errors"]
    assert "/execution/proxy/image" not in [error["pointer"] for error in errors]


@pytest.mark.parametrize("image, says", [
    ("/", "run directories of everybody lie below it"), ("/shared/out", "run directories of everybody lie below it"),
    ("/home/svc/.ssh", "it leads to keys"), ("/shared/out/20260131_120000-0a57bcf1e977cb35/mmlu.0", "into a run directory"),
    ("/shared/x/../out", "'..'")])
def test_directory_that_may_not_be_mounted_is_no_image_either_422(daemon, image, says):
    overrides = [f"+evaluation.tasks.0.container={image}"]
    errors = plan(daemon, 422, overrides)["errors"]
    assert [error["pointer"] for error in errors] == ["/evaluation/tasks/0/container"]
    assert f"{image} cannot be an image on cluster beta" in errors[0]["message"] and says in errors[0]["message"]


def test_prefixes_of_a_role_hold_for_directories_that_are_images(fresh):
    daemon = fresh(more="allow: {mounts: {admin: [/shared/models]}}\n")
    daemon.settings.write_text(daemon.settings.read_text().replace("accounting: none", "accounting: none\n    containers: apptainer"))
    daemon.start()
    for image, status in (("/data/sandbox", 422), ("/shared/models/sandbox", 200), ("/data/x.sif", 200), ("/data/x.sqsh", 200)):
        plan(daemon, status, [f"+evaluation.tasks.0.container={image}"])


def test_cluster_says_what_starts_its_containers(daemon):
    client = daemon.client("eve")
    found = {cluster["name"]: cluster["containers"] for cluster in client.get("/v1/clusters").json()["items"]}
    assert found == {"alpha": "pyxis", "beta": "apptainer"}
    assert client.get("/v1/clusters/beta").json()["containers"] == "apptainer"
