"""What is secret is nowhere: not in replies, the store, its log files, or the daemon's log."""

import json

import pytest
from conftest import CONFIG, wait_until

SECRET = "XyZZy-plugh-9137"
WITH_KEY = CONFIG.replace("model_id: org/model", "model_id: org/model\n    api_key_name: API_KEY")


def nowhere(daemon, secret):
    for path in daemon.folder.iterdir():
        if path.is_file() and path.name not in ("key", "host"):
            assert secret.encode() not in path.read_bytes(), path.name


def test_env_nowhere_after_submitting(ann, daemon):
    bodies = [ann.submit(json.dumps({"config": WITH_KEY, "env": {"API_KEY": SECRET}}), content_type="application/json"),
              ann.post("/v1/evaluations", files={"config": ("c", WITH_KEY), "env_file": ("e", f"API_KEY={SECRET}")})]
    for reply in bodies:
        identity = reply.json()["id"]
        job = f"/v1/jobs/{identity}.0"
        wait_until(lambda: ann.get(job).json()["attempts"])
        for path in (f"/v1/evaluations/{identity}", f"/v1/evaluations/{identity}/config?form=submitted",
                     f"/v1/evaluations/{identity}/config?form=resolved", job, f"{job}/script", "/v1/evaluations", "/v1/jobs"):
            assert SECRET not in ann.get(path).text
        assert SECRET not in reply.text
    nowhere(daemon, SECRET)


@pytest.mark.parametrize("body, content_type", [
    (json.dumps({"config": WITH_KEY, "env": {"API_KEY": [SECRET]}}), "application/json"),
    (json.dumps({"config": WITH_KEY, "env": {"API-KEY": SECRET}}), "application/json"),
    (json.dumps({"config": WITH_KEY, "env": {"API_KEY": SECRET}, "environ": {"B": SECRET}}), "application/json"),
    (json.dumps({"config": WITH_KEY.replace("acct", "a\\nb"), "env": {"API_KEY": SECRET}}), "application/json"),
    ('{"config": {}, "env": {"API_KEY": "' + SECRET + '"}', "application/json"),
    ("--b\r\nContent-Disposition: form-data; name=\"env_file\"\r\n\r\nAPI_KEY='" + SECRET + "\r\n--b--",
     "multipart/form-data; boundary=b"),
])
def test_env_not_in_what_refuses_it(ann, daemon, body, content_type):
    reply = ann.request("POST", "/v1/evaluations", data=body, headers={"Content-Type": content_type})
    assert reply.status_code in (400, 422) and SECRET not in reply.text
    nowhere(daemon, SECRET)


def test_tokens_stored_as_hashes_only(ann, daemon):
    ann.get("/v1/whoami")
    for token in daemon.tokens.values():
        nowhere(daemon, token)
        assert token not in ann.get("/v1/evaluations").text
