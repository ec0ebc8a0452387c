"""What the page asks for, and of whom: of the daemon alone, as the policy says that comes with it."""

import json
from urllib.parse import urlsplit

import pytest
import requests
from chromium import Browser, chromium
from test_page import MADE, VIEWS

OPENED = {f"evaluations/{MADE['running']}": ("Config", "Resolved", "Log", "Files", "run.sub"), "clusters": ("Preflight",)}


@pytest.fixture(scope="module")
def watched():
    """A browser that records each request, those that are refused before they leave it, too."""
    one = chromium(records_requests=True)
    yield one
    one.quit()


def addresses(driver):
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    found = {"Network.requestWillBeSent": lambda it: it["request"]["url"], "Network.webSocketCreated": lambda it: it["url"]}
    return {found[message["method"]](message["params"]) for message in messages if message["method"] in found}


def test_every_request_of_every_view_is_to_the_daemon(watched, daemon):
    browser = Browser(watched, daemon.base)
    browser.sign_in(daemon.tokens["root-of-all"])
    asked = set()
    for where, sees in VIEWS:
        browser.go(where, sees)
        for button in OPENED.get(where, ()):
            browser.click(button)
            browser.until(lambda: "Reading …" not in browser.text() and "Asking the cluster …" not in browser.text(), button)
        asked |= addresses(watched)
    browser.click("Sign out")
    browser.sees("Sign in to nel-slurmd")
    asked |= addresses(watched)
    refused = [entry["message"] for entry in watched.get_log("browser") if "Content Security Policy" in entry["message"]]
    assert refused == []  # what the policy refuses is no request
    others = {url for url in asked if not url.startswith(daemon.base + "/")}
    assert others <= {"about:blank"}
    paths = {urlsplit(url).path for url in asked}
    assert {"/", "/page/main.js", "/page/base.css", "/page/icon.svg", "/v1/session", "/v1/events", "/v1/compare", "/v1/audit"} <= paths


def directives(policy):
    return {words[0]: set(words[1:]) for part in policy.split(";") if (words := part.split())}


@pytest.mark.parametrize("path", ["/", "/page/index.html", "/page/main.js", "/page/base.css", "/page/icon.svg"])
def test_policy_lets_in_nothing_inline_and_no_other_host(daemon, path):
    reply = requests.get(daemon.base + path, timeout=60)
    assert reply.status_code == 200
    policy = directives(reply.headers["Content-Security-Policy"])
    assert policy["default-src"] == {"'none'"}  # what is not named below is not loaded at all
    for name in ("script-src", "style-src", "img-src", "connect-src"):
        assert policy.pop(name) == {"'self'"}, name
    assert all(sources == {"'none'"} for sources in policy.values()), policy
    assert {"base-uri", "form-action", "frame-ancestors"} <= policy.keys()  # these do not fall back to default-src


@pytest.mark.parametrize(("what", "script"), [
    ("an inline script", "const s = document.createElement('script'); s.textContent = 'window.hurt = 1'; document.body.append(s)"),
    ("an attribute's script", "document.body.insertAdjacentHTML('beforeend', '<img src=page/no onerror=\"window.hurt = 1\">')"),
    ("a style attribute", "document.body.insertAdjacentHTML('beforeend', '<i id=styled style=\"position: fixed\">x</i>');"
                          " if (getComputedStyle(document.getElementById('styled')).position === 'fixed') window.hurt = 1"),
    ("a script of elsewhere", "const s = document.createElement('script'); s.src = 'data:text/javascript,window.hurt=1'; document.body.append(s)"),
    ("eval", "setTimeout('window.hurt = 1')"),
    ("a picture of elsewhere", "const i = new Image(); i.onload = () => { window.hurt = 1 }; i.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='"),
    ("a frame", "const f = document.createElement('iframe'); f.srcdoc = '<script>parent.hurt = 1</script>'; document.body.append(f)"),
])
def test_browser_holds_to_the_policy(watched, daemon, what, script):
    """Were markup ever made of a text, it would still do nothing."""
    browser = Browser(watched, daemon.base)
    browser.sign_in(daemon.tokens["ann"])
    watched.execute_script(script)
    assert watched.execute_async_script("setTimeout(() => arguments[0](window.hurt), 300)") is None, what
