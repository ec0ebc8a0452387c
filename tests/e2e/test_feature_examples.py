"""The examples that show one feature each run to scores, unchanged but for what any site changes: cluster, account, paths,
images."""

import re
from pathlib import Path

import pytest

from configs import SCORE
from daemon import Daemon, cluster_settings
from submissions import artifact, export_log
from testbed import ROOT

EXAMPLES = ROOT / "examples"
TIMEOUT_S = 240  # of all together: most want whole nodes

EXPORTER = "'nemo-evaluator-launcher() { echo would export \"$2\" to \"$4\"; }'"
SERVE = "'vllm serve model --port ${deployment.port} --served-model-name ${deployment.served_model_name}'"

# Each with its cluster, who submits it, and overrides of what the site lacks.
SUBMITTED = {
    "vllm-ray-two-nodes": ("alpha", "user", []),
    "sglang": ("beta", "user", []),
    "nim": ("beta", "user", []),
    "trtllm": ("beta", "user", []),
    "generic": ("beta", "user", [f"deployment.command={SERVE}"]),
    "two-instances-haproxy": ("alpha", "user", []),
    "judge": ("alpha", "user", []),
    "dataset-and-commands": ("alpha", "admin", []),
    "own-task-image": ("alpha", "user", []),
    "auto-export": ("alpha", "user", [f"execution.auto_export.launcher_install_cmd={EXPORTER}"]),
    "auto-resume": ("alpha", "user", ["execution.partition=batch"]),
    "site-group": ("alpha", "user", ["deployment.image=nel-test", "deployment.checkpoint_path=CHECKPOINT"]),
}
SECRETS = ("NGC_API_KEY", "MLFLOW_TRACKING_TOKEN", "WANDB_API_KEY")


@pytest.fixture(scope="module")
def daemon(bed, tmp_path_factory):
    """With the site's groups of the examples."""
    clusters = [cluster_settings(bed, name, name) for name in ("alpha", "beta")]
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), clusters, groups_dir=str(EXAMPLES / "groups"))
    daemon.start()
    yield daemon
    daemon.end()


def at_home(bed, model_server, text):
    """The example with our paths and images."""
    data, tool = bed.output / "ifeval", bed.output / "summarize.sh"
    data.mkdir(exist_ok=True)
    (data / "questions.jsonl").write_text("{}\n")
    tool.write_text('echo "in $1: $(ls "$1")"\n')
    text = text.replace("/shared/data/ifeval", str(data)).replace("/shared/tools/summarize.sh", str(tool))
    text = text.replace("https://models.example.com/v1/chat/completions", model_server.url)
    text = text.replace("/shared/images/our-harness.sqsh", bed.env["NEL_SQSH_IMAGE"])
    text = text.replace("/shared/cache/nim", bed.env["NEL_CACHE"])
    text = re.sub(r"/shared/models/[\w.-]+", bed.env["NEL_CHECKPOINT"], text)
    return re.sub(r"(?m)^( *(image|- container|container): )(?!/)(?!python)\S+", r"\1nel-test", text)


@pytest.fixture(scope="module")
def evaluations(bed, daemon, model_server):
    made = {}
    for name, (cluster, role, overrides) in SUBMITTED.items():
        text = at_home(bed, model_server, (EXAMPLES / f"{name}.yaml").read_text())
        site = [f"execution.hostname=login.{cluster}.example", f"execution.account={bed.env['NEL_ACCOUNT']}",
                f"execution.output_dir={bed.output}/examples"]
        site += [override.replace("CHECKPOINT", bed.env["NEL_CHECKPOINT"]) for override in overrides]
        env = {**model_server.env, **dict.fromkeys(SECRETS, "a secret")}
        made[name] = (daemon.admin if role == "admin" else daemon.client).submit(text, env, site)
    return made


def jobs_of(daemon, evaluations, name):
    ended = daemon.client.wait_end(evaluations[name]["id"], timeout_s=TIMEOUT_S)
    return [daemon.client.job(job["id"]) for job in ended["jobs"]]


@pytest.mark.parametrize("name", SUBMITTED)
def test_example_runs_to_scores(daemon, evaluations, name):
    for job in jobs_of(daemon, evaluations, name):
        assert set(daemon.client.scores(job["id"]).values()) == {SCORE}


def test_every_example_is_run_here_or_in_test_examples():
    here = set(SUBMITTED)
    there = re.findall(r"[\w-]+\.(?=yaml|json)", (Path(__file__).parent / "test_examples.py").read_text())
    configs = {path.stem for path in EXAMPLES.iterdir() if path.suffix in (".yaml", ".json")} - {"nel-slurmd"}
    assert configs == here | {name.rstrip(".") for name in there}


def test_commands_example_leaves_its_summary(daemon, evaluations):
    (job,) = jobs_of(daemon, evaluations, "dataset-and-commands")
    assert re.search(r"in /results: .*results\.yml", artifact(job, "summary.txt"), re.S)


def test_export_example_exports_to_both(daemon, evaluations):
    (job,) = jobs_of(daemon, evaluations, "auto-export")
    text = export_log(job)
    for destination in ("mlflow", "wandb"):
        assert f"would export {job['id']} to {destination}" in text
    assert artifact(job, "export.tsv") == "mlflow\t0\nwandb\t0\n"
