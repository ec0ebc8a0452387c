"""Logs and artifacts, read from a real sshd: lists, content, ranges, tails, large files, what must not be read."""

import hashlib
import http.client
import random
import threading

import pytest

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
    for query in ("tail=0", "tail=-1", "tail=x", "tail=100001", "follow=true"):
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

    def read_all():
        digests.append(hashlib.sha256(daemon.client("ann").get(path).content).digest())

    def leave_early():
        client = daemon.client("ann")
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


def test_cluster_unreachable_is_the_clusters_fault(ann):
    job = ann.submit().json()["id"] + ".0"
    reply = ann.request("GET", f"/v1/jobs/{job}/logs/x")
    assert reply.status_code in (502, 503)
    assert "alpha" in reply.json()["detail"] or "127.0.0.1" in reply.json()["detail"]
