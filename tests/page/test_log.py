"""A job's log in Chromium, read by a real sshd: before there is one, over attempts, and over the daemon's end."""

import pytest
from chromium import Browser
from conftest_of_api import Daemon, Sshd, of_api

LINES = "return [...document.querySelectorAll('.log > div')].map((line) => line.textContent)"
SHOWN = "return [...document.querySelectorAll('.log > div:not(.off)')].map((line) => line.textContent)"


@pytest.fixture(scope="module")
def near(tmp_path_factory):
    """A daemon whose cluster beta answers."""
    folder = tmp_path_factory.mktemp("log")
    sshd = Sshd(folder)
    daemon = Daemon(folder, sshd.port)
    daemon.prepare()
    daemon.start()
    yield daemon
    daemon.stop()
    sshd.stop()


@pytest.fixture
def job(near, tmp_path):
    return of_api("test_follow").Job(near, tmp_path)


@pytest.fixture
def page(driver, near, job):
    browser = Browser(driver, near.base)
    browser.sign_in(near.tokens["ann"])
    browser.go(f"evaluations/{job.id.split('.')[0]}", "2 jobs")
    return browser


def lines(page, wanted, script=LINES):
    page.until(lambda: page.driver.execute_script(script) == wanted, wanted)


def test_a_log_that_is_not_there_yet_comes_by_itself(page, job):
    job.logs.rmdir()
    page.click("Log")
    page.sees("Nothing has come yet.")
    job.attempt(1, "71")
    job.logs.mkdir()
    (job.logs / "client-71.log").write_text("the first line\n")
    lines(page, ["attempt 1: client-71.log", "the first line"])
    page.until(lambda: any(o.text.startswith("client-71.log (15 B)") for o in page.driver.find_elements("css selector", ".log-file option")),
               "the file in the choice")


def test_a_line_without_an_end_is_seen_and_stays_as_the_next_attempt_begins(page, job):
    job.attempt(1, "81")
    first = job.logs / "client-81.log"
    first.write_text("one\r\n10 %\r20 %\r30 %")
    page.click("Log")
    lines(page, ["attempt 1: client-81.log", "one\r", "30 %"])
    with first.open("a") as file:
        file.write("\rkilled in the mid")
    lines(page, ["attempt 1: client-81.log", "one\r", "killed in the mid"])
    (job.logs / "client-82.log").write_text("two\nthe end")
    job.attempt(2, "82")
    both = ["one\r", "killed in the mid", "attempt 2: client-82.log", "two", "the end"]
    lines(page, ["attempt 1: client-81.log", *both])
    page.until(lambda: [o.click() for o in page.driver.find_elements("css selector", ".log-file option") if o.text == "all 2 attempts"],
               "the choice of all attempts")
    lines(page, ["client-81.log", *both])
    page.find(".log-search").send_keys("The")
    lines(page, ["killed in the mid", "the end"], SHOWN)
    page.sees("2 lines")
    with (job.logs / "client-82.log").open("a") as file:
        file.write(" of it all\nmore\nthe last\n")
    lines(page, ["killed in the mid", "the end of it all", "the last"], SHOWN)
    page.sees("3 lines")
    job.end()
    page.sees("ended")


def test_a_log_goes_on_after_the_daemon_was_killed(page, near, job):
    job.attempt(1, "91")
    file = job.logs / "client-91.log"
    file.write_text("before, ")
    page.click("Log")
    lines(page, ["attempt 1: client-91.log", "before, "])
    near.process.kill()
    near.process.wait()
    page.sees("it is asked for every 3 s")
    file.write_text("before, and after\nmore\n")
    near.start()
    lines(page, ["attempt 1: client-91.log", "before, and after", "more"])


def test_files_are_listed_and_downloaded(page, job):
    artifacts = job.logs.parent / "artifacts"
    artifacts.mkdir()
    page.click("Files")
    page.sees("No file yet")
    (artifacts / "deep").mkdir()
    (artifacts / "deep/odd name+%#?.txt").write_text("what it wrote")
    page.click("Files")
    link = page.find("[aria-label=Files] a[download]")
    assert (link.text, link.get_attribute("download")) == ("deep/odd name+%#?.txt", "odd name+%#?.txt")
    assert "13 B" in page.find("[aria-label=Files] tbody tr").text
    read = "const done = arguments[1]; fetch(arguments[0]).then((reply) => reply.text()).then(done, String)"
    assert page.driver.execute_async_script(read, link.get_attribute("href")) == "what it wrote"
