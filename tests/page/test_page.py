"""The page in Chromium: signing in, every view with hostile texts in it and before axe, and what goes on live."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlencode

import filled
import pytest
from conftest_of_api import CONFIG

ROOT = Path(__file__).resolve().parents[2]
MADE = filled.newest()


def compared(a, b):
    return f"compare?{urlencode({'a': f'model:{a}', 'b': f'model:{b}'})}"


VIEWS = [("", "Newest evaluations"), ("evaluations", "window.hurt=1"), (f"evaluations/{MADE['hostile']}", "1 job"),
         (f"evaluations/{MADE['running']}", "3 jobs"), ("results", "Baseline"), ("submit", "Overrides, one a line"),
         ("campaigns", "window.hurt=1"), (f"campaigns/{MADE['campaign']}", "9 values"), (f"campaigns/{filled.campaign_id(filled.HOSTILE[:100])}", "window.hurt=1"),
         ("compare", "Nothing to compare yet"), (compared(filled.MODELS[0], filled.MODELS[1]), "Is B better?"),
         (compared(filled.HOSTILE, filled.MODELS[0]), "window.hurt=1"), ("clusters", "Sessions"), ("me", "window.hurt=1"), ("admin", "window.hurt=1")]
HURT = "return window.hurt === undefined && !document.querySelector('main img, main script, main [onerror], main [onload]')"


@pytest.fixture(scope="session")
def axe():
    folder = ROOT / "build/npm-page"  # apart from the linters, which npm may be installing beside
    file = folder / "node_modules/axe-core/axe.min.js"
    if not file.exists():
        if not shutil.which("npm"):
            pytest.skip("npm is not there")
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", folder, "axe-core@4.14.1"],
                           timeout=150, check=False)
    if not file.exists():
        pytest.skip("npm cannot install axe-core")
    return file.read_text()


@pytest.fixture
def admin(browser, daemon):
    browser.sign_in(daemon.tokens["root-of-all"])
    return browser


def test_token_is_kept_nowhere_that_scripts_can_read(browser, daemon):
    browser.sign_in(daemon.tokens["ann"])
    kept = browser.driver.execute_script("return [location.href, document.cookie, JSON.stringify({...localStorage}),"
                                         " JSON.stringify({...sessionStorage}), document.documentElement.outerHTML].join(' ')")
    assert daemon.tokens["ann"] not in kept and "nel_session" not in kept
    browser.driver.refresh()
    browser.sees("ann · user")
    browser.click("Sign out")
    browser.sees("Sign in to nel-slurmd")
    browser.driver.refresh()
    browser.sees("Sign in to nel-slurmd")


def test_link_signs_in_once_and_its_code_is_gone(browser, daemon):
    browser.sign_in(daemon.tokens["ann"])
    made = [daemon.client("bob").post("/v1/session/codes", 201).json() for _ in range(2)]
    open_link = "location.href = arguments[0]"
    browser.driver.execute_script(open_link, daemon.base + made[0]["path"])  # nobody becomes another one by a link
    browser.until(lambda: browser.driver.current_url.endswith("#/"), "an address without the code")
    browser.sees("ann · user")
    browser.click("Sign out")
    browser.sees("Sign in to nel-slurmd")
    browser.driver.get("about:blank")
    browser.driver.get(daemon.base + made[1]["path"])
    browser.sees("bob · user")
    assert browser.driver.current_url == daemon.base + "/#/"
    browser.driver.back()
    browser.until(lambda: "sign-in" not in browser.driver.current_url, "a history without the code")
    browser.driver.get(daemon.base + "/")
    browser.click("Sign out")
    browser.sees("Sign in to nel-slurmd")
    browser.driver.get(daemon.base + made[1]["path"])
    browser.sees("the sign-in code is used, expired or no valid one")


def test_wrong_token_is_told(browser, daemon):
    browser.sign_in(daemon.tokens["ann"])
    browser.click("Sign out")
    browser.find("#token").send_keys("nel_wrong")
    browser.click("Sign in")
    browser.sees("the token is not a valid one")


def test_viewer_sees_nothing_that_would_be_refused(browser, daemon):
    browser.sign_in(daemon.tokens["eve"])
    for where, sees in (("", "Overview"), (f"evaluations/{MADE['running']}", "3 jobs"), (f"evaluations/{MADE['failed']}", "3 jobs"),
                        (f"campaigns/{MADE['campaign']}", "9 values"), ("clusters", "Sessions"), ("me", "Secrets"),
                        ("submit", "Submit is for the role user"), ("admin", "Admin is for the role admin")):
        browser.go(where, sees)
        words = set(browser.driver.execute_script("return [...document.querySelectorAll('button, nav a')].map((one) => one.innerText.trim())"))
        assert not words & {"Cancel", "Resume", "Pause", "Submit", "Dry run", "Admin", "Preflight", "Revoke"}, (where, words)


@pytest.mark.parametrize(("where", "sees"), VIEWS)
def test_view_shows_hostile_texts_as_texts(admin, where, sees):
    admin.go(where, sees)
    assert admin.driver.execute_script(HURT)


@pytest.mark.parametrize(("where", "sees"), VIEWS)
def test_view_is_accessible(admin, axe, where, sees):
    admin.go(where, sees)
    admin.driver.execute_script(axe)
    for scheme in ("light", "dark"):
        admin.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        found = admin.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then((r) => done(r.violations.map((v) =>"
            " `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 150) + ' ' + n.any.map((a) => a.message)).slice(0, 3)}`)))")
        assert found == [], scheme


@pytest.mark.parametrize("width", [1440, 900, 390])
def test_no_view_is_wider_than_the_window_and_both_schemes_are_laid_out_alike(admin, width):
    """The places of the parts, from left to right; pictures.py is for the eye."""
    parts = "return [...document.querySelectorAll('nav, main, section, table, button')].map((e) => e.getBoundingClientRect())" \
            ".map((r) => [Math.round(r.left), Math.round(r.width)])"
    admin.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                 {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})

    def shown(where, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        admin.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert admin.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), (where, scheme)
        return admin.driver.execute_script(parts), admin.driver.get_screenshot_as_png()

    def alike(where):  # once all that a view reads has come
        light, dark = shown(where, "light"), shown(where, "dark")
        return light[0] == dark[0] and light[1] != dark[1]

    try:
        for where, sees in VIEWS:
            admin.go(where, sees)
            admin.until(lambda where=where: alike(where), where)
    finally:
        admin.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        admin.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_ten_thousand_rows_are_scrolled_with_few_in_the_document(admin):
    admin.go("evaluations", "Submitted")
    scroll = "const l = document.querySelector('.list'); l.scrollTop = l.scrollHeight; return l.querySelectorAll('.list-row').length"
    oldest = filled.identifier(1)

    def at_the_end():
        assert admin.driver.execute_script(scroll) < 100
        return admin.driver.find_elements("css selector", f".list-row[href$='{oldest}']")

    admin.until(at_the_end, "the oldest evaluation")


def test_filters_are_in_the_address(admin):
    admin.go("evaluations?user=bob&state=queued", "Submitted")
    admin.find(".list-row")
    rows = admin.driver.find_elements("css selector", ".list-row")
    assert len(rows) == 1 and MADE["queued"] in rows[0].get_attribute("href")
    assert admin.find("[name=user]").get_attribute("value") == "bob"


def test_search_and_order_are_in_the_address(admin):
    admin.go("evaluations?search=pretrain-8b&sort=created", "Submitted")
    rows = admin.until(lambda: len(found := admin.driver.find_elements("css selector", ".list-row")) == 7 and found, "the seven")
    shown = admin.driver.execute_script("return [...document.querySelectorAll('.list-row')].sort((a, b) => parseFloat(a.style.top) -"
                                        " parseFloat(b.style.top)).map((row) => row.getAttribute('href').slice(-16))")
    assert len(rows) == 7 and shown == [filled.identifier(filled.COUNT + 1 + i) for i in range(7)]
    admin.find("[name=search]").send_keys(" no-such-word")
    admin.find("#filters").submit()
    admin.sees("None is like that")
    assert "no-such-word" in admin.driver.current_url


def test_overview_counts_what_the_service_counts(admin, daemon):
    counts = {row["state"]: row["jobs"] for row in daemon.client("root-of-all").get("/v1/summary").json()["items"]}
    admin.go("", "GPU hours this week")
    assert admin.find(".figures a b").text == str(counts["running"])


def test_campaign_has_its_values_and_a_curve_has_a_point_for_each_score(admin):
    admin.go(f"campaigns/{MADE['campaign']}", "9 values")
    assert "7 succeeded" in admin.text() and "2 waiting" in admin.text()
    points = [{"step": step, "value": step / 10000, "ci95": [step / 10000 - 0.02, step / 10000 + 0.02], "evaluation": "0" * 16,
               "regression": step == 3000} for step in (3000, 1000, 2000)]
    labels = admin.driver.execute_async_script(
        "const done = arguments[1]; import('/page/curve.js').then((m) => { const node = m.curve({task: 't', metric: 'acc', score: 'acc',"
        " points: arguments[0]}); done([...node.querySelectorAll('a')].map((a) => a.getAttribute('aria-label'))); })", points)
    assert labels == ["step 1,000: 0.1 (0.08 to 0.12)", "step 2,000: 0.2 (0.18 to 0.22)", "step 3,000: 0.3 (0.28 to 0.32), a regression"]


def test_campaign_of_values_without_a_number_has_its_scores_in_a_table(admin):
    admin.go(f"campaigns/{MADE['campaign']}", "9 values")
    points = [{"step": None, "value": value, "ci95": ci95, "evaluation": "0" * 16, "parameter_value": name}
              for name, value, ci95 in (("/models/a", 0.75, [0.7, 0.8]), ("/models/b", 0.5, None), ("/models/c", None, None))]
    cells = admin.driver.execute_async_script(
        "const done = arguments[1]; import('/page/curve.js').then((m) => { const one = {task: 't', metric: 'acc', score: 'acc',"
        " points: arguments[0]}; done([m.curve(one), [...m.unordered(one).querySelectorAll('td')].map((cell) => cell.textContent)]); })", points)
    assert cells == [None, ["/models/a", "0.75", "0.7 to 0.8", "/models/b", "0.5", "–"]]


def test_resolved_config_tells_what_nobody_wrote(admin):
    admin.go(f"evaluations/{MADE['running']}", "Resolved")
    admin.driver.find_element("xpath", "//button[.='Resolved']").click()
    admin.sees("Softer: what neither the config nor an override says.")
    log = admin.driver.find_element("css selector", "pre.log")
    assert log.get_attribute("textContent") == """{
  "x": 1.0,
  "y": {
    "a": 9007199254740993,
    "b": [
      3,
      1e-7,
      "\\"}, {ä"
    ],
    "20": {},
    "3": []
  }
}"""
    soft = "".join(e.get_attribute("textContent") for e in log.find_elements("css selector", ".soft"))
    assert '"b"' in soft and "1e-7" in soft and '"20"' in soft and '"x"' not in soft and '"a"' not in soft


def test_keyboard_reaches_everything_and_shows_where_it_is(admin):
    """By tabs alone: from the address bar into the navigation and on to a link of the view."""
    from selenium.webdriver.common.keys import Keys
    admin.go("campaigns", "Parameter")
    admin.driver.execute_script("document.activeElement.blur(); getSelection().removeAllRanges(); document.body.tabIndex = -1; document.body.focus()")
    seen = []
    for _ in range(40):
        admin.driver.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(admin.driver.execute_script(
            "const e = document.activeElement, s = getComputedStyle(e); return [e.textContent.trim(), e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0]"))
        if seen[-1][0] == "pretrain-8b":
            break
    words = [text for text, _, _ in seen]
    assert words[0] == "To the content" and "Campaigns" in words and words[-1] == "pretrain-8b", words
    assert all(outlined for _, _, outlined in seen), seen
    admin.driver.switch_to.active_element.send_keys(Keys.ENTER)
    admin.sees("9 values")


def test_zoomed_to_200_percent_nothing_is_cut(admin):
    """A window of 1280 pixels at 200 % is 640 wide (WCAG 1.4.10 goes on to 320)."""
    admin.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 640, "height": 450, "deviceScaleFactor": 2, "mobile": False})
    try:
        for where, sees in VIEWS:
            admin.go(where, sees)
            assert admin.driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), where
    finally:
        admin.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_prints_without_the_navigation_and_dark_on_white(admin):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    admin.go(f"evaluations/{MADE['failed']}", "3 jobs")
    admin.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    try:
        shown = admin.driver.execute_script(
            "const style = (css) => getComputedStyle(document.querySelector(css)); return [style('.side').display, style('main button').display,"
            " style('html').backgroundColor, style('html').color, style('.scroll').overflowX]")
    finally:
        admin.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert shown == ["none", "none", "rgb(255, 255, 255)", "rgb(27, 33, 48)", "visible"]


def test_rows_are_blocks_that_say_what_is_what_on_a_phone(admin):
    admin.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    try:
        for where, sees in VIEWS:
            admin.go(where, sees)
            assert admin.driver.execute_script("return [...document.querySelectorAll('.scroll')].every((s) => s.scrollWidth <= s.clientWidth)"), where
            names = admin.driver.execute_script("return [...document.querySelectorAll('.scroll td[data-label]')].map((td) => getComputedStyle(td, '::before').content)")
            assert all(len(name) > 2 for name in names), where
    finally:
        admin.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_comparison_fits_a_tablet(admin):
    admin.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 900, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    try:
        admin.go(f"compare?a=model:{filled.MODELS[0]}&b=model:{filled.MODELS[1]}", "Is B better?")
        assert admin.driver.execute_script("const s = document.querySelector('.scroll'); return s.scrollWidth <= s.clientWidth")
    finally:
        admin.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize(("text", "shown"), [
    ("plain", [["", "plain"]]),
    ("\x1b[31mred\x1b[0m end", [["a31", "red"], ["", " end"]]),
    ("\x1b[1;32mok\x1b[39m bold", [["a1 a32", "ok"], ["a1", " bold"]]),
    ("\x1b[38;5;31mother\x1b[m", [["", "other"]]),
    ("\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07", [["", "link"]]),
    ("\x1b[2K\x1b[1A\x00x", [["", "x"]]),
    (filled.HOSTILE, [["", filled.HOSTILE]]),
])
def test_log_lines_have_colours_and_no_markup(admin, text, shown):
    pieces = admin.driver.execute_async_script(
        "const done = arguments[1]; import('/page/ansi.js').then((m) => done(m.line(arguments[0], new Set())"
        ".map((n) => (typeof n === 'string' ? ['', n] : [n.className, n.textContent]))))", text)
    assert pieces == shown


def test_submit_shows_errors_at_their_line_then_what_would_be_done_then_does_it(browser, daemon):
    browser.sign_in(daemon.tokens["ann"])
    browser.go("submit", "Overrides, one a line")
    write = "const a = document.getElementById('config'); a.value = arguments[0]; a.dispatchEvent(new Event('input'))"
    browser.driver.execute_script(write, CONFIG.replace("simple_evals.mmlu_pro", "no.such_task"))
    browser.click("Dry run")
    line = next(i for i, text in enumerate(CONFIG.splitlines(), 1) if "simple_evals" in text)
    browser.sees(f"Line {line}")
    assert browser.find(".editor .lines .bad").text == str(line)
    browser.driver.execute_script(write, CONFIG)
    browser.click("Dry run")
    browser.sees("Nothing was submitted: 2 jobs would be")
    browser.click("Submit", "button")
    browser.until(lambda: "#/evaluations/" in browser.driver.current_url, "the evaluation's view")
    browser.click("Cancel")
    browser.click("Cancel it")
    browser.until(lambda: "cancelled" in browser.find("h1 + .row .state").text, "the cancelled state")


def test_page_goes_on_after_the_daemon_was_killed(admin, daemon):
    admin.go(f"evaluations/{MADE['queued']}", "2 jobs")
    daemon.process.kill()
    daemon.process.wait()
    admin.until(lambda: admin.find("#link-state").text == "reconnecting", "reconnecting")
    daemon.start()
    daemon.client("root-of-all").post(f"/v1/evaluations/{MADE['queued']}/cancel")
    admin.until(lambda: admin.find("#link-state").text == "live", "live")
    admin.until(lambda: "cancelled" in admin.find("h1 + .row .state").text, "what happened meanwhile")


def test_nothing_was_refused_by_the_policy_and_no_script_failed(driver):
    bad = [e["message"] for e in driver.get_log("browser") if "Content Security Policy" in e["message"] or "Uncaught" in e["message"]]
    assert bad == []
