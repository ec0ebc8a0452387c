"""execution.share_deployment over the API: off it changes nothing, on it changes nothing of the servers, and what cannot be is
refused."""

import copy
import json
import re

import pytest
import yaml
from conftest import CONFIG

BASE = {
    "defaults": [{"execution": "slurm/default"}, {"deployment": "vllm"}, "_self_"],
    "execution": {"hostname": "alpha.example", "account": "acct", "output_dir": "/shared/out", "num_nodes": 2},
    "deployment": {"served_model_name": "m"},
    "evaluation": {"tasks": [{"name": "hellaswag", "pre_cmd": "echo own"}, {"name": "gsm8k", "env_vars": {"A": "lit:1"}}]},
}
TYPES = {
    "vllm": {"checkpoint_path": "/models/m"},
    "vllm_ray": {"checkpoint_path": "/models/m"},
    "sglang": {"checkpoint_path": None, "hf_model_handle": "org/m"},
    "nim": {"image": "nim:1"},
    "trtllm": {"checkpoint_path": "/models/m"},
    "generic": {"image": "i:1", "command": "serve --port 8000", "port": 8000, "health_check_path": "/health"},
}
JUDGE = {"judge": {"type": "vllm", "image": "i:1", "checkpoint_path": "/models/judge", "served_model_name": "judge",
                   "port": 8001, "endpoints": {"chat": "/v1/chat/completions", "health": "/health"}}}


def config_of(kind="vllm", deployment=None, auxiliaries=None, **execution):
    made = copy.deepcopy(BASE)
    made["defaults"][1] = {"deployment": kind}
    made["deployment"].update(TYPES[kind] if deployment is None else deployment)
    made["execution"].update(execution)
    if auxiliaries:
        made["auxiliary_deployments"] = auxiliaries
    return made


def plan(client, config, status=200):
    return client.submit(json.dumps(config), status, "application/json", params={"dry_run": "true"}).json()


def texts(body):
    """Everything that would be sent, without what differs from one submission to the next."""
    own = re.search(r"(\d{8}_\d{6})-([0-9a-f]{16})$", body["rundir"])
    files = [[(file["path"], file["mode"], file["content"]) for file in job["files"]] for job in body["jobs"]]
    text = json.dumps([files, [(job["script"], job["secrets"]) for job in body["jobs"]]])
    return without_the_key(text.replace(own[0], "RUNDIR").replace(own[2], "ID"))


def without_the_key(text):
    """The evaluator is told the config as it was submitted."""
    return re.sub(r"(?:\\n|\n) *share_deployment: \w+", "", text)


def servers_of(script):
    """What run.sub is told of servers, and how many nodes it asks for; the directory of their artifacts is another."""
    begin, end = script.index("# The model servers"), script.index("# The variables of each container")
    nodes = re.findall(r"^#SBATCH --(?:nodes|ntasks|gres|time).*$", script, re.M)
    return nodes, re.sub(r"'/[^':]*/artifacts:/results", "'ARTIFACTS:/results", script[begin:end])


@pytest.mark.parametrize("value", [False, None])
def test_off_every_byte_is_as_without_the_key(admin, value):
    assert texts(plan(admin, config_of(share_deployment=value))) == texts(plan(admin, config_of()))


def test_without_a_deployment_every_byte_is_as_without_the_key(admin):
    config = yaml.safe_load(CONFIG)
    before = plan(admin, config)
    config["execution"]["share_deployment"] = 2
    after = plan(admin, config)
    assert texts(after) == texts(before)
    assert "no deployment to share" in str([w for w in after["warnings"] if w not in before["warnings"]])


@pytest.mark.parametrize("kind", TYPES)
def test_servers_of_every_type_are_as_for_each_task_alone(admin, kind):
    alone = plan(admin, config_of(kind, num_instances=2, auxiliaries=JUDGE))["jobs"]
    shared = plan(admin, config_of(kind, num_instances=2, auxiliaries=JUDGE, share_deployment=True))["jobs"]
    assert len({job["script"] for job in shared}) == 1
    for job in alone:
        assert servers_of(shared[0]["script"]) == servers_of(job["script"])
    for one, other in zip(shared, alone):
        contents = [{file["path"].rpartition("/")[2]: file["content"] for file in job["files"]
                     if not file["path"].startswith("shared.")} for job in (one, other)]
        assert without_the_key(contents[0]["config_ef.yaml"]) == contents[1]["config_ef.yaml"]


def test_more_at_once_than_tasks_is_no_error(admin):
    assert "readonly NEL_AT_ONCE=1000\n" in plan(admin, config_of(share_deployment=1000))["jobs"][0]["script"]


@pytest.mark.parametrize("value", [0, -1, 1001, 1.5, "true", "2", [], {}, "$(id)"])
def test_what_is_no_number_of_tasks_is_refused(admin, value):
    (error,) = plan(admin, config_of(share_deployment=value), 422)["errors"]
    assert error["pointer"] == "/execution/share_deployment" and "from 1 to 1000" in error["message"]
