"""A campaign's scores over its steps, and which values are worse than the ones before them: told once, whatever comes first."""

import pytest
import samples
from conftest import CONFIG, prepared_in, wait_until
from test_evidence import nelctl
from test_scores import add_score, finish, table

COUNT = 200
STEPS = (10, 15, 20, 30, 40)
SCORES = {  # task, metric: by step; each with an error of 0.01, of 1,000 samples
    ("drops", "acc"): {10: 0.70, 20: 0.71, 30: 0.60, 40: 0.60},
    ("steady", "acc"): {10: 0.50, 20: 0.51, 30: 0.50, 40: 0.49},
    ("text", "word_perplexity"): {10: 10.0, 20: 10.0, 30: 9.0, 40: 9.5},
}
RIGHT = {10: range(0, COUNT, 2), 20: range(40, COUNT, 2), 30: range(40, COUNT, 2), 40: range(40, COUNT, 2)}  # of the samples
FINISHED = ("UPDATE evaluations SET state = 'succeeded', ended_at = 1700000000 WHERE id = ?",)


def make(client, **more):
    return client.post("/v1/campaigns", 201, json={
        "name": "curve", "config": CONFIG, "parameter": "target.api_endpoint.model_id", "order": "listed", "live": 9,
        "values": [f"org/step-{step}" for step in STEPS], **more}).json()["id"]


def evaluations(client, campaign):
    """By step, when each value has one."""
    def found():
        values = client.get(f"/v1/campaigns/{campaign}").json()["values"]
        return all(v["evaluation"] for v in values) and {v["step"]: v["evaluation"] for v in values}
    return wait_until(found, "all submitted")


def end(daemon, of, step):
    """As if the value's evaluation had ended with its scores; while the daemon is down."""
    job = f"{of[step]}.0"
    for name in (job, f"{of[step]}.1"):
        finish(daemon, name)
    for (task, metric), by_step in SCORES.items():
        add_score(daemon, job, task, metric, metric, by_step[step], 0.01, 1000)
    rows = [(i, 7 + i, 0, {"acc": float(i in RIGHT[step])}) for i in range(COUNT)]
    add_score(daemon, job, "paired", "acc", "acc", len(RIGHT[step]) / COUNT, 0.035, COUNT)
    samples.store(daemon, job, [{"task": "paired", "filter": "none", "rows": rows}])
    daemon.execute(*FINISHED, of[step])


def regressions(client, campaign):
    events = client.get("/v1/events", params={"after": 0, "limit": 500, "kind": "campaign.regression"}).json()["items"]
    return [event for event in events if event["data"]["campaign"] == campaign]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """(daemon, campaign, evaluations by step, regressions before step 20 had ended, all regressions)"""
    maker = prepared_in(tmp_path_factory.mktemp("curves"))
    daemon = next(maker)()
    daemon.start()
    ann = daemon.client("ann")
    campaign = make(ann)
    of = evaluations(ann, campaign)
    ann.post(f"/v1/evaluations/{of[15]}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{of[15]}").json()["state"] == "cancelled", "the cancellation")
    daemon.stop()
    for step in (10, 30, 40):
        end(daemon, of, step)
    daemon.start()
    ann = daemon.client("ann")
    wait_until(lambda: regressions(ann, campaign), "the first regression")
    first = regressions(ann, campaign)
    daemon.stop()
    end(daemon, of, 20)
    daemon.start()
    ann = daemon.client("ann")
    wait_until(lambda: ann.get(f"/v1/campaigns/{campaign}").json()["state"] == "ended", "the campaign's end")
    yield daemon, campaign, of, first, regressions(ann, campaign)
    next(maker, None)


def test_a_value_is_held_against_the_one_before_once_that_has_ended(told):
    _, _, of, first, events = told
    # 40 against 30 at once; 30 not against 10, since 20 is still to come.
    assert [(e["data"]["step"], e["data"]["reference_step"]) for e in first] == [(40, 30)]
    # 20 against 10, since 15 has no scores.
    assert [(e["data"]["step"], e["data"]["reference_step"]) for e in events] == [(40, 30), (20, 10), (30, 20)]
    assert all(e["user"] == "ann" and e["evaluation"] == of[e["data"]["step"]] for e in events)
    assert [e["data"]["reference"] for e in events] == [of[30], of[10], of[20]]


def test_a_regression_names_what_is_worse_in_the_sense_of_the_metric(told):
    worse = {e["data"]["step"]: {score["task"]: score for score in e["data"]["scores"]} for e in told[4]}
    assert {step: list(scores) for step, scores in worse.items()} == {20: ["paired"], 30: ["drops"], 40: ["text"]}
    paired = worse[20]["paired"]
    # Two independent runs of 200 with errors of 0.035 could not have shown this.
    assert paired["method"] == "mcnemar_exact" and paired["difference"] == pytest.approx(-0.1) and paired["p_adjusted"] < 0.001
    assert worse[40]["text"]["difference"] == pytest.approx(0.5) and worse[40]["text"]["method"] == "independent"


def test_curves_are_each_score_over_its_steps(told):
    daemon, campaign, of, *_ = told
    ann = daemon.client("ann")
    whole = ann.get(f"/v1/campaigns/{campaign}").json()
    curves = {curve["task"]: curve for curve in whole["curves"]}
    assert list(curves) == ["drops", "paired", "steady", "text"] and whole["curves_truncated"] is False
    drops = curves["drops"]["points"]
    assert [(p["step"], p["value"], p["evaluation"]) for p in drops] == [(step, SCORES["drops", "acc"][step], of[step]) for step in (10, 20, 30, 40)]
    assert drops[0]["ci95"] == pytest.approx([0.7 - 0.0196, 0.7 + 0.0196], abs=1e-4) and drops[0]["parameter_value"] == "org/step-10"
    assert {task: [p["step"] for p in c["points"] if p["regression"]] for task, c in curves.items()} == {
        "drops": [30], "paired": [20], "steady": [], "text": [40]}
    assert (curves["text"]["lower_is_better"], curves["drops"]["lower_is_better"]) == (True, False)
    some = ann.get(f"/v1/campaigns/{campaign}?task=text&metric=word_perplexity").json()
    assert some["curves"] == [curves["text"]] and some["values"] == whole["values"]
    assert ann.get(f"/v1/campaigns/{campaign}?metric=f1").json()["curves"] == []


def test_curves_as_csv_and_for_people(told):
    daemon, campaign, of, *_ = told
    rows = table(daemon.client("ann").get(f"/v1/campaigns/{campaign}?format=csv&task=drops"))
    assert rows[0] == "task,group,metric,score,step,value,stderr,ci95_low,ci95_high,count,parameter_value,evaluation,job,regression".split(",")
    assert rows[3][:7] == ["drops", "false", "acc", "acc", "30", "0.6", "0.01"] and rows[3][9:] == [
        "1000", "org/step-30", of[30], f"{of[30]}.0", "true"]
    assert len(nelctl((daemon, None), "campaign", "show", campaign, "--csv").splitlines()) == 1 + 4 * 4
    shown = nelctl((daemon, None), "campaign", "show", campaign)
    lines = shown[shown.index("drops acc"):].splitlines()
    # The interval stands in a column of its own, and in the plot.
    assert [line.split()[2:5] for line in lines[1:4]] == [["0.6804", "to", "0.7196"], ["0.6904", "to", "0.7296"], ["0.5804", "to", "0.6196"]], shown
    assert lines[0].split()[2:5] == ["SCORE", "95", "%"] and all(line.split()[5].count("-") > 2 for line in lines[1:5])
    assert lines[3].split()[0:2] == ["30", "0.6"] and lines[3].endswith("worse") and not lines[2].endswith("worse"), shown
    places = [line.split()[5].index("o") for line in lines[1:5]]
    assert places[2] == places[3] < places[0] < places[1], shown


def test_a_baseline_takes_the_place_of_the_values_before(told):
    daemon, _, of, *_ = told
    ann = daemon.client("ann")
    campaign = make(ann, baseline=of[10], values=["org/step-30", "org/step-40"])
    assert ann.get(f"/v1/campaigns/{campaign}").json()["baseline"] == of[10]
    made = evaluations(ann, campaign)
    ann.post(f"/v1/campaigns/{campaign}/pause")
    daemon.stop()
    for step in (30, 40):
        end(daemon, made, step)
    daemon.start()
    ann = daemon.client("ann")
    wait_until(lambda: len(regressions(ann, campaign)) == 2, "what ended is compared while it is paused")
    assert ann.get(f"/v1/campaigns/{campaign}").json()["state"] == "paused"
    ann.post(f"/v1/campaigns/{campaign}/resume")
    wait_until(lambda: ann.get(f"/v1/campaigns/{campaign}").json()["state"] == "ended", "the campaign's end")
    assert [(e["data"]["step"], e["data"]["reference"], e["data"]["reference_step"], [s["task"] for s in e["data"]["scores"]])
            for e in regressions(ann, campaign)] == [(step, of[10], None, ["drops", "paired"]) for step in (30, 40)]


def test_a_baseline_may_be_a_model_s_newest(told):
    daemon, _, of, *_ = told
    ann = daemon.client("ann")
    campaign = make(ann, baseline="model:org/step-10", values=["org/step-41", "org/step-42"])
    assert ann.get(f"/v1/campaigns/{campaign}").json()["baseline"] == "model:org/step-10"
    made = evaluations(ann, campaign)
    daemon.stop()
    for step, like in ((41, 10), (42, 40)):
        job = f"{made[step]}.0"
        for name in (job, f"{made[step]}.1"):
            finish(daemon, name)
        add_score(daemon, job, "drops", "acc", "acc", SCORES["drops", "acc"][like], 0.01, 1000)
        daemon.execute(*FINISHED, made[step])
    daemon.start()
    ann = daemon.client("ann")
    wait_until(lambda: ann.get(f"/v1/campaigns/{campaign}").json()["state"] == "ended", "the campaign's end")
    [event] = regressions(ann, campaign)
    assert (event["data"]["step"], event["data"]["reference_step"], [s["task"] for s in event["data"]["scores"]]) == (42, None, ["drops"])
    assert event["data"]["reference"] == "model:org/step-10"


def test_a_baseline_without_scores_is_refused(told):
    daemon, _, of, *_ = told
    ann = daemon.client("ann")
    for wrong, words in (("yesterday", "no id of an evaluation"), ("0" * 16, "no evaluation"), (of[15], "has no scores"), ("model:org/none", "no scores of a model")):
        problem = ann.post("/v1/campaigns", 400, json={"name": "x", "config": CONFIG, "parameter": "target.api_endpoint.model_id",
                                                       "values": ["org/a"], "baseline": wrong}).json()
        assert problem["detail"].startswith("baseline: ") and words in problem["detail"]
