//! What the fields of `Config`, and those of `HostConfig` that came later, do inside the container.

use berth_tests::{Engine, Options, merged, query, rootfs, sh};
use serde_json::{Value, json};

fn with_host(script: &str, host: Value) -> Value {
    merged(sh(script), json!({ "HostConfig": host }))
}

#[test]
fn the_host_has_a_name_and_a_domain() {
    let engine = Engine::start();
    let script = "hostname; cat /proc/sys/kernel/domainname; cat /etc/hostname";
    let body = merged(sh(script), json!({ "Hostname": "box", "Domainname": "example.org" }));
    assert_eq!(engine.output(&body).stdout, "box.example.org\nexample.org\nbox.example.org\n");
    let named = json!({ "Hostname": "box", "Domainname": "example.org" });
    let id = engine.run(&merged(sh("echo $HOSTNAME; sleep 600"), named));
    berth_tests::wait::until("the name", || (engine.logs(&id).0 == "box.example.org\n").then_some(()));
    assert_eq!(engine.exec(&id, &["sh", "-c", "echo $HOSTNAME"]).stdout, "box.example.org\n");
    // The name goes with the network, for further processes too.
    let network = json!({ "NetworkMode": format!("container:{id}") });
    let other = engine.run(&with_host("sleep 600", network));
    assert_eq!(engine.exec(&other, &["sh", "-c", "echo $HOSTNAME"]).stdout, "box.example.org\n");
    let config = engine.inspect(&id)["Config"].clone();
    assert_eq!((&config["Hostname"], &config["Domainname"]), (&json!("box"), &json!("example.org")));
    let id = engine.run(&sh(script));
    assert_eq!(engine.wait(&id), 0);
    assert!(engine.logs(&id).0.starts_with(&format!("{}\n", &id[..12])), "named after its id");
    assert_eq!(engine.inspect(&id)["Config"]["Hostname"], id[..12]);
}

/// Imports the tests' image with a configuration of its own.
fn import_configured(engine: &Engine, repository: &str, changes: &[&str]) {
    let mut pairs = vec![("fromSrc", "-"), ("repo", repository)];
    pairs.extend(changes.iter().map(|change| ("changes", *change)));
    let path = format!("/images/create{}", query(&pairs));
    let _ = engine.call("POST", &path, &[], rootfs::busybox()).expect(200);
}

#[test]
fn what_is_left_open_comes_from_the_image() {
    let engine = Engine::start();
    let changes = [
        "ENV A=image",
        "ENV B=image",
        "USER alice",
        "WORKDIR /made/by/image",
        "EXPOSE 80",
        "VOLUME /data",
        "LABEL of=image",
        "ENTRYPOINT [\"/bin/sh\", \"-c\"]",
        "CMD [\"echo $A $B $(id -u) $(pwd)\"]",
        "ONBUILD RUN true",
    ];
    import_configured(&engine, "configured", &changes);
    let plain = json!({ "Image": "configured" });
    assert_eq!(engine.output(&plain).stdout, "image image 1000 /made/by/image\n");
    let over = json!({ "Env": ["B=own"], "User": "0", "WorkingDir": "/tmp", "Labels": { "own": "1" },
                       "ExposedPorts": { "81/udp": {} }, "OnBuild": ["RUN false"] });
    let id = engine.run(&merged(plain.clone(), over));
    assert_eq!(engine.wait(&id), 0);
    assert_eq!(engine.logs(&id).0, "image own 0 /tmp\n");
    let config = engine.inspect(&id)["Config"].clone();
    assert_eq!(config["Labels"], json!({ "of": "image", "own": "1" }));
    assert_eq!(config["ExposedPorts"], json!({ "80/tcp": {}, "81/udp": {} }));
    assert_eq!(config["Volumes"], json!({ "/data": {} }));
    assert_eq!(config["OnBuild"], json!(["RUN false"]), "kept as given");
    let emptied = merged(plain.clone(), json!({ "Entrypoint": [], "Cmd": ["echo", "own"] }));
    assert_eq!(engine.output(&emptied).stdout, "own\n", "an empty list takes the image's away");
    let own = merged(plain, json!({ "Entrypoint": "ls" }));
    assert_eq!(engine.output(&own).stdout, "", "the image's command goes with its entrypoint");
    let _ = engine.delete("/images/configured?force=1").expect(200);
}

#[test]
fn stop_takes_the_signal_and_the_time_of_the_container() {
    let engine = Engine::start();
    let script = "trap 'exit 5' USR1; trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done";
    for (over, code) in [
        (json!({ "StopSignal": "SIGUSR1" }), 5),
        (json!({ "StopSignal": "10" }), 5),
        (json!({ "StopTimeout": 30 }), 6),
        (json!({ "StopTimeout": 0 }), 137),
    ] {
        let id = engine.run(&merged(sh(script), over.clone()));
        berth_tests::wait::until("the traps", || engine.logs(&id).0.contains("ready").then_some(()));
        let _ = engine.post(&format!("/containers/{id}/stop")).expect(204);
        assert_eq!(engine.state(&id, "ExitCode"), code, "{over}");
    }
}

#[test]
fn variables_are_set_replaced_and_removed() {
    let engine = Engine::start();
    let body = json!({ "Image": "busybox", "Cmd": ["env"],
                       "Env": ["A=1", "A=2", "", "B", "HOSTNAME", "C=a=b c", "PATH=/bin"] });
    let output = engine.output(&body).stdout;
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=2", "C=a=b c", "HOME=/root", "PATH=/bin"]);
}

#[test]
fn a_network_of_its_own_needs_no_capability_for_port_80_and_ping() {
    let engine = Engine::start();
    let script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range
        timeout 1 nc -l -p 80; echo $?";
    let user = json!({ "User": "1000", "HostConfig": { "CapDrop": ["ALL"] } });
    let body = merged(sh(script), user);
    // 143: it listened until SIGTERM came.
    assert_eq!(engine.output(&body).stdout, "0\n0\t2147483647\n143\n");
    let asked = json!({ "Sysctls": {
        "net.ipv4.ip_unprivileged_port_start": "1024", "net.ipv4.ping_group_range": "1 0",
    } });
    let output = engine.output(&with_host(script, asked));
    assert!(output.stdout.starts_with("1024\n1\t0\n"), "{}", output.stdout);
    let network = json!({ "NetworkMode": "host" });
    let host = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).expect("a setting");
    let output = engine.output(&with_host("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", network));
    assert_eq!(output.stdout, host("ip_unprivileged_port_start"));
}

#[test]
fn memory_file_systems_and_kernel_settings() {
    let engine = Engine::start();
    let host = json!({
        "ShmSize": 8_388_608, "Tmpfs": { "/exec": "size=1m,mode=0700,exec", "/plain": "" },
        "Sysctls": { "net.core.somaxconn": "77", "kernel.shmmax": "1234567", "fs.mqueue.msg_max": "11" },
        "Mounts": [{ "Type": "tmpfs", "Target": "/sized", "TmpfsOptions": { "SizeBytes": 2_097_152, "Mode": 448 } }],
    });
    let script = "grep -E ' (/dev/shm|/exec|/plain|/sized) ' /proc/mounts
        cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmax /proc/sys/fs/mqueue/msg_max";
    let id = engine.run(&with_host(script, host.clone()));
    assert_eq!(engine.wait(&id), 0);
    let (text, _) = engine.logs(&id);
    let mount = |place: &str| {
        let line = text.lines().find(|line| line.contains(&format!(" {place} "))).expect(place);
        line.split(' ').nth(3).expect("options").to_owned()
    };
    assert!(mount("/dev/shm").contains("size=8192k"), "{text}");
    assert!(mount("/exec").contains("size=1024k") && mount("/exec").contains("mode=700"), "{text}");
    assert!(!mount("/exec").contains("noexec") && mount("/exec").contains("nosuid"), "{text}");
    assert!(mount("/plain").contains("noexec,") && mount("/plain").contains("nodev"), "{text}");
    assert!(mount("/sized").contains("size=2048k") && mount("/sized").contains("mode=700"), "{text}");
    assert!(text.ends_with("77\n1234567\n11\n"), "{text}");
    let shown = engine.inspect(&id)["HostConfig"].clone();
    for field in ["ShmSize", "Tmpfs", "Sysctls"] {
        assert_eq!(shown[field], host[field], "{field}");
    }
}

#[test]
fn mounts_are_binds_and_volumes() {
    let engine = Engine::start();
    let directory = engine.directory().join("mounted");
    std::fs::create_dir(&directory).expect("a directory to mount");
    std::fs::write(directory.join("file"), "host\n").expect("a file");
    let mounts = json!([
        { "Type": "bind", "Source": directory, "Target": "/ro", "ReadOnly": true },
        { "Type": "volume", "Target": "/volume" },
    ]);
    let script = "cat /ro/file; touch /ro/x; echo $?; echo kept > /volume/file";
    let owner = engine.create_named("owner", &with_host(script, json!({ "Mounts": mounts })));
    engine.start(&owner);
    assert_eq!(engine.wait(&owner), 0);
    assert_eq!(engine.logs(&owner).0, "host\n1\n");
    let shown = engine.inspect(&owner)["Mounts"].clone();
    let of_place = |place: &str| {
        let all = shown.as_array().expect("mounts").iter();
        all.clone().find(|mount| mount["Destination"] == place).expect(place).clone()
    };
    assert_eq!((&of_place("/ro")["RW"], &of_place("/volume")["RW"]), (&json!(false), &json!(true)));
    let body = with_host("cat /volume/file", json!({ "VolumesFrom": ["owner"] }));
    assert_eq!(engine.output(&body).stdout, "kept\n");
    std::fs::remove_dir_all(&directory).expect("the directory to go");
}

#[test]
fn init_starts_the_program_passes_signals_on_and_reaps() {
    let engine = Engine::start();
    // The inner shell ends at once and leaves its child to the process that adopts it.
    let script =
        "trap 'exit 7' USR1; sh -c 'sleep 0.2 & echo orphan'; echo ready; while :; do sleep 0.1; done";
    for (mode, is_first) in [("", true), ("host", false)] {
        let id = engine.run(&with_host(script, json!({ "Init": true, "PidMode": mode })));
        berth_tests::wait::until("the trap", || engine.logs(&id).0.contains("ready").then_some(()));
        let pid = engine.pid(&id);
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).expect("the init's name");
        assert_eq!(name, "init\n");
        let shown = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("the init's arguments");
        assert!(shown.starts_with("/sbin/docker-init\0--\0") && !shown.contains("berth"), "{shown:?}");
        let first = engine.exec(&id, &["cat", "/proc/1/comm"]).stdout;
        assert_eq!(first == "init\n", is_first, "{first}");
        let children = || {
            let path = format!("/proc/{pid}/task/{pid}/children");
            std::fs::read_to_string(path).expect("the init's children")
        };
        berth_tests::wait::until("the orphan's end", || (children().split(' ').count() == 2).then_some(()));
        let _ = engine.post(&format!("/containers/{id}/kill?signal=USR1")).expect(204);
        assert_eq!(engine.wait(&id), 7, "with pid mode {mode:?}");
    }
}

#[test]
fn paths_are_hidden_and_protected_as_asked() {
    let engine = Engine::start();
    let script = "cat /etc/passwd | wc -c; touch /home/x 2>/dev/null; echo $?; touch /tmp/x; echo $?
        echo 1 > /proc/sys/kernel/domainname; echo $?";
    let own = json!({ "MaskedPaths": ["/etc/passwd", "/nosuch"], "ReadonlyPaths": ["/home"] });
    assert_eq!(
        engine.output(&with_host(script, own)).stdout,
        "0\n1\n0\n0\n",
        "own lists replace the default ones"
    );
    let none = json!({ "SecurityOpt": ["systempaths=unconfined"] });
    let output = engine.output(&with_host("echo 1 > /proc/sys/kernel/domainname; echo $?", none));
    assert_eq!(output.stdout, "0\n", "{}", output.stderr);
}

#[test]
fn settings_of_the_host_beside_config_are_taken_from_old_clients() {
    let engine = Engine::start();
    let directory = engine.directory().join("shown");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::write(directory.join("file"), "of the host").expect("a file");
    let limits = json!({ "Memory": 67_108_864, "CpuShares": 300, "Cpuset": "0" });
    let own = json!({
        "Binds": [format!("{}:/shown:ro", directory.display())], "CapAdd": ["NET_ADMIN"], "CapDrop": ["CHOWN"],
        "PortBindings": { "80/tcp": [{ "HostPort": "8080" }] }, "PublishAllPorts": true, "Dns": ["192.0.2.1"],
        "ExtraHosts": ["other:192.0.2.2"], "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 },
        "NetworkMode": "none", "ReadonlyRootfs": true, "VolumeDriver": "local",
    });
    let script =
        "cat /shown/file; grep CapBnd /proc/self/status; ls /sys/class/net; touch /x 2>/dev/null; echo $?";
    let body = merged(sh(script), merged(limits, own.clone()));
    let id = engine.run(&body);
    let host = engine.inspect(&id)["HostConfig"].clone();
    for (field, wanted) in own.as_object().expect("an object") {
        match field.as_str() {
            // That of `Config`, which has one too.
            "VolumeDriver" => assert!(host[field].is_null(), "{host}"),
            "PortBindings" => assert_eq!(host[field]["80/tcp"][0]["HostPort"], "8080"),
            field => assert_eq!(host[field], *wanted, "{field}"),
        }
    }
    assert_eq!(
        (&host["Memory"], &host["CpuShares"], &host["CpusetCpus"]),
        (&json!(67_108_864), &json!(300), &json!("0"))
    );
    // With success: after a failure the policy would start it again, and its output be there twice.
    assert_eq!(engine.wait(&id), 0);
    // The default capabilities (a80425fb) without CAP_CHOWN (bit 0) and with CAP_NET_ADMIN (bit 12); a root that is
    // read-only.
    assert_eq!(engine.logs(&id).0, "of the hostCapBnd:\t00000000a80435fa\nlo\n1\n");
    let both = merged(sh("true"), json!({ "Dns": ["192.0.2.1"], "HostConfig": { "NetworkMode": "none" } }));
    let host = engine.inspect(&engine.create(&both))["HostConfig"].clone();
    assert_eq!(
        (&host["Dns"], &host["NetworkMode"]),
        (&json!(null), &json!("none")),
        "HostConfig counts alone"
    );
    let refused = engine.post_json("/containers/create", &merged(sh("true"), json!({ "Binds": "/tmp" })));
    assert_eq!(refused.status(), 500, "{}", refused.text());
}

#[test]
fn the_daemons_limits_are_for_those_that_set_none() {
    let arguments = ["--default-ulimit", "nofile=400:500", "--default-ulimit", "core=0"];
    let arguments = arguments.map(str::to_owned).into();
    let engine = Engine::start_with(Options { arguments, ..Options::default() });
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c; sleep 600";
    let own = json!({ "Ulimits": [{ "Name": "nofile", "Soft": 512, "Hard": 1024 }] });
    for (host, wanted) in [(json!({ "Ulimits": [{}] }), "400\n500\n0\n"), (own, "512\n1024\n0\n")] {
        let id = engine.run(&with_host(script, host));
        berth_tests::wait::until("the limits", || (engine.logs(&id).0 == wanted).then_some(()));
        let inside = engine.exec(&id, &["sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -c"]);
        assert_eq!(inside.stdout, wanted, "an exec has them too");
    }
}
