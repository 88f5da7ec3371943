//! Boots a kernel that has cgroup version 2 alone, AppArmor and quotas, and runs the tests of limits, life cycles and users in it.
//!
//! The kernel is Debian's `linux-image-cloud-amd64`; the machine is qemu's, emulated, so that it runs where
//! there is no KVM (`BERTH_VM_ACCELERATOR=kvm` uses it). Its first file system holds busybox, the daemon, the
//! shim, the kernel's modules and the test programs themselves; it prints what they print and switches itself
//! off. At the end the first process becomes systemd, for the tests of pods whose cgroups that keeps.

mod systemd;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use berth_tests::initramfs::Initramfs;
use berth_tests::program;

/// The test programs that run inside, in this order.
const TESTS: [&str; 8] = [
    "limits",
    "lifecycle",
    "pause",
    "stats",
    "privileges",
    "parents",
    // On a disk, whose file system has quotas of projects and idmapped mounts.
    "storage_options",
    "user_namespaces",
];

/// The modules that the daemon's work needs; those they depend on come by themselves.
const MODULES: [&str; 23] = [
    "virtio_pci",
    "virtio_blk",
    "quota_v2",
    "xfs",
    "overlay",
    "veth",
    "bridge",
    "br_netfilter",
    "nf_tables",
    "nft_chain_nat",
    "nft_masq",
    "nft_nat",
    "nft_redir",
    "nft_ct",
    "nft_fib",
    "nft_fib_inet",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "xt_addrtype",
    "dummy",
    "8021q",
    "macvlan",
    "ipvlan",
];

/// Programs of the host that the harness calls inside.
const PROGRAMS: [&str; 6] = [
    "/usr/bin/nsenter",
    "/usr/bin/unshare",
    "/usr/sbin/nft",
    "/usr/bin/setsid",
    "/usr/bin/ip",
    "/usr/sbin/apparmor_parser",
];

/// The profile of AppArmor that `privileges` names. Debian's kernel has AppArmor switched on.
const PROFILE: &str = "\
profile berth-test flags=(attach_disconnected,mediate_deleted) {
  capability,
  network,
  signal,
  ptrace,
  mount,
  file,
  deny /tmp/forbidden w,
}
";

/// Bytes of each of the machine's disks.
const DISK: u64 = 512 << 20;

/// How long the machine may take, emulated on a busy host.
const LIMIT: Duration = Duration::from_secs(3600);

/// The machine's first process. The kernel refuses to pivot away from its first file system, which
/// containers must do, so everything moves to a tmpfs first.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /new
/bin/busybox mount -t tmpfs -o mode=755,size=900m tmpfs /new
for name in bin etc lib lib64 usr sbin tests berth; do
  [ -e /$name ] && /bin/busybox cp -a /$name /new/
done
/bin/busybox mkdir -p /new/proc /new/sys /new/dev /new/tmp /new/run /new/root /new/var
exec /bin/busybox switch_root /new /etc/second
"#;

/// What runs once the root is a tmpfs.
const SECOND: &str = r#"#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
for module in $(cat /etc/modules); do modprobe $module || echo "no module $module"; done
ip link set lo up
echo "VM kernel $(uname -r), cgroup2 controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
mkdir /disk /xfs
mount -t ext4 -o prjquota /dev/vda /disk || echo "no disk"
mount -t xfs -o prjquota /dev/vdb /xfs || echo "no xfs"
apparmor_parser --add --skip-cache /etc/berth-test.profile && export BERTH_APPARMOR=berth-test
export BERTH_DAEMON=/berth/berth BERTH_SHIM=/berth/berth-shim BERTH_TEST_DIR=/tmp BERTH_ALL_KINDS=1 RUST_BACKTRACE=1
for name in $(cat /tests/list); do
  echo "VM begins $name"
  case $name in storage_options | user_namespaces) export BERTH_TEST_DIR=/disk BERTH_PROJECT_QUOTA=1 ;; esac
  /tests/$name --test-threads=2 < /dev/null
  echo "VM result $name $?"
done
echo "VM begins storage_options on xfs"
BERTH_TEST_DIR=/xfs /tests/storage_options --test-threads=2 < /dev/null
echo "VM result storage_options on xfs $?"
exec /lib/systemd/systemd --unit=berth-tests.service
"#;

#[test]
fn berth_runs_on_a_kernel_with_cgroup_version_2_alone() {
    let directory = std::env::temp_dir().join(format!("berth-vm-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for the machine");
    let (kernel, modules) = kernel();
    let archive = directory.join("initramfs");
    fs::write(&archive, initramfs(&modules)).expect("the machine's file system");
    let disks = [
        make_disk(
            directory.join("disk"),
            "mkfs.ext4 (Debian's package e2fsprogs)",
            &["-q", "-O", "quota,project"],
        ),
        make_disk(directory.join("xfs"), "mkfs.xfs (Debian's package xfsprogs)", &["-q"]),
    ];
    let lines = boot(&kernel, &archive, &disks);
    fs::remove_dir_all(&directory).expect("the machine's directory to go");
    assert!(lines.iter().any(|line| line.contains("cgroup2 controllers: ") && line.contains("memory")));
    for name in TESTS.into_iter().chain(["storage_options on xfs", systemd::TESTS]) {
        let result = format!("VM result {name} 0");
        assert!(lines.contains(&result), "{name} failed inside the machine:\n{}", failures(&lines, name));
    }
    assert!(lines.iter().any(|line| line == "VM done"), "the machine did not come to its end");
}

/// Makes an empty file system that can count for projects, by a program that is named with its package.
fn make_disk(path: PathBuf, program: &str, options: &[&str]) -> PathBuf {
    let file = fs::File::create(&path).expect("a disk of the machine");
    file.set_len(DISK).expect("the disk's size");
    let name = program.split(' ').next().unwrap_or_default();
    let made = Command::new(Path::new("/usr/sbin").join(name)).args(options).arg(&path).output();
    let made = made.expect(program);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path
}

/// The output of a test program from its first failure on.
fn failures(lines: &[String], name: &str) -> String {
    let begin = format!("VM begins {name}");
    let own =
        lines.iter().skip_while(|line| **line != begin).take_while(|line| !line.starts_with("VM result"));
    let told: Vec<&str> = own.map(String::as_str).collect();
    let from = told.iter().position(|line| line.contains("panicked at")).unwrap_or_default();
    told[from..].iter().take(40).copied().collect::<Vec<_>>().join("\n")
}

/// The newest cloud kernel that is installed, and its modules.
fn kernel() -> (PathBuf, PathBuf) {
    let mut found: Vec<PathBuf> = fs::read_dir("/boot")
        .expect("/boot")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with("-cloud-amd64"))
        .filter(|path| path.to_string_lossy().contains("vmlinuz-"))
        .collect();
    found.sort();
    let kernel = found.pop().expect("a kernel in /boot (Debian's package linux-image-cloud-amd64)");
    let release = kernel.to_string_lossy().replace("/boot/vmlinuz-", "");
    (kernel, Path::new("/lib/modules").join(release))
}

fn initramfs(modules: &Path) -> Vec<u8> {
    let mut archive = Initramfs::default();
    for name in ["proc", "sys", "dev", "usr/bin", "usr/sbin", "sbin"] {
        archive.directory(name);
    }
    archive.program("bin/busybox", Path::new("/bin/busybox"));
    let listed = Command::new("/bin/busybox").arg("--list").output().expect("busybox-static");
    for applet in String::from_utf8_lossy(&listed.stdout).lines() {
        if !["busybox", "ip", "nsenter", "unshare", "setsid"].contains(&applet) {
            archive.link(&format!("bin/{applet}"), "busybox");
        }
    }
    for path in PROGRAMS {
        archive.program(path.trim_start_matches('/'), Path::new(path));
    }
    archive.file("init", INIT.as_bytes());
    archive.file("etc/second", SECOND.as_bytes());
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\n");
    archive.file("etc/group", b"root:x:0:\ndaemon:x:1:\n");
    archive.file("etc/hosts", b"127.0.0.1 localhost\n");
    archive.file("etc/resolv.conf", b"nameserver 10.0.2.3\n");
    archive.file("etc/berth-test.profile", PROFILE.as_bytes());
    archive.file("etc/modules", MODULES.join("\n").as_bytes());
    add_modules(&mut archive, modules);
    archive.program("berth/berth", &program("berth", "BERTH_DAEMON"));
    archive.program("berth/berth-shim", &program("berth-shim", "BERTH_SHIM"));
    for name in TESTS.into_iter().chain(["cri"]) {
        archive.program(&format!("tests/{name}"), &test_program(name));
    }
    systemd::add(&mut archive);
    archive.file("tests/list", TESTS.join("\n").as_bytes());
    archive.finish()
}

/// Adds the requested modules and all they depend on, as `modules.dep` has it.
fn add_modules(archive: &mut Initramfs, modules: &Path) {
    let table = fs::read_to_string(modules.join("modules.dep")).expect("modules.dep");
    let target = modules.to_string_lossy().trim_start_matches('/').to_owned();
    let mut kept = String::new();
    let mut waiting: Vec<String> = MODULES.iter().map(|name| (*name).to_owned()).collect();
    while let Some(wanted) = waiting.pop() {
        let of_name = |line: &&str| {
            let file = line.split(':').next().unwrap_or_default();
            let name = file.rsplit('/').next().unwrap_or_default();
            name.split(".ko").next().is_some_and(|name| name.replace('-', "_") == wanted)
        };
        let Some(line) = table.lines().find(of_name) else { continue };
        if kept.contains(line) {
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
        let (file, needed) = line.split_once(':').expect("a line of modules.dep");
        let bytes = fs::read(modules.join(file)).expect("a module");
        archive.file(&format!("{target}/{file}"), &bytes);
        let names = needed.split_whitespace().filter_map(|path| path.rsplit('/').next());
        waiting.extend(names.filter_map(|name| name.split(".ko").next()).map(|name| name.replace('-', "_")));
    }
    archive.file(&format!("{target}/modules.dep"), kept.as_bytes());
}

/// The newest build of one of this package's test programs.
fn test_program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let directory = test.parent().expect("target/debug/deps");
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .expect("target/debug/deps")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_none())
        .filter(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            file.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|hash| hash.len() == 16)
        })
        .collect();
    found.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    found.pop().unwrap_or_else(|| panic!("the test program {name} is not built (cargo test --no-run)"))
}

/// Runs the machine to its end and prints what its serial line shows.
fn boot(kernel: &Path, archive: &Path, disks: &[PathBuf]) -> Vec<String> {
    let accelerator = std::env::var("BERTH_VM_ACCELERATOR").unwrap_or_else(|_| "tcg,thread=multi".to_owned());
    eprintln!("booting {} with {accelerator}", kernel.display());
    let mut machine = Command::new("qemu-system-x86_64")
        .args(["-accel", &accelerator, "-cpu", "max", "-smp", "2", "-m", "2048", "-nographic", "-no-reboot"])
        .args(["-nic", "none", "-kernel"])
        .arg(kernel)
        .arg("-initrd")
        .arg(archive)
        .args(
            disks.iter().flat_map(|disk| {
                ["-drive".to_owned(), format!("file={},format=raw,if=virtio", disk.display())]
            }),
        )
        // On a busy host the emulated timer can come too late for the kernel's test of it, which panics then.
        .args(["-append", "console=ttyS0 quiet panic=-1 no_timer_check cgroup_no_v1=all"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("qemu-system-x86_64 (Debian's package qemu-system-x86)");
    let output = machine.stdout.take().expect("the serial line");
    let watch = std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            eprintln!("| {line}");
            lines.push(line);
        }
        lines
    });
    let end = Instant::now() + LIMIT;
    while machine.try_wait().expect("the machine's status").is_none() {
        if Instant::now() > end {
            machine.kill().expect("the machine to stop");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    watch.join().expect("the serial line's reader")
}
