"""Comparisons of two runs by their scores, and the gate."""

import json
import subprocess

import pytest
from conftest import ROOT, Daemon, wait_until
from nel_command import answering
from test_scores import add_score, finish, submit

SCORES = {  # task: (a's value and error, b's), each of 1,000 samples
    "drops": ((0.70, 0.01), (0.60, 0.01)), "gains": ((0.50, 0.01), (0.60, 0.01)), "same": ((0.50, 0.01), (0.505, 0.01)),
    "wide": ((0.50, 0.05), (0.49, 0.05)), "bare": ((0.5, None), (0.1, None)),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """(daemon, ids of the evaluations a, b, unfinished)"""
    daemon = Daemon(tmp_path_factory.mktemp("evidence"))
    daemon.prepare()
    daemon.start()
    ann = daemon.client("ann")
    made = {name: submit(ann, overrides=[f"target.api_endpoint.model_id=org/{name}"])["id"] for name in ("a", "b", "unfinished")}
    daemon.stop()
    for place, name in enumerate("ab"):
        for job in (0, 1):
            finish(daemon, f"{made[name]}.{job}")
        for task, values in SCORES.items():
            add_score(daemon, f"{made[name]}.0", task, "acc", "acc", *values[place], 1000)
        add_score(daemon, f"{made[name]}.1", "text", "word_perplexity", "word_perplexity", (10.0, 12.0)[place], 0.1, 1000)
        add_score(daemon, f"{made[name]}.1", f"only_{name}", "acc", "acc", 0.5, 0.1, 10)
        add_score(daemon, f"{made[name]}.1", "all_right", "acc", "acc", 1, 0, 50, group=1)
    daemon.start()
    yield daemon, made
    daemon.stop()


@pytest.fixture
def ann(store):
    return store[0].client("ann")


def compare(ann, a, b):
    reply = ann.get(f"/v1/compare?a={a}&b={b}").json()
    return reply, {item["task"]: item for item in reply["items"]}


def test_each_score_has_its_interval(store, ann):
    daemon, made = store
    scores = {item["task"]: item for item in ann.get(f"/v1/jobs/{made['a']}.0/results").json()["items"]}
    assert scores["same"]["ci95"] == pytest.approx([0.5 - 1.959963984540054 * 0.01, 0.5 + 1.959963984540054 * 0.01])
    assert scores["bare"]["ci95"] is None
    all_right = [item for item in ann.get(f"/v1/jobs/{made['a']}.1/results").json()["items"] if item["task"] == "all_right"]
    assert all_right[0]["ci95"] == pytest.approx([0.9286524008666412, 1])  # Wilson's of 50 out of 50
    matrix = ann.get("/v1/results?form=matrix&task=same&baseline=org/a").json()
    cells = {row["model"]: row["cells"][0] for row in matrix["rows"]}
    assert cells["org/b"]["ci95"] == pytest.approx([0.485400360154599, 0.524599639845401])
    text = nelctl(store, "results", "--matrix", "--task", "same", "--baseline", "org/a")
    assert "0.505 [0.4854, 0.5246] (+0.005 [-0.0227, +0.0327] unpaired)" in text and "0.5 [0.4804, 0.5196] (+0)" in text, text
    assert cells["org/b"]["method"] == "independent" and cells["org/a"]["method"] is None
    assert (cells["org/a"]["delta"], cells["org/a"]["delta_ci95"], cells["org/a"]["verdict"]) == (0, None, None)
    matrix = ann.get("/v1/results?form=matrix&baseline=org/a").json()
    row = next(row for row in matrix["rows"] if row["model"] == "org/b")
    verdicts = {column["task"]: (column["lower_is_better"], cell["verdict"]) for column, cell in zip(matrix["columns"], row["cells"]) if cell}
    assert verdicts["drops"] == (False, "worse") and verdicts["text"] == (True, "worse") and verdicts["bare"] == (False, "inconclusive")
    lines = ann.get("/v1/results?form=matrix&baseline=org/a&task=drops&format=csv").text.splitlines()
    csv = dict(zip(lines[0].split(","), next(line for line in lines if line.startswith("org/b")).split(",")))
    low, high = (float(csv[f"drops acc/acc delta {end}"]) for end in ("low", "high"))
    assert low < high < 0 and (csv["drops acc/acc method"], csv["drops acc/acc verdict"]) == ("independent", "worse")
    text = ann.get(f"/v1/jobs/{made['a']}.0/results?format=csv").text.splitlines()
    assert text[0].endswith(",ci95_low,ci95_high") and text[1].endswith(",,") != text[2].endswith(",,")


def test_runs_are_compared_score_by_score(store, ann):
    daemon, made = store
    reply, items = compare(ann, made["a"], made["b"])
    assert (reply["a"], reply["b"]["model"]) == ({"evaluation": made["a"], "job": None, "model": "org/a"}, "org/b")
    assert {task: item["verdict"] for task, item in items.items()} == {
        "drops": "worse", "gains": "better", "same": "no_difference_shown", "wide": "no_difference_shown", "bare": "inconclusive",
        "text": "worse", "all_right": "inconclusive"}
    drops = items["drops"]
    assert drops["difference"] == pytest.approx(-0.1) and drops["method"] == "independent" and drops["pairs"] == 0
    assert drops["ci95"] == pytest.approx([-0.1 - 1.959963984540054 * 0.0002 ** 0.5, -0.1 + 1.959963984540054 * 0.0002 ** 0.5])
    assert drops["p"] == pytest.approx(1.5374597944280e-12, rel=1e-6) and drops["flips"] is None
    assert drops["p_adjusted"] == pytest.approx(4 * drops["p"])  # five tasks have a p, and of these one has a lesser
    assert items["wide"]["detectable"] == pytest.approx(2.801581787 * 0.005 ** 0.5, rel=1e-6)
    # What is inconclusive says what could have been seen, or that nothing is known of it.
    assert items["bare"]["detectable"] is None and items["all_right"]["detectable"] is None
    assert items["bare"]["p"] is None and items["bare"]["ci95"] is None and items["bare"]["difference"] == pytest.approx(-0.4)
    assert items["text"]["lower_is_better"] and not drops["lower_is_better"]
    assert [one["task"] for one in reply["only_a"]] == ["only_a"] and [one["task"] for one in reply["only_b"]] == ["only_b"]
    assert reply["only_a"][0]["job"] == f"{made['a']}.1"


def test_jobs_and_models_are_compared(store, ann):
    daemon, made = store
    _, of_models = compare(ann, "model:org/a", "model:org/b")
    _, of_runs = compare(ann, made["a"], made["b"])
    assert of_models == of_runs
    _, of_jobs = compare(ann, f"{made['a']}.1", f"{made['b']}.1")
    assert set(of_jobs) == {"text", "all_right"}
    assert of_jobs["text"]["p_adjusted"] == of_jobs["text"]["p"]  # the only test
    _, with_itself = compare(ann, made["a"], made["a"])
    assert with_itself["drops"]["p"] == 1 and with_itself["drops"]["verdict"] == "no_difference_shown"


def test_what_cannot_be_compared_is_said(store, ann):
    daemon, made = store
    for query, status, words in (
            (f"a={made['a']}", 400, 'query parameter "b" is missing'), (f"a={made['a']}&b=xyz", 400, "model:NAME"),
            (f"a={made['a']}&b=0123456789abcdef", 404, ""), (f"a=model:org/none&b={made['b']}", 404, "org/none"),
            (f"a={made['unfinished']}&b={made['b']}", 409, "has no scores (yet)"), (f"a={made['a']}.7&b={made['b']}", 404, "")):
        assert words in ann.get(f"/v1/compare?{query}", status).json()["detail"]
    path = f"/v1/compare?a={made['a']}&b={made['b']}"

    def is_known():  # unless the daemon has stored something in between
        etag = ann.get(path).headers["ETag"]
        return ann.request("GET", path, headers={"If-None-Match": etag}).status_code == 304

    wait_until(is_known, "304 for what the client has")


def gate(ann, made, policy, status=200):
    body = {"baseline": made["a"], "candidate": made["b"], "policy": policy}
    return ann.post("/v1/gates", status, data=json.dumps(body), headers={"Content-Type": "application/json"}).json()


@pytest.mark.parametrize("policy, verdict, outcomes", [
    ({"tasks": {"gains": {}, "same": {}}}, "pass", ["pass", "pass"]),
    ({"tasks": {"drops": {}}}, "block", ["fail"]),
    ({"tasks": {"drops": {"drop": 0.2}}}, "pass", ["pass"]),  # worse, as is allowed
    ({"tasks": {"drops": {"drop": 0.09}}}, "block", ["fail"]),
    ({"tasks": {"wide": {"drop": 0.05}}}, "inconclusive", ["inconclusive"]),  # the interval holds a greater one
    ({"tasks": {"wide": {"drop": 0.2}}}, "pass", ["pass"]),
    ({"tasks": {"wide": {}}}, "pass", ["pass"]),
    ({"tasks": {"bare": {}}}, "inconclusive", ["inconclusive"]),
    ({"tasks": {"nosuch": {}}}, "inconclusive", ["inconclusive"]),
    ({"tasks": {"same": {"least_pairs": 2000}}}, "inconclusive", ["inconclusive"]),
    ({"tasks": {"drops": {"level": "supporting"}, "same": {}}}, "warn", ["fail", "pass"]),
    ({"tasks": {"bare": {"level": "supporting"}}}, "warn", ["inconclusive"]),
    ({"tasks": {"drops": {"level": "advisory"}}}, "pass", ["fail"]),
    ({"tasks": {"text": {}}}, "block", ["fail"]),  # a perplexity that grew
    ({"tasks": {"text": {"drop": 3}}}, "pass", ["pass"]),
    ({"tasks": {"drops": {}, "bare": {}}}, "block", ["fail", "inconclusive"]),
    ({"tasks": {"same": {"metric": "f1"}}}, "inconclusive", ["inconclusive"]),
])
def test_gate_holds_the_candidate_to_the_policy(store, ann, policy, verdict, outcomes):
    reply = gate(ann, store[1], policy)
    named = [rule for rule in reply["rules"] if rule["task"] in policy["tasks"]]
    assert (reply["verdict"], [rule["outcome"] for rule in named]) == (verdict, outcomes), reply
    assert all(rule["level"] == "advisory" for rule in reply["rules"] if rule["task"] not in policy["tasks"])


def test_gate_says_why(store, ann):
    why = {rule["task"]: rule["why"] for rule in gate(ann, store[1], {"default": {"level": "critical", "drop": 0.03}})["rules"]}
    assert why["drops"] == "worse by 0.1; 0.03 is allowed"
    assert why["wide"] == "a drop of up to 0.14859 is possible, and 0.03 is allowed; 0.198102 could have been seen"
    assert why["gains"] == "better by 0.1" and why["same"].startswith("no drop is shown; one of 0.0396")


@pytest.mark.parametrize("policy, words", [
    (None, "policy must be an object"), ({}, "policy has no rule"), ({"tasks": []}, "policy must be an object"),
    ({"task": {}}, 'policy has no field "task"'), ({"tasks": {"mmlu": {"dorp": 1}}}, 'policy.tasks.mmlu has no field "dorp"'),
    ({"tasks": {"mmlu": {"level": "high"}}}, "policy.tasks.mmlu.level must be critical"),
    ({"default": {"drop": -1}}, "policy.default.drop must be"), ({"default": {"least_pairs": 1.5}}, "policy.default.least_pairs"),
    ({"default": 5}, "policy.default must be an object"), ({"default": {"metric": 1}}, "policy.default.metric must be a text"),
])
def test_a_wrong_policy_is_told(store, ann, policy, words):
    assert words in gate(ann, store[1], policy, 400)["detail"]


def nelctl(store, *words, code=0, env=None):
    daemon, _ = store
    done = subprocess.run([ROOT / "examples/nelctl", *words], env={"PATH": "/usr/bin:/bin", "NEL_URL": daemon.base,
                          "NEL_TOKEN": daemon.tokens["ann"], "LC_ALL": "C.UTF-8", **(env or {})}, text=True, capture_output=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_nelctl_compares_for_people(store):
    made = store[1]
    text = nelctl(store, "compare", made["a"][:8], "model:org/b")
    rows = [line.split() for line in text.splitlines()]
    assert rows[0] == ["TASK", "METRIC", "A", "B", "B", "-", "A", "95", "%", "P", "B", "IS"]
    assert ["drops", "acc", "0.7", "0.6", "-0.1"] == rows[2][:5] and rows[2][-1] == "worse", text
    assert "p is adjusted for 7 tasks (Holm); method: independent" in text
    assert "wide acc: a difference of 0.1981 would have been seen 4 times out of 5" in text
    assert f"only_a acc: only {made['a']}.1 has it" in text
    assert json.loads(nelctl(store, "compare", made["a"], made["b"], "--json"))["items"]
    nelctl(store, "compare", made["a"], code=2)
    nelctl(store, "compare", made["a"], "model:org/none", code=4)


def test_nelctl_gate_ends_with_the_verdict(store, tmp_path):
    made = store[1]
    for tasks, code, verdict in (({"gains": {}}, 0, "pass"), ({"drops": {}}, 1, "block"), ({"bare": {}}, 2, "inconclusive"),
                                 ({"drops": {"level": "supporting"}, "same": {}}, 0, "warn"), ({"bare": {"level": "supporting"}}, 0, "warn")):
        (tmp_path / "policy.json").write_text(json.dumps({"tasks": tasks}))
        for sides in ((made["a"], made["b"]), ("model:org/a", "model:org/b")):
            text = nelctl(store, "gate", tmp_path / "policy.json", *sides, code=code)
            assert text.splitlines()[0] == verdict
    assert "can be read" in nelctl(store, "gate", tmp_path / "none", made["a"], made["b"], code=4)


def test_nelctl_gate_without_a_verdict_ends_with_no_code_of_one(store, tmp_path):
    sides = [store[1][name] for name in "ab"]
    good, text, listed, bad = (tmp_path / name for name in ("good.json", "text", "list.json", "bad.json"))
    for file, content in ((good, '{"tasks": {"gains": {}}}'), (text, "tasks: {}"), (listed, "[]"), (bad, '{"tasks": {"gains": {"dorp": 1}}}')):
        file.write_text(content)
    for words, says in (([tmp_path / "none", *sides], "there is no file"), ([tmp_path, *sides], "there is no file"),
                        ([text, *sides], "no JSON object"), ([listed, *sides], "no JSON object"), ([bad, *sides], "dorp"), ([good], "two runs"),
                        ([good, "x", sides[1]], "no id"), ([good, sides[0], "model:org/none"], "(404)"), (["--frobnicate", *sides], "no file")):
        assert says in nelctl(store, "gate", *words, code=4), words
    words = ["gate", good, *sides]
    for env, code in (({"NEL_URL": "nowhere"}, 4), ({"NEL_PATIENCE": "long"}, 4), ({"TMPDIR": str(tmp_path / "none")}, 4),
                      ({"NEL_TOKEN": "", "NEL_TOKEN_FILE": "/nonexistent"}, 4), ({"NEL_TOKEN": "nel_wrong"}, 5),
                      ({"NEL_URL": "http://127.0.0.1:1", "NEL_PATIENCE": "0"}, 6)):
        nelctl(store, *words, code=code, env=env)
    for reply in ({"verdict": None, "rules": []}, "<p>a proxy's page</p>"):
        with answering(lambda _, reply=reply: (200, {}, reply)) as url:
            assert "no verdict" in nelctl(store, *words, code=6, env={"NEL_URL": url})
