"""Texts of an attacker in every field of every reply, and in the names and lines of files: they are shown, and do nothing."""

import getpass
from pathlib import Path

import pytest
from chromium import Browser, chromium
from conftest_of_api import CONFIG, Daemon, Sshd
from test_page import MADE, VIEWS

SCRIPT = Path(__file__).with_name("hostile.js").read_text()
WRITE = "const a = document.getElementById('config'); a.value = arguments[0]; a.dispatchEvent(new Event('input'))"
# What would run, or lead out of the service; the page's one picture is its icon.
HARM = """
const bad = [...document.querySelectorAll('body img:not(.brand img), body script:not([src]), iframe, object, embed, base ~ base, [srcdoc]')];
for (const node of document.querySelectorAll('body *')) {
  for (const {name, value} of node.attributes) {
    if (name.startsWith('on')) bad.push(node);
    if (/^(href|src|action|formaction|xlink:href|data|ping|poster)$/.test(name) && new URL(value, document.baseURI).origin !== location.origin) bad.push(node);
  }
}
return [window.hurt ?? null, bad.map((node) => node.outerHTML.slice(0, 200))];
"""
OPENED = {f"evaluations/{MADE['running']}": ("Config", "Resolved", "Log", "Files", "run.sub"), "clusters": ("Preflight",)}
SEES = {"evaluations": "Submitted", "campaigns": "Parameter", "me": "Secrets", "admin": "Audit"}


@pytest.fixture(scope="module")
def hostile():
    one = chromium()
    one.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SCRIPT})
    yield one
    one.quit()


@pytest.fixture
def attacked(hostile, daemon):
    daemon.client("root-of-all").request("PUT", "/v1/secrets/SHOWN_BY_NAME", json={"value": "never-shown"})
    browser = Browser(hostile, daemon.base)
    browser.sign_in(daemon.tokens["root-of-all"])
    return browser


def harmless(browser):
    assert browser.driver.execute_script(HARM) == [None, []]


@pytest.mark.parametrize(("where", "sees"), [(where, SEES.get(where, sees)) for where, sees in VIEWS])
def test_view_shows_what_an_attacker_answers_as_it_is(attacked, where, sees):
    attacked.go(where, sees)
    if where not in ("submit", "compare"):  # these ask for nothing at first
        attacked.until(lambda: attacked.driver.execute_script("return document.querySelector('main').innerText.includes(hostile.text)"), "the texts")
    harmless(attacked)
    for button in OPENED.get(where, ()):
        attacked.click(button)
        attacked.until(lambda: "Reading …" not in attacked.text() and "Asking the cluster …" not in attacked.text(), button)
        harmless(attacked)


@pytest.mark.parametrize("config", [CONFIG, CONFIG.replace("simple_evals.mmlu_pro", "no.such_task"), "<svg onload=window.hurt=1>"])
def test_submission_shows_what_an_attacker_answers_as_it_is(attacked, config):
    attacked.go("submit", "Overrides, one a line")
    attacked.driver.execute_script(WRITE, config)
    attacked.click("Dry run")
    attacked.until(lambda: attacked.driver.execute_script("return document.querySelector('main').innerText.includes(hostile.text)"), "the reply")
    harmless(attacked)


def test_question_shows_an_attackers_name_as_it_is(attacked):
    attacked.go("me", "Tokens")
    attacked.click("Revoke")
    attacked.until(lambda: attacked.driver.execute_script("return document.querySelector('dialog').innerText.includes(hostile.text)"), "the question")
    harmless(attacked)
    attacked.click("Back")


IMAGE = "<img src=x onerror=\"window.hurt=1\">'"
LINES = f"{IMAGE}\n<script>window.hurt=1</script>\n\x1b]8;;javascript:window.hurt=1\x07link\x1b]8;;\x07 \x1b[31m{IMAGE}\x1b[0m\n"


@pytest.fixture(scope="module")
def with_files(tmp_path_factory):
    """A daemon with a job whose files are of this machine: (the daemon, the job's evaluation)."""
    sshd = Sshd(tmp_path_factory.mktemp("hostile-files"))
    one = Daemon(sshd.folder, sshd.port)
    one.prepare()
    one.start()
    folder = sshd.folder / "rundir/task.0"
    (folder / "logs").mkdir(parents=True)
    (folder / "artifacts" / IMAGE).mkdir(parents=True)
    (folder / "artifacts" / IMAGE / "javascript:window.hurt=1").write_text("x")
    (folder / "artifacts" / "page.html").write_text("<script>window.hurt=1</script>")
    (folder / "logs" / f"{IMAGE}.log").write_text(LINES)
    (folder / "logs/client-1.log").write_text(LINES)
    name = one.client("ann").submit().json()["id"]
    one.execute("UPDATE jobs SET cluster = 'beta', identity = ?, job_dir = ?, state = 'succeeded' WHERE id = ?", getpass.getuser(), str(folder), f"{name}.0")
    yield one, name
    one.stop()
    sshd.stop()


def test_files_and_logs_of_an_attacker_are_shown_as_they_are(driver, with_files):
    daemon, evaluation = with_files
    browser = Browser(driver, daemon.base)
    browser.sign_in(daemon.tokens["ann"])
    browser.go(f"evaluations/{evaluation}", "2 jobs")
    browser.click("Files")
    browser.sees(f"{IMAGE}/javascript:window.hurt=1")
    harmless(browser)
    browser.click("Log")
    browser.until(lambda: [option.click() for option in driver.find_elements("css selector", "main option") if IMAGE in option.text], "the file to choose")
    browser.sees(f"link {IMAGE}")
    assert "<script>window.hurt=1</script>" in browser.text()
    harmless(browser)
    # Opened by its address, a page that a job wrote is no page.
    driver.execute_script("const f = document.createElement('a'); f.href = arguments[0]; document.body.append(f); f.click()", f"v1/jobs/{evaluation}.0/artifacts/page.html")
    assert driver.execute_async_script("setTimeout(() => arguments[0](window.hurt ?? null), 500)") is None
    harmless(browser)
