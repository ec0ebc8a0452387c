"""tests/without-services: what a package's scripts start and enable, as debhelper writes them, is not started and not left
enabled. On the machine's own system, under an overlay that is thrown away."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

UNIT = """\
[Unit]
Description=A service of the tests
[Service]
ExecStart=/bin/true
[Install]
WantedBy=multi-user.target
Alias=nel-fake-too.service
"""

SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides: nel-fake
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: A service of the tests
### END INIT INFO
echo "$1" >>/var/nel-fake-was-asked-to
"""

POSTINST = """\
#!/bin/sh
set -e
if deb-systemd-helper --quiet was-enabled nel-fake.service; then
    deb-systemd-helper enable nel-fake.service >/dev/null || true
fi
deb-systemd-helper update-state nel-fake.service >/dev/null || true
update-rc.d nel-fake defaults >/dev/null
invoke-rc.d --skip-systemd-native nel-fake start
"""

INSIDE = """\
set -e
mount --bind /proc "$1/proc"
mount --bind /dev "$1/dev"
root=$1
shift
printf '#!/bin/sh\\nexit 0 # the machine\\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
chroot "$root" sh -ec '
    "$@" dpkg --install /nel-fake.deb
    dpkg-query -W nel-fake
    echo "STARTED: $(cat /var/nel-fake-was-asked-to 2>/dev/null || true)"
    echo "POLICY: $(ls /usr/sbin/policy-rc.d*) $(tail -n 1 /usr/sbin/policy-rc.d)"
    echo "ENABLED: $(find /etc/systemd/system -name "nel-fake*" -type l | sort | xargs) $(find /etc/rc?.d -name "S??nel-fake" | sort | xargs)"
' sh "$@"
"""


@pytest.fixture
def package(tmp_path):
    tree = tmp_path / "package"
    for name, text, mode in (("DEBIAN/control", "Package: nel-fake\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.example>\n"
                              "Description: a service of the tests\n", 0o644),
                             ("DEBIAN/postinst", POSTINST, 0o755),
                             ("lib/systemd/system/nel-fake.service", UNIT, 0o644),
                             ("etc/init.d/nel-fake", SCRIPT, 0o755)):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
        (tree / name).chmod(mode)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, tmp_path / "nel-fake.deb"], check=True,
                   stdout=subprocess.DEVNULL)
    return tmp_path / "nel-fake.deb"


def install(package, tmp_path, *prefix):
    """What INSIDE tells of the package's installation under an overlay of this machine's root."""
    scratch = tmp_path / "overlay"
    scratch.mkdir()
    script = f"""\
set -e
mount -t tmpfs tmpfs {scratch}
mkdir {scratch}/upper {scratch}/work {scratch}/root
mount -t overlay overlay -o lowerdir=/,upperdir={scratch}/upper,workdir={scratch}/work {scratch}/root
cp {package} {ROOT}/tests/without-services {scratch}/root/
exec sh -c "$0" sh {scratch}/root "$@"
"""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, INSIDE, *prefix], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount an overlay")


def test_package_that_enables_a_service_is_installed_and_the_service_left_out(package, tmp_path):
    text = install(package, tmp_path, "/without-services")
    assert "STARTED: \n" in text and "ENABLED:  \n" in text and "POLICY: /usr/sbin/policy-rc.d exit 0 # the machine\n" in text
    assert "enabled nel-fake.service, which is disabled again; for you to have it: systemctl enable --now nel-fake.service" in text


def test_package_alone_would_have_enabled_it(package, tmp_path):
    """The stand-in does what real packages do."""
    text = install(package, tmp_path)
    assert "STARTED: start\n" in text
    assert "multi-user.target.wants/nel-fake.service /etc/systemd/system/nel-fake-too.service /etc/rc2.d/S" in text
