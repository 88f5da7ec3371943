//! Rights, filters and attempts to get out.

use std::fs;
use std::os::unix::fs::symlink;

use berth_runtime::{ExecRequest, Stdio};
use model::{ResourceLimit, SeccompPolicy, Signal};

use crate::Test;
use crate::further::{end, exec};
use crate::scene::{Scene, eventually, pipes, process, run, start};
use crate::view::bind;

pub(crate) const TESTS: &[Test] = &[
    ("capabilities_are_exactly_those_given", capabilities_are_exactly_those_given),
    ("no_new_privileges", no_new_privileges),
    ("system_calls_are_filtered", system_calls_are_filtered),
    ("resource_limits", resource_limits),
    ("groups_and_home", groups_and_home),
    ("the_small_init_reaps_and_passes_signals_on", the_small_init_reaps_and_passes_signals_on),
    ("no_descriptor_leaks_into_the_program", no_descriptor_leaks_into_the_program),
    ("signals_are_as_a_new_process_has_them", signals_are_as_a_new_process_has_them),
    ("attack_redirected_system_directories", attack_redirected_system_directories),
    ("attack_false_null_device", attack_false_null_device),
    ("attack_false_terminal", attack_false_terminal),
    ("attack_working_directory_of_a_descriptor", attack_working_directory_of_a_descriptor),
    ("attack_looking_into_an_exec", attack_looking_into_an_exec),
    ("attack_program_of_the_runtime", attack_program_of_the_runtime),
    ("attack_hostile_user_files", attack_hostile_user_files),
    ("attack_links_out_of_the_root", attack_links_out_of_the_root),
];

fn capabilities_are_exactly_those_given() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["grep", "-E", "^Cap", "/proc/self/status"]);
    spec.process.capabilities = vec!["CAP_CHOWN".into(), "CAP_KILL".into()];
    let held = "0000000000000021";
    let none = "0000000000000000";
    let all = |inherited, permitted, bounding| {
        format!(
            "CapInh:\t{inherited}\nCapPrm:\t{permitted}\nCapEff:\t{permitted}\nCapBnd:\t{bounding}\nCapAmb:\t{none}\n"
        )
    };
    assert_eq!(run(&spec).unwrap().output, all(none, held, held));
    spec.process.user = "app".into();
    assert_eq!(run(&spec).unwrap().output, all(none, none, held));
    spec.process.capabilities = vec!["CAP_NOPE".into()];
    assert_eq!(run(&spec).unwrap_err().to_string(), "unknown capability \"CAP_NOPE\"");
}

fn no_new_privileges() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["grep", "-E", "^(NoNewPrivs|Seccomp):", "/proc/self/status"]);
    assert_eq!(run(&spec).unwrap().output, "NoNewPrivs:\t0\nSeccomp:\t2\n");
    spec.process.no_new_privileges = true;
    spec.process.user = "app".into();
    assert_eq!(run(&spec).unwrap().output, "NoNewPrivs:\t1\nSeccomp:\t2\n");
}

fn system_calls_are_filtered() {
    let scene = Scene::new();
    let script = "unshare -U true 2>&1 | grep -o 'Operation not permitted'; mkdir /tmp/d || echo refused";
    let mut spec = scene.spec(&["sh", "-c", script]);
    assert_eq!(run(&spec).unwrap().output, "Operation not permitted\n");
    spec.seccomp = SeccompPolicy::Profile(
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"mkdir","action":"SCMP_ACT_ERRNO"}]}"#
            .into(),
    );
    assert_eq!(run(&spec).unwrap().output, "refused\n");
    spec.seccomp = SeccompPolicy::Unconfined;
    spec.process.arguments = ["grep", "^Seccomp:", "/proc/self/status"].map(str::to_owned).into();
    assert_eq!(run(&spec).unwrap().output, "Seccomp:\t0\n");
    spec.seccomp = SeccompPolicy::Profile("{".into());
    assert!(run(&spec).unwrap_err().to_string().starts_with("Decoding seccomp profile failed"));
}

fn resource_limits() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["sh", "-c", "ulimit -n; ulimit -Hn"]);
    let limit = |name: &str, soft, hard| ResourceLimit { name: name.into(), soft, hard };
    spec.process.resource_limits = vec![limit("nofile", 100, 200)];
    assert_eq!(run(&spec).unwrap().output, "100\n200\n");
    for (limit, words) in [
        (limit("nofile", 20, 10), "error setting rlimit type 7: invalid argument"),
        (limit("nope", 1, 1), "Invalid ulimit type: nope"),
    ] {
        spec.process.resource_limits = vec![limit];
        assert_eq!(run(&spec).unwrap_err().to_string(), words);
    }
}

fn groups_and_home() {
    let scene = Scene::new();
    let mut spec = scene.spec(&["sh", "-c", "id -u; id -g; id -G; echo $HOME; umask; echo x > /dev/stdout"]);
    spec.process.user = "app".into();
    spec.process.additional_groups = vec!["777".into(), "staff".into()];
    assert_eq!(run(&spec).unwrap().output, "1000\n1001\n1001 50 777\n/home/app\n0022\nx\n");
    spec.process.user = "1234:4321".into();
    spec.process.environment.push("HOME=/given".into());
    spec.process.additional_groups.clear();
    assert_eq!(run(&spec).unwrap().output, "1234\n4321\n4321\n/given\n0022\nx\n");
}

fn the_small_init_reaps_and_passes_signals_on() {
    let scene = Scene::new();
    let script = "(sleep 0.05 & ) ; echo $$; cat /proc/1/comm; trap 'echo got; exit 9' TERM; sleep 0.3; i=0; while [ $i -lt 300 ] && cat /proc/[0-9]*/stat | grep -q ') Z '; do i=$((i+1)); sleep 0.1; done; cat /proc/[0-9]*/stat | grep -c ') Z '; readlink /proc/1/exe || echo hidden; while :; do sleep 0.05; done";
    let mut spec = scene.spec(&["sh", "-c", script]);
    spec.init = true;
    let (running, ends) = start(&spec).unwrap();
    let mut output = fs::File::from(ends.output.try_clone().unwrap());
    let mut text = String::new();
    while text.matches('\n').count() < 4 {
        let mut byte = [0];
        std::io::Read::read_exact(&mut output, &mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    assert_eq!(text, "2\ninit\n0\nhidden\n");
    running.signal(Signal::parse("TERM").unwrap()).unwrap();
    assert_eq!(running.init().wait().unwrap().code, 9);
    assert_eq!(ends.finish(b"").0, "got\n");
    running.destroy().unwrap();
    spec.process.arguments = vec!["nope".into()];
    assert_eq!(run(&spec).unwrap_err().exit_code(), 127);
}

fn no_descriptor_leaks_into_the_program() {
    let scene = Scene::new();
    let leak = fs::File::open("/etc/passwd").unwrap();
    let kept = rustix::io::dup(&leak).unwrap();
    let outcome = scene.shell("ls /proc/self/fd | tr '\\n' ' '");
    assert_eq!(outcome.output, "0 1 2 3 ", "3 is the listing's own");
    drop(kept);
}

fn signals_are_as_a_new_process_has_them() {
    let scene = Scene::new();
    let outcome =
        scene.shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; set -- $(cat /proc/$$/stat); echo $6");
    assert_eq!(outcome.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n1\n");
}

/// CVE-2019-19921 and its kin: an image whose /proc, /sys or /dev is a link.
fn attack_redirected_system_directories() {
    for name in ["proc", "sys", "dev"] {
        let scene = Scene::new();
        fs::create_dir_all(scene.layer("elsewhere")).unwrap();
        symlink("/elsewhere", scene.layer(name)).unwrap();
        let error = run(&scene.spec(&["true"])).unwrap_err().to_string();
        assert!(error.starts_with(&format!("opening /{name}: ")), "{error}");
    }
}

/// CVE-2025-31133: a /dev/null that is a link to what is to be opened up.
fn attack_false_null_device() {
    let scene = Scene::new();
    let dev = scene.directory.join("dev");
    fs::create_dir(&dev).unwrap();
    symlink("/proc/sys/kernel/core_pattern", dev.join("null")).unwrap();
    let script = "cat /proc/interrupts | wc -c; stat -c '%t:%T' /proc/interrupts; (echo x > /proc/sys/kernel/core_pattern) 2>&1 | grep -c Read-only";
    let mut spec = scene.spec(&["sh", "-c", script]);
    spec.mounts = vec![bind(&dev, "/dev")];
    assert_eq!(run(&spec).unwrap().output, "0\n1:3\n1\n");
}

/// CVE-2025-52565: a /dev/pts whose terminals are something else.
fn attack_false_terminal() {
    let scene = Scene::new();
    let terminals = scene.directory.join("terminals");
    fs::create_dir(&terminals).unwrap();
    symlink("/proc/sys/kernel/core_pattern", terminals.join("ptmx")).unwrap();
    let mut spec = scene.spec(&["sleep", "100"]);
    spec.mounts = vec![bind(&terminals, "/dev/pts")];
    let (running, _ends) = start(&spec).unwrap();
    let mut process = process(&["true"]);
    process.terminal = true;
    let request = ExecRequest { process: &process, privileged: false };
    let error = running.exec(&request, Stdio::Terminal).unwrap_err().to_string();
    assert!(error.starts_with("opening a terminal: "), "{error}");
    fs::remove_file(terminals.join("ptmx")).unwrap();
    fs::write(terminals.join("ptmx"), "").unwrap();
    assert!(
        running.exec(&request, Stdio::Terminal).unwrap_err().to_string().starts_with("opening a terminal: ")
    );
    end(&running);
}

/// CVE-2024-21626: a working directory that is a descriptor of the host's tree.
fn attack_working_directory_of_a_descriptor() {
    let scene = Scene::new();
    let host = fs::File::open("/").unwrap();
    let (running, _ends) = start(&scene.spec(&["sleep", "100"])).unwrap();
    for number in 0..40 {
        let directory = format!("/proc/self/fd/{number}");
        let mut spec = Scene::new().spec(&["cat", "etc/hostname"]);
        spec.process.working_directory.clone_from(&directory);
        let scene = Scene::new();
        spec.root = scene.spec(&[]).root;
        spec.id = scene.id.clone();
        assert!(run(&spec).is_err(), "{directory}");
        let mut process = process(&["pwd"]);
        process.working_directory = directory;
        let (stdio, _ends) = pipes();
        assert!(running.exec(&ExecRequest { process: &process, privileged: false }, stdio).is_err());
    }
    // By a link of the image, the same.
    symlink("/proc/self/fd", scene.layer("descriptors")).unwrap();
    drop(host);
    end(&running);
}

/// CVE-2016-9962: a process of the container that looks into each new process before it has become
/// its program, also where it may trace. All it may ever find is the container's own, and no process
/// with rights that the container does not have.
fn attack_looking_into_an_exec() {
    for tracing in [false, true] {
        let scene = Scene::new();
        let script = "while :; do for p in /proc/[0-9]*; do readlink $p/exe $p/root $p/cwd; ls -l $p/fd | grep -o '/[^ ]*$'; done; done >> /tmp/found 2>/dev/null &
            while :; do grep -h CapPrm /proc/[0-9]*/status; done >> /tmp/rights 2>/dev/null";
        let mut spec = scene.spec(&["sh", "-c", script]);
        if tracing {
            spec.process.capabilities.push("CAP_SYS_PTRACE".into());
        }
        let (running, _ends) = start(&spec).unwrap();
        let found = scene.directory.join("upper/tmp/found");
        eventually("the attacker is at work", || fs::metadata(&found).is_ok_and(|found| found.len() > 1000));
        let host = fs::File::open("/etc/hostname").unwrap();
        for _ in 0..100 {
            let mut process = process(&["true"]);
            process.capabilities.clone_from(&spec.process.capabilities);
            assert_eq!(exec(&running, &process, false).exit.code, 0);
        }
        drop(host);
        end(&running);
        let own = fs::read_link("/proc/self/exe").unwrap();
        let text = fs::read_to_string(&found).unwrap();
        let strange: Vec<&str> = text
            .lines()
            .filter(|line| !["/bin/busybox", "/", "/tmp/found", "/tmp/rights", "/dev/null"].contains(line))
            .filter(|line| !line.starts_with("/proc"))
            // With the right to trace, the program can be seen that the kernel has not yet replaced.
            .filter(|line| !tracing || own.as_os_str() != *line)
            .collect();
        assert!(strange.is_empty(), "found {strange:?}");
        let rights = fs::read_to_string(scene.directory.join("upper/tmp/rights")).unwrap();
        let mut held: Vec<&str> = rights.lines().collect();
        held.sort_unstable();
        held.dedup();
        if tracing {
            assert_eq!(held, ["CapPrm:\t00000000a80c25fb"]);
        }
    }
}

/// CVE-2019-5736: a container that runs the runtime's own program to write to it later. Here it is an
/// ordinary file, which the shim is not; what counts is that it does not run as the container.
fn attack_program_of_the_runtime() {
    let scene = Scene::new();
    let program = fs::read_link("/proc/self/exe").unwrap();
    let before = fs::metadata(&program).unwrap();
    for path in ["/proc/self/exe", "/proc/1/exe", "/link"] {
        let scene = Scene::new();
        symlink("/proc/self/exe", scene.layer("link")).unwrap();
        let error = run(&scene.spec(&[path])).unwrap_err();
        assert_eq!(
            (error.exit_code(), error.to_string()),
            (126, format!("exec: {path:?}: permission denied"))
        );
    }
    fs::write(scene.layer("script"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(scene.layer("script"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let _ = run(&scene.spec(&["/script"]));
    let after = fs::metadata(&program).unwrap();
    assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
}

fn attack_hostile_user_files() {
    let scene = Scene::new();
    // A pipe without a writer must not stop the start, and a huge file not fill the memory.
    fs::remove_file(scene.layer("etc/passwd")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scene.layer("etc/passwd"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    fs::File::create(scene.layer("etc/group")).unwrap().set_len(1 << 40).unwrap();
    let mut spec = scene.spec(&["echo", "runs"]);
    assert_eq!(run(&spec).unwrap().output, "runs\n");
    fs::remove_file(scene.layer("etc/passwd")).unwrap();
    symlink("/../../../../../../etc/passwd", scene.layer("etc/passwd")).unwrap();
    spec.process.user = "daemon".into();
    assert_eq!(run(&spec).unwrap_err().to_string(), "Unable to find user daemon");
}

/// Mount places and devices whose paths lead upwards or through links.
fn attack_links_out_of_the_root() {
    let scene = Scene::new();
    let volume = scene.directory.join("volume");
    let outside = scene.directory.join("outside");
    fs::create_dir(&volume).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(volume.join("mark"), "").unwrap();
    symlink(&outside, scene.layer("out")).unwrap();
    symlink(format!("../../../../../../../../..{}", outside.display()), scene.layer("up")).unwrap();
    let mut spec = scene.spec(&["sh", "-c", "ls /out/a/mark /up/b/mark /c/mark"]);
    spec.mounts = vec![bind(&volume, "/out/a"), bind(&volume, "/up/b"), bind(&volume, "/x/../../../c")];
    spec.devices = vec![model::Device {
        path_on_host: "/dev/null".into(),
        path_in_container: "/out/device".into(),
        permissions: "rwm".parse().unwrap(),
        ..model::Device::default()
    }];
    let outcome = run(&spec).unwrap();
    assert_eq!(outcome.output, "/c/mark\n/out/a/mark\n/up/b/mark\n", "{outcome:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made outside");
}
