"""The drill of nel-slurmd(8), "Backup and restore": a daemon whose database is older than the world loses nothing that has
reached a cluster, and doubles nothing."""

import shutil
import uuid

from configs import config, task
from daemon import cluster_settings
from test_restart import check_once
from testbed import wait_for

SUBMITTED_SINCE = 20


def restore(daemon, backup):
    """With the usual mistake: the log of the lost database is left where it is."""
    daemon.kill()
    shutil.copy(backup, daemon.database)
    return daemon.start()


def orphans(daemon, cluster="alpha", client=None):
    """What was found, once the cluster has been looked at."""
    client = client or daemon.admin
    path = f"/v1/clusters/{cluster}/orphans?limit=500"
    wait_for("the cluster is looked at", lambda: client.get(path)["looked_at"])
    return {one["evaluation"]: one for one in client.get(path)["items"]}


def test_drill_none_twice_and_all_found(bed, model_server, make_daemon, tmp_path):
    daemon = make_daemon()
    client = daemon.start().client
    before = client.submit(config(bed, model_server, task(4, 0.5)), model_server.env)["id"]
    later = {"sbatch_extra_flags": {"exclusive": False, "begin": "now+600"}}
    cancelled = client.submit(config(bed, model_server, task(), execution=later), model_server.env)["id"]
    daemon.command("backup", str(tmp_path / "backup"))
    since = [client.post("/v1/evaluations", 202, headers={"Idempotency-Key": str(uuid.uuid4())}, json={
        "config": config(bed, model_server, task(4)), "env": model_server.env, "labels": {"batch": str(i)}})["id"]
             for i in range(SUBMITTED_SINCE)]
    client.wait_state(f"{cancelled}.0", "pending")
    client.post(f"/v1/evaluations/{cancelled}/cancel", 202)
    client.wait_end(cancelled, "cancelled")
    for one in since:
        wait_for("it has reached Slurm", lambda one=one: client.job(f"{one}.0")["slurm_job_id"])
    audited = daemon.admin.get(f"/v1/audit?action=remote.submit&target={since[0]}.0")["items"]
    assert [(row["actor"], row["cluster"], row["outcome"]) for row in audited] == [("e2e-user", "alpha", "ok")]
    config_before = client.get(f"/v1/evaluations/{since[3]}/config?form=resolved")

    restore(daemon, tmp_path / "backup")
    found = orphans(daemon)
    assert set(since) <= set(found), set(since) - set(found)
    assert {(found[one]["adopted"], found[one]["user"]) for one in since} == {(True, "e2e-user")}
    for number, one in enumerate(since):
        check_once(bed, client, one)
        assert client.evaluation(one)["labels"] == {"batch": str(number)}
    check_once(bed, client, before)
    assert client.get(f"/v1/evaluations/{since[3]}/config?form=resolved") == config_before
    client.wait_end(cancelled, "cancelled")
    assert len(bed.jobs_of("alpha", cancelled)) == 1
    assert set(orphans(daemon, client=client)) == {one for one in found if found[one]["user"] == "e2e-user"}
    # At the next start nothing is lost any more.
    daemon.stop()
    daemon.start()
    assert orphans(daemon, client=client) == {one: found[one] for one in found if found[one]["user"] == "e2e-user"}


def test_attempts_since_the_backup_are_charged_and_go_on(bed, model_server, make_daemon, tmp_path):
    """The chain had ended when the backup was taken; somebody resumed it since, with a new budget."""
    daemon = make_daemon()
    client = daemon.start().client
    evaluation = client.submit(config(bed, model_server, task(24, 2, parallelism=2, extra={"hold_after": 2})), model_server.env)["id"]
    client.wait_job(f"{evaluation}.0", lambda job: (job["progress"] or {}).get("requests"), "asks questions")
    client.post(f"/v1/evaluations/{evaluation}/cancel", 202)
    client.wait_end(evaluation, "cancelled")
    daemon.command("backup", str(tmp_path / "backup"))
    client.post(f"/v1/evaluations/{evaluation}/resume", 202, json={"reset_budget": True})
    wait_for("it runs again", lambda: client.job(f"{evaluation}.0")["state"] == "running")
    restore(daemon, tmp_path / "backup")
    assert orphans(daemon)[evaluation]["adopted"]
    client.wait_end(evaluation)
    job = client.job(f"{evaluation}.0")
    assert [attempt["number"] for attempt in job["attempts"]] == [1, 2]
    assert sorted(attempt["slurm_job_id"] for attempt in job["attempts"]) == sorted(
        slurm_id for slurm_id, _ in bed.jobs_of("alpha", evaluation))
    assert job["budget"]["used_s"] == job["attempts"][1]["elapsed_s"]


def test_what_cannot_be_read_back_is_listed_and_left_alone(bed, model_server, make_daemon, tmp_path):
    """Another daemon works as the same account, and one run directory is gone."""
    daemon, other = make_daemon(), make_daemon(clusters=[cluster_settings(bed)])
    begun = []
    for one in (daemon, other):
        one.start().command("backup", str(one.directory / "backup"))
        later = {"sbatch_extra_flags": {"exclusive": False, "begin": "now+600"}}
        evaluation = one.client.submit(config(bed, model_server, task(), execution=later), model_server.env)["id"]
        one.client.wait_state(f"{evaluation}.0", "pending")
        begun.append(evaluation)
    mine, others = begun
    shutil.rmtree(daemon.client.evaluation(mine)["jobs"][0]["rundir"].rsplit("/", 1)[0])
    restore(daemon, daemon.directory / "backup")
    found = orphans(daemon)
    assert (found[mine]["outcome"], found[mine]["live"]) == ("gone", True)
    assert (found[others]["outcome"], found[others]["user"]) == ("other_service", None)
    assert found[mine]["slurm_job_ids"] == [slurm_id for slurm_id, _ in bed.jobs_of("alpha", mine)]
    assert orphans(daemon, client=daemon.client) == {}  # nobody's
    daemon.client.get(f"/v1/evaluations/{mine}", 404)
    other.client.post(f"/v1/evaluations/{others}/cancel", 202)
    other.client.wait_end(others, "cancelled")
    bed.ctl("alpha", "idle")
