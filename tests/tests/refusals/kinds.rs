//! Values of every kind in every field of a create: made, or refused as the client's fault.

use berth_tests::{Engine, merged, sh};
use serde_json::{Value, json};

use super::words::assert_plain;

/// The fields of a container.
const OF_CONFIG: &str = "Hostname Domainname User Image WorkingDir MacAddress StopSignal VolumeDriver AttachStdin \
    AttachStdout AttachStderr Tty OpenStdin StdinOnce NetworkDisabled Env OnBuild Shell \
    Cmd Entrypoint Labels Volumes ExposedPorts StopTimeout Healthcheck HostConfig NetworkingConfig \
    PublishService PortSpecs Cpuset";

/// The fields of what it gets of its host.
const OF_HOST: &str = "Binds Links LxcConf Memory MemorySwap MemoryReservation KernelMemory KernelMemoryTCP \
    MemorySwappiness CpuShares CpuPeriod CpuQuota NanoCpus CpusetCpus CpusetMems BlkioWeight \
    BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps OomScoreAdj OomKillDisable PidsLimit \
    ShmSize PortBindings PublishAllPorts Privileged ReadonlyRootfs Dns DnsSearch DnsOptions \
    ExtraHosts VolumesFrom CapAdd CapDrop GroupAdd RestartPolicy NetworkMode Devices \
    DeviceCgroupRules DeviceRequests Ulimits LogConfig SecurityOpt CgroupParent PidMode IpcMode \
    UTSMode UsernsMode CgroupnsMode Cgroup Runtime ContainerIDFile VolumeDriver AutoRemove \
    Init Tmpfs Sysctls StorageOpt Mounts ConsoleSize Isolation Annotations \
    MaskedPaths ReadonlyPaths CpuCount CpuPercent CpuRealtimePeriod CpuRealtimeRuntime IOMaximumIOps IOMaximumBandwidth";

/// Asks for a container with each kind of value in a field, and takes away what is made.
fn ask_for_every_kind(engine: &Engine, field: &str, body: impl Fn(Value) -> Value) {
    let today = engine.at("1.24");
    for value in [json!(null), json!(""), json!(0), json!([]), json!({}), json!([null]), json!({ "": "" })] {
        let answer = today.post_json("/containers/create", &merged(sh("true"), body(value.clone())));
        let text = answer.text();
        assert!(matches!(answer.status(), 201 | 400), "{field} of {value}: {} {text}", answer.status());
        assert_plain(&text);
        if answer.status() == 201 {
            engine.remove(answer.json()["Id"].as_str().expect("an id"));
        }
    }
}

#[test]
fn no_kind_of_value_is_a_failure_of_the_engine() {
    let engine = Engine::start();
    for field in OF_CONFIG.split_whitespace().chain(OF_HOST.split_whitespace()) {
        ask_for_every_kind(&engine, field, |value| json!({ field: value }));
    }
    for field in OF_HOST.split_whitespace() {
        ask_for_every_kind(&engine, field, |value| json!({ "HostConfig": { field: value } }));
    }
}

#[test]
fn the_first_clients_wrote_empty_texts_where_a_field_says_nothing() {
    let engine = Engine::start();
    for field in OF_HOST.split_whitespace() {
        let id = engine.create(&merged(sh("true"), json!({ field: "" })));
        engine.remove(&id);
    }
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
