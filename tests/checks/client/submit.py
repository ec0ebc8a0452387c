"""What a program with the generated client does: submits, lists, reads a job, and is refused in words."""

import os

from nel_client import AuthenticatedClient
from nel_client.api.evaluations import list_evaluations, submit_evaluation
from nel_client.api.jobs import get_job
from nel_client.api.people import create_token
from nel_client.models import Budget, DryRun, Envelope, Evaluation, EvaluationList, JobDetail, JobState, MadeToken, NewToken, Problem

CONFIG = {
    "defaults": [{"execution": "slurm/default"}, {"deployment": "none"}, "_self_"],
    "execution": {"hostname": "login.alpha.example", "account": "team", "output_dir": "/shared/out", "mounts": {"mount_home": False}},
    "target": {"api_endpoint": {"url": "https://models.example.com/v1/chat/completions", "model_id": "org/model"}},
    "evaluation": {"tasks": [{"name": "lm-evaluation-harness.ifeval"}, {"name": "simple_evals.mmlu_pro"}]},
}

client = AuthenticatedClient(base_url=os.environ["NEL_URL"], token=os.environ["NEL_TOKEN"])
body = Envelope.from_dict({"config": CONFIG, "overrides": ["execution.walltime=01:00:00"], "labels": {"team": "red"}})

tried = submit_evaluation.sync(client=client, body=body, dry_run=True)
assert isinstance(tried, DryRun), tried
assert len(tried.jobs) == 2 and "--time=01:00:00" in tried.jobs[0].script

made = submit_evaluation.sync(client=client, body=body, idempotency_key="one")
assert isinstance(made, Evaluation) and made.labels.to_dict() == {"team": "red"}
again = submit_evaluation.sync(client=client, body=body, idempotency_key="one")
assert isinstance(again, Evaluation) and again.id == made.id

page = list_evaluations.sync(client=client, label="team:red", limit=10)
assert isinstance(page, EvaluationList) and [one.id for one in page.items] == [made.id] and page.next_ is None
job = get_job.sync(page.items[0].jobs[1].id, client=client)
assert isinstance(job, JobDetail) and job.state in JobState and job.task == "simple_evals.mmlu_pro" and job.history[0].to == "queued"
assert isinstance(job.budget, Budget) and job.budget.used_s == 0

token = create_token.sync(client=client, body=NewToken(label="of a client"))
assert isinstance(token, MadeToken) and token.token.startswith("nel_")
nothing = get_job.sync("0123456789abcdef.0", client=client)
assert isinstance(nothing, Problem) and nothing.status == 404 and nothing.detail
print("the Python client has submitted, listed and read")
