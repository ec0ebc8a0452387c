"""examples/quickstart goes from a clone to scores."""

import re

TIMEOUT_S = 600  # it builds, beside other tests


def test_quickstart_without_arguments_prints_scores_and_cleans_up(quickstart):
    status, text = quickstart.wait(TIMEOUT_S)
    assert status == 0, text[-4000:]
    assert re.search(r"TASK +METRIC +SCORE +VALUE +SAMPLES", text), text[-4000:]
    for task in ("hellaswag", "arc_challenge", "winogrande"):
        assert re.search(rf"^ *{task} +acc +acc +0\.75 +20$", text, re.M), text[-4000:]
    assert re.search(r"^ +export NEL_URL=http://127\.0\.0\.1:\d+ NEL_TOKEN=nel_\w+$", text, re.M), text[-4000:]
    assert re.search(r"^ +examples/nelctl status [0-9a-f]{16}$", text, re.M), text[-4000:]
