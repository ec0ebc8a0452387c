"""Which cluster an evaluation goes to: `clusters[].paths` and ${site:NAME}. No Slurm answers here; with real clusters:
tests/e2e/test_placement.py."""

import pytest
import yaml
from conftest import CONFIG, prepared_in, wait_until
from nel_command import Nel

PATHS = {"alpha": {"models": "/alpha/models", "data": "/alpha/data"}, "beta": {"models": "/beta/models"}}


@pytest.fixture(scope="module")
def placing(tmp_path_factory):
    """A daemon whose two clusters have paths, and none of which answers."""
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


# ---- a cluster that is left open ----

def submit(placing, cluster, status=202, params=None, **execution):
    body = yaml.safe_dump(config_for(cluster, output_dir="${site:models}/out", **execution))
    return placing.client("ann").submit(body, status, params=params or {}).json()


def wait_answers(placing, evaluation_id):
    """The placement, once all have been asked."""
    def look():
        placement = placing.client("ann").get(f"/v1/evaluations/{evaluation_id}").json()["placement"]
        return placement if all(one["answer"] for one in placement["candidates"]) else None
    return wait_until(look, "the answers")


def test_open_cluster_is_asked_for_and_waits_while_none_answers(placing):
    """Neither answers: nothing is chosen, and the job says what each of them said."""
    body = submit(placing, ["beta", "alpha"], move_after="01:00:00")
    assert body["cluster"] == "beta" and body["placement"]["state"] == "choosing"
    assert body["placement"]["move_after_s"] == 3600
    assert [one["cluster"] for one in body["placement"]["candidates"]] == ["beta", "alpha"]
    placement = wait_answers(placing, body["id"])
    assert placement["state"] == "choosing" and placement["placed_at"] is None
    assert all(one["answer"] == "silent" and one["message"] for one in placement["candidates"])
    job = placing.client("ann").get(f"/v1/jobs/{body['id']}.0").json()
    assert job["state"] == "queued" and job["attempts"] == []
    assert "beta: " in job["waiting_on"] and "alpha: " in job["waiting_on"]
    placing.client("ann").post(f"/v1/evaluations/{body['id']}/cancel")
    ended = wait_until(lambda: (now := placing.client("ann").get(f"/v1/evaluations/{body['id']}").json()) and
                       now["placement"]["state"] == "settled" and now, "the end")
    assert ended["state"] == "cancelled"


def test_any_is_all_clusters(placing):
    body = submit(placing, "any", 200, {"dry_run": "true"})
    assert [one["cluster"] for one in body["placement"]["candidates"]] == ["alpha", "beta"]
    assert body["cluster"] == "alpha" and body["config"]["execution"]["cluster"] == "alpha"


def test_cluster_that_lacks_a_path_is_left_out(placing):
    body = submit(placing, ["beta", "alpha"], 200, {"dry_run": "true"}, **mounted("${site:data}"))
    assert body["cluster"] == "alpha"
    beta, alpha = body["placement"]["candidates"]
    assert beta["answer"] == "left_out" and 'cluster beta has no path "data"' in beta["message"] and "models" in beta["message"]
    assert alpha["answer"] is None
    [warning] = [one for one in body["warnings"] if one["pointer"] == "/execution/cluster"]
    assert "cluster beta is left out" in warning["message"]


def test_config_that_no_cluster_can_run_is_refused_for_each(placing):
    problem = submit(placing, ["alpha", "beta", "gamma"], 422, **mounted("${site:nowhere}"))
    messages = " ".join(error["message"] for error in problem["errors"])
    assert 'cluster alpha has no path "nowhere" (clusters[].paths); it has: data, models' in messages
    assert 'cluster beta has no path "nowhere" (clusters[].paths); it has: models' in messages
    assert 'no cluster here has the name "gamma"' in messages


@pytest.mark.parametrize("cluster", [[], [7], ["alpha", "any"], {"a": "b"}])
def test_open_cluster_that_is_no_list_of_names_is_refused(placing, cluster):
    problem = submit(placing, cluster, 422)
    assert any(error["pointer"].startswith("/execution/cluster") for error in problem["errors"])


def test_move_after_with_one_cluster_is_warned_of(placing):
    body = submit(placing, "alpha", 200, {"dry_run": "true"}, move_after="01:00:00")
    assert body["placement"] is None
    assert [one for one in body["warnings"] if one["pointer"] == "/execution/move_after"]


def test_nelctl_runs_it_and_says_which_clusters_are_asked(placing, tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config_for(["beta", "alpha"], output_dir="${site:models}/out")))
    nel = Nel(placing, tmp_path)
    asked = "cluster: the one of beta, alpha that starts it first"
    assert asked in nel("run", "config.yaml", "--dry-run")
    evaluation = nel("run", "config.yaml").split()[0]
    assert asked in nel("status", evaluation)
    nel("kill", evaluation)
