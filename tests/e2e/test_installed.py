"""Debian's packages on a machine of their own, with systemd as its first process: what apt leaves, the admin's page
(systemd/README.md) command by command up to evaluations on a real cluster, the unit's restrictions as the kernel has them, and
upgrades, downgrades and removal.

The machine's system is an overlay on this one's, which is thrown away; or on the bare one in $NEL_INSTALLED_ROOT, with the
packages in $NEL_INSTALLED_PACKAGES (tests/distros/run SUITE package)."""

import ctypes
import json
import os
import re
import socket
import sqlite3
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from configs import config, task
from daemon import BINARY
from testbed import DIRECTORY, ROOT, wait_for

MACHINE = ROOT / "tests/distros/machine"
PAGE = (ROOT / "systemd/README.md").read_text()
RECIPES = dict(re.findall(r"^<!-- recipe: (.+?) -->\n```bash\n(.*?)^```$", PAGE, re.M | re.S))
LOWER = Path(os.environ.get("NEL_INSTALLED_ROOT", "/"))
CLONE_NEWNET = 0x40000000
DAEMON = "/usr/sbin/nel-slurmd"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make machines")


def packages(folder):
    """Makes the packages of the build that is tested."""
    done = subprocess.run(["cpack", "--config", BINARY.parent / "CPackConfig.cmake", "-B", folder, "-D",
                           "CPACK_DEBIAN_COMPRESSION_TYPE=gzip"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(folder.glob("*.deb"))


def newer_package(deb, folder):
    """The same package as a later version."""
    subprocess.run(["dpkg-deb", "-R", deb, folder / "tree"], check=True)
    control = folder / "tree/DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 99.0", control.read_text(), flags=re.M))
    made = folder / "nel-slurmd_99.0_any.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-b", folder / "tree", made], check=True, stdout=subprocess.DEVNULL)
    return made


class Machine:
    def __init__(self, root, log):
        self.root = root
        self.name = f"installed-{os.getpid()}"
        self.log = log

    def up(self):
        subprocess.run([MACHINE, "up", self.root, self.name], check=True, stdin=subprocess.DEVNULL, timeout=120,
                       env={**os.environ, "NEL_MACHINE_LOG": str(self.log)})

    def down(self):
        subprocess.run([MACHINE, "down", self.name], check=True, timeout=60)

    def run(self, *words, status=0, **options):
        done = subprocess.run([MACHINE, "run", self.name, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=240, **options)
        assert status is None or done.returncode == status, f"{words}: {done.stdout}{done.stderr}{self.journal()}"
        return done

    def journal(self):
        done = subprocess.run([MACHINE, "run", self.name, "journalctl", "--no-pager", "-q", "-n", "60"], capture_output=True,
                              text=True, timeout=60)
        return "\n" + done.stdout

    def out(self, *words, **options):
        return self.run(*words, **options).stdout.strip()

    def put(self, path, text):
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def first(self):
        return int(subprocess.run([MACHINE, "pid", self.name], check=True, capture_output=True, text=True).stdout)

    def main_pid(self):
        """The daemon's, as this side of the namespaces counts."""
        for _ in range(100):
            inside = self.out("systemctl", "show", "--property=MainPID", "--value", "nel-slurmd")
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    text = status.read_text()
                except OSError:
                    continue
                if re.search(rf"^NSpid:.*\t{inside}$", text, re.M) and "Name:\tnel-slurmd" in text and \
                        os.readlink(status.parent / "ns/pid") == os.readlink(f"/proc/{self.first()}/ns/pid"):
                    return int(status.parent.name)
        raise AssertionError("no daemon" + self.journal())

    def is_active(self):
        return self.run("systemctl", "is-active", "nel-slurmd", status=None).stdout.strip() == "active"

    @contextmanager
    def forward(self, port, to):
        """Whoever connects to that port of the machine's loopback gets to the other port of this one's."""
        libc = ctypes.CDLL(None, use_errno=True)
        box = []

        def listen():
            with open(f"/proc/{self.first()}/ns/net") as namespace:
                assert libc.setns(namespace.fileno(), CLONE_NEWNET) == 0
            box.append(socket.create_server(("127.0.0.1", port), backlog=64))

        thread = threading.Thread(target=listen)  # a namespace is a thread's own
        thread.start()
        thread.join()
        server = box[0]

        def pump(one, other):
            try:
                while data := one.recv(65536):
                    other.sendall(data)
            except OSError:
                pass
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        def accept():
            while True:
                try:
                    inner, _ = server.accept()
                except OSError:
                    return
                outer = socket.create_connection(("127.0.0.1", to))
                for pair in ((inner, outer), (outer, inner)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        server.close()


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    space = folder / "space"
    space.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", space], check=True)
    try:
        for name in ("upper", "work", "root"):
            (space / name).mkdir()
        # Of dpkg's own files a copy, which does not change when somebody installs something on this machine meanwhile.
        dpkg = space / "upper/var/lib/dpkg"
        dpkg.parent.mkdir(parents=True)
        subprocess.run(["cp", "-a", LOWER / "var/lib/dpkg", dpkg], check=True)
        os.setxattr(dpkg, "trusted.overlay.opaque", b"y")
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={LOWER},upperdir={space}/upper,workdir={space}/work", space / "root"], check=True)
        try:
            one = Machine(space / "root", folder / "console")
            given = os.environ.get("NEL_INSTALLED_PACKAGES")
            for deb in sorted(Path(given).glob("*.deb")) if given else packages(folder / "debs"):
                (one.root / "root" / deb.name).write_bytes(deb.read_bytes())
            one.put("/etc/hosts", "127.0.0.1 localhost login.alpha.example\n")
            one.put("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n")
            (one.root / "usr/sbin/policy-rc.d").chmod(0o755)
            (one.root / "var/lib/man-db/auto-update").unlink(missing_ok=True)  # the index of all pages is not of interest
            one.up()
            try:
                yield one
            finally:
                one.down()
        finally:
            subprocess.run(["umount", space / "root"], check=True)
    finally:
        subprocess.run(["umount", space], check=True)


def test_every_block_of_the_page_is_a_recipe_that_is_run():
    assert PAGE.count("```bash") == PAGE.count("```") / 2 == len(RECIPES)
    text = Path(__file__).read_text()
    assert [name for name in RECIPES if f'"{name}"' not in text] == []


def follow(machine, name, bed, *as_whom, status=0):
    """Runs a recipe of the page as it stands, but for the names of the cluster's account, and of its directories."""
    text = RECIPES[name].replace("svc-nel", bed.env["NEL_USER"]).replace("/shared/evaluations", str(bed.output))
    text = text.replace("--account team", f"--account {bed.env['NEL_ACCOUNT']}")
    text = re.sub(r"^apt (\w+)", r"apt-get -y \1", text, flags=re.M)
    machine.put("/tmp-recipe", f"set -e -o pipefail\ncd {'~' if as_whom else '/root'}\n{text}")
    return machine.run(*as_whom, "bash", "/tmp-recipe", status=status).stdout


def test_apt_leaves_a_working_service(machine, bed):
    told = follow(machine, "install", bed)
    assert "What is next:" in told and "/etc/nel-slurmd/nel-slurmd.yaml" in told and "ADMIN.md" in told
    assert "/etc/nel-slurmd/nel-slurmd.yaml: ok, 0 clusters" in told
    assert '"admin"' in told or "admin" in told.splitlines()[-1], told
    assert machine.is_active() and machine.out("systemctl", "is-enabled", "nel-slurmd") == "enabled"
    assert machine.run("systemctl", "is-enabled", "nel-slurmd.socket", status=None).stdout.strip() == "disabled"
    for path, says in {"/etc/nel-slurmd": "755 root root", "/etc/nel-slurmd/nel-slurmd.yaml": "644 root root",
                       "/etc/nel-slurmd/master.key": "600 root root", "/etc/nel-slurmd/keys": "750 root nel-slurmd",
                       "/etc/nel-slurmd/groups": "755 root root", "/var/lib/nel-slurmd": "700 nel-slurmd nel-slurmd",
                       "/var/lib/nel-slurmd/nel.db": "600 nel-slurmd nel-slurmd",
                       "/run/nel-slurmd": "755 nel-slurmd nel-slurmd",
                       "/run/nel-slurmd/api.sock": "660 nel-slurmd nel-slurmd"}.items():
        assert machine.out("stat", "-c", "%a %U %G", path) == says, path
    for path in ("/usr/share/doc/nel-slurmd/openapi.yaml", "/usr/share/doc/nel-slurmd/LICENSE", "/usr/bin/nelctl",
                 "/usr/share/doc/nel-slurmd/examples/nel-slurmd.yaml", "/usr/share/doc/nel-slurmd/examples/vllm-checkpoint.yaml",
                 "/usr/share/bash-completion/completions/nelctl", "/usr/share/bash-completion/completions/nel-slurmd"):
        machine.run("test", "-e", path)
    assert machine.out("curl", "-fsS", "http://127.0.0.1:8990/readyz")


def test_kernel_holds_the_daemon_to_its_unit(machine):
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{machine.main_pid()}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and status["Umask"] == "0077"
    assert {status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    exposure = machine.out("systemd-analyze", "security", "--no-pager", "nel-slurmd").splitlines()[-1]
    assert float(re.search(r"level for nel-slurmd.service: ([\d.]+)", exposure)[1]) <= 1.5
    mounts = Path(f"/proc/{machine.main_pid()}/mountinfo").read_text()
    assert re.search(r" / / ro,", mounts) and "/var/lib/nel-slurmd rw," in mounts
    assert machine.out("systemctl", "show", "--property=StatusErrno", "--value", "nel-slurmd") == "0"


def test_key_and_host_key(machine, bed):
    with machine.forward(22, bed.port("alpha")):
        told = follow(machine, "key", bed)
        line = re.search(r"^restrict ecdsa-.*$", told, re.M)[0]
        fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", "-"], input=bed.host_key_line("alpha"), capture_output=True,
                                     text=True, check=True).stdout.split()[1]
        assert told.rstrip().splitlines()[-1].split()[1] == fingerprint
    (machine.root / "root/authorized").write_text(line + "\n")
    mode = (machine.out("stat", "-c", "%a %U", "/etc/nel-slurmd/keys/alpha"))
    assert mode == "600 nel-slurmd"


@pytest.fixture(scope="module")
def cluster(machine, bed):
    """The owner of the account on the cluster lets the new key in, for as long as these tests run."""
    keys = DIRECTORY / f"alpha/ssh/authorized_keys.{bed.env['NEL_USER']}"
    before = keys.read_text()
    with machine.forward(22, bed.port("alpha")):
        try:
            keys.write_text(before + (machine.root / "root/authorized").read_text())
            yield
        finally:
            keys.write_text(before)


@pytest.fixture(scope="module")
def bob(machine):
    machine.run("useradd", "--create-home", "--shell", "/bin/bash", "bob")
    return ["runuser", "-u", "bob", "--", "env", "HOME=/home/bob"]


def checks_of(machine, name):
    """Of a cluster that was just added: systemctl reload does not wait until the daemon has its settings."""
    def told():
        said = machine.run("nelctl", "cluster", "check", name, "--json", status=None).stdout
        return json.loads(said) if '"checks"' in said else None
    return wait_for(f"{name} can be checked", told)


def test_cluster_is_added_and_looked_at(machine, bed, cluster):
    told = follow(machine, "cluster", bed)
    assert "ok, 1 cluster" in told


def evaluate(machine, bed, bob, model_server, token):
    machine.run(*bob, "install", "-d", "-m", "0700", "/home/bob/.config/nel")
    machine.put("/home/bob/.config/nel/token", token + "\n")
    body = config(bed, model_server, task(4))
    body["target"]["api_endpoint"]["api_key_name"] = "API_KEY"
    machine.put("/home/bob/config.yaml", yaml.safe_dump(body))
    machine.put("/home/bob/key", model_server.env["MODELS_API_KEY"])
    machine.run("chown", "-R", "bob:", "/home/bob")
    machine.run("chmod", "0600", "/home/bob/.config/nel/token")
    machine.run(*bob, "env", "NEL_URL=http://127.0.0.1:8990", "nelctl", "secret", "set", "API_KEY", "--file", "/home/bob/key")
    return follow(machine, "person", bed, *bob)


def test_second_person_evaluates(machine, bed, cluster, bob, model_server):
    token = follow(machine, "user", bed).split()[-1]
    told = evaluate(machine, bed, bob, model_server, token)
    assert re.search(r"ifeval.* 0\.75", told), told
    assert "nel_" in token and token not in machine.journal()


def test_second_cluster_behind_a_jump_host_is_reached_by_a_program_under_the_unit(machine, bed, cluster):
    """ssh as proxy_command runs with the unit's system calls, and finds its keys in the state directory."""
    machine.put("/etc/nel-slurmd/known_hosts-beta", f"login.beta.example {bed.host_key_line('beta').split(' ', 1)[1]}\n")
    settings = machine.root / "etc/nel-slurmd/nel-slurmd.yaml"
    before = settings.read_text()
    ssh = (f"ssh -o BatchMode=yes -o UserKnownHostsFile=/etc/nel-slurmd/known_hosts -i /etc/nel-slurmd/keys/alpha "
           f"-W 127.0.0.1:{bed.port('beta')} {bed.env['NEL_USER']}@login.alpha.example")
    keys = DIRECTORY / f"beta/ssh/authorized_keys.{bed.env['NEL_USER']}"
    kept = keys.read_text()
    line = (machine.root / "root/authorized").read_text()
    alpha_keys = DIRECTORY / f"alpha/ssh/authorized_keys.{bed.env['NEL_USER']}"
    alpha_kept = alpha_keys.read_text()
    try:
        alpha_keys.write_text(alpha_kept.replace("restrict ecdsa", "restrict,port-forwarding ecdsa"))
        keys.write_text(kept + line)
        settings.write_text(before + f"""\
  - name: beta
    hostname: login.beta.example
    known_hosts_file: /etc/nel-slurmd/known_hosts-beta
    identity: {{username: {bed.env['NEL_USER']}, key_file: /etc/nel-slurmd/keys/alpha}}
    accounting: none
    proxy_command: {ssh}
""")
        machine.run("nel-slurmd", "check")
        machine.run("systemctl", "reload", "nel-slurmd")
        told = checks_of(machine, "beta")
        login = next(check for check in told["checks"] if check["name"] == "login")
        assert login["ok"], (told, machine.journal())
    finally:
        settings.write_text(before)
        keys.write_text(kept)
        alpha_keys.write_text(alpha_kept)
        machine.run("systemctl", "reload", "nel-slurmd")


CREDENTIAL_COMMAND = """\
#!/bin/bash
can() { if (eval "$2") >/dev/null 2>&1; then told+=" $1"; else told+=" no-$1"; fi; }
can shm 'd=$(mktemp -d -p /dev/shm) && rmdir "$d"'
can tmp 'd=$(mktemp -d) && rmdir "$d"'
can state 'touch /var/lib/nel-slurmd/x && rm /var/lib/nel-slurmd/x'
can settings 'cat /etc/nel-slurmd/nel-slurmd.yaml'
can tcp ': </dev/tcp/127.0.0.1/22'
can credential 'cat /run/credentials/nel-slurmd.service/master.key'
can etc 'touch /etc/nel-slurmd/x'
can cache 'touch /var/cache/x'
can home 'ls /home'
can root 'ls /root'
can others 'ls /proc/1'
can namespaces 'unshare --user true'
can setuid 'setpriv --reuid=0 true'
can netlink 'perl -e "socket(my \\$s, 16, 3, 0) or exit 1"'
can terminal ': </dev/tty'
can input 'test -n "$(head -c 1)"'
set -e
if [[ ! -e /var/lib/nel-slurmd/authority ]]; then
    echo "it can:$told; $NEL_CLUSTER $NEL_HOSTNAME $NEL_USERNAME" >&2
    exit 1
fi
dir=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$dir"' EXIT
ssh-keygen -q -t ecdsa -N "" -f "$dir/id"
ssh-keygen -q -s /var/lib/nel-slurmd/authority -I nel-slurmd -n "$NEL_USERNAME" -V -1m:+10m "$dir/id.pub"
cat "$dir/id" "$dir/id-cert.pub"
"""


def test_credential_command_is_held_to_the_unit_and_hands_out_what_logs_in(machine, bed, cluster):
    """What nel-slurmd(8) says that such a program may do and may not; then it is a little authority of its own."""
    machine.put("/etc/nel-slurmd/credential", CREDENTIAL_COMMAND)
    machine.run("chmod", "0755", "/etc/nel-slurmd/credential")
    settings = machine.root / "etc/nel-slurmd/nel-slurmd.yaml"
    keys = DIRECTORY / f"alpha/ssh/authorized_keys.{bed.env['NEL_USER']}"
    before, kept = settings.read_text(), keys.read_text()

    def login():
        told = checks_of(machine, "gamma")
        return next(check for check in told["checks"] if check["name"] == "login")

    try:
        settings.write_text(before + f"""\
  - name: gamma
    hostname: login.gamma.example
    address: login.alpha.example
    known_hosts_file: /etc/nel-slurmd/known_hosts
    identity: {{username: {bed.env['NEL_USER']}, credential_command: [/etc/nel-slurmd/credential]}}
    accounting: none
""")
        machine.run("systemctl", "reload", "nel-slurmd")
        told = wait_for("the program is run", lambda: [said for said in [json.dumps(login())] if "it can:" in said])[0]
        assert " shm tmp state settings tcp credential no-etc no-cache no-home no-root no-others no-namespaces no-setuid" \
               f" no-netlink no-terminal no-input; gamma login.gamma.example {bed.env['NEL_USER']}" in told, told
        machine.run("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", "/var/lib/nel-slurmd/authority")
        machine.run("chown", "nel-slurmd:", "/var/lib/nel-slurmd/authority")
        authority = machine.out("cat", "/var/lib/nel-slurmd/authority.pub")
        keys.write_text(f"{kept}cert-authority,restrict {authority}\n")
        wait_for("what it hands out logs in", lambda: login()["ok"])
    finally:
        settings.write_text(before)
        keys.write_text(kept)
        machine.run("rm", "-f", "/var/lib/nel-slurmd/authority", "/var/lib/nel-slurmd/authority.pub")
        machine.run("systemctl", "reload", "nel-slurmd")


def test_tls(machine, bed):
    assert "ok" in follow(machine, "tls", bed)
    settings = machine.root / "etc/nel-slurmd/nel-slurmd.yaml"
    text = re.sub(r"^tls: .*\n", "", settings.read_text(), flags=re.M).replace("0.0.0.0:8443", "127.0.0.1:8990")
    settings.write_text(text)


def test_reverse_proxy_is_trusted_by_its_account(machine, bed):
    if machine.run("id", "www-data", status=None).returncode != 0:
        machine.run("useradd", "--system", "www-data")
    assert json.loads(follow(machine, "proxy", bed).splitlines()[-1])["user"] == "bob"
    other = machine.run("runuser", "-u", "bob", "--", "curl", "-sS", "--unix-socket", "/run/nel-slurmd/api.sock",
                        "http://localhost/v1/whoami", status=None)
    assert other.returncode == 7, other  # it cannot connect


def evaluations(machine):
    return json.loads(machine.out("curl", "-fsS", "--unix-socket", "/run/nel-slurmd/api.sock",
                                  "http://localhost/v1/evaluations"))["items"]


def test_backup_and_restore(machine, bed):
    follow(machine, "backup", bed)
    before = evaluations(machine)
    assert len(before) == 1
    machine.run("sh", "-c", "rm /var/lib/nel-slurmd/nel.db*", status=0)
    follow(machine, "restore", bed)
    assert evaluations(machine) == before


PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


def test_daemon_whose_scheduler_stands_still_is_killed_and_started_anew(machine):
    machine.put("/etc/systemd/system/nel-slurmd.service.d/watchdog.conf", "[Service]\nWatchdogSec=15\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "nel-slurmd")
    pid = machine.main_pid()
    thread = next(int(one.name) for one in Path(f"/proc/{pid}/task").iterdir() if (one / "comm").read_text() == "scheduler\n")
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert ptrace(PTRACE_SEIZE, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    assert ptrace(PTRACE_INTERRUPT, thread, None, None) == 0
    os.waitpid(thread, WALL)
    wait_for("systemd has killed it", lambda: os.waitpid(thread, WALL | os.WNOHANG)[0])
    wait_for("it runs again", lambda: int(machine.out("systemctl", "show", "--property=NRestarts", "--value", "nel-slurmd")) > 0
             and machine.is_active(), interval_s=0.5)
    assert "Watchdog timeout" in machine.out("journalctl", "--no-pager", "-u", "nel-slurmd")
    (machine.root / "etc/systemd/system/nel-slurmd.service.d/watchdog.conf").unlink()
    machine.run("systemctl", "daemon-reload")


def test_sockets_of_systemd(machine, bed):
    follow(machine, "socket", bed)
    for _ in range(2):
        assert machine.is_active()
        assert machine.out("curl", "-fsS", "http://127.0.0.1:8990/healthz")
        assert len(evaluations(machine)) == 1
        machine.run("systemctl", "restart", "nel-slurmd")
    assert "opened_by" in machine.out("journalctl", "--no-pager", "-u", "nel-slurmd", "-o", "verbose").lower()
    machine.run("systemctl", "stop", "nel-slurmd")
    assert machine.out("curl", "-fsS", "http://127.0.0.1:8990/healthz")  # who calls starts it
    machine.run("systemctl", "disable", "--now", "nel-slurmd.socket")
    machine.run("systemctl", "restart", "nel-slurmd")


def test_upgrade_keeps_everything_and_restarts_and_a_downgrade_is_refused_in_words(machine, bed, tmp_path):
    before = machine.main_pid()
    settings = machine.out("cat", "/etc/nel-slurmd/nel-slurmd.yaml")
    kept = evaluations(machine)
    old = next(path for path in (machine.root / "root").glob("nel-slurmd_*.deb"))
    newer = newer_package(old, tmp_path)
    (machine.root / "root" / newer.name).write_bytes(newer.read_bytes())
    old.rename(machine.root / "root/old.deb")
    told = follow(machine, "upgrade", bed)
    assert "What is next" not in told
    assert machine.out("dpkg-query", "-W", "-f", "${Version}", "nel-slurmd") == "99.0"
    assert machine.is_active(), machine.journal()
    assert machine.main_pid() != before
    assert (machine.out("cat", "/etc/nel-slurmd/nel-slurmd.yaml"), evaluations(machine)) == (settings, kept)

    machine.run("systemctl", "stop", "nel-slurmd")
    store = sqlite3.connect(machine.root / "var/lib/nel-slurmd/nel.db")
    store.execute("PRAGMA user_version = 9999")
    store.close()
    refused = machine.run("dpkg", "-i", "/root/old.deb", status=1)
    assert "/var/lib/nel-slurmd/nel.db has version 9999, and nel-slurmd" in refused.stderr and "backup" in refused.stderr
    assert machine.out("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "nel-slurmd") == "99.0 installed"
    follow(machine, "restore", bed)
    assert evaluations(machine) == kept
    machine.run("dpkg", "-i", "/root/old.deb")
    assert evaluations(machine) == kept


def test_removal_keeps_data_and_purge_leaves_nothing(machine, bed):
    remove, purge = RECIPES["remove"].splitlines()
    machine.run("apt-get", "-y", *remove.split("#")[0].split()[1:])
    assert not machine.is_active()
    machine.run("test", "-e", "/var/lib/nel-slurmd/nel.db")
    machine.run("test", "-e", "/etc/nel-slurmd/master.key")
    machine.run("apt-get", "-y", *purge.split("#")[0].split()[1:])
    for place in ("/etc/nel-slurmd", "/var/lib/nel-slurmd", "/run/nel-slurmd", "/usr/share/doc/nel-slurmd", DAEMON):
        machine.run("test", "-e", place, status=1)
    left = machine.out("find", "/etc/systemd", "/var/lib/systemd/deb-systemd-helper-enabled", "-name", "nel-slurmd*")
    assert left in ("", "/etc/systemd/system/nel-slurmd.service.d"), left
