#!/usr/bin/python3
"""Takes a picture of each view at three widths in both schemes, for people to look at. usage: pictures.py FOLDER [view...]

README.md shows running-1440-light.png, as tests/page/evaluation.png."""

import sys
import tempfile
from pathlib import Path

import conftest
from chromium import Browser, chromium
import filled

WIDTHS = (1440, 900, 390)


def views():
    made = filled.newest(200)
    return {"overview": ("", "Newest"), "evaluations": ("evaluations", "Submitted"), "running": (f"evaluations/{made['running']}", "jobs"),
            "failed": (f"evaluations/{made['failed']}", "jobs"), "hostile": (f"evaluations/{made['hostile']}", "job"),
            "campaigns": ("campaigns", "Parameter"), "campaign": (f"campaigns/{made['campaign']}", "Scores over"),
            "compare": (f"compare?a=model:{filled.MODELS[0]}&b=model:{filled.MODELS[1]}", "Is B better"),
            "results": (f"results?baseline={filled.MODELS[0]}", "Baseline"), "submit": ("submit", "Overrides"),
            "clusters": ("clusters", "Sessions"), "me": ("me", "Secrets"), "admin": ("admin", "Audit")}


def main(folder, wanted):
    folder.mkdir(parents=True, exist_ok=True)
    daemon = conftest.Daemon(Path(tempfile.mkdtemp()))
    daemon.prepare()
    filled.fill(daemon.database, 200)
    daemon.start()
    try:
        for scheme in ("light", "dark"):
            driver = chromium(1440, scheme)
            try:
                browser = Browser(driver, daemon.base)
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
                browser.sign_in(daemon.tokens["root-of-all"])
                for name, (where, sees) in views().items():
                    if wanted and name not in wanted:
                        continue
                    browser.driver.execute_script("location.hash = arguments[0]", "#/" + where)
                    browser.until(lambda s=sees: s.lower() in browser.text().lower() or name == "evaluations", sees)
                    driver.execute_script("return new Promise((go) => setTimeout(go, 400))")
                    for width in WIDTHS:
                        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500})
                        driver.execute_script("return new Promise((go) => setTimeout(go, 150))")
                        driver.save_screenshot(str(folder / f"{name}-{width}-{scheme}.png"))
                        wide = driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
                        if wide > 0:
                            print(f"{name} at {width}: {wide} pixels too wide")
                for entry in driver.get_log("browser"):
                    print(entry["level"], entry["message"])
            finally:
                driver.quit()
    finally:
        daemon.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
