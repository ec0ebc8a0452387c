"""examples/nelctl, the command for people, against a real daemon: submitting, errors and exit codes, a bad network, and where
tokens and secrets may not be seen. Looking: test_nelctl_looking.py."""

import json
import os
import re
import socket
import stat
import subprocess
import threading

import pytest
import requests
from conftest import CONFIG, ROOT, wait_until
from nel_command import NEL, NO_ID, Nel, answering, of_ann, set_state

nel = pytest.fixture(of_ann)


def test_help_is_the_script_s_own_text_and_names_everything(nel):
    text = nel("help")
    head = NEL.read_text().split("set -euo pipefail")[0].splitlines()[1:]
    assert text.splitlines() == [line.removeprefix("#").removeprefix(" ") for line in head]
    assert text == nel() == nel("--help")
    lines = [line for line in text.splitlines() if line.startswith("  nelctl ")]
    assert len(lines) == len(set(lines))
    for command in re.findall(r"^cmd_(\w+)\(\)", NEL.read_text(), re.M):
        assert re.search(rf"\b{command}\b", text), command


def test_manual_has_what_exit_codes_tokens_and_replies_are():
    text = re.sub(r"\\f[BIRP]|^\.[BI]R? +", "", (ROOT / "daemon/man/nelctl.1").read_text(), flags=re.M).replace("\\-", "-")
    text = re.sub(r" \.\n", ".\n", text)
    codes = dict(re.findall(r"^\.TP\n(\d)\n(.*?)(?=^\.TP|^\.SH)", text.partition("EXIT STATUS")[2], re.M | re.S))
    assert sorted(codes) == list("0123456")
    assert "With gate:\nblock." in codes["1"] and "With gate:\ninconclusive ,\nand nothing else." in codes["2"]
    assert "With gate also:\nused wrongly" in codes["4"]
    assert "With cluster check and run --check also:\na check is not ok" in codes["4"]
    assert "A login (see login) comes before the default file" in text
    assert re.search(r"without a body, as to secret set and\s+secret rm, prints nothing", text)
    for page in (text, (ROOT / "README.md").read_text().replace("`", "")):
        assert re.search(r"NEL_URL must (?:then )?be the service's http:// or https:// address, and a token is\s+needed", page)


@pytest.mark.parametrize("words, says", [
    (["bogus"], "no command 'bogus'"), (["run"], "wants a config"), (["run", "no such.yaml"], "'no such.yaml'"),
    (["run", "config.yaml", "-o"], "-o wants a value"), (["run", "config.yaml", "--label", "x"], "KEY=VALUE"),
    (["run", "config.yaml", "--frobnicate"], "--frobnicate"), (["run", "config.yaml", "a.b=c"], "follow -o"),
    (["run", "config.yaml", "--env-file", "none"], "'none'"), (["status", "x"], "no id"), (["status", "--watch"], "wants an id"),
    (["campaign"], "create, ls"), (["campaign", "create"], "wants the file"), (["campaign", "create", "config.yaml"], "no JSON object"),
    (["campaign", "show", "x"], "wants the id"), (["campaign", "ls", "x"], "no argument x"),
    (["kill"], "wants the id"), (["kill", "x.y"], "no id"), (["ls", "--statue", "x"], "--statue"),
    (["results", NO_ID, NO_ID], "one id"), (["results", "--refresh"], "one job"), (["logs"], "id of a job"),
    (["usage", "ID"], "no argument ID"), (["usage", "--by"], "--by wants a value"), (["usage", "--month", "2026-13"], "2026-01"),
    (["usage", "--month", "2026-01", "--since", "2d"], "leave --since"), (["usage", "--since", "now"], "--since wants a time"),
    (["ls", "--limit", "many"], "whole number"), (["artifacts"], "id of a job"), (["run", "config.yaml", "--key", "a b"], "--key"),
    (["ls", "--since", "2026-13-45"], "--since wants a time"), (["ls", "--until", "2026-01-01T"], "--until wants a time"),
    (["ls", "--since", "2026-01-31T25:00:00Z"], "--since wants a time"), (["results", "--baseline", "x"], "belongs to --matrix"),
    (["resume", f"{NO_ID}.0", NO_ID], "one id"), (["export", NO_ID, NO_ID], "one id"), (["logs", NO_ID, "a", "b"], "one log"),
    (["cluster", "check", "alpha", "beta"], "one cluster"), (["secret", "ls", "X"], "takes no name"),
    (["secret", "rm", "X", "Y"], "one name"), (["info", NO_ID, "--config", "--logs"], "one of --config and --logs"),
    (["artifacts", "--list", f"{NO_ID}.0"], "no option --list"), (["artifacts", f"{NO_ID}.0", "x", "--tar"], "a path or --tar"),
    (["--version"], "nel-slurmd --version"), (["ls", "--limit", "0"], "--limit must be 1 or more"), (["ls", "--limit=00"], "1 or more"),
    (["results", "--limit", "0", "--csv"], "1 or more"), (["campaign", "ls", "--limit", "0"], "1 or more"),
    (["logs", "--tail", "0", f"{NO_ID}.0"], "--tail must be 1 or more"), (["status", "--watch=yes", NO_ID], "--watch=yes"),
    (["ls", "--statue=x"], "--statue=x"), (["ls", "--limit="], "whole number"),
])
def test_wrong_arguments_end_with_2(nel, words, says):
    assert nel(*words, code=2) == "" and says in nel.err


@pytest.mark.parametrize("env, says", [
    ({"NEL_URL": "localhost:8990"}, "http://"), ({"NEL_TOKEN": "a\nb"}, "character"), ({"NEL_PATIENCE": "long"}, "NEL_PATIENCE"),
    ({"NEL_INTERVAL": "x"}, "NEL_INTERVAL"), ({"NEL_TOKEN": "", "NEL_TOKEN_FILE": "/nonexistent"}, "cannot be read"),
])
def test_wrong_variables_end_with_2(nel, env, says):
    nel("whoami", code=2, env=env)
    assert says in nel.err


def test_run_prints_the_id_and_warnings_apart(nel, ann):
    identity = nel("run", "config.yaml").strip()
    assert ann.get(f"/v1/evaluations/{identity}").json()["user"] == "ann"
    assert "warning: /execution/gres" in nel.err


def test_run_with_odd_names_labels_overrides_and_secrets(nel, ann, daemon):
    odd = nel.folder / 'odd "name"; x, \\y'
    odd.mkdir()
    with_key = CONFIG.replace("model_id: org/model", "model_id: org/model\n    api_key_name: API_KEY")
    (odd / "c onfig;x.yaml").write_text(with_key)
    (odd / "env file").write_text("API_KEY=from-the-file\n")
    words = ["run", str(odd / "c onfig;x.yaml"), "--env-file", str(odd / "env file"), "--label", "a b=c=d:e;f", "--label", "n=",
             "-o", "++execution.sbatch_comment='@file <b>'", "--override", "execution.walltime=02:00:00"]
    body = ann.get(f"/v1/evaluations/{nel(*words).strip()}").json()
    assert body["labels"] == {"a b": "c=d:e;f", "n": ""}
    resolved = ann.get(f"/v1/evaluations/{body['id']}/config?form=resolved").json()
    assert resolved["execution"]["sbatch_comment"] == "@file <b>" and resolved["execution"]["walltime"] == "02:00:00"
    assert body["id"] in nel("ls", "--label", "a b=c=d:e;f")


def test_run_of_json_and_of_standard_input(nel, ann):
    (nel.folder / "config.json").write_text(json.dumps({"config": "no envelope"}))
    nel("run", "config.json", code=4)
    identity = nel("run", "-", stdin=CONFIG, ).strip()
    assert ann.get(f"/v1/evaluations/{identity}/config").text == CONFIG


def test_run_of_a_wrong_config_shows_every_place(nel):
    (nel.folder / "bad.yaml").write_text(CONFIG.replace("mount_home: false", "mount_hom: false").replace("account: acct", "a: b"))
    nel("run", "bad.yaml", code=4)
    assert re.search(r"line \d+, column \d+: /execution/mounts/mount_hom: .*mount_home", nel.err)
    assert re.search(r"^  warning: line \d+, column \d+: /execution/a: Unknown key", nel.err, re.M)
    assert "/execution/account" in nel.err and "(422)" in nel.err


def test_one_error_is_said_once(nel):
    (nel.folder / "campaign.json").write_text(json.dumps({"name": "x", "parameter": "a.b", "values": ["1"]}))
    nel("campaign", "create", "campaign.json", code=4)
    assert nel.err == "nelctl: Bad Request (400): /config: is missing: an object or a string of YAML\n"
    nel("run", "config.yaml", "--strict", "-o", "+execution.partitoin=x", code=4)
    assert nel.err.count("did you mean 'partition'") == 1
    assert nel.err.startswith("nelctl: Unprocessable Content (422): the config has 1 problem:\n  line 5, column 1: /execution/partitoin: Unknown")
    place = {"line": None, "column": None, "pointer": "", "message": "wrong"}
    for detail, errors, told in (("wrong", [place], "wrong\n"), ("both", [place] * 2, "both\n  wrong\n  wrong\n"), ("wrong", [], "wrong\n"),
                                 ("other", [place], "other\n  wrong\n"), ("a\nb", [place | {"message": "b"}], "a b\n")):
        with answering(lambda _, detail=detail, errors=errors: (400, {}, {"title": "T", "status": 400, "detail": detail, "errors": errors})) as url:
            nel("whoami", code=4, env={"NEL_URL": url})
        assert nel.err == f"nelctl: T (400): {told}", detail


def test_run_strict_and_dry_run_store_nothing(nel, ann):
    before = len(ann.get("/v1/evaluations?limit=500").json()["items"])
    nel("run", "config.yaml", "--strict", "-o", "+execution.partitoin=x", code=4)
    assert "did you mean" in nel.err
    text = nel("run", "config.yaml", "--dry-run")
    assert "2 jobs on alpha" in text and "simple_evals.mmlu_pro" in text
    assert json.loads(nel("run", "config.yaml", "--dry-run", "--json"))["jobs"][0]["script"].startswith("#!/bin/bash")
    assert "2 jobs on alpha" in nel("run", "config.yaml", "--dry-run", "-n")
    assert "2 jobs on alpha" in nel("run", "config.yaml", "-n", "--strict", "--reuse", "--strict", "--reuse")
    for both in (("--dry-run", "--check"), ("--check", "--dry-run"), ("--check",)):
        reply = json.loads(nel("run", "config.yaml", *both, "--json", code=4))  # nobody answers there
        assert reply["cluster_check"]["checks"][0]["ok"] is False
    assert len(ann.get("/v1/evaluations?limit=500").json()["items"]) == before


class Cutter:
    """A proxy that hands requests on and loses the first replies: the connection is cut after the daemon has answered."""

    def __init__(self, port, lose):
        self.port, self.lose, self.seen = port, lose, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        with client, socket.create_connection(("127.0.0.1", self.port)) as daemon:
            request = b""
            while b"\r\n\r\n" not in request:
                request += client.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.I)
            while length and len(body) < int(length[1]):
                body += client.recv(65536)
            self.seen.append(head)
            daemon.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
            reply = b""
            while piece := daemon.recv(65536):
                reply += piece
            if len(self.seen) > self.lose:
                client.sendall(reply)

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)  # a thread that waits in accept() would keep the port alive otherwise
        self.server.close()
        self.thread.join()


def test_run_over_a_network_that_loses_replies_runs_once(nel, daemon, ann):
    cutter = Cutter(daemon.port(), lose=2)
    label = "cut=once"
    identity = nel("run", "config.yaml", "--label", label, env={"NEL_URL": cutter.url}).strip()
    cutter.close()
    assert len(cutter.seen) == 3 and "trying again" in nel.err
    keys = {re.search(rb"idempotency-key: (\S+)", head, re.I)[1] for head in cutter.seen}
    assert len(keys) == 1
    assert [e["id"] for e in ann.get("/v1/evaluations?label=cut:once").json()["items"]] == [identity]


def test_run_with_a_key_of_one_s_own_is_the_same_evaluation(nel):
    first = nel("run", "config.yaml", "--key", "nightly-1")
    assert nel("run", "config.yaml", "--key", "nightly-1") == first
    nel("run", "config.yaml", "--key", "nightly-1", "-o", "execution.walltime=09:00:00", code=4)
    assert "Idempotency-Key" in nel.err


def test_service_that_does_not_answer_ends_with_6(nel):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nel("whoami", code=6, env={"NEL_URL": f"http://127.0.0.1:{closed.getsockname()[1]}", "NEL_PATIENCE": "1"})
    assert "no answer from http://127.0.0.1" in nel.err
    nel("whoami", code=6, env={"NEL_URL": "http://name.invalid", "NEL_PATIENCE": "0"})


def test_daemon_that_comes_back_is_waited_for(fresh, tmp_path):
    daemon = fresh()
    daemon.start()
    nel = Nel(daemon, tmp_path, NEL_PATIENCE="60")
    daemon.stop()
    client = nel.start("whoami", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert "trying again" in client.stderr.readline()
    daemon.start()
    out, _ = client.communicate(timeout=60)
    assert client.returncode == 0 and "ann (user)" in out


def test_page_prints_a_link_that_signs_in_once(nel, daemon):
    link = nel("page").strip()
    assert link.startswith(daemon.base + "/#/sign-in/")
    code = {"code": link.rpartition("/")[2]}
    assert [requests.post(daemon.base + "/v1/session", json=code, timeout=60).status_code for _ in range(2)] == [201, 401]
    nel("page", code=2, env={"NEL_URL": str(daemon.socket)})
    assert "unix socket" in nel.err


def test_wrong_and_missing_tokens_end_with_5(nel):
    nel("whoami", code=5, env={"NEL_TOKEN": "nel_" + "x" * 43})
    assert "(401)" in nel.err and "nel_x" not in nel.err
    nel("whoami", code=5, env={"NEL_TOKEN": ""})
    assert "NEL_TOKEN" in nel.err


def test_other_people_s_evaluations_end_with_5(nel, bob):
    identity = bob.submit().json()["id"]
    nel("kill", identity, code=5)
    assert "bob or an admin" in nel.err


def test_token_file_must_be_one_s_own(nel, daemon):
    file = nel.folder / ".config/nel/token"
    file.parent.mkdir(parents=True)
    file.write_text(daemon.tokens["bob"] + "\n")
    file.chmod(0o640)
    nel("whoami", code=2, env={"NEL_TOKEN": ""})
    assert "chmod 600" in nel.err
    file.chmod(0o600)
    assert nel("whoami", env={"NEL_TOKEN": ""}) == "bob (user)\n"
    assert nel("whoami") == "ann (user)\n"
    other = nel.folder / "other"
    other.write_text(daemon.tokens["eve"])
    other.chmod(stat.S_IRUSR)
    assert nel("whoami", env={"NEL_TOKEN": "", "NEL_TOKEN_FILE": str(other)}) == "eve (viewer)\n"


def test_unix_socket_needs_no_token(nel, daemon):
    for url in (str(daemon.socket), f"unix:{daemon.socket}"):
        assert "(admin)" in nel("whoami", env={"NEL_URL": url, "NEL_TOKEN": ""})


def test_token_and_secrets_are_in_no_argument(nel, daemon):
    """A curl that writes its arguments down, before the real one."""
    spy = nel.folder / "bin/curl"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" >>"{nel.folder}/arguments"\nexec /usr/bin/curl "$@"\n')
    spy.chmod(0o755)
    (nel.folder / "env").write_text("HF_TOKEN=a-secret\n")
    nel("run", "config.yaml", "--env-file", "env", "-o", "+evaluation.env_vars.HF_TOKEN=$host:HF_TOKEN",
        env={"PATH": f"{spy.parent}:{os.environ['PATH']}"})
    seen = (nel.folder / "arguments").read_text()
    assert "/v1/evaluations" in seen and daemon.tokens["ann"] not in seen and "a-secret" not in seen


def test_kill_and_resume(nel, ann):
    identity = nel("run", "config.yaml").strip()
    assert identity in nel("kill", identity) and identity in nel("kill", f"{identity}.0")
    nel("resume", NO_ID, code=4)
    nel("resume", identity, "--reset-budget", "--nonsense", code=2)


def test_kill_and_resume_say_what_was_accepted_and_no_state_from_before(nel):
    identity = nel("run", "config.yaml").strip()
    nel("kill", identity)
    wait_until(lambda: "  cancelled  " in nel("status", identity), "it is cancelled")
    assert nel("kill", identity) == f"{identity}  cancelled\n"
    assert nel("resume", identity) == f"{identity}  resuming\n"
    for before, words, says in (("failed", ["resume"], "resuming"), ("running", ["resume"], "resuming"), ("running", ["kill"], "cancelling"),
                                ("queued", ["kill"], "cancelling"), ("failed", ["kill"], "failed"), ("budget_exhausted", ["kill"], "budget_exhausted")):
        with answering(lambda _, before=before: (202, {}, {"id": NO_ID, "state": before})) as url:
            assert nel(*words, NO_ID, env={"NEL_URL": url}) == f"{NO_ID}  {says}\n"
            assert json.loads(nel(*words, NO_ID, "--json", env={"NEL_URL": url}))["state"] == before


def test_busy_service_is_asked_again_as_late_as_it_says(nel):
    busy = 429, {"Retry-After": 1}, {"title": "Too Many Requests", "status": 429, "detail": "slowly"}
    replies = iter([busy, busy, (200, {}, {"user": "ann", "role": "user"}), busy])
    with answering(lambda _: next(replies)) as url:
        assert nel("whoami", env={"NEL_URL": url}) == "ann (user)\n" and nel.err.count("slowly (429); trying again in 1 s") == 2
        nel("whoami", code=6, env={"NEL_URL": url, "NEL_PATIENCE": "0"})


def test_run_understands_the_launcher_s_options(nel, ann):
    identity = nel("run", "--config", "config.yaml", "-o", "execution.walltime=00:30:00", "-t", "lm-evaluation-harness.ifeval").strip()
    evaluation = ann.get(f"/v1/evaluations/{identity}").json()
    assert [job["task"] for job in evaluation["jobs"]] == ["lm-evaluation-harness.ifeval"]
    assert "there is no task" in (nel("run", "--config", "config.yaml", "-t", "nope", code=4) or nel.err)
    nel("run", "config.yaml", "--config", "config.yaml", code=2)
    (nel.folder / "empty.env").write_text("")
    told = nel("run", "--config", "config.yaml", "--env_file", "empty.env", "--tasks", "lm-evaluation-harness.ifeval", "-n")
    assert told.startswith("1 job on alpha, ")
    nel("run", "--config", "config.yaml", "--config-output", "x", code=2)
    assert "nelctl info ID --config" in nel.err
    assert nel("ls", "runs", "--limit", "1").splitlines()[1].split()[0] == identity
    assert "mmlu" in nel("ls", "tasks", "mmlu")
    assert "walltime" in nel("info", identity, "--config")
    assert identity in nel("info", identity)
    assert nel("export", identity, "--dest", "local").startswith("evaluation,job,user,model,")
    assert json.loads(nel("export", identity, "--format", "json"))["items"] == []
    nel("export", identity, "--dest", "wandb", code=2)
    assert "execution.auto_export.destinations" in nel.err
    nel("skills", code=2)
    assert "launcher's" in nel.err


def test_options_may_have_their_value_behind_an_equals_sign(nel, ann):
    """And a value that looks like one stays whole."""
    (nel.folder / "equals.env").write_text("")
    identity = nel("run", "--config=config.yaml", "--override=execution.walltime=00:20:00", "--label=equals=a=b", "--label", "--limit=5=x",
                   "--env-file=equals.env", "-o", "++execution.sbatch_comment=--key=5", "--task=lm-evaluation-harness.ifeval").strip()
    evaluation = ann.get(f"/v1/evaluations/{identity}").json()
    assert evaluation["labels"] == {"equals": "a=b", "--limit": "5=x"} and len(evaluation["jobs"]) == 1
    resolved = ann.get(f"/v1/evaluations/{identity}/config?form=resolved").json()["execution"]
    assert (resolved["walltime"], resolved["sbatch_comment"]) == ("00:20:00", "--key=5")
    assert identity in nel("ls", "--label=equals=a=b", "--limit=1") and identity not in nel("ls", "--label=equals=a=b", "--state=failed")
    assert json.loads(nel("ls", "--label=equals=a=b", "--limit=010", "--json"))["items"][0]["id"] == identity
    valued = set(re.search(r"^readonly valued='(.*?)'", NEL.read_text(), re.M | re.S)[1].split())
    assert valued == {*re.findall(r"(?:\[|\| )--([a-z-]+) (?:[A-Z]|local|csv)", nel("help")), "override", "task", "tasks", "env_file", "config"}
    assert nel("whoami", env={"NEL_PATIENCE": "08"}) == "ann (user)\n"
    assert nel("info", identity, "--config", "--json") == nel("info", "--config", identity)


def test_run_takes_overrides_from_a_file(nel, ann):
    (nel.folder / "site.overrides").write_text("\ufeff# of the site\n\nexecution.walltime=00:30:00\r\n  # and\nexecution.account=team")
    identity = nel("run", "config.yaml", "--overrides", "site.overrides", "-o", "execution.account=other").strip()
    config = ann.get(f"/v1/evaluations/{identity}/config?form=resolved").json()
    assert (config["execution"]["walltime"], config["execution"]["account"]) == ("00:30:00", "other")
    nel("run", "config.yaml", "--overrides", "no-such-file", code=2)
    assert "there is no file 'no-such-file'" in nel.err


def through_pipes(nel, line, code=0, **env):
    """A line of bash's, in which nelctl is the command."""
    done = subprocess.run(["bash", "-c", f'nelctl() {{ "{NEL}" "$@"; }}; {line}'], env={**nel.env, **env}, cwd=nel.folder, text=True,
                          capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    nel.err = done.stderr
    return done.stdout.strip()


def test_files_may_be_pipes_which_can_be_read_once(nel, ann, daemon):
    """Over a network that loses a reply, so that what was read is sent twice."""
    (nel.folder / "config.yaml").write_text(CONFIG.replace("model_id: org/model", "model_id: org/model\n    api_key_name: API_KEY"))
    env = "--env-file <(echo API_KEY=from-a-pipe)"
    for line in (f"nelctl run <(cat config.yaml) {env}", f"cat config.yaml | nelctl run /dev/stdin {env}",
                 f"mkfifo named.yaml; cat config.yaml >named.yaml & nelctl run --config named.yaml {env}",
                 f"nelctl run - --overrides <(echo execution.walltime=00:45:00) {env} <config.yaml"):
        cutter = Cutter(daemon.port(), lose=1)
        identity = through_pipes(nel, line, NEL_URL=cutter.url)
        cutter.close()
        assert ann.get(f"/v1/evaluations/{identity}/config").text == (nel.folder / "config.yaml").read_text(), line
    assert ann.get(f"/v1/evaluations/{identity}/config?form=resolved").json()["execution"]["walltime"] == "00:45:00"
    through_pipes(nel, "nelctl secret set OF_A_PIPE --file <(echo s3cret) && nelctl secret rm OF_A_PIPE")
    assert through_pipes(nel, f'token=$NEL_TOKEN; NEL_TOKEN="" NEL_TOKEN_FILE=<(echo "$token") nelctl whoami') == "ann (user)"
    through_pipes(nel, f"nelctl gate <(echo '{{}}') {NO_ID} {NO_ID}.0", code=4)
    assert "policy" not in nel.err


def test_directories_and_missing_files_are_refused(nel):
    for name in (".", "none", "/dev/fd/99"):
        for words in (["run", name], ["run", "config.yaml", "--overrides", name], ["run", "config.yaml", "--env-file", name],
                      ["campaign", "create", name], ["campaign", "create", "config.yaml", "--config", name],
                      ["secret", "set", "X", "--file", name]):
            nel(*words, code=2)
            assert f"there is no file '{name}' that can be read" in nel.err, words


def set_beginning(daemon, identity, digits):
    daemon.execute("UPDATE evaluations SET id = ?1 || substr(id, 9) WHERE id = ?2", digits, identity)
    daemon.execute("UPDATE jobs SET id = ?1 || substr(id, 9), evaluation = ?1 || substr(evaluation, 9) WHERE evaluation = ?2", digits,
                   identity)


def test_ids_may_be_cut_short_as_long_as_they_are_unique(nel, ann, daemon):
    identity = ann.submit(CONFIG).json()["id"]
    set_beginning(daemon, identity, "feedbeef")
    other = ann.submit(CONFIG).json()["id"]
    assert "feedbeef" in nel("status", "feedbee")
    assert "feedbeef" in nel("status", "feedbeef.0")
    nel("status", "fee", code=2)
    taken = {row[0] for row in daemon.execute("SELECT substr(id, 1, 4) FROM evaluations")}
    nel("status", next(f"{n:04x}" for n in range(65536) if f"{n:04x}" not in taken), code=4)
    assert "no evaluation whose id begins with" in nel.err
    set_beginning(daemon, other, "feedbee0")
    nel("status", "feedbee", code=2)
    assert "several ids begin with feedbee" in nel.err


def test_run_and_wait_end_with_the_scores(nel, ann, daemon):
    process = nel.start("run", "config.yaml", "--wait", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    identity = process.stdout.readline().strip()
    daemon.execute("INSERT INTO results (job, task, is_group, metric, score, value, recorded_at) SELECT seq, 'ifeval', 0, 'acc',"
                   " 'acc', 0.625, 1 FROM jobs WHERE evaluation = ? LIMIT 1", identity)
    set_state(daemon, identity, "succeeded")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert re.search(r"ifeval +acc +acc +0\.625", out)


def test_errors_name_the_option_and_not_the_query_s_parameter(nel):
    nel("ls", "--state", "bogus", code=4)
    assert "--state" in nel.err and "query parameter" not in nel.err
    nel("ls", "--since", "2026-01-31T12:00", code=4)  # no zone
    assert "--since must be a time" in nel.err and "in a query" not in nel.err
    nel("run", "config.yaml", "-o", "evaluation.tasks=[{name: no_such_task}]", code=4)
    assert "nelctl tasks lists those that are" in nel.err and "/v1/" not in nel.err


def test_help_of_one_command_has_its_lines_alone(nel):
    for command in re.findall(r"^cmd_(\w+)\(\)", NEL.read_text(), re.M):
        told = nel(command, "--help", env={"NEL_URL": "nowhere"})
        assert told == nel(command, "-h") != "" and f" {command}" in told.splitlines()[0], command
        assert all(line.startswith("  nelctl ") or line.startswith("      ") for line in told.splitlines()), told
        assert told.count("  nelctl ") == {"campaign": 2, "secret": 2, "cluster": 2}.get(command, 1), told


def test_socket_that_nobody_listens_at_is_a_sentence(nel, tmp_path):
    nel("whoami", code=6, env={"NEL_URL": str(tmp_path / "none.sock"), "NEL_PATIENCE": "0"})
    assert "there is no socket" in nel.err and "localhost" not in nel.err
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "dead.sock"))
        nel("whoami", code=6, env={"NEL_URL": str(tmp_path / "dead.sock"), "NEL_PATIENCE": "0"})
    assert "nothing answers at the socket" in nel.err and "port 80" not in nel.err


def test_secrets_are_kept_from_standard_input(nel, ann):
    nel("secret", "set", "NELCTL_KEY", stdin="s3cret-of-nelctl\n")
    assert "NELCTL_KEY" in nel("secret", "ls")
    nel("secret", "set", "NELCTL_KEY", "s3cret", code=2)
    assert "never an argument" in nel.err
    nel("secret", "set", "not a name", code=2, stdin="x")
    nel("secret", code=2)
    assert "set, ls or rm" in nel.err
    assert nel("secret", "set", "NELCTL_KEY", "--json", stdin="s3cret") == ""  # a reply without a body
    assert nel("secret", "rm", "NELCTL_KEY", "--json") == ""
    assert "NELCTL_KEY" not in nel("secret", "ls")


def test_cluster_check_names_what_is_missing(nel):
    told = nel("cluster", "check", "alpha", "--account", "acct", code=4)
    assert re.search(r"^NOT OK  login: .+; .+", told, re.M)
    nel("cluster", "check", "nope", code=4)
    assert "no cluster nope" in nel.err
    nel("cluster", "check", code=2)
    nel("cluster", "list", code=2)


def test_cluster_check_speaks_of_its_own_options(nel):
    """Of a cluster that has nothing missing, and nodes that were not asked."""
    check = {"name": "curl", "ok": None, "hint": None, "message": "not checked: ?job=true asks one, by a job of a moment"}
    with answering(lambda _: (200, {}, {"checks": [check]})) as url:
        env = {"NEL_URL": url}
        assert nel("cluster", "check", "x", env=env) == "?  curl: not checked: --job asks one, by a job of a moment\n"
        assert "?job=true" in nel("cluster", "check", "x", "--json", env=env)  # the service's own reply


def test_campaign_from_a_file_to_its_end(nel, daemon):
    nel.folder.joinpath("campaign.json").write_text(json.dumps({
        "name": "curve", "parameter": "target.api_endpoint.model_id", "values": ["org/final", "org/step-9", "org/step-10"], "live": 1}))
    words = ["campaign", "create", "campaign.json", "--config", "config.yaml", "--key", "of-mine"]
    identity = nel(*words).strip()
    assert re.fullmatch("[0-9a-f]{16}", identity) and nel(*words).strip() == identity
    rows = nel("campaign", "ls", "--user", "ann").splitlines()
    assert len(rows) == 2 and rows[1].split()[:2] == [identity, "active"] and rows[1].endswith("curve")
    wait_until(lambda: any("org/step-10" in line and " waiting " not in line
                           for line in nel("campaign", "show", identity).splitlines()), "the newest is submitted")
    assert nel("campaign", "pause", identity).startswith(f"{identity}  paused  curve\n")
    assert nel("campaign", "resume", identity).startswith(f"{identity}  active  curve\n")
    shown = nel("campaign", "cancel", identity).splitlines()
    assert shown[0] == f"{identity}  cancelled  curve"
    assert [line.split()[0] for line in shown[2:]] == ["9", "10", "-"]  # by their steps; without one last
    assert json.loads(nel("campaign", "show", identity, "--json"))["state"] == "cancelled"
    nel("campaign", "resume", identity, code=4)
    assert "has been cancelled" in nel.err


def test_campaigns_ids_may_be_cut_short_and_options_stand_anywhere(nel, daemon):
    nel.folder.joinpath("campaign.json").write_text(json.dumps({
        "name": "short", "parameter": "target.api_endpoint.model_id", "values": ["org/step-1"], "live": 1}))
    words = ["campaign", "create", "campaign.json", "--config", "config.yaml"]
    first, second = nel(*words).strip(), nel(*words).strip()
    nel("campaign", "cancel", second)
    for action, state in (("pause", "paused"), ("resume", "active"), ("cancel", "cancelled"), ("show", "cancelled")):
        assert nel("campaign", action, first[:15]).startswith(f"{first}  {state}  short\n"), action
    assert nel("campaign", "show", "--csv", first[:15]) == nel("campaign", "show", first, "--csv") != ""
    for identity, digits in ((first, "cafecaf0"), (second, "cafecaf1")):
        daemon.execute("UPDATE campaigns SET id = ?1 || substr(id, 9) WHERE id = ?2", digits, identity)
    nel("campaign", "show", "cafecaf", code=2)
    assert "several campaigns' ids begin with cafecaf" in nel.err
    assert nel("campaign", "show", "cafecaf0").startswith("cafecaf0")
    nel("campaign", "show", "cafecaf2", code=4)
    assert "no campaign whose id begins with cafecaf2" in nel.err
    for words, says in ((["show", "caf"], "first 4"), (["show"], "wants the id"), (["pause", first, "--csv"], "no option --csv"),
                        (["show", first, second], "one id")):
        nel("campaign", *words, code=2)
        assert says in nel.err, words


def test_campaign_and_its_config_may_be_pipes(nel):
    (nel.folder / "campaign.json").write_text(json.dumps({
        "name": "pipes", "parameter": "target.api_endpoint.model_id", "values": ["org/a"], "live": 1}))
    made = through_pipes(nel, "nelctl campaign create <(cat campaign.json) --config <(cat config.yaml)")
    assert nel("campaign", "cancel", made).startswith(f"{made}  cancelled  pipes")


def test_campaign_of_the_examples_is_taken(nel):
    deploys = CONFIG.replace("deployment: none", "deployment: vllm")
    (nel.folder / "deploys.yaml").write_text(deploys[:deploys.index("target:")] + "deployment: {served_model_name: m}\n"
                                             + deploys[deploys.index("evaluation:"):])
    made = [nel("campaign", "create", str(ROOT / "examples/campaigns" / name), "--config", "deploys.yaml").strip()
            for name in ("checkpoints.json", "watch.json")]
    assert all(re.fullmatch("[0-9a-f]{16}", identity) for identity in made)
    watch = "watches alpha:/shared/checkpoints/llama-3.1/step_*  ("
    wait_until(lambda: watch in nel("campaign", "show", made[1]), "what keeps the directory from being looked at")
    assert "watches" not in nel("campaign", "show", made[0])
