"""What examples/nelctl shows of a real daemon: states, lists, logs, artifacts and scores."""

import io
import json
import os
import pty
import re
import subprocess
import tarfile

import pytest
from conftest import CONFIG, wait_until
from nel_command import NEL, NO_ID, answering, of_ann, set_state

nel = pytest.fixture(of_ann)


@pytest.mark.parametrize("state, code", [("succeeded", 0), ("failed", 1), ("cancelled", 3)])
def test_watch_ends_with_the_evaluation(nel, ann, daemon, state, code):
    identity = ann.submit().json()["id"]
    client = nel.start("status", identity, "--watch", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert identity in client.stdout.readline()  # a line for what is now
    # Again and again: the scheduler, whose cluster does not answer, writes its view of the jobs too.
    while client.poll() is None:
        set_state(daemon, identity, state)
        try:
            client.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    out = client.stdout.read()
    assert client.returncode == code, client.stderr.read()
    assert f"{identity}; {state}" in out and "\x1b" not in out
    assert ("told so" in out) == (state != "succeeded")
    client.stdout.close()
    client.stderr.close()


@pytest.mark.parametrize("state, code", [("succeeded", 0), ("failed", 1), ("cancelled", 3)])
def test_watch_and_wait_with_json_print_one_reply_alone(nel, state, code):
    evaluation = {"id": NO_ID, "version": 1, "warnings": [], "jobs": [
        {"id": f"{NO_ID}.0", "task": "t", "progress": None, "waiting_on": "slurm", "reason": "told so", "warnings": ["a warning"]}]}
    states = ["queued", "queued", "running", "running", state]
    for words, first in ((["status", NO_ID, "--watch"], False), (["run", "config.yaml", "--wait"], True)):
        left = list(states)

        def reply(path, left=left):
            now = left.pop(0) if left else state
            return 200, {}, evaluation | {"state": now, "jobs": [evaluation["jobs"][0] | {"state": now}]}

        with answering(reply) as url:
            told = json.loads(nel(*words, "--json", code=code, env={"NEL_URL": url}))
        assert told["state"] == ("queued" if first else state), words
        assert f"{NO_ID}; running; t running" in nel.err


def test_watch_in_a_terminal_draws_bars(nel, ann, daemon):
    identity = ann.submit().json()["id"]
    set_state(daemon, identity, "succeeded")
    master, slave = pty.openpty()
    client = nel.start("status", identity, "--watch", stdout=slave)
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 4096):
            text += piece
    except OSError:
        pass  # a terminal that nobody writes to any more
    os.close(master)
    assert client.wait(60) == 0
    assert b"[####################] 2/2" in text


def test_status_of_jobs_and_of_one_s_own(nel, ann, bob):
    mine, other = ann.submit().json()["id"], bob.submit().json()["id"]
    text = nel("status", mine)
    assert mine in text and "0/2" in text and "lm-evaluation-harness.ifeval" in text
    assert "simple_evals.mmlu_pro" in nel("status", f"{mine}.1")
    assert json.loads(nel("status", mine, "--json"))["id"] == mine
    text = nel("status")
    assert mine in text and other not in text
    nel("status", NO_ID, code=4)
    assert "(404)" in nel.err


def test_status_shows_how_far_a_job_is_and_how_long_it_takes(nel, ann, daemon):
    identity = ann.submit().json()["id"]
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{identity}").json()["state"] == "cancelled")
    set_state(daemon, identity, "running")
    daemon.execute("UPDATE jobs SET progress = 40, progress_total = 100, observation = NULL, observed_at = 1000060, "
                   "rate_from_at = 1000000, rate_from_requests = 10 WHERE id = ?", f"{identity}.1")
    assert ann.get(f"/v1/jobs/{identity}.1").json()["progress"] == {
        "requests": 40, "total": 100, "rate_per_s": 0.5, "eta_s": 120}
    assert any(" 40/100, 0.5/s, 2 min left" in line for line in nel("status", identity).splitlines())
    assert "requests: 40/100, 0.5/s, 2 min left  budget:" in nel("status", f"{identity}.1")
    daemon.execute("UPDATE jobs SET progress_total = 7 WHERE id = ?", f"{identity}.1")
    assert "requests: 40, 0.5/s  budget:" in nel("status", f"{identity}.1")
    set_state(daemon, identity, "cancelled")
    assert ann.get(f"/v1/jobs/{identity}.1").json()["progress"] == {
        "requests": 40, "total": None, "rate_per_s": None, "eta_s": None}


def test_warnings_of_a_job_are_shown(nel, ann, daemon):
    identity = ann.submit().json()["id"]
    ann.post(f"/v1/evaluations/{identity}/cancel")
    wait_until(lambda: ann.get(f"/v1/evaluations/{identity}").json()["state"] == "cancelled")
    set_state(daemon, identity, "succeeded")
    daemon.execute("UPDATE jobs SET warnings = ? WHERE id = ?", json.dumps(["results.yml is not there"]), f"{identity}.1")
    warning = f"warning: {identity}.1: results.yml is not there"
    assert warning in nel("status", identity).splitlines()
    assert "warning: results.yml is not there" in nel("status", f"{identity}.1").splitlines()
    assert warning in nel("status", identity, "--watch").splitlines()


def test_ls_filters_and_pages(nel, ann):
    wanted = [ann.submit(json.dumps({"config": CONFIG, "labels": {"ls": "yes"}}), content_type="application/json").json()["id"]
              for _ in range(3)]
    lines = nel("ls", "--label", "ls=yes").splitlines()
    assert [line.split()[0] for line in lines] == ["ID", *reversed(wanted)]
    assert len(nel("ls", "--label", "ls=yes", "--limit", "2").splitlines()) == 3
    assert len(nel("ls", "--label", "ls=yes", "--user", "nobody").splitlines()) == 1
    assert wanted[0] in nel("ls", "--like", wanted[1])
    nel("ls", "--since", "yesterday", code=2)


def test_lists_say_when_there_are_more(nel, ann, daemon):
    made = [nel("run", "config.yaml", "--label", "more=yes", "-o", f"target.api_endpoint.model_id=org/More-{n}").strip()
            for n in range(3)]
    daemon.execute("INSERT INTO results (job, task, is_group, metric, score, value, recorded_at, model) SELECT seq, 'ifeval', 0,"
                   " 'acc', 'acc', 0.5, 5, model FROM jobs WHERE id IN (?, ?, ?)", *(f"{identity}.0" for identity in made))
    for command, what in (("ls", "evaluations"), ("results", "jobs' scores")):
        for words, shown, more in ((["--limit", "2"], 2, True), (["--limit", "3"], 3, False), ([], 3, False)):
            text = nel(command, "--label", "more=yes", *words)
            assert len(text.splitlines()) == 1 + shown, (command, words)
            assert (f"more than the newest 2 {what}: nelctl {command} --limit N" in nel.err) == more, (command, words)
        # a part of a name, too
        assert len(nel(command, "--model", "more-", "--limit", "2").splitlines()) == 3 and f"newest 2 {what}" in nel.err
        assert len(nel(command, "--model", "more-", "--limit", "3").splitlines()) == 4 and nel.err == ""
    text = nel("results", "--label", "more=yes", "--csv", "--limit", "2")
    assert len(text.splitlines()) == 3 and "newest 2 jobs' scores" in nel.err
    assert len(nel("results", "--label", "more=yes", "--csv").splitlines()) == 4 and nel.err == ""


def test_csv_of_more_jobs_than_a_page_has_them_all(nel):
    csv, more = {"Content-Type": "text/csv"}, {"Link": '</v1/results?limit=500&format=csv&cursor=c_2-x>; rel="next"'}
    with answering(lambda path: (200, csv, "a,b\n3,4\n") if "cursor=c_2-x" in path else (200, csv | more, "a,b\n1,2\n")) as url:
        assert nel("results", "--csv", "--limit", "600", env={"NEL_URL": url}) == "a,b\n1,2\n3,4\n" and nel.err == ""
        assert nel("results", "--csv", env={"NEL_URL": url}) == "a,b\n1,2\n" and "newest 500 jobs' scores" in nel.err


def test_results_as_table_csv_and_matrix(nel, ann, daemon):
    identity = nel("run", "config.yaml", "-o", "target.api_endpoint.model_id=org/of-nel").strip()
    daemon.execute("INSERT INTO results (job, task, is_group, metric, score, value, stderr, count, recorded_at, model)"
                   " SELECT seq, 'nel \x1b[31mtask', 0, 'acc', 'micro', 0.123456, 0.01, 7, 5, model FROM jobs WHERE id = ?",
                   f"{identity}.0")
    assert re.search(r"org/of-nel +nel  ?\[31mtask +acc +micro +0.1235 +0.01 +7", nel("results", identity))
    assert "0.123456" in nel("results", f"{identity}.0", "--csv") and "0.123456" in nel("results", identity, "--csv")
    assert json.loads(nel("results", identity, "--json"))["items"][0]["value"] == 0.123456
    set_state(daemon, identity, "succeeded")
    assert "0.1235 [0.1039, 0.1431] (+0)" in nel("results", "--matrix", "--model", "org/of-nel", "--baseline", "org/of-nel")
    assert "org/of-nel,0.123456,0.01,7" in nel("results", "--matrix", "--model", "org/of-nel", "--csv")
    nel("results", "--matrix", "--baseline", "nobody", code=4)
    assert "nobody" in nel.err


def test_usage_as_table_csv_and_json(nel, daemon):
    for attempt, user, ended_at, gpu_s, lost in (("nelctl.1", "usage-ann", "2031-01-31T23:59:59Z", 3600 * 8, 0),
                                                 ("nelctl.2", "usage-bob", "2031-01-01T00:00:00Z", 1800, 1800),
                                                 ("nelctl.3", "usage-bob", "2031-02-01T00:00:00Z", 360, 0)):
        daemon.execute("INSERT INTO usage (attempt, job, evaluation, user, cluster, model, task, ended_at, run_s, queue_s, gpu_s,"
                       " start_up_gpu_s, idle_gpu_s, lost_gpu_s, source) VALUES (?, 'e.0', 'e', ?, 'alpha', 'm', 't',"
                       " unixepoch(?), 3600, 90, ?, 36, 0, ?, 'sacct')", attempt, user, ended_at, gpu_s, lost)
    heading, *rows = (line.split() for line in nel("usage", "--month", "2031-01").splitlines())
    assert heading[0] == "USER" and rows == [["usage-ann", "8", "0.01", "0", "0", "1", "0.03", "1", "1"],
                                             ["usage-bob", "0.5", "0.01", "0", "0.5", "1", "0.03", "1", "1"],
                                             ["total", "8.5", "0.02", "0", "0.5", "2", "0.06"]]
    assert [line.split()[:2] for line in nel("usage", "--since", "2031-02-01", "--until", "2031-02-02").splitlines()[1:]] == [["usage-bob", "0.1"]]
    lines = nel("usage", "--by", "month,user", "--since", "2031-01-01", "--csv").splitlines()
    assert lines[0].startswith("user,month,gpu_s,") and [line.split(",")[:3] for line in lines[1:]] == [
        ["usage-ann", "2031-01", "28800"], ["usage-bob", "2031-01", "1800"], ["usage-bob", "2031-02", "360"]]
    assert json.loads(nel("usage", "--by", "task", "--month", "2031-02", "--json"))["items"][0]["gpu_s"] == 360
    assert nel("usage", "--month", "2030-12").split()[:2] == ["GPU", "H"] and "2030" not in nel("usage", "--month", "2030-12")
    nel("usage", "--by", "colour", code=4)
    assert "--by must be of user" in nel.err
    nel("usage")  # this month's, whatever there is
    daemon.execute("DELETE FROM usage WHERE attempt LIKE 'nelctl.%'")


def test_results_matrix_says_what_is_unlike(nel, daemon):
    limit = "++evaluation.nemo_evaluator_config.config.params.limit_samples=5"
    for value, more in ((0.5, []), (0.75, ["-o", limit])):
        identity = nel("run", "config.yaml", "-o", "target.api_endpoint.model_id=org/unlike-nel", *more).strip()
        daemon.execute("INSERT INTO results (job, task, is_group, metric, score, value, recorded_at, model, subject, protocol)"
                       " SELECT seq, 'nel', 0, 'acc', 'micro', ?, 5, model, subject, protocol FROM jobs"
                       " JOIN job_likenesses ON job = seq WHERE id = ?", value, f"{identity}.0")
        set_state(daemon, identity, "succeeded")
    heading, row = nel("results", "--matrix", "--model", "org/unlike-nel", "--baseline", "org/unlike-nel").splitlines()
    assert heading.count("nel acc/micro [params") == 2 and '[params={"limit_samples":5} ' in heading
    assert "0.5" in row and "0.75" in row
    alike = {line.split()[-2] for line in nel("results", "--latest", "--model", "org/unlike-nel").splitlines()[1:]}
    assert len(alike) == 2


def test_tasks_clusters_whoami(nel):
    lines = nel("tasks", "ifeval").splitlines()
    assert lines[0].startswith("TASK") and all("ifeval" in line for line in lines[1:]) and len(lines) > 1
    assert len(nel("tasks").splitlines()) > 400
    assert re.search(r"^alpha +alpha.example", nel("clusters"), re.M)
    assert nel("whoami") == "ann (user)\n"


@pytest.fixture(scope="module")
def job(daemon, tmp_path_factory):
    """A job whose directory is one of this machine, on the cluster beta."""
    folder = tmp_path_factory.mktemp("rundir") / "task.0"
    (folder / "logs").mkdir(parents=True)
    (folder / "artifacts/a b").mkdir(parents=True)
    (folder / "logs/client-7.log").write_text("one\ntwo\nthree\n")
    (folder / "logs/slurm-7.log").write_text("slurm\n")
    (folder / "artifacts/a b/c+d%.txt").write_text("content")
    (folder / "artifacts/results.yml").write_text(
        "results: {tasks: {t: {metrics: {m: {scores: {s: {value: 1, stats: {}}}}}}}}")
    identity = daemon.client("ann").submit().json()["id"] + ".0"
    account = daemon.settings.read_text().rsplit("username: ", 1)[1].split(",")[0]
    daemon.execute("UPDATE jobs SET cluster = 'beta', identity = ?, job_dir = ? WHERE id = ?", account, str(folder),
                   identity)
    return identity


def test_logs_and_artifacts_of_a_job(nel, job):
    assert nel("logs", job) == "one\ntwo\nthree\n" and "client-7.log" in nel.err
    assert nel("logs", "--tail", "1", job) == "three\n" and nel("logs", job, "slurm-7.log") == "slurm\n"
    assert re.search(r"^slurm-7.log +6 ", nel("logs", "--list", job), re.M)
    assert "a b/c+d%.txt" in nel("artifacts", job) and nel("artifacts", job, "a b/c+d%.txt") == "content"
    nel("artifacts", job, "none", code=4)
    assert "(404)" in nel.err


def test_artifacts_as_an_archive(nel, job):
    with tarfile.open(fileobj=io.BytesIO(subprocess.run([NEL, "artifacts", job, "--tar"], env=nel.env, check=True,
                                                        capture_output=True).stdout)) as archive:
        names = [name.removeprefix("./") for name in archive.getnames()]
        assert "a b/c+d%.txt" in names and "results.yml" in names


def test_copies_of_logs_and_artifacts_and_what_keeps_them_from_being_made(nel, job, daemon, tmp_path):
    nel("info", job, "--copy-logs", "copies")
    assert (tmp_path / "copies/client-7.log").read_text() == "one\ntwo\nthree\n"
    nel("info", job, "--copy-artifacts", "copies")
    assert (tmp_path / "copies/a b/c+d%.txt").read_text() == "content"
    for what in ("--copy-logs", "--copy-artifacts"):
        nel("info", f"{NO_ID}.0", what, "copies", code=4)
        assert "(404)" in nel.err and "tar" not in nel.err
        nel("info", job, what, "config.yaml/copies", code=2)
        assert "cannot be made" in nel.err
        nel("info", job, what, "copies", code=6, env={"NEL_URL": "http://127.0.0.1:1", "NEL_PATIENCE": "0"})
        assert "no answer" in nel.err and "tar" not in nel.err
    (tmp_path / "taken/results.yml/in the way").mkdir(parents=True)
    nel("info", job, "--copy-artifacts", "taken", code=2)
    assert "cannot be unpacked into 'taken': tar: " in nel.err
    (tmp_path / "bare/logs").mkdir(parents=True)
    other = job.removesuffix("0") + "1"
    daemon.execute("UPDATE jobs SET (cluster, identity, job_dir) = (SELECT cluster, identity, ? FROM jobs WHERE id = ?)"
                   " WHERE id = ?", str(tmp_path / "bare"), job, other)
    nel("info", other, "--copy-logs", "none", code=4)
    assert "has no log yet" in nel.err


def test_follow_of_a_daemon_that_cannot_says_so(nel):
    refused = {"title": "Bad Request", "status": 400, "detail": "unknown query parameter: \"follow\""}
    with answering(lambda _: (400, {}, refused)) as url:
        out = nel("logs", "-f", f"{NO_ID}.0", "x.log", code=4, env={"NEL_URL": url})
    assert out == "" and "cannot follow logs" in nel.err and "unknown query parameter" in nel.err


def test_results_refresh(nel, job):
    nel("results", job, "--refresh")
    assert "0 removed" in nel.err
    nel("results", "--refresh", job.split(".")[0], code=2)


def test_tables_fit_the_width_that_is_told(nel, ann):
    ann.submit(CONFIG.replace("model_id: org/model", "model_id: " + "m" * 150))
    for words in (["ls"], ["tasks"], ["clusters"]):
        lines = nel(*words, env={"COLUMNS": "80"}).splitlines()
        assert max(map(len, lines)) <= 80, words
        assert max(len(line) for line in nel(*words, env={"COLUMNS": "0"}).splitlines()) > 80, words
    assert re.match(r"[0-9a-f]{16} ", nel("ls", env={"COLUMNS": "80"}).splitlines()[1])


def test_names_are_cut_before_figures_times_verdicts_and_states(nel):
    created, model, interval = "2026-11-29T21:23:45Z", "some-organisation/some-model-70B-Instruct-step-", "-0.0123 to 0.0456"
    task = {"task": "lm-evaluation-harness.mmlu_pro_of_a_long_name", "metric": "exact_match,strict", "score": "micro", "group": False}
    evaluation = {"id": NO_ID, "counts": {"succeeded": 10, "total": 12}, "created_at": created, "user": "annabella", "cluster": "long-cluster-name",
                  "jobs": [{"task": task["task"]}]}
    listed = {"next": None, "items": [evaluation | {"state": state, "model": model + state} for state in ("succeeded", "cancelled", "running")]}
    compared = {"only_a": [], "only_b": [], "items": [task | {"a": 0.7123, "b": 0.729, "difference": 0.0167, "ci95": [-0.0123, 0.0456], "p_adjusted": 0.2501,
                "verdict": verdict, "method": None, "pairs": 0, "unpaired": None, "differs": []} for verdict in ("no_difference_shown", "better")]}
    clusters = {"next": None, "items": [{"name": "cluster-of-somebody", "hostname": "login-01.cluster.example.org", "health": "unreachable",
                "sessions": {"open": 2, "max": 10}, "breaker": {"state": "half_open"}, "capacity": {"free_gpus": 1016, "gpus": 2048},
                "last_ok_at": created, "last_error": "Connection timed out after thirty seconds", "observation": {"error": None}}]}
    scores = {"next": None, "items": [task | {"model": model, "value": 0.123456, "stderr": 0.0123, "count": 12032, "subject": "abcdef", "protocol": "fedcba",
              "job": f"{NO_ID}.10", "state": "failed"}]}
    matrix = {"baseline": "a", "columns": [task | {"protocol": None, "differs": []}], "rows": [{"model": model, "subject": None, "differs": [], "cells": [
        {"value": 0.5, "ci95": [0.4804, 0.5196], "delta": 0.005, "delta_ci95": [-0.0227, 0.0327], "method": "paired", "verdict": "better", "differs": []}]}]}
    for words, document, width, whole in (
            (["ls"], listed, 80, [NO_ID, "succeeded", "10/12", "2026-11-29 21:23"]), (["ls"], listed, 100, [NO_ID, "running", "2026-11-29 21:23"]),
            (["compare", NO_ID, NO_ID], compared, 100, ["0.7123", "0.729", "0.0167", interval, "0.2501", "no difference shown", "better"]),
            (["compare", NO_ID, NO_ID], compared, 60, ["0.7123", interval, "0.2501", "no difference shown", "better"]),
            (["clusters"], clusters, 80, ["unreachable", "2/10", "half_open", "1016/2048", created]),
            (["clusters"], {"next": None, "items": []}, 46, ["NAME", "SES…"]),
            (["results"], scores, 100, ["0.1235", "0.0123", "12032", "abcd/fedc", f"{NO_ID}.10", "failed"]),
            (["results", "--matrix"], matrix, 90, ["0.5 [0.4804, 0.5196] (+0.005 [-0.0227, +0.0327] paired, better)"])):
        with answering(lambda _, document=document: (200, {}, document)) as url:
            text = nel(*words, env={"NEL_URL": url, "COLUMNS": str(width)})
            wide = nel(*words, env={"NEL_URL": url, "COLUMNS": "0"})
        assert all(word in text for word in whole), text
        assert "…" in text and "…" not in wide and max(map(len, wide.splitlines())) > width, text
        assert width == 60 or max(map(len, text.splitlines())) <= width, text
        assert not re.search(r"(?<!\S)[-+<]?\d[\d.]*…", text), text


def test_a_failed_evaluation_is_not_a_full_bar(nel, ann, daemon):
    identity = ann.submit(CONFIG).json()["id"]
    set_state(daemon, identity, "failed")
    text = nel("status", identity)
    assert "#" not in text and "0/2, 2 without success" in text


def test_durations_are_told_in_words(nel, ann, daemon):
    job = ann.submit(CONFIG).json()["id"] + ".0"
    for _ in range(10):  # the daemon, too, writes the row of a job that goes on
        daemon.execute("UPDATE chains SET budget_used_s = 86399, budget_limit_s = 432000 WHERE seq ="
                       " (SELECT chain FROM jobs WHERE id = ?)", job)
        text = nel("status", job)
        if "23 h 59 min of 120 h" in text:
            break
    assert "23 h 59 min of 120 h" in text


def test_scores_of_an_evaluation_that_is_not_there_are_refused(nel):
    for words in (["results", NO_ID], ["results", NO_ID, "--csv"], ["results", NO_ID, "--matrix"], ["export", NO_ID]):
        assert nel(*words, code=4) == "" and f'no evaluation "{NO_ID}"' in nel.err


def test_compare_takes_flips_anywhere(nel):
    for words in (["--flips", NO_ID, NO_ID[::-1]], [NO_ID, "--flips", NO_ID[::-1]], [NO_ID, NO_ID[::-1], "--flips"]):
        nel("compare", *words, code=4)
        assert "(404)" in nel.err, words
    nel("compare", NO_ID, NO_ID, "--flaps", code=2)
    assert "no option --flaps" in nel.err


def test_times_may_be_so_long_ago(nel, ann, daemon):
    old, new = (ann.submit(json.dumps({"config": CONFIG, "labels": {"age": "yes"}}), content_type="application/json").json()["id"]
                for _ in range(2))
    daemon.execute("UPDATE evaluations SET created_at = created_at - 3 * 86400 WHERE id = ?", old)
    listed = nel("ls", "--label", "age=yes", "--since", "2d")
    assert new in listed and old not in listed
    listed = nel("ls", "--label", "age=yes", "--until", "1d")
    assert old in listed and new not in listed
    for long_ago in ("2020-01-31", "2020-01-31T12:00:00Z", "2020-01-31T12:00:00+01:00", "999999w"):
        assert new in nel("ls", "--label", "age=yes", "--since", long_ago)


def test_a_part_of_a_model_s_or_task_s_name_does(nel, ann):
    config = CONFIG.replace("model_id: org/model", "model_id: org/Quite-Special-7B")
    identity = ann.submit(config).json()["id"]
    for words in (["--model", "quite-special"], ["--model", "special", "--task", "IFEVAL"], ["--model", "org/Quite-Special-7B"]):
        assert [line.split()[0] for line in nel("ls", *words).splitlines()[1:]] == [identity], words
    assert nel("ls", "--model", "special", "--task", "gsm8k").splitlines()[1:] == []
    # and of what the help says that it wants a whole name:
    nel("compare", "model:special", "model:special", code=4)
    assert "(404)" in nel.err
