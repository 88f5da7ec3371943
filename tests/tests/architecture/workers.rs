//! Holds the code that the runtime's workers run to the rule of `blocking.rs`, what it calls included.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::calls::Calls;
use crate::{blocking, shown, source, sources};

/// The crates with code that the runtime's workers run.
const ASYNCHRONOUS: [&str; 7] = ["engine", "http", "docker-api", "buildkit-api", "cri-api", "cni", "daemon"];

/// What may wait all the same: the file, what it calls there, and why no request is held up by it.
const ALLOWED: [(&str, &str, &str); 42] = [
    (
        "crates/buildkit-api/src/export/archive.rs",
        "write_files",
        "`send` runs the closure on a thread that may wait",
    ),
    ("crates/daemon/src/daemon.rs", "begin", "the pid file is written before anything is served"),
    ("crates/daemon/src/daemon.rs", "reload", "SIGHUP is handled by the main thread, which is no worker"),
    ("crates/daemon/src/daemon.rs", "set", "SIGHUP is handled by the main thread, which is no worker"),
    ("crates/daemon/src/listener/accept.rs", "fs::remove_file(", "the socket, when the daemon ends"),
    ("crates/daemon/src/listener/cri.rs", "fs::remove_file(", "the socket, when the daemon ends"),
    (
        "crates/daemon/src/listener/unix.rs",
        "fs::create_dir_all(",
        "the socket's directory, before anything is served",
    ),
    (
        "crates/daemon/src/listener/unix.rs",
        "fs::remove_file(",
        "a socket of an earlier daemon, before anything is served",
    ),
    ("crates/daemon/src/listener/unix.rs", "fs::set_permissions(", "the socket, before anything is served"),
    (
        "crates/daemon/src/listener/unix.rs",
        "fs::symlink_metadata(",
        "a socket of an earlier daemon, before anything is served",
    ),
    ("crates/daemon/src/listener/unix.rs", "group_id", "the host's groups, before anything is served"),
    ("crates/docker-api/src/system/info.rs", "bridge_filter", "the kernel's settings"),
    ("crates/docker-api/src/system/info.rs", "is_switched_on", "the kernel's settings"),
    ("crates/docker-api/src/system/info.rs", "latest", "the kernel's settings"),
    ("crates/docker-api/src/system/info.rs", "memory", "/proc"),
    ("crates/docker-api/src/system/info.rs", "open_descriptors", "/proc"),
    ("crates/docker-api/src/system/info.rs", "operating_system", "a small file of the host's system"),
    ("crates/engine/src/container/exit.rs", "remove_run_directory", "the exec root, a file system in memory"),
    ("crates/engine/src/container/exit.rs", "read_exit", "the exec root, a file system in memory"),
    ("crates/engine/src/container/exit.rs", "take_left", "the exec root, a file system in memory"),
    ("crates/engine/src/container/pause.rs", "may_be_open", "cgroups"),
    (
        "crates/engine/src/container/start.rs",
        "remove_run_directory",
        "the exec root, a file system in memory",
    ),
    ("crates/engine/src/container/start_inputs.rs", "below", "the layer below all steps is made once"),
    ("crates/engine/src/container/statistics.rs", "read", "/proc"),
    ("crates/engine/src/container/update.rs", "check", "the kernel's list of processors"),
    ("crates/engine/src/networking/endpoints.rs", "wire", "a container without interfaces: nothing is saved"),
    ("crates/engine/src/networks/connections.rs", "begin", "the exec root, a file system in memory"),
    ("crates/engine/src/networks/connections.rs", "done", "the exec root, a file system in memory"),
    ("crates/engine/src/networks/connections.rs", "has_ended", "/proc"),
    ("crates/engine/src/pods/networks.rs", "namespace", "/proc"),
    (
        "crates/engine/src/spare_directories.rs",
        "fs::symlink_metadata(",
        "a build's own thread runs this future",
    ),
    ("crates/engine/src/spare_directories.rs", "keep", "a build's own thread runs this future"),
    ("crates/engine/src/startup/foundations.rs", "read", "before anything is served"),
    ("crates/engine/src/startup/interrupted_start.rs", "adopt", "before anything is served"),
    ("crates/engine/src/startup/interrupted_start.rs", "read_exit", "before anything is served"),
    ("crates/engine/src/startup/interrupted_start.rs", "remove_run_directory", "before anything is served"),
    ("crates/engine/src/startup/open.rs", "close", "before anything is served"),
    ("crates/engine/src/startup/open.rs", "find_images", "before anything is served"),
    ("crates/engine/src/startup/open.rs", "fs::create_dir_all(", "before anything is served"),
    ("crates/engine/src/startup/open.rs", "open", "before anything is served"),
    ("crates/engine/src/startup/reconcile.rs", "begin", "cgroups"),
    ("crates/engine/src/startup/reconcile.rs", "done", "the exec root, a file system in memory"),
];

/// The code of each file of a crate, by its path.
fn files_of(part: &str) -> BTreeMap<String, String> {
    let beneath = format!("crates/{part}/src/");
    let is_theirs =
        |name: &str| name.starts_with(&beneath) && !name.ends_with("tests.rs") && !name.contains("/tests/");
    let files = sources().into_iter().map(|path| (shown(&path), path)).filter(|(name, _)| is_theirs(name));
    files
        .map(|(name, path)| (name, source::code(&fs::read_to_string(path).expect("a source file"))))
        .collect()
}

#[test]
fn no_worker_of_the_runtime_waits() {
    let mut unused: BTreeSet<(&str, &str)> = ALLOWED.iter().map(|(file, what, _)| (*file, *what)).collect();
    let mut wrong = Vec::new();
    for part in ASYNCHRONOUS {
        let files = files_of(part);
        for (name, code) in &files {
            for line in blocking::waiting(code) {
                let allowed = ALLOWED.iter().find(|(file, what, _)| file == name && line.contains(what));
                match allowed {
                    Some((file, what, _)) => drop(unused.remove(&(*file, *what))),
                    None => wrong.push(format!("{name}: {line}")),
                }
            }
        }
        for call in Calls::of(&files).waiting() {
            let allowed = ALLOWED.iter().find(|(file, what, _)| *file == call.file && *what == call.function);
            match allowed {
                Some((file, what, _)) => drop(unused.remove(&(*file, *what))),
                None => wrong.push(format!("{}: {} → {}", call.file, call.function, call.path)),
            }
        }
    }
    assert!(wrong.is_empty(), "async functions that wait; use spawn_blocking:\n{}", wrong.join("\n"));
    assert!(unused.is_empty(), "these need not be allowed any more: {unused:?}");
}
