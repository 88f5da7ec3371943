//! Runs, exit codes, start errors.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::process::Command;

use berth_runtime::{Cgroup, ExecRequest, FailureKind, Host};
use model::{ContainerSpec, InterfaceAddressConfig, InterfaceConfig};
use sys::clone::{Cloned, NewNamespaces};

use crate::Test;
use crate::further::end;
use crate::scene::{Scene, assert_clean, create, eventually, finish, pipes, process, run, run_with, start};

pub(crate) const TESTS: &[Test] = &[
    ("a_program_runs_and_its_code_comes_back", a_program_runs_and_its_code_comes_back),
    ("input_goes_in_and_output_comes_out", input_goes_in_and_output_comes_out),
    ("start_errors_say_why", start_errors_say_why),
    ("nothing_stays_in_the_parent", nothing_stays_in_the_parent),
    ("very_little_memory_is_enough", very_little_memory_is_enough),
    ("an_interface_is_configured", an_interface_is_configured),
    ("a_container_ends_with_its_parent", a_container_ends_with_its_parent),
    ("the_cgroup_can_be_entered_early", the_cgroup_can_be_entered_early),
    ("a_created_container_that_is_dropped_is_undone", a_created_container_that_is_dropped_is_undone),
];

fn a_program_runs_and_its_code_comes_back() {
    for (arguments, code) in
        [(&["true"][..], 0), (&["sh", "-c", "exit 7"], 7), (&["sh", "-c", "kill -9 $$"], 0)]
    {
        let scene = Scene::new();
        let outcome = run(&scene.spec(arguments)).unwrap();
        assert_eq!(outcome.exit.code, code, "{arguments:?} {outcome:?}");
    }
}

fn input_goes_in_and_output_comes_out() {
    let scene = Scene::new();
    let outcome = run_with(&scene.spec(&["sh", "-c", "cat; echo done >&2"]), b"hello").unwrap();
    assert_eq!((outcome.output.as_str(), outcome.errors.as_str()), ("hello", "done\n"));
}

fn start_errors_say_why() {
    use FailureKind::{ProgramNotExecutable, ProgramNotFound, UserNotFound};
    for (program, user, failure, code, words) in [
        ("nope", "", ProgramNotFound, 127, "exec: \"nope\": executable file not found in $PATH"),
        ("", "", ProgramNotFound, 127, "exec: \"\": executable file not found in $PATH"),
        ("/nope", "", ProgramNotFound, 127, "exec: \"/nope\": stat /nope: no such file or directory"),
        ("/etc", "", ProgramNotExecutable, 126, "exec: \"/etc\": permission denied"),
        ("/etc/passwd", "", ProgramNotExecutable, 126, "exec: \"/etc/passwd\": permission denied"),
        ("true", "nosuch", UserNotFound, 128, "Unable to find user nosuch"),
    ] {
        let scene = Scene::new();
        let mut spec = scene.spec(&[program]);
        spec.process.user = user.into();
        let (created, _ends) = create(&spec).unwrap();
        let directories = created.cgroup().directories().to_vec();
        let error = created.start(None).unwrap_err();
        assert_eq!(error.to_string(), words);
        assert_eq!((error.failure(), error.exit_code()), (failure, code), "{words}");
        assert_clean(&directories);
    }
}

fn a_created_container_that_is_dropped_is_undone() {
    let scene = Scene::new();
    let (created, _ends) = create(&scene.spec(&["true"])).unwrap();
    let init = created.init();
    let directories = created.cgroup().directories().to_vec();
    assert!(directories.iter().all(|directory| directory.exists()));
    drop(created);
    assert_clean(&directories);
    assert!(!std::path::Path::new(&format!("/proc/{}", init.pid)).exists());
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("iproute2 must be installed");
    assert!(status.success(), "ip {arguments:?}");
}

fn an_interface_is_configured() {
    let scene = Scene::new();
    let script = "ip -4 -o addr | awk '{print $2, $4, $6}'; ip route; ip -o link show eth0 | grep -c '[<,]UP[,>]'; cat /proc/sys/net/ipv4/conf/eth0/forwarding";
    let mut spec = scene.spec(&["sh", "-c", script]);
    spec.sysctls = [("net.ipv4.conf.eth0.forwarding".to_owned(), "1".to_owned())].into();
    let (created, ends) = create(&spec).unwrap();
    assert!(created.network_namespace().is_some());
    let outside = format!("rt{}", &scene.id.short()[..8]);
    let pid = created.init().pid.to_string();
    ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &pid]);
    ip(&["link", "set", &outside, "up"]);
    let interface = InterfaceConfig {
        name: "eth0".into(),
        ipv4: Some(InterfaceAddressConfig {
            address: Ipv4Addr::new(192, 0, 2, 5),
            prefix_length: 24,
            gateway: Some(Ipv4Addr::new(192, 0, 2, 1)),
        }),
        has_ipv6: false,
    };
    let running = created.start(Some(&interface)).unwrap();
    let outcome = finish(running.init(), ends);
    running.destroy().unwrap();
    assert_eq!(
        outcome.output,
        "lo 127.0.0.1/8 host\neth0 192.0.2.5/24 192.0.2.255\n\
         default via 192.0.2.1 dev eth0 \n192.0.2.0/24 dev eth0 scope link  src 192.0.2.5 \n1\n1\n",
        "{outcome:?}"
    );
    let (created, _ends) = create(&spec).unwrap();
    let error = created.start(Some(&interface)).unwrap_err().to_string();
    assert!(error.starts_with("looking for the interface eth0: "), "{error}");
}

fn a_container_ends_with_its_parent() {
    for is_started in [true, false] {
        let scene = Scene::new();
        let spec = scene.spec(&["sleep", "100"]);
        let (told, telling) = rustix::pipe::pipe().unwrap();
        let parent = match sys::clone::clone(NewNamespaces::default(), None).unwrap() {
            Cloned::Child => be_a_parent(&spec, is_started, &telling),
            Cloned::Parent { pid, .. } => pid,
        };
        let mut text = [0; 20];
        let length = rustix::io::read(&told, &mut text).unwrap();
        let init = format!("/proc/{}", String::from_utf8_lossy(&text[..length]));
        let is_alive = || {
            let stat = std::fs::read_to_string(format!("{init}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
        };
        assert!(is_alive());
        let number = rustix::process::Pid::from_raw(i32::try_from(parent).unwrap()).unwrap();
        rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(Some(number), rustix::process::WaitOptions::empty()).unwrap();
        eventually("the end of init", || !is_alive());
        let left = Cgroup::of(&Host::default(), &spec).unwrap();
        left.kill().unwrap();
        left.remove().unwrap();
        assert_clean(left.directories());
    }
}

/// Makes or starts a container, reports its init's number and waits to be killed.
fn be_a_parent(spec: &ContainerSpec, is_started: bool, telling: &OwnedFd) -> ! {
    let tell = |pid: u32| rustix::io::write(telling, pid.to_string().as_bytes()).unwrap();
    let (created, _ends) = create(spec).unwrap();
    let wait = || std::thread::sleep(std::time::Duration::from_secs(100));
    if is_started {
        let running = created.start(None).unwrap();
        tell(running.init().reference().pid);
        wait();
    } else {
        tell(created.init().pid);
        wait();
    }
    sys::clone::leave(0)
}

fn the_cgroup_can_be_entered_early() {
    let scene = Scene::new();
    let (created, ends) = create(&scene.spec(&["cat", "/proc/self/cgroup"])).unwrap();
    let running = created.start(None).unwrap();
    let outcome = finish(running.init(), ends);
    running.destroy().unwrap();
    assert!(outcome.output.lines().all(|line| line.ends_with(scene.id.as_str())), "{outcome:?}");
}

/// Descriptors, children and mounts after lives, execs and failures of every sort.
fn nothing_stays_in_the_parent() {
    let count = || {
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
        (std::fs::read_dir("/proc/self/fd").unwrap().count(), children, mounts)
    };
    let round = || {
        let scene = Scene::new();
        let (running, ends) = start(&scene.spec(&["sleep", "100"])).unwrap();
        for name in ["true", "nope", "/etc"] {
            let (stdio, _ends) = pipes();
            let process = process(&[name]);
            if let Ok(exec) = running.exec(&ExecRequest { process: &process, privileged: false }, stdio) {
                exec.process.wait().unwrap();
            }
        }
        running.statistics().unwrap();
        drop(running.cgroup().out_of_memory_notice().unwrap());
        end(&running);
        drop((running, ends));
        let scene = Scene::new();
        assert!(run(&scene.spec(&["nope"])).is_err());
        let mut spec = scene.spec(&["true"]);
        spec.resources.cpuset_cpus = "4000".parse().ok();
        assert!(run(&spec).is_err());
        let (created, _ends) = create(&scene.spec(&["true"])).unwrap();
        drop(created);
    };
    round();
    let before = count();
    (0..5).for_each(|_| round());
    assert_eq!(count(), before);
}

fn very_little_memory_is_enough() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["echo", "runs"]);
    spec.resources.memory = Some(4 << 20);
    spec.resources.memory_swap = Some(4 << 20);
    assert_eq!(run(&spec).unwrap().output, "runs\n");
}
