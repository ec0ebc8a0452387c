"""examples/prometheus: the alert rules hold, and name what the daemon says; the dashboard shows all of it."""

import json
import re
import subprocess

import pytest
import yaml
from conftest import ROOT

EXAMPLES = ROOT / "examples"
ALERTS = EXAMPLES / "prometheus/alerts.yaml"
METRIC = re.compile(r"\b(?:nel|process)_[a-z0-9_]+\b")
SELECTOR = re.compile(r"\b((?:nel|process)_[a-z0-9_]+)\{([^}]*)\}")
OF_PROMETHEUS = {"job", "instance", "le"}


def promtool(*words):
    return subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, cwd=ROOT)


def test_rules_hold_and_fire_when_they_should():
    for words in (("check", "rules", ALERTS), ("test", "rules", ROOT / "tests/api/alerts.test.yaml")):
        done = promtool(*words)
        assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


def test_scrape_configuration_is_one(tmp_path):
    """As it stands, but for the file with the token."""
    (tmp_path / "token").write_text("nel_x")
    text = (EXAMPLES / "prometheus/prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(text.replace("/etc/prometheus/nel-slurmd.token", str(tmp_path / "token")))
    (tmp_path / "alerts.yaml").write_text(ALERTS.read_text())
    done = promtool("check", "config", tmp_path / "prometheus.yaml")
    assert done.returncode == 0 and "12 rules found" in done.stdout, done.stdout + done.stderr


def expressions_of_alerts():
    return [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def dashboard():
    return json.loads((EXAMPLES / "prometheus/grafana-dashboard.json").read_text())


def expressions_of_dashboard():
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]


@pytest.fixture(scope="module")
def exposed(daemon):
    """What a running daemon says of itself: {metric: names of its labels}; empty ones have none yet."""
    ann = daemon.client("ann")
    ann.submit()
    ann.get("/v1/whoami")
    text = ann.get("/metrics").text
    names = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        for one in [name + end for end in ("_bucket", "_sum", "_count")] if kind == "histogram" else [name]:
            names[one] = set()
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.M):
        names[name] |= set(re.findall(r'([a-z_]+)="', labels or ""))
    return names


@pytest.mark.parametrize("expressions", [expressions_of_alerts, expressions_of_dashboard], ids=["alerts", "dashboard"])
def test_every_metric_and_label_is_the_daemons(exposed, expressions):
    for expression in expressions():
        named = METRIC.findall(expression)
        assert named or expression.startswith("up"), expression
        assert not set(named) - set(exposed), expression
        for name, matchers in SELECTOR.findall(expression):
            labels = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers)) - OF_PROMETHEUS
            assert not exposed[name] or labels <= exposed[name], expression


def test_dashboard_shows_every_metric(exposed):
    shown = {name for expression in expressions_of_dashboard() for name in METRIC.findall(expression)}
    bases = {re.sub("_(bucket|sum|count)$", "", name) for name in exposed if name.startswith("nel_")} - {"nel_build_info"}
    assert bases <= {re.sub("_(bucket|sum|count)$", "", name) for name in shown}


def test_dashboard_is_whole(tmp_path):
    """Panels lie in the grid without covering each other, each with its own number, title and unit; queries are PromQL."""
    places, numbers = set(), set()
    rules = []
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & places and panel["id"] not in numbers and panel["title"]
        places |= cells
        numbers.add(panel["id"])
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]
        for target in panel.get("targets", []):
            query = re.sub(r"\$__(rate_interval|range)", "5m", target["expr"]).replace("$cluster", ".*")
            assert "$" not in query
            rules.append({"record": f"r{len(rules)}", "expr": query})
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "rules.yaml")
    assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stdout + done.stderr
    assert {one["name"] for one in dashboard()["templating"]["list"]} == {"datasource", "cluster"}
