"""Which cluster an evaluation goes to: `clusters[].paths` and ${site:NAME}. No Slurm answers here; with real clusters:
tests/e2e/test_placement.py."""

import pytest
import yaml
from conftest import CONFIG

PATHS = {"alpha": {"models": "/alpha/models", "data": "/alpha/data"}, "beta": {"models": "/beta/models"}}


@pytest.fixture(scope="module")
def placing(tmp_path_factory):
    """A daemon whose two clusters have paths, and none of which answers."""
    from conftest import prepared_in
    makers = prepared_in(tmp_path_factory.mktemp("placing"))
    daemon = next(makers)()
    settings = yaml.safe_load(daemon.settings.read_text())
    for cluster in settings["clusters"]:
        cluster["paths"] = PATHS[cluster["name"]]
        cluster["connect_timeout_s"] = 2
    daemon.settings.write_text(yaml.safe_dump(settings))
    daemon.start()
    yield daemon
    next(makers, None)


def config_for(cluster=None, **execution):
    config = yaml.safe_load(CONFIG)
    if cluster is not None:
        del config["execution"]["hostname"]
        config["execution"]["cluster"] = cluster
    config["execution"].update(execution)
    return config


def mounted(data):
    return {"mounts": {"mount_home": False, "evaluation": {data: "/data"}}}


# ---- paths ----

@pytest.mark.parametrize("cluster, models", [("alpha", "/alpha/models"), ("beta", "/beta/models"), (None, "/alpha/models")])
def test_site_path_is_that_of_the_cluster(placing, cluster, models):
    config = config_for(cluster, output_dir="${site:models}/out", **mounted("${site:models}/llama"))
    body = placing.client("ann").submit(yaml.safe_dump(config), 200, params={"dry_run": "true"}).json()
    assert body["config"]["execution"]["output_dir"] == f"{models}/out"
    assert f"{models}/llama:/data" in body["jobs"][0]["script"]


def test_site_path_that_is_unknown_lists_those_that_there_are(placing):
    config = config_for("alpha", output_dir="${site:modls}/out", **mounted("${site:dta}"))
    problem = placing.client("ann").submit(yaml.safe_dump(config), 422).json()
    messages = {error["pointer"]: error["message"] for error in problem["errors"]}
    assert set(messages) == {"/execution/output_dir", "/execution/mounts/evaluation/${site:dta}"}
    for name, message in zip(("modls", "dta"), (messages["/execution/output_dir"], messages["/execution/mounts/evaluation/${site:dta}"])):
        assert f'cluster alpha has no path "{name}" (clusters[].paths); it has: data, models' in message
    assert all(error["line"] > 0 for error in problem["errors"])
