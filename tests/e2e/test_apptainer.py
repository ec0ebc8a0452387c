"""A cluster whose settings say containers: apptainer. Its Slurm knows Pyxis's options all the same, so that the same config can
be run in both ways; what shows that none of them was used is what Slurm would tell a task of them."""

import re
import uuid
from pathlib import Path

import pytest

from configs import MODEL, RESUMED_PARALLELISM, SCORE, config, task
from daemon import Daemon, cluster_settings
from resumed import check_resumed
from submissions import Site, artifact, lines_of, log, variables
from test_container_env import read_env
from testbed import DIRECTORY

ODD = "two  spaces, a 'single' and \"double\" quote, $(touch /tmp/nel-e2e-ran) `id` \\ \\n %41 \u00e4 ; end\nsecond line\n"
JUDGE = "nel-test/judge"
SHOW = """
env -0 >/results/env
umask >/results/umask
{
    pwd
    echo "$HOME"
    [[ ! -e /.singularity.d ]] || echo apptainer
    cat /datasets/config.json >/dev/null && echo 'reads the mount'
    touch /datasets/x 2>/dev/null || echo 'does not write to it'
    mkdir -p ~/.cache && touch ~/.cache/file && echo 'writes to its home'
    echo own >/tmp/file && echo 'writes to /tmp'
    [[ -n $PMIX_SERVER_TMPDIR && -d $PMIX_SERVER_TMPDIR ]] && echo 'reaches PMIx'
    [[ ! -e /shared/models ]] && echo 'sees nothing else'
    touch /opt/written 2>/dev/null && echo 'writes in the image'
} >/results/seen
"""
ENDINGS = ("reads the mount", "does not write to it", "writes to its home", "writes to /tmp", "reaches PMIx", "sees nothing else",
           "writes in the image")


@pytest.fixture(scope="module")
def daemon(bed, tmp_path_factory):
    """alpha, and gamma: the same login node and Slurm, with Apptainer on the PATH that its settings give."""
    path = f"{DIRECTORY}/lib/apptainer/bin:/usr/local/bin:/usr/bin:/bin"
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), [
        cluster_settings(bed), cluster_settings(bed, "gamma", "alpha", containers="apptainer", environment={"PATH": path})])
    daemon.start()
    yield daemon
    daemon.end()


def shown(bed, model_server, cluster, image):
    """A config whose task shows what its container is like; on one node, whose name is in variables that are compared."""
    mounts = {"mount_home": False, "evaluation": {f"{bed.shared}/models/llama-3.1-8b-instruct": "/datasets:ro",
                                                  str(bed.shared / "cache"): "/tmp/in/cache"}}
    variables = {"ODD": f"lit:{ODD}", "SECRET": "host:SECRET", "PATH": "lit:/opt/own:/opt/nel-test/bin:/usr/bin:/bin",
                 "LD_PRELOAD": "lit:/nowhere.so", "APPTAINER_BIND": "lit:/:/host", "TMPDIR": "lit:/results"}
    pre_cmd = "unset LD_PRELOAD APPTAINER_BIND\n" + SHOW
    return config(bed, model_server, task(env_vars=variables, pre_cmd=pre_cmd, container=image), cluster=cluster,
                  execution={"mounts": mounts, "mpi": "pmix", "sbatch_extra_flags": {"exclusive": True, "nodelist": "a1"}})


@pytest.fixture(scope="module")
def ended(bed, daemon, model_server):
    """(cluster, image): the job; all run beside each other."""
    places = {("alpha", "sqsh"): bed.env["NEL_SQSH_IMAGE"], ("gamma", "sqsh"): bed.env["NEL_SQSH_IMAGE"],
              ("alpha", "name"): "nel-test", ("gamma", "name"): "docker://nel-test"}
    env = {**model_server.env, "SECRET": f"s3cret {ODD}"}
    evaluations = {key: daemon.admin.submit(shown(bed, model_server, key[0], image), env)["id"] for key, image in places.items()}
    return lambda *key: daemon.client.job(daemon.client.wait_end(evaluations[key])["jobs"][0]["id"])


@pytest.mark.parametrize("image", ["name", "sqsh"])
def test_container_is_as_with_pyxis(bed, daemon, ended, image):
    job, other = ended("gamma", image), ended("alpha", image)
    assert set(daemon.client.scores(job["id"]).values()) == {SCORE}
    seen, known = variables(job), variables(other)
    assert seen["ODD"] == known["ODD"] == ODD
    assert seen["SECRET"] == known["SECRET"] == f"s3cret {ODD}"
    assert not [name for name in seen if name.startswith(("_SLURM_SPANK_OPTION", "NEL_SET", "NEL_ELSE", "APPTAINER", "SINGULARITY"))]
    assert seen["SLURM_PROCID"] == "0"
    seen, known = read_env(artifact(job, "env")), read_env(artifact(other, "env"))
    del seen["LD_LIBRARY_PATH"]  # where Apptainer puts the libraries of GPUs
    assert seen == known
    assert artifact(job, "umask") == artifact(other, "umask")
    cwd, home, *what = lines_of(job, "seen")
    assert (cwd, home) == ("/", lines_of(other, "seen")[1])
    assert ("apptainer" in what) == (image == "name")  # a plain squashfs has none of its files
    assert [line for line in what if line != "apptainer"] == list(ENDINGS)
    assert not Path("/tmp/nel-e2e-ran").exists()
    assert "s3cret" not in log(job, "*.log")


def test_container_that_ended_leaves_nothing_on_its_node(ended):
    ids = {ended("gamma", image)["slurm_job_id"] for image in ("name", "sqsh")}
    boxes = [(DIRECTORY / f"run/{node}.box").read_text().strip() for node in ("a1", "a2", "a3")]
    bases = [base for box in boxes for base in Path(f"/proc/{box}/root/tmp").glob("nel-slurmd-containers.*")]
    assert bases and ids.isdisjoint(room.name.split(".")[0] for base in bases for room in base.iterdir())


def test_servers_proxy_and_judge_on_three_nodes(bed, daemon, model_server):
    site = Site(bed, "gamma", 21000, model_server)
    post_cmd = ('curl -fsS -H "Content-Type: application/json" "$JUDGE_CHAT_URL" -d \'{"model": "\'"$JUDGE_MODEL_ID"\'", '
                '"messages": [{"role": "user", "content": "What is 1 + 0?"}]}\' >/results/judgement')
    body = site.vllm(task(limit=20, delay_s=0.05), deployment={"pre_cmd": "echo own >>/opt/nel-test/x || exit 3"},
                     execution={"num_nodes": 2, "num_instances": 2, "partition": "wide",
                                "proxy": {"config": {"haproxy_port": site.port + 7}}},
                     defaults=["deployment/vllm@auxiliary_deployments.judge"],
                     evaluation={"post_cmd": post_cmd},
                     auxiliary_deployments={"judge": {"checkpoint_path": None, "hf_model_handle": "org/judge",
                                                      "served_model_name": JUDGE, "port": site.port + 9}})
    evaluation = daemon.client.wait_end(daemon.admin.submit(body)["id"])
    job = daemon.client.job(evaluation["jobs"][0]["id"])
    assert set(daemon.client.scores(job["id"]).values()) == {SCORE}
    assert f'"model": "{JUDGE}"' in artifact(job, "judgement")
    shares = [len(re.findall(r'"POST /v1/\S+ HTTP/1.1" 200', log(job, f"server-{g}-*.log"))) for g in (0, 1)]
    assert sum(shares) == 20 and min(shares) > 0
    assert job["attempts"][0]["nodes"] == "a[1-3]" and MODEL in log(job, "server-0-*.log")


@pytest.mark.parametrize("changes, says", [
    ({"container": "registry.example#no/such-image:1"}, "Unable to handle docker://registry.example/no/such-image:1"),
    ({"container": "/shared/models/llama-3.1-8b-instruct/config.json"}, "image format not recognized: /shared/models/"),
])
def test_image_that_cannot_be_had_fails_with_apptainers_own_words(bed, daemon, model_server, changes, says):
    body = config(bed, model_server, task(**changes), cluster="gamma")
    evaluation = daemon.client.wait_end(daemon.admin.submit(body, model_server.env)["id"], "failed")
    job = daemon.client.job(evaluation["jobs"][0]["id"])
    assert says in job["reason"], job["reason"]
    assert "~/.config/enroot" not in job["failure"]["advice"]


def test_preempted_evaluation_saves_its_state_and_goes_on(bed, daemon, model_server):
    """Apptainer hears SIGTERM from Slurm and passes it on to who has heard it already."""
    work = task(12, 2, parallelism=RESUMED_PARALLELISM, extra={"hold_after": 4})
    client = daemon.client
    body = config(bed, model_server, work, cluster="gamma", execution={"gres": "gpu:8"})
    job_id = client.submit(body, model_server.env)["id"] + ".0"
    job = client.wait_job(job_id, lambda job: job["attempts"] and job["attempts"][0]["nodes"] and job["progress"] and
                          job["progress"]["requests"] > 0, "asks questions")
    bed.submit_as_bob("alpha", "--partition=urgent", f"--nodelist={job['attempts'][0]['nodes']}", "--gres=gpu:8", command="sleep 5")
    check_resumed(client, job_id, "PREEMPTED", 12)


def test_directory_is_no_image_where_people_share_the_account(bed, daemon, model_server):
    """What a link leads to may change after it was looked at."""
    link = bed.output / f"image-{uuid.uuid4().hex[:8]}.sif"
    link.symlink_to(bed.env["NEL_IMAGE"])
    client = daemon.admin
    evaluation = client.submit(config(bed, model_server, task(container=str(link)), cluster="gamma"), model_server.env)["id"]
    job = client.job(client.wait_end(evaluation, "failed")["jobs"][0]["id"])
    assert "where people share the account" in job["reason"]
    link.unlink()


def test_node_without_apptainer_says_so(bed, make_daemon, model_server):
    daemon = make_daemon([cluster_settings(bed, containers="apptainer")]).start()
    evaluation = daemon.client.wait_end(daemon.admin.submit(config(bed, model_server, task()), model_server.env)["id"], "failed")
    assert "has no apptainer and no singularity on its PATH" in daemon.client.job(evaluation["jobs"][0]["id"])["reason"]


def test_preflight_looks_for_apptainer_where_the_settings_say_so(bed, daemon):
    for job, says in (("false", "/lib/apptainer/bin/apptainer on alpha-login"), ("true", "/lib/apptainer/bin/apptainer")):
        checks = daemon.admin.post(f"/v1/clusters/gamma/check?job={job}", 200)["checks"]
        (found,) = [check for check in checks if check["name"] in ("pyxis", "apptainer")]
        assert found["name"] == "apptainer" and found["ok"] is True and says in found["message"], found
    assert "pyxis" in [check["name"] for check in daemon.admin.post("/v1/clusters/alpha/check", 200)["checks"]]
