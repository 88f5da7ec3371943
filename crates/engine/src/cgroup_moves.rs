//! Makes the next move of a process between cgroups of version 1 quick.
//!
//! The first write to a `cgroup.procs` after a while waits until every processor has passed through
//! the kernel's scheduler (an RCU grace period, 5 to 14 milliseconds); writes within the ten
//! milliseconds after it take microseconds. So a request that will lead to such a write begins with
//! one that changes nothing, beside its other work: a thread moves itself to where it is. Hosts with
//! cgroup version 2 alone need none of it: there the clone puts a container into its cgroup.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// For how long after one preparation another would change nothing.
const LASTING: Duration = Duration::from_millis(5);

/// Where a hierarchy of version 1 is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// A controller of it, or its name, as `name=systemd`.
    word: String,
    /// The cgroup that is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
}

/// Prepares moves, at most one at a time.
pub(crate) struct CgroupMoves {
    mount: Option<Mount>,
    opened: Instant,
    /// When the last preparation began, in microseconds since `opened`.
    last: AtomicU64,
}

impl CgroupMoves {
    pub(crate) fn open() -> Arc<Self> {
        let mount = fs::read_to_string("/proc/self/mountinfo").ok().and_then(|text| first_mount(&text));
        Arc::new(Self { mount, opened: Instant::now(), last: AtomicU64::new(0) })
    }

    /// Begins to make the next move quick, and returns at once.
    pub(crate) fn prepare(self: &Arc<Self>) {
        if self.mount.is_none() {
            return;
        }
        let now = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        let last = self.last.load(Ordering::Relaxed);
        let lasts = last != 0 && u128::from(now.saturating_sub(last)) < LASTING.as_micros();
        if lasts || self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let moves = Arc::clone(self);
        tokio::task::spawn_blocking(move || moves.stay());
    }

    /// Moves this thread to the cgroup that it is in. What fails only leaves the next move slow.
    fn stay(&self) {
        let Some(mount) = &self.mount else { return };
        let own = fs::read_to_string("/proc/thread-self/cgroup").unwrap_or_default();
        if let Some(directory) = own_directory(&own, mount) {
            let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
            let _ = fs::write(directory.join("tasks"), thread);
        }
    }
}

/// The first hierarchy of version 1 in a table of mounts.
fn first_mount(table: &str) -> Option<Mount> {
    let mount = sys::mount_table::parse(table).find(|mount| mount.kind == "cgroup")?;
    // The file system's own options stand before its controllers.
    let word = mount.options.rsplit(',').next()?.to_owned();
    Some(Mount { word, root: mount.root, point: mount.point })
}

/// Where a thread with this /proc/thread-self/cgroup (cgroups(7): `number:controllers:path`) is in a
/// hierarchy.
fn own_directory(own: &str, mount: &Mount) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|name| name == mount.word).then_some(path)
    })?;
    Some(mount.point.join(Path::new(path).strip_prefix(&mount.root).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
29 20 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
30 29 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
31 29 0:27 /outer /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
";

    #[test]
    fn a_thread_is_found_beneath_the_mount() {
        let mount = first_mount(MOUNTS).expect("a hierarchy");
        let point = PathBuf::from("/sys/fs/cgroup/cpu,cpuacct");
        assert_eq!(mount, Mount { word: "cpuacct".into(), root: "/outer".into(), point: point.clone() });
        let own = "5:memory:/\n4:cpu,cpuacct:/outer/engine\n0::/x\n";
        assert_eq!(own_directory(own, &mount), Some(point.join("engine")));
        assert_eq!(own_directory("4:cpu,cpuacct:/elsewhere\n", &mount), None);
        assert_eq!(own_directory("0::/x\n", &mount), None);
    }

    #[test]
    fn version_two_alone_needs_nothing() {
        assert_eq!(first_mount("29 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), None);
    }
}
