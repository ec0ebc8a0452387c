"""What the views of scores, submissions, clusters and people say is what the API says, and what they offer is done."""

import filled
import pytest
from chromium import Browser
from conftest_of_api import CONFIG, Daemon, of_api

MODEL, TASK = filled.MODELS, filled.TASKS[0]
PAIR = [f"{filled.identifier(filled.COUNT + 8 + 3 * place)}.0" for place in (0, 1)]  # jobs of the first two models and the first task
COUNT = 500
DEPLOYED = """\
defaults:
  - execution: slurm/default
  - deployment: vllm
  - _self_
execution:
  hostname: alpha.example
  account: acct
  output_dir: /shared/out
  mounts:
    mount_home: false
deployment:
  checkpoint_path: /shared/model
  served_model_name: org/page
evaluation:
  tasks:
    - name: lm-evaluation-harness.ifeval
    - name: simple_evals.mmlu_pro
"""
DROP = """
const transfer = new DataTransfer();
transfer.items.add(new File([arguments[0]], 'config.yaml', {type: 'application/yaml'}));
document.querySelector('.editor').dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
"""


@pytest.fixture
def ann(browser, daemon):
    browser.sign_in(daemon.tokens["ann"])
    return browser


def test_matrix_colours_what_the_service_shows_to_differ_and_leads_to_the_samples(ann, daemon):
    right = (range(356), range(10, 427))  # 10 of the first model's are wrong for the second, and 71 more are right
    for job, these in zip(PAIR, right):
        daemon.execute("UPDATE results SET count = ? WHERE job = (SELECT seq FROM jobs WHERE id = ?)", COUNT, job)
        rows = [(i, 7 + i, 0, {"acc": float(i in these)}) for i in range(COUNT)]
        of_api("samples").store(daemon, job, [{"task": TASK, "filter": "none", "rows": rows}])
    found = daemon.client("ann").get("/v1/results", params={"form": "matrix", "latest": "true", "baseline": MODEL[0]}).json()
    ann.go(f"results?baseline={MODEL[0]}", MODEL[1])
    shown = {row.find_element("css selector", "th").text.split("\n")[0]: row.find_elements("css selector", "td")
             for row in ann.driver.find_elements("css selector", "[aria-label=Scores] tbody tr")}
    verdicts = set()
    for row in found["rows"]:
        for place, (cell, node) in enumerate(zip(row["cells"], shown[row["model"]], strict=True)):
            if cell is None:
                assert node.text == "–"
                continue
            assert node.text.startswith(f"{round(cell['value'], 4):g}")
            assert f"{round(cell['ci95'][0], 3):g} to {round(cell['ci95'][1], 3):g}" in node.text
            coloured = [e.get_attribute("class").split()[1] for e in node.find_elements("css selector", ".state")]
            verdict = None if row["baseline"] else cell.get("verdict")
            verdicts.add(verdict)
            assert coloured == {"better": ["good"], "worse": ["bad"]}.get(verdict, []), (row["model"], place, verdict)
    assert {"better", "worse"} <= verdicts and len(verdicts) > 3, verdicts  # and some that are not coloured
    link = ann.find(f"a[href='#/compare?a={PAIR[0]}&b={PAIR[1]}']")
    ann.driver.execute_script("arguments[0].click()", link)
    ann.click("10 worse, 71 better")
    ann.sees(f"Samples of {TASK} that flipped")
    assert ann.driver.find_elements("css selector", "[aria-label='Samples that flipped'] tbody tr")


def test_comparison_with_its_flipped_samples_does_not_scroll_sideways_on_a_tablet(ann, daemon):
    ann.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 900, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    fits = "return [...document.querySelectorAll('.scroll')].every((s) => s.scrollWidth <= s.clientWidth) && document.documentElement.scrollWidth <= innerWidth"
    try:
        ann.go(f"compare?a={PAIR[0]}&b={PAIR[1]}", "Is B better?")
        assert ann.driver.execute_script(fits)
        button = ann.find("button[aria-label$='that flipped']")
        if button.is_enabled():
            button.click()
            ann.sees("that flipped")
        assert ann.driver.execute_script(fits)
    finally:
        ann.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def dropped(browser, text, sees):
    browser.go("submit", "Overrides, one a line")
    browser.driver.execute_script(DROP, text)
    browser.until(lambda: browser.driver.execute_script("return document.getElementById('config').value") == text, "the file's text")
    browser.click("Dry run")
    browser.sees(sees)


def test_dropped_file_is_marked_at_each_line_that_is_wrong(ann, daemon):
    wrong = CONFIG.replace("simple_evals.mmlu_pro", "no.such_task").replace("mount_home: false", "mount_home: 7")
    errors = daemon.client("ann").submit(wrong, 422).json()["errors"]
    lines = sorted({error["line"] for error in errors})
    assert len(lines) == 2
    dropped(ann, wrong, f"Line {lines[0]}")
    assert [int(e.text) for e in ann.driver.find_elements("css selector", ".editor .lines .bad")] == lines
    assert all(error["message"] in ann.text() for error in errors)
    ann.click(f"Line {lines[1]}")
    selected = ann.driver.execute_script("const a = document.getElementById('config'); return a.value.slice(a.selectionStart, a.selectionEnd)")
    assert selected == wrong.splitlines()[lines[1] - 1]


def test_dry_run_says_what_to_save_and_what_could_be_reused(ann, daemon):
    reply = daemon.client("ann").submit(DEPLOYED, 200, params={"dry_run": "true"}).json()
    dropped(ann, DEPLOYED, "Nothing was submitted: 2 jobs would be")
    assert f"To save GPU hours: {reply['sharing']['text']}." in ann.text()
    assert all(warning["message"] in ann.text() for warning in reply["warnings"])
    assert "to reuse" not in ann.text()
    made = daemon.client("ann").submit(DEPLOYED).json()["id"]
    daemon.execute("UPDATE jobs SET state = 'succeeded', ended_at = unixepoch(), attention = 0, collected = 1 WHERE id = ?", f"{made}.0")
    of_job = " FROM jobs WHERE id = ?"
    daemon.execute("INSERT INTO results (job, task, is_group, metric, score, value, recorded_at, model) SELECT seq, task, 0, 'acc', 'acc', 0.5, 5, model"
                   + of_job, f"{made}.0")
    daemon.execute("INSERT INTO fingerprints (job, checkpoints, fingerprint, settled) SELECT seq, '[]', 'same', 1" + of_job, f"{made}.0")
    ann.find("#reuse").click()
    asked = {"dry_run": "true", "reuse": "true"}
    candidates = [job["reuse_candidate"] for job in daemon.client("ann").submit(DEPLOYED, 200, params=asked).json()["jobs"]]
    assert candidates == [f"{made}.0", None]
    ann.click("Dry run")
    ann.sees("none to reuse: it would be run")
    assert f"would reuse {made}.0 if the checkpoint is unchanged" in ann.text()
    ann.click("Submit", "button")
    ann.until(lambda: "#/evaluations/" in ann.driver.current_url, "the evaluation's view")
    made = ann.driver.current_url.rsplit("/", 1)[1]
    assert daemon.execute("SELECT reuse FROM evaluations WHERE id = ?", made)[0][0] == 1


def test_own_page_shows_secrets_by_name_alone_and_revokes_a_token(ann, daemon):
    client = daemon.client("ann")
    client.request("PUT", "/v1/secrets/HF_TOKEN", json={"value": "value-of-the-secret"})
    made = client.post("/v1/tokens", 201, json={"label": "to be revoked"}).json()
    ann.go("me", "to be revoked")
    ann.sees("HF_TOKEN")
    page = ann.driver.execute_script("return document.documentElement.outerHTML")
    assert "value-of-the-secret" not in page and made["token"] not in page
    ann.driver.execute_script("arguments[0].click()", ann.find(f"[aria-label='Revoke token {made['id']}']"))
    ann.click("Do it")
    ann.until(lambda: "to be revoked" not in ann.driver.execute_script("return document.querySelector('main').innerText"), "a list without it")
    assert client.get(f"/v1/tokens/{made['id']}").json()["state"] == "revoked"


def test_own_page_shows_webhooks_and_the_key_to_paste(driver, tmp_path):
    daemon = Daemon(tmp_path)
    text = daemon.settings.read_text()
    account = text[text.rindex("    identity: {username: "):text.index("}\n", text.rindex("    identity: {username: ")) + 2]
    daemon.settings.write_text(text.replace(account, "    identity: per_user\n"))
    daemon.prepare()
    daemon.start()
    try:
        client = daemon.client("ann")
        browser = Browser(driver, daemon.base)
        browser.sign_in(daemon.tokens["ann"])
        browser.go("me", "No webhook")
        assert "A key is made where a cluster has identity: per_user." in browser.text()
        client.post("/v1/webhooks", 201, json={"url": "https://hooks.example/of-ann"})
        key = client.request("PUT", "/v1/identities/beta", json={"username": "alice"}).json()
        browser.go("me", "https://hooks.example/of-ann")
        shown = browser.find("pre").text
        assert shown == key["authorized_keys"] and "ssh-ed25519 " in shown
        assert f"beta: {key['state']}" in browser.text() and key["instructions"] in browser.text()
        assert "PRIVATE KEY" not in driver.page_source
    finally:
        daemon.stop()


def cells(browser, table):
    rows = browser.driver.find_elements("css selector", f"[aria-label='{table}'] tbody tr")
    return [[cell.text for cell in row.find_elements("css selector", "th, td")] for row in rows]


def test_admin_has_the_people_what_they_did_and_what_they_used(browser, daemon):
    client = daemon.client("root-of-all")
    daemon.client("eve").post("/v1/tokens", 403, json={"label": "not for viewers"})
    browser.sign_in(daemon.tokens["root-of-all"])
    browser.go("admin", "Audit")
    users = client.get("/v1/users?limit=500").json()["items"]
    assert sorted(row[:2] for row in cells(browser, "People")) == sorted([user["name"], user["role"]] for user in users)
    refused = [row for row in cells(browser, "Audit") if row[1] == "eve" and "refused" in row[4]]
    known = [row for row in client.get("/v1/audit?limit=200").json()["items"] if row["actor"] == "eve" and row["outcome"] == "refused"]
    assert known and [row[2].partition(" ×")[0] for row in refused] == [row["action"] for row in known]
    used = {row["user"]: row["gpu_s"] for row in client.get("/v1/usage?by=user").json()["items"]}
    shown = {row[0]: row[1] for row in cells(browser, "Person")}
    assert {"ann", "bob"} <= set(used) and set(shown) == set(used)
    for person, seconds in used.items():
        assert abs(float(shown[person].replace(",", "")) - seconds / 3600) <= 0.5, person


def test_campaign_is_paused_and_goes_on_by_its_buttons(ann, daemon):
    client = daemon.client("ann")
    made = client.post("/v1/campaigns", 201, json={"name": "of buttons", "config": CONFIG, "parameter": "target.api_endpoint.model_id",
                                                   "values": ["org/step-1", "org/step-2"], "live": 1}).json()["id"]
    ann.go(f"campaigns/{made}", "2 values")
    for button, state in (("Pause", "paused"), ("Resume", "active")):
        ann.click(button)
        ann.until(lambda: client.get(f"/v1/campaigns/{made}").json()["state"] == state, state)
        ann.until(lambda: ann.find("h1 + .row .state").text.endswith(state), f"{state}, shown")
    ann.click("Cancel")
    ann.click("Cancel it")
    ann.until(lambda: client.get(f"/v1/campaigns/{made}").json()["state"] == "cancelled", "cancelled")


def test_campaign_is_cancelled_by_its_button(browser, daemon):
    browser.sign_in(daemon.tokens["root-of-all"])
    client = daemon.client("root-of-all")
    hostile = filled.campaign_id(filled.HOSTILE[:100])
    browser.go(f"campaigns/{hostile}", "Cancel")
    browser.click("Cancel")
    browser.click("Cancel it")
    browser.until(lambda: "Resume" not in browser.text() and "cancelled" in browser.find("h1 + .row .state").text, "the cancelled state")
    assert client.get(f"/v1/campaigns/{hostile}").json()["state"] == "cancelled"


def test_preflight_of_a_cluster_is_told(ann):
    ann.go("clusters", "Breaker")
    assert "✕ login" not in ann.text()
    ann.click("Preflight")
    ann.sees("✕ login")


def test_people_of_other_roles_have_no_admin_view(ann):
    assert "Admin" not in [a.text for a in ann.driver.find_elements("css selector", "nav a")]
    ann.driver.execute_script("location.hash = '#/admin'")
    ann.sees("Admin is for the role admin")
    assert "Audit" not in ann.text()


def test_buttons_of_lines_are_no_wider_than_their_words(ann):
    dropped(ann, DEPLOYED, "Nothing was submitted: 2 jobs would be")
    shares = "return [...document.querySelectorAll('.note > button')].map((b) => b.offsetWidth / b.parentNode.offsetWidth)"
    widths = ann.driver.execute_script(shares)
    assert widths and max(widths) < 0.5
