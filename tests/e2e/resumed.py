"""What holds for every job that was ended once for a reason of Slurm's and went on in a second attempt."""

from configs import RESUMED_PARALLELISM, SCORE
from testbed import answers, questions


def check_resumed(client, job_id, slurm_state, count):
    """The second attempt asked again only what was on its way when the first was ended; returns the job and its script."""
    job = client.wait_state(job_id, "succeeded", 500)
    first, second = job["attempts"]
    assert (job["attempt"], first["slurm_state"], second["slurm_state"]) == (2, slurm_state, "COMPLETED")
    assert first["slurm_job_id"] != second["slurm_job_id"] == job["slurm_job_id"]
    assert "resuming" in [entry["to"] for entry in job["history"]]
    assert any(slurm_state in (entry["reason"] or "") for entry in job["history"])
    assert job["budget"]["used_s"] == first["elapsed_s"] + second["elapsed_s"]
    assert sorted(answers(job)) == list(range(count))
    assert count <= len(questions(job)) <= count + RESUMED_PARALLELISM
    assert job["progress"] == {"requests": count, "total": count, "rate_per_s": None, "eta_s": None}
    assert set(client.scores(job_id).values()) == {SCORE}
    script = client.get(f"/v1/jobs/{job_id}/script?attempt=2").text
    assert f"#SBATCH --dependency=afterany:{first['slurm_job_id']}\n" in script
    assert "#SBATCH --dependency" not in client.get(f"/v1/jobs/{job_id}/script?attempt=1").text
    return job, script


def check_shared_resumed(client, evaluation_id, slurm_state, count):
    """Three jobs on one server, ended once by Slurm during the second: the first is not evaluated again, the second goes on
    where it was, and the budget counts both attempts once. The others have 4 questions. Returns the jobs."""
    evaluation = client.wait_end(evaluation_id, "succeeded", 500)
    jobs = [client.job(job["id"]) for job in evaluation["jobs"]]
    ids = [job["id"] for job in jobs]
    (chain,) = evaluation["chains"]
    first, second = jobs[0]["attempts"]
    assert (first["slurm_state"], second["slurm_state"]) == (slurm_state, "COMPLETED")
    assert (first["jobs"], second["jobs"]) == (ids[:2], ids[1:])
    for job, its_count in zip(jobs, (4, count, 4)):
        assert sorted(answers(job)) == list(range(its_count))
        assert set(client.scores(job["id"]).values()) == {SCORE}
    assert [len(questions(job)) for job in (jobs[0], jobs[2])] == [4, 4]
    assert count <= len(questions(jobs[1])) <= count + RESUMED_PARALLELISM
    assert chain["budget"]["used_s"] == first["elapsed_s"] + second["elapsed_s"]
    return jobs


def check_slurm_jobs(bed, cluster, job):
    found = [slurm_id for slurm_id, _ in bed.jobs_of(cluster, job["evaluation"])]
    assert found == [attempt["slurm_job_id"] for attempt in job["attempts"]]
