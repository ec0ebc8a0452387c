"""The Python client of examples/python against a real daemon, and against servers that break off."""

import http.server
import signal
import subprocess
import sys
import threading
from itertools import islice

import pytest
import yaml
from conftest import CONFIG, ROOT

sys.path.append(str(ROOT / "examples/python"))
import nel_slurmd  # noqa: E402


@pytest.fixture
def nel(daemon):
    with nel_slurmd.Client(daemon.base, daemon.tokens["ann"], patience_s=20) as client:
        yield client


def test_submit_list_and_cancel(nel, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("\ufeff" + CONFIG)
    evaluation = nel.submit(file, overrides=["execution.walltime=00:20:00"], labels={"by": str(tmp_path)}, tasks=["lm-evaluation-harness.ifeval"])
    assert [job["task"] for job in evaluation["jobs"]] == ["lm-evaluation-harness.ifeval"]
    assert [item["id"] for item in nel.evaluations(label=f"by:{tmp_path}")] == [evaluation["id"]]
    assert [job["id"] for job in nel.jobs(evaluation=evaluation["id"])] == [f"{evaluation['id']}.0"]
    nel.cancel(evaluation["id"])
    assert nel.wait(evaluation["id"], progress=False)["state"] == "cancelled"
    assert nel.job(f"{evaluation['id']}.0")["state"] == "cancelled"
    with pytest.raises(nel_slurmd.EvaluationEnded, match=rf"{evaluation['id']}\.0 lm-evaluation-harness.ifeval: cancelled: "):
        nel.wait(evaluation["id"], progress=False, check=True)


def test_a_config_is_a_mapping_a_file_or_text(nel):
    for config in (CONFIG, yaml.safe_load(CONFIG)):
        assert nel.dry_run(config)["cluster"] == "alpha"
    with pytest.raises(TypeError, match=r"pathlib.Path\('config.yaml'\)"):
        nel.submit("config.yaml")
    with pytest.raises(TypeError, match="overrides is a list"):
        nel.submit(CONFIG, overrides="a.b=c")


def test_one_key_is_one_evaluation(nel):
    assert nel.submit(CONFIG, key="of-a-test")["id"] == nel.submit(CONFIG, key="of-a-test")["id"]
    assert nel.submit(CONFIG)["id"] != nel.submit(CONFIG)["id"]


def test_lists_go_over_pages(nel, tmp_path):
    made = {nel.submit(CONFIG, labels={"page": str(tmp_path)})["id"] for _ in range(5)}
    found = [item["id"] for item in nel.evaluations(label=f"page:{tmp_path}", limit=2)]
    assert len(found) == 5 and set(found) == made


def test_mistakes_have_their_places(nel):
    with pytest.raises(nel_slurmd.Invalid) as caught:
        nel.submit(CONFIG.replace("    - name: simple_evals.mmlu_pro", "    - name: 7\n      nosuch: 1"))
    assert [(error["pointer"], error["line"]) for error in caught.value.errors][0][0].startswith("/evaluation/tasks/1")
    assert str(caught.value).splitlines()[1].strip() == nel_slurmd.describe(caught.value.errors[:1])
    assert caught.value.status == 422 and caught.value.request_id


def test_each_refusal_has_its_class(daemon, nel):
    for call, kind in ((lambda: nel.job("0123456789abcdef.0"), nel_slurmd.NotFound), (lambda: list(nel.jobs(colour="red")), nel_slurmd.NotUnderstood),
                       (lambda: nel.resume(nel.submit(CONFIG)["id"]), nel_slurmd.Conflict)):
        with pytest.raises(kind):
            call()
    with pytest.raises(nel_slurmd.Forbidden):
        nel_slurmd.Client(daemon.base, daemon.tokens["eve"]).submit(CONFIG)
    with pytest.raises(nel_slurmd.Unauthorized):
        nel_slurmd.Client(daemon.base, "nel_wrong").whoami()
    asked = []
    token = lambda: asked.append(1) or daemon.tokens["ann"]  # noqa: E731
    assert nel_slurmd.Client(daemon.base, token).whoami()["user"] == "ann" and asked


def test_a_password_of_netrc_is_not_sent(daemon, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password wrong\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert nel_slurmd.Client(daemon.base, daemon.tokens["ann"]).whoami()["user"] == "ann"


def test_what_it_needs_to_begin_is_said(tmp_path, monkeypatch):
    monkeypatch.delenv("NEL_URL", raising=False)
    with pytest.raises(nel_slurmd.NelError, match="set NEL_URL"):
        nel_slurmd.Client()
    (tmp_path / "token").write_text("nel_x\n")
    (tmp_path / "token").chmod(0o644)
    monkeypatch.setenv("NEL_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(nel_slurmd.NelError, match="chmod 600"):
        nel_slurmd.Client("http://127.0.0.1:1")
    with pytest.raises(nel_slurmd.Unreachable, match="no answer from http://127.0.0.1:1: "):
        nel_slurmd.Client("http://127.0.0.1:1", "nel_x", patience_s=0).whoami()


def test_events_miss_and_repeat_nothing_when_the_service_is_killed(fresh):
    daemon = fresh()
    daemon.start()
    nel = nel_slurmd.Client(daemon.base, daemon.tokens["ann"], patience_s=60)
    nel.submit(CONFIG)
    events = nel.events(after=0)
    got = list(islice(events, 2))
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    timer = threading.Timer(1, daemon.start)
    timer.start()
    identity = nel_slurmd.Client(daemon.base, daemon.tokens["ann"], patience_s=60).submit(CONFIG)["id"]
    timer.join()
    while got[-1]["evaluation"] != identity or got[-1]["kind"] != "evaluation.submitted":
        got.append(next(events))
    assert [event["seq"] for event in got] == list(range(1, len(got) + 1))


def test_a_log_is_followed_to_its_end(daemon, nel, ann):
    """Of a job that has ended before it wrote one."""
    identity = nel.submit(CONFIG)["id"]
    nel.cancel(identity)
    nel.wait(identity, progress=False)
    assert "".join(nel.follow_log(identity)) == ""


def test_tables_ask_for_pandas_only_when_they_are_made(daemon):
    program = ("import sys; sys.modules['pandas'] = None; sys.path.insert(0, sys.argv[1])\n"
               "from nel_slurmd import Client, NelError\n"
               "nel = Client(sys.argv[2], sys.argv[3]); list(nel.results())\n"
               "try: nel.results_frame()\nexcept NelError as error: print(error)\n")
    done = subprocess.run([sys.executable, "-c", program, str(ROOT / "examples/python"), daemon.base, daemon.tokens["ann"]],
                          capture_output=True, text=True, check=True)
    assert "pip install 'nel-slurmd-client[pandas]'" in done.stdout


class Unkind(http.server.BaseHTTPRequestHandler):
    """Says twice that it is busy, and cuts every transfer of a file after 1,000 bytes."""

    protocol_version = "HTTP/1.1"
    body = bytes(range(256)) * 16

    def do_GET(self):
        self.server.seen.append((self.path, self.headers["Range"], self.headers["If-Range"]))
        if "/artifacts/" not in self.path:
            self.answer_busy() if len(self.server.seen) < 3 else self.answer(200, b'{"user": "ann"}', "application/json", 1000)
        elif self.headers["Range"] and self.headers["If-Range"] == '"x"':
            begin = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.answer(206, self.body[begin:], "application/octet-stream", 1000)
        else:
            self.answer(200, self.body, "application/octet-stream", 1000)

    def answer_busy(self):
        self.send_response(503)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, status, body, kind, most):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:most])
        self.close_connection = len(body) > most

    def log_message(self, *_):
        pass


@pytest.fixture
def unkind():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unkind)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_busy_is_waited_out(unkind):
    nel = nel_slurmd.Client(f"http://127.0.0.1:{unkind.server_port}", "t", patience_s=20)
    assert nel.whoami()["user"] == "ann"
    assert len(unkind.seen) == 3
    unkind.seen.clear()
    with pytest.raises(nel_slurmd.Busy):
        nel_slurmd.Client(f"http://127.0.0.1:{unkind.server_port}", "t", patience_s=-1).whoami()


def test_a_transfer_that_breaks_off_goes_on(unkind, tmp_path):
    nel = nel_slurmd.Client(f"http://127.0.0.1:{unkind.server_port}", "t", patience_s=20)
    file = nel.download("0123456789abcdef.0", "a b/samples.jsonl", tmp_path / "samples")
    assert file.read_bytes() == Unkind.body
    assert [path for path, _, _ in unkind.seen][0].endswith("/artifacts/a%20b/samples.jsonl")
    assert [range for _, range, _ in unkind.seen] == [None, "bytes=1000-", "bytes=2000-", "bytes=3000-", "bytes=4000-"]
    assert list(tmp_path.iterdir()) == [file]
