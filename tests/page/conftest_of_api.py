"""The black-box tests' conftest under a name of its own: two files of one name cannot be imported."""

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("api_conftest", Path(__file__).resolve().parents[1] / "api/conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


def of_api(name):
    """A module of the black-box tests that imports from their conftest."""
    here = sys.modules.get("conftest")
    sys.modules["conftest"] = _module
    try:
        return importlib.import_module(name)
    finally:
        sys.modules["conftest"] = here


Daemon = _module.Daemon
Sshd = _module.Sshd
CONFIG = _module.CONFIG
wait_until = _module.wait_until
