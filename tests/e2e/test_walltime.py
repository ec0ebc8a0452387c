"""A job that runs out of its walltime goes on in a next attempt; on a cluster without accounting, by the script's stamps."""

from resumed import check_resumed, check_slurm_jobs

TIME_LIMIT_S = 60


def test_job_out_of_walltime_without_accounting_goes_on(bed, out_of_walltime):
    daemon, job_id = out_of_walltime
    job, _ = check_resumed(daemon.client, job_id, "TIMEOUT", 100)
    first = job["attempts"][0]
    assert first["time_limit_s"] == TIME_LIMIT_S <= first["elapsed_s"] + 5
    check_slurm_jobs(bed, "beta", job)
