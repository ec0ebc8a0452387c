#!/bin/bash
# Plays a NIM's start script; settings come from the environment, as in NIM. See nel_test_server.py.
exec python3 - <<'END'
import os
import sys
sys.path.insert(0, "/opt/nel-test/python")
import nel_test_server as server
names = os.environ.get("NIM_SERVED_MODEL_NAME") or os.environ.get("NIM_MODEL_NAME") or "meta/llama-3.1-8b-instruct"
server.serve("nim", "0.0.0.0", int(os.environ.get("NIM_SERVER_PORT") or 8000), names.split(","))
END
