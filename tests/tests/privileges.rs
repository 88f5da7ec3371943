//! What a container may do beyond the others, what it may not do, and that an exec may do no more.

use std::path::Path;

use berth_tests::cgroup::is_unified;
use berth_tests::{Engine, merged, sh, wait};
use serde_json::{Value, json};

fn with_host(script: &str, host: Value) -> Value {
    merged(sh(script), json!({ "HostConfig": host }))
}

fn link(pid: u32, name: &str) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("a namespace")
}

/// Allows all but making directories, for those without CAP_SYS_ADMIN, and two kinds of sockets.
fn profile() -> String {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "archMap": [{ "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] }],
        "syscalls": [
            { "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28,
              "excludes": { "caps": ["CAP_SYS_ADMIN"] }, "includes": { "minKernel": "3.0" } },
            { "name": "rmdir", "action": "SCMP_ACT_ERRNO", "includes": { "arches": ["s390x"] } },
            { "names": ["socket"], "action": "SCMP_ACT_ERRNO",
              "args": [{ "index": 0, "value": 16, "op": "SCMP_CMP_EQ" }, { "index": 0, "value": 17, "op": "SCMP_CMP_EQ" }] },
        ],
    })
    .to_string()
}

#[test]
fn a_seccomp_profile_holds_for_the_container_and_its_execs() {
    let engine = Engine::start();
    let script = "mkdir /tmp/d; echo mkdir $?; ip link >/dev/null; echo netlink $?; ifconfig lo >/dev/null; echo inet $?";
    let options = json!([format!("seccomp={}", profile())]);
    let id = engine.run(&with_host(&format!("{script}; sleep 600"), json!({ "SecurityOpt": options })));
    let confined = "mkdir 1\nnetlink 2\ninet 0\n";
    berth_tests::wait::until("the script", || (engine.logs(&id).0 == confined).then_some(()));
    let output = engine.exec(&id, &["sh", "-c", script]);
    assert_eq!(output.stdout, confined);
    assert!(output.stderr.contains("No space left"), "errnoRet is the error: {}", output.stderr);
    assert_eq!(engine.inspect(&id)["HostConfig"]["SecurityOpt"], options);
    let admin = json!({ "SecurityOpt": options, "CapAdd": ["SYS_ADMIN"] });
    assert!(engine.output(&with_host(script, admin)).stdout.starts_with("mkdir 0\nnetlink 2\n"));
    let privileged = json!({ "SecurityOpt": options, "Privileged": true });
    let text = engine.output(&with_host(script, privileged)).stdout;
    assert!(
        text.contains("netlink 2"),
        "a profile that is asked for holds for privileged containers too: {text}"
    );
    let bad = json!({ "SecurityOpt": [r#"seccomp={"defaultAction":"SCMP_ACT_NOPE"}"#] });
    let id = engine.create(&with_host("true", bad));
    let answer = engine.post(&format!("/containers/{id}/start")).expect(500);
    assert!(answer.text().contains("SCMP_ACT_NOPE"), "{}", answer.text());
}

#[test]
fn privileged_wins_over_drops_and_keeps_what_is_beside_it() {
    let engine = Engine::start();
    let host = json!({ "Privileged": true, "CapDrop": ["ALL"], "ReadonlyRootfs": true, "GroupAdd": ["777"] });
    let script = "grep CapEff /proc/self/status; touch /x 2>/dev/null; echo $?; id -G; mount -t tmpfs t /tmp && echo mounted";
    let text = engine.output(&with_host(script, host)).stdout;
    let bounding = std::fs::read_to_string("/proc/self/status").expect("the own status");
    let bounding = bounding.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("a bounding set");
    assert_eq!(text, format!("CapEff:{bounding}\n1\n0 777\nmounted\n"));
}

#[test]
fn an_exec_may_do_what_its_container_may() {
    let engine = Engine::start();
    let body = merged(
        with_host(
            "sleep 600",
            json!({ "CapDrop": ["ALL"], "CapAdd": ["CHOWN"], "SecurityOpt": ["no-new-privileges"],
                    "GroupAdd": ["777"], "OomScoreAdj": 123, "Memory": 67_108_864,
                    "Ulimits": [{ "Name": "nofile", "Soft": 100, "Hard": 200 }] }),
        ),
        json!({ "User": "alice" }),
    );
    let id = engine.run(&body);
    let looks = |process: &str| {
        format!(
            "grep -E '^(Uid|Gid|Groups|Cap...|NoNewPrivs|Seccomp):' /proc/{process}/status
             cat /proc/{process}/cgroup /proc/{process}/oom_score_adj; grep 'open files' /proc/{process}/limits"
        )
    };
    let own = engine.exec(&id, &["sh", "-c", &looks("self")]);
    let first = engine.exec(&id, &["sh", "-c", &looks("1")]);
    assert_eq!(own.stdout, first.stdout, "{}", own.stderr);
    for line in ["CapBnd:\t0000000000000001", "NoNewPrivs:\t1", "Seccomp:\t2", "\n123\n"] {
        assert!(own.stdout.contains(line), "{line:?} in {}", own.stdout);
    }
    let run = |over: Value| {
        let script = "id -u; grep CapEff /proc/self/status";
        let body = json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": ["sh", "-c", script] });
        let exec = engine.exec_create(&id, &merged(body, over));
        let bytes = engine.exec_start(&exec, &json!({})).read_to_end().expect("the exec's end");
        String::from_utf8(berth_tests::frames::split(&bytes).0).expect("text")
    };
    assert_eq!(
        run(json!({ "User": "root" })),
        "0\nCapEff:\t0000000000000001\n",
        "no more than the container"
    );
    let privileged = run(json!({ "User": "0", "Privileged": true }));
    assert!(privileged.starts_with("0\n") && !privileged.ends_with("0001\n"), "{privileged}");
}

#[test]
fn namespaces_are_joined_shared_or_own() {
    let engine = Engine::start();
    let first = engine.create_named("first", &sh("sleep 777"));
    engine.start(&first);
    let joined = json!({ "PidMode": "container:first", "IpcMode": "container:first", "UTSMode": "host" });
    let second = engine.run(&with_host("sleep 600", joined));
    let (one, two, daemon) = (engine.pid(&first), engine.pid(&second), engine.daemon_pid());
    for name in ["pid", "ipc"] {
        assert_eq!(link(two, name), link(one, name), "{name}");
    }
    assert_eq!(link(two, "uts"), link(daemon, "uts"));
    assert!(engine.exec(&second, &["ps"]).stdout.contains("sleep 777"));
    for (mode, is_own) in [("", is_unified()), ("host", false), ("private", true)] {
        let id = engine.run(&with_host("sleep 600", json!({ "CgroupnsMode": mode })));
        assert_eq!(link(engine.pid(&id), "cgroup") != link(daemon, "cgroup"), is_own, "{mode:?}");
        let seen = engine.exec(&id, &["cat", "/proc/self/cgroup"]).stdout;
        assert_eq!(!seen.contains(&id), is_own, "{mode:?}: {seen}");
    }
}

#[test]
fn device_rules_allow_what_devices_do_not_show() {
    let engine = Engine::start();
    let script = "mknod /tmp/kmsg c 1 11; echo from berth > /tmp/kmsg; echo write $?; head -c 1 /tmp/kmsg; echo read $?";
    let output = engine.output(&sh(script));
    assert_eq!(output.stdout, "write 1\nread 1\n", "{}", output.stderr);
    let rules = json!({ "DeviceCgroupRules": ["c 1:11 w", "b 254:* r"] });
    let output = engine.output(&with_host(script, rules));
    assert_eq!(output.stdout, "write 0\nread 1\n", "{}", output.stderr);
}

#[test]
fn labels_and_profiles_of_modules_that_the_host_lacks() {
    let engine = Engine::start();
    let labels = json!(["label:user:USER", "label:role:ROLE"]);
    let made = engine.post_json("/containers/create", &with_host("true", json!({ "SecurityOpt": labels })));
    let made = made.expect(201).json();
    if !Path::new("/sys/fs/selinux/enforce").exists() {
        let words = "This host has no SELinux: the labels of SecurityOpt have no effect.";
        assert_eq!(made["Warnings"], json!([words]));
    }
    let id = made["Id"].as_str().expect("an id");
    assert_eq!(engine.inspect(id)["HostConfig"]["SecurityOpt"], labels);
    if Path::new("/sys/kernel/security/apparmor/profiles").exists() {
        eprintln!("this host has AppArmor: that profiles are refused elsewhere is not tested");
        return;
    }
    let body = with_host("true", json!({ "SecurityOpt": ["apparmor=berth-test"] }));
    let answer = engine.post_json("/containers/create", &body).expect(500);
    assert!(answer.text().contains("this host has no AppArmor"), "{}", answer.text());
    assert_eq!(
        engine.output(&with_host("echo runs", json!({ "SecurityOpt": ["apparmor=unconfined"] }))).stdout,
        "runs\n"
    );
}

/// On a host with AppArmor, `BERTH_APPARMOR` names a profile that is loaded and denies writing to /tmp/forbidden; the emulated
/// machine of `vm` has one.
#[test]
fn an_apparmor_profile_holds_for_the_container_and_its_execs() {
    let Ok(profile) = std::env::var("BERTH_APPARMOR") else { return };
    let engine = Engine::start();
    let script = "cat /proc/self/attr/current; echo x > /tmp/allowed; echo $?; (echo x > /tmp/forbidden) 2>/dev/null; echo $?";
    let confined = format!("{profile} (enforce)\n0\n1\n");
    let host = json!({ "SecurityOpt": [format!("apparmor={profile}")] });
    let id = engine.run(&with_host(&format!("{script}; sleep 600"), host.clone()));
    berth_tests::wait::until("the script", || (engine.logs(&id).0 == confined).then_some(()));
    assert_eq!(engine.exec(&id, &["sh", "-c", script]).stdout, confined);
    let privileged = merged(host, json!({ "Privileged": true }));
    assert_eq!(engine.output(&with_host(script, privileged)).stdout, confined);
    for host in [json!({}), json!({ "SecurityOpt": ["apparmor=unconfined"] })] {
        assert_eq!(engine.output(&with_host(script, host)).stdout, "unconfined\n0\n0\n");
    }
    let id = engine.create(&with_host("true", json!({ "SecurityOpt": ["apparmor=berth-nosuch"] })));
    let message = engine.post(&format!("/containers/{id}/start")).text();
    assert!(message.contains("berth-nosuch"), "{message}");
}

#[test]
fn a_namespace_of_a_container_that_does_not_run_cannot_be_joined() {
    let engine = Engine::start();
    let stopped = engine.create_named("stopped", &sh("true"));
    for (field, namespace) in [("NetworkMode", "network"), ("PidMode", "PID"), ("IpcMode", "IPC")] {
        let joining = merged(sh("true"), json!({ "HostConfig": { field: "container:stopped" } }));
        let id = engine.create(&joining);
        let refused = engine.post(&format!("/containers/{id}/start")).expect(500).text();
        let cause = format!("cannot join {namespace} of a non running container: {stopped}");
        assert_eq!(refused, format!("Cannot start container {id}: {cause}\n"));
        engine.remove(&id);
    }
}

/// systemd and other engines in a container move all its processes to groups of their own and hand controllers down,
/// after which the kernel takes no process into the container's own group where there is version 2 alone.
#[test]
fn an_exec_comes_into_a_container_that_manages_groups_of_its_own() {
    let engine = Engine::start();
    let script = "group=/sys/fs/cgroup; [ -d $group/unified ] && group=$group/unified
        mkdir $group/init && echo 1 > $group/init/cgroup.procs && echo moved
        echo '+memory +pids' > $group/cgroup.subtree_control 2>/dev/null; echo ready; sleep 600";
    let id = engine.run(&with_host(script, json!({ "Privileged": true, "CgroupnsMode": "private" })));
    wait::until("its own groups", || engine.logs(&id).0.ends_with("ready\n").then_some(()));
    assert_eq!(engine.logs(&id).0, "moved\nready\n");
    let seen = engine.exec(&id, &["cat", "/proc/self/cgroup"]);
    assert_eq!(seen.code, 0, "{seen:?}");
    if is_unified() {
        assert_eq!(seen.stdout, "0::/init\n");
    }
}
