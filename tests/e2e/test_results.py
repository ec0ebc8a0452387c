"""Which scores are stored, on a real cluster: of a success without results.yml, of a file that something writes to after
its end, of one with spoilt values or odd forms, of an evaluator that asked nothing, of a job that failed after it wrote them."""

from pathlib import Path

import pytest

from configs import SCORE
from daemon import Daemon, cluster_settings
from submissions import Submissions

submissions = Submissions()
submission = submissions.add
KEY = {"MODELS_API_KEY": "sk-e2e-model-server-key"}
RESULTS = "/results/results.yml"


@pytest.fixture(scope="module")
def daemon(bed, tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), [cluster_settings(bed, results_wait_s=8)])
    daemon.start()
    yield daemon
    daemon.end()


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    return submissions.submit_all(bed, daemon, model_server).ended


def scores(daemon, job):
    return [item["value"] for item in daemon.client.get(f"/v1/jobs/{job['id']}/results")["items"]]


@submission(env=KEY)
def without(site):
    return site.external(evaluation={"post_cmd": f"rm {RESULTS}"})


def test_success_without_results_is_told_and_read_when_they_come(run, daemon):
    job = run("without")
    assert scores(daemon, job) == []
    assert "is not there" in job["warnings"][0]
    event, = daemon.client.get(f"/v1/events?job={job['id']}&kind=job.warning&after=0")["items"]
    assert event["data"]["warnings"] == job["warnings"]
    Path(job["rundir"], "artifacts/results.yml").write_text("results: {tasks: {t: {metrics: {m: {scores: {s: {value: 1}}}}}}}")
    daemon.admin.post(f"/v1/jobs/{job['id']}/results", 409)  # its evaluation left none
    assert daemon.admin.post(f"/v1/jobs/{job['id']}/results?changed=true", 200)["counts"]["added"] == 1


@submission(env=KEY)
def overwritten(site):
    return site.external()


def test_file_that_is_written_to_after_the_end_is_not_read_again_without_a_word(run, daemon):
    job = run("overwritten")
    assert set(scores(daemon, job)) == {SCORE} and job["warnings"] == []
    path = Path(job["rundir"], "artifacts/results.yml")
    path.write_text(path.read_text().replace(str(SCORE), "0.13"))
    assert "not the one that its end left" in daemon.admin.post(f"/v1/jobs/{job['id']}/results", 409)["detail"]
    assert set(scores(daemon, job)) == {SCORE}


@submission(env=KEY)
def spoilt(site):
    spoil = f"printf 'results: {{tasks: {{t: {{metrics: {{m: {{scores: {{a: {{value: 0.5}}, b: {{value: !!python/none x}}}}}}}}}}}}}}\\n' >{RESULTS}"
    return site.external(evaluation={"post_cmd": spoil})


def test_spoilt_value_costs_itself(run, daemon):
    job = run("spoilt")
    assert scores(daemon, job) == [0.5]
    assert "left out" in job["warnings"][0]


FORMS = """cat >%s <<'EOF'
results:
  tasks:
    t:
      metrics:
        m:
          scores:
            number: {value: 0.5}
            text: {value: '0.25', stats: {count: '12'}}
            percent: {value: '85%%'}
            word: {value: high}
            not_a_number: {value: .nan}
            infinite: {value: .inf}
            nothing: {}
            twice: {value: 1}
            twice: {value: 2}
            ~: {value: 3}
EOF""" % RESULTS


@submission(env=KEY)
def forms(site):
    return site.external(evaluation={"post_cmd": FORMS})


def test_values_that_are_no_one_finite_number_are_left_out_and_said_so(run, daemon):
    job = run("forms")
    items = daemon.client.get(f"/v1/jobs/{job['id']}/results")["items"]
    assert {item["score"]: (item["value"], item["count"]) for item in items if item["score"] != "twice"} == {
        "number": (0.5, None), "text": (0.25, 12)}
    assert len([item for item in items if item["score"] == "twice"]) <= 1
    assert "left out" in job["warnings"][0]


@submission(env=KEY)
def silent(site):
    return site.external(evaluation={"post_cmd": "echo 0 >/results/progress"})


def test_scores_of_an_evaluator_that_finished_no_request_are_warned_of(run, daemon):
    job = run("silent")
    assert set(scores(daemon, job)) == {SCORE}
    assert any("finished no request" in warning for warning in job["warnings"])


@submission(env=KEY)
def failed(site):
    return site.external(evaluation={"post_cmd": "exit 3"})


def test_job_that_fails_after_it_wrote_scores_is_in_no_comparison(run, daemon):
    job = run("failed", state="failed")
    listed = daemon.client.get(f"/v1/results?evaluation={job['id'].split('.')[0]}")["items"]
    assert {item["state"] for item in listed} <= {"failed"}
    assert daemon.client.get(f"/v1/results?latest=true&evaluation={job['id'].split('.')[0]}")["items"] == []
