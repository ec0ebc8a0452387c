"""Ways into the page beside a token of the service: one of an issuer, and a proxy that says who somebody is."""

import base64
import shutil
import tempfile
from pathlib import Path

import pytest
from chromium import Browser
from conftest_of_api import Daemon, of_api, wait_until
from issuer import Issuer, Key

OIDC = """\
oidc:
  issuer: {url}
  audience: [nel-slurmd]
  client_id: nelctl
  user_claim: preferred_username
  users: existing
  roles: {{claim: groups, admin: [nel-admins], user: [evals]}}
"""


def started(folder, more):
    one = Daemon(folder, more=more)
    one.prepare()
    one.start()
    return one


@pytest.fixture(scope="module")
def issuer():
    one = Issuer("/realms/team")
    one.keys = [Key("p256", "P-256")]
    yield one
    one.stop()


@pytest.fixture(scope="module")
def oidc(issuer, tmp_path_factory):
    one = started(tmp_path_factory.mktemp("oidc"), OIDC.format(url=issuer.url))
    wait_until(lambda: "the issuer's keys are known" in one.log(), what="the keys")
    yield one
    one.stop()


@pytest.fixture
def unanswered(driver):
    """Blocks requests as if the service were away, and lets them pass again with no names."""
    def block(*urls):
        driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": list(urls)})

    driver.get("about:blank")
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    yield block
    block()
    driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})
    driver.execute_cdp_cmd("Network.disable", {})
    driver.get("about:blank")


def test_a_service_that_does_not_answer_when_the_page_opens_is_asked_again(browser, unanswered):
    unanswered("*/v1/whoami")
    browser.driver.get(browser.base + "/")
    browser.sees("The service is asked again")
    unanswered()
    browser.find("#token, #link-state")  # whoever is signed in by another test still is
    assert "The service is asked again" not in browser.text()


@pytest.mark.parametrize("away", ["*/v1/whoami", "*/v1/session"])
def test_a_link_is_not_lost_when_the_service_does_not_answer(browser, daemon, unanswered, away):
    made = daemon.client("bob").post("/v1/session/codes", 201).json()
    browser.driver.get(browser.base + "/v1/whoami")
    browser.driver.delete_all_cookies()
    browser.driver.get("about:blank")
    unanswered(away)
    browser.driver.get(daemon.base + made["path"])
    browser.sees("The service is asked again")
    assert browser.driver.current_url == daemon.base + "/#/"
    unanswered()
    browser.sees("bob · user")


def test_token_of_the_issuer_signs_in_and_is_kept_nowhere(driver, oidc, issuer):
    browser = Browser(driver, oidc.base)
    token = issuer.token(issuer.keys[0], "ES256")
    driver.get("about:blank")
    driver.get(oidc.base + "/v1/whoami")
    driver.delete_all_cookies()
    driver.get(oidc.base + "/")
    browser.sees(f"People of {issuer.url} may sign in")
    browser.find("#token").send_keys(issuer.token(issuer.keys[0], "ES256", exp=1000))
    browser.click("Sign in")
    browser.sees("expired at 1970-01-01T00:16:40Z")
    browser.find("#token").clear()
    browser.find("#token").send_keys(token)
    browser.click("Sign in")
    browser.sees("ann · user")
    kept = driver.execute_script("return [location.href, document.cookie, JSON.stringify({...localStorage}),"
                                 " JSON.stringify({...sessionStorage}), document.documentElement.outerHTML].join(' ')")
    assert token not in kept
    browser.go("submit", "Overrides, one a line")
    browser.click("Sign out")
    browser.sees("Sign in to nel-slurmd")


@pytest.fixture
def behind_nginx():
    """The example of nginx with a login of its own, over the socket of a daemon that believes it."""
    if not (shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")):
        pytest.skip("nginx is not there")
    folder = Path(tempfile.mkdtemp(prefix="nel-page-", dir="/tmp"))
    folder.chmod(0o755)  # www-data enters it
    daemon = started(folder, 'socket_mode: "0666"\ntrusted_proxy: {accounts: [www-data], user_header: X-Remote-User}\n')
    nginx = of_api("test_nginx").Nginx(folder, daemon.socket, login=True)
    yield nginx
    nginx.stop()
    daemon.stop()
    shutil.rmtree(folder)


def test_proxy_names_the_user_below_its_path(driver, behind_nginx):
    """No token is asked for, and there is no button to sign out."""
    login = base64.b64encode(b"ann:secret").decode()
    browser = Browser(driver, f"https://localhost:{behind_nginx.port}/nel")
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Authorization": f"Basic {login}"}})
        driver.get(browser.base + "/")
        browser.sees("ann · user")
        browser.until(lambda: browser.find("#link-state").text == "live", "live")
        browser.go("clusters", "alpha.example")
        assert "Sign out" not in browser.text()
    finally:
        driver.get("about:blank")
        driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})


@pytest.mark.parametrize("part", ["log.js", "main.js", "parts.css"])
def test_a_part_of_the_page_that_does_not_come_is_loaded_again(driver, daemon, unanswered, part):
    browser = Browser(driver, daemon.base)
    driver.get(daemon.base + "/")
    driver.delete_all_cookies()
    unanswered(f"*/page/{part}")
    driver.get(daemon.base + "/")
    if part.endswith(".js"):
        browser.sees("A part of this page has not come")
    else:  # the scripts go on without it
        browser.find("#token")
    # The rules of one that has not come cannot be read.
    has_styles = ("return [...document.styleSheets].some((sheet) => { try { return sheet.href.endsWith('/parts.css')"
                  " && sheet.cssRules.length > 0; } catch { return false; } })")
    assert driver.execute_script(has_styles) == part.endswith(".js")
    unanswered()
    browser.until(lambda: driver.execute_script(has_styles), "the styles")
    browser.find("#token")
