"""Other ways into the simulated cluster: an sshd with a configuration, host key, accounts or network of its own, and
proxy commands that change while they are used. For tests/sim/connections.py."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import uuid
from pathlib import Path

from world import free_port, sshd_sessions, until

# All of /etc: a mount on a single file goes when somebody else replaces the file, as useradd does.
MOUNT = 'mount --bind "$1/etc" /etc && shift && exec "$@"'


def keygen(path, kind="ed25519"):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", path], check=True)


class LoginNode:
    """Starts at once. `lines` come first in sshd_config, so they count; `shell` makes an account "nel-test" with that
    login shell, which shares root's number, in /etc/passwd and /etc/shadow of its own; `apart` puts it into a network
    namespace, from which packets can be lost."""

    def __init__(self, made, name, lines="", shell=None, apart=False, key_type="ed25519"):
        self.key_type = key_type
        self.made, self.name, self.directory = made, name, f"{made.directory}/{name}"
        os.mkdir(self.directory, 0o755)
        self.address, self.namespace, self.sshd, self.prefix = "127.0.0.1", None, None, []
        self.port = free_port()
        self.user = made.sim.settings["NEL_SIM_USER"]
        self.authorized_keys = Path(self.directory, "authorized_keys")
        self.known_hosts = Path(self.directory, "known_hosts")
        shutil.copy(f"{made.sim.directory}/authorized_keys", self.authorized_keys)
        made.closers.append(self.close)
        if apart:
            self._make_network()
        if shell:
            self._make_account(shell)
        self._write_config(lines)
        self.new_host_key()
        self.trust()
        self.start()

    def _make_network(self):
        self.namespace = f"nel-{uuid.uuid4().hex[:8]}"
        link, block = f"v{self.namespace[4:]}", f"198.19.{random.randrange(256)}."
        last = random.randrange(1, 63) * 4
        self.address, self.host = f"{block}{last + 2}", f"{block}{last + 1}"
        for command in (f"ip netns add {self.namespace}",
                        f"ip link add {link} type veth peer name inside netns {self.namespace}",
                        f"ip addr add {self.host}/30 dev {link}", f"ip link set {link} up",
                        f"ip -n {self.namespace} addr add {self.address}/30 dev inside",
                        f"ip -n {self.namespace} link set inside up"):
            subprocess.run(command.split(), check=True)
        self.prefix = ["ip", "netns", "exec", self.namespace]

    def _make_account(self, shell):
        self.user = "nel-test"
        subprocess.run(["cp", "-a", "/etc", f"{self.directory}/etc"], check=True)
        self.passwd, self.shadow = Path(self.directory, "etc/passwd"), Path(self.directory, "etc/shadow")
        home = f"{self.made.sim.directory}/home"
        self.passwd.write_text(Path("/etc/passwd").read_text() + f"{self.user}:x:0:0::{home}:{shell}\n")
        self.pam = Path(self.directory, "etc/pam.d/sshd")
        self.set_account()
        self.prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT, "sh", self.directory]

    def set_account(self, password="*", expires="", pam="pam_permit.so"):
        """What /etc/shadow and PAM say from now on."""
        self.shadow.write_text(Path("/etc/shadow").read_text() + f"{self.user}:{password}:19000:0:99999:7::{expires}:\n")
        self.pam.write_text(f"auth required pam_permit.so\naccount required {pam}\nsession required pam_permit.so\n")

    def _write_config(self, lines):
        text = Path(self.made.sim.directory, "sshd_config").read_text()
        for name, value in (("Port", self.port), ("ListenAddress", self.address), ("HostKey", f"{self.directory}/host"),
                            ("AuthorizedKeysFile", self.authorized_keys)):
            old = next(line for line in text.splitlines() if line.startswith(f"{name} "))
            text = text.replace(old, f"{name} {value}")
        Path(self.directory, "sshd_config").write_text(f"{lines}\n{text}")

    def new_host_key(self):
        for path in Path(self.directory).glob("host*"):
            path.unlink()
        keygen(f"{self.directory}/host", self.key_type)

    def trust(self):
        key = " ".join(Path(self.directory, "host.pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[{self.address}]:{self.port} {key}\n")

    def settings(self, **more):
        return {"address": self.address, "port": self.port, "known_hosts_file": str(self.known_hosts),
                "identity": {"username": self.user, "key_file": self.made.sim.settings["NEL_SIM_KEY"]}, **more}

    def start(self):
        with open(f"{self.directory}/log", "ab") as log:
            self.sshd = subprocess.Popen([*self.prefix, "/usr/sbin/sshd", "-D", "-e", "-f",
                                          f"{self.directory}/sshd_config"], stdin=subprocess.DEVNULL, stdout=log,
                                         stderr=log)
        until(self._answers, 60, f"the sshd {self.name}")

    def _answers(self):
        text = Path(self.directory, "log").read_text(errors="replace")
        return f"listening on {self.address} port {self.port}" in text and self.sshd.poll() is None

    def cut(self):
        for pid in sshd_sessions(self.sshd.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self):
        """With its sessions."""
        sessions = sshd_sessions(self.sshd.pid)
        self.sshd.kill()
        self.sshd.wait()
        for pid in sessions:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        Path(self.directory, "log").write_text("")

    def lose_packets(self, lose):
        """What the namespace sends vanishes; nobody is told."""
        subprocess.run(["ip", "-n", self.namespace, "route", "add" if lose else "del", "blackhole", f"{self.host}/32"],
                       check=True)

    def close(self):
        if self.sshd:
            self.stop()
        if self.namespace:
            subprocess.run(["ip", "netns", "del", self.namespace], check=False)


class Proxy:
    """A proxy_command that does what it is told: a script that is written anew."""

    def __init__(self, made, relay):
        self.path = Path(made.directory, "proxy")
        self.relay = relay
        self.set('exec "$@"')

    def set(self, script):
        fresh = Path(f"{self.path}.new")
        fresh.write_text(f"#!/bin/sh\n{script}\n")
        fresh.chmod(0o755)
        fresh.rename(self.path)

    def command(self):
        return f"{self.path} {self.relay}"


def jump_through(node, made):
    """`ssh -W` by way of a node."""
    return (f"ssh -F none -i {made.sim.settings['NEL_SIM_KEY']} -o UserKnownHostsFile={node.known_hosts} "
            f"-o BatchMode=yes -p {node.port} -W %h:%p {node.user}@{node.address}")
