"""Following a log, on a real sshd: plain text and Server-Sent Events, resumed at any byte, into the next attempt's file,
with one remote reader whatever the number of followers."""

import base64
import http.client
import json
import os
import re
import threading
import time
from pathlib import Path

import pytest
from conftest import STOP_TIMEOUT_S, wait_until

# Characters of two, three and four bytes, lines that end in every way, bytes that are no UTF-8, and a NUL.
ODD = "ä€😀\r\n\tz\r".encode() + b"\xff\xfe\xe2\x82" + "ü".encode() + b"\0\xf0\x9f" + b"end\n"


class Follower:
    """One request that goes on."""

    def __init__(self, daemon, path, events=True, last_id=None, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", daemon.port(), timeout=60)
        headers = {"Authorization": f"Bearer {token or daemon.tokens['ann']}",
                   "Accept": "text/event-stream" if events else "text/plain"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", path, headers=headers)
        self.reply = self.connection.getresponse()
        self.last_id = None
        self.heartbeats = 0

    def event(self):
        """The next event: (name, data); None when the stream has ended."""
        name, data = "message", []
        while True:
            line = self.reply.readline().decode().rstrip("\n")
            if self.reply.isclosed():
                return None
            field, _, value = line.partition(": ")
            if field == "id":
                self.last_id = value
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif line.startswith(":"):
                self.heartbeats += 1
            elif line == "" and data:
                return name, json.loads("\n".join(data))

    def read(self, size):
        """That many bytes of the log, from events that must follow each other without a gap."""
        got = b""
        while len(got) < size:
            name, data = self.event()
            if name != "message":
                continue
            piece = base64.b64decode(data["base64"]) if "base64" in data else data["text"].encode()
            got += piece
            assert int(self.last_id.split(":")[-1]) == data["offset"] + len(piece)
        return got

    def until(self, wanted):
        """The data of the next event of that name, and the bytes before it."""
        got = b""
        while True:
            name, data = self.event()
            if name == wanted:
                return data, got
            if name == "message":
                got += base64.b64decode(data["base64"]) if "base64" in data else data["text"].encode()

    def close(self):
        self.reply.close()
        self.connection.close()


class Job:
    """A job on the cluster beta, whose directory is one of this machine."""

    def __init__(self, daemon, folder):
        self.daemon = daemon
        self.logs = folder / "task.0/logs"
        self.logs.mkdir(parents=True)
        self.id = daemon.client("ann").submit().json()["id"] + ".0"
        account = daemon.settings.read_text().rsplit("username: ", 1)[1].split(",")[0]
        # The scheduler has let go of it: what the job is from now on, the test says.
        ann = daemon.client("ann")
        ann.post(f"/v1/jobs/{self.id}/cancel")
        wait_until(lambda: ann.get(f"/v1/jobs/{self.id}").json()["state"] == "cancelled", "the cancellation")
        daemon.execute("UPDATE jobs SET cluster = 'beta', identity = ?, job_dir = ?, state = 'running', collected = 1"
                       " WHERE id = ?", account, str(folder / "task.0"), self.id)
        daemon.execute("UPDATE chains SET attempt = 0, slurm_job_id = NULL WHERE seq = (SELECT chain FROM jobs WHERE id = ?)", self.id)
        daemon.execute("DELETE FROM attempts WHERE chain = (SELECT chain FROM jobs WHERE id = ?)", self.id)

    def path(self, name, query=""):
        return f"/v1/jobs/{self.id}/logs/{name}?follow=true{query}"

    def attempt(self, number, slurm_id):
        self.daemon.execute("INSERT OR IGNORE INTO script_bodies (hash, text) VALUES ('none', '')")
        self.daemon.execute("UPDATE chains SET attempt = ?, slurm_job_id = ? WHERE seq = (SELECT chain FROM jobs WHERE id = ?)", number, slurm_id, self.id)
        self.daemon.execute(
            "INSERT OR REPLACE INTO attempts (chain, number, jobs, job_name, time_limit_s, intended_at, slurm_job_id,"
            " script_header, script_body) SELECT chain, ?, json_array(id), ?, 60, 1, ?, '', 'none' FROM jobs WHERE id = ?",
            number, f"{self.id}-{number}-{slurm_id}", slurm_id, self.id)

    def end(self):
        self.daemon.execute("UPDATE jobs SET state = 'failed', reason = 'it was the test' WHERE id = ?", self.id)


@pytest.fixture
def job(daemon, tmp_path):
    return Job(daemon, tmp_path)


def append(file, data):
    with open(file, "ab") as out:
        out.write(data)


def remote_readers(daemon):
    """Processes that run the follower's script in a session of this daemon's sshd; its own children do not count."""
    port = re.search(r"name: beta\b.*?port: (\d+)", daemon.settings.read_text(), re.S)[1]
    ours = re.compile(rb"(^|\0)SSH_CONNECTION=\S+ \d+ \S+ " + port.encode() + rb"\0")
    found = []
    for process in os.listdir("/proc"):
        try:
            if process.isdigit() and b"s=$(head -c" in Path(f"/proc/{process}/cmdline").read_bytes() and \
                    ours.search(Path(f"/proc/{process}/environ").read_bytes()):
                found.append(int(process))
        except OSError:
            continue  # it has ended
    return [process for process in found if parent_of(process) not in found]


def parent_of(process):
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def test_events_come_as_the_file_grows(daemon, job):
    file = job.logs / "client-7.log"
    file.write_bytes(b"one\n")
    follower = Follower(daemon, job.path("client-7.log"))
    assert follower.reply.status == 200 and follower.reply.getheader("Content-Type") == "text/event-stream"
    name, data = follower.event()
    assert (name, data["name"], data["offset"]) == ("file", "client-7.log", 0)
    assert follower.read(4) == b"one\n" and follower.last_id == "4"
    for i in range(5):
        append(file, b"line %d\n" % i)
        assert follower.read(7) == b"line %d\n" % i
    job.end()
    data, rest = follower.until("end")
    assert (data["state"], data["reason"], data["offset"], rest) == ("failed", "it was the test", 39, b"")
    assert follower.event() is None
    follower.close()


def test_resumed_at_every_byte_nothing_is_repeated_or_lost(daemon, job):
    (job.logs / "client-7.log").write_bytes(ODD)
    for start in range(len(ODD) + 1):
        job_path = job.path("client-7.log", f"&offset={start}" if start % 2 else "")
        follower = Follower(daemon, job_path, last_id=str(start))
        assert follower.event()[1]["offset"] == start
        assert follower.read(len(ODD) - start) == ODD[start:]
        follower.close()


def test_a_character_written_in_parts_comes_whole(daemon, job):
    file = job.logs / "client-7.log"
    file.touch()
    follower = Follower(daemon, job.path("client-7.log"))
    whole = "ä€😀".encode()
    for byte in whole:
        append(file, bytes([byte]))
        time.sleep(0.35)
    texts = []
    while sum(len(t.encode()) for t in texts) < len(whole):
        name, data = follower.event()
        if name == "message":
            assert "base64" not in data
            texts.append(data["text"])
    assert "".join(texts) == "ä€😀"
    append(file, b"\xe2\x82")
    job.end()
    data, rest = follower.until("end")
    assert rest == b"\xe2\x82"  # nothing follows: it comes as it is
    follower.close()


def test_current_log_goes_on_into_the_next_attempt(daemon, job):
    follower = Follower(daemon, job.path("client-current.log"))
    job.attempt(1, "71")
    data, _ = follower.until("file")
    assert (data["name"], data["attempt"]) == ("client-71.log", 1)
    append(job.logs / "client-71.log", b"first\n")
    assert follower.read(6) == b"first\n" and follower.last_id == "client-71.log:6"
    job.attempt(2, "72")
    append(job.logs / "client-71.log", b"last words\n")
    data, rest = follower.until("file")
    assert rest == b"last words\n" and (data["name"], data["attempt"], data["offset"]) == ("client-72.log", 2, 0)
    append(job.logs / "client-72.log", b"second\n")
    assert follower.read(7) == b"second\n" and follower.last_id == "client-72.log:7"
    follower.close()
    again = Follower(daemon, job.path("client-current.log"), last_id="client-71.log:12")
    assert again.event()[1] == {"name": "client-71.log", "attempt": 1, "offset": 12}
    assert again.read(5) == b"ords\n"
    assert again.until("file")[0]["attempt"] == 2
    assert again.read(7) == b"second\n"
    again.close()
    job.end()
    text = Follower(daemon, job.path("client-current.log"), events=False)
    assert text.reply.read() == b"second\n"  # the latest attempt's
    text.close()


def test_plain_text_has_a_mark_between_attempts(daemon, job):
    job.attempt(1, "81")
    (job.logs / "slurm-81.log").write_bytes(b"a\xff\n")
    follower = Follower(daemon, job.path("slurm-current.log"), events=False)
    assert follower.reply.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert follower.reply.read(3) == b"a\xff\n"
    (job.logs / "slurm-82.log").write_bytes(b"b\n")
    job.attempt(2, "82")
    job.end()
    assert follower.reply.read() == b"\n==> slurm-82.log: attempt 2 <==\nb\n"
    follower.close()


def test_file_that_is_cut_begins_anew(daemon, job):
    file = job.logs / "client-7.log"
    file.write_bytes(b"before\n")
    follower = Follower(daemon, job.path("client-7.log"))
    assert follower.read(7) == b"before\n"
    file.write_bytes(b"new\n")
    data, rest = follower.until("anew")
    assert rest == b"" and follower.read(4) == b"new\n"
    follower.close()


def test_tail_then_follow(daemon, job):
    file = job.logs / "client-7.log"
    file.write_bytes(b"".join(b"line %d\n" % i for i in range(100000)))
    follower = Follower(daemon, job.path("client-7.log", "&tail=2"))
    assert follower.read(22) == b"line 99998\nline 99999\n"
    append(file, b"more\n")
    assert follower.read(5) == b"more\n"
    last = follower.last_id
    follower.close()
    append(file, b"missed\n")
    again = Follower(daemon, job.path("client-7.log", "&tail=2"), last_id=last)
    assert again.read(7) == b"missed\n"
    again.close()


def test_large_file_from_its_beginning_and_an_ended_job(daemon, job):
    file = job.logs / "client-7.log"
    content = os.urandom(100000).hex().encode() * 20
    file.write_bytes(content)
    follower = Follower(daemon, job.path("client-7.log"), events=False)
    assert follower.reply.read(len(content)) == content
    append(file, b"live")
    assert follower.reply.read(4) == b"live"
    job.end()
    assert follower.reply.read() == b""
    follower.close()
    ended = Follower(daemon, job.path("client-7.log", "&offset=1000001"))
    data, got = ended.until("end")
    assert got == (content + b"live")[1000001:] and data["offset"] == len(content) + 4
    ended.close()


def test_100_followers_cost_one_remote_reader_and_no_threads(daemon, job):
    file = job.logs / "client-7.log"
    file.write_bytes(b"begin\n")
    followers = [Follower(daemon, job.path("client-7.log"))]
    assert followers[0].read(6) == b"begin\n"
    threads = len(os.listdir(f"/proc/{daemon.process.pid}/task"))
    followers += [Follower(daemon, job.path("client-7.log"), events=i % 2 == 0) for i in range(99)]
    slow = followers.pop()  # it takes nothing, and holds nobody up
    append(file, b"x" * 100000 + b"\n")
    for follower in followers:
        got = follower.read(100001 if follower is followers[0] else 100007) if \
            follower.reply.getheader("Content-Type") == "text/event-stream" else follower.reply.read(100007)
        assert got.endswith(b"x\n")
    assert len(remote_readers(daemon)) == 1
    assert len(os.listdir(f"/proc/{daemon.process.pid}/task")) <= threads + 8
    for follower in [*followers, slow]:
        follower.close()
    wait_until(lambda: not remote_readers(daemon), "the end of the remote reader")


def test_vanished_client_frees_its_reader(daemon, job):
    (job.logs / "client-7.log").write_bytes(b"x\n")
    follower = Follower(daemon, job.path("client-7.log"), events=False)
    assert follower.reply.read(2) == b"x\n"
    wait_until(lambda: remote_readers(daemon), "the remote reader")
    follower.close()
    wait_until(lambda: not remote_readers(daemon), "the end of the remote reader")


def test_remote_reader_that_dies_is_started_again(daemon, job):
    file = job.logs / "client-7.log"
    file.write_bytes(b"one\n")
    follower = Follower(daemon, job.path("client-7.log"))
    assert follower.read(4) == b"one\n"
    for process in wait_until(lambda: remote_readers(daemon), "the remote reader"):
        os.kill(process, 9)
    append(file, b"two\n")
    assert follower.read(4) == b"two\n"
    follower.close()


def test_a_quiet_follower_has_signs_of_life(daemon, job):
    (job.logs / "client-7.log").touch()
    follower = Follower(daemon, job.path("client-7.log"))
    follower.event()
    begin = time.monotonic()
    while not follower.reply.readline().startswith(b":"):
        pass
    assert time.monotonic() - begin < 50  # 10 s, and what a busy machine adds; proxies wait for a minute
    follower.close()


def test_follower_ends_with_its_token(daemon, ann, job):
    made = ann.post("/v1/tokens", 201).json()
    log = job.logs / "client-100.log"
    append(log, b"before\n")
    follower = Follower(daemon, job.path("client-100.log"), token=made["token"])
    assert follower.read(7) == b"before\n"
    assert ann.request("DELETE", f"/v1/tokens/{made['id']}").status_code == 204
    begin = time.monotonic()
    event = follower.event
    while time.monotonic() - begin < 60 and event() is not None:
        append(log, b"after\n")
    assert time.monotonic() - begin < 50  # 10 s, and what a busy machine adds; proxies wait for a minute
    follower.close()


def test_links_are_not_followed_out_of_the_folder(daemon, ann, job):
    (job.logs.parent / ".secrets.env").write_text("never shown\n")
    (job.logs / "link.log").symlink_to("../.secrets.env")
    ann.get(job.path("link.log"), 403)
    file = job.logs / "client-7.log"
    file.write_bytes(b"")
    follower = Follower(daemon, job.path("client-7.log"))
    follower.event()
    file.unlink()
    file.symlink_to("../.secrets.env")
    time.sleep(1)
    file.unlink()
    file.write_bytes(b"plain\n")
    data, got = follower.until("message")
    assert data["text"] == "plain\n" and b"never" not in got
    follower.close()


@pytest.mark.parametrize("name, query, headers, status, part", [
    ("none.log", "", {}, 404, "-current"),
    ("..%2F.secrets.env", "", {}, 400, "leaves"),
    ("client-7.log", "&offset=9", {}, 416, "3 bytes"),
    ("client-7.log", "&offset=-1", {}, 400, "offset"),
    ("client-7.log", "&offset=1&tail=1", {}, 400, "together"),
    ("client-7.log", "", {"Range": "bytes=1-"}, 400, "range"),
    ("client-7.log", "", {"Accept": "text/event-stream", "Last-Event-ID": "x:1"}, 400, "Last-Event-ID"),
    ("client-current.log", "", {"Accept": "text/event-stream", "Last-Event-ID": "other-1.log:1"}, 400, "Last-Event-ID"),
])
def test_follow_refusals(ann, job, name, query, headers, status, part):
    (job.logs / "client-7.log").write_bytes(b"abc")
    assert part in ann.get(job.path(name, query), status, headers=headers).json()["detail"]


def test_current_log_without_following(ann, job):
    path = f"/v1/jobs/{job.id}/logs/client-current.log"
    ann.get(path, 404)
    ann.get(f"/v1/jobs/{job.id}/logs/client-7.log?offset=1", 400)
    job.attempt(1, "91")
    (job.logs / "client-91.log").write_bytes(b"abc\n")
    reply = ann.get(path)
    place = f"/v1/jobs/{job.id}/logs/client-91.log"
    assert reply.content == b"abc\n" and reply.headers["Content-Location"] == place
    for status, asked in ((206, {"Range": "bytes=1-2"}), (304, {"If-None-Match": reply.headers["ETag"]})):
        assert ann.get(path, status, headers=asked).headers["Content-Location"] == place
    # What a problem says is of the request, not of the file.
    refusal = ann.get(path, 416, headers={"Range": "bytes=4-"})
    assert not {"Content-Location", "ETag"} & set(refusal.headers)


def test_stop_of_the_daemon_ends_followers_at_once(daemon, job):
    (job.logs / "client-7.log").write_bytes(b"abc\n")
    followers = [Follower(daemon, job.path("client-7.log"), events=i % 2 == 0) for i in range(20)]
    outcomes = []

    def read_out(follower):
        try:
            outcomes.append(b"event: end" in follower.reply.read())
        except (http.client.IncompleteRead, ConnectionError):
            outcomes.append(False)
    threads = [threading.Thread(target=read_out, args=[follower]) for follower in followers]
    for thread in threads:
        thread.start()
    wait_until(lambda: remote_readers(daemon), "the remote reader")
    took_s = daemon.stop()
    daemon.start()
    for thread in threads:
        thread.join()
    assert took_s < STOP_TIMEOUT_S and outcomes == [False] * 20
    wait_until(lambda: not remote_readers(daemon), "the end of the remote reader")
