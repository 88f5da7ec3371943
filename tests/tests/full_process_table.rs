//! The kernel makes no more threads and processes: requests meanwhile wait or are refused, and the daemon keeps running.

use std::fs;
use std::path::{Path, PathBuf};

use berth_tests::{Engine, cgroup, sh, wait};

/// A cgroup that limits the threads and processes of a daemon; it is removed when it is dropped.
struct ProcessLimit(PathBuf);

impl ProcessLimit {
    /// Puts a process into it.
    fn of(process: u32) -> Self {
        let root = if cgroup::is_unified() {
            fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+pids").expect("the controller");
            Path::new("/sys/fs/cgroup")
        } else {
            Path::new("/sys/fs/cgroup/pids")
        };
        let directory = root.join(format!("berth-test-threads-{process}"));
        fs::create_dir(&directory).expect("a cgroup");
        fs::write(directory.join("cgroup.procs"), process.to_string()).expect("the daemon in it");
        Self(directory)
    }

    /// Lets nothing more be made than there is now.
    fn close(&self) {
        let current = fs::read_to_string(self.0.join("pids.current")).expect("a number");
        fs::write(self.0.join("pids.max"), current.trim()).expect("a limit");
    }

    fn open(&self) {
        fs::write(self.0.join("pids.max"), "max").expect("no limit");
    }

    /// How often the kernel has refused.
    fn refusals(&self) -> u64 {
        let events = fs::read_to_string(self.0.join("pids.events")).expect("the events");
        let count = events.lines().find_map(|line| line.strip_prefix("max "));
        count.and_then(|count| count.parse().ok()).expect("a number")
    }
}

impl Drop for ProcessLimit {
    fn drop(&mut self) {
        self.open();
        // A cgroup goes with its last process, which may be the daemon.
        let root = self.0.parent().expect("the root");
        for process in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(root.join("cgroup.procs"), process);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// The threads of a process that serve its runtime.
fn serving_threads(process: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("its threads").flatten();
    let names = tasks.map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default());
    names.filter(|name| name.trim() == "tokio-rt-worker").count()
}

#[test]
fn a_full_table_of_processes_ends_no_daemon() {
    let engine = Engine::start();
    let [kept, gone] = ["kept", "gone"].map(|name| {
        let id = engine.create_named(name, &sh("echo content > /file"));
        engine.start(&id);
        assert_eq!(engine.wait(&id), 0);
        id
    });
    let limit = ProcessLimit::of(engine.daemon_pid());
    let workers = std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4));
    // Threads for blocking work end when they are idle for a while; one stays.
    wait::until("the end of idle threads", || {
        (serving_threads(engine.daemon_pid()) <= workers + 1).then_some(())
    });
    // A thread that ends meanwhile leaves room for another: then no more are allowed than are there now.
    let refused = wait::until("a refusal", || {
        limit.close();
        let before = limit.refusals();
        // Its mounts need a thread of their own.
        let answer = engine.get(&format!("/containers/{kept}/archive?path=/file"));
        match answer.status() {
            200 => None,
            status => Some((status, answer.text(), limit.refusals() - before)),
        }
    });
    let text = "cannot make a mount namespace for";
    assert!(refused.0 == 500 && refused.1.starts_with(text), "{refused:?}");
    assert!(refused.1.ends_with(": resource temporarily unavailable\n"), "{refused:?}");
    assert!(refused.2 > 0, "the kernel refused it: {refused:?}");
    for path in [
        "/containers/json?all=1&size=1".to_owned(),
        format!("/containers/{kept}/changes"),
        format!("/containers/{kept}/logs?stdout=1"),
        "/images/json".to_owned(),
    ] {
        let _ = engine.get(&path).expect(200);
    }
    let _ = engine.delete(&format!("/containers/{gone}")).expect(204);
    let made = engine.create(&sh("true"));
    limit.open();
    engine.start(&made);
    assert_eq!(engine.wait(&made), 0);
    let _ = engine.get(&format!("/containers/{kept}/archive?path=/file")).expect(200);
    let _ = engine.get(&format!("/containers/{gone}/json")).expect(404);
}
