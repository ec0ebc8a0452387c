"""POST /v1/evaluations in all its forms, and what is refused."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from conftest import CONFIG

SECRET = "sEcr3t-$(touch x)-'q'"
WITH_KEY = CONFIG.replace("model_id: org/model", "model_id: org/model\n    api_key_name: API_KEY")


def count(daemon):
    return daemon.execute("SELECT count(*) FROM evaluations")[0][0]


def as_json(config=CONFIG):
    return yaml.safe_load(config)


def pointers(reply):
    return [e["pointer"] for e in reply.json()["errors"]]


@pytest.mark.parametrize("content_type", ["application/yaml", "application/x-yaml", "text/yaml",
                                          "text/yaml; charset=UTF-8"])
def test_submit_yaml_accepted(ann, content_type):
    reply = ann.submit(content_type=content_type)
    body = reply.json()
    assert reply.headers["Location"] == f"/v1/evaluations/{body['id']}"
    assert body["user"] == "ann" and body["cluster"] == "alpha" and body["model"] == "org/model"
    assert body["counts"]["total"] == 2 == len(body["jobs"])
    assert [job["id"] for job in body["jobs"]] == [f"{body['id']}.0", f"{body['id']}.1"]
    assert ann.get(reply.headers["Location"]).json()["id"] == body["id"]


def test_submit_plain_json_accepted(ann):
    text = json.dumps(as_json())
    identity = ann.submit(text, content_type="application/json").json()["id"]
    reply = ann.get(f"/v1/evaluations/{identity}/config")
    assert reply.headers["Content-Type"] == "application/json" and reply.text == text


@pytest.mark.parametrize("config", [as_json(), CONFIG], ids=["object", "yaml"])
def test_submit_envelope_accepted(ann, config):
    envelope = {"config": config, "overrides": ["execution.walltime=02:00:00"], "labels": {"team": "x", "läuft": "é"},
                "env": {"API_KEY": SECRET}}
    body = ann.submit(json.dumps(envelope), content_type="application/json").json()
    assert body["labels"] == envelope["labels"]
    resolved = ann.get(f"/v1/evaluations/{body['id']}/config?form=resolved").json()
    assert resolved["execution"]["walltime"] == "02:00:00"
    submitted = ann.get(f"/v1/evaluations/{body['id']}/config?form=submitted")
    assert yaml.safe_load(submitted.text) == as_json() and "team" not in submitted.text


def test_submit_multipart_accepted(ann):
    body = ann.post("/v1/evaluations", files=[
        ("config", ("c.yaml", WITH_KEY)),
        ("env_file", (".env", f"# keys\nexport API_KEY=\"{SECRET.replace('$', chr(92) + '$')}\"\n")),
        ("override", (None, "execution.walltime=00:30:00")),
        ("override", (None, "++execution.partition=long")),
        ("label", (None, "team:a=b:c")), ("label", (None, "empty:")),
    ]).json()
    assert body["labels"] == {"team": "a=b:c", "empty": ""}
    resolved = ann.get(f"/v1/evaluations/{body['id']}/config?form=resolved").json()
    assert resolved["execution"]["walltime"] == "00:30:00"
    defaulted = ann.get(f"/v1/evaluations/{body['id']}/config?form=defaulted").json()["items"]
    assert "/execution/num_nodes" in defaulted
    assert not {"/execution", "/execution/walltime", "/execution/partition", "/execution/output_dir"} & set(defaulted)


def test_submit_query_overrides_in_order(ann):
    params = [("override", "execution.walltime=03:00:00"), ("override", "++execution.sbatch_comment=a b&c=d"),
              ("override", "execution.walltime=04:00:00")]
    reply = ann.submit(params=params)
    resolved = ann.get(reply.headers["Location"] + "/config?form=resolved").json()
    assert resolved["execution"]["walltime"] == "04:00:00"
    assert resolved["execution"]["sbatch_comment"] == "a b&c=d"


def test_submit_dry_run_stores_nothing(ann, daemon):
    before = count(daemon)
    reply = ann.submit(json.dumps({"config": WITH_KEY, "env": {"API_KEY": SECRET}}), 200, "application/json",
                       params={"dry_run": "true"})
    body = reply.json()
    assert len(body["jobs"]) == 2 and body["cluster"] == "alpha"
    assert body["jobs"][0]["script"].startswith("#!/bin/bash")
    assert "API_KEY" in body["jobs"][0]["secrets"] and "<redacted>" in body["jobs"][0]["secrets"]
    assert SECRET not in reply.text and "sEcr3t" not in reply.text
    assert count(daemon) == before


def test_submit_strict_warnings_are_errors(ann, daemon):
    before = count(daemon)
    config = CONFIG.replace("  account: acct", "  account: acct\n  wallltime: '01:00:00'")
    assert any("wallltime" in w["pointer"] for w in ann.submit(config).json()["warnings"])
    reply = ann.submit(config, 422, params={"strict": "true"})
    assert any("wallltime" in p for p in pointers(reply))
    assert count(daemon) == before + 1


def test_submit_tells_every_kind_of_mistake_together(ann):
    config = CONFIG.replace("alpha.example", "nowhere.example").replace("  account: acct", "  account: acct\n  walltime: 1h")
    config = config.replace("evaluation:\n", "evaluation:\n  pre_cmd: id\n  env_vars: {HF_TOKEN: 'host:NOT_THERE'}\n", 1)
    errors = ann.submit(config, 422).json()["errors"]
    found = {error["pointer"]: error for error in errors}
    assert set(found) == {"/execution/hostname", "/execution/walltime", "/evaluation/env_vars/HF_TOKEN", "/evaluation/pre_cmd"}
    secret = found["/evaluation/env_vars/HF_TOKEN"]
    assert secret["line"] == 1 + config[:config.index("HF_TOKEN")].count("\n")
    assert "--env-file" in secret["message"] and "NOT_THERE" in secret["message"]


def test_submit_by_curl_with_the_wrong_option_is_told_the_right_one(ann):
    reply = ann.submit("defaults: []", 415, "application/x-www-form-urlencoded")
    assert "-F config=@FILE" in reply.json()["detail"]
    for text, content_type in (("config.yaml", "application/yaml"), ("config.json", "application/json"), ("./x", "application/json")):
        reply = ann.submit(text, 422, content_type)
        assert "-F config=@FILE" in reply.json()["errors"][0]["message"], text
    ann.submit("\ufeff" + json.dumps(as_json(CONFIG)), content_type="application/json")
    assert "not valid JSON" in ann.submit('{"a": x}', 422, "application/json").json()["errors"][0]["message"]


def test_submit_refused_for_a_key_that_is_mistyped_names_both(ann):
    problem = ann.submit(CONFIG.replace("account: acct", "acount: acct"), status=422).json()
    assert [error["pointer"] for error in problem["errors"]] == ["/execution/account"]
    (warning,) = [one for one in problem["warnings"] if one["pointer"] == "/execution/acount"]
    assert "did you mean 'account'" in warning["message"]
    assert CONFIG.replace("account: acct", "acount: acct").splitlines()[warning["line"] - 1].strip() == "acount: acct"


def test_submit_file_name_in_place_of_an_env_file_is_told_the_sign(ann):
    reply = ann.post("/v1/evaluations", 400, files={"config": ("c", CONFIG), "env_file": (None, "secrets/.env")})
    assert reply.json()["detail"] == ("env_file: line 1: not NAME=value; if this is the name of a file, curl sends what is in it with"
                                      " an '@' before it: -F env_file=@FILE")


def test_submit_of_a_config_that_lost_its_line_breaks_is_told_the_cause(ann):
    errors = ann.submit(CONFIG.replace("\n", ""), 422).json()["errors"]
    assert "not valid YAML" in errors[0]["message"]
    assert "curl -d takes line breaks out" in errors[1]["message"] and "--data-binary @FILE" in errors[1]["message"]
    for other in (CONFIG.replace(":", ""), "{a: x", "{a: 99999999999999999999}", "a: 99999999999999999999"):
        assert len(ann.submit(other, 422).json()["errors"]) == 1, other


def test_submit_of_nothing_but_comments_is_told_so(ann):
    (error,) = ann.submit("# ours; " + CONFIG.replace("\n", ""), 422).json()["errors"]
    assert "begins with #" in error["message"] and "curl -d takes line breaks out" in error["message"]
    for nothing in (" ", "\n", "# a\n# b\n", "---\n"):
        assert [e["message"] for e in ann.submit(nothing, 422).json()["errors"]] == ["The config is empty"], nothing


def test_submit_of_an_envelope_with_a_mistyped_config_is_told_its_name(ann):
    for more in ({"env": {"A": "b"}}, {"overrides": []}, {"labels": {}}, {}):
        problem = ann.submit(json.dumps({"confg": as_json(CONFIG), **more}), 400, "application/json").json()
        assert [e["pointer"] for e in problem["errors"]] == ["/confg", "/config"]
        assert "did you mean config?" in problem["errors"][0]["message"] and "is missing" in problem["errors"][1]["message"]
    ann.submit(json.dumps({**as_json(CONFIG), "labels": {}}), content_type="application/json")  # a config with a key that nothing reads


def test_body_with_a_content_encoding_is_refused(ann):
    for path, body, content_type in (("/v1/evaluations", CONFIG, "application/yaml"), ("/v1/campaigns", "{}", "application/json")):
        for encoding in ("gzip", "br", "identity, gzip", "\xe9"):
            reply = ann.request("POST", path, data=gzip.compress(body.encode()), headers={"Content-Type": content_type, "Content-Encoding": encoding})
            assert reply.status_code == 415 and reply.headers["Accept-Encoding"] == "identity"
            assert encoding == "\xe9" or reply.json()["detail"] == f"Content-Encoding {encoding} is not understood here: send the body as it is, without one"
    ann.post("/v1/evaluations", 202, data=CONFIG, headers={"Content-Type": "application/yaml", "Content-Encoding": "Identity"})


def test_submit_of_an_override_that_would_be_rounded_is_refused(ann):
    for key in ("evaluation.tasks.simple_evals.mmlu_pro.nemo_evaluator_config.config.params.extra.seed", "+evaluation.seed"):
        for value in ("18446744073709551615", "{seed: 18446744073709551615}"):
            (error,) = ann.submit(CONFIG, 422, params={"override": [f"+{key.lstrip('+')}={value}"]}).json()["errors"]
            assert "18446744073709551615 does not fit into 64 bits" in error["message"], error


def test_submit_override_errors_point_at_what_they_name(ann):
    reply = ann.submit(CONFIG, 422, params={"override": ["execution.walltme=1", "execution.account=["]})
    assert "/execution/account" in pointers(reply)
    reply = ann.submit(CONFIG, 422, params={"override": ["execution.walltme=1"]})
    assert pointers(reply) == ["/execution/walltme"]


def test_submit_override_errors_come_with_all_others(ann):
    """But with no word of what is missing: it may be what they were to set."""
    wrong = (CONFIG.replace("  account: acct\n", "  walltime: 1h30m\n").replace("hostname: alpha", "hostname: nowhere")
             .replace("  tasks:\n", "  env_vars: {KEY: 'host:NOT_THERE'}\n  tasks:\n"))
    reply = ann.submit(wrong, 422, params={"override": ["execution.acount=a", "+execution.partition=b", "execution.x=["]})
    assert sorted(pointers(reply)) == ["/evaluation/env_vars/KEY", "/execution/acount", "/execution/hostname", "/execution/partition",
                                       "/execution/walltime", "/execution/x"]


TWO_TASKS = CONFIG.replace("  tasks:\n", "  tasks:\n    - name: hellaswag\n      nemo_evaluator_config: {config: {params: {limit_samples: 7}}}\n", 1)


def test_submit_task_keeps_that_task_with_its_own_settings(ann):
    jobs = ann.submit(TWO_TASKS).json()["jobs"]
    assert [job["task"] for job in jobs][0] == "hellaswag" and len(jobs) > 1
    chosen = ann.submit(TWO_TASKS, params={"task": "hellaswag"}).json()
    assert [(job["task"], job["index"]) for job in chosen["jobs"]] == [("hellaswag", 0)]
    config = ann.get(f"/v1/evaluations/{chosen['id']}/config", params={"form": "resolved"}).json()
    assert config["evaluation"]["tasks"][0]["nemo_evaluator_config"]["config"]["params"] == {"limit_samples": 7}
    second = ann.submit(TWO_TASKS, params={"task": [jobs[1]["task"] + ".1", "hellaswag"]}).json()
    assert [job["task"] for job in second["jobs"]] == ["hellaswag", jobs[1]["task"]]


def test_submit_task_that_is_not_there_is_refused_with_those_that_are(ann):
    reply = ann.submit(TWO_TASKS, 422, params={"task": "nope"})
    assert "hellaswag" in reply.json()["errors"][0]["message"]


def test_submit_task_errors_keep_their_lines(ann):
    wrong = TWO_TASKS.replace("      nemo_evaluator_config:", "      nonsense: 1\n      nemo_evaluator_config:", 1)
    wrong = wrong.replace("  tasks:\n", "  tasks:\n    - name: gsm8k\n", 1)
    line = 1 + wrong[:wrong.index("nonsense")].count("\n")
    error = ann.submit(wrong, 422, params={"task": "hellaswag"}).json()["errors"][0]
    assert (error["pointer"], error["line"]) == ("/evaluation/tasks/0/nonsense", line)


def test_submit_idempotency_key_same_body_same_id(ann, bob, daemon):
    before = count(daemon)
    first = ann.submit(headers={"Idempotency-Key": "k-1"}).json()["id"]
    assert ann.submit(headers={"Idempotency-Key": "k-1"}).json()["id"] == first
    assert count(daemon) == before + 1
    assert bob.submit(headers={"Idempotency-Key": "k-1"}).json()["id"] != first
    reply = ann.submit(CONFIG + "# changed\n", 422, headers={"Idempotency-Key": "k-1"})
    assert "errors" not in reply.json()
    ann.submit(status=422, headers={"Idempotency-Key": "k-1"}, params={"override": "execution.walltime=02:00:00"})
    assert count(daemon) == before + 2


def test_submit_idempotency_key_form_boundary_does_not_count(ann):
    ids = {ann.post("/v1/evaluations", files={"config": ("c", CONFIG)}, headers={"Idempotency-Key": "k-2"}).json()["id"]
           for _ in range(3)}
    assert len(ids) == 1


def test_submit_idempotency_key_in_parallel_one_evaluation(ann, daemon):
    before = count(daemon)

    def one(_):
        return daemon.client("ann").submit(headers={"Idempotency-Key": "k-3"}).json()["id"]

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(one, range(32)))) == 1
    assert count(daemon) == before + 1


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\u00e9"])
def test_submit_idempotency_key_bad_refused(ann, key):
    ann.submit(status=400, headers={"Idempotency-Key": key.encode("latin-1")})


def test_submit_fifty_in_parallel_all_stored(daemon):
    before = count(daemon)

    def one(_):
        return daemon.client("ann").submit().json()["id"]

    with ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(one, range(50)))) == 50
    assert count(daemon) == before + 50


def test_submit_unknown_cluster_refused(ann):
    reply = ann.submit(CONFIG.replace("alpha.example", "gamma.example"), 422)
    error = reply.json()["errors"][0]
    assert error["pointer"] == "/execution/hostname" and "alpha" in reply.text
    assert error["line"] == 6


def test_submit_missing_keys_all_named_at_once(ann):
    config = "\n".join(line for line in CONFIG.split("\n") if not line.strip().startswith(("account", "output_dir")))
    messages = " ".join(e["message"] for e in ann.submit(config, 422).json()["errors"])
    assert "execution.account" in messages and "execution.output_dir" in messages


def test_submit_missing_secrets_all_named_at_once(ann):
    config = WITH_KEY + "env_vars:\n  A_TOKEN: host:A_TOKEN\n  B_TOKEN: $host:B_TOKEN\n"
    text = ann.submit(config, 422).text
    assert "API_KEY" in text and "A_TOKEN" in text and "B_TOKEN" in text


def test_submit_broken_yaml_line_and_column(ann):
    error = ann.submit("evaluation:\n  tasks: [a\nexecution: {}\n", 422).json()["errors"][0]
    assert error["line"] is not None and error["line"] >= 2 and error["column"] >= 1


def test_submit_broken_json_line_and_column(ann):
    error = ann.submit('{"evaluation":\n  {"tasks": ]}}', 422, "application/json").json()["errors"][0]
    assert error["line"] == 2


def test_submit_envelope_errors_stand_at_their_place(ann):
    inner = json.dumps(as_json(CONFIG.replace("alpha.example", "gamma.example")), indent=1)
    text = '{"labels": {},\n\n "config": ' + inner + "}"
    reply = ann.submit(text, 422, "application/json")
    error = next(e for e in reply.json()["errors"] if e["pointer"] == "/execution/hostname")
    assert "gamma.example" in text.split("\n")[error["line"] - 1]


@pytest.mark.parametrize("text", [
    "a: " + "[" * 100 + "]" * 100,
    "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)),
    "a: 1\na: 2\n",
    "a: 1\n---\nb: 2\n",
    "!!python/object/apply:os.system ['true']\n",
    "",
    "just text",
    "a: \x00",
], ids=["deep", "aliases", "duplicate", "documents", "tag", "empty", "scalar", "nul"])
def test_submit_hostile_yaml_refused(ann, text):
    assert ann.submit(text, 422).json()["errors"]


def test_submit_not_utf8_refused(ann):
    ann.submit(b"a: \xff\xfe\n", 422)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "",
                                          "application/json; charset=utf-16"])
def test_submit_content_type_refused(ann, content_type):
    reply = ann.submit(status=415, content_type=content_type)
    assert "application/yaml" in reply.headers["Accept-Post"]


@pytest.mark.parametrize("chunked", [False, True])
def test_submit_too_large_refused(ann, chunked):
    text = b"# " + b"x" * (2 * 1024 * 1024)
    reply = ann.submit(iter([text[:1000000], text[1000000:]]) if chunked else text, 413)
    assert "1048576" in reply.json()["detail"]


@pytest.mark.parametrize("envelope, pointer", [
    ({"config": {}, "dry_run": True}, "/dry_run"),
    ({"config": 7}, "/config"),
    ({"config": [], "overrides": []}, "/config"),
    ({"config": {}, "overrides": {}}, "/overrides"),
    ({"config": {}, "overrides": ["a=1", None]}, "/overrides/1"),
    ({"config": {}, "env": {"A": 1}}, "/env/A"),
    ({"config": {}, "env": {"A\r\nB": "x"}}, "/env/A\r\nB"),
    ({"config": {}, "labels": ["x"]}, "/labels"),
    ({"config": {}, "labels": {"a": "x" * 129}}, "/labels/a"),
], ids=str)
def test_submit_envelope_wrong_member_pointed_at(ann, envelope, pointer):
    assert pointers(ann.submit(json.dumps(envelope), 400, "application/json")) == [pointer]


@pytest.mark.parametrize("parts", [
    {"env_file": ("e", "A=1")},
    {"config": ("c", CONFIG), "labels": (None, "a:b")},
    {"config": ("c", CONFIG), "env_file": ("e", "not a variable")},
    {"config": ("c", CONFIG), "override": (None, "")},
    {"config": ("c", CONFIG), "label": (None, "team")},
    {"config": ("c", CONFIG), "label": (None, ":x")},
], ids=["no config", "unknown part", "bad env file", "empty override", "label without a colon", "label without a key"])
def test_submit_multipart_wrong_refused(ann, parts):
    assert "errors" not in ann.post("/v1/evaluations", 400, files=parts).json()


@pytest.mark.parametrize("body", [b"", b"--b", b"--b\r\n\r\nx\r\n--b--", b"--b\r\nContent-Disposition: form-data; "
                                  b"name=\"config\"\r\n\r\nx"])
def test_submit_multipart_malformed_refused(ann, body):
    ann.submit(body, 400, "multipart/form-data; boundary=b")


@pytest.mark.parametrize("query, word", [("dryrun=true", "dryrun"), ("dry_run=1", "dry_run"), ("strict=yes", "strict"),
                                         ("dry_run=true&dry_run=true", "dry_run"), ("override=", "override"),
                                         ("x=1&y=2", '"x", "y"'), ("override=a%00b", "NUL"), ("override=a%0ab", "control"),
                                         ("override=%ff", "UTF-8")])
def test_submit_query_wrong_refused(ann, query, word):
    reply = ann.post(f"/v1/evaluations?{query}", 400, data=CONFIG, headers={"Content-Type": "application/yaml"})
    assert word in reply.json()["detail"]


@pytest.mark.parametrize("override", ["nokey=1", "=", "a..b=1", "execution.walltime"])
def test_submit_override_wrong_is_error_of_config(ann, override):
    ann.submit(status=422, params={"override": override})


def test_submit_injection_in_config_refused(ann):
    for line in ('sbatch_comment: "x\\n#SBATCH --uid=0"', 'account: "a\\nb"', 'partition: "$(id)\\n"'):
        config = CONFIG.replace("  account: acct", f"  account: acct\n  {line}" if "account" not in line else f"  {line}")
        ann.submit(config, 422)


def test_submit_roles(eve, ann, admin, nobody):
    eve.submit(status=403)
    nobody.submit(status=401)
    admin.submit()


def test_cancel_own_and_others(ann, bob, eve, admin):
    own = ann.submit().json()["id"]
    other = ann.submit().json()["id"]
    bob.post(f"/v1/evaluations/{own}/cancel", 403)
    eve.post(f"/v1/evaluations/{own}/cancel", 403)
    bob.post(f"/v1/jobs/{own}.0/cancel", 403)
    for _ in range(2):
        assert ann.post(f"/v1/evaluations/{own}/cancel").json()["id"] == own
        assert admin.post(f"/v1/jobs/{other}.1/cancel").json()["id"] == f"{other}.1"
    ann.post(f"/v1/evaluations/{own}/cancel", json={})


def test_cancel_with_unknown_field_refused(ann):
    own = ann.submit().json()["id"]
    assert "force" in ann.post(f"/v1/evaluations/{own}/cancel", 400, json={"force": True}).json()["detail"]
    ann.post(f"/v1/evaluations/{own}/cancel", 400, json=[])
    ann.post(f"/v1/evaluations/{own}/cancel", 415, data="x", headers={"Content-Type": "text/plain"})
    ann.post(f"/v1/jobs/{own}.0/cancel?now=1", 400)


def test_cancel_unknown_not_found(ann):
    ann.post("/v1/evaluations/0123456789abcdef/cancel", 404)
    ann.post("/v1/jobs/0123456789abcdef.0/cancel", 404)


def test_resume_only_ended_unsuccessful_jobs(ann, bob, eve, daemon):
    identity = ann.submit().json()["id"]
    ann.post(f"/v1/evaluations/{identity}/resume", 409)
    ann.post(f"/v1/jobs/{identity}.0/resume", 409)
    daemon.execute("UPDATE jobs SET state = 'failed', ended_at = 5, collected = 1 WHERE id = ?", f"{identity}.0")
    bob.post(f"/v1/jobs/{identity}.0/resume", 403)
    eve.post(f"/v1/evaluations/{identity}/resume", 403)
    ann.post("/v1/jobs/0123456789abcdef.0/resume", 404)


@pytest.mark.parametrize("body", [{"reset_budget": "yes"}, {"reset_budget": None}, {"budget": 1}, [True], "true"])
def test_resume_body_wrong_refused(ann, body):
    identity = ann.submit().json()["id"]
    ann.post(f"/v1/evaluations/{identity}/resume", 400, json=body)
    ann.post(f"/v1/jobs/{identity}.0/resume", 400, json=body)
