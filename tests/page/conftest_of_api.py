"""The black-box tests' conftest under a name of its own: two files of one name cannot be imported."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("api_conftest", Path(__file__).resolve().parents[1] / "api/conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Daemon = _module.Daemon
CONFIG = _module.CONFIG
wait_until = _module.wait_until
