"""What samples and watched directories come to, with a daemon that reads them over SSH.
registry.py says what a scenario is."""

import contextlib
import json
import sqlite3
import time
import zlib
from pathlib import Path

from registry import scenario
from world import ENDS, Wrong, until, world

# Of each kind of file of samples, with texts that stand nowhere else.
ASKED, ANSWERED, WANTED = "How many quinces has Zebulon?", "Zebulon has eleven quinces", "eleven-quinces"
SAMPLES = {
    "m/samples_ifeval_2026.jsonl": [
        {"doc_id": i, "doc": {"question": f"{ASKED} {i}"}, "target": WANTED, "arguments": {"gen_args_0": {"arg_0": ASKED}},
         "resps": [[ANSWERED]], "filtered_resps": [ANSWERED], "filter": "none", "metrics": ["acc"], "doc_hash": f"{i:08x}",
         "acc": i % 2} for i in range(50)],
    "byob_predictions.jsonl": [
        {"sample_id": i, "prompt": f"{ASKED} {i}", "response": ANSWERED, "target": WANTED, "scores": {"acc": 1},
         "metadata": {"question": ASKED, "_repeat": 0}} for i in range(50)],
    "n5/results.jsonl": [
        {"problem_idx": i, "repeat": 0, "reward": 1.0, "model_response": ANSWERED, "extracted_answer": ANSWERED,
         "expected_answer": WANTED, "scoring_details": {"method": ASKED}, "metadata": {"prompt": ASKED}} for i in range(50)],
}


def write_samples(job_dir):
    for name, lines in SAMPLES.items():
        file = Path(job_dir, "artifacts", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))


@scenario
def no_text_of_samples_is_kept(binary, full):
    """What was asked and answered is read for its values alone: it is in no file of the daemon's, be it the store, its log of
    writes, or what is packed in it; and the daemon's log does not tell of it."""
    with world(binary) as made:
        made.sim.set(duration_s=3600)
        made.start()
        evaluation = made.post()
        made.await_state(evaluation, "running")
        [job] = made.running()
        write_samples(job["dir"])
        made.sim.ctl("end", job["id"], "COMPLETED")
        made.await_state(evaluation, "succeeded")
        until(lambda: made.get(f"/v1/jobs/{evaluation}.0/samples")["stored"]["samples"] == 150, 60, "150 samples")
        record = next(item for item in made.get(f"/v1/jobs/{evaluation}.0/samples?limit=500")["items"] if item["file"].startswith("m/"))["record"]
        if made.get(record)["resps"] != [[ANSWERED]]:  # read on the cluster, on request
            raise Wrong(f"not the record: {made.get(record)}")
        for state in ("while it runs", "after it has ended"):
            files = [path for path in Path(made.directory).glob("*") if path.name.startswith("nel.db") or path.name == "daemon.log"]
            with contextlib.closing(sqlite3.connect(made.database, timeout=60)) as store:
                [(packed,)] = store.execute("SELECT data FROM samples").fetchall()
            kept = {path.name: path.read_bytes() for path in files} | {"packed": zlib.decompress(packed[8:])}
            if b"byob_predictions.jsonl" not in kept["packed"] or evaluation.encode() not in b"".join(kept.values()):
                raise Wrong(f"looked at the wrong place: {list(kept)}")
            for name, content in kept.items():
                for text in (ASKED, ANSWERED, WANTED, "Zebulon", "quinces"):
                    if text.encode() in content:
                        raise Wrong(f"{text!r} is in {name}, {state}")
            if made.daemon.poll() is None:
                made.stop()
    return len(SAMPLES)


@scenario
def watches_of_one_cluster_share_their_looks(binary, full):
    """Directories of one cluster that campaigns watch are looked into by the observations of its jobs, and while no job lives by
    one command an interval, however many they are."""
    with world(binary) as made:
        made.sim.set(duration_s=3600)
        made.start()
        evaluation = made.post()
        made.await_state(evaluation, "running")
        campaigns = []
        for number in range(5):
            folder = Path(made.directory, f"checkpoints.{number}")
            folder.mkdir()
            folder.chmod(0o755)
            (folder / "step_1").mkdir()
            (folder / "step_1/index.json").write_text("{}")
            status, campaign = made.request("POST", "/v1/campaigns", {
                "name": "curve", "config": made.config(), "parameter": "target.api_endpoint.model_id", "watch": {
                    "cluster": "sim", "directory": str(folder), "pattern": "step_*", "ready": {"file": "index.json", "quiet_s": 3600}}})
            if status != 201:
                raise Wrong(f"no campaign: {status} {campaign}")
            campaigns.append(campaign["id"])

        def looked_at(campaign):
            watch = made.get(f"/v1/campaigns/{campaign}")["watch"]
            return watch["looked_at"] if watch["entries"] else None

        def commands_of_looks():
            """Those that are no observation, each of which asks squeue once."""
            return made.get("/v1/clusters/sim")["execs"] - made.sim.ctl("get")["calls"].get("squeue", 0)

        def await_looks(count):
            before, seen = commands_of_looks(), {looked_at(campaigns[0])}
            until(lambda: seen.add(looked_at(campaigns[0])) or len(seen) > count, 120, f"{count} further looks")
            return commands_of_looks() - before

        until(lambda: all(looked_at(campaign) for campaign in campaigns), 120, "the first look at each")
        looks = await_looks(6)
        if looks > 3:  # of 30; where an observation is late, a look may go alone, and one may be counted only once
            raise Wrong(f"{looks} commands for six looks at five directories, beside observations")
        made.cancel(evaluation)
        made.await_state(evaluation, ENDS)
        until(lambda: not made.get("/v1/jobs?state=running")["items"], 60, "the end of the job")
        await_looks(1)
        looks = await_looks(4)
        if not 3 <= looks <= 3 * 4:  # of 20
            raise Wrong(f"{looks} commands for four looks at five directories, without observations")
        for campaign in campaigns:
            made.request("POST", f"/v1/campaigns/{campaign}/cancel", {})
    return 1


def make_slow(made, command, folder, mark, delay_s):
    """On the login node the command takes so long for that folder while there is the mark."""
    path = Path(made.sim.directory, "bin", command)
    path.write_text(f"#!/bin/bash\n[[ \"$* $PWD\" != *{folder}* || ! -e {mark} ]] || sleep {delay_s}\nexec /usr/bin/{command} \"$@\"\n")
    path.chmod(0o755)


def watched(made, folder, quiet_s, marker="index.json"):
    """A campaign that watches the folder."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    status, campaign = made.request("POST", "/v1/campaigns", {
        "name": "curve", "config": made.config(), "parameter": "target.api_endpoint.model_id", "watch": {
            "cluster": "sim", "directory": str(folder), "pattern": "step_*", "ready": {"file": marker, "quiet_s": quiet_s}}})
    if status != 201:
        raise Wrong(f"no campaign: {status} {campaign}")
    return campaign["id"]


@scenario
def directory_that_hangs_delays_no_observation(binary, full):
    """A watched directory whose file system hangs is left to commands of its own, and jobs are observed as before; when it answers
    again, so does the watch."""
    commands = ("stat", "realpath")  # the first that touches it, and one after that
    with world(binary) as made:
        made.sim.set(duration_s=3600)
        made.start()
        made.await_state(made.post(), "running")
        folder, hang = Path(made.directory, "checkpoints"), Path(made.directory, "hangs")
        (folder / "step_1").mkdir(parents=True)
        campaign = watched(made, folder, 3600)

        def watch():
            return made.get(f"/v1/campaigns/{campaign}")["watch"]

        def observations():
            return made.sim.ctl("get")["calls"].get("squeue", 0)

        until(lambda: watch()["entries"], 60, "the first look")
        for command in commands:
            make_slow(made, command, folder, hang, 70)
            hang.touch()
            until(lambda: watch()["reason"] is not None, 60, f"that the directory hangs in {command}")
            before = observations()
            time.sleep(20)
            seen = observations() - before
            if seen < 4:  # one a second, or two on a busy machine; one that waits for the directory takes 15
                raise Wrong(f"{seen} observations in 20 seconds beside a directory that hangs in {command}")
            hang.unlink()
            until(lambda: watch()["reason"] is None, 180, "that the directory answers again")
        made.request("POST", f"/v1/campaigns/{campaign}/cancel", {})
    return len(commands)


@scenario
def slow_checkpoint_is_found_beside_jobs(binary, full):
    """One whose files take longer to list than an observation waits becomes a value all the same, by looks of its own."""
    with world(binary) as made:
        made.sim.set(duration_s=3600)
        made.start()
        made.await_state(made.post(), "running")
        folder = Path(made.directory, "checkpoints")
        (folder / "step_1").mkdir(parents=True)
        (folder / "step_1/index.json").write_text("{}")
        make_slow(made, "find", folder, folder, 20)
        campaign = watched(made, folder, 1)
        until(lambda: made.get(f"/v1/campaigns/{campaign}")["values"], 300, "the value")
        made.request("POST", f"/v1/campaigns/{campaign}/cancel", {})
    return 1
