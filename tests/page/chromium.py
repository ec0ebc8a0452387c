"""Chromium, headless, and what a person does in it."""

import os

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

LONG_S = int(os.environ.get("NEL_PAGE_WAIT_S", "240"))


class Browser:
    def __init__(self, driver, base):
        self.driver = driver
        self.base = base

    def until(self, condition, what):
        """The page may draw an element anew between its being found and used."""
        try:
            return WebDriverWait(self.driver, LONG_S, ignored_exceptions=[StaleElementReferenceException]).until(lambda _: condition())
        except TimeoutException:
            said = [entry["message"] for entry in self.driver.get_log("browser")][-20:]
            raise AssertionError(f"{what} did not come; {self.driver.current_url} shows {self.text()!r}; the console: {said}") from None

    def find(self, css):
        return self.until(lambda: next(iter(self.driver.find_elements(By.CSS_SELECTOR, css)), None), css)

    def text(self):
        return self.driver.execute_script("return document.body?.innerText ?? ''")

    def sees(self, words):
        self.until(lambda: words in self.text(), repr(words))

    def click(self, words, css="button, a"):
        def clicked():
            found = next((e for e in self.driver.find_elements(By.CSS_SELECTOR, css)
                          if e.text.strip() == words and e.is_displayed()), None)
            if found is not None:
                self.driver.execute_script("arguments[0].click()", found)
            return found is not None
        self.until(clicked, words)

    def sign_in(self, token):
        self.driver.get(self.base + "/")
        self.driver.delete_all_cookies()
        self.driver.get(self.base + "/v1/whoami")
        self.driver.delete_all_cookies()
        self.driver.get(self.base + "/")
        self.find("#token").send_keys(token)
        self.click("Sign in")
        self.find("#link-state")

    def go(self, where, sees):
        """Shows a view, and waits for words in it: what stood there before does not count."""
        self.driver.execute_script("document.querySelector('main').replaceChildren(); location.hash = arguments[0];"
                                   " dispatchEvent(new HashChangeEvent('hashchange'))", "#/" + where)
        self.until(lambda: sees in self.driver.execute_script("return document.querySelector('main').innerText"), repr(sees))


def chromium(width=1280, scheme="light", records_requests=False):
    options = Options()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},900",
                 "--disable-background-networking", "--no-first-run", "--disable-component-update"):
        options.add_argument(word)
    if scheme == "dark":
        options.add_argument("--force-dark-mode")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", **({"performance": "ALL"} if records_requests else {})})
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_script_timeout(LONG_S)
    return driver
