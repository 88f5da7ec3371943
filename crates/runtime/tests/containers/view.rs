//! What a container sees: its tree, its namespaces, its settings.

use std::fs;
use std::path::{Path, PathBuf};

use model::{
    Mount, MountAccess, MountSource, Namespace, Propagation, RootFilesystem, SeccompPolicy, Submounts,
};

use crate::Test;
use crate::further::{end, exec};
use crate::scene::{Scene, process, read, run, start};

pub(crate) const TESTS: &[Test] = &[
    ("the_default_tree", the_default_tree),
    ("a_read_only_root", a_read_only_root),
    ("binds_and_tmpfs", binds_and_tmpfs),
    ("propagation_of_binds", propagation_of_binds),
    ("bad_mounts_are_refused", bad_mounts_are_refused),
    ("mounts_over_default_places", mounts_over_default_places),
    ("namespaces_are_shared", namespaces_are_shared),
    ("host_namespaces", host_namespaces),
    ("settings_of_the_kernel", settings_of_the_kernel),
    ("privileged_sees_all", privileged_sees_all),
    ("own_lists_of_hidden_paths", own_lists_of_hidden_paths),
    ("very_many_layers", very_many_layers),
    ("a_directory_as_root", a_directory_as_root),
    ("working_directories", working_directories),
];

fn lines(output: &str) -> Vec<&str> {
    output.lines().collect()
}

pub(crate) fn bind(source: &Path, destination: &str) -> Mount {
    Mount {
        source: MountSource::Bind(source.into()),
        destination: destination.into(),
        access: MountAccess::ReadWrite,
        propagation: Propagation::RecursivePrivate,
        submounts: Submounts::Included,
        subpath: None,
        owners: model::Owners::OfHost,
    }
}

fn the_default_tree() {
    let before = read(Path::new("/proc/self/mountinfo"));
    let scene = Scene::new();
    let outcome = scene.shell(
        "cat /proc/interrupts /proc/keys /proc/kcore 2>/dev/null | wc -c
         ls /proc/scsi /sys/firmware /proc/acpi 2>/dev/null | grep -v : | grep -c .
         for p in /proc/sys/kernel/hostname /proc/sys/net/ipv4/ip_forward /sys/kernel/x /sys/fs/cgroup/x; do (echo x > $p) 2>&1 | grep -c -i 'read-only'; done
         ls /dev | tr '\\n' ' '; echo
         stat -c '%t:%T %a' /dev/null /dev/tty
         grep ' /dev/shm ' /proc/mounts | grep -o size=.*k
         hostname; pwd; id -u
         grep -c ' / / ' /proc/self/mountinfo; grep -v '^' /dev/console; ls -d /dev/pts/ptmx",
    );
    let lines = lines(&outcome.output);
    assert_eq!(lines[..2], ["0", "0"], "{outcome:?}");
    assert_eq!(lines[2..6], ["1", "1", "1", "1"], "{outcome:?}");
    assert_eq!(
        lines[6],
        "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero "
    );
    assert_eq!(lines[7..9], ["1:3 666", "5:0 666"]);
    assert_eq!(lines[9..13], ["size=65536k", "inside", "/", "0"]);
    assert_eq!(lines[13..], ["1", "/dev/pts/ptmx"]);
    assert_eq!(read(Path::new("/proc/self/mountinfo")), before, "a mount reached the host");
}

fn a_read_only_root() {
    let scene = Scene::new();
    let volume = scene.directory.join("volume");
    fs::create_dir(&volume).unwrap();
    let script = "touch /tmp/x 2>/dev/null || echo root; touch /dev/shm/x /volume/x && echo shm";
    let mut spec = scene.spec(&["sh", "-c", script]);
    spec.read_only_root = true;
    spec.mounts = vec![bind(&volume, "/volume")];
    assert_eq!(run(&spec).unwrap().output, "root\nshm\n");
    assert!(volume.join("x").exists());
}

fn binds_and_tmpfs() {
    let scene = Scene::new();
    let volume = scene.directory.join("volume");
    fs::create_dir_all(volume.join("deep")).unwrap();
    fs::write(volume.join("file"), "content").unwrap();
    std::os::unix::fs::symlink("/tmp/../etc/aimed", scene.layer("link")).unwrap();
    let mut spec = scene.spec(&[
        "sh",
        "-c",
        "cat /new/place/file; cat /etc/single; (echo x > /etc/single) 2>/dev/null || echo ro1; (echo x > /ro/deep/x) 2>/dev/null || echo ro2
         cat /link/inner/file; ls -d /etc/aimed/inner; grep ' /scratch ' /proc/mounts; stat -c %a /scratch; echo y > /new/place/written",
    ]);
    spec.mounts = vec![
        bind(&volume, "/new/place"),
        Mount { access: MountAccess::ReadOnly, ..bind(&volume.join("file"), "/etc/single") },
        Mount { access: MountAccess::ReadOnly, ..bind(&volume, "/ro") },
        bind(&volume, "/link/inner"),
        Mount { source: MountSource::Tmpfs("size=1m,mode=1770,exec".into()), ..bind(&volume, "/scratch") },
    ];
    let outcome = run(&spec).unwrap();
    let lines = lines(&outcome.output);
    assert_eq!(lines[0], "contentcontentro1", "{outcome:?}");
    assert_eq!(lines[1], "ro2");
    assert_eq!(lines[2], "content/etc/aimed/inner");
    assert!(lines[3].contains("rw,nosuid,nodev,relatime,size=1024k,mode=1770"), "{outcome:?}");
    assert_eq!((lines[4], read(&volume.join("written"))), ("1770", "y\n".into()));
}

/// A mount made on the host beneath a slave bind shows up inside; beneath a private one it does not.
fn propagation_of_binds() {
    for (propagation, expected) in [
        (Propagation::RecursiveSlave, "mounted\n"),
        (Propagation::RecursiveShared, "mounted\n"),
        (Propagation::RecursivePrivate, "empty\n"),
    ] {
        let scene = Scene::new();
        let shared = scene.directory.join("shared");
        fs::create_dir(&shared).unwrap();
        let tool = |arguments: &[&str]| {
            assert!(std::process::Command::new("/bin/busybox").args(arguments).status().unwrap().success());
        };
        let path = shared.to_str().unwrap();
        tool(&["mount", "-t", "tmpfs", "none", path]);
        tool(&["mount", "--make-shared", path]);
        fs::create_dir(shared.join("later")).unwrap();
        let mut spec = scene.spec(&["sleep", "100"]);
        spec.mounts = vec![Mount { propagation, ..bind(&shared, "/shared") }];
        let (running, _ends) = start(&spec).unwrap();
        let later = shared.join("later");
        tool(&["mount", "-t", "tmpfs", "none", later.to_str().unwrap()]);
        fs::write(later.join("file"), "").unwrap();
        let script = "test -e /shared/later/file && echo mounted || echo empty";
        let outcome = exec(&running, &process(&["sh", "-c", script]), false);
        end(&running);
        tool(&["umount", later.to_str().unwrap()]);
        tool(&["umount", path]);
        assert_eq!(outcome.output, expected, "{propagation:?}");
    }
}

fn bad_mounts_are_refused() {
    let scene = Scene::new();
    let volume = scene.directory.join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(scene.directory.join("file"), "").unwrap();
    std::os::unix::fs::symlink("/proc", scene.layer("disguise")).unwrap();
    let inside_proc = |place: &str| format!("{place} cannot be mounted because it is inside /proc");
    let volume_at =
        |kind: &str, place: &str| format!("mounting {kind}{} at {place}: not a directory", volume.display());
    let file = scene.directory.join("file");
    let file_at = format!("mounting the file {} at the directory /etc: not a directory", file.display());
    for (mount, words) in [
        (bind(&volume, "/"), "mounting into / is prohibited".to_owned()),
        (bind(&volume, "/x/../.."), "mounting into / is prohibited".to_owned()),
        (bind(&volume, "/etc/passwd"), volume_at("the directory ", "the file /etc/passwd")),
        (bind(&file, "/etc"), file_at),
        (bind(&volume, "/etc/passwd/x"), volume_at("", "/etc/passwd/x")),
        (bind(&volume, "/proc/self/attr"), inside_proc("/proc/self/attr")),
        (bind(&volume, "/proc/sys"), inside_proc("/proc/sys")),
        (bind(&volume, "/proc"), inside_proc("/proc")),
        (bind(&volume, "/disguise/sys"), inside_proc("/disguise/sys")),
    ] {
        let mut spec = scene.spec(&["true"]);
        spec.mounts = vec![mount];
        assert_eq!(run(&spec).unwrap_err().to_string(), words);
    }
    let mut spec = scene.spec(&["true"]);
    spec.mounts = vec![bind(&scene.directory.join("nosuch"), "/x")];
    assert!(run(&spec).unwrap_err().to_string().ends_with("no such file or directory"));
}

fn mounts_over_default_places() {
    let scene = Scene::new();
    let memory = scene.directory.join("memory");
    fs::create_dir(&memory).unwrap();
    let mut spec = scene.spec(&["sh", "-c", "echo x > /dev/shm/mine; ls /dev/mqueue /dev/null"]);
    spec.mounts = vec![bind(&memory, "/dev/shm")];
    assert_eq!(run(&spec).unwrap().exit.code, 0);
    assert!(memory.join("mine").exists());
    // The host's /dev instead of an own one; paths are still hidden.
    let mut spec =
        scene.spec(&["sh", "-c", "cat /proc/interrupts /proc/keys 2>&1 | wc -c; ls /dev/pts | grep -c ptmx"]);
    spec.mounts = vec![bind(Path::new("/dev"), "/dev")];
    let outcome = run(&spec).unwrap();
    assert_eq!(outcome.output, "0\n1\n", "{outcome:?}");
}

fn namespaces_are_shared() {
    let first = Scene::new();
    let second = Scene::new();
    let script = "echo secret > /dev/shm/seen; hostname owner; sleep 100";
    let mut spec = first.spec(&["sh", "-c", script]);
    spec.process.capabilities.push("CAP_SYS_ADMIN".into());
    let (owner, _ends) = start(&spec).unwrap();
    crate::scene::eventually("the name", || exec(&owner, &process(&["hostname"]), false).output == "owner\n");
    let reference = owner.init().reference();
    let shared = Namespace::Process(reference);
    let script = "hostname; cat /dev/shm/seen; ps | grep -c 'sleep 10[0]'; for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; readlink /proc/self/ns/mnt";
    let mut spec = second.spec(&["sh", "-c", script]);
    spec.namespaces.network = shared.clone();
    spec.namespaces.ipc = shared.clone();
    spec.namespaces.uts = shared.clone();
    spec.namespaces.pid = shared.clone();
    let outcome = run(&spec).unwrap();
    let found = lines(&outcome.output);
    assert_eq!(found[..3], ["owner", "secret", "1"], "{outcome:?}");
    for (name, seen) in ["net", "ipc", "uts", "pid"].iter().zip(&found[3..7]) {
        let link = fs::read_link(format!("/proc/{}/ns/{name}", reference.pid)).unwrap();
        assert_eq!(link, PathBuf::from(seen));
    }
    assert_ne!(fs::read_link(format!("/proc/{}/ns/mnt", reference.pid)).unwrap(), PathBuf::from(found[7]));
    // A number that was given to another process since is not taken for the one that was meant.
    let stale = model::ProcessReference { start_time: reference.start_time + 1, ..reference };
    spec.namespaces.network = Namespace::Process(stale);
    assert!(run(&spec).unwrap_err().to_string().contains("no such process"));
    end(&owner);
}

fn host_namespaces() {
    let scene = Scene::new();
    let mut spec = scene.spec(&[
        "sh",
        "-c",
        "for n in net ipc uts pid; do readlink /proc/self/ns/$n; done; sleep 100 & sleep 100 & wait",
    ]);
    for namespace in [
        &mut spec.namespaces.network,
        &mut spec.namespaces.ipc,
        &mut spec.namespaces.uts,
        &mut spec.namespaces.pid,
    ] {
        *namespace = Namespace::Host;
    }
    let (running, ends) = start(&spec).unwrap();
    crate::scene::eventually("all processes", || running.cgroup().processes().unwrap().len() == 3);
    running.signal(model::Signal::KILL).unwrap();
    assert_eq!(running.init().wait().unwrap().code, 137);
    // Without a pid namespace of its own no process ends by itself with init: they are killed by the cgroup.
    running.destroy().unwrap();
    let (output, _) = ends.finish(b"");
    for (name, seen) in ["net", "ipc", "uts", "pid"].iter().zip(lines(&output)) {
        assert_eq!(fs::read_link(format!("/proc/self/ns/{name}")).unwrap(), PathBuf::from(seen));
    }
}

fn settings_of_the_kernel() {
    let scene = Scene::new();
    let mut spec = scene.spec(&[
        "cat",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/kernel/msgmax",
        "/proc/sys/kernel/domainname",
    ]);
    spec.domainname = "example.org".into();
    spec.sysctls = [("net.ipv4.ip_forward", "1"), ("kernel.msgmax", "12345")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    assert_eq!(run(&spec).unwrap().output, "1\n12345\nexample.org\n");
    spec.sysctls = [("kernel.core_pattern".to_owned(), "x".to_owned())].into();
    assert_eq!(
        run(&spec).unwrap_err().to_string(),
        "sysctl \"kernel.core_pattern\" is not in a separate kernel namespace"
    );
}

fn privileged_sees_all() {
    let scene = Scene::new();
    let script = "ls /dev/kmsg; head -c 1 /dev/kmsg > /dev/null && echo read; mkdir /tmp/m && mount -t tmpfs x /tmp/m && echo mounted
        grep -E '^(Seccomp|CapEff):' /proc/self/status; (: > /proc/sys/kernel/msgmax) && echo open; ls /proc/scsi /proc/acpi >/dev/null 2>&1; grep -c ' - sysfs sysfs rw' /proc/self/mountinfo";
    let mut spec = scene.spec(&["sh", "-c", script]);
    spec.privileged = true;
    spec.seccomp = SeccompPolicy::Unconfined;
    let own = read(Path::new("/proc/self/status"));
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    spec.process.capabilities = every_capability();
    let outcome = run(&spec).unwrap();
    let expected = format!("/dev/kmsg\nread\nmounted\nCapEff:\t{bounding}\nSeccomp:\t0\nopen\n1\n");
    assert_eq!(outcome.output, expected, "{outcome:?}");
}

fn every_capability() -> Vec<String> {
    ["CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
      NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT \
      SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE \
      AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ \
      PERFMON BPF CHECKPOINT_RESTORE"]
    .iter()
    .flat_map(|names| names.split_whitespace())
    .map(|name| format!("CAP_{name}"))
    .collect()
}

fn own_lists_of_hidden_paths() {
    let scene = Scene::new();
    fs::write(scene.layer("etc/secret"), "secret").unwrap();
    let script = "cat /etc/secret; ls /home | wc -l; (echo x > /etc/group) 2>/dev/null || echo protected; cat /proc/keys | wc -l | grep -cv '^0$'";
    let mut spec = scene.spec(&["sh", "-c", script]);
    spec.masked_paths = Some(vec!["/etc/secret".into(), "/home".into(), "/nosuch".into()]);
    spec.read_only_paths = Some(vec!["/etc/group".into()]);
    assert_eq!(run(&spec).unwrap().output, "0\nprotected\n1\n");
}

fn very_many_layers() {
    let scene = Scene::new();
    let mut layers = vec![scene.directory.join("layer")];
    let long = "x".repeat(200);
    for number in 0..300 {
        let layer = scene.directory.join(format!("{long}/{number}"));
        fs::create_dir_all(layer.join("many")).unwrap();
        fs::write(layer.join(format!("many/{number}")), "").unwrap();
        layers.push(layer);
    }
    let mut spec = scene.spec(&["sh", "-c", "ls /many | wc -l"]);
    if let RootFilesystem::Overlay { lower, .. } = &mut spec.root {
        *lower = layers;
    }
    assert_eq!(run(&spec).unwrap().output, "300\n");
}

fn a_directory_as_root() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["sh", "-c", "echo x > /tmp/written; hostname"]);
    spec.root = RootFilesystem::Directory(scene.directory.join("layer"));
    assert_eq!(run(&spec).unwrap().output, "inside\n");
    assert!(scene.layer("tmp/written").exists());
}

fn working_directories() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["pwd"]);
    spec.process.working_directory = "/made/when/missing".into();
    assert_eq!(run(&spec).unwrap().output, "/made/when/missing\n");
    spec.process.working_directory = "/etc/passwd".into();
    assert_eq!(run(&spec).unwrap_err().to_string(), "Cannot mkdir: /etc/passwd is not a directory");
}
