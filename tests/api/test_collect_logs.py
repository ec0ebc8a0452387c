"""What a collection announces of a log is what it sends, whatever becomes of the file meanwhile."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# find has seen the file as it was; what is opened is the file as it has become.
PRINT = """
NEL_KEEP_BYTES=4096 NEL_KEEP_TOTAL=10000 logs_max=10
source <(sed -n '/^print_logs()/,/^}/p' "$1")
find() { printf '2|%s|b.log\\n1|5|a.log\\n' "$found"; }
open_beneath() { exec 8<"$1/$2"; }
found=$2
print_logs
"""


@pytest.mark.parametrize("found, left, sent", [
    (10, b"0123456789", b"0123456789"),
    (5000, b"x" * 5000, b"x" * 4096),
    (5000, b"", b"\0" * 4096),  # it was emptied
    (5000, b"y" * 1000, b"y" * 96 + b"\0" * 4000),  # and has something again
    (10, b"z" * 9000, b"z" * 10),  # it has grown
], ids=["as found", "its end", "emptied", "emptied and begun anew", "grown"])
def test_log_that_shrinks_or_grows_is_sent_with_the_size_that_was_announced(tmp_path, found, left, sent):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/b.log").write_bytes(left)
    (tmp_path / "logs/a.log").write_bytes(b"after")
    done = subprocess.run(["bash", "-c", PRINT, "bash", ROOT / "daemon/slurm/script/remote_collect.sh", str(found)], cwd=tmp_path,
                          capture_output=True, timeout=30)
    head, rest = done.stdout.split(b"\n", 1)
    assert head.decode() == f"kept|{len(sent)}|{found}|2|{found - len(sent)}|b.log"
    assert rest == sent + b"\nkept|5|5|1|0|a.log\nafter\n"
