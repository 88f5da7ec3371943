//! What a container's processes see and may do.

use berth_tests::{Engine, merged, sh};
use serde_json::json;

#[test]
fn namespaces_are_its_own() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let pid = engine.pid(&id);
    for name in ["mnt", "pid", "ipc", "uts", "net"] {
        let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("a namespace");
        assert_ne!(link(&pid.to_string()), link("self"), "{name}");
    }
    let output = engine.exec(&id, &["sh", "-c", "echo $$; ps | wc -l; hostname"]);
    assert!(output.stdout.ends_with(&format!("{}\n", &id[..12])), "{}", output.stdout);
    assert_eq!(engine.exec(&id, &["cat", "/proc/1/comm"]).stdout, "sleep\n");
}

#[test]
fn the_hosts_namespaces_where_asked_for() {
    let engine = Engine::start();
    let body = merged(
        sh("sleep 600"),
        json!({ "HostConfig": { "NetworkMode": "host", "PidMode": "host", "IpcMode": "host", "UTSMode": "host" } }),
    );
    let id = engine.run(&body);
    let pid = engine.pid(&id);
    let daemon = engine.daemon_pid();
    for name in ["pid", "ipc", "uts", "net"] {
        let link = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("a namespace");
        assert_eq!(link(pid), link(daemon), "{name}");
    }
}

#[test]
fn hostname_and_name_files() {
    let engine = Engine::start();
    let body = merged(
        sh("hostname; cat /etc/hostname; cat /etc/hosts; cat /etc/resolv.conf"),
        json!({ "Hostname": "box", "Domainname": "example.org",
                "HostConfig": { "ExtraHosts": ["other:10.1.2.3"], "Dns": ["10.9.9.9"], "DnsSearch": ["search.org"] } }),
    );
    let text = engine.output(&body).stdout;
    assert!(text.starts_with("box.example.org\nbox.example.org\n"), "{text}");
    assert!(text.contains("box.example.org box"), "{text}");
    assert!(text.contains("127.0.0.1\tlocalhost"), "{text}");
    assert!(text.contains("10.1.2.3\tother"), "{text}");
    assert!(text.contains("nameserver 10.9.9.9") && text.contains("search search.org"), "{text}");
}

#[test]
fn environment_and_directory() {
    let engine = Engine::start();
    let body = merged(
        sh("env; pwd"),
        json!({ "Env": ["A=1", "B=two words", "PATH=/bin:/sbin"], "WorkingDir": "/made/for/it" }),
    );
    let text = engine.output(&body).stdout;
    for line in ["A=1", "B=two words", "PATH=/bin:/sbin", "HOME=/root", "/made/for/it"] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(text.lines().any(|line| line.starts_with("HOSTNAME=")), "{text}");
    let default = engine.output(&sh("echo $PATH; echo $TERM")).stdout;
    assert!(
        default.starts_with("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"),
        "{default}"
    );
    let terminal = engine.output(&merged(sh("true"), json!({ "Tty": true })));
    assert_eq!(terminal.code, 0);
}

#[test]
fn users_come_by_name_and_number_from_the_images_files() {
    let engine = Engine::start();
    for (user, wanted) in [
        ("", "0 0"),
        ("alice", "1000 1000"),
        ("alice:users", "1000 100"),
        ("1000", "1000 1000"),
        ("1000:2000", "1000 2000"),
        ("4242", "4242 0"),
        ("4242:4343", "4242 4343"),
    ] {
        let output = engine.output(&merged(sh("echo $(id -u) $(id -g)"), json!({ "User": user })));
        assert_eq!(output.stdout.trim(), wanted, "user {user:?}");
    }
    let body =
        merged(sh("id -G"), json!({ "User": "alice", "HostConfig": { "GroupAdd": ["users", "777"] } }));
    let groups = engine.output(&body).stdout;
    for group in ["1000", "1", "2000", "100", "777"] {
        assert!(groups.split_whitespace().any(|found| found == group), "{group} in {groups}");
    }
}

/// A file that denies its group what it allows others must deny it to the user whose first group this is.
#[test]
fn the_first_group_is_among_the_supplementary_ones_and_none_of_the_daemons() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    for (user, groups) in [
        ("", "0"),
        ("root", "0"),
        ("alice", "1 1000 2000"),
        ("alice:users", "100"),
        ("1000", "1 1000 2000"),
        ("4242", "0"),
        ("4242:4343", "4343"),
    ] {
        let script = ["sh", "-c", "grep Groups: /proc/self/status"];
        let line = format!("Groups:\t{groups} \n");
        let body = json!({ "Image": "busybox", "User": user, "Cmd": script });
        assert_eq!(engine.output(&body).stdout, line, "user {user:?}");
        let exec = engine.exec_create(&id, &json!({ "AttachStdout": true, "User": user, "Cmd": script }));
        let bytes = engine.exec_start(&exec, &json!({})).read_to_end().expect("the end");
        let text = String::from_utf8(berth_tests::frames::split(&bytes).0).expect("text");
        assert_eq!(text, line, "an exec of user {user:?}");
    }
}

#[test]
fn an_empty_home_is_the_users() {
    let engine = Engine::start();
    let body = merged(sh("echo $HOME; sleep 600"), json!({ "User": "alice", "Env": ["HOME="] }));
    let id = engine.run(&body);
    berth_tests::wait::until("the home", || (engine.logs(&id).0 == "/home/alice\n").then_some(()));
    assert_eq!(engine.exec(&id, &["sh", "-c", "echo $HOME"]).stdout, "/home/alice\n");
}

#[test]
fn a_working_directory_is_cleaned_before_any_symlink_is_followed() {
    let engine = Engine::start();
    let output = engine.output(&merged(sh("pwd -P"), json!({ "WorkingDir": "/a/../b" })));
    assert_eq!((output.code, output.stdout.as_str()), (0, "/b\n"), "{}", output.stderr);
    let built =
        "FROM busybox\nRUN mkdir -p /deep/er && ln -s /deep/er /l\nWORKDIR /l/../c\nRUN pwd -P > /where\n";
    let built = engine.build_and_run(berth_tests::Context::of(built), "cat /where; pwd -P");
    assert_eq!(built, "/c\n/c\n");
    let id = engine.run(&sh("mkdir -p /deep/er /c; ln -s /deep/er /l; echo made; sleep 600"));
    berth_tests::wait::until("the symlink", || engine.logs(&id).0.contains("made").then_some(()));
    let body = json!({ "AttachStdout": true, "WorkingDir": "/l/../c", "Cmd": ["sh", "-c", "pwd -P"] });
    let exec = engine.exec_create(&id, &body);
    let bytes = engine.exec_start(&exec, &json!({})).read_to_end().expect("the end");
    assert_eq!(berth_tests::frames::split(&bytes).0, b"/c\n");
    engine.forget_builds();
}

/// Clients and programs check by it whether they are in a container of Docker's kind.
#[test]
fn the_mark_of_a_container_is_there_and_is_no_change() {
    let engine = Engine::start();
    let script = "stat -c '%a %s %F' /.dockerenv";
    let id = engine.run(&sh(script));
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.logs(&id).0, "755 0 regular empty file\n");
    assert_eq!(engine.get(&format!("/containers/{id}/changes")).expect(200).json(), json!(null));
    let commit = engine.post_json(&format!("/commit?container={id}&repo=marked"), &json!({})).expect(201);
    let image = commit.json()["Id"].as_str().expect("an id").to_owned();
    let layers = engine.get(&format!("/images/{image}/json")).expect(200).json();
    assert_eq!(layers["Size"], 0, "the commit has nothing");
    engine.remove(&id);
    let _ = engine.delete("/images/marked").expect(200);
}

#[test]
fn the_table_of_mounts_does_not_show_where_the_layers_are() {
    let engine = Engine::start();
    let table = engine.output(&sh("cat /proc/self/mountinfo /proc/mounts")).stdout;
    let overlays: Vec<&str> = table.lines().filter(|line| line.contains("overlay")).collect();
    assert_eq!(overlays.len(), 2, "{table}");
    for line in overlays {
        assert!(!line.contains("berth-tests") && line.contains("upperdir=/proc/self/fd/"), "{line}");
    }
}

#[test]
fn mounts_and_devices_are_the_usual() {
    let engine = Engine::start();
    let text =
        engine.output(&sh("mount; ls -1 /dev; ls -l /dev/fd /dev/ptmx; stat -c %t:%T /dev/null")).stdout;
    for line in [
        "proc on /proc type proc (rw,nosuid,nodev,noexec",
        "sysfs on /sys type sysfs (ro,nosuid,nodev,noexec",
        "tmpfs on /dev type tmpfs (rw,nosuid",
        "devpts on /dev/pts type devpts (rw,nosuid,noexec",
        "on /dev/shm type tmpfs (rw,nosuid,nodev,noexec",
        "mqueue on /dev/mqueue type mqueue (rw,nosuid,nodev,noexec",
        "size=65536k",
    ] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
    for name in [
        "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom",
        "zero",
    ] {
        assert!(text.lines().any(|line| line == name), "/dev/{name} in:\n{text}");
    }
    for name in ["sda", "vda", "mem", "kmsg", "port"] {
        assert!(!text.lines().any(|line| line == name), "/dev/{name} is not for containers");
    }
    assert!(text.contains("/dev/fd -> /proc/self/fd"), "{text}");
    assert!(text.contains("1:3"), "{text}");
}

#[test]
fn dangerous_files_are_masked_or_read_only() {
    let engine = Engine::start();
    let script = "cat /proc/kcore | head -c 1 | wc -c; cat /proc/keys 2>/dev/null | wc -c; ls /proc/acpi 2>/dev/null | wc -l
        echo 1 > /proc/sys/kernel/panic; echo sysrq $?; echo b > /proc/sysrq-trigger; echo trigger $?
        echo x > /sys/kernel/uevent_helper; echo sys $?; touch /sys/x; echo touch $?";
    let output = engine.output(&sh(script));
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(&lines[..3], ["0", "0", "0"], "{}", output.stdout);
    for act in ["sysrq", "trigger", "sys", "touch"] {
        assert!(
            lines.contains(&format!("{act} 1").as_str()),
            "{act} is refused: {} {}",
            output.stdout,
            output.stderr
        );
    }
}

#[test]
fn capabilities_are_the_default_ones_plus_and_minus() {
    let engine = Engine::start();
    let effective = |host: serde_json::Value, user: &str| {
        let body = merged(sh("grep Cap /proc/self/status"), json!({ "User": user, "HostConfig": host }));
        let text = engine.output(&body).stdout;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            u64::from_str_radix(line.trim(), 16).expect("a number")
        };
        (value("CapEff:"), value("CapBnd:"), value("CapInh:"), value("CapAmb:"))
    };
    // chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod
    // audit_write setfcap
    let default = 0xa804_25fb;
    assert_eq!(effective(json!({}), ""), (default, default, 0, 0));
    assert_eq!(effective(json!({}), "alice"), (0, default, 0, 0));
    assert_eq!(effective(json!({ "CapAdd": ["NET_ADMIN"] }), "").0, default | 1 << 12);
    assert_eq!(effective(json!({ "CapDrop": ["MKNOD", "chown"] }), "").0, default & !(1 << 27) & !1);
    assert_eq!(effective(json!({ "CapDrop": ["ALL"] }), "").1, 0);
    assert_eq!(effective(json!({ "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"] }), "").0, 1 << 12);
}

#[test]
fn the_seccomp_filter_is_on_unless_it_is_switched_off() {
    let engine = Engine::start();
    let mode = |host: serde_json::Value| {
        let body = merged(sh("grep Seccomp: /proc/self/status"), json!({ "HostConfig": host }));
        engine.output(&body).stdout.trim().to_owned()
    };
    assert_eq!(mode(json!({})), "Seccomp:\t2");
    assert_eq!(mode(json!({ "SecurityOpt": ["seccomp:unconfined"] })), "Seccomp:\t0");
    assert_eq!(mode(json!({ "SecurityOpt": ["seccomp=unconfined"] })), "Seccomp:\t0");
    let refused = engine.output(&sh("unshare -m true; mount -t tmpfs x /tmp; echo end"));
    assert!(
        refused.stderr.matches("ermitted").count() + refused.stderr.matches("denied").count() >= 2,
        "{refused:?}"
    );
}

#[test]
fn no_new_privileges_where_asked_for() {
    let engine = Engine::start();
    for (options, wanted) in [(json!([]), "0"), (json!(["no-new-privileges"]), "1")] {
        let body = merged(
            sh("grep NoNewPrivs /proc/self/status"),
            json!({ "HostConfig": { "SecurityOpt": options } }),
        );
        let answer = engine.post_json("/containers/create", &body);
        let id = answer.expect(201).json()["Id"].as_str().expect("an id").to_owned();
        engine.start(&id);
        let _ = engine.wait(&id);
        assert_eq!(engine.logs(&id).0.trim(), format!("NoNewPrivs:\t{wanted}"));
    }
}

#[test]
fn a_read_only_root_is_read_only() {
    let engine = Engine::start();
    let body = merged(
        sh("touch /file; echo root $?; touch /dev/shm/file; echo shm $?; touch /volume/file; echo volume $?"),
        json!({ "Volumes": { "/volume": {} }, "HostConfig": { "ReadonlyRootfs": true } }),
    );
    let text = engine.output(&body).stdout;
    assert_eq!(text, "root 1\nshm 0\nvolume 0\n");
}

#[test]
fn binds_show_the_hosts_files() {
    let engine = Engine::start();
    let directory = engine.directory().join("shared");
    std::fs::create_dir(&directory).expect("a directory to bind");
    std::fs::write(directory.join("file"), "from the host\n").expect("a file");
    let path = directory.display();
    let body = merged(
        sh("cat /rw/file /ro/file; echo written > /rw/new; touch /ro/x; echo ro $?"),
        json!({ "HostConfig": { "Binds": [format!("{path}:/rw"), format!("{path}:/ro:ro")] } }),
    );
    let text = engine.output(&body).stdout;
    assert_eq!(text, "from the host\nfrom the host\nro 1\n");
    assert_eq!(std::fs::read_to_string(directory.join("new")).expect("the new file"), "written\n");
    std::fs::remove_dir_all(&directory).expect("the directory to go");
}

#[test]
fn volumes_are_shared_by_name_and_by_container() {
    let engine = Engine::start();
    let owner =
        engine.create_named("owner", &merged(sh("echo data > /v/file"), json!({ "Volumes": { "/v": {} } })));
    engine.start(&owner);
    assert_eq!(engine.wait(&owner), 0);
    let body = merged(
        sh("cat /v/file; touch /v/x; echo $?"),
        json!({ "HostConfig": { "VolumesFrom": ["owner:ro"] } }),
    );
    assert_eq!(engine.output(&body).stdout, "data\n1\n");
}

#[test]
fn the_root_is_the_images_and_changes_stay_with_the_container() {
    let engine = Engine::start();
    let first = engine.output(&sh("echo changed > /etc/hostname2; rm /etc/profile; cat /etc/passwd | wc -l"));
    assert_eq!(first.stdout, "4\n");
    let second = engine.output(&sh("ls /etc/hostname2 /etc/profile 2>/dev/null"));
    assert_eq!(second.stdout, "/etc/profile\n");
}

#[test]
fn the_first_process_gets_no_signal_it_does_not_handle() {
    let engine = Engine::start();
    let id = engine.run(&sh("kill -TERM $$; kill -KILL $$; echo alive; sleep 600"));
    berth_tests::wait::until("the line", || engine.logs(&id).0.contains("alive").then_some(()));
    assert_eq!(engine.state(&id, "Running"), true);
}

#[test]
fn children_end_with_the_first_process() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 1000 & sleep 1000 & sleep 0.2; exit 0"));
    assert_eq!(engine.wait(&id), 0);
    assert!(engine.leaks(&std::iter::once(id).collect()).iter().all(|leak| !leak.contains("sleep 1000")));
}

#[test]
fn exit_codes_of_signals_are_128_and_more() {
    let engine = Engine::start();
    for (signal, code) in [("INT", 130), ("SEGV", 139), ("USR1", 138)] {
        let id = engine.run(&json!({ "Image": "busybox", "Cmd": ["sh", "-c", "sleep 600; true"] }));
        let body = json!({ "AttachStdout": true, "Cmd": ["sh", "-c", format!("kill -{signal} $$")] });
        let exec = engine.exec_create(&id, &body);
        let _ = engine.exec_start(&exec, &json!({})).read_to_end().expect("the end");
        let inspected = engine.get(&format!("/exec/{exec}/json")).expect(200).json();
        assert_eq!(inspected["ExitCode"], code, "{signal}");
    }
}

#[test]
fn privileged_containers_have_everything_the_daemon_has() {
    let engine = Engine::start();
    let script = "grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; mount -t tmpfs t /tmp && echo mounted; ls /dev | wc -l; touch /proc/sys/kernel/panic && echo writable";
    let id = engine.create(&merged(sh(script), json!({ "HostConfig": { "Privileged": true } })));
    let answer = engine.post(&format!("/containers/{id}/start"));
    assert_eq!(answer.status(), 204, "{}", answer.text());
    assert_eq!(engine.wait(&id), 0);
    let text = engine.logs(&id).0;
    assert!(text.contains("mounted") && text.contains("Seccomp:\t0") && text.contains("writable"), "{text}");
    let script = "grep -c ' /sys sysfs rw,' /proc/mounts";
    for (read_only, count) in [(false, "1\n"), (true, "0\n")] {
        let host = json!({ "Privileged": true, "ReadonlyRootfs": read_only });
        let output = engine.output(&merged(sh(script), json!({ "HostConfig": host })));
        assert_eq!(output.stdout, count, "a read-only root: {read_only}");
    }
}
