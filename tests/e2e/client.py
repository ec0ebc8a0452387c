"""Speaks HTTP with the daemon, holds every exchange to openapi.yaml, and waits for what it says."""

import sys
import uuid

import requests

from testbed import PATIENCE_S, ROOT, wait_for

sys.path.append(str(ROOT / "tests/api"))
from contract import Contract  # noqa: E402

CONTRACT = Contract()

ENDS = ("succeeded", "failed", "cancelled", "budget_exhausted")


class Client:
    """One person's view of the API. Replies with an unexpected status fail the test that asked."""

    def __init__(self, base, token):
        self.base = base
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.checked = {}  # path: what was held to openapi.yaml last; polling repeats itself

    def call(self, method, path, status=200, **options):
        reply = self.session.request(method, self.base + path, timeout=60, **options)
        if method != "GET" or self.checked.get(path) != (reply.status_code, reply.content):
            CONTRACT.check(reply)
            self.checked[path] = (reply.status_code, reply.content)
        assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text[:2000]}"
        return reply

    def get(self, path, status=200, **options):
        reply = self.call("GET", path, status, **options)
        return reply.json() if "json" in reply.headers["Content-Type"] else reply

    def post(self, path, status, **options):
        return self.call("POST", path, status, **options).json()

    def is_ready(self):
        try:
            return self.session.get(self.base + "/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def submit(self, config, env=None, overrides=(), labels=None, **options):
        """Submits in the JSON envelope; `config` is a mapping or text. Returns the evaluation."""
        body = {"config": config, "env": env or {}, "overrides": list(overrides), "labels": labels or {}}
        options.setdefault("headers", {"Idempotency-Key": str(uuid.uuid4())})
        return self.post("/v1/evaluations", 202, json=body, **options)

    def evaluation(self, evaluation_id):
        return self.get(f"/v1/evaluations/{evaluation_id}")

    def job(self, job_id):
        return self.get(f"/v1/jobs/{job_id}")

    def cluster(self, name):
        items = {item["name"]: item for item in self.get("/v1/clusters")["items"]}
        return items[name]

    def wait_job(self, job_id, check, what, timeout_s=PATIENCE_S):
        """Waits until check(job) is true; returns the job. A job that ends otherwise fails at once."""
        def look():
            job = self.job(job_id)
            if check(job):
                return job
            assert job["state"] not in ENDS, f"job {job_id} ended as {job['state']} before {what}: {job['reason']}"
            return None

        try:
            return wait_for(f"job {job_id} {what}", look, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; the job: {self.job(job_id)}") from None

    def wait_state(self, job_id, state, timeout_s=PATIENCE_S):
        return self.wait_job(job_id, lambda job: job["state"] == state, f"is {state}", timeout_s)

    def wait_end(self, evaluation_id, state="succeeded", timeout_s=PATIENCE_S):
        """Waits until the evaluation has ended, as it should; returns it with its jobs."""
        def look():
            evaluation = self.evaluation(evaluation_id)
            return evaluation if evaluation["state"] in ENDS else None

        try:
            evaluation = wait_for(f"evaluation {evaluation_id} ends", look, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is: {self.evaluation(evaluation_id)}") from None
        assert evaluation["state"] == state, [(job["state"], job["reason"]) for job in evaluation["jobs"]]
        return evaluation

    def scores(self, job_id):
        """{(task, group?, metric, score): value} of a job."""
        return {(row["task"], row["group"], row["metric"], row["score"]): row["value"]
                for row in self.get(f"/v1/jobs/{job_id}/results")["items"]}
