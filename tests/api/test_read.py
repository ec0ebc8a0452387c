"""Reads from the store: evaluations, jobs, scores, lists and their pages, clusters, tasks, the service itself."""

import contextlib
import csv
import io
import itertools
import json
import re
import sqlite3

import pytest
import yaml
from conftest import CONFIG, ROOT, wait_until

LABELLED = {"config": CONFIG}
JOB_KEYS = ("id evaluation task index user cluster model partition account gpus state reason waiting_on queue chain slurm_job_id "
            "attempt progress gpu_utilization budget reused_from export warnings observed_at created_at started_at ended_at rundir").split()
EVALUATION_KEYS = "id user cluster state created_at updated_at labels model config_hash images placement counts warnings chains jobs".split()
NO_ID = ["0123456789abcdef", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0", "x", "%00", "..%2f..", "0" * 2000,
         "0123456789abcdef.0.0", "caf%C3%A9"]


def submit(client, **envelope):
    return client.submit(json.dumps({"config": CONFIG, **envelope}), content_type="application/json").json()


def pages(client, path, limit, **params):
    items, cursor, replies = [], None, 0
    while True:
        reply = client.get(path, params={"limit": limit, **params, **({"cursor": cursor} if cursor else {})})
        items += reply.json()["items"]
        replies += 1
        cursor = reply.json()["next"]
        assert ("Link" in reply.headers) == (cursor is not None)
        if cursor is None:
            return items, replies


@pytest.fixture(scope="module")
def many(daemon):
    """120 evaluations of one label, oldest first."""
    client = daemon.client("ann")
    return [submit(client, labels={"batch": "many", "number": str(i % 3)})["id"] for i in range(120)]


def test_evaluation_shape_every_key_present(ann):
    body = submit(ann, labels={"a": "b"})
    body = ann.get(f"/v1/evaluations/{body['id']}").json()
    assert list(body) == EVALUATION_KEYS and list(body["jobs"][0]) == JOB_KEYS
    assert sum(n for state, n in body["counts"].items() if state != "total") == body["counts"]["total"] == 2
    assert body["jobs"][0]["rundir"].startswith("/shared/out/")
    # Unshared: a chain each, of the job's index, which has the job's own state and budget.
    assert [list(chain) for chain in body["chains"]] == [["id", "jobs", "state", "attempt", "slurm_job_id", "budget"]] * 2
    assert [(chain["id"], chain["jobs"]) for chain in body["chains"]] == [
        (f"{body['id']}.c{index}", [f"{body['id']}.{index}"]) for index in (0, 1)]
    for chain, job in zip(body["chains"], body["jobs"]):
        assert job["chain"] == chain["id"]
        assert all(job[key] == chain[key] for key in ("state", "attempt", "slurm_job_id", "budget"))
    assert body["jobs"][0]["budget"] == {"limit_s": 432000, "used_s": 0, "remaining_s": 432000}


def test_job_shape_waits_on_the_cluster(ann):
    identity = submit(ann)["id"] + ".1"
    job = wait_until(lambda: (j := ann.get(f"/v1/jobs/{identity}").json())["waiting_on"] and j["attempts"] and j)
    assert list(job) == JOB_KEYS + ["placement", "failure", "attempts", "history"]
    assert job["task"] == "simple_evals.mmlu_pro" and job["index"] == 1
    assert job["history"][0]["from"] is None and job["history"][0]["to"] == "queued"
    assert job["chain"] == identity.replace(".1", ".c1") and job["attempts"][0]["jobs"] == [identity]
    assert job["attempts"][0]["number"] == 1 == job["attempt"] and job["attempts"][0]["slurm_job_id"] is None
    script = ann.get(f"/v1/jobs/{identity}/script")
    assert script.text.startswith("#!/bin/bash\n#SBATCH ")
    assert ann.get(f"/v1/jobs/{identity}/script?attempt=1").text == script.text
    ann.get(f"/v1/jobs/{identity}/script?attempt=2", 404)
    ann.get(f"/v1/jobs/{identity}/script?attempt=0", 400)


def test_job_unlimited_budget_null(ann):
    body = ann.submit(params={"override": "++execution.max_walltime=null"}).json()
    assert body["jobs"][0]["budget"] == {"limit_s": None, "used_s": 0, "remaining_s": None}


@pytest.mark.parametrize("identity", NO_ID)
def test_unknown_ids_not_found(ann, identity):
    status = 400 if identity == "%00" else 404
    for path in ("/v1/evaluations/{}", "/v1/evaluations/{}/config", "/v1/jobs/{}", "/v1/jobs/{}.0", "/v1/jobs/{}/script",
                 "/v1/jobs/{}/logs", "/v1/jobs/{}/logs/a", "/v1/jobs/{}/artifacts/a", "/v1/jobs/{}/results"):
        if identity == "0123456789abcdef.0.0" and path == "/v1/jobs/{}":
            continue
        ann.get(path.format(identity), status)


@pytest.mark.parametrize("index", ["00", "-1", "1x", "100000", "99", "", "0 ", "+0"])
def test_job_ids_of_another_shape_not_found(ann, index):
    ann.get(f"/v1/jobs/{submit(ann)['id']}.{index}", 404)


def test_list_pages_have_all_once_newest_first(ann, many):
    for limit, replies in ((7, 18), (50, 3), (119, 2), (120, 1), (500, 1)):
        items, count = pages(ann, "/v1/evaluations", limit, label="batch:many")
        assert [i["id"] for i in items] == many[::-1]
        assert count == replies


def test_list_page_of_large_evaluations_ends_early(fresh):
    service = fresh()
    service.start()
    ann = service.client("ann")
    headers = {"Authorization": f"Bearer {ann.token}"}  # without openapi.yaml's schemas, which take a minute for so much
    config = yaml.safe_load(CONFIG)
    config["execution"]["output_dir"] = "/shared" + 9 * ("/" + "a" * 200)
    config["evaluation"]["tasks"] = [{"name": "hellaswag"}] * 100
    ids = [ann.session.post(ann.base + "/v1/evaluations", json=config, headers=headers, timeout=60).json()["id"] for _ in range(14)]
    first = ann.session.get(ann.base + "/v1/evaluations?limit=500", headers=headers, timeout=60)
    page = first.json()
    assert 1 < len(page["items"]) < 14 and len(first.content) < 3 * 1024 * 1024
    rest = ann.session.get(ann.base + "/v1/evaluations", params={"limit": 500, "cursor": page["next"]}, headers=headers, timeout=60).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == ids[::-1] and rest["next"] is None
    assert all(len(one["jobs"]) == 100 for one in page["items"] + rest["items"])


def test_list_jobs_pages_have_all_once(ann, many):
    items, _ = pages(ann, "/v1/jobs", 500, evaluation=many[5])
    assert [i["id"] for i in items] == [f"{many[5]}.1", f"{many[5]}.0"]
    seen = [i["id"] for i in pages(ann, "/v1/jobs", 37, user="ann", task="simple_evals.mmlu_pro")[0]]
    assert len(seen) == len(set(seen)) and set(seen) >= {f"{i}.1" for i in many}


def test_list_link_leads_to_the_next_page(ann, many):
    reply = ann.get("/v1/evaluations?limit=100&label=batch%3Amany")
    target = re.fullmatch(r'<(/[^>]*)>; rel="next"', reply.headers["Link"])[1]
    assert [i["id"] for i in ann.get(target).json()["items"]] == many[19::-1]


def test_list_pages_stay_stable_while_rows_come(ann, many):
    first = ann.get("/v1/evaluations", params={"limit": 60, "label": "batch:many"}).json()
    submit(ann, labels={"batch": "other"})
    second = ann.get("/v1/evaluations", params={"limit": 60, "label": "batch:many", "cursor": first["next"]}).json()
    assert [i["id"] for i in first["items"] + second["items"]] == many[::-1]


def test_list_filters(ann, bob, many):
    of_bob = submit(bob, labels={"batch": "bob"}, overrides=["target.api_endpoint.model_id=org/other"])["id"]

    def ids(**params):
        return [i["id"] for i in pages(ann, "/v1/evaluations", 500, **params)[0]]

    assert len(ids(label="number:1")) == 40
    assert ids(label="batch:bob") == [of_bob] and ids(label="batch:") == [] and ids(label="bat:bob") == []
    assert of_bob in ids(user="bob") and of_bob not in ids(user="ann")
    assert ids(model="org/other") == [of_bob]
    assert ids(cluster="alpha", label="batch:bob") == [of_bob] and ids(cluster="beta", label="batch:bob") == []
    assert ids(task="simple_evals.mmlu_pro", label="batch:bob") == [of_bob] and ids(task="mmlu") == []
    assert ids(state="succeeded", label="batch:many") == []
    assert ids(since="2001-01-01T00:00:00Z", label="batch:bob") == [of_bob]
    assert ids(until="2001-01-01T00:00:00Z") == [] and ids(since="2999-01-01T00:00:00+02:00") == []
    states = {i["state"] for i in ann.get("/v1/jobs?state=queued").json()["items"]}
    assert states <= {"queued"}


@pytest.mark.parametrize("path, query", [
    ("/v1/evaluations", "limit=0"), ("/v1/evaluations", "limit=501"), ("/v1/evaluations", "limit=x"),
    ("/v1/evaluations", "limit="), ("/v1/evaluations", "limit=5&limit=6"), ("/v1/evaluations", "cursor="),
    ("/v1/evaluations", "cursor=AAAA"), ("/v1/evaluations", "cursor=../../x"), ("/v1/evaluations", "state=done"),
    ("/v1/evaluations", "since=yesterday"), ("/v1/evaluations", "until=2026-13-01"), ("/v1/evaluations", "label=x"),
    ("/v1/evaluations", "label=:x"), ("/v1/evaluations", "page=2"), ("/v1/jobs", "state=RUNNING"),
    ("/v1/jobs", "page=x"), ("/v1/tasks", "cursor=zzz"), ("/v1/results", "format=xml"), ("/v1/results", "limit=-1"),
    ("/v1/clusters", "x=1"), ("/v1/whoami", "x=1"), ("/healthz", "x=1"), ("/readyz", "x=1"), ("/openapi.yaml", "x=1"),
])
def test_query_wrong_refused(ann, path, query):
    name = query.split("=")[0]
    assert name in ann.get(f"{path}?{query}", 400).json()["detail"]


def test_list_search_finds_by_words_and_says_what_is_wrong_with_others(ann, many):
    one = submit(ann, labels={"batch": "sought", "project": "Blue Whale"})["id"]

    def found(search, **params):
        return [item["id"] for item in pages(ann, "/v1/evaluations", 7, search=search, **params)[0]]

    assert found("blue whale") == [one] == found("PROJECT:blue") == found(one[2:12]) == found("sough mmlu_pro ifeval alpha ann")
    assert found("blue gpqa_diamond") == [] == found("blue", user="bob")
    assert found("batch:many", label="number:1") == many[1::3][::-1]
    assert ann.get("/v1/evaluations?search=batch:many&total=true").json()["total"] == len(many)
    jobs = [item["id"] for item in pages(ann, "/v1/jobs", 1, search="blue WHALE")[0]]
    assert jobs == [f"{one}.1", f"{one}.0"]
    tasks = {item["task"]: item["id"] for item in ann.get(f"/v1/jobs?search={one}").json()["items"]}
    for task, identity in tasks.items():  # a job is found by its own task alone
        assert [item["id"] for item in ann.get("/v1/jobs", params={"search": f"whale {task} ann"}).json()["items"]] == [identity]
    assert ann.get("/v1/jobs", params={"search": "whale " + " ".join(tasks)}).json()["items"] == []
    assert ann.get("/v1/jobs?search=batch:many&total=true&limit=1").json()["total"] == 2 * len(many)
    for path, wrong in itertools.product(("/v1/evaluations", "/v1/jobs"), ("ab", "blue ab", "   ", "", "x" * 200)):
        reply = ann.request("GET", path, params={"search": wrong})
        assert reply.status_code == 400 and "search" in reply.json()["detail"], reply.text


def test_list_search_finds_at_once_what_was_just_submitted(ann, daemon):
    """The index is written a second later, or by who searches."""
    for number in range(8):
        identity = submit(ann, labels={"batch": f"fresh-{number}"})["id"]
        assert [item["id"] for item in ann.get(f"/v1/evaluations?search=fresh-{number}").json()["items"]] == [identity]
        assert len(ann.get(f"/v1/jobs?search=batch:fresh-{number}").json()["items"]) == 2
    missing = "SELECT count(*) FROM evaluations WHERE seq > coalesce((SELECT max(rowid) FROM evaluation_search), 0)"
    with contextlib.closing(sqlite3.connect(daemon.database)) as store:
        submit(ann, labels={"batch": "nobody-searches"})
        wait_until(lambda: store.execute(missing).fetchone()[0] == 0, "the index")


def pages_of_a_list_at_rest(client, path, limit, **params):
    """All items, page by page. What changes meanwhile goes to the front of `-updated` and is rightly not met again: then once more."""
    def read():
        before = client.get(path, params={"limit": 500, **params}).json()
        items = pages(client, path, limit, **params)[0]
        return client.get(path, params={"limit": 500, **params}).json() == before and items
    return wait_until(read, f"{path} to change no more")


def test_list_sorted_has_all_once(ann, many):
    label = {"label": "batch:many"}
    assert [item["id"] for item in pages(ann, "/v1/evaluations", 7, sort="created", **label)[0]] == many
    changed = pages_of_a_list_at_rest(ann, "/v1/evaluations", 7, sort="-updated", **label)
    assert sorted(item["id"] for item in changed) == sorted(many)
    assert [item["updated_at"] for item in changed] == sorted((item["updated_at"] for item in changed), reverse=True)
    assert [item["id"] for item in pages(ann, "/v1/evaluations", 7, sort="-created", **label)[0]] == many[::-1]
    jobs = [f"{one}.{index}" for one in many for index in (0, 1)]
    assert [item["id"] for item in pages(ann, "/v1/jobs", 37, sort="created", **label)[0]] == jobs
    changed = pages_of_a_list_at_rest(ann, "/v1/jobs", 37, sort="-updated", **label)
    assert sorted(item["id"] for item in changed) == sorted(jobs)
    assert [item["id"] for item in pages(ann, "/v1/jobs", 37, sort="-created", **label)[0]] == jobs[::-1]
    for path in ("/v1/evaluations", "/v1/jobs"):
        assert ann.request("GET", f"{path}?sort=model").status_code == 400


def test_cursor_of_another_list_refused(ann, many):
    cursor = ann.get("/v1/evaluations?limit=1").json()["next"]
    ann.get(f"/v1/jobs?cursor={cursor}", 400)
    ann.get(f"/v1/evaluations?cursor={cursor[:-2]}xx", 400)


@pytest.mark.parametrize("form", ["", "raw", "submitted,resolved"])
def test_config_form_wrong_refused(ann, many, form):
    ann.get(f"/v1/evaluations/{many[0]}/config?form={form}", 400)


def test_etag_unchanged_is_304_and_changed_is_200(ann, daemon):
    identity = submit(ann)["id"]
    wait_until(lambda: ann.get(f"/v1/jobs/{identity}.1").json()["attempts"])
    path = f"/v1/evaluations/{identity}/config"
    tag = ann.get(path).headers["ETag"]
    for header in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        reply = ann.get(path, 304, headers={"If-None-Match": header})
        assert reply.headers["ETag"] == tag
    ann.get(path, headers={"If-None-Match": '"other"'})
    tag = ann.get(f"/v1/evaluations/{identity}").headers["ETag"]
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{identity}").headers["ETag"] != tag)


def revalidated(daemon):
    text = daemon.client("root-of-all").get("/metrics").text
    return float(next(line for line in text.splitlines() if line.startswith("nel_http_revalidated_total ")).split()[1])


def test_unchanged_is_known_without_its_body(ann, daemon):
    identity = submit(ann)["id"]
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{identity}").json()["state"] == "cancelled")
    for path in (f"/v1/evaluations/{identity}", f"/v1/jobs/{identity}.0", "/v1/evaluations?limit=3", "/v1/jobs?limit=3",
                 "/v1/results?limit=3"):
        def is_known():
            """Other evaluations of these tests may have moved in between."""
            tag = ann.get(path).headers["ETag"]
            return ann.request("GET", path, headers={"If-None-Match": tag}).status_code == 304
        before = revalidated(daemon)
        wait_until(is_known)
        assert revalidated(daemon) > before
    for path in ("/v1/jobs/0123456789abcdef.0", "/v1/evaluations/0123456789abcdef"):
        ann.get(path, 404, headers={"If-None-Match": "*"})


def test_list_known_before_a_change_is_not_known_after_it(ann, daemon):
    other = daemon.client("ann")
    for _ in range(10):
        tags = {path: ann.get(path).headers["ETag"] for path in ("/v1/evaluations?limit=1", "/v1/jobs?limit=1")}
        identity = submit(other)["id"]
        for path, tag in tags.items():
            assert ann.get(path, headers={"If-None-Match": tag}).json()["items"][0]["id"].startswith(identity)


def test_evaluation_read_again_shows_every_change(ann, daemon):
    """Replies may be kept while the store stays the same; on no connection may one outlive a change."""
    identity = submit(ann)["id"]
    clients = [daemon.client("ann") for _ in range(8)]
    for number in range(5):
        daemon.execute("UPDATE evaluations SET model = ?, version = version + 1 WHERE id = ?", f"org/{number}", identity)
        for client in clients * 2:
            assert client.get(f"/v1/evaluations/{identity}").json()["model"] == f"org/{number}"
    for client in clients:
        assert client.post(f"/v1/evaluations/{identity}/cancel").json()["model"] == "org/4"
        assert client.get(f"/v1/evaluations/{identity}").json()["model"] == "org/4"


def kept_replies(daemon, identity):
    return daemon.execute("SELECT r.text FROM replies r JOIN evaluations e ON e.seq = r.evaluation WHERE e.id = ? AND r.format <> 0",
                          identity)


def test_ended_evaluation_reads_the_same_before_and_after_it_is_kept(ann, bob, eve, daemon):
    """Its reply is rendered once and kept in the store. None may outlive a change, by whomever, and everybody reads it."""
    identity = submit(ann)["id"]
    path = f"/v1/evaluations/{identity}"
    ann.post(f"{path}/cancel")
    wait_until(lambda: ann.get(path).json()["state"] == "cancelled")
    wait_until(lambda: kept_replies(daemon, identity))
    kept = ann.get(path)
    for reader in (bob, eve):
        assert reader.get(path).content == kept.content
    assert ann.request("GET", path, headers={"If-None-Match": kept.headers["ETag"]}).status_code == 304
    listed = next(item for item in ann.get("/v1/evaluations?limit=500").json()["items"] if item["id"] == identity)
    assert listed == kept.json()

    # Without what is kept it is made from its rows, and is the same.
    daemon.execute("UPDATE replies SET format = 0, text = '' WHERE evaluation = (SELECT seq FROM evaluations WHERE id = ?)",
                   identity)
    made = ann.get(path)
    assert made.content == kept.content and made.headers["ETag"] == kept.headers["ETag"]

    # Changed beside the daemon, kept or not yet: the next reader sees it.
    for number in range(6):
        daemon.execute("UPDATE jobs SET reason = ?, version = version + 1 WHERE evaluation = ?", f"reason {number}", identity)
        if number % 2:
            submit(ann)  # its event wakes the keeper
            wait_until(lambda: kept_replies(daemon, identity))
        assert {job["reason"] for job in daemon.client("ann").get(path).json()["jobs"]} == {f"reason {number}"}


def test_head_same_headers_no_body(ann, many):
    for path in (f"/v1/evaluations/{many[0]}/config", "/v1/tasks", "/healthz", "/v1/evaluations?limit=1&label=batch:many",
                 "/v1/evaluations/none"):
        for _ in range(50):  # a job that waits for a cluster may change between two requests
            get, head, again = (ann.request(method, path) for method in ("GET", "HEAD", "GET"))
            if get.headers.get("ETag") == again.headers.get("ETag"):
                break
        assert head.status_code == get.status_code
        for name in ("Content-Type", "Content-Length", "ETag", "Link"):
            assert head.headers.get(name) == get.headers.get(name)


@pytest.fixture(scope="module")
def scores(daemon):
    """Scores as the daemon stores them, of two jobs with different models."""
    client = daemon.client("ann")
    jobs = []
    for model in ("org/scored-1", "org/scored-2"):
        jobs.append(submit(client, labels={"scored": "yes"}, overrides=[f"target.api_endpoint.model_id={model}"])["id"] + ".0")
        daemon.execute("INSERT INTO results (job, task, is_group, metric, score, value, stderr, count, recorded_at) "
                       "SELECT seq, 'ifeval, \"strict\"', 0, 'accuracy', 'micro', 0.1, NULL, 541, 5 FROM jobs WHERE id = ?",
                       jobs[-1])
        daemon.execute("INSERT INTO results (job, task, is_group, metric, score, value, stderr, count, recorded_at) "
                       "SELECT seq, 'ifeval', 1, 'accuracy', 'macro', 1e308 * 10, 0.25, NULL, 5 FROM jobs WHERE id = ?",
                       jobs[-1])
    return jobs


def test_results_of_job_json_and_csv(ann, scores):
    items = ann.get(f"/v1/jobs/{scores[0]}/results").json()["items"]
    assert len(items) == 2 and all(i["job"] == scores[0] and i["model"] == "org/scored-1" for i in items)
    plain = next(i for i in items if not i["group"])
    assert (plain["value"], plain["stderr"], plain["count"]) == (0.1, None, 541)
    assert next(i for i in items if i["group"])["value"] is None
    for reply in (ann.get(f"/v1/jobs/{scores[0]}/results?format=csv"),
                  ann.get(f"/v1/jobs/{scores[0]}/results", headers={"Accept": "text/csv"})):
        rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
        assert {r["task"] for r in rows} == {'ifeval, "strict"', "ifeval"}
        assert {r["value"] for r in rows} == {"0.1", ""}
    assert ann.get(f"/v1/jobs/{scores[0]}/results?format=json", headers={"Accept": "text/csv"}).json()


def test_list_jobs_filters_and_what_each_says_of_itself(ann, bob, many):
    overrides = ["target.api_endpoint.model_id=org/of-jobs", "++execution.partition=gpu", "execution.num_nodes=2",
                 "++execution.gpus_per_node=4"]
    other = submit(bob, labels={"batch": "jobs"}, overrides=overrides)["id"]

    def ids(**params):
        return [i["id"] for i in pages(ann, "/v1/jobs", 500, **params)[0]]

    both = [f"{other}.1", f"{other}.0"]
    assert ids(label="batch:jobs") == both == ids(model="org/of-jobs") == ids(user="bob", label="batch:jobs", model="org/of-jobs")
    assert ids(label="batch:none") == [] == ids(label="batch:many", model="org/of-jobs")
    assert len(ids(label="number:1")) == 80 and len(pages(ann, "/v1/jobs", 7, label="number:1")[0]) == 80
    assert ids(since="2001-01-01T00:00:00Z", label="batch:jobs") == both
    assert ids(until="2001-01-01T00:00:00Z") == [] == ids(since="2999-01-01T00:00:00Z")
    job = ann.get(f"/v1/jobs?label=batch:jobs&task=simple_evals.mmlu_pro").json()["items"][0]
    said = {"user": "bob", "cluster": "alpha", "model": "org/of-jobs", "partition": "gpu", "account": "acct", "gpus": 8}
    assert said.items() <= job.items() and said.items() <= ann.get(f"/v1/evaluations/{other}").json()["jobs"][1].items()
    for query in ("label=x", "since=yesterday", "until=1"):
        ann.get(f"/v1/jobs?{query}", 400)


def test_results_across_evaluations_filters_and_pages(ann, scores):
    def jobs(**params):
        return [i["job"] for i in pages(ann, "/v1/results", params.pop("limit", 500), **params)[0]]

    assert sorted(set(jobs(label="scored:yes"))) == sorted(scores)
    assert set(jobs(model="org/scored-2")) == {scores[1]}
    assert len(jobs(label="scored:yes", limit=1)) == 4
    assert len(jobs(task="ifeval", label="scored:yes")) == 2
    assert jobs(metric="f1") == [] and jobs(label="scored:no") == []
    reply = ann.get("/v1/results?format=csv&limit=1")
    assert len(list(csv.reader(io.StringIO(reply.text, newline="")))) >= 2 and "Link" in reply.headers


def test_results_none_yet_empty(ann):
    assert ann.get(f"/v1/jobs/{submit(ann)['id']}.0/results").json() == {"items": [], "next": None}


def test_clusters_listed_and_found(ann):
    clusters = {c["name"]: c for c in ann.get("/v1/clusters").json()["items"]}
    assert set(clusters) == {"alpha", "beta"}
    assert ann.get("/v1/clusters/alpha").json()["hostname"] == "alpha.example"
    for name in ("gamma", "alpha.example", "%2e%2e", "a%2Fb"):
        ann.get(f"/v1/clusters/{name}", 404)


def test_tasks_searched_and_paged(ann):
    everything, _ = pages(ann, "/v1/tasks", 500)
    assert len(everything) > 100
    assert pages(ann, "/v1/tasks", 41)[0] == everything
    found = ann.get("/v1/tasks?search=IFEVAL&limit=500").json()["items"]
    assert found and all("ifeval" in (t["task"] + t["harness"]).lower() for t in found)
    harness = ann.get("/v1/tasks?harness=simple_evals&limit=500").json()["items"]
    assert harness and {t["harness"] for t in harness} == {"simple_evals"}
    assert ann.get("/v1/tasks?search=no-such-task").json() == {"items": [], "next": None}


def test_whoami_user_and_role(admin, ann, eve, nobody):
    by_token = {"signed_in_by": "token", "expires_at": None}
    assert admin.get("/v1/whoami").json() == {"user": "root-of-all", "role": "admin", **by_token}
    assert ann.get("/v1/whoami").json() == {"user": "ann", "role": "user", **by_token}
    assert eve.get("/v1/whoami").json() == {"user": "eve", "role": "viewer", **by_token}
    nobody.get("/v1/whoami", 401)


def test_viewer_reads_everything(eve, many):
    for path in ("/v1/evaluations", f"/v1/evaluations/{many[0]}", f"/v1/evaluations/{many[0]}/config", "/v1/jobs",
                 f"/v1/jobs/{many[0]}.0", f"/v1/jobs/{many[0]}.0/results", "/v1/results", "/v1/clusters", "/v1/tasks"):
        eve.get(path)


def test_service_pages_need_no_token(nobody):
    assert nobody.get("/healthz").json() == {"status": "ok"}
    assert nobody.get("/readyz").json() == {"ready": True, "checks": {"database": "ok", "scheduler": "ok"}}
    reply = nobody.get("/openapi.yaml")
    assert reply.content == (ROOT / "openapi.yaml").read_bytes()
    assert yaml.safe_load(reply.text)["openapi"].startswith("3.1")
