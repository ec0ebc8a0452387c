"""Scores: filters, the latest, matrices with baselines, CSV; reading them again from the cluster; equal evaluations."""

import csv
import io
import json
import os
import threading
import time

import pytest
from conftest import CONFIG, Daemon, check_pages_of_whole, wait_until

RESULTS = """\
config: {type: !!python/name:str ''}
results:
  groups:
    mmlu:
      groups:
        stem: {metrics: {acc: {scores: {micro: {value: 0.25, stats: {}}}}}}
      metrics: {acc: {scores: {micro: {value: 0.5, stats: {}}}}}
  tasks:
    ifeval: {metrics: {strict: {scores: {prompt: {value: '0.75', stats: {count: 541, stderr: 0.01}}}}}}
"""


def submit(client, **envelope):
    return client.submit(json.dumps({"config": CONFIG, **envelope}), content_type="application/json").json()


def add_score(daemon, job, task, metric, score, value, stderr=None, count=None, group=0):
    daemon.execute(
        "INSERT INTO results (job, task, is_group, metric, score, value, stderr, count, recorded_at, model, subject,"
        " protocol) SELECT seq, ?, ?, ?, ?, ?, ?, ?, 5, model, coalesce(subject, 0), coalesce(protocol, 0) FROM jobs"
        " LEFT JOIN job_likenesses ON job = seq WHERE id = ?", task, group, metric, score, value, stderr, count, job)


def finish(daemon, job, state="succeeded"):
    """As if it had ended; the scheduler has none of these, since they are old."""
    daemon.execute("UPDATE jobs SET state = ?, ended_at = 1700000000, attention = 0, collected = 1 WHERE id = ?", state,
                   job)


@pytest.fixture(scope="module")
def store(fresh_module):
    """A store with scores of three models, made before the daemon starts: the scheduler leaves ended jobs alone."""
    daemon = fresh_module
    daemon.start()
    ann, bob = daemon.client("ann"), daemon.client("bob")
    jobs = {}
    for name, client, model in (("old", ann, "org/a"), ("new", ann, "org/a"), ("b", bob, "org/b"),
                                ("odd", ann, '=HYPERLINK("x"),c'), ("failed", ann, "org/a")):
        jobs[name] = submit(client, labels={"name": name, "all": "yes"},
                            overrides=[f"target.api_endpoint.model_id={json.dumps(model)}"])["id"] + ".0"
    daemon.stop()
    for name, job in jobs.items():
        finish(daemon, job, "failed" if name == "failed" else "succeeded")
    for name, value in (("old", 0.1), ("new", 0.2), ("b", 0.5), ("failed", 0.9)):
        add_score(daemon, jobs[name], "ifeval", "strict", "prompt", value, 0.03, 541)
        add_score(daemon, jobs[name], "ifeval", "strict", "inst", value + 0.05)
    add_score(daemon, jobs["old"], "ifeval", "loose", "prompt", 0.6)
    add_score(daemon, jobs["old"], "ifeval", "a_metric", "of_one", 0.7)
    add_score(daemon, jobs["b"], "mmlu", "acc", "micro", 0.4, 0.04, group=1)
    add_score(daemon, jobs["odd"], "mmlu", "acc", "micro", -0.25, group=1)
    add_score(daemon, jobs["odd"], "@task", "acc", "micro", 1, group=0)
    daemon.start()
    return daemon, jobs


@pytest.fixture(scope="module")
def fresh_module(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("scores"))
    daemon.prepare()
    yield daemon
    if daemon.process is not None:
        daemon.stop()


def table(reply):
    return list(csv.reader(io.StringIO(reply.text, newline="")))


@pytest.mark.parametrize("query, names", [
    ("task=ifeval", {"old", "new", "b", "failed"}), ("task=mmlu", {"b", "odd"}), ("metric=loose", {"old"}),
    ("score=inst", {"old", "new", "b", "failed"}), ("score=of_one&metric=loose", set()), ("model=org/b", {"b"}),
    ("label=name:new", {"new"}), ("user=bob", {"b"}), ("user=ann&task=mmlu", {"odd"}), ("cluster=alpha&metric=loose", {"old"}),
    ("cluster=beta", set()), ("since=2001-01-01T00:00:00Z&score=inst", {"old", "new", "b", "failed"}),
    ("since=2100-01-01T00:00:00Z", set()), ("until=2100-01-01T00:00:00Z&metric=loose", {"old"}),
    ("until=2001-01-01T00:00:00Z", set()), ("latest=true", {"old", "new", "b", "odd"}),
    ("latest=true&metric=strict", {"new", "b"}), ("latest=true&label=name:old&metric=strict", {"old"}),
    ("latest=true&label=name:failed", set()), ("latest=true&task=mmlu&user=ann", {"odd"}),
])
def test_results_filters(store, query, names):
    daemon, jobs = store
    items = daemon.client("ann").get(f"/v1/results?{query}").json()["items"]
    assert {i["job"] for i in items} == {jobs[n] for n in names}


def test_results_of_an_evaluation_and_state_of_each(store):
    daemon, jobs = store
    ann = daemon.client("ann")
    items = ann.get(f"/v1/results?evaluation={jobs['failed'].split('.')[0]}").json()["items"]
    assert {(i["job"], i["state"]) for i in items} == {(jobs["failed"], "failed")}


def test_scores_of_a_job_have_pages(store):
    daemon, jobs = store
    ann, path = daemon.client("ann"), f"/v1/jobs/{jobs['old']}/results"
    check_pages_of_whole(ann, path)
    first = ann.get(path, params={"format": "csv", "limit": 3})
    second = ann.get(first.headers["Link"].split(">")[0][1:])
    assert "Link" not in second.headers
    assert table(first) + table(second)[1:] == table(ann.get(path, params={"format": "csv"}))


def test_latest_is_of_each_metric(store):
    daemon, jobs = store
    items = daemon.client("ann").get("/v1/results?latest=true&model=org/a").json()["items"]
    assert {(i["metric"], i["job"]) for i in items} == {
        ("a_metric", jobs["old"]), ("loose", jobs["old"]), ("strict", jobs["new"])}


def test_matrix_cells_are_the_latest_of_one_score_a_task(store):
    daemon, jobs = store
    matrix = daemon.client("ann").get("/v1/results?form=matrix&label=all:yes").json()
    assert matrix["baseline"] is None
    # strict/inst and strict/prompt are those of two models, a_metric is first by name but of one.
    assert [{k: c[k] for k in ("task", "group", "metric", "score")} for c in matrix["columns"]] == [
        {"task": "@task", "group": False, "metric": "acc", "score": "micro"},
        {"task": "ifeval", "group": False, "metric": "strict", "score": "inst"},
        {"task": "mmlu", "group": True, "metric": "acc", "score": "micro"}]
    assert all(x["differs"] == [] for x in matrix["columns"] + matrix["rows"])
    rows = {r["model"]: r["cells"] for r in matrix["rows"]}
    assert list(rows) == ['=HYPERLINK("x"),c', "org/a", "org/b"]
    assert rows["org/a"] == [None, {"value": 0.25, "stderr": None, "ci95": None, "count": None, "job": jobs["new"],
                                    "ended_at": "2023-11-14T22:13:20Z"}, None]
    assert [c and c["value"] for c in rows["org/b"]] == [None, 0.55, 0.4]


def test_matrix_with_chosen_score_and_baseline(store):
    daemon, jobs = store
    query = "form=matrix&metric=strict&score=prompt&baseline=org/a"
    matrix = daemon.client("ann").get(f"/v1/results?{query}").json()
    assert [c["score"] for c in matrix["columns"]] == ["prompt"] and matrix["baseline"] == "org/a"
    cells = {r["model"]: r["cells"][0] for r in matrix["rows"]}
    assert cells["org/b"]["delta"] == pytest.approx(0.3) and cells["org/b"]["count"] == 541
    assert cells["org/b"]["delta_stderr"] == pytest.approx(0.03 * 2 ** 0.5)
    assert (cells["org/a"]["delta"], cells["org/a"]["delta_stderr"]) == (0, None)
    matrix = daemon.client("ann").get("/v1/results?form=matrix&task=mmlu&baseline=org/b").json()
    assert {r["model"]: r["cells"][0]["delta_stderr"] for r in matrix["rows"]}['=HYPERLINK("x"),c'] is None


def test_matrix_as_csv_is_safe_in_spreadsheets(store):
    daemon, jobs = store
    rows = table(daemon.client("ann").get("/v1/results?form=matrix&format=csv"))
    assert rows[0][:5] == ["model", "'@task acc/micro", "'@task acc/micro stderr", "'@task acc/micro count",
                           "'@task acc/micro job"]
    assert rows[0][9] == "mmlu (group) acc/micro" and all(len(r) == 15 for r in rows)
    odd = rows[1]
    assert odd[0] == "'=HYPERLINK(\"x\"),c" and odd[9] == "-0.25" and odd[12] == jobs["odd"]
    assert odd[5:9] == ["", "", "", ""]
    rows = table(daemon.client("ann").get("/v1/results?form=matrix&format=csv&baseline=org/a&task=ifeval"))
    assert rows[0][5:] == [*(f"ifeval strict/inst {what}" for what in (
        "delta", "delta stderr", "delta low", "delta high", "method", "verdict", "differs")), "checkpoint", "subject"]
    assert float({r[0]: r for r in rows}["org/b"][5]) == pytest.approx(0.3)


def test_list_as_csv_is_safe_in_spreadsheets(store):
    daemon, _ = store
    rows = table(daemon.client("ann").get("/v1/results?task=@task&format=csv"))
    assert rows[0][:5] == ["evaluation", "job", "user", "model", "state"]
    assert rows[1][3] == "'=HYPERLINK(\"x\"),c" and "'@task" in rows[1]


def test_matrix_of_nothing_is_empty(store):
    daemon, _ = store
    ann = daemon.client("ann")
    assert ann.get("/v1/results?form=matrix&task=none").json() == {"baseline": None, "columns": [], "rows": []}
    assert ann.get("/v1/results?form=matrix&task=none&format=csv").text == "model,checkpoint,subject\r\n"
    assert ann.get("/v1/results?task=none&format=csv").text.split(",")[-3:] == ["protocol", "ci95_low", "ci95_high\r\n"]


@pytest.mark.parametrize("query, words", [
    ("form=table", "list or matrix"), ("latest=yes", "true or false"), ("form=matrix&latest=false", "latest"),
    ("baseline=org/a", "form=matrix"), ("latest=true&limit=3", "limit"), ("form=matrix&cursor=abc", "cursor"),
    ("form=matrix&baseline=org/none", "org/none"), ("since=yesterday", "must be a time"), ("tasks=a", "tasks"),
    ("label=x", "label"),
])
def test_results_wrong_queries_are_told(store, query, words):
    daemon, _ = store
    reply = daemon.client("ann").request("GET", f"/v1/results?{query}")
    assert reply.status_code == 400 and words in reply.json()["detail"]


@pytest.fixture(scope="module")
def job(daemon, tmp_path_factory):
    """A job of ann's whose directory is one of this machine, on the cluster beta: (its id, results.yml)."""
    folder = tmp_path_factory.mktemp("rundir") / "task.0"
    (folder / "artifacts").mkdir(parents=True)
    client = daemon.client("ann")
    identity = client.submit().json()["id"] + ".0"
    wait_until(lambda: client.get(f"/v1/jobs/{identity}").json()["attempt"] == 1, what="an attempt")
    account = daemon.settings.read_text().rsplit("username: ", 1)[1].split(",")[0]
    daemon.execute("UPDATE jobs SET cluster = 'beta', identity = ?, job_dir = ? WHERE id = ?", account, str(folder),
                   identity)
    return identity, folder / "artifacts/results.yml"


def refresh(client, job, status=200):
    return client.post(f"/v1/jobs/{job[0]}/results", status).json()


def test_refresh_reads_the_file_and_says_what_changed(ann, admin, job):
    job[1].write_text(RESULTS)
    first = refresh(ann, job)
    assert first["counts"] == {"added": 3, "changed": 0, "removed": 0, "unchanged": 0}
    assert first["partial"] is True and first["state"] != "succeeded"
    assert {(i["task"], i["group"], i["value"]) for i in first["items"]} == {
        ("ifeval", False, 0.75), ("mmlu", True, 0.5), ("stem", True, 0.25)}
    assert ann.get(f"/v1/jobs/{job[0]}/results").json()["items"] == first["items"]
    events = ann.get(f"/v1/events?job={job[0]}&kind=results.recorded&after=0").json()["items"]
    assert events[-1]["data"]["count"] == 3 and {s["value"] for s in events[-1]["data"]["scores"]} == {0.75, 0.5, 0.25}
    assert refresh(admin, job)["counts"] == {"added": 0, "changed": 0, "removed": 0, "unchanged": 3}

    job[1].write_text(RESULTS.replace("'0.75'", "0.5").replace("stem:", "humanities:"))
    os.utime(job[1], (1700000000, 1700000000))
    second = refresh(ann, job)
    assert second["counts"] == {"added": 1, "changed": 1, "removed": 1, "unchanged": 1}
    assert second["modified_at"] == "2023-11-14T22:13:20Z"
    changes = {c["task"]: (c["before"] and c["before"]["value"], c["after"] and c["after"]["value"])
               for c in second["changes"]}
    assert changes == {"ifeval": (0.75, 0.5), "stem": (0.25, None), "humanities": (None, 0.25)}


def test_refresh_partial_scores_are_not_among_the_latest(ann, job):
    job[1].write_text(RESULTS)
    refresh(ann, job)
    query = f"evaluation={job[0].split('.')[0]}"
    assert len(ann.get(f"/v1/results?{query}").json()["items"]) == 3
    assert ann.get(f"/v1/results?{query}&latest=true").json()["items"] == []
    assert ann.get(f"/v1/results?{query}&form=matrix").json()["rows"] == []


@pytest.mark.parametrize("text, words", [
    ("results: [", "results.yml: "), ("nothing: here\n", "has no results"), ("x" * (4 * 1024 * 1024 + 1), "4 MiB"), ("", "no results"),
])
def test_refresh_of_a_bad_file_keeps_the_scores(ann, job, text, words):
    job[1].write_text(RESULTS)
    refresh(ann, job)
    job[1].write_text(text)
    problem = refresh(ann, job, 422)
    assert "stay as they were" in problem["detail"] and words in problem["detail"]
    assert len(ann.get(f"/v1/jobs/{job[0]}/results").json()["items"]) == 3


def test_refresh_without_a_file_is_not_found(ann, job):
    job[1].unlink(missing_ok=True)
    assert "no artifacts/results.yml" in refresh(ann, job, 404)["detail"]
    ann.post("/v1/jobs/0123456789abcdef.0/results", 404)
    ann.post("/v1/jobs/none/results", 404)


def test_refresh_is_for_the_owner_and_admins(bob, eve, nobody, ann, job):
    assert "ann or an admin" in refresh(bob, job, 403)["detail"]
    refresh(eve, job, 403)
    refresh(nobody, job, 401)
    assert ann.request("POST", f"/v1/jobs/{job[0]}/results?again=1").status_code == 400


def test_refresh_of_a_job_that_changed_meanwhile_is_refused(daemon, ann, job):
    """The state changes under the daemon, and back, all the time: each answer is of one state, or a refusal."""
    job[1].write_text(RESULTS)
    state = daemon.execute("SELECT state FROM jobs WHERE id = ?", job[0])[0][0]
    seen, stop = set(), threading.Event()

    def flip():
        while not stop.is_set():
            for value in ("failed", state):
                daemon.execute("UPDATE jobs SET state = ? WHERE id = ?", value, job[0])

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while 409 not in seen and time.monotonic() < deadline:
            seen.add(ann.request("POST", f"/v1/jobs/{job[0]}/results").status_code)
    finally:
        stop.set()
        thread.join()
        daemon.execute("UPDATE jobs SET state = ? WHERE id = ?", state, job[0])
    assert 409 in seen and seen <= {200, 409, 503}


def test_refresh_of_a_file_that_changed_since_the_end_is_refused(daemon, ann, job):
    """As the evaluator of a node that came back does: it writes over what the finished attempt had left."""
    job[1].write_text(RESULTS)
    state = daemon.execute("SELECT state FROM jobs WHERE id = ?", job[0])[0][0]
    daemon.execute("UPDATE jobs SET state = 'succeeded' WHERE id = ?", job[0])
    try:
        refresh(ann, job)
        assert refresh(ann, job)["counts"]["unchanged"] == 3
        job[1].write_text(RESULTS.replace("'0.75'", "0.13"))
        assert "not the one that its end left" in refresh(ann, job, 409)["detail"]
        assert {i["value"] for i in ann.get(f"/v1/jobs/{job[0]}/results").json()["items"]} == {0.75, 0.5, 0.25}
        assert ann.get(f"/v1/jobs/{job[0]}").json()["warnings"] == []

        assert ann.post(f"/v1/jobs/{job[0]}/results?changed=true", 200).json()["counts"]["changed"] == 1
        warnings = ann.get(f"/v1/jobs/{job[0]}").json()["warnings"]
        assert len(warnings) == 1 and "by ann" in warnings[0] and "changed after the job's end" in warnings[0]
        assert refresh(ann, job)["counts"]["unchanged"] == 3
    finally:
        daemon.execute("UPDATE jobs SET state = ? WHERE id = ?", state, job[0])


def test_refresh_of_a_cluster_that_does_not_answer_fails(ann):
    identity = ann.submit().json()["id"] + ".0"
    reply = ann.request("POST", f"/v1/jobs/{identity}/results")
    assert reply.status_code in (502, 503, 504)


def like(client, identity):
    return {e["id"] for e in client.get(f"/v1/evaluations?like={identity}").json()["items"]}


def test_equal_evaluations_are_found(ann, bob):
    """The hash ignores where and how it runs, who asks and what their secrets are; it keeps what is asked of which model."""
    task = "evaluation.tasks.ifeval.nemo_evaluator_config.config.params.limit_samples=7"
    base = submit(ann, overrides=["+" + task])
    assert base["config_hash"] == ann.get(f"/v1/evaluations/{base['id']}").json()["config_hash"]
    assert len(base["images"]) == 2 and all(":" in image for image in base["images"])
    same = [submit(bob, overrides=["++" + task, "execution.output_dir=/elsewhere", "execution.walltime=02:00:00",
                                   "execution.hostname=beta.example", "execution.account=other"],
                   labels={"x": "y"})["id"],
            submit(ann, config="# a comment\n" + CONFIG + "\n", overrides=["++" + task])["id"]]
    others = [submit(ann, overrides=["+" + task.replace("=7", "=8")]),
              submit(ann, overrides=["+" + task, "target.api_endpoint.model_id=org/unlike"]),
              submit(ann, overrides=["+" + task, "target.api_endpoint.url=https://elsewhere.example/v1/chat/completions"]),
              submit(ann, overrides=["+" + task, "++evaluation.tasks.ifeval.container=nvcr.io/x/y:1"])]
    assert like(ann, base["id"]) == {base["id"], *same}
    for other in others:
        assert other["config_hash"] != base["config_hash"]
    assert "nvcr.io/x/y:1" in others[3]["images"]
    page = ann.get(f"/v1/evaluations?like={base['id']}&user=bob").json()["items"]
    assert [e["id"] for e in page] == same[:1]


def test_equal_evaluations_may_have_other_secrets(ann):
    override = "+evaluation.env_vars.HF_TOKEN=$host:HF_TOKEN"
    one, two = (submit(ann, overrides=[override], env={"HF_TOKEN": value}) for value in ("a", "b"))
    other = submit(ann, overrides=[override.replace("HF_TOKEN=", "OTHER=")], env={"HF_TOKEN": "a"})
    assert one["config_hash"] == two["config_hash"] != other["config_hash"]


def test_like_of_an_unknown_evaluation_is_told(ann):
    for identity in ("0123456789abcdef", "x", ""):
        reply = ann.request("GET", f"/v1/evaluations?like={identity}")
        assert reply.status_code == 400 and "like" in reply.json()["detail"]


SERVED = """\
defaults:
  - execution: slurm/default
  - deployment: vllm
  - _self_
execution:
  hostname: alpha.example
  account: acct
  output_dir: /shared/out
  mounts: {mount_home: false}
deployment:
  image: vllm/vllm-openai:v1
  checkpoint_path: /models/one
  served_model_name: org/served
evaluation:
  tasks:
    - name: lm-evaluation-harness.ifeval
"""
PARAMS = "evaluation.nemo_evaluator_config.config.params"


def serve(client, *overrides, **envelope):
    return client.submit(json.dumps({"config": SERVED, "overrides": list(overrides), **envelope}),
                         content_type="application/json").json()


# What is changed, and by which words the scores then differ: of the rows of a model, and of the columns of a task.
UNLIKE = [
    (["deployment.checkpoint_path=/models/two"], ["checkpoint"], []),
    (["deployment.checkpoint_path=null", "deployment.hf_model_handle=org/hf"], ["checkpoint", "server"], []),
    (["deployment.image=vllm/vllm-openai:v2"], ["server"], []),
    (["deployment.extra_args=--quantization fp8"], ["server"], []),
    (["++execution.mounts.deployment={/models/other: /checkpoint/sub}"], ["server"], []),
    (["++" + PARAMS + ".limit_samples=10"], [], ["params"]),
    (["++evaluation.tasks.0.container=nvcr.io/x/y:2"], [], ["harness", "image"]), # the name goes with its prefix then
    (["evaluation.tasks.0.name=simple_evals.ifeval", "++evaluation.tasks.0.container=nvcr.io/x/y:2"], [],
     ["harness", "image"]),
    (["++evaluation.nemo_evaluator_config.target.api_endpoint.adapter_config.use_system_prompt=true"], [], ["request"]),
    (["++auxiliary_deployments.judge={type: vllm, port: 8001, image: 'x/y:1', served_model_name: judge, checkpoint_path: /models/j,"
      " command: 'vllm serve /checkpoint', endpoints: {chat: /v1/chat/completions, health: /health}}"], [], ["judges"]),
    (["++evaluation.env_vars.SHOTS=lit:5"], [], ["environment"]),
    (["++execution.mounts.evaluation={/data/new: /datasets}"], [], ["mounts"]),
    (["++evaluation.nemo_evaluator_config.target.api_endpoint.url=https://other.example/v1"], ["endpoint"], []),
]


@pytest.fixture(scope="module")
def unlike(fresh_unlike):
    """The score of a base and one more of each kind: (daemon, the base's job, jobs in the order of UNLIKE)."""
    daemon = fresh_unlike
    daemon.start()
    ann = daemon.client("ann")
    jobs = [serve(ann, labels={"n": "base"})["id"] + ".0"]
    jobs += [serve(ann, *change[0], labels={"n": str(i)})["id"] + ".0" for i, change in enumerate(UNLIKE)]
    daemon.stop()
    for i, job in enumerate(jobs):
        finish(daemon, job)
        add_score(daemon, job, "ifeval", "strict", "prompt", i / 100, 0.01, 541)
    daemon.start()
    return daemon, jobs[0], jobs[1:]


@pytest.fixture(scope="module")
def fresh_unlike(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("unlike"))
    daemon.prepare()
    yield daemon
    if daemon.process is not None:
        daemon.stop()


def test_unlike_scores_are_all_among_the_latest(unlike):
    daemon, base, others = unlike
    items = daemon.client("ann").get("/v1/results?latest=true&model=org/served").json()["items"]
    assert {i["job"] for i in items} == {base, *others}
    first = next(i for i in items if i["job"] == base)
    assert first["checkpoint"] == "/models/one" and first["harness"] == "ifeval"
    assert ":" in first["image"] and first["subject"] and first["protocol"]
    limited = next(i for i in items if i["job"] == others[5])
    assert limited["params"]["limit_samples"] == 10 and limited["params_hash"] != first["params_hash"]
    assert (limited["subject"], limited["image"]) == (first["subject"], first["image"])


@pytest.mark.parametrize("at", range(len(UNLIKE)), ids=lambda i: UNLIKE[i][0][0])
def test_unlike_scores_are_kept_apart_and_told(unlike, at):
    """Each beside the base, by a label that both have: in a row or a column of its own, with what differs."""
    daemon, base, others = unlike
    ann = daemon.client("ann")
    for job in (base, others[at]):
        daemon.execute("INSERT OR IGNORE INTO labels (evaluation, key, value) SELECT evaluation_seq, ?, 'x' FROM jobs"
                       " WHERE id = ?", f"pair{at}", job)
    matrix = ann.get(f"/v1/results?form=matrix&label=pair{at}:x&baseline=org/served").json()
    _, rows, columns = UNLIKE[at]
    assert [sorted(r["differs"]) for r in matrix["rows"]] == [rows] * (2 if rows else 1)
    assert [sorted(c["differs"]) for c in matrix["columns"]] == [columns] * (2 if columns else 1)
    cells = {c["job"]: c for r in matrix["rows"] for c in r["cells"] if c}
    assert set(cells) == {base, others[at]}
    # The baseline is the row of the newest job; the older score is compared with it, with the words.
    assert [c["job"] for r in matrix["rows"] if r["baseline"] for c in r["cells"] if c][-1:] != []
    if rows:
        assert sorted(cells[base]["differs"]) == sorted(rows) and cells[base]["delta"] == pytest.approx(-(at + 1) / 100)
        assert cells[others[at]]["differs"] == [] and cells[others[at]]["delta"] == 0
    text = ann.get(f"/v1/results?form=matrix&label=pair{at}:x&format=csv").text
    for name in columns:
        assert f" {name}=" in text


def test_a_baseline_of_another_protocol_is_compared_with_the_word(unlike):
    """org/other was run with limit_samples, the baseline without: the difference says so."""
    daemon, base, others = unlike
    ann = daemon.client("ann")
    job = serve(ann, "deployment.served_model_name=org/other", "++" + PARAMS + ".limit_samples=10",
                labels={"n": "other"})["id"] + ".0"
    daemon.stop()
    finish(daemon, job)
    add_score(daemon, job, "ifeval", "strict", "prompt", 0.5, 0.01, 10)
    for each in (base, job):
        daemon.execute("INSERT INTO labels (evaluation, key, value) SELECT evaluation_seq, 'cross', 'x' FROM jobs"
                       " WHERE id = ?", each)
    daemon.start()
    ann = daemon.client("ann")
    matrix = ann.get("/v1/results?form=matrix&label=cross:x&baseline=org/served").json()
    cell = next(c for r in matrix["rows"] if r["model"] == "org/other" for c in r["cells"] if c)
    assert cell["delta"] == pytest.approx(0.5) and cell["differs"] == ["params"]
    rows = table(ann.get("/v1/results?form=matrix&label=cross:x&baseline=org/served&format=csv"))
    assert "params" in next(r for r in rows if r[0] == "org/other")


def test_basis_of_a_job_is_told_whole(unlike):
    daemon, base, _ = unlike
    basis = daemon.client("ann").get(f"/v1/jobs/{base}/results").json()["basis"]
    assert basis["subject"]["server"]["image"] == "vllm/vllm-openai:v1" and "--port" not in json.dumps(basis)
    assert basis["protocol"]["harness"] == "ifeval"


def test_failed_jobs_come_into_comparisons_only_when_asked(store):
    daemon, jobs = store
    ann = daemon.client("ann")
    for query in ("latest=true", "form=matrix"):
        assert jobs["failed"] not in ann.get(f"/v1/results?{query}&model=org/a").text
    items = ann.get("/v1/results?latest=true&state=failed").json()["items"]
    assert {i["job"] for i in items} == {jobs["failed"]} == {i["job"] for i in ann.get(
        "/v1/results?state=failed").json()["items"]}
    assert jobs["failed"] in ann.get("/v1/results?form=matrix&state=failed").text
    assert "state" in ann.request("GET", "/v1/results?state=broken").json()["detail"]


def test_the_newest_is_the_one_submitted_last_whatever_clocks_say(store):
    """Times of a daemon or cluster whose clock was set back, or of a job that ran longer, decide nothing."""
    daemon, jobs = store
    before = daemon.execute("SELECT id, created_at, ended_at FROM jobs")
    try:
        daemon.execute("UPDATE jobs SET ended_at = 4000000000 WHERE id = ?", jobs["old"])
        daemon.execute("UPDATE jobs SET ended_at = 1000, created_at = 1000 WHERE id = ?", jobs["new"])
        items = daemon.client("ann").get("/v1/results?latest=true&model=org/a&metric=strict").json()["items"]
        assert {i["job"] for i in items} == {jobs["new"]}
    finally:
        for identity, created_at, ended_at in before:
            daemon.execute("UPDATE jobs SET created_at = ?, ended_at = ? WHERE id = ?", created_at, ended_at, identity)


def test_scores_from_before_get_what_they_are_of(unlike):
    """As after an upgrade: nothing is known of the stored jobs, and the daemon works it out again."""
    daemon, base, others = unlike
    query = "SELECT j.id, s.hash, p.hash FROM jobs j JOIN job_likenesses ON job = j.seq JOIN likenesses s"\
            " ON s.seq = subject JOIN likenesses p ON p.seq = protocol ORDER BY j.seq"
    known = daemon.execute(query)
    hashes = daemon.execute("SELECT id, config_hash FROM evaluations ORDER BY seq")
    daemon.stop()
    daemon.execute("UPDATE results SET subject = 0, protocol = 0")
    daemon.execute("DELETE FROM job_likenesses")
    assert daemon.execute("SELECT count(*) FROM likenesses") == [(0,)]
    daemon.execute("UPDATE evaluations SET config_hash = 'old'")
    daemon.execute("INSERT INTO likeness_backlog SELECT seq FROM evaluations")
    daemon.start()
    wait_until(lambda: daemon.execute("SELECT count(*) FROM likeness_backlog") == [(0,)], what="an empty backlog")
    assert daemon.execute(query) == known
    assert daemon.execute("SELECT id, config_hash FROM evaluations ORDER BY seq") == hashes
    items = daemon.client("ann").get("/v1/results?latest=true&model=org/served").json()["items"]
    assert {i["job"] for i in items} >= {base, *others} and all(i["protocol"] for i in items)


@pytest.mark.parametrize("overrides", [
    ["deployment.port=8001"], ["deployment.tensor_parallel_size=2"], ["++" + PARAMS + ".parallelism=3"],
    ["++" + PARAMS + ".request_timeout=9"], ["++execution.mounts.deployment={/scratch/hf: /root/.cache/hf}"],
    ["execution.walltime=02:00:00", "++execution.num_nodes=1"], ["++execution.mounts.evaluation={/scratch/c: /cache}"],
], ids=str)
def test_differences_that_do_not_matter_leave_evaluations_equal(ann, overrides):
    assert serve(ann)["config_hash"] == serve(ann, *overrides)["config_hash"]


def test_the_order_of_tasks_does_not_matter(ann):
    one = submit(ann)
    tasks = "    - name: lm-evaluation-harness.ifeval\n    - name: simple_evals.mmlu_pro\n"
    first, second = tasks.splitlines(keepends=True)
    assert CONFIG.count(tasks) == 1
    other = ann.submit(CONFIG.replace(tasks, second + first)).json()
    less = ann.submit(CONFIG.replace(second, "")).json()
    assert one["config_hash"] == other["config_hash"] != less["config_hash"]


@pytest.mark.parametrize("overrides", [
    ["++execution.mounts.deployment={/models/other: /checkpoint/sub}"], ["++execution.mounts.evaluation={/d: /datasets}"],
], ids=str)
def test_mounts_over_what_is_evaluated_matter(ann, overrides):
    other = serve(ann, *overrides)
    assert serve(ann)["config_hash"] != other["config_hash"]


def test_secrets_matter_where_a_command_refers_to_them(ann, daemon):
    def with_secret(value, use):
        return serve(ann, "++deployment.env_vars.REVISION=host:REVISION", f"deployment.extra_args={use}",
                     env={"REVISION": value})["config_hash"]

    used = "--revision $REVISION"
    assert with_secret("alpha-rev-1", used) == with_secret("alpha-rev-1", used) != with_secret("alpha-rev-2", used)
    assert with_secret("alpha-rev-1", "--x $REVISIONS") == with_secret("alpha-rev-2", "--x $REVISIONS")
    assert not daemon.execute("SELECT 1 FROM likenesses WHERE parts LIKE '%alpha-rev%'")


def test_a_sites_group_that_has_changed_makes_another_evaluation(tmp_path):
    group = tmp_path / "groups/deployment/site.yaml"
    group.parent.mkdir(parents=True)
    daemon = Daemon(tmp_path, more=f"groups_dir: {tmp_path}/groups\n")
    daemon.prepare()
    daemon.start()
    text = SERVED.replace("deployment: vllm", "deployment: site")
    hashes = set()
    for args in ("--seed 1", "--seed 1", "--seed 2"):
        group.write_text(f"type: vllm\nport: 8000\ncommand: vllm serve /checkpoint {args}\n"
                         "endpoints: {chat: /v1/chat/completions, health: /health}\n")
        hashes.add(daemon.client("ann").submit(text).json()["config_hash"])
    daemon.stop()
    assert len(hashes) == 2
