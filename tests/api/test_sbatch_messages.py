"""What every message of Slurm means for a submission: refused for good, waited out, tried again, or perhaps taken all the same."""

import ctypes
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "daemon/slurm/script"
TABLE = [line.split("\t") for line in (ROOT / "tests/golden/sbatch_messages.tsv").read_text().splitlines() if line[0] != "#"]
LIBRARY = "/usr/lib/x86_64-linux-gnu/slurm-wlm/libslurmfull.so"  # what Slurm's own commands have
OUTCOMES = {"refused", "passing", "retry", "in_doubt", "limit", "untold", "-"}

CLASSIFY = """
source <(sed -n '/^is_away()/,/^}/p' "$1")
source <(sed -n '/^classify()/,/^}/p; /^does_not_take()/,/^}/p' "$2")
while IFS= read -r -d '' message; do
    classify "$3" "$message"
    echo
done
"""


def classify(messages, status=1):
    done = subprocess.run(["bash", "-c", CLASSIFY, "bash", SCRIPTS / "remote_common.sh", SCRIPTS / "remote_submit.sh", str(status)],
                          input="".join(message + "\0" for message in messages), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("form", ["sbatch: error: Batch job submission failed: %s", "sbatch: error: slurm_submit_batch_job: %s"])
def test_every_message_of_slurm_means_what_the_table_says(form):
    wanted = {message: outcome for outcome, message in TABLE if outcome != "-"}
    told = dict(zip(wanted, classify(form % message for message in wanted)))
    assert {message: (told[message], wanted[message]) for message in wanted if told[message] != wanted[message]} == {}


def test_the_table_has_every_message_of_the_slurm_that_is_installed():
    slurm = ctypes.CDLL(LIBRARY)
    slurm.slurm_strerror.restype = ctypes.c_char_p
    texts = {slurm.slurm_strerror(number).decode() for number in range(1000, 9000)}
    known = {message for _, message in TABLE}
    assert {text for text in texts if not text.startswith("Unknown error")} - known == set()
    assert {outcome for outcome, _ in TABLE} == OUTCOMES
    assert len(known) == len(TABLE)


def test_what_may_have_reached_slurmctld_is_never_sent_again_unasked():
    lost = ["(send failure)", "(receive failure)", "(shutdown failure)"]
    assert classify(f"sbatch: error: Batch job submission failed: Unable to contact slurm controller {part}" for part in lost) == ["in_doubt"] * 3
    assert classify(["sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"]) == ["retry"]


def test_an_option_that_sbatch_does_not_take_is_refused_and_a_lost_connection_is_not():
    """exit(-1): sbatch's own, before it asks anybody; ssh of a site's wrapper ends so, too, when its connection is lost."""
    assert classify(["sbatch: unrecognized option '--nosuchflag=zz'\nTry \"sbatch --help\" for more information",
                     "sbatch: error: Invalid --mail-type specification",
                     "Invalid time specification (pos=0): foo\nsbatch: error: Invalid --begin specification",
                     "sbatch: error: \"x\" is not a valid node count"], 255) == ["refused"] * 4
    assert classify(["Timeout, server login2 not responding.", "client_loop: send disconnect", "",
                     "sbatch: error: Batch job submission failed: Unspecified error",
                     "sbatch: error: _slurm_submit_batch_job: nothing known"], 255) == ["in_doubt"] * 5
    # What a site's plugin says after the job was taken, and then the connection is lost.
    told = "sbatch: lua: this job costs 12 credits"
    assert classify([told, f"{told}\nConnection to slurm1 closed by remote host.", "sbatch: error: Invalid --mem specification\nkex_exchange: ",
                     "sbatch: error: slurm_receive_msg: No error", "sbatch: warning: can't run 1 processes\nTimeout, server not responding."],
                    255) == ["in_doubt"] * 5
    assert classify(["sbatch: error: Invalid --mem specification"], 254) == ["in_doubt"]
    assert classify(["sbatch: error: something"], 139) == ["in_doubt"]
