"""Chromium against a real daemon whose store is filled; fixtures of the black-box tests' own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "api"))
import filled  # noqa: E402
from chromium import Browser, chromium  # noqa: E402
from conftest_of_api import Daemon  # noqa: E402

@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    running = Daemon(tmp_path_factory.mktemp("page"))
    running.prepare()
    filled.fill(running.database)
    running.start()
    yield running
    if running.process is not None:
        running.stop()


@pytest.fixture(scope="session")
def driver():
    one = chromium()
    yield one
    one.quit()


@pytest.fixture
def browser(driver, daemon):
    return Browser(driver, daemon.base)
