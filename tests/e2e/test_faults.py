"""A sample of the faults of tests/sim, each scenario on a simulated Slurm of its own behind a real sshd; several at once,
since most of their time is waiting. tests/sim/faults tries far more."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/sim"))

from scenarios import FULL_ONLY, SCENARIOS  # noqa: E402

BINARY = os.environ.get("NEL_BIN", ROOT / "build/debug/nel-slurmd")
AT_ONCE = 8


@pytest.fixture(scope="module")
def begun(request):
    """The scenarios that were asked for, under way."""
    wanted = [item.callspec.params["name"] for item in request.session.items if item.function.__name__ == TEST]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(SCENARIOS[name], BINARY, False) for name in wanted}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in FULL_ONLY])
def test_fault_of_this_kind_everything_happens_exactly_once(begun, name):
    assert begun[name].result() > 0


TEST = test_fault_of_this_kind_everything_happens_exactly_once.__name__
