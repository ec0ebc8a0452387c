"""The faults of connections and logins, each with an sshd of its own kind: what nel-slurmd(8) promises of SSH. What a scenario
is stands in registry.py."""

import os
import shutil
import socket
import threading
import time
from pathlib import Path

from login_node import LoginNode, Proxy, jump_through
from registry import scenario
from world import Wrong, until, world


def waits_for(made, *texts, evaluation=None, seconds=120):
    """Until the newest evaluation waits on what has all these texts; what it waits on."""
    which = evaluation or made.evaluations[-1]

    def look():
        waiting = made.evaluation(which)["jobs"][0]["waiting_on"] or ""
        return waiting if all(text in waiting for text in texts) else None

    return until(look, seconds, lambda: f"{which} to wait on {texts}; it is {made.describe(which)}")


def cluster(made, name="sim"):
    return made.get(f"/v1/clusters/{name}")


def check_quiet(made):
    """Nothing that went wrong was shown to anybody."""
    log = made.log()
    for text in ("remote work failed", "cannot be observed"):
        if text in log:
            raise Wrong(log[log.index(text):][:400])


# ---- limits ----

@scenario
def burst_on_a_strict_sshd(binary, full):
    """Two handshakes at once and not one more, one session in a connection: a burst of work shows no failure."""
    with world(binary) as made:
        node = LoginNode(made, "strict", "MaxStartups 2:100:2\nMaxSessions 1")
        made.cluster.update(node.settings(), max_sessions=8, connect_timeout_s=60)
        made.start()
        posters = [threading.Thread(target=made.post, kwargs={"tasks": 2}) for _ in range(40 if full else 16)]
        for poster in posters:
            poster.start()
        for poster in posters:
            poster.join()
        made.settle()
        made.check()
        check_quiet(made)
        if cluster(made)["sessions"]["open"] < 2:
            raise Wrong("the burst was no burst")
    return 1


@scenario
def idle_sessions_are_closed(binary, full):
    with world(binary, idle_timeout_s=1, connect_timeout_s=60) as made:
        made.start()
        for count in range(1, 3):
            made.post()
            made.settle()
            until(lambda: cluster(made)["sessions"]["open"] == 0, 60, "the idle sessions to be closed")
            if cluster(made)["handshakes"] < count:
                raise Wrong("no session was opened anew")
        made.check()
        check_quiet(made)
    return 2


@scenario
def breaker_of_a_host_with_two_clusters(binary, full):
    """Two clusters behind one sshd: what the one learns about it the other need not try, and both go on together."""
    with world(binary) as made:
        node = LoginNode(made, "shared")
        made.cluster.update(node.settings())
        made.others.append({**made.cluster, "name": "twin", "hostname": "login.twin.example"})
        node.stop()
        made.start()
        made.post()
        until(lambda: cluster(made)["breaker"]["state"] != "closed", 120, "the breaker to open")
        made.post(hostname="login.twin.example")
        waits_for(made, "cluster twin: ", "Connection refused")
        twin = cluster(made, "twin")
        if twin["breaker"]["state"] == "closed" or twin["health"] != "failing" or twin["handshakes"] > 1:
            raise Wrong(f"the twin does not know: {twin}")
        if cluster(made)["handshakes"] + cluster(made, "twin")["handshakes"] > 12:
            raise Wrong(f"called too often: {cluster(made)} {cluster(made, 'twin')}")
        node.start()
        made.settle()
        made.check()
        if {cluster(made, name)["breaker"]["state"] for name in ("sim", "twin")} != {"closed"}:
            raise Wrong("the breaker did not close")
    return 2


# ---- the network ----

@scenario
def packets_vanish(binary, full):
    """While sbatch is waited for, and while a session is idle: the connection is found dead, the work is asked for and
    not sent again."""
    with world(binary) as made:
        node = LoginNode(made, "apart", apart=True)
        made.cluster.update(node.settings(), command_timeout_s=600, connect_timeout_s=3)
        made.sim.set(start_delay_s=1)
        made.start()
        made.post()
        made.settle()
        made.sim.set(hold="after")
        made.post()
        made.sim.ctl("wait-held", 1, 120)
        node.lose_packets(True)
        made.sim.set(hold="none")
        begin = time.monotonic()
        waits_for(made, "cluster sim")
        took_s = time.monotonic() - begin
        if took_s > 100 or "by the command" in made.log():
            raise Wrong(f"a command on a dead connection ended after {took_s:.0f} s")
        until(lambda: cluster(made)["sessions"]["open"] == 0, 100, "every dead session to be noticed")
        made.sim.ctl("release")
        node.lose_packets(False)
        made.settle()
        made.check()
    return 2


@scenario
def cluster_that_hangs_delays_no_other(binary, full):
    """A host that takes connections and says nothing; work, files and checks wait for it, and the other cluster's ends."""
    with world(binary) as made, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(100)
        made.others.append({**made.cluster, "name": "silent", "hostname": "login.silent.example",
                            "port": silent.getsockname()[1], "connect_timeout_s": 600})
        made.start()
        hanging = [made.post(hostname="login.silent.example", output="/silent") for _ in range(6)]
        until(lambda: cluster(made, "silent")["handshakes"] >= 1, 60, "the silent host to be called")
        made.evaluations.clear()
        for _ in range(3):
            made.post(tasks=2)
        made.settle()
        states = [made.states(one) for one in hanging]
        if any(set(state) - {"queued", "submitting"} for state in states):
            raise Wrong(f"the silent cluster's jobs are {states}")
        made.check()
        begin = time.monotonic()
        if made.stop() != 0 or time.monotonic() - begin > 30:
            raise Wrong("the daemon did not stop in time")
    return 1


# ---- who is who ----

@scenario
def host_keys_unknown_and_changed(binary, full):
    """Refused with the line; the work goes on when that line stands in known_hosts."""
    with world(binary) as made:
        node = LoginNode(made, "keys")
        made.cluster.update(node.settings())
        node.known_hosts.write_text("")
        made.start()
        made.post()
        mark = f"add this line to {node.known_hosts}: "
        waits_for(made, "cluster sim: the host key of ", " is unknown", mark)
        line = cluster(made)["last_error"].partition(mark)[2]
        node.known_hosts.write_text(line + "\n")
        made.settle()
        node.new_host_key()
        node.stop()
        node.start()
        made.post()
        mark = f"replace line 1 of {node.known_hosts} by this one: "
        waits_for(made, " has changed, or somebody else answers", mark)
        node.known_hosts.write_text(cluster(made)["last_error"].partition(mark)[2] + "\n")
        made.settle()
        made.check()
    return 2


@scenario
def keys_refused_and_accounts_closed(binary, full):
    """Each parks the work on the credentials until it is mended."""
    with world(binary) as made:
        node = LoginNode(made, "accounts", "UsePAM yes", shell="/bin/bash")
        made.cluster.update(node.settings())
        keys, key_file = node.authorized_keys.read_text(), made.cluster["identity"]["key_file"]
        aside = f"{made.directory}/key-aside"
        faults = {"the key is not known": lambda: node.authorized_keys.write_text(""),
                  "the account has expired, says PAM": lambda: node.set_account(pam="pam_deny.so"),
                  "the key file is gone": lambda: os.rename(key_file, aside)}
        made.start()
        made.post()
        made.settle()
        for what, break_it in faults.items():
            break_it()
            node.cut()
            made.post()
            if waits_for(made, "credentials for") != "credentials for sim":
                raise Wrong(f"{what}: {made.describe(made.evaluations[-1])}")
            if cluster(made)["breaker"]["state"] != "closed":
                raise Wrong(f"{what} was counted as the host's fault: {cluster(made)}")
            node.authorized_keys.write_text(keys)
            node.set_account()
            if os.path.exists(aside):
                os.rename(aside, key_file)
            made.settle()
        made.check()
        return len(faults)


@scenario
def accounts_locked_and_expired(binary, full):
    """As sshd itself sees them, without PAM."""
    with world(binary) as made:
        node = LoginNode(made, "accounts", "UsePAM no", shell="/bin/bash")
        made.cluster.update(node.settings())
        made.start()
        for change in ({"password": "!"}, {"expires": "1"}):
            node.set_account(**change)
            node.cut()
            made.post()
            waits_for(made, "credentials for sim")
            node.set_account()
            made.settle()
        made.check()
    return 2


# ---- login shells ----

@scenario
def login_shells_of_many_kinds(binary, full):
    """Noise from start-up files, banners before the version and before the login, shells that are not bash, keys that
    may have no terminal."""
    shells = [path for path in map(shutil.which, ("bash", "dash", "sh", "tcsh", "csh", "zsh", "ksh", "fish")) if path]
    with world(binary, connect_timeout_s=60) as made:
        motd, home = Path(made.directory, "motd"), Path(made.sim.directory, "home")
        motd.write_text("You are on alpha.\nnel|begin|1\n" * 5)
        for name in (".bashrc", ".cshrc", ".zshenv", ".kshrc"):
            (home / name).write_text("echo 'Welcome to alpha!'\necho nel begin\necho oops | tee /dev/stderr\nprintf 'no end'\n")
        for shell in shells:
            name = f"{Path(shell).name}"
            node = LoginNode(made, name, f"Banner {motd}\nSetEnv HOME={home} "
                             f"PATH={made.sim.directory}/bin:/usr/bin:/bin NEL_SIM_SOCKET={made.sim.directory}/socket",
                             shell=shell)
            node.authorized_keys.write_text(f"restrict,no-pty {node.authorized_keys.read_text()}")
            greeting = Path(made.directory, f"greet-{name}")
            greeting.write_text("#!/bin/sh\nprintf 'Welcome\\r\\n%300s\\r\\nto alpha\\n' x\nexec " + relay() + "\n")
            greeting.chmod(0o755)
            made.others.append({**made.cluster, **node.settings(), "name": name, "hostname": f"login.{name}.example",
                                "proxy_command": f"{greeting} %h %p"})
        made.start()
        for shell in shells:
            made.post(hostname=f"login.{Path(shell).name}.example")
        made.settle()
        made.check()
        check_quiet(made)
        for evaluation in made.evaluations:
            check_files(made, f"{evaluation}.0")
    return len(shells)


def relay():
    """Standard input and output to the address and port that are its arguments."""
    return ("/usr/bin/python3 -c 'import os, socket, sys, threading\ns = socket.create_connection(sys.argv[1:])\n"
            "def up():\n while d := os.read(0, 65536): s.sendall(d)\n os._exit(0)\n"
            "threading.Thread(target=up, daemon=True).start()\n"
            "while d := s.recv(65536): os.write(1, d)' \"$@\"")


def check_files(made, job):
    logs = made.get(f"/v1/jobs/{job}/logs")["items"]
    texts = [made.get(f"/v1/jobs/{job}/logs/{entry['name']}") for entry in logs]
    if not texts or any("Welcome" in str(text) for text in texts):
        raise Wrong(f"{job}: logs {logs} with {texts}")


@scenario
def logins_that_run_something_else(binary, full):
    """A forced command, a login shell that refuses: the job says what came instead, and goes on when it may."""
    with world(binary) as made:
        node = LoginNode(made, "refusing", shell="/bin/bash")
        made.cluster.update(node.settings())
        keys, passwd = node.authorized_keys.read_text(), node.passwd.read_text()

        def force(command):
            node.authorized_keys.write_text(f'command="{command}" {keys}')

        def set_shell(shell):
            node.passwd.write_text(passwd.replace(":/bin/bash\n", f":{shell}\n") if shell else passwd)

        faults = {"maintenance until noon": lambda: force("echo maintenance until noon; exit 1"),
                  "no commands, please": lambda: force("cat >/dev/null; echo no commands, please >&2"),
                  "exit status 7": lambda: force("exit 7"),
                  "currently not available": lambda: set_shell(shutil.which("nologin"))}
        made.start()
        for said, break_it in faults.items():
            break_it()
            node.cut()
            made.post()
            waits_for(made, "cluster sim: the login node did not run the daemon's script", said,
                      "a ForceCommand, a command= in authorized_keys, a login shell that refuses")
            node.authorized_keys.write_text(keys)
            set_shell(None)
            node.cut()
            made.settle()
        made.check()
        return len(faults)


@scenario
def startup_files_that_read(binary, full):
    """They have the standard input on which the script comes: nothing of the rest is run, the job says in which file to
    look, and goes on when it is mended."""
    with world(binary) as made:
        home = Path(made.sim.directory, "home")
        faults = [("/bin/bash", ".bashrc", "read -t 2 answer"), ("/bin/bash", ".bashrc", "cat >/dev/null")]
        faults += [(path, ".cshrc", "head -c 9 >/dev/null # read") for path in [shutil.which("tcsh")] if path]
        for i, (shell, name, line) in enumerate(faults):
            node = LoginNode(made, f"reading-{i}", f"SetEnv HOME={home} PATH={made.sim.directory}/bin:/usr/bin:/bin "
                             f"NEL_SIM_SOCKET={made.sim.directory}/socket", shell=shell)
            made.others.append({**made.cluster, **node.settings(), "name": node.name,
                                "hostname": f"login.{node.name}.example"})
        made.start()
        for i, (shell, name, line) in enumerate(faults):
            (home / name).write_text(f"{line}\n")
            made.post(hostname=f"login.reading-{i}.example")
            waits_for(made, f"cluster reading-{i}: of the ", "only a part arrived, and none of it was run: a start-up file",
                      f"To look at: {name} ")
            (home / name).write_text("true\n")
            made.settle()
        made.check()
        return len(faults)


@scenario
def hardened_login_nodes_say_what_would_help(binary, full):
    """An sshd that libssh2 1.10 has no algorithm in common with: the cluster, the preflight and the job say which each side
    has and what would help; another libssh2 may be able to."""
    settings = {"mac": ("MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com\nCiphers aes256-ctr", "MAC"),
                "cipher": ("Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com", "cipher"),
                "host-key": ("HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256", "type of host key"),
                "kex": ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "key exchange method")}
    with world(binary) as made:
        nodes = {}
        for name, (lines, _) in settings.items():
            nodes[name] = node = LoginNode(made, name, lines, key_type="rsa" if name == "host-key" else "ed25519")
            made.others.append({**made.cluster, **node.settings(), "name": name, "hostname": f"login.{name}.example"})
        made.start()
        for name, (lines, what) in settings.items():
            evaluation = made.post(hostname=f"login.{name}.example")
            offered = lines.split("\n")[0].split()[1]
            if reaches(made, evaluation):
                continue  # a newer libssh2
            waits_for(made, f"no common {what}: the server has {offered}", "the daemon's libssh2 has ", evaluation=evaluation)
            if f"no common {what}" not in str(cluster(made, name)["last_error"]):
                raise Wrong(f"{name}: {cluster(made, name)}")
            _, answer = made.request("POST", f"/v1/clusters/{name}/check", {})
            if f"no common {what}" not in str(answer):
                raise Wrong(f"the preflight of {name}: {answer}")
            made.cancel(evaluation)
        return len(settings)


def reaches(made, evaluation):
    """Has it come to Slurm, or does it say why not?"""
    def look():
        job = made.evaluation(evaluation)["jobs"][0]
        return job["slurm_job_id"] or "cannot be talked to" in str(job["waiting_on"])

    until(look, 60, lambda: f"an answer; it is {made.describe(evaluation)}")
    return made.evaluation(evaluation)["jobs"][0]["slurm_job_id"] is not None


# ---- proxy commands ----

@scenario
def proxy_commands_fail(binary, full):
    """`ssh -W` by way of a second sshd, which is away for a while; then a command that dies, hangs, writes garbage, and
    dies in the middle of sbatch."""
    with world(binary) as made:
        jump = LoginNode(made, "jump")
        proxy = Proxy(made, jump_through(jump, made))
        made.cluster.update(proxy_command=proxy.command(), connect_timeout_s=4)
        made.start()
        made.post()
        made.settle()
        jump.stop()
        made.post()
        waits_for(made, "cluster sim", "onnection refused")
        jump.start()
        made.settle()
        faults = {"echo the bastion is closed >&2; exit 1": "the bastion is closed",
                  "exec sleep 600": "time-out during the SSH handshake",
                  "head -c 200000 /dev/urandom; exec sleep 600": "during the SSH handshake",
                  "exit 0": "during the SSH handshake"}
        for script, said in faults.items():
            proxy.set(script)
            jump.cut()
            made.post()
            waits_for(made, "cluster sim", said)
            proxy.set('exec "$@"')
            made.settle()
        made.sim.set(hold="after")
        made.post()
        made.sim.ctl("wait-held", 1, 120)
        jump.cut()
        waits_for(made, "cluster sim", "the connection during the command")
        made.sim.set(hold="none")
        made.sim.ctl("release")
        made.settle()
        made.check()
        made.stop()
        check_no_process_left(str(jump.known_hosts))
        return len(faults) + 2


def check_no_process_left(mark):
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if mark in words:
            raise Wrong(f"left running: {words}")
