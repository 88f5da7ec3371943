//! Settings of containers that an older berth saved: two documents in which the API's names stood. What is
//! read and written here stays as it was when that changed.

use serde_json::{Map, Value, json};

/// New names of fields, and the old ones.
type Names<'n> = &'n [(&'n str, &'n str)];

const SETTINGS: Names<'_> = &[
    ("image", "Image"),
    ("hostname", "Hostname"),
    ("domainname", "Domainname"),
    ("user", "User"),
    ("entrypoint", "Entrypoint"),
    ("command", "Cmd"),
    ("environment", "Env"),
    ("working_directory", "WorkingDir"),
    ("labels", "Labels"),
    ("volume_driver", "VolumeDriver"),
    ("network_disabled", "NetworkDisabled"),
    ("mac_address", "MacAddress"),
    ("terminal", "Tty"),
    ("open_stdin", "OpenStdin"),
    ("stdin_once", "StdinOnce"),
    ("stop_timeout", "StopTimeout"),
    ("shell", "Shell"),
    ("on_build", "OnBuild"),
];

const SHOWN: Names<'_> =
    &[("attach_stdin", "AttachStdin"), ("attach_stdout", "AttachStdout"), ("attach_stderr", "AttachStderr")];

const HEALTH_CHECK: Names<'_> = &[
    ("test", "Test"),
    ("interval", "Interval"),
    ("timeout", "Timeout"),
    ("start_period", "StartPeriod"),
    ("retries", "Retries"),
];

const HOST: Names<'_> = &[
    ("binds", "Binds"),
    ("volumes_from", "VolumesFrom"),
    ("volume_driver", "VolumeDriver"),
    ("tmpfs", "Tmpfs"),
    ("shm_size", "ShmSize"),
    ("read_only_root", "ReadonlyRootfs"),
    ("masked_paths", "MaskedPaths"),
    ("read_only_paths", "ReadonlyPaths"),
    ("oom_score_adjustment", "OomScoreAdj"),
    ("cgroup_parent", "CgroupParent"),
    ("privileged", "Privileged"),
    ("add_capabilities", "CapAdd"),
    ("drop_capabilities", "CapDrop"),
    ("security_options", "SecurityOpt"),
    ("additional_groups", "GroupAdd"),
    ("publish_all_ports", "PublishAllPorts"),
    ("links", "Links"),
    ("dns", "Dns"),
    ("dns_options", "DnsOptions"),
    ("dns_search", "DnsSearch"),
    ("extra_hosts", "ExtraHosts"),
    ("pid_mode", "PidMode"),
    ("ipc_mode", "IpcMode"),
    ("uts_mode", "UTSMode"),
    ("user_namespace_mode", "UsernsMode"),
    ("cgroup_namespace_mode", "CgroupnsMode"),
    ("sysctls", "Sysctls"),
    ("auto_remove", "AutoRemove"),
    ("init", "Init"),
    ("console_size", "ConsoleSize"),
];

const RESOURCES: Names<'_> = &[
    ("memory", "Memory"),
    ("memory_swap", "MemorySwap"),
    ("memory_reservation", "MemoryReservation"),
    ("kernel_memory", "KernelMemory"),
    ("memory_swappiness", "MemorySwappiness"),
    ("oom_kill_disable", "OomKillDisable"),
    ("cpu_shares", "CpuShares"),
    ("cpu_period", "CpuPeriod"),
    ("cpu_quota", "CpuQuota"),
    ("nano_cpus", "NanoCpus"),
    ("cpuset_cpus", "CpusetCpus"),
    ("cpuset_mems", "CpusetMems"),
    ("block_weight", "BlkioWeight"),
    ("pids_limit", "PidsLimit"),
    ("device_rules", "DeviceCgroupRules"),
];

const BLOCK_DEVICES: Names<'_> = &[
    ("block_weight_devices", "BlkioWeightDevice"),
    ("block_read_bytes", "BlkioDeviceReadBps"),
    ("block_write_bytes", "BlkioDeviceWriteBps"),
    ("block_read_operations", "BlkioDeviceReadIOps"),
    ("block_write_operations", "BlkioDeviceWriteIOps"),
];

/// The present form of settings out of the old documents.
pub(crate) fn settings(config: &Value, host_config: &Value) -> Value {
    let mut settings = renamed(config, SETTINGS);
    settings.insert("volumes".to_owned(), keys(&config["Volumes"]));
    settings.insert("exposed_ports".to_owned(), keys(&config["ExposedPorts"]));
    settings.insert("stop_signal".to_owned(), filled(&config["StopSignal"]).unwrap_or_default().into());
    if settings["stop_signal"] == "" {
        settings.remove("stop_signal");
    }
    if config["Healthcheck"].is_object() {
        let check = renamed(&config["Healthcheck"], HEALTH_CHECK);
        settings.insert("health_check".to_owned(), check.into());
    }
    settings.insert("shown".to_owned(), renamed(config, SHOWN).into());
    settings.insert("host".to_owned(), host(host_config));
    settings.into()
}

fn host(old: &Value) -> Value {
    let mut host = renamed(old, HOST);
    let mut put = |name: &str, value: Value| host.insert(name.to_owned(), value);
    put("resources", resources(old));
    put("network_mode", network_mode(filled(&old["NetworkMode"]).unwrap_or_default()));
    put("restart_policy", restart_policy(&old["RestartPolicy"]));
    let driver = filled(&old["LogConfig"]["Type"]);
    let options =
        Some(old["LogConfig"]["Config"].clone()).filter(Value::is_object).unwrap_or_else(|| json!({}));
    put("log", json!({ "driver": driver, "options": options }));
    put(
        "devices",
        each(&old["Devices"], |device| {
            let permissions = device["CgroupPermissions"].as_str().unwrap_or_default();
            json!({
                "path_on_host": device["PathOnHost"], "path_in_container": device["PathInContainer"],
                "permissions": permissions,
            })
        }),
    );
    put("mounts", each(&old["Mounts"], mount));
    put("port_bindings", port_bindings(&old["PortBindings"]));
    put(
        "shown",
        json!({
            "container_id_file": old["ContainerIDFile"].as_str().unwrap_or_default(),
            "empty_lxc_conf": old["LxcConf"].is_array(),
            "empty_storage_options": old["StorageOpt"].is_object(),
            "runtime_by_name": filled(&old["Runtime"]).is_some(),
        }),
    );
    host.into()
}

fn resources(old: &Value) -> Value {
    let mut resources = renamed(old, RESOURCES);
    for (new, name) in BLOCK_DEVICES {
        let devices = each(&old[name], |device| {
            json!({
                "path": device["Path"], "rate": device["Rate"].as_i64().unwrap_or(0),
                "weight": device["Weight"].as_i64().unwrap_or(0),
            })
        });
        resources.insert((*new).to_owned(), devices);
    }
    let ulimits = each(&old["Ulimits"], |limit| match limit["Name"].as_str() {
        None | Some("") => Value::Null,
        Some(name) => json!({ "name": name, "hard": limit["Hard"], "soft": limit["Soft"] }),
    });
    resources.insert("ulimits".to_owned(), ulimits);
    resources.into()
}

fn network_mode(text: &str) -> Value {
    let network = |network: Value| json!({ "networks": [{ "network": network }] });
    match (text, text.strip_prefix("container:")) {
        ("none" | "host", _) => text.into(),
        ("" | "default", _) => network(json!("default")),
        (_, Some(other)) => json!({ "container": other }),
        (name, None) => network(json!({ "named": name })),
    }
}

fn restart_policy(old: &Value) -> Value {
    let (name, count) = (old["Name"].as_str().unwrap_or_default(), &old["MaximumRetryCount"]);
    let count = count.as_i64().unwrap_or(0);
    let policy = match name {
        "always" => json!("always"),
        "unless-stopped" => json!("unless_stopped"),
        "on-failure" => json!({ "on_failure": { "maximum": u32::try_from(count).unwrap_or(u32::MAX) } }),
        _ => json!("no"),
    };
    json!({ "policy": policy, "written": [name, count] })
}

fn mount(old: &Value) -> Value {
    let is_true = |value: &Value| value.as_bool().unwrap_or_default();
    let option = |name: &str| old["TmpfsOptions"][name].as_u64().filter(|value| *value != 0);
    let kind = match old["Type"].as_str() {
        Some("tmpfs") => json!({ "tmpfs": { "size": option("SizeBytes"), "mode": option("Mode") } }),
        Some("volume") => json!({ "volume": {
            "name": filled(&old["Source"]), "no_copy": is_true(&old["VolumeOptions"]["NoCopy"]),
        } }),
        _ => {
            let propagation = filled(&old["BindOptions"]["Propagation"]).map(|word| match word {
                "rprivate" => "recursive_private",
                "rslave" => "recursive_slave",
                "rshared" => "recursive_shared",
                plain => plain,
            });
            json!({ "bind": {
                "source": old["Source"], "propagation": propagation,
                "make_source": is_true(&old["BindOptions"]["CreateMountpoint"]),
            } })
        }
    };
    json!({ "target": old["Target"], "read_only": is_true(&old["ReadOnly"]), "kind": kind, "written": old })
}

fn port_bindings(old: &Value) -> Value {
    let Some(ports) = old.as_object() else { return Value::Null };
    let place = |place: &Value| {
        let text = |name: &str| place[name].as_str().unwrap_or_default();
        json!({ "host_ip": text("HostIp"), "host_port": text("HostPort") })
    };
    let entry = |(port, places): (&String, &Value)| (port.clone(), each(places, place));
    Value::Object(ports.iter().map(entry).collect())
}

/// The mounts of a container, from the old documents.
pub(crate) fn mounts(old: &Value) -> Value {
    each(old, |mount| {
        let text = |name: &str| mount[name].as_str().unwrap_or_default();
        json!({
            "name": text("Name"), "source": text("Source"), "destination": text("Destination"),
            "driver": text("Driver"), "mode": text("Mode"), "writable": mount["RW"] == true,
        })
    })
}

/// The fields under their new names; those that are not there, or null, keep their default.
fn renamed(old: &Value, names: Names<'_>) -> Map<String, Value> {
    let field = |(new, name): &(&str, &str)| {
        let value = old.get(*name).filter(|value| !value.is_null())?;
        Some(((*new).to_owned(), value.clone()))
    };
    names.iter().filter_map(field).collect()
}

/// A text, where one is there that is not empty.
fn filled(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// The names of an object's fields.
fn keys(object: &Value) -> Value {
    object.as_object().map_or(Value::Null, |fields| fields.keys().cloned().collect::<Vec<_>>().into())
}

/// Each element of a list, changed; null where there is no list.
fn each(list: &Value, change: impl Fn(&Value) -> Value) -> Value {
    list.as_array().map_or(Value::Null, |items| items.iter().map(change).collect::<Vec<_>>().into())
}

#[cfg(test)]
mod tests {
    use model::{ContainerSettings, NetworkMode, RestartPolicy};

    use super::*;

    #[test]
    fn old_documents_become_settings() {
        let config = json!({
            "Hostname": "h", "Cmd": ["a"], "Env": null, "Image": "busybox", "Tty": true, "AttachStdout": true,
            "ExposedPorts": { "80": {} }, "Volumes": { "/v": {} }, "StopSignal": "NOPE", "Labels": { "k": "v" },
            "Healthcheck": { "Test": ["CMD", "x"], "Retries": 3 },
        });
        let host = json!({
            "Binds": ["/a:/b:ro"], "Memory": 5, "NetworkMode": "container:web", "UTSMode": "host",
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 3 }, "CapAdd": ["net_admin"],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } },
            "Ulimits": [{ "Name": "nofile", "Hard": 2, "Soft": 1 }, { "Name": "", "Hard": 0, "Soft": 0 }],
            "PortBindings": { "80/tcp": [{ "HostIp": "", "HostPort": "80-90" }], "81/tcp": null },
            "Devices": [{ "PathOnHost": "/d", "PathInContainer": "", "CgroupPermissions": "" }],
            "Mounts": [{ "Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": true, "Consistency": "",
                         "BindOptions": { "Propagation": "rslave" } }],
            "BlkioDeviceReadIOps": [{ "Path": "/dev/x", "Rate": 7 }], "ContainerIDFile": "", "Links": ["a:b"],
        });
        let settings: ContainerSettings =
            serde_json::from_value(settings(&config, &host)).expect("settings of today");
        assert!(settings.terminal && settings.shown.attach_stdout && settings.environment.is_none());
        assert_eq!(settings.stop_signal.as_ref().map(ToString::to_string).as_deref(), Some("NOPE"));
        assert_eq!(settings.exposed_ports.expect("ports").len(), 1);
        let host = settings.host;
        assert_eq!(host.network_mode, "container:web".parse::<NetworkMode>().expect("total"));
        assert_eq!(host.restart_policy.policy(), RestartPolicy::OnFailure { maximum: 3 });
        assert_eq!(host.restart_policy.written(), ("on-failure", 3));
        assert_eq!(host.binds.expect("binds")[0].to_string(), "/a:/b:ro");
        assert_eq!(host.port_bindings.expect("ports").len(), 2);
        let limits = host.resources;
        assert_eq!((limits.memory, limits.ulimits.expect("limits").len()), (5, 2));
        assert_eq!(limits.block_read_operations.expect("limits")[0].rate, 7);
        assert!(host.mounts.expect("mounts")[0].read_only && host.devices.expect("devices").len() == 1);
    }

    #[test]
    fn documents_that_say_nothing_become_the_default() {
        let settings: ContainerSettings =
            serde_json::from_value(settings(&json!({}), &json!({}))).expect("settings of today");
        assert_eq!(settings, ContainerSettings::default());
    }
}
