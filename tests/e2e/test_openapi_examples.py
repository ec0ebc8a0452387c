"""The examples of openapi.yaml are what the daemon answers: every operation is carried out on a real cluster, and its example must
have the members and kinds of values of the real reply.

    pytest tests/e2e/test_openapi_examples.py --write      takes the real ones into openapi.yaml, in place of those there

An operation that is new wants a line in `perform` and, in openapi.yaml, `examples: {shown: {$ref: '#/components/examples/ITS-NAME'}}`
where its body is described (tests/api/test_openapi_examples.py says which lack that)."""

import json
import re
import subprocess
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
import yaml

from client import Client
from daemon import Daemon, cluster_settings
from test_restore import restore
from testbed import DIRECTORY, ROOT, wait_for

FILE = ROOT / "openapi.yaml"
BEGIN = "  # Taken from real replies, shortened: tests/e2e/test_openapi_examples.py --write\n"
END = "  # The end of what is taken from real replies.\n"
ITEMS = 2  # of a list are shown
TEXT = 300  # so much of a text

CONFIG = """\
defaults:
  - execution: slurm/default
  - deployment: none
  - _self_
execution:
  hostname: login.alpha.example
  account: team
  output_dir: /shared/evaluations
  gres: null
  sbatch_extra_flags: {exclusive: false}
  walltime: "00:30:00"
  mounts: {mount_home: false}
target:
  api_endpoint:
    url: https://models.example.com/v1/chat/completions
    model_id: meta/llama-3.1-8b-instruct
    api_key_name: MODELS_API_KEY
evaluation:
  tasks:
    - name: lm-evaluation-harness.ifeval
      nemo_evaluator_config: {config: {params: {limit_samples: 20}}}
"""
NO_ISSUER = "http://127.0.0.1:9"  # nobody signs in with it here
SAMPLED = "+evaluation.tasks.0.nemo_evaluator_config.config.params.extra={samples: [lm_eval]}"
SLOW = "+evaluation.tasks.0.nemo_evaluator_config.config.params.extra={delay_s: 30}"


class Receiver(BaseHTTPRequestHandler):
    """Of webhooks."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def daemon(bed, tmp_path):
    clusters = [cluster_settings(bed), cluster_settings(bed, "beta", "alpha", identity="per_user")]
    oidc = {"issuer": NO_ISSUER, "audience": "nel-slurmd", "client_id": "nelctl", "scopes": ["openid", "profile"]}
    daemon = Daemon(tmp_path, clusters, webhooks={"allow_private": True, "allow_http": True}, oidc=oidc)
    daemon.start()
    yield daemon
    daemon.end()
    bed.ctl("alpha", "key", bed.env["NEL_USER"], "restore")


class Session:
    """Carries out operations and keeps what they were asked and what they answered."""

    def __init__(self, bed, daemon, hook):
        token = daemon.command("user", "add", "ann", "--role", "user").strip().split()[-1]
        self.ann, self.admin = Client(f"http://127.0.0.1:{daemon.port}", token), daemon.admin
        self.nobody = Client(self.ann.base, "nel_" + "0" * 43)
        self.hook = hook
        self.found = {}  # name of the example: value
        self.texts = {f"127.0.0.1:{daemon.port}": "nel.example:8990", hook: "https://hooks.example.com/nel",
                      str(daemon.directory): "/var/lib/nel-slurmd", bed.env["NEL_USER"]: "svc-nel", "e2e-admin": "eve",
                      NO_ISSUER: "https://login.example.org"}

    def keep(self, name, value):
        self.found[name] = value
        return value

    def call(self, name, method, path, status=200, who=None, keep=True, **options):
        """One operation; a body that is sent as JSON is the example of the request."""
        if "json" in options:
            self.keep(f"{name}.request", options["json"])
        reply = (who or self.ann).call(method, path, status, **options)
        value = reply.json() if "json" in reply.headers.get("Content-Type", "") else reply.text
        return self.keep(name, value) if keep else value

    def read(self, name, path, **options):
        return self.call(name, "GET", path, **options)

    def refuse(self, name, method, path, status, **options):
        return self.keep(f"Problem.{name}", (options.pop("who", None) or self.ann).call(method, path, status, **options).json())


def perform(bed, daemon, s):
    ann, admin = s.ann, s.admin
    backup = daemon.directory / "backup"
    daemon.command("backup", str(backup))
    key = {"headers": {"Idempotency-Key": "of-the-examples"}}
    s.call("putSecret", "PUT", "/v1/secrets/MODELS_API_KEY", 201, json={"value": "sk-..."})
    s.read("listSecrets", "/v1/secrets")
    s.call("createWebhook", "POST", "/v1/webhooks", 201, json={"url": s.hook, "kinds": ["evaluation.ended"], "scope": "own"})
    hook = s.found["createWebhook"]["id"]
    campaign = s.call("createCampaign", "POST", "/v1/campaigns", 201, json={
        "name": "llama-3.1 pretraining", "config": CONFIG, "parameter": "target.api_endpoint.model_id",
        "values": ["meta/llama-3.1-8b-step-1000", "meta/llama-3.1-8b-step-2000"], "live": 1})["id"]
    for what in ("pause", "resume"):
        s.call(f"{what}Campaign", "POST", f"/v1/campaigns/{campaign}/{what}", 202)
    newest = wait_for("the newest value", lambda: ann.get(f"/v1/campaigns/{campaign}")["values"][1]["evaluation"])
    ann.post(f"/v1/campaigns/{campaign}/pause", 202)  # the other value waits

    # One that runs to its scores.
    s.keep("submitEvaluation.config", CONFIG)
    envelope = {"config": CONFIG, "overrides": ["execution.walltime=01:00:00"], "env": {"MODELS_API_KEY": "sk-..."},
                "labels": {"team": "red"}}
    s.keep("submitEvaluation.dry_run", ann.post("/v1/evaluations?dry_run=true", 200, json=envelope))
    made = s.call("submitEvaluation", "POST", "/v1/evaluations", 202, json=envelope, **key)
    slow = ann.submit(CONFIG, overrides=[SLOW])["id"]
    ended = ann.wait_end(made["id"])
    job = ended["jobs"][0]["id"]
    s.read("getEvaluation", f"/v1/evaluations/{made['id']}")
    s.read("listEvaluations", "/v1/evaluations?limit=1&label=team:red")
    s.read("getEvaluationConfig", f"/v1/evaluations/{made['id']}/config")
    s.read("getEvaluationConfig.resolved", f"/v1/evaluations/{made['id']}/config?form=resolved")
    s.read("listJobs", f"/v1/jobs?evaluation={made['id']}")
    s.read("getJob", f"/v1/jobs/{job}")
    s.read("getJobScript", f"/v1/jobs/{job}/script")
    s.read("listJobLogs", f"/v1/jobs/{job}/logs")
    s.read("getJobLog", f"/v1/jobs/{job}/logs/client-current.log?tail=3")
    s.call("getJobLog.stream", "GET", f"/v1/jobs/{job}/logs/client-current.log?follow=true&tail=2", 200,
           headers={"Accept": "text/event-stream"})
    s.read("listJobArtifacts", f"/v1/jobs/{job}/artifacts")
    s.read("getJobArtifact", f"/v1/jobs/{job}/artifacts/results.yml")
    s.read("getJobResults", f"/v1/jobs/{job}/results")
    s.read("getJobResults.csv", f"/v1/jobs/{job}/results?format=csv")
    s.call("refreshJobResults", "POST", f"/v1/jobs/{job}/results")
    s.read("listResults", "/v1/results?task=ifeval&latest=true")
    s.read("listResults.matrix", "/v1/results?form=matrix&latest=true")
    s.read("listResults.csv", "/v1/results?format=csv")
    s.read("getUsage", "/v1/usage?by=user,month")
    s.read("getUsage.csv", "/v1/usage?by=user,month&format=csv")
    s.read("getSummary", "/v1/summary?by=state&user=ann")
    sampled = ann.wait_end(ann.submit(CONFIG, overrides=[SAMPLED])["id"])["jobs"][0]["id"]  # its task is one of its own
    s.read("listJobSamples", f"/v1/jobs/{sampled}/samples?limit=1")
    s.read("getJobSample", f"/v1/jobs/{sampled}/samples/4")
    s.read("compareScores", f"/v1/compare?a={job}&b={job}")
    s.call("runGate", "POST", "/v1/gates", json={"baseline": job, "candidate": job, "policy": {"tasks": {"ifeval": {"drop": 0.01}}}})
    s.read("listEvents", f"/v1/events?evaluation={made['id']}&limit=2")
    s.keep("listEvents.stream", first_event(ann, made["id"]))

    # A campaign of which one value has ended and the other one waits.
    ann.wait_end(newest)
    s.read("getCampaign", f"/v1/campaigns/{campaign}")
    s.read("getCampaign.csv", f"/v1/campaigns/{campaign}?format=csv")
    s.read("listCampaigns", "/v1/campaigns")
    s.call("cancelCampaign", "POST", f"/v1/campaigns/{campaign}/cancel", 202)

    # One that is cancelled, goes on, and is cancelled again.
    ann.wait_state(f"{slow}.0", "running")
    s.call("cancelJob", "POST", f"/v1/jobs/{slow}.0/cancel", 202)
    ann.wait_end(slow, "cancelled")
    s.call("resumeJob", "POST", f"/v1/jobs/{slow}.0/resume", 202, json={"reset_budget": False})
    wait_for("it goes on", lambda: ann.evaluation(slow)["state"] == "running")
    s.call("cancelEvaluation", "POST", f"/v1/evaluations/{slow}/cancel", 202)
    ann.wait_end(slow, "cancelled")
    s.call("resumeEvaluation", "POST", f"/v1/evaluations/{slow}/resume", 202, json={"reset_budget": True})
    wait_for("it goes on", lambda: ann.evaluation(slow)["state"] == "running")
    ann.post(f"/v1/evaluations/{slow}/cancel", 202)
    ann.wait_end(slow, "cancelled")

    wait_for("the webhook is told", lambda: [d for d in ann.get(f"/v1/webhooks/{hook}/deliveries")["items"]
                                             if d["state"] == "delivered"])
    s.read("listWebhooks", "/v1/webhooks")
    s.read("getWebhook", f"/v1/webhooks/{hook}")
    s.call("testWebhook", "POST", f"/v1/webhooks/{hook}/test", 202)
    s.read("listWebhookDeliveries", f"/v1/webhooks/{hook}/deliveries")

    s.read("listClusters", "/v1/clusters")
    s.read("getCluster", "/v1/clusters/alpha")
    s.call("checkCluster", "POST", "/v1/clusters/alpha/check?account=team&output_dir=/shared/evaluations")
    identity = s.call("putIdentity", "PUT", "/v1/identities/beta", 201, json={"username": bed.env["NEL_USER"]})
    with open(DIRECTORY / f"alpha/ssh/authorized_keys.{bed.env['NEL_USER']}", "a", encoding="ascii") as file:
        file.write(identity["authorized_keys"] + "\n")
    s.call("checkIdentity", "POST", "/v1/identities/beta/check")
    handed_out, certificate = new_certificate(daemon.directory, bed.env["NEL_USER"])
    ann.call("PUT", "/v1/identities/beta/certificate", 200, json={"certificate": certificate, "private_key": handed_out})
    s.call("putIdentityCertificate", "PUT", "/v1/identities/beta/certificate", json={"certificate": certificate})
    ann.call("DELETE", "/v1/identities/beta/certificate", 204)
    s.read("listIdentities", "/v1/identities")
    s.read("getIdentity", "/v1/identities/beta")
    s.read("listTasks", "/v1/tasks?search=gpqa")
    s.read("whoami", "/v1/whoami")
    s.read("getLogin", "/v1/login")

    s.call("createUser", "POST", "/v1/users", 201, admin, json={"name": "ben", "role": "viewer"})
    s.call("changeUser", "PATCH", "/v1/users/ben", 200, admin, json={"role": "user"})
    s.read("listUsers", "/v1/users", who=admin)
    s.read("getUser", "/v1/users/ann")
    token = s.call("createToken", "POST", "/v1/tokens", 201, json={"role": "viewer", "label": "dashboard", "expires_in": 2592000})
    s.read("listTokens", "/v1/tokens")
    s.read("getToken", f"/v1/tokens/{token['id']}")
    s.read("listAudit", "/v1/audit?limit=2", who=admin)
    s.read("getMetrics", "/metrics")
    s.read("getHealth", "/healthz")
    s.read("getReadiness", "/readyz")
    s.read("getOpenapi", "/openapi.yaml")
    browser = Client(ann.base, "")
    token_of_ann = ann.session.headers["Authorization"].split()[1]
    del browser.session.headers["Authorization"]
    s.call("beginSession", "POST", "/v1/session", 201, browser, json={"token": token_of_ann})
    code = s.call("createSignInCode", "POST", "/v1/session/codes", 201)["code"]
    s.texts[code] = "0123456789" * 4 + "abc"
    s.call("getPage", "GET", "/", 200, browser)
    s.call("getPageFile", "GET", "/page/shell.js", 200, browser)

    wrong = CONFIG.replace("account: team", "acount: team").replace('"00:30:00"', "soon")
    s.refuse("Unprocessable", "POST", "/v1/evaluations?strict=true", 422, data=wrong, headers={"Content-Type": "application/yaml"})
    s.refuse("OtherRequest", "POST", "/v1/evaluations", 422, json={**envelope, "labels": {}}, **key)
    s.refuse("Invalid", "GET", "/v1/jobs?state=waiting", 400)
    s.refuse("Unauthorized", "GET", "/v1/jobs", 401, who=s.nobody)
    s.refuse("Forbidden", "GET", "/v1/users", 403)
    s.refuse("NotFound", "GET", "/v1/evaluations/0123456789abcdef", 404)
    s.refuse("Conflict", "POST", f"/v1/jobs/{job}/resume", 409)

    for path, who in (("/v1/secrets/MODELS_API_KEY", ann), (f"/v1/webhooks/{hook}", ann), ("/v1/identities/beta", ann),
                      (f"/v1/tokens/{token['id']}", ann), ("/v1/users/ben", admin)):
        who.call("DELETE", path, 204)

    # A database from before all of this: what it lacks is found on the cluster.
    restore(daemon, backup)
    wait_for("the evaluations are found", lambda: {made["id"], slow, newest} <= {
        orphan["evaluation"] for orphan in ann.get("/v1/clusters/alpha/orphans")["items"]})
    s.read("listOrphans", "/v1/clusters/alpha/orphans?limit=1")


def new_certificate(directory, account):
    """A key as sites hand them out with a certificate, of an authority of the test's own."""
    for name in ("authority", "handed-out"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", directory / name], check=True)
    subprocess.run(["ssh-keygen", "-q", "-s", directory / "authority", "-I", "ann", "-n", account, "-V", "+8h",
                    directory / "handed-out.pub"], check=True)
    return (directory / "handed-out").read_text(), (directory / "handed-out-cert.pub").read_text()


def first_event(client, evaluation):
    with requests.get(f"{client.base}/v1/events?evaluation={evaluation}&after=0&stream", stream=True, timeout=30,
                      headers={**client.session.headers, "Accept": "text/event-stream"}) as reply:
        text = ""
        for line in reply.iter_lines(1, decode_unicode=True):
            text += line + "\n"
            if not line and "data:" in text:
                return text


# --- what is shown of it ---

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
KINDS = (("time", TIME), ("evaluation", re.compile(r"[0-9a-f]{16}")), ("job", re.compile(r"[0-9a-f]{16}\.\d+")),
         ("hash", re.compile(r"[0-9a-f]{32,}")), ("token", re.compile(r"nel_\w{43}")))


def kind_of(value):
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return next((name for name, pattern in KINDS if pattern.fullmatch(value)), "text")
    return "object" if isinstance(value, dict) else "list"


def differences(shown, real, where):
    """What a reader of the example would not expect of the real reply. null stands for what may be there."""
    kinds = kind_of(shown), kind_of(real)
    if "NoneType" in kinds:
        return []
    if kinds[0] != kinds[1]:
        return [f"{where}: {kinds[0]} in the example, {kinds[1]} in the reply"]
    if kinds[0] == "object":
        problems = [f"{where}: the reply has no {name}" for name in shown.keys() - real.keys()]
        problems += [f"{where}: the example has no {name}" for name in real.keys() - shown.keys()]
        return problems + [p for name in shown.keys() & real.keys() for p in differences(shown[name], real[name], f"{where}/{name}")]
    if kinds[0] == "list":
        if bool(shown) != bool(real):
            return [f"{where}: {len(shown)} items in the example, {len(real)} in the reply"]
        return [f"{where}/{i}: like no item of the reply: {one}" for i, one in enumerate(shown)
                if all(differences(one, other, "") for other in real)]
    return []


class Shortener:
    """Gives what is different each time values of its own, and cuts what is long."""

    def __init__(self, texts):
        self.texts, self.names, self.first, self.cut = dict(texts), {}, None, True

    def time(self, match):
        at = datetime.fromisoformat(match.group()[:19])
        self.first = self.first or at
        at = datetime(2026, 1, 31, 12) + (at - self.first)
        return at.strftime("%Y-%m-%dT%H:%M:%S") + (match.group(1) or "") + "Z"

    def name(self, kind, text, make):
        return self.names.setdefault((kind, text), make(sum(known == kind for known, _ in self.names)))

    def text(self, value):
        for real, shown in self.texts.items():
            value = value.replace(real, shown)
        value = re.sub(r"\bnel_\w{43}\b", "nel_" + "0123456789" * 4 + "abc", value)
        value = re.sub(r"\bwhsec_[\w+/=]+", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", value)
        value = re.sub(r"(?<![.\w])[0-9a-f]{16}\b", lambda m: self.name("id", m[0], lambda n: f"{0x7d1c0a5be3f92640 + n * 0x1357:016x}"), value)
        value = re.sub(r"\b(ecdsa-sha2-nistp256(?:-cert-v01@openssh\.com)?) AAAA\S+.*\n?", r"\1 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYExample", value)
        value = re.sub(r"ssh-ed25519 \S+", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExampleExampleEx", value)
        value = re.sub(r"SHA256:[\w+/]{43}", "SHA256:ExampleExampleExampleExampleExampleExampleE", value)
        value = TIME.sub(self.time, value)
        value = re.sub(r"\b20\d{6}_\d{6}-", "20260131_120000-", value)
        value = re.sub(r"\[20\d\d-\d\d-\d\dT[\d:]{8}\]", "[2026-01-31T12:00:00]", value)
        if self.cut and len(value) > TEXT:
            lines = value.splitlines(keepends=True)
            kept = "".join(lines[:2])
            for line in lines[2:]:
                if len(kept + line) > TEXT:
                    break
                kept += line
            value = kept + "...\n" * (kept != value)
        return value

    def value(self, value, name=""):
        if isinstance(value, dict):
            return {self.text(key): self.value(one, key) for key, one in value.items()}
        if isinstance(value, list):
            return [self.value(one) for one in value[:ITEMS]]
        if name == "port":
            return 22
        if name in ("slurm_job_id", "export_job_id") and value is not None:
            number = self.name("slurm", str(value), lambda n: 48151 + n)
            return number if isinstance(value, int) else str(number)
        return self.text(value) if isinstance(value, str) else value


class Dumper(yaml.SafeDumper):
    """Texts of several lines as such."""

    def ignore_aliases(self, _):
        return True


Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar(
    "tag:yaml.org,2002:str", text, style="|" if "\n" in text and not re.search(r"[^\n\x20-\x7e]| \n", text) else None))


def write(found, texts):
    shortener = Shortener(texts)
    block = {}
    for name, value in found.items():
        shortener.cut = not name.endswith((".request", ".config"))  # what is sent can be sent as it stands
        block[name] = {"value": shortener.value(value)}
    text = yaml.dump({"examples": block}, Dumper=Dumper, sort_keys=False, width=116, allow_unicode=True)
    text = "".join("  " + line + "\n" if line else "\n" for line in text.split("\n")[:-1])
    document = FILE.read_text()
    head, _, rest = document.partition(BEGIN)
    FILE.write_text(head + BEGIN + text + END + rest.partition(END)[2])


def test_examples_are_what_the_daemon_answers(bed, daemon, request):
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True).start()
    hook = f"http://127.0.0.1:{receiver.server_port}/hook"
    session = Session(bed, daemon, hook)
    try:
        perform(bed, daemon, session)
    finally:
        receiver.shutdown()
        receiver.server_close()
    if request.config.getoption("--write"):
        write(session.found, session.texts)
    examples = yaml.safe_load(FILE.read_text())["components"]["examples"]
    problems = [f"{name}: not made by this test" for name in examples.keys() - session.found.keys()]
    problems += [f"{name}: no example" for name in session.found.keys() - examples.keys()]
    for name in examples.keys() & session.found.keys():
        problems += differences(examples[name]["value"], json.loads(json.dumps(session.found[name])), name)
    assert not problems, "\n".join(sorted(problems)) + "\nif the replies are right: pytest tests/e2e/test_openapi_examples.py --write"
