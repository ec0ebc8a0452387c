"""The clusters' view: the queue's front behind thousands of ended jobs, and what it shows when something cannot be read."""

import filled
import pytest
from chromium import Browser
from conftest_of_api import CONFIG, Daemon, wait_until

ENDED = 5200  # more than the API looks at for one page of another order than its own
WAITING = 230


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A daemon whose store has ended jobs, and whose people may have one job begun."""
    daemon = Daemon(tmp_path_factory.mktemp("clusters"))
    daemon.settings.write_text(daemon.settings.read_text().replace("active_jobs_per_user: 100000", "active_jobs_per_user: 1"))
    daemon.prepare()
    filled.fill(daemon.database, ENDED)
    daemon.start()
    head = CONFIG[:CONFIG.index("    - name:")]
    daemon.client("bob").submit(head + "    - name: lm-evaluation-harness.ifeval\n" * WAITING)
    yield daemon
    daemon.stop()


def placed(daemon):
    client, found, cursor = daemon.client("ann"), [], None
    while True:
        page = client.get("/v1/jobs", params={"state": "queued", "limit": 500, **({"cursor": cursor} if cursor else {})}).json()
        found += [(job["queue"]["position"], job["queue"]["of"]) for job in page["items"] if job["queue"] and job["queue"]["position"]]
        cursor = page["next"]
        if not cursor:
            return sorted(found)


def test_queue_is_shown_from_its_front(driver, crowded):
    places = [(place, WAITING - 1) for place in range(1, WAITING)]  # when bob's first has left it
    wait_until(lambda: placed(crowded) == places, "the queue")
    browser = Browser(driver, crowded.base)
    browser.sign_in(crowded.tokens["ann"])
    browser.go("clusters", "Sessions")
    rows = "return [...document.querySelectorAll('[aria-label=Queue] tbody tr td:first-child')].map((td) => td.textContent)"
    browser.until(lambda: browser.driver.execute_script(rows) == [f"{place} of {of}" for place, of in places[:20]], f"the places {places[:20]}")


def test_what_cannot_be_read_leaves_the_rest_shown(driver, crowded):
    browser = Browser(driver, crowded.base)
    browser.sign_in(crowded.tokens["ann"])
    driver.execute_cdp_cmd("Network.enable", {})

    def block(*paths):
        driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": [f"*/v1/{path}" for path in paths]})

    try:
        block("jobs*")
        browser.go("clusters", "The queue cannot be read now")
        assert "alpha.example" in browser.text() and "beta.example" in browser.text()
        block("clusters")
        browser.until(lambda: driver.find_elements("css selector", "[role=alert]") and "of 2" in browser.text(), "the problem beside the queue")
        assert "alpha.example" in browser.text() and "beta.example" in browser.text()
        browser.driver.execute_script("document.querySelector('main').replaceChildren(); dispatchEvent(new HashChangeEvent('hashchange'))")
        browser.until(lambda: driver.find_elements("css selector", "[role=alert]"), "the problem")
        assert "alpha.example" not in browser.text()
        block()
        browser.sees("alpha.example")
        browser.until(lambda: not driver.find_elements("css selector", "[role=alert]"), "no problem")
    finally:
        driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        driver.execute_cdp_cmd("Network.disable", {})
