"""A simulated Slurm behind a real sshd, a daemon that uses it, and the check that everything happened exactly once.
For tests/e2e/test_faults.py, tests/sim/faults and tests/bench/scale."""

import contextlib
import glob
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/api"))
from ports import free_port  # noqa: E402

ENDS = ("succeeded", "failed", "cancelled", "budget_exhausted")
LIVE = ("PENDING", "RUNNING")

CONFIG = {
    "defaults": [{"execution": "slurm/default"}, {"deployment": "none"}, "_self_"],
    "execution": {
        "hostname": "login.sim.example",
        "account": "team",
        "partition": "cpu",
        "gres": None,
        "walltime": "01:00:00",
        "mounts": {"mount_home": False},
    },
    "target": {"api_endpoint": {"url": "https://models.example.com/v1/chat/completions", "model_id": "m"}},
}


SHARED = {"defaults": [{"execution": "slurm/default"}, {"deployment": "vllm"}, "_self_"],
          "deployment": {"checkpoint_path": "/usr/lib/openssh", "served_model_name": "m"}}
sharing = threading.local()  # .on: the worlds of this thread submit evaluations whose tasks share a deployment


class Wrong(AssertionError):
    """What the daemon promised did not hold."""


class Sim:
    """The simulated cluster; ctl() is tests/sim/ctl."""

    def __init__(self, directory):
        self.directory = directory
        self.environment = dict(os.environ, NEL_SIM_DIR=directory, NEL_SIM_PORT=str(free_port()))
        self._run("up")
        with open(f"{directory}/env", encoding="utf-8") as file:
            self.settings = dict(line.rstrip("\n").split("=", 1) for line in file)
        self.output = f"{directory}/output"

    def _run(self, name, *words):
        done = subprocess.run([ROOT / "tests/sim" / name, *map(str, words)], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"tests/sim/{name} {words}: {done.stdout}{done.stderr}")
        return done.stdout

    def ctl(self, *words):
        answer = self._run("ctl", *words)
        return json.loads(answer) if answer else None

    def set(self, **knobs):
        self.ctl("set", *(f"{name}={value}" for name, value in knobs.items()))

    def sshd_pid(self):
        return int(Path(self.directory, "sshd.pid").read_text())

    def _processes(self):
        """Everything that a session of this login node started and that still runs, and the sessions."""
        mark = f"NEL_SIM_SOCKET={self.directory}/socket".encode()
        sessions, rest = sshd_sessions(self.sshd_pid()), []
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                if pid not in sessions and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    rest.append(pid)
        return sessions, [pid for pid in rest if not self._is_simulator(pid)]

    def _is_simulator(self, pid):
        return str(pid) == Path(self.directory, "simulator.pid").read_text().strip()

    def left(self):
        return self._processes()[1]

    @staticmethod
    def tell(pid):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")[:200]

    @staticmethod
    def _kill(pids):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def cut(self):
        """The connections break; what they had started on the login node goes on."""
        self._kill(self._processes()[0])

    def crash(self):
        """The login node breaks down with all that runs on it, and is there again."""
        sessions, rest = self._processes()
        self._kill(sessions + rest)

    def stop(self, keep=False):
        """keep: the directory stays."""
        if keep:
            self._kill([self.sshd_pid(), int(Path(self.directory, "simulator.pid").read_text())])
        else:
            self._run("down")


class World:
    """One simulated cluster, and one daemon at a time."""

    def __init__(self, binary, **cluster):
        self.binary = str(binary)
        self.directory = tempfile.mkdtemp(prefix="nel-sim-")
        os.chmod(self.directory, 0o755)
        self.mounts = []
        self.closers = []  # called at the end, the last one first
        self.daemon = None
        self.shared = getattr(sharing, "on", False)
        self.checkpoint = None  # a directory: evaluations are of it, and may be answered with the scores of equal ones
        self.evaluations = []
        self.removed = set()  # evaluations whose directories a test has removed when all was evaluated
        self.closing = threading.Event()
        self.sim = Sim(f"{self.directory}/sim")
        self.database = f"{self.directory}/nel.db"
        self.cluster = {"name": "sim", "hostname": "login.sim.example", "address": "127.0.0.1",
                        "port": int(self.sim.settings["NEL_SIM_PORT"]), "poll_interval_s": 1,
                        "connect_timeout_s": 5, "command_timeout_s": 60, "absence_deadline_s": 60, "results_wait_s": 2,
                        "known_hosts_file": self.sim.settings["NEL_SIM_KNOWN_HOSTS"],
                        "identity": {"username": self.sim.settings["NEL_SIM_USER"],
                                     "key_file": self.sim.settings["NEL_SIM_KEY"]}, **cluster}
        self.others = []  # settings of further clusters
        self.limits = {"active_jobs_per_user": 100000, "submitted_jobs_per_user": 100000, "requests_per_second": 100000}
        self.socket_port = free_port()
        self.questions = None  # of each job, as check() found
        self.aging = threading.Thread(target=self._age_claims, daemon=True)

    # ---- the daemon ----

    def settings_file(self, port=None, database=None):
        path = f"{self.directory}/settings-{port or self.socket_port}.json"
        settings = {"listen": [f"127.0.0.1:{port or self.socket_port}"], "database": database or self.database,
                    "master_key_file": f"{self.directory}/master.key", "log_level": "info",
                    "limits": self.limits,
                    "clusters": [self.cluster, *self.others]}
        Path(path).write_text(json.dumps(settings), encoding="utf-8")
        return path

    def prepare(self):
        settings = self.settings_file()
        for words in (["keygen"], ["migrate"]):
            subprocess.run([self.binary, *words, "--config", settings], check=True, capture_output=True)
        self.token = subprocess.run([self.binary, "user", "add", "tester", "--role", "user", "--config", settings],
                                    check=True, capture_output=True, text=True).stdout.strip()
        self.aging.start()

    def start(self, fault=None, wait=True):
        environment = dict(os.environ)
        environment.pop("NEL_FAULT_POINT", None)
        if fault:
            environment["NEL_FAULT_POINT"] = fault
        with open(f"{self.directory}/daemon.log", "ab") as log:
            self.daemon = subprocess.Popen([self.binary, "--config", self.settings_file()], env=environment,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.await_ready()

    def await_ready(self):
        until(lambda: self.daemon.poll() is not None or self.request("GET", "/readyz")[0] == 200, 90, "readyz")
        if self.daemon.poll() is not None:
            raise Wrong("the daemon did not start")

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()

    def stop(self):
        self.daemon.terminate()
        return self.daemon.wait(60)

    def died_of_fault(self, seconds=90):
        """Waits until the daemon has died at its fault point."""
        try:
            status = self.daemon.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        if status != -signal.SIGKILL:
            raise Wrong(f"the daemon ended with {status}, not by its fault point")
        return True

    def log(self):
        return Path(f"{self.directory}/daemon.log").read_text(encoding="utf-8", errors="replace")

    # ---- requests ----

    def request(self, method, path, body=None, headers=()):
        """(status, document); status 0 when there is no daemon to answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.socket_port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json",
                                **dict(headers)})
            reply = connection.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        try:
            return reply.status, json.loads(text)
        except ValueError:
            return reply.status, text

    def get(self, path):
        status, document = self.request("GET", path)
        if status != 200:
            raise Wrong(f"GET {path}: {status} {document}")
        return document

    def config(self, tasks=1, output=None, **execution):
        if self.shared:
            at_once = (True, 2)[len(self.evaluations) % 2]
            tasks, execution = tasks + 1, {"share_deployment": at_once, **execution}
        base = CONFIG
        if self.shared or self.checkpoint:
            base = {name: CONFIG[name] for name in CONFIG if name != "target"} | SHARED
        if self.checkpoint:
            base = {**base, "deployment": {**base["deployment"], "checkpoint_path": str(self.checkpoint)}}
        return {**base, "execution": {**CONFIG["execution"], "output_dir": output or self.sim.output, **execution},
                "evaluation": {"tasks": [{"name": "lm-evaluation-harness.ifeval"}] * tasks}}

    def post(self, seconds=120, **config):
        """Submits an evaluation, again and again under one key until there is an answer; its id."""
        key = uuid.uuid4().hex
        body = self.config(**config)
        found = until(lambda: self._post_once(key, body), seconds, "an answer to POST")
        self.evaluations.append(found)
        return found

    def _post_once(self, key, body):
        path = "/v1/evaluations?reuse=true" if self.checkpoint else "/v1/evaluations"
        status, document = self.request("POST", path, body, {"Idempotency-Key": key})
        if status == 202:
            return document["id"]
        if status in (0, 500, 503):
            return None
        raise Wrong(f"POST: {status} {document}")

    def cancel(self, evaluation):
        self.ask_of("cancel", f"evaluations/{evaluation}")

    def cancel_job(self, evaluation, index):
        self.ask_of("cancel", f"jobs/{evaluation}.{index}")

    def resume_job(self, evaluation, index):
        self.ask_of("resume", f"jobs/{evaluation}.{index}")

    def ask_of(self, action, what):
        def ask():
            return self.request("POST", f"/v1/{what}/{action}", {})[0] in (200, 202, 409) or None

        until(ask, 120, f"an answer to {action}")

    def evaluation(self, evaluation):
        return self.get(f"/v1/evaluations/{evaluation}")

    def states(self, evaluation):
        return [job["state"] for job in self.evaluation(evaluation)["jobs"]]

    def await_state(self, evaluation, states, seconds=120):
        wanted = (states,) if isinstance(states, str) else states
        until(lambda: self._are(self.states(evaluation), wanted), seconds,
              lambda: f"{evaluation} to be {wanted}; it is {self.describe(evaluation)}")

    def _are(self, states, wanted):
        if self.shared and "running" in wanted and "running" in states:
            return all(state in (*wanted, "pending", *ENDS) for state in states)  # the others' turn comes, or was
        return all(state in wanted for state in states)

    def are_running(self, evaluation):
        """All that are in Slurm, or each but those whose turn has not come."""
        states = set(self.states(evaluation))
        return "running" in states and states <= ({"running", "pending"} if self.shared else {"running"})

    def describe(self, evaluation):
        return [(job["state"], job["reason"], job["waiting_on"], job["attempt"], job["slurm_job_id"])
                for job in self.evaluation(evaluation)["jobs"]]

    def running(self):
        """The simulator's running jobs of the daemon's."""
        return [job for job in self.sim.ctl("jobs") if job["state"] == "RUNNING" and job["dir"]]

    def owner(self, job):
        """The evaluation of one of them."""
        return next(evaluation for evaluation in self.evaluations if f"-{evaluation}." in job["name"])

    def end_all(self, state):
        for job in self.running():
            self.sim.ctl("end", job["id"], state)

    def settle(self, seconds=240):
        for evaluation in self.evaluations:
            self.await_state(evaluation, ENDS, seconds)

    # ---- the check ----

    def check(self, expect="succeeded"):
        """Every task ran exactly once to its end, nothing is left, and no end was guessed. `expect`: the state that
        every job must have, or None: the one that Slurm's states lead to."""
        found = re.search("(Thread|Address|Leak)Sanitizer.*|.*runtime error:.*", self.log())
        if found:
            raise Wrong(found[0])
        facts = self.sim.ctl("get")
        if facts["violations"] or facts["unknown"]:
            raise Wrong(f"simulated Slurm: {facts['violations']} {facts['unknown']}")
        self.questions = int(facts["questions"])
        by_name = {}
        for job in self.sim.ctl("jobs"):
            by_name.setdefault(job["name"], []).append(job)
        submitted = [submission["name"] for submission in self.sim.ctl("submissions")]
        twice = {name for name in submitted if submitted.count(name) > 1} if len(submitted) < 5000 else set()
        if twice:
            raise Wrong(f"submitted more than once: {sorted(twice)}")
        for evaluation in self.evaluations:
            for job in self.evaluation(evaluation)["jobs"]:
                self._check_job(self.get(f"/v1/jobs/{job['id']}"), by_name, expect)
        left = [job for jobs in by_name.values() for job in jobs if job["state"] in LIVE and job["dir"]]
        if left:
            raise Wrong(f"left on the cluster: {left}")

    def _check_job(self, job, by_name, expect):
        where = f"{job['id']} ({job['state']}: {job['reason']})"
        if expect is not None and job["state"] != expect:
            raise Wrong(f"{where} is not {expect}")
        if job["state"] not in ENDS:
            raise Wrong(f"{where} has not ended")
        if job["reused_from"] and (job["state"] != "succeeded" or job["attempts"]):
            raise Wrong(f"{where} is reused, and has the attempts {job['attempts']}")
        suffix = f".{job['chain'].rpartition('.c')[2]}-{job['evaluation']}."
        mine = [(name, found) for name, found in by_name.items() if suffix in name]
        numbers = {int(name.rpartition(".")[2]) for name, _ in mine}
        known = {attempt["number"]: attempt for attempt in job["attempts"]}
        if not numbers <= set(known):
            raise Wrong(f"{where}: Slurm has the attempts {numbers}, the daemon {set(known)}")
        last = job["attempts"][-1] if job["attempts"] else {"slurm_job_id": None}
        if expect is None and job["state"] == "failed" and last["slurm_job_id"] is None:
            raise Wrong(f"{where}: Slurm was never asked")
        if job["state"] == "failed" and last["slurm_job_id"] and last["slurm_state"] != "FAILED" and not self.shared:
            raise Wrong(f"{where}: its last attempt was {last}")
        completed = 0
        for name, found in mine:
            attempt = known[int(name.rpartition(".")[2])]
            if [str(one["id"]) for one in found] != [attempt["slurm_job_id"]]:
                raise Wrong(f"{where}: attempt {attempt}, in Slurm {found}")
            if attempt["slurm_state"] != found[0]["state"]:
                raise Wrong(f"{where}: attempt {attempt['number']} is {attempt['slurm_state']} to the daemon and "
                            f"{found[0]['state']} to Slurm")
            if found[0]["idle"]:
                raise Wrong(f"{where}: {found[0]} found its attempt taken")
            completed += found[0]["state"] == "COMPLETED"
        if self.shared:
            self._check_shared(job, where)
            return
        if (job["state"] == "succeeded") != (completed == 1 or job["reused_from"] is not None) or completed > 1:
            raise Wrong(f"{where}: {completed} of its attempts completed")
        if completed:
            self._check_answers(job, mine[0][1][0]["dir"], whole=True)

    def _check_shared(self, job, where):
        """One that succeeded has an end of its own, and all answers, each once. The simulated Slurm sees to it that
        nothing is evaluated after its end."""
        number = job["chain"].rpartition(".c")[2]
        record = Path(job["rundir"]).parent / f"shared.{number}/.jobs" / Path(job["rundir"]).name / "end"
        ended_well = record.exists() and record.read_text().startswith("0 ")
        if job["state"] == "failed" and not record.exists() and job["attempts"][-1]["slurm_state"] not in ("FAILED", None):
            raise Wrong(f"{where}: it has no end, and its last attempt was {job['attempts'][-1]}")
        if (job["state"] == "succeeded") != ended_well and not job["reused_from"]:
            raise Wrong(f"{where}: its end is {record.read_text() if record.exists() else 'not there'}")
        self._check_answers(job, job["rundir"], whole=job["state"] == "succeeded")

    def _check_answers(self, job, directory, whole):
        """Each question was answered by one attempt; whole: all of them were, else those that were come first."""
        try:
            with open(f"{directory}/artifacts/answered", encoding="ascii") as file:
                shares = [tuple(map(int, line.split()[:2])) for line in file]
        except FileNotFoundError:
            shares = []
        following = 1
        for first, last in shares:
            if first != following or last < first:
                raise Wrong(f"{job['id']}: answered twice or left out: {shares}")
            following = last + 1
        if whole and following - 1 != self.questions and job["evaluation"] not in self.removed:
            raise Wrong(f"{job['id']}: not all of {self.questions} questions were answered in {directory}: {shares}")

    def check_gone(self, seconds=20):
        """Whatever went wrong: nothing that was started on the login node outlives its connection by more than some
        seconds."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.kill()
        until(lambda: not self.sim.left(), seconds,
              lambda: f"processes on the login node to end: {[self.sim.tell(pid) for pid in self.sim.left()]}")

    # ---- the surroundings ----

    def _age_claims(self):
        """remote_submit.sh lets a claim without a marker be for a minute, in which an sbatch on its way may arrive. To
        save that minute the claim is made to look older once it is some seconds old."""
        done = set()
        while not self.closing.wait(0.5):
            for claim in glob.glob(f"{self.directory}/**/.submitted/*", recursive=True, include_hidden=True):
                with contextlib.suppress(OSError):
                    if claim in done or os.path.exists(f"{claim}/id"):
                        done.add(claim)
                    elif time.time() - os.stat(claim).st_mtime > 5:
                        os.utime(claim, (time.time() - 90, time.time() - 90))

    def disk(self, name, size, options=""):
        """A small file system of its own."""
        path = f"{self.directory}/{name}"
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755{options}", "tmpfs", path], check=True)
        self.mounts.append(path)
        return path

    def close(self, keep=False):
        self.closing.set()
        if self.daemon is not None and self.daemon.poll() is None:
            self.kill()
        if self.aging.is_alive():
            self.aging.join()
        for closer in reversed(self.closers):
            closer()
        self.sim.crash()
        self.sim.stop(keep)
        if not keep:
            for path in self.mounts:
                subprocess.run(["umount", "-l", path], check=False)
            shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def world(binary, **cluster):
    """A world with a prepared store and no daemon yet. When something goes wrong its directory is kept if
    $NEL_SIM_KEEP is set."""
    made = World(binary, **cluster)
    failed = True
    try:
        made.prepare()
        yield made
        made.check_gone()
        failed = False
    except Wrong as wrong:
        wrong.add_note(f"the daemon's log ends:\n{made.log()[-3000:]}") if hasattr(wrong, "add_note") else None
        raise
    finally:
        made.close(keep=failed and bool(os.environ.get("NEL_SIM_KEEP")))


def sshd_sessions(listener):
    """The processes of a listener's sessions. A session has two, of which the second has the connection, for root too since
    OpenSSH 9.9."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            comm, _, rest = Path(f"/proc/{name}/stat").read_text().partition("(")[2].rpartition(")")
            if comm.startswith("sshd"):
                children.setdefault(int(rest.split()[1]), []).append(int(name))
    found = children.get(listener, [])
    for pid in found:
        found += children.get(pid, [])
    return found


def until(ask, seconds, what):
    """Asks until the answer is true; the answer."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Wrong(f"waited {seconds} s for {what() if callable(what) else what}")
        time.sleep(0.05)


def fill(directory, leave=0):
    """Fills a small file system but for so many KiB; the file that does it."""
    path = f"{directory}/.filling"
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)
    size = os.path.getsize(path)
    os.truncate(path, max(0, size - leave * 1024))
    return path
