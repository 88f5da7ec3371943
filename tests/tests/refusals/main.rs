//! Bad values of every setting: the documented status, a text with the fault, and nothing made.

mod kinds;
mod unusable;
mod words;

use berth_tests::{Engine, merged, sh};
use serde_json::{Value, json};

/// Requests a container with each of the bodies; none may be made.
fn refuse_all(engine: &Engine, cases: &[(Value, &str)]) {
    refuse_all_with(500, engine, cases);
}

/// The same where what is named does not exist, or the endpoint's list has a status for it.
fn refuse_all_with(status: u16, engine: &Engine, cases: &[(Value, &str)]) {
    for (over, words) in cases {
        assert!(!words.is_empty(), "{over}: nothing is compared");
        let answer = engine.post_json("/containers/create", &merged(sh("true"), over.clone()));
        assert_eq!(answer.status(), status, "{over}: {}", answer.text());
        let text = answer.text();
        assert!(text.contains(words), "{over}: {text:?} does not say {words:?}");
        words::assert_plain(&text);
        assert!(text.ends_with('\n') && !text.starts_with('{'), "{over}: {text:?} is no line of text");
    }
    assert_eq!(engine.get("/containers/json?all=1").json(), json!([]), "a container was made");
    for kind in ["containers", "volumes"] {
        let left = std::fs::read_dir(engine.data_root().join(kind)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{kind} are left");
    }
}

fn host(field: &str, value: Value) -> Value {
    json!({ "HostConfig": { field: value } })
}

#[test]
fn each_field_of_config_refuses_other_types() {
    let engine = Engine::start();
    let number = json!(5);
    let text = json!("x");
    let list = json!([1]);
    let mut cases = Vec::new();
    for field in
        ["Hostname", "Domainname", "User", "Image", "WorkingDir", "MacAddress", "StopSignal", "VolumeDriver"]
    {
        cases.extend([(json!({ field: number }), field), (json!({ field: list }), field)]);
    }
    let truths =
        ["AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce", "NetworkDisabled"];
    for field in truths {
        cases.extend([(json!({ field: number }), field), (json!({ field: "true" }), field)]);
    }
    for field in ["Env", "OnBuild", "Shell"] {
        cases.extend([(json!({ field: text }), field), (json!({ field: list }), field)]);
    }
    for field in ["Cmd", "Entrypoint"] {
        cases.extend([
            (json!({ field: number }), field),
            (json!({ field: list }), field),
            (json!({ field: {} }), field),
        ]);
    }
    for field in ["Labels", "Volumes", "ExposedPorts"] {
        cases.extend([(json!({ field: text }), field), (json!({ field: { "k": 5 } }), field)]);
    }
    cases.extend([
        (json!({ "StopTimeout": text }), "StopTimeout"),
        (json!({ "HostConfig": text }), "HostConfig"),
    ]);
    cases.extend([
        (json!({ "Healthcheck": text }), "Healthcheck"),
        (json!({ "HostConfig": [] }), "HostConfig"),
    ]);
    refuse_all(&engine, &cases);
}

#[test]
fn each_field_of_host_config_refuses_other_types() {
    let engine = Engine::start();
    let mut cases = Vec::new();
    let numbers = [
        "Memory",
        "MemorySwap",
        "MemoryReservation",
        "KernelMemory",
        "MemorySwappiness",
        "CpuShares",
        "CpuPeriod",
        "CpuQuota",
        "NanoCpus",
        "BlkioWeight",
        "OomScoreAdj",
        "PidsLimit",
        "ShmSize",
    ];
    for field in numbers {
        for wrong in [json!("64m"), json!(1.5), json!([1]), json!(99_999_999_999_999_999_999_f64)] {
            cases.push((host(field, wrong), field));
        }
    }
    let texts = [
        "CpusetCpus",
        "CpusetMems",
        "CgroupParent",
        "NetworkMode",
        "PidMode",
        "IpcMode",
        "UTSMode",
        "UsernsMode",
        "CgroupnsMode",
        "Runtime",
        "ContainerIDFile",
        "VolumeDriver",
    ];
    for field in texts {
        cases.extend([(host(field, json!(5)), field), (host(field, json!({})), field)]);
    }
    for field in ["OomKillDisable", "Privileged", "PublishAllPorts", "ReadonlyRootfs", "AutoRemove", "Init"] {
        cases.extend([(host(field, json!("yes")), field), (host(field, json!(1)), field)]);
    }
    let lists = [
        "Binds",
        "Links",
        "Dns",
        "DnsOptions",
        "DnsSearch",
        "ExtraHosts",
        "VolumesFrom",
        "GroupAdd",
        "SecurityOpt",
        "DeviceCgroupRules",
        "MaskedPaths",
        "ReadonlyPaths",
        "Devices",
        "Ulimits",
        "Mounts",
        "BlkioWeightDevice",
        "BlkioDeviceReadBps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps",
    ];
    for field in lists {
        cases.extend([(host(field, json!("x")), field), (host(field, json!([5])), field)]);
    }
    for field in ["CapAdd", "CapDrop"] {
        cases.extend([(host(field, json!(5)), field), (host(field, json!([5])), field)]);
    }
    for field in ["Tmpfs", "Sysctls", "StorageOpt", "PortBindings", "LogConfig", "RestartPolicy"] {
        cases.extend([(host(field, json!("x")), field), (host(field, json!([])), field)]);
    }
    cases
        .extend([(host("ConsoleSize", json!([1])), "ConsoleSize"), (host("LxcConf", json!("x")), "LxcConf")]);
    refuse_all(&engine, &cases);
}

#[test]
fn parts_of_fields_refuse_other_types() {
    let engine = Engine::start();
    let cases = [
        (host("Devices", json!([{ "PathOnHost": 5 }])), "PathOnHost"),
        (host("Ulimits", json!([{ "Name": "nofile", "Soft": "1" }])), "Soft"),
        (host("RestartPolicy", json!({ "Name": "always", "MaximumRetryCount": "3" })), "MaximumRetryCount"),
        (host("LogConfig", json!({ "Type": "json-file", "Config": { "max-size": 5 } })), "max-size"),
        (host("PortBindings", json!({ "80/tcp": [{ "HostPort": 80 }] })), "HostPort"),
        (host("Mounts", json!([{ "Type": "bind", "ReadOnly": "x" }])), "ReadOnly"),
        (host("BlkioDeviceReadBps", json!([{ "Path": "/dev/null", "Rate": "1m" }])), "Rate"),
        (json!({ "Healthcheck": { "Test": "true" } }), "Test"),
    ];
    refuse_all(&engine, &cases);
}

#[test]
fn values_of_config_out_of_range_are_refused() {
    let engine = Engine::start();
    let uids = "Uids and gids must be in range 0-2147483647";
    let cases = [
        (
            json!({ "WorkingDir": "rel" }),
            "The working directory 'rel' is invalid. It needs to be an absolute path.",
        ),
        (json!({ "User": "-1" }), uids),
        (json!({ "User": "99999999999" }), uids),
        (json!({ "User": "0:2147483648" }), uids),
        (json!({ "Env": ["=b"] }), "invalid environment variable: =b"),
        (json!({ "Cmd": [] }), "No command specified"),
        (json!({ "Image": "" }), "No command specified"),
        (json!({ "StopSignal": "SIGNOPE" }), "SIGNOPE"),
        (json!({ "StopTimeout": -2 }), "stop timeout"),
        (json!({ "Healthcheck": { "Test": ["CMD", "true"] } }), "Healthcheck is not supported"),
        (json!({ "Healthcheck": { "Interval": 5_000_000_000_i64 } }), "Healthcheck is not supported"),
        (json!({ "PublishService": "x" }), "PublishService is not supported"),
        (
            json!({ "NetworkingConfig": { "EndpointsConfig": { "n": { "Aliases": ["a"] } } } }),
            "NetworkingConfig",
        ),
    ];
    refuse_all(&engine, &cases);
    let missing = "Error looking up volume plugin nope: Plugin not found";
    refuse_all_with(404, &engine, &[(json!({ "VolumeDriver": "nope", "Volumes": { "/v": {} } }), missing)]);
}

#[test]
fn resources_out_of_range_are_refused() {
    let engine = Engine::start();
    let device = |rate: i64| json!([{ "Path": "/dev/x", "Rate": rate }]);
    let ulimit = |name: &str, soft: i64, hard: i64| json!([{ "Name": name, "Soft": soft, "Hard": hard }]);
    let cases = [
        (host("Memory", json!(4_194_303)), "Minimum memory limit allowed is 4MB"),
        (host("Memory", json!(-1)), "Minimum memory limit allowed is 4MB"),
        (
            host("MemorySwap", json!(8_388_608)),
            "You should always set the Memory limit when using Memoryswap limit",
        ),
        (host("MemorySwap", json!(-2)), "memoryswap"),
        (host("MemoryReservation", json!(-1)), "reservation"),
        (host("KernelMemory", json!(1)), "Minimum kernel memory limit allowed is 4MB"),
        (host("MemorySwappiness", json!(101)), "Invalid value: 101, valid memory swappiness range is 0-100."),
        (host("MemorySwappiness", json!(-2)), "Invalid value: -2, valid memory swappiness range is 0-100."),
        (host("OomScoreAdj", json!(1001)), "range for oom score adj is [-1000, 1000]"),
        (host("ShmSize", json!(-1)), "SHM size"),
        (host("CpuShares", json!(1)), "The minimum allowed cpu-shares is 2"),
        (host("CpuShares", json!(-1)), "The minimum allowed cpu-shares is 2"),
        (host("CpuShares", json!(262_145)), "The maximum allowed cpu-shares is 262144"),
        (host("CpuPeriod", json!(999)), "CPU cfs period"),
        (host("CpuPeriod", json!(1_000_001)), "CPU cfs period"),
        (host("CpuPeriod", json!(-1)), "CPU cfs period"),
        (host("CpuQuota", json!(999)), "CPU cfs quota"),
        (host("CpuQuota", json!(-2)), "CPU cfs quota"),
        (host("NanoCpus", json!(-1)), "NanoCPUs"),
        (host("CpusetCpus", json!("4095")), "Requested CPUs are not available"),
        (host("CpusetCpus", json!("0-")), "Invalid value 0- for cpuset cpus"),
        (host("CpusetMems", json!("777")), "Requested memory nodes are not available"),
        (host("CpusetMems", json!("x")), "Invalid value x for cpuset mems"),
        (host("BlkioWeight", json!(9)), "Range of blkio weight is from 10 to 1000."),
        (host("BlkioWeight", json!(1001)), "Range of blkio weight is from 10 to 1000."),
        (host("BlkioWeight", json!(-5)), "Range of blkio weight is from 10 to 1000."),
        (host("BlkioWeightDevice", json!([{ "Path": "/dev/x", "Weight": 5 }])), "Range of blkio weight"),
        (host("BlkioDeviceReadBps", json!([{ "Path": "x", "Rate": 5 }])), "must be absolute"),
        (host("BlkioDeviceWriteBps", device(-1)), "rate of /dev/x"),
        (host("BlkioDeviceReadIOps", device(-1)), "rate of /dev/x"),
        (host("BlkioDeviceWriteIOps", device(-1)), "rate of /dev/x"),
        (host("Ulimits", ulimit("bogus", 1, 1)), "invalid ulimit name bogus"),
        (host("Ulimits", ulimit("RLIMIT_NOFILE", 1, 1)), "invalid ulimit name RLIMIT_NOFILE"),
        (host("Ulimits", ulimit("nofile", 20, 10)), "the soft limit 20 is above the hard limit 10"),
        (host("Ulimits", ulimit("core", -2, -1)), "only -1"),
    ];
    refuse_all(&engine, &cases);
}

#[test]
fn privileges_out_of_range_are_refused() {
    let engine = Engine::start();
    let device = |permissions: &str, inside: &str| json!([{ "PathOnHost": "/dev/null", "PathInContainer": inside, "CgroupPermissions": permissions }]);
    let cases = [
        (host("CapAdd", json!(["BOGUS"])), "Unknown capability to add: \"BOGUS\""),
        (host("CapAdd", json!([""])), "Unknown capability to add: \"\""),
        (host("CapDrop", json!(["CAP_NOPE"])), "Unknown capability drop: \"CAP_NOPE\""),
        (host("SecurityOpt", json!([""])), "Invalid --security-opt: \"\""),
        (host("SecurityOpt", json!(["bogus"])), "Invalid --security-opt: \"bogus\""),
        (host("SecurityOpt", json!(["a:b"])), "Invalid --security-opt: \"a:b\""),
        (host("SecurityOpt", json!(["no-new-privileges=maybe"])), "Invalid --security-opt"),
        (host("SecurityOpt", json!(["seccomp={"])), "seccomp profile"),
        (host("SecurityOpt", json!(["seccomp=/no/file.json"])), "seccomp profile"),
        (host("Devices", device("xyz", "/dev/x")), "invalid permissions \"xyz\""),
        (host("Devices", device("r", "x")), "is not an absolute path"),
        (host("DeviceCgroupRules", json!(["q 1:1 r"])), "invalid device cgroup rule format: 'q 1:1 r'"),
        (host("GroupAdd", json!(["-5"])), "Uids and gids must be in range"),
        (host("PidMode", json!("foo")), "Invalid PID mode: foo"),
        (host("IpcMode", json!("foo")), "Invalid IPC mode: foo"),
        (host("UTSMode", json!("container:x")), "Invalid UTS mode"),
        (host("UsernsMode", json!("private")), "invalid user namespace mode"),
        (host("CgroupnsMode", json!("shared")), "invalid cgroup namespace mode: shared"),
        (host("Runtime", json!("runsc")), "Unknown runtime specified runsc"),
        (
            host("LxcConf", json!({ "lxc.utsname": "docker" })),
            "Cannot use --lxc-conf with execdriver: native-0.2",
        ),
        (host("LxcConf", json!([{ "Key": "a", "Value": "b" }])), "Cannot use --lxc-conf"),
        (host("MaskedPaths", json!(["rel"])), "is not an absolute path"),
        (host("ReadonlyPaths", json!(["rel"])), "is not an absolute path"),
        (host("Sysctls", json!({ "kernel.core_pattern": "x" })), "is not in a separate kernel namespace"),
        (host("Tmpfs", json!({ "/": "" })), "mounting into / is prohibited"),
        (host("Tmpfs", json!({ "rel": "" })), "invalid mount path: 'rel' mount path must be absolute"),
        (host("StorageOpt", json!({ "size": "x" })), "invalid size: 'x'"),
        (host("StorageOpt", json!({ "dm.basesize": "1G" })), "Unknown option dm.basesize"),
        (host("Mounts", json!([{ "Type": "npipe", "Target": "/x" }])), "npipe"),
        (host("Mounts", json!([{ "Type": "volume", "Target": "rel" }])), "rel"),
    ];
    refuse_all(&engine, &cases);
    refuse_all_with(404, &engine, &[(host("IpcMode", json!("container:nosuch")), "no such id: nosuch")]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let engine = Engine::start();
    let both = |over: Value| json!({ "HostConfig": over });
    let cases = [
        (
            both(json!({ "Memory": 8_388_608, "MemorySwap": 4_194_304 })),
            "Minimum memoryswap limit should be larger than memory limit, see usage.",
        ),
        (both(json!({ "Memory": 8_388_608, "MemoryReservation": 16_777_216 })), "memory reservation"),
        (both(json!({ "NanoCpus": 1_000_000_000, "CpuQuota": 50_000 })), "Conflicting options"),
        (both(json!({ "NetworkMode": "host", "Sysctls": { "net.core.somaxconn": "1" } })), "sysctl"),
        (both(json!({ "IpcMode": "host", "Sysctls": { "kernel.shmmax": "1" } })), "sysctl"),
        (both(json!({ "AutoRemove": true, "RestartPolicy": { "Name": "always" } })), "AutoRemove"),
        (both(json!({ "Binds": ["/tmp:/x", "/var:/x"] })), "Duplicate bind mount /x"),
    ];
    refuse_all(&engine, &cases);
}

#[test]
fn what_later_versions_brought_and_is_not_there_is_refused() {
    let engine = Engine::start();
    let cases: Vec<(Value, &str)> = [
        ("CpuCount", json!(1)),
        ("CpuPercent", json!(50)),
        ("CpuRealtimePeriod", json!(1000)),
        ("CpuRealtimeRuntime", json!(1000)),
        ("IOMaximumIOps", json!(5)),
        ("IOMaximumBandwidth", json!(5)),
        ("KernelMemoryTCP", json!(8_388_608)),
        ("Isolation", json!("hyperv")),
        ("Cgroup", json!("container:x")),
    ]
    .map(|(field, value)| (host(field, value), "is not supported"))
    .into();
    refuse_all(&engine, &cases);
}

#[test]
fn a_start_refuses_a_bad_host_config_and_keeps_the_old_one() {
    let engine = Engine::start();
    let body = merged(sh("true"), json!({ "HostConfig": { "CpuShares": 77 } }));
    let id = engine.create(&body);
    let path = format!("/containers/{id}/start");
    for (host, words) in [
        (json!({ "Memory": 100 }), "Minimum memory limit allowed is 4MB\n"),
        (json!({ "Binds": ["x"] }), "Invalid volume specification: x\n"),
        (json!({ "Links": ["nosuch:l"] }), "Could not get container for nosuch\n"),
        (json!({ "CapAdd": ["BOGUS"] }), "Unknown capability to add: \"BOGUS\"\n"),
        (json!({ "Memory": "x" }), "Memory"),
    ] {
        let answer = engine.post_json(&path, &host).expect(500);
        assert!(answer.text().contains(words), "{host}: {}", answer.text());
        let inspected = engine.inspect(&id);
        assert_eq!(
            (&inspected["HostConfig"]["CpuShares"], &inspected["State"]["Running"]),
            (&json!(77), &json!(false))
        );
    }
    for nothing in [json!({}), json!({ "Memory": 0, "Binds": null })] {
        let id = engine.create(&body);
        let _ = engine.post_json(&format!("/containers/{id}/start"), &nothing).expect(204);
        assert_eq!(engine.wait(&id), 0);
        assert_eq!(engine.inspect(&id)["HostConfig"]["CpuShares"], 77, "{nothing} says nothing");
    }
    let _ = engine.post_json(&path, &json!({ "CpuQuota": 50_000 })).expect(204);
    assert_eq!(engine.wait(&id), 0);
    let host = engine.inspect(&id)["HostConfig"].clone();
    assert_eq!(
        (&host["CpuShares"], &host["CpuQuota"]),
        (&json!(0), &json!(50_000)),
        "one replaces the other"
    );
}
