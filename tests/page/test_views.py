"""What the views of evaluations say, held against the API's own answers."""

import re
from datetime import datetime, timedelta, timezone

import filled
import pytest
from chromium import Browser
from conftest_of_api import CONFIG, Daemon
from selenium.webdriver.common.keys import Keys

MADE = filled.newest()
STEP_1000 = filled.identifier(filled.COUNT + 1)
SIGNS = re.compile(r"^\W+\n?")


@pytest.fixture
def ann(browser, daemon):
    browser.sign_in(daemon.tokens["ann"])
    return browser


@pytest.fixture
def api(daemon):
    client = daemon.client("ann")
    return lambda path, **params: client.get(f"/v1/{path}", params=params).json()


def rows(browser, name):
    """The cells' texts of a table, without the signs of states."""
    cells = browser.driver.execute_script(
        "return [...document.querySelectorAll(`[aria-label='${arguments[0]}'] tbody tr`)].map((tr) => [...tr.children].map((td) => td.innerText.trim()))", name)
    return [[SIGNS.sub("", cell) for cell in row] for row in cells]


def attributes(browser, css, name):
    return browser.driver.execute_script("return [...document.querySelectorAll(arguments[0])].map((e) => e.getAttribute(arguments[1]))", css, name)


def duration(seconds):
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min {s % 60} s"
    return f"{s // 3600} h {s % 3600 // 60} min" if s < 86400 else f"{s // 86400} d {s % 86400 // 3600} h"


def hours(seconds):
    value = seconds / 3600
    return f"{int(value + 0.5):,}" if value >= 10 else f"{value:.1f}"


def test_overview_has_what_runs_and_what_waits_with_its_place_and_reason(ann, api):
    waits = set()

    def is_shown(name, states):
        jobs = [job for state in states for job in api("jobs", state=state, limit=12)["items"]]
        shown = rows(ann, name)
        waits.update(job["waiting_on"] for job in jobs if job["waiting_on"])
        return jobs and len(shown) == min(len(jobs), 12) and all(
            row[0] == job["state"] and row[1].split("\n")[0] == job["task"] and
            f"{job['model']}, {job['user']} on {job['cluster']}" in row[1] and
            (job["waiting_on"] or job["reason"] or "") in row[1] for row, job in zip(shown, jobs))

    def all_shown():  # looked at anew: what a job waits on changes while its cluster does not answer
        ann.go("", "Newest evaluations")
        return is_shown("Running", ["running"]) and is_shown("Waiting", ["pending", "queued", "resuming", "submitting"])

    ann.until(all_shown, "what runs and what waits, as the API has it,")
    assert any("alpha" in wait for wait in waits), waits
    assert "Slurm to start it: Priority; it estimates 14:20" in ann.text()


def test_overview_counts_what_ended_today_what_was_spent_and_which_cluster_is_well(ann, api):
    ann.go("", "GPU hours this week")
    figures = dict(reversed(figure.text.split("\n")) for figure in ann.driver.find_elements("css selector", ".figures a"))
    now = datetime.now(timezone.utc)
    ended = {row["state"]: row for row in api("summary", time="ended", since=f"{now:%Y-%m-%d}T00:00:00Z")["items"]}
    for state in ("succeeded", "failed"):
        assert figures[f"{state} today"] == f"{ended.get(state, {}).get('evaluations', 0):,}"
    spent, = api("usage", since=f"{now - timedelta(days=7):%Y-%m-%dT%H:%M}:00Z")["items"]
    assert spent["gpu_s"] > 0
    assert figures[f"GPU hours this week, {hours(sum(spent['gpu_s_waste'].values()))} wasted"] == hours(spent["gpu_s"])
    clusters = api("clusters")["items"]
    assert [(row[0], row[1].split("\n")[0]) for row in rows(ann, "Clusters")] == [(c["health"], c["name"]) for c in clusters]
    well = sum(c["health"] != "failing" for c in clusters)
    assert figures["clusters without trouble"] == f"{well} / {len(clusters)}"


def test_filters_are_kept_over_a_reload_and_labels_are_shown(ann, api):
    ann.go("evaluations", "Submitted")
    ann.find("[name=label]").send_keys("step:4000", Keys.SHIFT, Keys.TAB)  # back to the task: it stays there as the rows change
    ann.until(lambda: "label=step" in ann.driver.current_url, "the label in the address")
    ann.until(lambda: ann.driver.execute_script("return document.activeElement.name") == "task", "the focus on the next field")
    ann.driver.switch_to.active_element.send_keys(filled.TASKS[0], Keys.ENTER)
    wanted = [item["id"] for item in api("evaluations", label="step:4000", task=filled.TASKS[0])["items"]]
    assert len(wanted) == 2

    def shown():
        return [href.rsplit("/", 1)[1] for href in attributes(ann, ".list-row", "href")] == wanted

    ann.until(shown, wanted)
    ann.driver.refresh()
    ann.until(shown, wanted)
    assert [ann.find(f"[name={name}]").get_attribute("value") for name in ("label", "task", "state")] == ["step:4000", filled.TASKS[0], ""]
    labels = ann.driver.execute_script("return [...document.querySelectorAll('.list-row')].map((row) => [...row.querySelectorAll('.label')].map((label) => label.textContent))")
    assert labels == [["step: 4000", "team: red"], ["step: 4000"]]


def test_a_row_comes_and_changes_with_its_events(ann, daemon):
    ann.go("evaluations?user=ann", "Submitted")
    client = daemon.client("ann")
    made = client.submit(CONFIG).json()["id"]
    assert "cancelled" not in ann.until(lambda: ann.find(f".list-row[href$='{made}']").text, "the row")
    client.post(f"/v1/evaluations/{made}/cancel")
    ann.until(lambda: "cancelled" in ann.find(f".list-row[href$='{made}']").text, "the row's new state")


def test_evaluation_has_the_time_line_and_the_budget_of_each_job(ann, api):
    jobs = [api(f"jobs/{MADE['failed']}.{i}") for i in range(3)]
    ann.go(f"evaluations/{MADE['failed']}", "3 jobs")
    parts = ann.driver.find_elements("css selector", "article.job")
    assert len(parts) == 3
    for part, job in zip(parts, jobs):
        wanted = []
        at = {name: [datetime.fromisoformat(a[name].replace("Z", "+00:00")).timestamp() for a in job["attempts"]] for name in ("submitted_at", "started_at", "ended_at")}
        for i, attempt in enumerate(job["attempts"]):
            wanted.append(f"attempt {i + 1} waited {duration(at['started_at'][i] - at['submitted_at'][i])}")
            wanted.append(f"attempt {i + 1} ran {duration(attempt['elapsed_s'])}: {attempt['slurm_state']}")
        assert len(wanted) == 4
        spans = part.find_elements("css selector", ".timeline .track span")
        assert [span.get_attribute("title") for span in spans] == wanted
        begin, length = (datetime.fromisoformat(job[name].replace("Z", "+00:00")).timestamp() for name in ("created_at", "ended_at"))
        length -= begin
        places = [float(re.search(r"left: ([\d.]+)%", span.get_attribute("style"))[1]) for span in spans]
        assert places == pytest.approx([(t - begin) / length * 100 for pair in zip(at["submitted_at"], at["started_at"]) for t in pair], abs=0.01)
        budget = job["budget"]
        words = f"Budget: {duration(budget['used_s'])} of {duration(budget['limit_s'])} used, {duration(budget['remaining_s'])} left"
        bar = part.find_element("css selector", f".bar[aria-label='{words}'] span")
        assert float(re.search(r"width: ([\d.]+)%", bar.get_attribute("style"))[1]) == pytest.approx(budget["used_s"] / budget["limit_s"] * 100, abs=0.01)


def test_evaluation_tells_how_far_it_is(ann, api):
    progress = api(f"jobs/{MADE['running']}.1")["progress"]
    assert progress["eta_s"] > 60
    ann.go(f"evaluations/{MADE['running']}", "3 jobs")
    words = f"{progress['requests']:,} of {progress['total']:,} requests, {duration(progress['eta_s'])} left"
    part = ann.driver.find_elements("css selector", "article.job")[1]
    assert words in part.text
    bar = part.find_element("css selector", f".bar[aria-label='{words}'] span")
    assert float(re.search(r"width: ([\d.]+)%", bar.get_attribute("style"))[1]) == pytest.approx(progress["requests"] / progress["total"] * 100, abs=0.01)
    assert "Waits for Slurm to start it: Priority; it estimates 14:20." in ann.text()


def test_evaluation_tells_why_it_failed_and_what_to_try(ann, api):
    job = api(f"jobs/{MADE['failed']}.2")
    ann.go(f"evaluations/{MADE['failed']}", "3 jobs")
    part = ann.driver.find_elements("css selector", "article.job")[2]
    assert job["reason"] in part.text
    failure = part.find_element("css selector", ".note.bad")
    assert failure.find_element("css selector", "b").text == job["failure"]["advice"] == filled.ADVICE
    assert failure.find_element("css selector", "pre").text.split("\n") == job["failure"]["lines"] == filled.LAST_LINES
    assert job["failure"]["log"] in failure.text
    assert [label.text for label in ann.driver.find_elements("css selector", "h1 + .row .label")] == ["step: 4000", "team: red"]


def test_evaluation_has_its_scores_with_their_intervals(ann, api):
    score, = api("results", evaluation=STEP_1000)["items"]
    ann.go(f"evaluations/{STEP_1000}", "1 job")
    (metric, value, interval, samples), = ann.until(lambda: rows(ann, "Scores"), "the scores")
    low, high = (f"{x:.4f}".rstrip("0") for x in score["ci95"])
    assert (metric, value, interval, samples) == (f"{score['task']} {score['metric']}", str(score["value"]), f"{low} to {high}", str(score["count"]))
    assert value == "0.412"


def test_evaluation_shows_its_run_sub_and_its_config_as_submitted(ann, daemon):
    script = daemon.client("ann").get(f"/v1/jobs/{MADE['failed']}.0/script").text
    assert script == "#!/bin/bash\n#SBATCH --time=60\nsrun true\n"
    ann.go(f"evaluations/{MADE['failed']}", "3 jobs")
    ann.click("run.sub")
    ann.until(lambda: attributes(ann, "pre.log", "tabindex") and ann.find("pre.log").get_attribute("textContent") == script, "run.sub")
    ann.click("Config")
    ann.until(lambda: ann.find("pre.log").get_attribute("textContent") == "x: 1", "the config")


def test_resume_and_cancel_ask_first_and_back_does_nothing(ann, api, daemon):
    client = daemon.client("ann")
    made = client.submit(CONFIG).json()["id"]
    client.post(f"/v1/evaluations/{made}/cancel")

    def state():
        return api(f"evaluations/{made}")["state"]

    ann.until(lambda: state() == "cancelled", "the cancellation")
    ann.go(f"evaluations/{made}", "2 jobs")
    for verb, says, before in (("Resume", "It goes on from where it was, with another attempt.", ("cancelled",)),
                               ("Cancel", "it can be resumed later, with what is left of its budget", ("queued", "running"))):
        ann.click(verb)
        ann.sees(says)
        ann.click("Back")
        ann.until(lambda: not ann.driver.find_elements("css selector", "dialog"), "the end of the question")
        assert state() in before
        ann.click(verb)
        ann.click(f"{verb} it")
        ann.until(lambda before=before: state() not in before, f"what {verb} does")
        ann.until(lambda: state() in ann.find("h1 + .row .state").text, "the new state in the view")


@pytest.mark.parametrize(("name", "offered"), [("ann", True), ("root-of-all", True), ("bob", False), ("eve", False)])
def test_buttons_are_there_for_whom_they_work(browser, daemon, name, offered):
    browser.sign_in(daemon.tokens[name])
    for what, verb in (("running", "cancel"), ("failed", "resume")):
        browser.go(f"evaluations/{MADE[what]}", "3 jobs")
        words = attributes(browser, "main button", "aria-label")
        assert any(word and word.lower().startswith(verb) for word in words) == offered, (what, words)
        if not offered:
            daemon.client(name).post(f"/v1/evaluations/{MADE[what]}/{verb}", 403)


def test_a_tab_has_one_event_stream_whatever_it_shows(ann, daemon):
    def streams():
        return int(re.search(r'nel_event_listeners\{type="stream"\} (\d+)', daemon.client("ann").get("/metrics").text)[1])

    ann.driver.execute_script("window.asked = []; const Real = EventSource; window.EventSource = function (...all) { asked.push(String(all[0])); return new Real(...all); }")
    for where, sees in (("", "Newest evaluations"), ("evaluations", "Submitted"), (f"evaluations/{MADE['running']}", "3 jobs"), ("clusters", "Sessions"),
                        ("results", "Baseline"), ("campaigns", "Parameter"), ("me", "Secrets")):
        ann.go(where, sees)
    assert ann.driver.execute_script("return asked") == []  # the one of the beginning goes on
    ann.until(lambda: streams() == 1, "one stream")
    first = ann.driver.current_window_handle
    ann.driver.switch_to.new_window("tab")
    try:
        ann.driver.get(daemon.base + "/")
        ann.sees("Newest evaluations")
        ann.until(lambda: streams() == 2, "a stream a tab")
    finally:
        ann.driver.close()
        ann.driver.switch_to.window(first)
    ann.until(lambda: streams() == 1, "the end of the other tab's stream")


TOPS = "return [...document.querySelectorAll('.panel')].slice(0, 4).map((panel) => panel.getBoundingClientRect().top)"


def test_nothing_jumps_and_the_focus_stays_while_what_is_shown_changes(ann, daemon):
    client = daemon.client("ann")
    ann.go("", "Newest evaluations")
    link = ann.find("[aria-label=Running] tbody a")
    ann.driver.execute_script("arguments[0].focus(); scrollTo(0, 150); window.before = [arguments[0], scrollY]", link)
    tops = ann.driver.execute_script(TOPS)
    made = client.submit().json()["id"]
    ann.until(lambda: ann.driver.find_elements("css selector", f"a[href='#/evaluations/{made}']"), "the new evaluation")
    assert ann.driver.execute_script(TOPS) == tops  # though more jobs wait
    client.post(f"/v1/evaluations/{made}/cancel")
    ann.until(lambda: "cancelled" in ann.driver.execute_script(
        "return document.querySelector(arguments[0]).closest('tr, li, a.list-row, div').innerText", f"a[href='#/evaluations/{made}']"), "its end")
    assert ann.driver.execute_script("return document.activeElement === window.before[0] && scrollY === window.before[1] && scrollY > 0")
    assert ann.driver.execute_script(TOPS) == tops


def test_times_are_relative_and_the_exact_one_is_at_hand(ann, api):
    evaluation = api(f"evaluations/{MADE['running']}")
    ann.go(f"evaluations/{MADE['running']}", "3 jobs")
    shown, title, exact, iso = ann.driver.execute_script(
        "const t = document.querySelector('h1 + .row time'); return [t.textContent, t.title, new Date(t.dateTime).toString(), t.dateTime]")
    assert iso == evaluation["created_at"] and title == exact and "GMT" in title
    age = datetime.now(timezone.utc) - datetime.fromisoformat(iso.replace("Z", "+00:00"))
    assert shown in {f"{int((age.total_seconds() - late) // 60)}m ago" for late in range(20)} | {f"{int((age.total_seconds() - late) // 3600)}h ago" for late in range(20)}, shown


def test_empty_views_say_what_to_do_first(driver, tmp_path):
    daemon = Daemon(tmp_path)
    daemon.prepare()
    daemon.start()
    try:
        browser = Browser(driver, daemon.base)
        for name, todo in (("ann", "Submit the first one"), ("eve", "Somebody with the role user submits the first one.")):
            browser.sign_in(daemon.tokens[name])
            browser.go("", "Nothing runs now")
            assert all(words in browser.text() for words in ("Nothing waits", "No evaluation yet", todo))
            browser.go("evaluations", "No evaluation yet")
            assert todo in browser.text()
            browser.go("evaluations?user=nobody", "None is like that")
            assert "Show all" in browser.text()
        browser.sign_in(daemon.tokens["ann"])
        browser.go("evaluations", "No evaluation yet")
        browser.click("Submit the first one")
        browser.sees("Overrides, one a line")
    finally:
        daemon.stop()
