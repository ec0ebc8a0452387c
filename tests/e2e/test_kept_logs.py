"""The logs of an ended job stay readable when its run directory is gone."""

import json
import shutil
from pathlib import Path

import pytest

from configs import config, task


def get(client, path, **headers):
    reply = client.session.get(client.base + path, headers=headers, timeout=60)
    return reply


@pytest.fixture(scope="module")
def gone(bed, daemon, model_server):
    """A job that has ended, what its evaluation wrote to its log, and its directory removed."""
    client = daemon.client
    evaluation = client.submit(config(bed, model_server, task(limit=4)), model_server.env)["id"]
    client.wait_end(evaluation)
    job = client.job(f"{evaluation}.0")
    name = f"client-{job['slurm_job_id']}.log"
    log = get(client, f"/v1/jobs/{job['id']}/logs/{name}")
    assert log.status_code == 200 and len(log.content) > 40 and "Nel-Kept-From" not in log.headers
    names = client.get(f"/v1/jobs/{job['id']}/logs")["items"]
    assert all(item["kept_from"] is None for item in names)
    shutil.rmtree(Path(job["rundir"]).parent)
    return client, f"/v1/jobs/{job['id']}/logs", name, log.content, names


def test_list_and_content_are_as_before(gone):
    client, logs, name, content, names = gone
    items = client.get(logs)["items"]
    assert [(item["name"], item["size"], item["kept_from"]) for item in items] == \
        [(item["name"], item["size"], 0) for item in names]
    for path in (f"{logs}/{name}", f"{logs}/client-current.log"):
        reply = get(client, path)
        assert reply.status_code == 200 and reply.content == content and reply.headers["Nel-Kept-From"] == "0"
    assert get(client, f"{logs}/{name}", **{"If-None-Match": reply.headers["ETag"]}).status_code == 304
    assert get(client, f"{logs}/none.log").status_code == 404


def test_parts_are_as_of_the_file(gone):
    client, logs, name, content, _ = gone
    last = get(client, f"{logs}/{name}?tail=1")
    assert last.content == content.splitlines(keepends=True)[-1]
    part = get(client, f"{logs}/{name}", Range="bytes=5-14")
    assert part.status_code == 206 and part.content == content[5:15]
    assert part.headers["Content-Range"] == f"bytes 5-14/{len(content)}"
    assert get(client, f"{logs}/{name}", Range=f"bytes={len(content)}-").status_code == 416


def test_follow_ends_after_what_is_kept(gone):
    client, logs, name, content, _ = gone
    assert get(client, f"{logs}/{name}?follow=true").content == content
    assert get(client, f"{logs}/client-current.log?follow=true&tail=1").content == \
        content.splitlines(keepends=True)[-1]
    stream = get(client, f"{logs}/{name}?follow=true&offset=7", Accept="text/event-stream").text
    events = [dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
              for block in stream.split("\n\n") if "data: " in block]
    text = "".join(json.loads(event["data"])["text"] for event in events if "event" not in event)
    assert text.encode() == content[7:] and events[-1]["event"] == "end"
    assert json.loads(events[-1]["data"])["state"] == "succeeded"
