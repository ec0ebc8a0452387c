"""Fills a store with ended evaluations, through SQL, for tests/bench/run. usage: fill.py DATABASE COUNT"""
import hashlib
import json
import sqlite3
import sys

database, count = sys.argv[1], int(sys.argv[2])
store = sqlite3.connect(database)
now = 1_760_000_000
tasks = ("hellaswag", "arc_challenge", "winogrande")
resolved = json.dumps({"execution": {"account": "team"}, "evaluation": {"tasks": [{"name": t} for t in tasks]}})
first = store.execute("SELECT coalesce(max(seq), 0) FROM evaluations").fetchone()[0] + 1
job = store.execute("SELECT coalesce(max(seq), 0) FROM jobs").fetchone()[0] + 1
with store:
    for seq in range(first, first + count):
        name = hashlib.sha256(str(seq).encode()).hexdigest()[:16]
        state = ("succeeded", "failed", "cancelled")[seq % 3]
        at = now + seq
        store.execute(
            "INSERT INTO evaluations (seq, id, user, cluster, identity, state, model, rundir, submitted_type,"
            " config_hash, created_at, created_high, updated_at, ended_at, version, overrides, warnings)"
            " VALUES (?, ?, ?, 'alpha', 'svc', ?, ?, ?, 'application/yaml', 'h', ?, ?, ?, ?, 9, '[]', '[]')",
            (seq, name, f"user{seq % 7}", state, f"model-{seq % 11}", f"/shared/{name}", at, at, at, at))
        store.execute("INSERT INTO evaluation_texts (evaluation, submitted_text, resolved) VALUES (?, 'x: 1', ?)",
                      (seq, resolved))
        store.execute("INSERT INTO labels (evaluation, key, value) VALUES (?, 'team', ?)", (seq, f"t{seq % 5}"))
        for index, task in enumerate(tasks):
            store.execute(
                "INSERT INTO chains (seq, evaluation, number, walltime_s, resume_mode, resume_on, budget_limit_s,"
                " attempt, slurm_job_id) VALUES (?, ?, ?, 3600, 'daemon', 'TIMEOUT', 86400, 1, ?)",
                (job, seq, index, str(job)))
            store.execute(
                "INSERT INTO jobs (seq, id, evaluation_seq, evaluation, idx, user, cluster, identity, task, model,"
                " job_dir, state, chain, attention, created_at, updated_at, ended_at, collected)"
                " VALUES (?, ?, ?, ?, ?, ?, 'alpha', 'svc', ?, ?, ?, ?, ?, 0, ?, ?, ?, 1)",
                (job, f"{name}.{index}", seq, name, index, f"user{seq % 7}", task, f"model-{seq % 11}",
                 f"/shared/{name}/{task}.{index}", state, job, at, at, at))
            store.execute("INSERT INTO job_search (rowid, text) VALUES (?, ?)",
                          (job, f"{name}.{index}\nmodel-{seq % 11}\nuser{seq % 7}\nalpha\n{task}\nteam:t{seq % 5}"))
            job += 1
        store.execute("INSERT INTO evaluation_search (rowid, text) VALUES (?, ?)",
                      (seq, f"{name}\nmodel-{seq % 11}\nuser{seq % 7}\nalpha\n{','.join(tasks)}\nteam:t{seq % 5}"))
store.execute("ANALYZE")
store.commit()
print(name)
