"""Plays `python3 -m sglang.launch_server --model-path M --port N ...`; see nel_test_server.py."""
import sys

import nel_test_server as server

_, options = server.options_of(sys.argv[1:])
model = server.first(options, "model-path")
if model is None:
    sys.exit("launch_server.py: error: the following arguments are required: --model-path")
server.serve("sglang", server.first(options, "host", "127.0.0.1"), int(server.first(options, "port", 30000)),
             options.get("served-model-name") or [model], server.first(options, "api-key"))
