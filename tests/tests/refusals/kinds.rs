//! Values of every kind in every field of a create: made, or refused as the client's fault.

use berth_tests::{Client, Engine, merged, sh};
use serde_json::{Value, json};

use super::words::assert_plain;

/// A value of each kind, in the order of the marks of [`Row`].
fn values() -> [Value; 7] {
    [json!(null), json!(""), json!(0), json!([]), json!({}), json!([null]), json!({ "": "" })]
}

/// Fields that take the same kinds of value.
struct Row {
    /// Of each value whether a container is made of it, `+`, or the create is refused, `-`.
    marks: &'static str,
    /// Their names.
    fields: &'static str,
}

const fn row(marks: &'static str, fields: &'static str) -> Row {
    Row { marks, fields }
}

/// The fields of a container.
const OF_CONFIG: [Row; 10] = [
    // A text; an image is always named.
    row(
        "++-----",
        "Hostname Domainname User WorkingDir MacAddress StopSignal VolumeDriver PublishService Cpuset",
    ),
    row("-------", "Image"),
    // A truth.
    row("+------", "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce NetworkDisabled"),
    // A list of texts, of which null is the empty one.
    row("+--+-+-", "Env OnBuild Shell"),
    // A text or a list; a container without an entry point has a command.
    row("-+---+-", "Cmd"),
    row("++-+-+-", "Entrypoint"),
    // An object of texts, or of fields that all have names.
    row("+---+-+", "Labels Healthcheck HostConfig NetworkingConfig"),
    // An object of objects.
    row("+---+--", "Volumes ExposedPorts"),
    // A number.
    row("+-+----", "StopTimeout"),
    // What no version served reads.
    row("+++++++", "PortSpecs"),
];

/// The fields of what it gets of its host.
const OF_HOST: [Row; 9] = [
    // A text.
    row(
        "++-----",
        "CpusetCpus CpusetMems NetworkMode CgroupParent PidMode IpcMode UTSMode UsernsMode CgroupnsMode Runtime \
         ContainerIDFile VolumeDriver Isolation",
    ),
    // A truth, or a pair of numbers.
    row("+------", "OomKillDisable PublishAllPorts Privileged ReadonlyRootfs AutoRemove Init ConsoleSize"),
    // A number.
    row(
        "+-+----",
        "Memory MemorySwap MemoryReservation KernelMemory MemorySwappiness CpuShares CpuPeriod CpuQuota NanoCpus \
         BlkioWeight OomScoreAdj PidsLimit ShmSize",
    ),
    // A list of texts or objects that must not be empty.
    row(
        "+--+---",
        "Binds Links BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps \
         BlkioDeviceWriteIOps ExtraHosts VolumesFrom CapAdd CapDrop DeviceCgroupRules SecurityOpt Mounts \
         MaskedPaths ReadonlyPaths",
    ),
    // A list of texts or objects that may be empty.
    row("+--+-+-", "Dns DnsSearch DnsOptions GroupAdd Devices DeviceRequests Ulimits"),
    // A list, or the object of earlier versions.
    row("+--++--", "LxcConf"),
    // An object whose names must not be empty.
    row("+---+--", "PortBindings Tmpfs Sysctls StorageOpt"),
    // An object of which any name is taken.
    row("+---+-+", "RestartPolicy LogConfig Annotations"),
    // What this version does not read, or what is another system's.
    row(
        "+++++++",
        "KernelMemoryTCP Cgroup CpuCount CpuPercent CpuRealtimePeriod CpuRealtimeRuntime IOMaximumIOps \
         IOMaximumBandwidth",
    ),
];

/// Requests a container with each kind of value in a field, and removes what is made; returns the marks.
fn marks_of(client: &Client, field: &str, body: impl Fn(Value) -> Value) -> String {
    let mark = |value: Value| {
        let answer = client.post_json("/containers/create", &merged(sh("true"), body(value.clone())));
        let text = answer.text();
        assert_plain(&text);
        if answer.status() == 201 {
            client.remove(answer.json()["Id"].as_str().expect("an id"));
            return '+';
        }
        assert_eq!(answer.status(), 400, "{field} of {value}: {text}");
        '-'
    };
    values().into_iter().map(mark).collect()
}

/// The fields with the marks of their kind.
fn fields(rows: &[Row]) -> impl Iterator<Item = (&'static str, &'static str)> {
    rows.iter().flat_map(|row| row.fields.split_whitespace().map(|field| (field, row.marks)))
}

#[test]
fn each_kind_of_value_is_taken_by_the_fields_of_its_kind_alone() {
    let engine = Engine::start();
    let today = engine.at("1.24");
    for (field, marks) in fields(&OF_CONFIG) {
        assert_eq!(marks_of(&today, field, |value| json!({ field: value })), marks, "{field}");
    }
    for (field, marks) in fields(&OF_HOST) {
        let in_host = marks_of(&today, field, |value| json!({ "HostConfig": { field: value } }));
        assert_eq!(in_host, marks, "HostConfig.{field}");
        // The first clients wrote these fields beside the others, and an empty text for an unset one.
        let beside = format!("{}+{}", &marks[..1], &marks[2..]);
        assert_eq!(marks_of(&today, field, |value| json!({ field: value })), beside, "{field}");
    }
}

#[test]
fn the_first_clients_name_containers_whose_volumes_they_want_in_one_text() {
    let engine = Engine::start();
    let data = engine.create_named("data", &merged(sh("true"), json!({ "Volumes": { "/data": {} } })));
    let more = engine.create_named("more", &merged(sh("true"), json!({ "Volumes": { "/more": {} } })));
    for (names, places) in [("", ""), ("data", "/data"), ("data,more:ro", "/data /more")] {
        let id = engine.create(&merged(sh("true"), json!({ "VolumesFrom": names })));
        let mounts = engine.inspect(&id)["Mounts"].clone();
        let mounts = mounts.as_array().cloned().unwrap_or_default();
        let mut found: Vec<&str> = mounts.iter().filter_map(|mount| mount["Destination"].as_str()).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), places);
        engine.remove(&id);
    }
    engine.remove(&data);
    engine.remove(&more);
}
