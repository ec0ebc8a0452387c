"""Campaigns: one evaluation a value, once over any crash, some at a time, in their order; and who may do what."""

import pytest
from conftest import CONFIG, prepared_in, wait_until

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


def test_what_is_wrong_in_the_envelope_is_told_as_of_a_submission(server):
    ann = server.client("ann")
    problem = ann.post("/v1/campaigns", 400, json=wanted(overrides=[1], labels={"a:b": "c"}, env={"1": "x"})).json()
    assert [e["pointer"] for e in problem["errors"]] == ["/overrides/0", "/env/1", "/labels/a:b"]
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
