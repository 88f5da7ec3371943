//! The host's systemd and its bus, which the machine's first process becomes when the other programs have run.

use std::path::Path;

use berth_tests::initramfs::Initramfs;

/// How its tests are named in what the machine prints.
pub(super) const TESTS: &str = "units of systemd";

/// Programs of the host, Debian's packages systemd and dbus.
const PROGRAMS: [&str; 3] = ["/lib/systemd/systemd", "/usr/bin/systemctl", "/usr/bin/dbus-daemon"];

/// A bus without access control: the machine has root alone.
const BUS: &str = r#"<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#;

const BUS_SOCKET: &str = "\
[Unit]
DefaultDependencies=no
[Socket]
ListenStream=/run/dbus/system_bus_socket
";

const BUS_SERVICE: &str = "\
[Unit]
DefaultDependencies=no
Requires=dbus.socket
After=dbus.socket
[Service]
ExecStart=/usr/bin/dbus-daemon --config-file=/etc/dbus.conf --address=systemd: --nofork --nopidfile --systemd-activation
";

/// The tests are the machine's only purpose: their end is its own.
const TESTS_SERVICE: &str = "\
[Unit]
DefaultDependencies=no
Requires=dbus.service
After=dbus.service
[Service]
Type=oneshot
ExecStart=/etc/third
TimeoutStartSec=infinity
";

const THIRD: &str = r#"#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
exec > /dev/console 2>&1
export BERTH_DAEMON=/berth/berth BERTH_SHIM=/berth/berth-shim BERTH_TEST_DIR=/tmp RUST_BACKTRACE=1
echo "VM begins units of systemd"
systemctl --version | head -n 1
/tests/cri unified:: units:: --test-threads=2 < /dev/null
echo "VM result units of systemd $?"
echo "VM done"
sync
poweroff -f
"#;

/// Adds all that it needs; `/bin/busybox` and the test program `cri` are there.
pub(super) fn add(archive: &mut Initramfs) {
    for path in PROGRAMS {
        archive.program(path.trim_start_matches('/'), Path::new(path));
    }
    archive.file("etc/dbus.conf", BUS.as_bytes());
    archive.file("etc/third", THIRD.as_bytes());
    for (name, text) in
        [("dbus.socket", BUS_SOCKET), ("dbus.service", BUS_SERVICE), ("berth-tests.service", TESTS_SERVICE)]
    {
        archive.file(&format!("etc/systemd/system/{name}"), text.as_bytes());
    }
}
