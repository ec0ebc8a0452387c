"""Submits many evaluations at once: each is a function that makes its config, next to the tests that look at how it went."""

import re
import shlex
from pathlib import Path

from configs import MODEL, task
from testbed import wait_for

TIMEOUT_S = 400  # of all together, on two busy cores
FIRST_PORT = 20000  # below the kernel's own, and a range for each evaluation, for those on one node share its ports
PORTS = 20


class Submissions:
    """The evaluations of one module, by the names of the functions that make their configs."""

    def __init__(self):
        self.made = {}
        self.evaluations = {}
        self.daemon = None

    def add(self, cluster="alpha", role="admin", env=None, overrides=()):
        """The decorator of a function (site) -> config."""
        def register(make):
            port = FIRST_PORT + PORTS * len(self.made)
            self.made[make.__name__] = (make, cluster, port, role, env or {}, overrides)
            return make
        return register

    def submit_all(self, bed, daemon, model_server):
        self.daemon = daemon
        for name, (make, cluster, port, role, env, overrides) in self.made.items():
            client = daemon.admin if role == "admin" else daemon.client
            config = make(Site(bed, cluster, port, model_server))
            self.evaluations[name] = client.submit(config, env, overrides, {"made": name})
        return self

    def ended(self, name, state="succeeded", index=0):
        """Waits for the end of an evaluation; returns one of its jobs, with its attempts."""
        evaluation = self.daemon.client.wait_end(self.evaluations[name]["id"], state, TIMEOUT_S)
        return self.daemon.client.job(evaluation["jobs"][index]["id"])


class Site:
    """What a config needs to know of the place where it runs."""

    def __init__(self, bed, cluster, port, model_server):
        self.env = bed.env
        self.output = bed.output / "topologies"
        self.cluster = cluster
        self.port = port  # and PORTS - 1 more
        self.model_server = model_server

    def config(self, deployment, *tasks, execution=None, evaluation=None, defaults=(), **members):
        """A config with a server of type deployment["type"] that listens on self.port, one CPU and no GPU a node."""
        given = {"served_model_name": MODEL, "port": self.port, **deployment}
        kind = given.pop("type")
        return {
            "defaults": [{"execution": "slurm/default"}, {"deployment": kind}, *defaults, "_self_"],
            "execution": {
                "hostname": f"login.{self.cluster}.example",
                "account": self.env["NEL_ACCOUNT"],
                "output_dir": str(self.output),
                "gres": None,
                "sbatch_extra_flags": {"exclusive": False},
                "walltime": "00:10:00",
                "mounts": {"mount_home": False},
                "proxy": {"config": {"haproxy_port": self.port + 1}},
                **(execution or {}),
            },
            "deployment": given if kind != "none" else {},
            "evaluation": {"tasks": list(tasks) or [task()], **(evaluation or {})},
            **members,
        }

    def vllm(self, *tasks, deployment=None, **members):
        """The shipped vLLM command on the cluster's checkpoint."""
        given = {"type": "vllm", "checkpoint_path": self.env["NEL_CHECKPOINT"], **(deployment or {})}
        return self.config(given, *tasks, **members)

    def generic(self, command, *tasks, deployment=None, **members):
        """A server with a command of its own; "$SERVE" in it is one that works."""
        serve = shlex.join(["vllm", "serve", MODEL, "--port", str(self.port), "--served-model-name", MODEL])
        given = {"type": "generic", "image": self.env["NEL_IMAGE"], "command": command.replace("$SERVE", serve),
                 **(deployment or {})}
        return self.config(given, *tasks, **members)

    def external(self, *tasks, evaluation=None, **members):
        """No server of its own; the secret is the submission's."""
        return self.config({"type": "none"}, *tasks, evaluation=evaluation, target={"api_endpoint": {
            "url": self.model_server.url, "model_id": MODEL, "api_key_name": "MODELS_API_KEY"}}, **members)


def artifact(job, name):
    return (Path(job["rundir"]) / "artifacts" / name).read_text()


def variables(job, name="env"):
    """What `env -0` left in the file of that name."""
    return dict(line.split("=", 1) for line in artifact(job, name).split("\0") if line)


def log(job, pattern):
    """The text of all logs of that name, in the order of their names."""
    files = sorted((Path(job["rundir"]) / "logs").glob(pattern))
    return "".join(file.read_text(errors="replace") for file in files)


def exit_code(job):
    return job["attempts"][-1]["exit_code"]


def lines_of(job, name):
    return artifact(job, name).splitlines()


def export_log(job):
    """The log of the job's export, when that has ended."""
    end = re.compile(r"^the export ended with exit code \d+$", re.M)
    wait_for("the export job ends", lambda: end.search(log(job, "export-*.log")))
    return log(job, "export-*.log")
