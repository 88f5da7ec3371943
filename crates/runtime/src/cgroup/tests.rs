//! The same questions to invented hosts: trees of plain files.

use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A host of plain files, removed at the end of its test.
struct Invented {
    root: PathBuf,
    host: Host,
}

impl Invented {
    fn new(mounts: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("berth-cgroup-{}-{number}", std::process::id()));
        let host = Host { proc: root.join("proc"), cgroup: root.join("cgroup") };
        let mut table = String::new();
        for (number, (place, kind)) in mounts.iter().enumerate() {
            let mount = host.cgroup.join(place);
            let mount = mount.display().to_string();
            table += &format!("{number} 1 0:{number} / {} rw - {kind}\n", mount.trim_end_matches('/'));
        }
        let invented = Self { root, host };
        invented.file("proc/self/mountinfo", &table);
        invented.file("proc/meminfo", "MemFree: 1 kB\nMemTotal:        1000 kB\n");
        invented
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("mkdir");
        fs::write(path, content).expect("write");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).expect(path)
    }

    fn cgroup(&self) -> Cgroup {
        let hierarchies = hierarchy::detect(&self.host).expect("cgroups");
        let directories = hierarchies.iter().map(|hierarchy| hierarchy.mount.join("berth/id")).collect();
        Cgroup {
            hierarchies,
            directories,
            parent: "berth".into(),
            owns_parents: false,
            root: self.host.cgroup.clone(),
            proc: self.host.proc.clone(),
        }
    }
}

impl Drop for Invented {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[test]
fn controllers_are_handed_down_to_the_container() {
    let host = Invented::new(&[("", "cgroup2 cgroup2 rw")]);
    host.file("cgroup/cgroup.controllers", "cpuset cpu io memory pids rdma\n");
    host.file("cgroup/cgroup.subtree_control", "");
    host.file("cgroup/berth/cgroup.subtree_control", "");
    host.cgroup().make_unified().expect("made");
    assert!(host.root.join("cgroup/berth/id").is_dir());
    // In a plain file each write begins at its start.
    assert!(host.read("cgroup/cgroup.subtree_control").starts_with("+pids"));
    assert!(host.read("cgroup/berth/cgroup.subtree_control").starts_with("+pids"));
}

#[test]
fn what_is_handed_down_already_is_left_alone() {
    let host = Invented::new(&[("", "cgroup2 cgroup2 rw")]);
    host.file("cgroup/cgroup.controllers", "cpu memory\n");
    host.file("cgroup/berth/cgroup.subtree_control", "memory cpu\n");
    host.cgroup().make_unified().expect("made");
    assert_eq!(host.read("cgroup/berth/cgroup.subtree_control"), "memory cpu\n");
}

#[test]
fn cpusets_are_filled_from_above() {
    let host = Invented::new(&[("cpuset", "cgroup cgroup rw,cpuset")]);
    for (name, value) in [("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")] {
        host.file(&format!("cgroup/cpuset/{name}"), value);
        host.file(&format!("cgroup/cpuset/berth/{name}"), "\n");
    }
    // The kernel makes a directory's files with it; here they are missing, which ends the attempt.
    let error = host.cgroup().make_legacy().expect_err("no files").to_string();
    assert!(error.ends_with("berth/id/cpuset.cpus: no such file or directory"), "{error}");
    assert!(host.read("cgroup/cpuset/berth/cpuset.cpus").starts_with("0-3"));
}

#[test]
fn processes_enter_the_directories_of_version_one_by_themselves() {
    let host = Invented::new(&[("unified", "cgroup2 cgroup2 rw"), ("cpu", "cgroup cgroup rw,cpu")]);
    let cgroup = host.cgroup();
    cgroup.make_unified().expect("made");
    // What an earlier life of the container has left, without what was in it.
    fs::create_dir_all(host.root.join("cgroup/cpu/berth/id")).expect("a directory");
    cgroup.make_legacy().expect("made");
    assert!(cgroup.clone_target().expect("a directory").is_some());
    let error = cgroup.entrances().expect_err("no file").to_string();
    assert!(error.ends_with("cpu/berth/id/tasks: no such file or directory"), "{error}");
    host.file("cgroup/cpu/berth/id/tasks", "");
    cgroup.entrances().expect("files").enter().expect("entered");
    assert_eq!(host.read("cgroup/cpu/berth/id/tasks"), "0");
    assert!(!host.root.join("cgroup/unified/berth/id/tasks").exists());
}

#[test]
fn a_process_is_found_beneath_the_containers_directory_and_nowhere_else() {
    let host = Invented::new(&[("", "cgroup2 cgroup2 rw")]);
    host.file("cgroup/berth/id/init.scope/cgroup.procs", "");
    host.file("cgroup/berth/other/cgroup.procs", "");
    std::os::unix::fs::symlink("../other", host.root.join("cgroup/berth/id/link")).expect("a link");
    let cgroup = host.cgroup();
    let top = cgroup.clone_target().expect("a directory").expect("it has version 2");
    for (line, is_found) in [
        ("0::/berth/id/init.scope", true),
        ("0::/berth/id/link", false),
        ("0::/berth/id/../other", false),
        ("0::/berth/other", false),
        ("0::/berth/idle", false),
        ("0::/../../berth/id/init.scope", false),
        ("0::/berth/id/gone", false),
        ("1:cpu:/berth/id/init.scope", false),
    ] {
        host.file("proc/42/cgroup", &format!("2:cpuset:/elsewhere\n{line}\n"));
        assert_eq!(cgroup.place_beneath(top.as_fd(), 42).is_some(), is_found, "{line}");
    }
    assert!(cgroup.place_beneath(top.as_fd(), 43).is_none(), "no such process");
}

#[test]
fn statistics_of_version_two() {
    let host = Invented::new(&[("", "cgroup2 cgroup2 rw")]);
    for (name, content) in [
        (
            "cpu.stat",
            "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n",
        ),
        ("memory.current", "4096\n"),
        ("memory.peak", "8192\n"),
        ("memory.max", "max\n"),
        ("memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n"),
        ("memory.stat", "anon 1024\nfile 3072\n"),
        ("pids.current", "3\n"),
        ("pids.max", "12\n"),
        ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n"),
    ] {
        host.file(&format!("cgroup/berth/id/{name}"), content);
    }
    let statistics = host.cgroup().statistics().expect("counters");
    assert_eq!(
        (statistics.cpu_total, statistics.cpu_user, statistics.cpu_kernel, statistics.throttled_time),
        (30_000, 20_000, 10_000, 7_000)
    );
    assert_eq!(
        (statistics.memory_usage, statistics.memory_maximum_usage, statistics.memory_failures),
        (4096, 8192, 5)
    );
    assert_eq!(statistics.memory_limit, 1_024_000, "without a limit it is the host's");
    assert_eq!((statistics.processes, statistics.processes_limit), (3, Some(12)));
    assert_eq!(statistics.memory_details["file"], 3072);
    assert_eq!(statistics.block["io_serviced_recursive"].len(), 3);
}

#[test]
fn statistics_of_version_one() {
    let host = Invented::new(&[
        ("cpu,cpuacct", "cgroup cgroup rw,cpu,cpuacct"),
        ("memory", "cgroup cgroup rw,memory"),
        ("pids", "cgroup cgroup rw,pids"),
    ]);
    for (path, content) in [
        ("cpu,cpuacct/berth/id/cpuacct.usage", "5000\n"),
        ("cpu,cpuacct/berth/id/cpuacct.usage_percpu", "2000 3000 \n"),
        ("cpu,cpuacct/berth/id/cpuacct.stat", "user 2\nsystem 1\n"),
        ("cpu,cpuacct/berth/id/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 77\n"),
        ("memory/berth/id/memory.usage_in_bytes", "4096\n"),
        ("memory/berth/id/memory.max_usage_in_bytes", "9000\n"),
        ("memory/berth/id/memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory/berth/id/memory.failcnt", "6\n"),
        ("pids/berth/id/pids.current", "1\n"),
        ("pids/berth/id/pids.max", "max\n"),
    ] {
        host.file(&format!("cgroup/{path}"), content);
    }
    let cgroup = host.cgroup();
    let statistics = cgroup.statistics().expect("counters");
    assert_eq!(
        (statistics.cpu_total, statistics.cpu_user, statistics.cpu_kernel),
        (5000, 20_000_000, 10_000_000)
    );
    assert_eq!(statistics.cpu_per_processor, [2000, 3000]);
    assert_eq!((statistics.throttling_periods, statistics.throttled_time), (9, 77));
    assert_eq!((statistics.memory_limit, statistics.memory_failures), (1_024_000, 6));
    assert_eq!((statistics.processes, statistics.processes_limit), (1, None));
    assert!(!cgroup.is_unified());
    let layout = cgroup.layout();
    let name = |name: &str| (name.to_owned(), "cpu,cpuacct".to_owned());
    assert_eq!(layout.links, [name("cpu"), name("cpuacct")]);
}

#[test]
fn a_cgroup_that_is_gone_is_empty_and_removed() {
    let host = Invented::new(&[("", "cgroup2 cgroup2 rw"), ("pids", "cgroup cgroup rw,pids")]);
    let cgroup = host.cgroup();
    cgroup.kill().expect("nothing to kill");
    cgroup.remove().expect("nothing to remove");
    assert_eq!(cgroup.processes().expect("none"), Vec::<u32>::new());
}

#[test]
fn a_host_without_cgroups_is_an_error() {
    let host = Invented::new(&[]);
    assert!(hierarchy::detect(&host.host).is_err());
}

#[test]
fn files_of_version_two_are_set_by_their_names_where_there_are_some() {
    let files = |name: &str| Resources {
        unified: [(name.to_owned(), "1".to_owned())].into(),
        ..Resources::default()
    };
    let host = Invented::new(&[("", "cgroup2 cgroup2 rw")]);
    host.file("cgroup/berth/id/memory.oom.group", "0");
    host.cgroup().update(&files("memory.oom.group")).expect("set");
    assert_eq!(host.read("cgroup/berth/id/memory.oom.group"), "1");
    let refusal = host.cgroup().update(&files("memory.high")).expect_err("a kernel without it");
    assert!(refusal.to_string().contains("memory.high"), "{refusal}");
    let host = Invented::new(&[("memory", "cgroup cgroup rw,memory")]);
    host.cgroup().update(&files("memory.oom.group")).expect_err("version 1 alone");
}

#[test]
fn huge_pages_are_limited_in_both_versions() {
    let limits =
        |bytes: u64| Resources { huge_pages: [("2MB".to_owned(), bytes)].into(), ..Resources::default() };
    let two = Invented::new(&[("", "cgroup2 cgroup2 rw")]);
    two.file("cgroup/cgroup.controllers", "cpu hugetlb memory\n");
    two.file("cgroup/cgroup.subtree_control", "");
    two.file("cgroup/berth/cgroup.subtree_control", "");
    two.file("cgroup/berth/id/hugetlb.2MB.max", "max");
    let one = Invented::new(&[("hugetlb", "cgroup cgroup rw,hugetlb")]);
    one.file("cgroup/hugetlb/berth/id/hugetlb.2MB.limit_in_bytes", "");
    one.file("cgroup/hugetlb/berth/id/hugetlb.2MB.rsvd.limit_in_bytes", "");
    for host in [&one, &two] {
        host.cgroup().update(&limits(4 << 20)).expect("limited");
    }
    assert_eq!(two.read("cgroup/berth/id/hugetlb.2MB.max"), "4194304");
    assert_eq!(two.read("cgroup/berth/cgroup.subtree_control"), "+hugetlb");
    for kind in ["", "rsvd."] {
        let name = format!("cgroup/hugetlb/berth/id/hugetlb.2MB.{kind}limit_in_bytes");
        assert_eq!(one.read(&name), "4194304");
    }
    let without = Invented::new(&[("memory", "cgroup cgroup rw,memory")]);
    without.cgroup().update(&limits(0)).expect("no pages are no limit there");
    let refusal = without.cgroup().update(&limits(1)).expect_err("nothing counts them");
    assert!(refusal.to_string().contains("huge pages of 2MB"), "{refusal}");
}

#[test]
fn a_kill_counts_that_ended_a_scope_which_is_gone() {
    let host = Invented::new(&[("", "cgroup2 cgroup2 rw")]);
    let events = |kills: u32| format!("low 0\nhigh 0\nmax 5\noom 1\noom_kill {kills}\n");
    let (slice, scope) = ("cgroup/pod.slice/memory.events", "cgroup/pod.slice/one.scope/memory.events");
    host.file(slice, &events(3));
    host.file(scope, &events(0));
    let mut cgroup = host.cgroup();
    cgroup.directories = vec![host.host.cgroup.join("pod.slice/one.scope")];
    let mut notice = cgroup.out_of_memory_notice().expect("a notice");
    assert_eq!(notice.take().expect("none"), 0);
    // Another scope of the slice.
    host.file(slice, &events(4));
    assert_eq!(notice.take().expect("none"), 0);
    let remove = || fs::remove_dir_all(&cgroup.directories[0]).expect("removed");
    remove();
    assert_eq!(notice.take().expect("none"), 0, "it ended otherwise");
    host.file(slice, &events(5));
    assert_eq!(notice.take().expect("one"), 1);
    assert_eq!(notice.take().expect("no more"), 0);
    // One that is read before systemd removes it is counted once.
    host.file(scope, &events(0));
    let mut notice = cgroup.out_of_memory_notice().expect("a notice");
    host.file(scope, &events(1));
    host.file(slice, &events(6));
    assert_eq!(notice.take().expect("one"), 1);
    remove();
    assert_eq!(notice.take().expect("no more"), 0);
}
