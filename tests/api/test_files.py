"""Logs and artifacts, read from a real sshd: lists, content, ranges, tails, large files, what must not be read."""

import contextlib
import hashlib
import http.client
import io
import os
import random
import shutil
import socket
import tarfile
import threading
import urllib.parse

import pytest
import requests
from conftest import check_pages_of_whole, wait_until

LOG = b"".join(b"line %d\n" % i for i in range(1, 1001))


@pytest.fixture(scope="module")
def job(daemon, tmp_path_factory):
    """A job whose directory is one of this machine, on the cluster beta: (its id, the directory)."""
    folder = tmp_path_factory.mktemp("rundir") / "task.0"
    (folder / "logs").mkdir(parents=True)
    (folder / "artifacts/deep/er").mkdir(parents=True)
    (folder / "logs/client-1.log").write_bytes(LOG)
    (folder / "logs/empty.log").touch()
    (folder / "logs/odd name+%.log").write_text("odd")
    (folder / "artifacts/results.yml").write_text("results: {}\n")
    (folder / "artifacts/deep/er/page.html").write_text("<script>alert(1)</script>")
    (folder / "artifacts/large.bin").write_bytes(random.Random(1).randbytes(3 * 1024 * 1024 + 12345))
    (folder / ".secrets.env").write_text("export API_KEY='never shown'\n")
    (folder / "logs/link.log").symlink_to(folder / ".secrets.env")
    (folder / "artifacts/out").symlink_to("/etc")
    identity = daemon.client("ann").submit().json()["id"] + ".0"
    account = daemon.settings.read_text().rsplit("username: ", 1)[1].split(",")[0]
    daemon.execute("UPDATE jobs SET cluster = 'beta', identity = ?, job_dir = ? WHERE id = ?", account, str(folder),
                   identity)
    return identity, folder


def test_logs_listed(eve, job):
    items = eve.get(f"/v1/jobs/{job[0]}/logs").json()["items"]
    assert {(i["name"], i["size"]) for i in items} == {("client-1.log", len(LOG)), ("empty.log", 0), ("odd name+%.log", 3)}


def test_artifacts_listed_with_folders(ann, job):
    body = ann.get(f"/v1/jobs/{job[0]}/artifacts").json()
    assert [i["path"] for i in body["items"]] == ["deep/er/page.html", "large.bin", "results.yml"]
    assert body["truncated"] is False and body["next"] is None


def test_lists_have_pages(ann, job):
    check_pages_of_whole(ann, f"/v1/jobs/{job[0]}/logs")
    check_pages_of_whole(ann, f"/v1/jobs/{job[0]}/artifacts")
    first = ann.get(f"/v1/jobs/{job[0]}/artifacts", params={"prefix": "deep", "limit": 1}).json()
    assert [item["path"] for item in first["items"]] == ["deep/er/page.html"] and first["next"] is None
    refusal = ann.get(f"/v1/jobs/{job[0]}/artifacts", 400, params={"format": "tar", "limit": 1}).json()
    assert "narrowed by path" in refusal["detail"]


def test_key_that_the_daemon_lacks_is_no_lack_of_the_clients_rights(fresh):
    """403 would say that the client may not read it."""
    daemon = fresh()
    (daemon.folder / "key").unlink()
    daemon.start()
    ann = daemon.client("ann")
    identity = ann.submit().json()["id"] + ".0"
    for path in ("logs", "artifacts", "logs/client-1.log", "artifacts/results.yml"):
        problem = ann.get(f"/v1/jobs/{identity}/{path}", 502).json()
        assert "cannot read the key file" in problem["detail"]


def test_log_content(ann, job):
    reply = ann.get(f"/v1/jobs/{job[0]}/logs/client-1.log")
    assert reply.content == LOG and reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.headers["Accept-Ranges"] == "bytes" and "Last-Modified" in reply.headers
    assert ann.get(f"/v1/jobs/{job[0]}/logs/empty.log").content == b""
    assert ann.get(f"/v1/jobs/{job[0]}/logs/odd%20name+%25.log").content == b"odd"


@pytest.mark.parametrize("header, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=8000-", 8000, None), ("bytes=-5", -5, None),
    ("bytes=0-999999", 0, None), ("bytes=-999999", 0, None),
])
def test_log_range(ann, job, header, first, last):
    reply = ann.get(f"/v1/jobs/{job[0]}/logs/client-1.log", 206, headers={"Range": header})
    want = LOG[first:] if last is None else LOG[first:last + 1]
    start = len(LOG) - len(LOG[first:])
    assert reply.content == want
    assert reply.headers["Content-Range"] == f"bytes {start}-{start + len(want) - 1}/{len(LOG)}"


@pytest.mark.parametrize("header", [f"bytes={len(LOG)}-", "bytes=99999999-", "bytes=-0"])
def test_log_range_outside_416(ann, job, header):
    reply = ann.get(f"/v1/jobs/{job[0]}/logs/client-1.log", 416, headers={"Range": header})
    assert reply.headers["Content-Range"] == f"bytes */{len(LOG)}"


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=x"])
def test_log_range_ignored_200(ann, job, header):
    assert ann.get(f"/v1/jobs/{job[0]}/logs/client-1.log", headers={"Range": header}).content == LOG


def test_log_tail(ann, job):
    path = f"/v1/jobs/{job[0]}/logs/client-1.log"
    assert ann.get(f"{path}?tail=3").content == b"line 998\nline 999\nline 1000\n"
    assert ann.get(f"{path}?tail=100000").content == LOG
    for query in ("tail=0", "tail=-1", "tail=x", "tail=100001"):
        ann.get(f"{path}?{query}", 400)
    ann.get(f"{path}?tail=3", 400, headers={"Range": "bytes=0-1"})


def test_file_etag_and_if_range(ann, job):
    path = f"/v1/jobs/{job[0]}/logs/client-1.log"
    tag = ann.get(path).headers["ETag"]
    ann.get(path, 304, headers={"If-None-Match": tag})
    ann.get(path, 206, headers={"If-Range": tag, "Range": "bytes=1-2"})
    assert ann.get(path, headers={"If-Range": '"old"', "Range": "bytes=1-2"}).content == LOG
    head = ann.request("HEAD", path)
    assert head.status_code == 200 and head.headers["Content-Length"] == str(len(LOG)) and head.headers["ETag"] == tag


def test_artifact_types_are_safe(ann, job):
    reply = ann.get(f"/v1/jobs/{job[0]}/artifacts/deep/er/page.html")
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert ann.get(f"/v1/jobs/{job[0]}/artifacts/results.yml").headers["Content-Type"] == "application/yaml"
    assert ann.get(f"/v1/jobs/{job[0]}/artifacts/deep%2Fer%2Fpage.html").content == reply.content


def test_large_artifact_arrives_whole(ann, job):
    want = (job[1] / "artifacts/large.bin").read_bytes()
    path = f"/v1/jobs/{job[0]}/artifacts/large.bin"
    reply = ann.get(path)
    assert hashlib.sha256(reply.content).digest() == hashlib.sha256(want).digest()
    assert ann.get(path, 206, headers={"Range": "bytes=1000000-3000000"}).content == want[1000000:3000001]
    assert ann.get(path, 206, headers={"Range": "bytes=-2500000"}).content == want[-2500000:]


def test_large_artifact_many_readers_and_some_that_leave(daemon, job):
    want = hashlib.sha256((job[1] / "artifacts/large.bin").read_bytes()).digest()
    path = f"/v1/jobs/{job[0]}/artifacts/large.bin"
    digests = []

    def read_all():  # three of ann's, and less of bob's: each leaves as many for others
        digests.append(hashlib.sha256(daemon.client("ann").get(path).content).digest())

    def leave_early():
        client = daemon.client("bob")
        with client.session.get(client.base + path, headers={"Authorization": f"Bearer {client.token}"}, stream=True,
                                timeout=60) as reply:
            next(reply.iter_content(100000))

    threads = [threading.Thread(target=t) for t in [read_all, leave_early] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == [want] * 3


@pytest.mark.parametrize("path", ["%2e%2e/.secrets.env", "a/%2e%2e/%2e%2e/.secrets.env", "%2Fetc%2Fpasswd", "./x", "a//b"])
def test_path_leaving_the_folder_refused(daemon, job, path):
    for folder in ("logs", "artifacts"):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port(), timeout=30)
        connection.request("GET", f"/v1/jobs/{job[0]}/{folder}/{path}",
                           headers={"Authorization": f"Bearer {daemon.tokens['ann']}"})
        reply = connection.getresponse()
        assert reply.status in (400, 404) and b"never shown" not in reply.read()
        connection.close()


def test_links_out_of_the_folder_refused(ann, job):
    for path in ("logs/link.log", "artifacts/out/passwd"):
        reply = ann.request("GET", f"/v1/jobs/{job[0]}/{path}")
        assert reply.status_code in (403, 404) and "never shown" not in reply.text and "root:" not in reply.text


def test_file_missing_404(ann, job):
    ann.get(f"/v1/jobs/{job[0]}/logs/none.log", 404)
    ann.get(f"/v1/jobs/{job[0]}/artifacts/deep", 404)


def members(reply):
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
        return {m.name: (m, tar.extractfile(m).read() if m.isreg() else None) for m in tar.getmembers()}


def test_artifacts_listed_by_prefix(ann, job):
    def names(prefix):
        return [i["path"] for i in ann.get(f"/v1/jobs/{job[0]}/artifacts?prefix={prefix}").json()["items"]]
    assert names("deep/er/") == names("deep/er/pa") == names("de") == ["deep/er/page.html"]
    assert names("l") == ["large.bin"]
    assert names("out/") == names("deep/er/x") == names("none/at/all") == []
    ann.get(f"/v1/jobs/{job[0]}/artifacts?prefix=../logs/", 400)
    ann.get(f"/v1/jobs/{job[0]}/artifacts?prefix=/etc/", 400)


@pytest.fixture(scope="module")
def linked(job):
    """Links of every kind in a directory of artifacts: those that stay, and those that leave."""
    tree = job[1] / "artifacts/tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "plain").write_bytes(b"plain")
    (tree / "sub/-rf ").write_bytes(b"odd")
    (tree / "empty").touch()
    os.link(tree / "plain", tree / "sub/twin")
    (tree / "sub/up").symlink_to("../plain")
    (tree / "sub/over").symlink_to("../../results.yml")
    (tree / "dangling").symlink_to("nothing/here")
    (tree / "absolute").symlink_to(tree / "plain")
    (tree / "leaves").symlink_to("../../.secrets.env")
    (tree / "root").symlink_to("/etc")
    (tree / "by-way").symlink_to("../out/passwd")
    (tree / "around").symlink_to("../../../task.0/artifacts/tree/plain")
    os.link(job[1] / ".secrets.env", tree / "hard")
    os.mkfifo(tree / "fifo")
    yield tree
    (tree / "hard").unlink()


def test_tar_holds_the_tree_and_no_link_that_leaves(ann, job, linked):
    path = f"/v1/jobs/{job[0]}/artifacts?format=tar&path=tree"
    reply = ann.get(path)
    assert reply.headers["Content-Type"] == "application/x-tar"
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{job[0]}.tar"'
    got = members(reply)
    assert set(got) == {"tree", "tree/plain", "tree/sub", "tree/sub/-rf ", "tree/empty", "tree/sub/twin", "tree/sub/up",
                        "tree/sub/over", "tree/dangling", "tree/around"}
    assert got["tree/plain"][1] == b"plain" or got["tree/sub/twin"][1] == b"plain"
    assert got["tree/sub/-rf "][1] == b"odd" and got["tree/empty"][1] == b""
    assert got["tree/sub/up"][0].linkname == "../plain" and got["tree/sub/twin"][0].islnk() or got["tree/plain"][0].islnk()
    assert b"never shown" not in reply.content


def test_tar_of_everything_and_by_accept(ann, job, linked):
    reply = ann.get(f"/v1/jobs/{job[0]}/artifacts", headers={"Accept": "application/x-tar"})
    got = members(reply)
    assert got["results.yml"][1] == b"results: {}\n"
    assert got["large.bin"][1] == (job[1] / "artifacts/large.bin").read_bytes()
    assert "out" not in got and not any(name.startswith(("/", "..", "out/")) for name in got)
    one = members(ann.get(f"/v1/jobs/{job[0]}/artifacts?format=tar&path=results.yml"))
    assert set(one) == {"results.yml"}


def test_tar_of_odd_names_leaves_out_what_leaves(ann, job):
    tree = job[1] / "artifacts/odd & [names], 1"
    tree.mkdir()
    names = ["a*b", "a[x]b", "new\nline", "back\\slash", "plain", "axb"]
    for name in names:
        (tree / name).write_text(name)
    for name in ("l*k", "new\nlink", "[l]"):
        os.link(job[1] / ".secrets.env", tree / name)
    (tree / "l-k").write_text("stays")
    try:
        path = urllib.parse.quote("odd & [names], 1")
        reply = ann.get(f"/v1/jobs/{job[0]}/artifacts?format=tar&path={path}")
        got = {name.removeprefix("odd & [names], 1").lstrip("/") for name in members(reply)}
        assert got == {"", *names, "l-k"} and b"never shown" not in reply.content
        one = members(ann.get(f"/v1/jobs/{job[0]}/artifacts?format=tar&path={path}/plain"))
        assert set(one) == {"odd & [names], 1/plain"}
    finally:
        shutil.rmtree(tree)


def test_tar_of_a_directory_that_becomes_a_link_does_not_follow_it(ann, job, tmp_path):
    """What a container can do while the archive is made: no byte of what the link leads to comes back."""
    tree = job[1] / "artifacts/swapped"
    (tree / "one").mkdir(parents=True)
    secret = tmp_path / "elsewhere"
    secret.mkdir()
    for i in range(300):
        (tree / f"one/{i}").write_text("own")
        (secret / str(i)).write_text("never shown")
    (tree / "two").symlink_to(secret)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for a, b in (("one", "three"), ("two", "one"), ("one", "two"), ("three", "one")):
                os.rename(tree / a, tree / b)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = 0
    try:
        for _ in range(25):
            got = bytearray()
            with contextlib.suppress(requests.exceptions.ChunkedEncodingError):  # it may break off: a file has gone
                with requests.get(f"{ann.base}/v1/jobs/{job[0]}/artifacts?format=tar&path=swapped", stream=True, timeout=60,
                                  headers={"Authorization": f"Bearer {ann.token}"}) as reply:
                    for piece in reply.iter_content(65536):
                        got += piece
            assert b"never shown" not in got
            seen += len(got)
        assert seen > 0
    finally:
        stop.set()
        thread.join()
        shutil.rmtree(tree)


@pytest.mark.parametrize("query, status", [
    ("format=tar&path=none", 404), ("format=tar&path=../logs", 400), ("format=tar&path=/etc", 400),
    ("format=tar&path=out", 403), ("format=tar&path=a//b", 400), ("format=zip", 400), ("path=tree", 400),
    ("format=tar&prefix=tree", 400),
])
def test_tar_refusals(ann, job, query, status):
    ann.get(f"/v1/jobs/{job[0]}/artifacts?{query}", status)


def test_hard_link_that_leaves_refused_and_one_that_stays_not(ann, job, linked):
    reply = ann.get(f"/v1/jobs/{job[0]}/artifacts/tree/hard", 403)
    assert "hard link" in reply.json()["detail"]
    assert ann.get(f"/v1/jobs/{job[0]}/artifacts/tree/sub/twin").content == b"plain"


def test_etag_tells_versions_of_a_file_apart(ann, job):
    file = job[1] / "artifacts/version"
    path = f"/v1/jobs/{job[0]}/artifacts/version"
    tags = set()
    for content in ("one", "two"):
        file.write_text(content)
        os.utime(file, (1700000000, 1700000000))
        tags.add(ann.get(path).headers["ETag"])
        file.rename(job[1] / f"artifacts/keeps-inode-{content}")
    file.write_text("two")
    os.utime(file, ns=(1700000000000000001, 1700000000000000001))
    tag = ann.get(path).headers["ETag"]
    assert len(tags) == 2 and tag not in tags
    ann.get(path, 304, headers={"If-None-Match": f'"x", {tag}'})
    assert ann.get(path, 206, headers={"If-Range": tag, "Range": "bytes=1-"}).content == b"wo"
    assert ann.get(path, 200, headers={"If-Range": tags.pop(), "Range": "bytes=1-"}).content == b"two"


class SlowReader:
    """Takes a reply's head, then nothing until it is told to."""

    def __init__(self, daemon, path, user="ann"):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", daemon.port()))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {daemon.tokens[user]}\r\n\r\n"
                            .encode())
        self.reply = http.client.HTTPResponse(self.socket)
        self.reply.begin()

    def rest(self):
        try:
            return self.reply.read(), None
        except http.client.IncompleteRead as cut:
            return cut.partial, cut

    def close(self):
        self.reply.close()
        self.socket.close()


@pytest.fixture
def huge(job):
    """A file larger than all buffers on the way."""
    file = job[1] / "artifacts/huge"
    file.write_bytes(os.urandom(1024 * 1024) * 32)
    yield file
    file.unlink(missing_ok=True)


@pytest.mark.parametrize("path", ["artifacts/huge", "artifacts?format=tar&path=huge"])
@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_file_that_changes_while_it_is_sent_breaks_the_transfer(daemon, job, huge, path, change):
    reader = SlowReader(daemon, f"/v1/jobs/{job[0]}/{path}")
    assert reader.reply.status == 200
    before = huge.read_bytes()
    if change == "grows":
        with open(huge, "ab") as file:
            file.write(b"x")
    else:
        os.truncate(huge, 20 * 1024 * 1024)
    got, cut = reader.rest()
    assert cut is not None
    if path == "artifacts/huge":
        assert before.startswith(got) and len(got) < len(before)  # what came is right: a Range can go on from there
    reader.close()
    wait_until(lambda: "a transfer broke off" in daemon.log(), what="the line in the log")


def test_log_that_grows_while_it_is_sent_arrives_as_announced(daemon, job):
    log = job[1] / "logs/growing.log"
    log.write_bytes(b"x" * 32 * 1024 * 1024)
    reader = SlowReader(daemon, f"/v1/jobs/{job[0]}/logs/growing.log")
    with open(log, "ab") as file:
        file.write(b"more")
    got, cut = reader.rest()
    assert cut is None and len(got) == 32 * 1024 * 1024 and set(got) == {ord("x")}
    reader.close()
    log.unlink()


def test_transfers_are_bounded_and_those_who_leave_make_room(daemon, ann, job, huge):
    path = f"/v1/jobs/{job[0]}/artifacts/huge"
    readers = [SlowReader(daemon, path) for _ in range(4)]
    reply = ann.get(path, 503)
    assert int(reply.headers["Retry-After"]) > 0 and "4 files are being transferred for you" in reply.json()["detail"]
    # Others have what is left, each of them less.
    readers += [SlowReader(daemon, path, "bob") for _ in range(2)] + [SlowReader(daemon, path, "eve") for _ in range(1)]
    assert {reader.reply.status for reader in readers} == {200}
    refused = SlowReader(daemon, path, "bob")
    assert refused.reply.status == 503
    refused.close()
    assert ann.get(f"/v1/jobs/{job[0]}/artifacts/results.yml").text == "results: {}\n"  # others go on
    for reader in readers:
        reader.close()

    def is_free():
        reply = requests.get(ann.base + path, headers={"Authorization": f"Bearer {ann.token}"}, stream=True, timeout=60)
        with reply:
            return reply.status_code == 200
    wait_until(is_free, "room for another transfer")
    wait_until(lambda: not commands_reading(huge), "the end of the remote readers")


def commands_reading(file):
    """Processes of this machine that have the file open."""
    found = []
    for process in os.listdir("/proc"):
        try:
            if process.isdigit() and any(os.readlink(f"/proc/{process}/fd/{fd}") == str(file)
                                         for fd in os.listdir(f"/proc/{process}/fd")):
                found.append(process)
        except OSError:
            continue  # it has ended
    return found


def test_cluster_unreachable_is_the_clusters_fault(ann):
    job = ann.submit().json()["id"] + ".0"
    reply = ann.request("GET", f"/v1/jobs/{job}/logs/x")
    assert reply.status_code in (502, 503)
    assert "alpha" in reply.json()["detail"] or "127.0.0.1" in reply.json()["detail"]
