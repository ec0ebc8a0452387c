"""Features of a config beside its servers, run on the real clusters: commands, environments, mounts, images, options of
sbatch, exports, and the ways in which a server or an evaluation can fail."""

import re
from pathlib import Path

import pytest
import yaml

from client import ENDS
from configs import MODEL, SCORE, task
from submissions import Site, Submissions, artifact, exit_code, export_log, lines_of, log, variables
from testbed import wait_for

submissions = Submissions()
submission = submissions.add

KEY = {"MODELS_API_KEY": "sk-e2e-model-server-key"}
DUMP = "env -0 >/results/env"
NASTY = "a'b\"c`touch /tmp/nel-evil`$(touch /tmp/nel-evil)\nd=e\\ #f"


@pytest.fixture(scope="module")
def run(bed, daemon, model_server):
    """run(name): the ended job of a submission; all are submitted before the first is waited for."""
    bed.shared.joinpath("data-set").mkdir(exist_ok=True)
    bed.shared.joinpath("data-set/sums.txt").write_text("1 + 1\n")
    return submissions.submit_all(bed, daemon, model_server).ended


def rundir(job):
    return Path(job["rundir"])


# ---- pre_cmd and post_cmd ----

@submission("alpha", env=KEY)
def commands(site):
    return site.external(evaluation={
        "pre_cmd": "test ! -e /results/results.yml && echo pre >>/results/order; export SET_BY_PRE='a  b'",
        "post_cmd": 'test -s /results/results.yml && echo "post $SET_BY_PRE" >>/results/order; false'})


def test_commands_run_before_and_after_in_one_shell(run):
    job = run("commands")
    assert lines_of(job, "order") == ["pre", "post a  b"]
    assert exit_code(job) == 0


@submission("alpha", env=KEY)
def task_commands(site):
    return site.external(task(pre_cmd="echo own >/results/order"),
                         evaluation={"pre_cmd": "echo common >/results/order", "post_cmd": "echo common >>/results/order"})


def test_command_of_a_task_stands_in_place_of_the_common_one(run):
    assert lines_of(run("task_commands"), "order") == ["own", "common"]


@submission("alpha", env=KEY)
def edited_config(site):
    return site.external(task(limit=4, pre_cmd="sed -i 's/limit_samples: 4/limit_samples: 2/' config_ef.yaml"))


def test_pre_cmd_may_edit_the_evaluator_config_in_the_working_directory(run):
    results = yaml.safe_load(artifact(run("edited_config"), "results.yml"))
    assert results["config"]["params"]["limit_samples"] == 2


@submission("alpha", env=KEY)
def failing_pre_cmd(site):
    return site.external(evaluation={"pre_cmd": "echo cannot prepare; (exit 7)", "post_cmd": "touch /results/post"})


def test_failing_pre_cmd_fails_the_job_before_any_question_and_runs_post_cmd(run):
    job = run("failing_pre_cmd", "failed")
    assert exit_code(job) == 7
    assert "cannot prepare" in job["reason"]
    assert artifact(job, "post") == ""
    assert not (rundir(job) / "artifacts/questions.log").exists()


@submission("beta", env=KEY)
def failing_evaluator(site):
    return site.external(task(extra={"fail_with": 9}), evaluation={"post_cmd": "touch /results/post; true"})


def test_failing_evaluator_keeps_its_exit_code_and_runs_post_cmd(run):
    job = run("failing_evaluator", "failed")
    assert exit_code(job) == 9
    assert "told to fail" in job["reason"]
    assert artifact(job, "post") == ""


@submission("beta", env=KEY)
def interrupted(site):
    return site.external(evaluation={"post_cmd": "touch /results/.nemo_evaluator_interrupted"})


def test_interrupted_marker_makes_the_exit_code_143(run):
    job = run("interrupted", "failed")
    assert exit_code(job) == 143
    assert "not finished" in log(job, "slurm-*.log")


@pytest.mark.parametrize("pointer", ["/evaluation/pre_cmd", "/evaluation/tasks/0/post_cmd", "/deployment/pre_cmd"])
def test_commands_of_a_plain_user_are_refused(bed, daemon, model_server, run, pointer):
    config = Site(bed, "alpha", 20000, model_server).vllm()
    *path, key = pointer.strip("/").split("/")
    place = config
    for step in path:
        place = place[int(step) if step.isdigit() else step]
    place[key] = "true"
    problem = daemon.client.post("/v1/evaluations", 422, json={"config": config, "env": KEY})
    assert {error["pointer"] for error in problem["errors"]} == {pointer}
    assert all("allow.commands" in error["message"] for error in problem["errors"])


# ---- environment ----

@submission("alpha", env={**KEY, "SECRET": NASTY, "MODEL_SECRET": "of-the-model", "EMPTY": ""})
def environment(site):
    return site.generic(
        "env -0 >/results/server-env; $SERVE",
        task(env_vars={"C": "lit:task", "D": "$lit:", "NODE": "runtime:SLURMD_NODENAME", "NASTY": "host:SECRET",
                       "SHARED": "$host:SECRET", "E": "host:EMPTY"}, pre_cmd=DUMP),
        deployment={"pre_cmd": "export SET_BY_PRE=here",
                    "env_vars": {"C": "lit:server", "SHARED": "$host:MODEL_SECRET", "JOB": "$runtime:SLURM_JOB_ID"}},
        evaluation={"env_vars": {"B": "lit:evaluation", "C": "lit:evaluation", "PYTHONPATH": "lit:/of/the/user"}},
        env_vars={"A": "lit:top $HOME", "B": "lit:top", "C": "lit:top"})


def test_environment_of_the_evaluation_takes_the_innermost_value_of_each(run):
    job = run("environment")
    env = variables(job)
    assert {name: env[name] for name in "ABCDE"} == {
        "A": "top $HOME", "B": "evaluation", "C": "task", "D": "", "E": ""}
    assert env["NODE"] == job["attempts"][0]["nodes"]
    assert env["NASTY"] == env["SHARED"] == NASTY
    assert env["PYTHONPATH"] == "/of/the/user", "an image's own variables do not win over the config's"


def test_environment_of_the_server_is_its_own(run):
    job = run("environment")
    env = variables(job, "server-env")
    assert (env["A"], env["B"], env["C"]) == ("top $HOME", "top", "server")
    assert env["SHARED"] == "of-the-model" and env["JOB"] == job["slurm_job_id"]
    assert env["SET_BY_PRE"] == "here"
    assert not {"NASTY", "D", "E", "NODE"} & set(env)


def test_secrets_are_in_no_file_after_the_end(run):
    job = run("environment")
    assert not (rundir(job) / ".secrets.env").exists()
    dumps = {"artifacts/env", "artifacts/server-env"}
    for file in rundir(job).rglob("*"):
        if file.is_file() and str(file.relative_to(rundir(job))) not in dumps:
            text = file.read_text(errors="replace")
            assert "of-the-model" not in text and "nel-evil" not in text, file
    assert not Path("/tmp/nel-evil").exists()


@submission("alpha", env=KEY)
def no_such_runtime_variable(site):
    return site.external(task(env_vars={"X": "runtime:NO_SUCH_VARIABLE"}))


def test_runtime_variable_that_the_node_lacks_fails_the_job_and_is_named(run):
    job = run("no_such_runtime_variable", "failed")
    assert "NO_SUCH_VARIABLE, which is not set" in job["reason"]


# ---- GPUs, MPI ----

@submission("alpha", env=KEY)
def all_gpus_visible(site):
    return site.external(execution={"evaluation_gpu_visible": True, "mpi": None}, evaluation={"pre_cmd": DUMP})


@submission("beta", env=KEY)
def one_gpu_visible(site):
    return site.external(execution={"evaluation_gpu_visible": "0"}, evaluation={"pre_cmd": DUMP})


@pytest.mark.parametrize("name, visible", [("all_gpus_visible", "all"), ("one_gpu_visible", "0"), ("environment", "void")])
def test_gpus_that_the_evaluation_sees(run, name, visible):
    assert variables(run(name))["NVIDIA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize("name, used", [("all_gpus_visible", False), ("one_gpu_visible", True)])
def test_mpi_pmix_unless_it_is_null(run, name, used):
    assert ("PMIX_RANK" in variables(run(name))) == used


# ---- mounts, images ----

@submission("alpha", env=KEY)
def dataset(site):
    own = str(site.env["NEL_SHARED"]) + "/data-set"
    return site.external(
        task(dataset_dir=own, pre_cmd=DUMP, post_cmd='cat "$NEMO_EVALUATOR_DATASET_DIR/sums.txt" /one.txt >/results/seen'),
        task(dataset_dir=own, dataset_mount_path="/my/data:ro", pre_cmd=DUMP, post_cmd="touch /my/data/x; cat /my/data/*"),
        execution={"mounts": {"mount_home": False, "evaluation": {f"{own}/sums.txt": "/one.txt:ro"}}})


def test_dataset_dir_is_mounted_and_exported_beside_a_mounted_file(run):
    job = run("dataset")
    assert variables(job)["NEMO_EVALUATOR_DATASET_DIR"] == "/datasets"
    assert lines_of(job, "seen") == ["1 + 1", "1 + 1"]


def test_dataset_dir_at_a_path_of_its_own_is_read_only_when_told(bed, run):
    job = run("dataset", index=1)
    assert variables(job)["NEMO_EVALUATOR_DATASET_DIR"] == "/my/data"
    assert "Read-only file system" in log(job, "client-*.log")
    assert not (bed.shared / "data-set/x").exists()


@submission("alpha", env=KEY)
def missing_mount(site):
    return site.external(task(dataset_dir="/no/such/data"))


def test_mount_source_that_does_not_exist_is_named_before_anything_is_submitted(bed, run):
    job = run("missing_mount", "failed")
    assert "/no/such/data" in job["reason"]
    assert job["slurm_job_id"] is None
    assert bed.jobs_of("alpha", job["evaluation"]) == []


@submission("beta", role="user", env=KEY)
def images(site):
    return site.external(
        task(name="our_own_task", container=site.env["NEL_SQSH_IMAGE"]),
        task(container="nel-test:latest"))


def test_sqsh_image_runs_a_task_that_no_catalogue_lists(daemon, run):
    job = run("images")
    assert (job["task"], set(daemon.client.scores(job["id"]))) == ("our_own_task", {("our_own_task", False, "acc", "acc")})
    assert set(daemon.client.scores(job["id"]).values()) == {SCORE}


def test_container_of_a_task_stands_in_place_of_the_catalogues(run):
    job = run("images", index=1)
    assert re.search(r"^readonly NEL_EVALUATION_IMAGE='nel-test:latest'$", (rundir(job) / "run.sub").read_text(), re.M)


# ---- options of sbatch ----

@submission("alpha", env=KEY)
def flags(site):
    return site.external(execution={
        "gres": "gpu:2", "sbatch_comment": "who's there? \"$HOME\" $(id)", "partition": "gpu", "subproject": "our-project",
        "sbatch_extra_flags": {"exclusive": None, "nice": 7, "exclude": "a1", "spread-job": True, "overcommit": False,
                               "signal": "USR1@30"}})


def test_extra_flags_reach_slurm_as_written(bed, run):
    job = run("flags")
    shown = bed.run("alpha", "scontrol", "show", "job", job["slurm_job_id"])
    assert "Comment=who's there? \"$HOME\" $(id)" in shown
    assert "Nice=7" in shown and "ExcNodeList=a1" in shown and "Partition=gpu" in shown
    assert re.search("TresPerNode=gres[:/]gpu:2", shown)  # as 22.05, or 23.02 and later, write it
    assert re.search(r"JobName=team-our-project\.lm-evaluation-harness\.ifeval\.0-", shown)
    script = (rundir(job) / "run.sub").read_text()
    assert "\n#SBATCH --spread-job\n" in script and "overcommit" not in script and "exclusive" not in script
    assert job["attempts"][0]["nodes"] == "a2"


# ---- export ----

# In place of the launcher: says how it was called, and fails for one of the destinations.
EXPORTER = """nemo-evaluator-launcher() {
  printf '%s\\n' "$@" >"exported-$4"; pwd -P >>"exported-$4"; env -0 >"export-env-$4"; ls >>"exported-$4"
  test "$4" != wandb || { echo 'wandb is down'; return 5; }
}"""


@submission("alpha", env={**KEY, "WANDB_API_KEY": NASTY})
def export(site):
    return site.external(
        execution={"cpu_partition": "cpu", "auto_export": {"destinations": ["mlflow", "wandb", "local"],
                                                           "launcher_install_cmd": EXPORTER}},
        export={"env_vars": {"WANDB_API_KEY": "host:WANDB_API_KEY", "PLAIN": "lit:1"},
                "mlflow": {"tracking_uri": "http://mlflow.example"}, "wandb": {"project": "p", "model": "${target.api_endpoint.model_id}"}})


def test_export_runs_after_success_with_its_own_environment(bed, run):
    job = run("export")
    text = export_log(job)
    called = lines_of(job, "exported-mlflow")
    assert called[:4] == ["export", f"{job['id']}", "--dest", "mlflow"]
    assert "results.yml" in called
    assert yaml.safe_load(artifact(job, "export_config.yml"))["export"]["wandb"] == {"project": "p", "model": MODEL}
    env = variables(job, "export-env-mlflow")
    assert (env["WANDB_API_KEY"], env["PLAIN"]) == (NASTY, "1")
    assert "MODELS_API_KEY" not in env
    number = re.search(r"sent export job (\d+)", log(job, "slurm-*.log")).group(1)
    assert "Partition=cpu" in bed.run("alpha", "scontrol", "show", "job", number)
    assert text.count("exporting to") == 3


def test_outcome_of_the_export_is_among_the_logs_and_artifacts_of_the_job(daemon, run):
    job = run("export")
    export_log(job)
    names = [item["name"] for item in daemon.client.get(f"/v1/jobs/{job['id']}/logs")["items"]]
    (name,) = [name for name in names if name.startswith("export-")]
    text = daemon.client.get(f"/v1/jobs/{job['id']}/logs/{name}").text
    assert "wandb is down" in text
    outcome = daemon.client.get(f"/v1/jobs/{job['id']}/artifacts/export.tsv").text
    assert outcome.splitlines() == ["mlflow\t0", "wandb\t5", "local\t0"]
    assert exit_code(job) == 0
    assert text.endswith("the export ended with exit code 1\n")
    assert not (rundir(job) / ".export.env").exists()


@submission("alpha", env=KEY)
def refused_export(site):
    return site.external(execution={"cpu_partition": "no-such", "auto_export": {
        "destinations": ["local"], "launcher_install_cmd": EXPORTER}})


def test_refused_export_does_not_harm_the_evaluation(run):
    job = run("refused_export")
    assert exit_code(job) == 0
    assert re.search(r"warning: the export job was refused: .*partition", log(job, "slurm-*.log"))
    assert not (rundir(job) / "artifacts/exported-local").exists()


@submission("beta", env=KEY)
def failed_before_export(site):
    return site.external(task(extra={"fail_with": 3}), execution={"auto_export": {
        "destinations": ["local"], "launcher_install_cmd": EXPORTER}})


def test_nothing_is_exported_of_a_failed_evaluation(run):
    job = run("failed_before_export", "failed")
    assert exit_code(job) == 3
    assert "export job" not in log(job, "slurm-*.log")
    assert log(job, "export-*.log") == ""


# ---- servers that fail ----

SOON_S = 200  # of a walltime of 600: 25 jobs start at once

@submission("beta")
def never_healthy(site):
    return site.generic("export NEL_TEST_SERVER_NEVER_HEALTHY=1; $SERVE", execution={"endpoint_readiness_timeout": 6})


def test_server_that_never_gets_healthy_ends_the_job_after_the_timeout(run):
    job = run("never_healthy", "failed")
    assert re.search(r"deployment was not ready after 6 s: http://\S+ answered 503", job["reason"])
    assert 6 <= job["attempts"][0]["elapsed_s"] < SOON_S
    assert not (rundir(job) / "artifacts/questions.log").exists()


@submission("beta")
def hanging(site):
    return site.generic("export NEL_TEST_SERVER_HANG=1; $SERVE", execution={"endpoint_readiness_timeout": 6})


def test_server_that_hangs_ends_the_job_after_the_timeout(run):
    job = run("hanging", "failed")
    assert "answered nothing" in job["reason"]
    assert job["attempts"][0]["elapsed_s"] < SOON_S


@submission("alpha")
def dies_while_starting(site):
    return site.vllm(deployment={"env_vars": {"NEL_TEST_SERVER_EXIT": "lit:3"}})


def test_server_that_dies_while_starting_ends_the_job_with_its_last_lines(run):
    job = run("dies_while_starting", "failed")
    assert "a server died" in job["reason"]
    assert "cannot start (NEL_TEST_SERVER_EXIT)" in job["reason"]
    assert re.fullmatch(r"slurm-\d+\.log", job["failure"]["log"])
    assert "cannot start (NEL_TEST_SERVER_EXIT)" in job["failure"]["lines"][-1]
    assert job["attempts"][0]["elapsed_s"] < SOON_S
    assert exit_code(job) == 1


@submission("beta")
def dies_under_the_evaluation(site):
    command = "$SERVE & sleep 6; echo torch.OutOfMemoryError: CUDA out of memory; kill $!; exit 1"
    return site.generic(command, task(limit=60, delay_s=1, parallelism=1))


def test_server_that_dies_under_the_evaluation_gives_the_log_that_matters_and_what_to_try(run):
    job = run("dies_under_the_evaluation", "failed")
    assert re.match(r"server-\d+-\d+-.*\.log", job["failure"]["log"]), job["failure"]
    assert any("CUDA out of memory" in line for line in job["failure"]["lines"])
    assert "tensor_parallel_size" in job["failure"]["advice"]


@submission("alpha")
def second_instance_dies(site):
    command = 'test "$SLURMD_NODENAME" = a1 || { sleep 1; echo out of memory; exit 1; }; sleep 1000'
    return site.generic(command, execution={"num_nodes": 2, "num_instances": 2})


def test_second_instance_that_dies_ends_the_wait_for_the_first(run):
    job = run("second_instance_dies", "failed")
    assert "out of memory" in job["reason"]


@submission("alpha")
def second_task_dies(site):
    command = 'test "$PROC_ID" = 0 || { sleep 1; echo no such device; exit 1; }; sleep 1000'
    return site.generic(command, execution={"num_nodes": 2})


def test_task_that_dies_ends_a_server_over_two_nodes(run):
    job = run("second_task_dies", "failed")
    assert "a server died" in job["reason"] and "no such device" in job["reason"]
    assert job["attempts"][0]["elapsed_s"] < SOON_S


@submission("beta")
def no_such_image(site):
    return site.generic("$SERVE", deployment={"image": "no-such/image:1"})


def test_image_that_does_not_exist_is_named(run):
    job = run("no_such_image", "failed")
    assert "no-such/image:1" in job["reason"]
    assert any("no-such/image:1" in line for line in job["failure"]["lines"])


@submission("alpha")
def ends_before_it_is_stopped(site):
    command = """$SERVE & while [ ! -e /results/results.yml ]; do sleep 0.2; done; kill $!; exit 1"""
    post = f"while curl -s -o /dev/null http://127.0.0.1:{site.port}/health; do sleep 0.2; done; touch /results/gone"
    return site.generic(command, evaluation={"post_cmd": post})


def test_server_that_exits_before_it_is_stopped_fails_the_evaluation(daemon, run):
    job = run("ends_before_it_is_stopped", "failed")
    assert artifact(job, "gone") == "" and exit_code(job) == 1
    assert "a server was away while the evaluation ran, so its scores do not count" in job["reason"]


def test_no_server_outlives_its_job(bed, daemon, run):
    jobs = []
    for name, evaluation in submissions.evaluations.items():
        look = lambda e=evaluation["id"]: daemon.client.evaluation(e)  # noqa: E731
        wait_for(f"{name} ends", lambda: look()["state"] in ENDS)
        jobs += [(look()["cluster"], job["slurm_job_id"]) for job in look()["jobs"] if job["slurm_job_id"]]
    for cluster in ("alpha", "beta"):
        ours = ",".join(number for where, number in jobs if where == cluster)
        steps = lambda: bed.run(cluster, "squeue", "--noheader", "--steps", f"--jobs={ours}").strip()  # noqa: B023, E731
        wait_for("no step is left", lambda: steps() == "")
