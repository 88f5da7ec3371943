//! Execs and terminals.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use berth_runtime::{Cgroup, ExecRequest, Given, Host, Running, Stdio};
use model::ProcessSpec;

use crate::Test;
use crate::scene::{
    Outcome, Scene, assert_clean, create_with, eventually, finish, pipes, process, read, start,
};

pub(crate) const TESTS: &[Test] = &[
    ("exec_shares_the_container", exec_shares_the_container),
    ("exec_errors_say_why", exec_errors_say_why),
    ("exec_has_its_own_user_and_rights", exec_has_its_own_user_and_rights),
    ("exec_is_in_the_cgroups", exec_is_in_the_cgroups),
    ("exec_is_where_init_is_in_a_container_with_groups_of_its_own", exec_is_where_init_is),
    ("a_terminal_is_the_containers_own", a_terminal_is_the_containers_own),
    ("exec_gets_a_terminal", exec_gets_a_terminal),
];

/// Runs an exec to its end.
pub(crate) fn exec(running: &Running, process: &ProcessSpec, privileged: bool) -> Outcome {
    let (stdio, ends) = pipes();
    let exec = running.exec(&ExecRequest { process, privileged }, stdio).unwrap();
    finish(&exec.process, ends)
}

pub(crate) fn end(running: &Running) {
    running.signal(model::Signal::KILL).unwrap();
    running.init().wait().unwrap();
    running.destroy().unwrap();
    assert_clean(running.cgroup().directories());
}

fn exec_shares_the_container() {
    let scene = Scene::new();
    let (running, _ends) = start(&scene.spec(&["sleep", "100"])).unwrap();
    let script = "hostname; echo $$; cat /proc/1/comm; echo x > /tmp/seen; ls /proc/self/ns >/dev/null; ls -l /proc/self/fd | wc -l; exit 3";
    let outcome = exec(&running, &process(&["sh", "-c", script]), false);
    assert_eq!(outcome.exit.code, 3, "{outcome:?}");
    let lines: Vec<&str> = outcome.output.lines().collect();
    assert_eq!((lines[0], lines[2]), ("inside", "sleep"));
    assert!(lines[1].parse::<u32>().unwrap() > 1);
    // 0, 1, 2, the directory itself, and ls's line of the total.
    assert_eq!(lines[3], "5", "a descriptor leaked");
    assert!(scene.directory.join("upper/tmp/seen").exists());
    for namespace in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let script = format!("readlink /proc/1/ns/{namespace}; readlink /proc/self/ns/{namespace}");
        let outcome = exec(&running, &process(&["sh", "-c", &script]), true);
        let lines: Vec<&str> = outcome.output.lines().collect();
        assert_eq!(lines.len(), 2, "{outcome:?}");
        assert_eq!(lines[0], lines[1]);
    }
    end(&running);
}

fn exec_errors_say_why() {
    let scene = Scene::new();
    let (running, _ends) = start(&scene.spec(&["sleep", "100"])).unwrap();
    let mut bad_user = process(&["true"]);
    bad_user.user = "nosuch".into();
    let mut bad_directory = process(&["true"]);
    bad_directory.working_directory = "/nosuch".into();
    for (process, code, words) in [
        (process(&["nope"]), 127, "exec: \"nope\": executable file not found in $PATH"),
        (process(&["/etc/passwd"]), 126, "exec: \"/etc/passwd\": permission denied"),
        (bad_user, 128, "Unable to find user nosuch"),
        (bad_directory, 128, "chdir to cwd (\"/nosuch\"): no such file or directory"),
    ] {
        let (stdio, _ends) = pipes();
        let error = running.exec(&ExecRequest { process: &process, privileged: false }, stdio).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code()), (words, code));
    }
    end(&running);
}

fn exec_has_its_own_user_and_rights() {
    let scene = Scene::new();
    let (running, _ends) = start(&scene.spec(&["sleep", "100"])).unwrap();
    let mut app =
        process(&["sh", "-c", "id -u; id -g; id -G; echo $HOME; pwd; grep CapEff /proc/self/status"]);
    app.user = "app".into();
    app.working_directory = "/tmp".into();
    let outcome = exec(&running, &app, false);
    let expected = "1000\n1001\n1001 50\n/home/app\n/tmp\nCapEff:\t0000000000000000\n";
    assert_eq!(outcome.output, expected, "{outcome:?}");
    // The user need not be able to enter its directory.
    exec(&running, &process(&["mkdir", "-m", "700", "/tmp/closed"]), false);
    app.arguments = ["sh", "-c", "id -u; pwd"].map(Into::into).to_vec();
    app.working_directory = "/tmp/closed".into();
    let outcome = exec(&running, &app, false);
    assert_eq!(outcome.output, "1000\n/tmp/closed\n", "{outcome:?}");
    let root = process(&["grep", "-E", "CapEff|Seccomp:", "/proc/self/status"]);
    let outcome = exec(&running, &root, false);
    assert_eq!(outcome.output, "CapEff:\t00000000a80425fb\nSeccomp:\t2\n");
    let outcome = exec(&running, &root, true);
    assert!(outcome.output.ends_with("Seccomp:\t0\n"), "{outcome:?}");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).unwrap();
    assert!(outcome.output.starts_with(&format!("CapEff:\t{bounding}\n")), "{outcome:?}");
    end(&running);
}

/// As systemd and other engines do in a container: all processes leave the container's own group, which then
/// delegates controllers and accepts no process any more.
fn exec_is_where_init_is() {
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let mount = mounts.into_iter().find(|mount| mount.join("cgroup.controllers").exists()).unwrap();
    let available = read(&mount.join("cgroup.controllers"));
    // Controllers that cannot be delegated beside processes; threaded ones can.
    let mut controllers = ["memory", "hugetlb", "io", "rdma", "misc"].into_iter();
    let controller = controllers.find(|name| available.split_whitespace().any(|word| word == *name));
    // A host whose hierarchies of version 1 have all controllers has no group that keeps processes out.
    let Some(controller) = controller else { return };
    let hand_down = |group: &Path| {
        std::fs::write(group.join("cgroup.subtree_control"), format!("+{controller}")).unwrap();
    };
    let before = read(&mount.join("cgroup.subtree_control"));
    let parent = mount.join("berth-test-groups");
    std::fs::create_dir_all(&parent).unwrap();
    hand_down(&mount);
    hand_down(&parent);
    let scene = Scene::new();
    let mut spec = scene.spec(&["sleep", "100"]);
    spec.cgroup_parent = "berth-test-groups".parse().ok();
    let host = Host { cgroup: mount.clone(), ..Host::default() };
    let (stdio, _ends) = pipes();
    let cgroup = Cgroup::of(&host, &spec).unwrap();
    let given = Given { stdio, held_mounts: &[], network: None, title: None };
    let running = berth_runtime::create(&host, &spec, cgroup, given).unwrap().start(None).unwrap();
    let top = running.cgroup().directories()[0].clone();
    let own = top.join("init");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("cgroup.procs"), running.init().reference().pid.to_string()).unwrap();
    hand_down(&top);
    let outcome = exec(&running, &process(&["cat", "/proc/self/cgroup"]), false);
    let expected = format!("0::/berth-test-groups/{}/init", scene.id.as_str());
    assert!(outcome.output.lines().any(|line| line == expected), "{outcome:?}");
    end(&running);
    // Engines of the host delegate all but these themselves.
    if ["hugetlb", "rdma", "misc"].contains(&controller)
        && !before.split_whitespace().any(|name| name == controller)
    {
        let _ = std::fs::write(mount.join("cgroup.subtree_control"), format!("-{controller}"));
    }
}

fn exec_is_in_the_cgroups() {
    let scene = Scene::new();
    let (running, _ends) = start(&scene.spec(&["sleep", "100"])).unwrap();
    let outcome = exec(&running, &process(&["cat", "/proc/self/cgroup"]), false);
    for line in outcome.output.lines() {
        let end = format!("/berth-test/{}", scene.id.as_str());
        assert!(line.ends_with(&end), "{line}");
    }
    end(&running);
}

fn a_terminal_is_the_containers_own() {
    let scene = Scene::new();
    let mut spec = scene.spec(&[
        "sh",
        "-c",
        "tty; stty size; ls -l /dev/console; echo console > /dev/console; read line; echo got $line",
    ]);
    spec.process.terminal = true;
    spec.process.terminal_size = (30, 99);
    spec.process.user = "app".into();
    let created = create_with(&spec, Stdio::Terminal).unwrap();
    let mut running = created.start(None).unwrap();
    let mut master = std::fs::File::from(running.take_terminal().unwrap());
    master.write_all(b"hello\n").unwrap();
    let text = drain(master.into());
    assert_eq!(running.init().wait().unwrap().code, 0, "{text}");
    running.destroy().unwrap();
    for part in ["/dev/pts/0\r\n", "30 99\r\n", "crw--w----", "console\r\n", "got hello\r\n"] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

fn exec_gets_a_terminal() {
    let scene = Scene::new();
    let (running, _ends) = start(&scene.spec(&["sleep", "100"])).unwrap();
    let mut process = process(&["sh", "-c", "tty; ps -o tty,comm | grep sh; exit 4"]);
    process.terminal = true;
    let exec = running.exec(&ExecRequest { process: &process, privileged: false }, Stdio::Terminal).unwrap();
    let text = drain(exec.terminal.unwrap());
    assert_eq!(exec.process.wait().unwrap().code, 4, "{text}");
    assert!(text.starts_with("/dev/pts/0\r\n136,0"), "{text:?}");
    let mut ended = None;
    eventually("the container goes on", || {
        ended = running.init().try_wait().unwrap();
        true
    });
    assert_eq!(ended, None);
    end(&running);
}

/// Reads a terminal until its other end is gone (EIO).
fn drain(master: OwnedFd) -> String {
    let mut bytes = Vec::new();
    let _ = std::fs::File::from(master).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
