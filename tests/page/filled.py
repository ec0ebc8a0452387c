"""A store as a team's after some weeks: many ended evaluations, some at work, and one whose every text is hostile."""

import hashlib
import json
import sqlite3
import time

COUNT = 10_000
HOSTILE = "<img src=x onerror=\"window.hurt=1\"><script>window.hurt=1</script>'\"><svg onload=window.hurt=1>{{7*7}}${7*7}"
MODELS = ("meta/llama-3.1-8b-instruct", "meta/llama-3.1-70b-instruct", "nvidia/nemotron-nano-9b-v2", "qwen/qwen3-32b",
          "mistralai/mistral-small-3.2")
TASKS = ("lm-evaluation-harness.ifeval", "simple_evals.mmlu_pro", "lm-evaluation-harness.gsm8k")
PEOPLE = ("ann", "bob", "carol", "dan")
ENDED = ("succeeded", "succeeded", "succeeded", "failed", "cancelled")
REASONS = {"failed": "attempt 2 ended with exit code 1 after 41 min on a[1-2]", "cancelled": "cancelled by ann",
           "succeeded": "attempt 1 ran 2520 s on a1; 429480 s of the walltime budget are left"}


# As the service would write it: numbers and an order of keys that JavaScript's own objects do not keep.
RESOLVED = '{"x": 1.0, "y": {"a": 9007199254740993, "b": [3, 1e-7, "\\"}, {\\u00e4"], "20": {}, "3": []}}'

ADVICE = "give the server more time to start: deployment.health_check_timeout"
LAST_LINES = ["Traceback (most recent call last):", "RuntimeError: CUDA out of memory"]


def identifier(seq):
    return hashlib.sha256(str(seq).encode()).hexdigest()[:16]


def campaign_id(name):
    return hashlib.sha256(name.encode()).hexdigest()[:16]


class Store:
    def __init__(self, database):
        self.store = sqlite3.connect(database)
        self.job = 0

    def insert(self, table, **row):
        names = ", ".join(row)
        self.store.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))

    def evaluation(self, seq, at, state, model, tasks, user="ann", labels=None, reason=None, job_states=None, **more):
        name = identifier(seq)
        end = at + 3000 if state in REASONS else None
        self.insert("evaluations", seq=seq, id=name, user=user, cluster="alpha", identity="svc", state=state, model=model,
                    rundir=f"/shared/{name}", submitted_type="application/yaml", config_hash=hashlib.sha256(model.encode()).hexdigest(), created_at=at,
                    created_high=at, updated_at=end or at + 60, ended_at=end, version=9, overrides='["y.a=2"]', warnings="[]")
        self.insert("evaluation_texts", evaluation=seq, submitted_text="x: 1", resolved=RESOLVED)
        for key, value in (labels or {}).items():
            self.insert("labels", evaluation=seq, key=key, value=value)
        for index, task in enumerate(tasks):
            self.one_job(seq, name, index, task, model, user, job_states[index] if job_states else state, at, reason, more)
        return name

    def one_job(self, seq, name, index, task, model, user, state, at, reason, more):
        self.job += 1
        started = None if state in ("queued", "pending") else at + 400 + 60 * index
        ended = at + 3000 if state in REASONS else None
        attempt = 2 if more.get("attempts") else 1 if ended else 0
        self.insert("chains", seq=self.job, evaluation=seq, number=index, walltime_s=3600, resume_mode="daemon", resume_on="TIMEOUT",
                    budget_limit_s=432000, budget_used_s=2520 if started else 0, attempt=attempt, not_before=2**40,
                    slurm_job_id=None if state == "queued" else str(47002 + 2 * self.job))
        self.insert("jobs", seq=self.job, chain=self.job, id=f"{name}.{index}", evaluation_seq=seq, evaluation=name, idx=index, user=user,
                    cluster="alpha", identity="svc", task=task, model=model, job_dir=f"/shared/{name}/{task}.{index}",
                    state=state, reason=reason or REASONS.get(state), waiting_on=more.get("waiting_on") if started is None else None,
                    attention=0, created_at=at,
                    updated_at=ended or at + 60, started_at=started, ended_at=ended, collected=1 if ended else 0,
                    progress=more.get("progress"))
        if more.get("attempts"):
            self.attempts(f"{name}.{index}", at, state)

    def attempts(self, job, at, state):
        last = {"succeeded": ("COMPLETED", 0), "failed": ("FAILED", 1), "cancelled": ("CANCELLED", 0)}.get(state, ("RUNNING", None))
        plan = [(1, at + 30, at + 400, at + 1400, "TIMEOUT", 0), (2, at + 1420, at + 1700, at + 3000, *last)]
        for number, submitted, started, ended, slurm, code in plan:
            over = ended if number == 1 or state in REASONS else None
            self.insert("attempts", chain=self.job, jobs=json.dumps([job]), number=number, job_name=f"nel-{self.job}-{number}", script_header="#!/bin/bash\n#SBATCH --time=60\n", script_body="filled",
                        time_limit_s=3600, intended_at=submitted, slurm_job_id=str(47000 + 2 * self.job + number),
                        slurm_state=slurm, submitted_at=submitted, started_at=started, ended_at=over,
                        elapsed_s=over - started if over else None, exit_code=code if over else None, nodes="a[1-2]", gpus=8)

    def campaign(self, name, values, at, user="ann", state="active"):
        """values: [(step, evaluation or None)]"""
        identity = campaign_id(name)
        self.insert("campaigns", id=identity, user=user, account=0, name=name, state=state, parameter="deployment.checkpoint_path",
                    values_order="newest_first", live=4, config_type="application/yaml", overrides="[]",
                    labels="{}", created_at=at, updated_at=at)
        seq = self.store.execute("SELECT max(seq) FROM campaigns").fetchone()[0]
        self.insert("campaign_texts", campaign=seq, config="x: 1")
        for position, (step, evaluation) in enumerate(values):
            self.insert("campaign_values", campaign=seq, position=position, value=f"/shared/{name}/step_{step}", step=step,
                        evaluation=evaluation, submitted_at=at if evaluation else None)
        return identity

    def index_and_charge(self):
        """What the daemon does as it goes on: words to search for, and the ledger."""
        self.store.execute(
            "INSERT INTO evaluation_search (rowid, text) SELECT e.seq, e.id || char(10) || e.model || char(10) || e.user || char(10) ||"
            " e.cluster || char(10) || (SELECT group_concat(task) FROM jobs j WHERE j.evaluation_seq = e.seq) || coalesce((SELECT"
            " char(10) || group_concat(key || ':' || value, char(10)) FROM labels l WHERE l.evaluation = e.seq), '') FROM evaluations e")
        self.store.execute(
            "INSERT INTO job_search (rowid, text) SELECT j.seq, j.id || char(10) || j.model || char(10) || j.user || char(10) ||"
            " j.cluster || char(10) || j.task || coalesce((SELECT char(10) || group_concat(key || ':' || value, char(10)) FROM labels l"
            " WHERE l.evaluation = j.evaluation_seq), '') FROM jobs j")
        self.store.execute(
            "INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, slurm_job_id, slurm_state, ended_at, run_s, queue_s,"
            " gpu_s, start_up_gpu_s, idle_gpu_s, lost_gpu_s, source, start_up_s, lost) SELECT a.job_name, j.id, j.evaluation, j.user,"
            " j.cluster, j.model, j.task, a.slurm_job_id, a.slurm_state, a.ended_at, a.elapsed_s, a.started_at - a.submitted_at,"
            " a.elapsed_s * a.gpus, iif(lost, 0, 120 * a.gpus), 0, iif(lost, a.elapsed_s * a.gpus, 0), 'sacct', 120, lost FROM"
            " (SELECT *, slurm_state = 'FAILED' AS lost FROM attempts WHERE ended_at > 0) a JOIN jobs j ON j.chain = a.chain")

    def score(self, task, model, value, metric="acc"):
        self.insert("results", job=self.job, task=task, is_group=0, metric=metric, score=metric, value=value, stderr=0.012,
                    count=1319, recorded_at=int(time.time()), model=model)


def fill(database, count=COUNT):
    store = Store(database)
    now = int(time.time())
    with store.store:
        store.insert("script_bodies", hash="filled", text="srun true\n")
        for seq in range(1, count + 1):
            store.evaluation(seq, now - (count - seq + 40) * 240, ENDED[seq % 5], MODELS[seq % 5], TASKS[:1 + seq % 2],
                             PEOPLE[seq % 4], {"team": "red"} if seq % 3 == 0 else None)
        made = recent(store, count + 1, now)
        store.index_and_charge()
    store.store.execute("ANALYZE")
    store.store.commit()
    return made


def recent(store, seq, now):
    """The newest ones, with all that the page shows; {what: id}."""
    steps = []
    for number, value in enumerate((0.412, 0.487, 0.535, 0.561, 0.498, 0.583, 0.601)):
        steps.append((1000 * (number + 1), store.evaluation(seq + number, now - 90000 + 9000 * number, "succeeded", "acme/pretrain-8b", TASKS[:1],
                                                            "ann", {"step": str(1000 * (number + 1))}, attempts=True)))
        store.score(TASKS[0], "acme/pretrain-8b", value)
    seq += len(steps)
    for model, first in zip(MODELS, (0.712, 0.834, 0.766, 0.821, 0.745)):
        for task, less in zip(TASKS, (0, 0.21, -0.06)):
            store.evaluation(seq, now - 7000, "succeeded", model, (task,), "bob", attempts=True)
            store.score(task, model, round(first - less, 4))
            seq += 1
    made = {}
    made["failed"] = store.evaluation(seq, now - 5200, "failed", MODELS[2], TASKS, "ann", {"step": "4000", "team": "red"}, attempts=True)
    store.insert("failures", job=store.job, log="server-47004.log", lines="\n".join(LAST_LINES), advice=ADVICE)
    made["campaign"] = store.campaign("pretrain-8b", [*steps, (8000, None), (9000, None)], now - 100000, state="paused")
    store.campaign(HOSTILE[:100], [(1, None)], now - 50, state="paused")
    made["running"] = store.evaluation(seq + 1, now - 2600, "running", MODELS[1], TASKS, "ann", {"step": "6000"},
                                       job_states=("succeeded", "running", "pending"), attempts=True, progress=7340,
                                       waiting_on="Slurm to start it: Priority; it estimates 14:20")
    store.store.execute("UPDATE jobs SET progress_total = 20000, rate_from_at = ?, rate_from_requests = 340, rate_next_at = ?, rate_next_requests = 3000,"
                        " observed_at = ? WHERE id = ?", (now - 1400, now - 700, now, f"{made['running']}.1"))
    made["queued"] = store.evaluation(seq + 2, now - 700, "queued", MODELS[3], TASKS[:2], "bob",
                                      waiting_on="place 3 of 12 in the queue of alpha: bob has 50 of 50 jobs in Slurm")
    made["hostile"] = store.evaluation(seq + 3, now - 400, "failed", HOSTILE, (HOSTILE,), "ann", {HOSTILE[:60]: HOSTILE},
                                       reason=HOSTILE, attempts=True)
    store.score(HOSTILE, HOSTILE, 0.5)
    store.store.execute("UPDATE tokens SET label = ?", (HOSTILE,))
    store.insert("audit", at=now - 60, last_at=now - 60, actor=HOSTILE, source="tcp", action="submitEvaluation", target=HOSTILE, outcome="refused",
                 status=403, detail=HOSTILE)
    store.insert("webhooks", id="w1", user="root-of-all", url=f"https://hooks.example/{HOSTILE}", kinds="[]", scope="own", sealed_secret=b"x",
                 position=0, created_at=now, disabled_at=now, disabled_reason=HOSTILE)
    return made


def newest(count=COUNT):
    first = count + 1 + 7 + 15
    made = {name: identifier(first + i) for i, name in enumerate(("failed", "running", "queued", "hostile"))}
    return {**made, "campaign": campaign_id("pretrain-8b")}
