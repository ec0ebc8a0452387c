"""Campaigns: one evaluation a value, once over any crash, some at a time, in their order; and who may do what."""

import pytest
from conftest import CONFIG, Sshd, prepared_in, wait_until

PARAMETER = "target.api_endpoint.model_id"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    maker = prepared_in(tmp_path_factory.mktemp("campaigns"))
    daemon = next(maker)(more="evaluations: {keep_days: 3}\n")
    daemon.start()
    yield daemon
    next(maker, None)


def wanted(**more):
    return {"name": "curve", "config": CONFIG, "parameter": PARAMETER, "values": ["org/step-1", "org/step-2"], **more}


def make(client, status=201, headers=None, **more):
    return client.post("/v1/campaigns", status, json=wanted(**more), headers=headers).json()


def get(client, made):
    return client.get(f"/v1/campaigns/{made['id']}").json()


def submitted(client, made):
    return [v["value"] for v in get(client, made)["values"] if v["evaluation"]]


def end_one(client, made):
    """Cancels the evaluation that lives: it was never sent, since the cluster does not answer."""
    for value in get(client, made)["values"]:
        if value["evaluation"] and value["state"] not in ("cancelled", "refused"):
            client.post(f"/v1/evaluations/{value['evaluation']}/cancel")


def test_values_submitted_newest_first_at_most_live_at_once(server):
    ann = server.client("ann")
    made = make(ann, values=["org/final", "org/step-9", "org/step-10"], live=1)
    assert [v["step"] for v in made["values"]] == [None, 9, 10]
    for expected in (["org/step-10"], ["org/step-9", "org/step-10"], ["org/final", "org/step-9", "org/step-10"]):
        wait_until(lambda: submitted(ann, made) == expected, f"{expected} submitted")
        evaluations = ann.get(f"/v1/evaluations?label=campaign:{made['id']}").json()["items"]
        assert len(evaluations) == len(expected)
        assert sum(e["state"] != "cancelled" for e in evaluations) == 1
        end_one(ann, made)
    wait_until(lambda: get(ann, made)["state"] == "ended", "the end")
    assert {e["model"] for e in evaluations} == {"org/final", "org/step-9", "org/step-10"}
    ann.post(f"/v1/campaigns/{made['id']}/resume", 409)
    ann.post(f"/v1/campaigns/{made['id']}/cancel", 409)


def test_each_value_has_one_evaluation_though_the_daemon_is_killed(server):
    ann = server.client("ann")
    values = [f"org/step-{i}" for i in range(20)]
    made = make(ann, values=values, live=20, order="listed")
    for _ in range(3):
        server.process.kill()
        server.process.wait()
        server.start()
    ann = server.client("ann")
    wait_until(lambda: submitted(ann, made) == values, "all submitted")
    evaluations = ann.get(f"/v1/evaluations?label=campaign:{made['id']}&limit=100").json()["items"]
    assert sorted(e["model"] for e in evaluations) == sorted(values)
    assert {e["id"] for e in evaluations} == {v["evaluation"] for v in get(ann, made)["values"]}
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


def test_pause_resume_and_cancel(server):
    ann, bob, eve = server.client("ann"), server.client("bob"), server.client("eve")
    made = make(ann, live=1)
    wait_until(lambda: submitted(ann, made) == ["org/step-2"], "the first")
    bob.post(f"/v1/campaigns/{made['id']}/pause", 403)
    assert ann.post(f"/v1/campaigns/{made['id']}/pause").json()["state"] == "paused"
    assert ann.post(f"/v1/campaigns/{made['id']}/pause").json()["state"] == "paused"
    end_one(ann, made)
    assert ann.post(f"/v1/campaigns/{made['id']}/resume").json()["state"] == "active"
    wait_until(lambda: len(submitted(ann, made)) == 2, "the second")
    assert ann.post(f"/v1/campaigns/{made['id']}/cancel").json()["state"] == "cancelled"
    wait_until(lambda: all(v["state"] == "cancelled" for v in get(ann, made)["values"]), "what lives is cancelled")
    ann.post(f"/v1/campaigns/{made['id']}/resume", 409)
    assert made["id"] in [c["id"] for c in bob.get("/v1/campaigns?user=ann").json()["items"]]
    assert bob.get("/v1/campaigns?user=nobody").json()["items"] == []
    bob.get("/v1/campaigns/0000000000000000", 404)


def test_what_cannot_be_is_refused_at_once_and_nothing_is_stored(server):
    ann = server.client("ann")
    before = ann.get("/v1/campaigns").json()["items"]
    problem = ann.post("/v1/campaigns", 422, json=wanted(overrides=["execution.walltime=nonsense"])).json()
    assert problem["errors"]
    for wrong in ({"values": []}, {"values": ["a", "a"]}, {"values": ["it's"]}, {"values": ["${oc.env:HOME}"]},
                  {"values": [1]}, {"values": ["a\nb"]}, {"live": 0}, {"live": 101}, {"order": "random"},
                  {"parameter": "a=b"}, {"labels": {"campaign": "x"}}, {"watch": {}}):
        ann.request("POST", "/v1/campaigns", json=wanted(**wrong)).status_code == 400 or pytest.fail(str(wrong))
    assert ann.get("/v1/campaigns").json()["items"] == before


@pytest.mark.parametrize("parameter, says", [
    ("deployment.checkpoint_pth", "no key of the plan reads it, and every value would be the same evaluation; did you mean 'checkpoint_path'?"),
    ("deployment.checkpoint_path", "no key of the plan reads it"),  # nothing is deployed
    ("target.api_endpoint.modelid", "did you mean 'model_id'?"),
    ("tempratures.a", "no key of the plan reads it"),
    ("execution.partitoin", "did you mean 'partition'?"),
])
@pytest.mark.parametrize("values", [["/a/1", "/a/2"], ["/a/1"]])
def test_parameter_that_makes_no_difference_is_refused(server, parameter, says, values):
    ann = server.client("ann")
    problem = ann.post("/v1/campaigns", 422, json=wanted(parameter=parameter, values=values)).json()
    (error,) = problem["errors"]
    assert error["pointer"] == "/parameter" and error["message"].startswith(f"the parameter {parameter} makes no difference")
    assert says in error["message"]


PARAMS = "evaluation.nemo_evaluator_config.config.params"


@pytest.mark.parametrize("parameter", [
    "execution.partition", "execution.max_walltime", f"{PARAMS}.temperature", f"{PARAMS}.parallelism", "evaluation.env_vars.X",
    "target.api_endpoint.url", "deployment.checkpoint_path", "deployment.tensor_parallel_size", "deployment.gpu_memory_utilization",
    "deployment.of_the_config", "deployment.image", "export.mlflow.experiment_name",
])
def test_parameter_that_something_reads_is_taken(server, parameter):
    ann = server.client("ann")
    config, values = CONFIG, {"max_walltime": ["03:00:00", "04:00:00"], "X": ["lit:1", "lit:2"], "checkpoint_path": ["/c/1", "/c/2"],
                              "url": ["https://a.example/v1", "https://b.example/v1"]}.get(parameter.rsplit(".", 1)[1], ["1", "2"])
    if parameter.startswith("deployment."):
        config = CONFIG.replace("deployment: none", "deployment: vllm")
        config = config[:config.index("target:")] + ("deployment: {checkpoint_path: /c, served_model_name: m, of_the_config: 0,"
                                                     " extra_args: '--x ${deployment.of_the_config}'}\n") + config[config.index("evaluation:"):]
    made = make(ann, config=config, parameter=parameter, values=values)
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


def test_what_is_wrong_in_the_envelope_is_told_as_of_a_submission(server):
    ann = server.client("ann")
    problem = ann.post("/v1/campaigns", 400, json=wanted(overrides=[1], labels={"a:b": "c"}, env={"1": "x"})).json()
    assert [e["pointer"] for e in problem["errors"]] == ["/overrides/0", "/env/1", "/labels/a:b"]
    without = {k: v for k, v in wanted().items() if k != "config"}
    problem = ann.post("/v1/campaigns", 400, json=without).json()
    assert problem["detail"] == "/config: is missing: an object or a string of YAML" and problem["errors"][0]["pointer"] == "/config"
    text = '{"name": "curve", "parameter": "a.b",\n "values": ["x"], "config":\n   {"execution": {"type": "slurmm"}}}'
    problem = ann.post("/v1/campaigns", 422, data=text, headers={"Content-Type": "application/json"}).json()
    assert (3, 19) in [(e["line"], e["column"]) for e in problem["errors"]]  # of "type"


def sealed(server, made):
    return server.execute("SELECT t.sealed_env FROM campaign_texts t JOIN campaigns c ON c.seq = t.campaign WHERE c.id = ?",
                          made["id"])[0][0]


def test_env_is_each_values_kept_sealed_and_forgotten_at_the_end(server):
    ann = server.client("ann")
    config = CONFIG.replace("model_id: org/model", "model_id: org/model\n    api_key_name: SENT_KEY")
    ann.post("/v1/campaigns", 422, json=wanted(config=config))
    made = make(ann, config=config, env={"SENT_KEY": "very-secret-8472"}, live=1)
    wait_until(lambda: submitted(ann, made) == ["org/step-2"], "the first")
    assert b"8472" not in sealed(server, made) and "8472" not in ann.get(f"/v1/campaigns/{made['id']}").text
    end_one(ann, made)
    wait_until(lambda: len(submitted(ann, made)) == 2, "the second")
    ann.post(f"/v1/campaigns/{made['id']}/cancel")
    assert sealed(server, made) is None


def test_campaigns_that_are_over_are_pruned_with_their_evaluations(server):
    ann = server.client("ann")
    made = make(ann, values=["org/step-1"])
    wait_until(lambda: submitted(ann, made), "the submission")
    kept = make(ann, values=["org/step-1"])
    end_one(ann, made)
    wait_until(lambda: get(ann, made)["state"] == "ended", "the end")
    server.stop()
    server.execute("UPDATE campaigns SET updated_at = updated_at - 300000")
    server.execute("UPDATE evaluations SET ended_at = ended_at - 300000")
    server.start()
    ann = server.client("ann")
    wait_until(lambda: ann.request("GET", f"/v1/campaigns/{made['id']}").status_code == 404, "the pruning")
    assert get(ann, kept)["state"] == "active"
    ann.post(f"/v1/campaigns/{kept['id']}/cancel")


def test_idempotency_key_makes_one(server):
    ann = server.client("ann")
    key = {"Idempotency-Key": "of-a-campaign"}
    first = make(ann, headers=key)
    assert make(ann, headers=key)["id"] == first["id"]
    make(ann, 422, headers=key, live=7)
    ann.post(f"/v1/campaigns/{first['id']}/cancel")


def events(client, made):
    """Its own, in their order: (kind, value or state)."""
    found = client.get("/v1/events", params={"after": 0, "limit": 500, "kind": ["campaign.value_found", "campaign.ended"]})
    return [(e["kind"].split(".")[1], e["data"].get("value") or e["data"]["state"]) for e in found.json()["items"]
            if e["data"]["campaign"] == made["id"] and e["user"] == made["user"] and e["data"]["name"] == made["name"]]


def test_events_of_values_and_of_the_end_once_each(server):
    ann = server.client("ann")
    made = make(ann, live=2)
    found = [("value_found", "org/step-1"), ("value_found", "org/step-2")]
    assert events(ann, made) == found
    wait_until(lambda: len(submitted(ann, made)) == 2, "both")
    end_one(ann, made)
    wait_until(lambda: get(ann, made)["state"] == "ended", "the end")
    assert events(ann, made) == [*found, ("ended", "ended")]
    other = make(ann)
    for _ in range(2):
        ann.post(f"/v1/campaigns/{other['id']}/cancel")
    assert events(ann, other) == [*found, ("ended", "cancelled")]


@pytest.mark.parametrize("taken, given, reason", [
    ({"suspended": True}, {"suspended": False}, "the user ann is suspended"),
    ({"role": "viewer"}, {"role": "user"}, "a viewer cannot submit evaluations")])
def test_campaign_of_one_who_may_not_submit_any_more_is_paused(server, taken, given, reason):
    ann, admin = server.client("ann"), server.client("root-of-all")
    made = make(ann, live=1)
    wait_until(lambda: submitted(admin, made) == ["org/step-2"], "the first")
    admin.request("PATCH", "/v1/users/ann", json=taken)
    end_one(admin, made)
    wait_until(lambda: get(admin, made)["state"] == "paused", "the pause")
    assert get(admin, made)["reason"] == reason and submitted(admin, made) == ["org/step-2"]
    admin.request("PATCH", "/v1/users/ann", json=given)
    resumed = ann.post(f"/v1/campaigns/{made['id']}/resume").json()
    assert (resumed["state"], resumed["reason"]) == ("active", None)
    wait_until(lambda: len(submitted(ann, made)) == 2, "the second")
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


def test_secret_that_is_gone_pauses_a_campaign_and_refuses_no_value(server):
    ann = server.client("ann")
    config = CONFIG.replace("model_id: org/model", "model_id: org/model\n    api_key_name: CAMPAIGN_KEY")
    ann.post("/v1/campaigns", 422, json=wanted(config=config))
    ann.request("PUT", "/v1/secrets/CAMPAIGN_KEY", json={"value": "first"})
    made = make(ann, config=config, live=1)
    wait_until(lambda: submitted(ann, made) == ["org/step-2"], "the first")
    assert ann.request("DELETE", "/v1/secrets/CAMPAIGN_KEY").status_code == 204
    end_one(ann, made)
    wait_until(lambda: get(ann, made)["state"] == "paused", "the pause")
    paused = get(ann, made)
    assert "CAMPAIGN_KEY" in paused["reason"] and paused["values"][0]["state"] == "waiting"
    ann.request("PUT", "/v1/secrets/CAMPAIGN_KEY", json={"value": "second"})
    ann.post(f"/v1/campaigns/{made['id']}/resume")
    wait_until(lambda: len(submitted(ann, made)) == 2, "the second")
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


# ---- conversions ----

CONVERT = {"image": "img:1", "command": "cp -r $NEL_CHECKPOINT/. $NEL_CONVERTED", "output": "hf", "env_vars": {"NEL_X": "lit:1"}}


def converting(client, **more):
    """Two values; the cluster does not answer, so that conversions are queued."""
    return make(client, values=["/ckpt/step-1", "/ckpt/step-2"], convert=CONVERT, **more)


def states(client, made):
    return {v["step"]: v["state"] for v in get(client, made)["values"]}


def end_conversion(server, client, job, state):
    """As if it had ended so, while the daemon is down."""
    server.stop()
    evaluation = job.split(".")[0]
    server.execute("UPDATE jobs SET state = ?, reason = 'of the test', collected = 1, ended_at = 5 WHERE id = ?", state, job)
    server.execute("UPDATE evaluations SET state = ?, ended_at = 1900000000 WHERE id = ?", "succeeded" if state == "succeeded" else "failed", evaluation)
    server.start()
    return server.client("ann")


def test_value_is_evaluated_as_what_its_conversion_made(server):
    ann = server.client("ann")
    made = converting(ann, live=1, labels={"training": "a"})
    assert made["convert"] == CONVERT
    wait_until(lambda: states(ann, made) == {1: "waiting", 2: "converting"}, "the conversion of the newest")
    for _ in range(2):
        server.process.kill()
        server.process.wait()
        server.start()
    ann = server.client("ann")
    value = get(ann, made)["values"][1]
    job = value["conversion"]["job"]
    assert value["waiting_on"].startswith(f"conversion {job}, which is ") and value["evaluation"] is None
    assert ann.get(f"/v1/evaluations?label=campaign:{made['id']}").json()["items"] == []
    [conversion] = ann.get(f"/v1/evaluations?label=conversion:{made['id']}").json()["items"]
    assert conversion["labels"] == {"conversion": made["id"], "training": "a"}
    assert conversion["id"] == job.split(".")[0] and [j["task"] for j in ann.get(f"/v1/evaluations/{conversion['id']}").json()["jobs"]] == ["convert"]
    rundir = ann.get(f"/v1/jobs/{job}").json()["rundir"]
    ann = end_conversion(server, ann, job, "succeeded")
    # What is converted comes before the next conversion: one lives at a time.
    wait_until(lambda: submitted(ann, made) == ["/ckpt/step-2"], "its evaluation")
    assert states(ann, made)[1] == "waiting"
    [evaluation] = ann.get(f"/v1/evaluations?label=campaign:{made['id']}").json()["items"]
    assert evaluation["model"] == f"{rundir}/converted/hf" and evaluation["id"] == get(ann, made)["values"][1]["evaluation"]
    assert len(ann.get(f"/v1/evaluations?label=conversion:{made['id']}").json()["items"]) == 1
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


def test_conversion_that_fails_ends_its_value_until_somebody_resumes_it(server):
    ann = server.client("ann")
    made = converting(ann, live=2)
    wait_until(lambda: states(ann, made) == {1: "converting", 2: "converting"}, "both")
    job = get(ann, made)["values"][0]["conversion"]["job"]
    ann = end_conversion(server, ann, job, "failed")
    wait_until(lambda: states(ann, made) == {1: "failed", 2: "converting"}, "the failure")
    value = get(ann, made)["values"][0]
    assert value["conversion"]["reason"] == "of the test" and value["evaluation"] is None and get(ann, made)["state"] == "active"
    ann.post(f"/v1/jobs/{job}/resume")
    wait_until(lambda: states(ann, made)[1] == "converting", "it is tried again")
    assert ann.post(f"/v1/campaigns/{made['id']}/cancel").json()["state"] == "cancelled"
    # One may have been on its way to the cluster, which does not say whether it has it.
    wait_until(lambda: {v["conversion"]["state"] for v in get(ann, made)["values"]} <= {"cancelled", "cancelling"}, "both are cancelled")
    assert ann.get(f"/v1/evaluations?label=campaign:{made['id']}").json()["items"] == []


def test_campaign_ends_when_no_conversion_may_succeed_any_more(server):
    ann = server.client("ann")
    made = converting(ann, live=2)
    wait_until(lambda: states(ann, made) == {1: "converting", 2: "converting"}, "both")
    for value in get(ann, made)["values"]:
        ann.post(f"/v1/jobs/{value['conversion']['job']}/cancel")
    wait_until(lambda: get(ann, made)["state"] == "ended", "the end")
    assert states(ann, made) == {1: "cancelled", 2: "cancelled"}


def test_paused_campaign_evaluates_what_was_converted_once_it_goes_on(server):
    ann = server.client("ann")
    made = converting(ann, live=1)
    wait_until(lambda: states(ann, made)[2] == "converting", "the conversion")
    ann.post(f"/v1/campaigns/{made['id']}/pause")
    ann = end_conversion(server, ann, get(ann, made)["values"][1]["conversion"]["job"], "succeeded")
    assert states(ann, made) == {1: "waiting", 2: "converted"}
    ann.post(f"/v1/campaigns/{made['id']}/resume")
    wait_until(lambda: submitted(ann, made) == ["/ckpt/step-2"], "the evaluation")
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


def test_conversion_that_cannot_be_is_refused_at_once(server):
    ann = server.client("ann")
    for wrong, pointer in (({"gpus": -1}, "/convert/gpus"), ({"output": "../x"}, "/convert/output"), ({"imag": "x"}, "/convert/imag"),
                           ({"walltime": "soon"}, "/execution/walltime"), ({"env_vars": {"T": "host:NOBODY_HAS"}}, "/convert/env_vars/T")):
        reply = ann.request("POST", "/v1/campaigns", json=wanted(values=["/ckpt/a"], convert={**CONVERT, **wrong}))
        assert reply.status_code == 422 and reply.json()["errors"][0]["pointer"] == pointer, (wrong, reply.text)
        assert "convert" in reply.json()["detail"]
    for wrong in ({"values": ["org/relative"]}, {"convert": []}, {"labels": {"conversion": "x"}}):
        assert ann.request("POST", "/v1/campaigns", json=wanted(**{"values": ["/ckpt/a"], "convert": CONVERT, **wrong})).status_code == 400
    config = CONFIG + "convert: {image: x, command: y}\n"
    assert ann.post("/v1/evaluations", 422, data=config, headers={"Content-Type": "application/yaml"}).json()["errors"][0]["pointer"] == "/convert"


# ---- directories that are watched ----

@pytest.fixture(scope="module")
def watching(tmp_path_factory):
    """Its cluster beta is this machine, and is looked at every second."""
    folder = tmp_path_factory.mktemp("watching")
    sshd = Sshd(folder)
    maker = prepared_in(folder)
    daemon = next(maker)(beta_port=sshd.port)
    daemon.settings.write_text(daemon.settings.read_text().replace("accounting: none", "accounting: none\n    poll_interval_s: 1"))
    daemon.start()
    yield daemon
    next(maker, None)
    sshd.stop()


@pytest.fixture
def checkpoints(tmp_path):
    """A directory for checkpoints, and what writes one there."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()

    def write(name, marker=True):
        (folder / name).mkdir()
        (folder / name / "weights").write_text(name)
        if marker:
            (folder / name / "index.json").write_text("{}")

    return folder, write


def watch(client, folder, cluster="beta", quiet_s=2, **more):
    body = {k: v for k, v in wanted(**more).items() if k != "values"}
    return client.post("/v1/campaigns", 201, json={**body, "watch": {
        "cluster": cluster, "directory": f"{folder}/", "pattern": "step_*", "ready": {"file": "index.json", "quiet_s": quiet_s}}}).json()


def values_of(client, made):
    return [v["value"].rsplit("/", 1)[1] for v in get(client, made)["values"]]


def entries_of(client, made):
    return {e["name"]: e["state"] for e in get(client, made)["watch"]["entries"]}


def test_complete_checkpoints_become_values_and_others_are_shown(watching, checkpoints):
    ann = watching.client("ann")
    folder, write = checkpoints
    for name in ("step_9", "step_10", "step_x y", "step_a\nb", "step_\u00e9", "other"):
        write(name)
    write("step_11", marker=False)
    (folder / "step_12").symlink_to("step_9")
    (folder / "step_13").touch()
    made = watch(ann, folder, live=1)
    assert made["watch"]["looked_at"] is None and made["watch"]["directory"] == str(folder) and made["values"] == []
    wait_until(lambda: values_of(ann, made) == ["step_9", "step_10"], "both are values")
    shown = get(ann, made)
    assert [(v["value"], v["step"]) for v in shown["values"]] == [(f"{folder}/step_9", 9), (f"{folder}/step_10", 10)]
    assert entries_of(ann, made) == {"step_11": "incomplete", "step_12": "left_alone", "step_13": "left_alone", "step_x y": "left_alone",
                                     "step_a?b": "left_alone", "step_\u00e9": "left_alone"}
    assert shown["watch"]["entry_count"] == 6 and shown["watch"]["reason"] is None and shown["watch"]["looked_at"]
    wait_until(lambda: submitted(ann, made) == [f"{folder}/step_10"], "the newest alone is submitted")
    assert [e for e in events(ann, made)] == [("value_found", f"{folder}/step_9"), ("value_found", f"{folder}/step_10")]
    (folder / "step_11/index.json").write_text("{}")
    wait_until(lambda: values_of(ann, made) == ["step_9", "step_10", "step_11"], "the late marker")
    end_one(ann, made)
    wait_until(lambda: len(submitted(ann, made)) == 2, "the next")
    assert submitted(ann, made) == [f"{folder}/step_10", f"{folder}/step_11"]
    assert ann.post(f"/v1/campaigns/{made['id']}/cancel").json()["state"] == "cancelled"


def test_checkpoint_that_changes_between_looks_waits_anew(watching, checkpoints):
    """Its marker is there from the beginning."""
    ann = watching.client("ann")
    folder, write = checkpoints
    write("step_1")
    made = watch(ann, folder, quiet_s=3600)

    def settling():
        return dict(watching.execute("SELECT e.signature, e.since FROM campaign_entries e JOIN campaigns c ON c.seq = e.campaign "
                                     "WHERE c.id = ?", made["id"]))

    first = wait_until(settling, "the first look")
    watching.stop()
    watching.execute("UPDATE campaign_entries SET since = since - 4000")  # longer ago than quiet_s
    (folder / "step_1/weights").write_text("more")
    watching.start()
    ann = watching.client("ann")
    second = wait_until(lambda: settling().keys() != first.keys() and settling(), "the changed files")
    assert values_of(ann, made) == [] and min(second.values()) >= min(first.values())
    assert entries_of(ann, made) == {"step_1": "settling"}
    watching.execute("UPDATE campaign_entries SET since = since - 4000")
    wait_until(lambda: values_of(ann, made) == ["step_1"], "it has not changed any more")
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


def test_checkpoints_are_values_once_though_the_daemon_is_killed(watching, checkpoints):
    ann = watching.client("ann")
    folder, write = checkpoints
    made = watch(ann, folder, live=20)
    for i in range(9):
        write(f"step_{i}")
        if i % 3 == 2:
            wait_until(lambda: entries_of(ann, made) or values_of(ann, made), "a look")
            watching.process.kill()
            watching.process.wait()
            watching.start()
            ann = watching.client("ann")
    names = [f"step_{i}" for i in range(9)]
    wait_until(lambda: sorted(values_of(ann, made)) == names and len(submitted(ann, made)) == 9, "all submitted")
    evaluations = ann.get(f"/v1/evaluations?label=campaign:{made['id']}&limit=100").json()["items"]
    assert sorted(e["model"] for e in evaluations) == [f"{folder}/{name}" for name in names]
    assert sorted(e for e in events(ann, made)) == [("value_found", f"{folder}/{name}") for name in names]
    ann.post(f"/v1/campaigns/{made['id']}/cancel")


def test_what_keeps_a_directory_from_being_looked_at_is_shown(watching, checkpoints):
    ann = watching.client("ann")
    folder, write = checkpoints
    silent = watch(ann, folder, cluster="alpha")
    gone = watch(ann, folder / "none")
    wait_until(lambda: get(ann, silent)["watch"]["reason"], "the reason")
    assert "cannot connect" in get(ann, silent)["watch"]["reason"]
    wait_until(lambda: get(ann, gone)["watch"]["reason"] == f"there is no directory {folder}/none", "the other reason")
    (folder / "none").mkdir()
    wait_until(lambda: get(ann, gone)["watch"]["reason"] is None, "it is there")
    for made in (silent, gone):
        assert get(ann, made)["state"] == "active"
        ann.post(f"/v1/campaigns/{made['id']}/cancel")


@pytest.mark.parametrize("wrong", [
    {"cluster": "gamma"}, {"directory": "relative"}, {"directory": "/a/../b"}, {"directory": "/root/.ssh"}, {"directory": "/it's"},
    {"directory": "/x/20260131_120000-0123456789abcdef/mmlu.0"}, {"directory": "/a\nb"}, {"pattern": "a/*"}, {"pattern": "$(x)"},
    {"pattern": ".*"}, {"ready": {"file": "a/b"}}, {"ready": {"file": ".."}}, {"ready": {"quiet_s": 0}}, {"ready": {"quiet": 5}},
    {"ready": []}, {"directori": "/x"}])
def test_watch_that_cannot_be_is_refused(watching, wrong):
    ann = watching.client("ann")
    body = {k: v for k, v in wanted().items() if k != "values"}
    good = {"cluster": "beta", "directory": "/shared/checkpoints"}
    assert ann.request("POST", "/v1/campaigns", json={**body, "watch": {**good, **wrong}}).status_code == 400
    assert ann.request("POST", "/v1/campaigns", json={**wanted(), "watch": good}).status_code == 400
    assert ann.request("POST", "/v1/campaigns", json=body).status_code == 400
