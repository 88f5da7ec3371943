//! The values that the properties of settings draw from, field by field.

use serde_json::{Value, json};

fn texts(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| json!(text)).collect()
}

/// A field's values; the field is a list of them where the last part says so.
pub(super) type Field = (&'static str, Vec<Value>, Form);

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    One,
    List,
}

pub(super) fn config_fields() -> Vec<Field> {
    let words = || texts(&["a", "b c", ""]);
    let truth = || vec![json!(true), json!(false), Value::Null];
    vec![
        ("Image", texts(&["busybox", "a/b:1"]), Form::One),
        ("PublishService", texts(&[""]), Form::One),
        ("Hostname", texts(&["", "h"]), Form::One),
        ("Domainname", texts(&["", "example.org"]), Form::One),
        ("User", texts(&["", "0:0", "alice"]), Form::One),
        ("AttachStdin", truth(), Form::One),
        ("AttachStdout", truth(), Form::One),
        ("AttachStderr", truth(), Form::One),
        ("Tty", truth(), Form::One),
        ("OpenStdin", truth(), Form::One),
        ("StdinOnce", truth(), Form::One),
        ("NetworkDisabled", truth(), Form::One),
        ("Env", texts(&["A=1", "B", "C="]), Form::List),
        ("Cmd", words(), Form::List),
        ("Cmd", texts(&["one", ""]), Form::One),
        ("Entrypoint", words(), Form::List),
        ("OnBuild", words(), Form::List),
        ("Shell", words(), Form::List),
        ("WorkingDir", texts(&["", "/w"]), Form::One),
        ("MacAddress", texts(&["", "02:42:ac:11:00:99", "02-42-AC-11-00-99", "no address"]), Form::One),
        ("VolumeDriver", texts(&["", "local", "other"]), Form::One),
        ("StopSignal", texts(&["", "TERM", "SIGTERM", "15", "rtmin+3"]), Form::One),
        ("StopTimeout", vec![json!(0), json!(-1), json!(7), Value::Null], Form::One),
        ("Labels", vec![json!({}), json!({"a": "b"}), Value::Null], Form::One),
        ("Volumes", vec![json!({}), json!({"/v": {}, "w": {}}), Value::Null], Form::One),
        (
            "ExposedPorts",
            vec![
                json!({}),
                json!({"80": {}, "80/tcp": {}, "81/TCP": {}, "8000-8010/udp": {}, "x": {}, "0": {}, "80/x": {}}),
                Value::Null,
            ],
            Form::One,
        ),
        (
            "Healthcheck",
            vec![
                json!({}),
                json!({"Test": ["NONE"]}),
                json!({"Test": ["NONE", "behind"]}),
                json!({"Test": []}),
                json!({"Test": ["CMD", "true"], "Interval": 1_000_000, "Timeout": 2_000_000_000, "Retries": 3}),
                json!({"Test": ["CMD-SHELL", "a b", "c"], "StartPeriod": 5_000_000, "StartInterval": 6_000_000}),
                json!({"Test": ["odd", "kind"], "Retries": 1}),
                json!({"Interval": 7_000_000}),
                Value::Null,
            ],
            Form::One,
        ),
    ]
}

pub(super) fn host_fields() -> Vec<Field> {
    [mount_fields(), resource_fields(), privilege_fields(), network_fields(), other_fields()].concat()
}

fn mount_fields() -> Vec<Field> {
    let binds =
        ["/a:/b", "/a//:/b/../c:ro", "v:/x:z,ro", "v:/x:nocopy,rw,Z,rslave", "/a:/b:delegated,shared"];
    vec![
        ("Binds", texts(&binds), Form::List),
        ("VolumesFrom", texts(&["c", "c:ro", "c:z,ro", "c:rw,Z"]), Form::List),
        ("VolumeDriver", texts(&["", "local"]), Form::One),
        (
            "Mounts",
            vec![
                json!({"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": true}),
                json!({"Type": "bind", "Source": "/s", "Target": "/t/",
                       "BindOptions": {"Propagation": "rslave", "NonRecursive": false}}),
                json!({"Type": "volume", "Source": "v", "Target": "/t", "VolumeOptions": {"NoCopy": true}}),
                json!({"Type": "volume", "Target": "/t", "VolumeOptions": {"Labels": {"a": "b"}}}),
                json!({"Type": "tmpfs", "Target": "t", "TmpfsOptions": {"SizeBytes": 5, "Mode": 448}}),
                json!({"Type": "tmpfs", "Target": "/t", "Consistency": "cached", "TmpfsOptions": {"Mode": 0}}),
                json!({"Type": "image", "Source": "busybox", "Target": "/i"}),
                json!({"Type": "image", "Source": "a/b:1", "Target": "/i/", "ImageOptions": {"Subpath": "etc"}}),
                json!({"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": true,
                       "BindOptions": {"ReadOnlyNonRecursive": true, "CreateMountpoint": true}}),
                json!({"Type": "volume", "Source": "v", "Target": "/t",
                       "VolumeOptions": {"Subpath": "a/b", "DriverConfig": {"Name": "local", "Options": {"o": "x"}}}}),
                json!({"Type": "volume", "Target": "/t", "VolumeOptions": {"DriverConfig": {"Name": "other"}}}),
            ],
            Form::List,
        ),
        ("Tmpfs", vec![json!({}), json!({"/t": "size=1m", "/u": ""}), Value::Null], Form::One),
        ("ShmSize", vec![json!(0), json!(65_536)], Form::One),
        ("ReadonlyRootfs", vec![json!(true), json!(false)], Form::One),
        ("MaskedPaths", texts(&["/m"]), Form::List),
        ("ReadonlyPaths", texts(&["/r"]), Form::List),
        ("StorageOpt", vec![json!({}), json!({"size": "1G"}), Value::Null], Form::One),
    ]
}

fn resource_fields() -> Vec<Field> {
    let numbers = || vec![json!(0), json!(1000), json!(-1), Value::Null];
    let devices = || vec![json!({"Path": "/dev/x", "Rate": 5}), json!({"Path": "/dev/y", "Weight": 50})];
    let mut fields: Vec<Field> = [
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
    ]
    .map(|name| (name, numbers(), Form::One))
    .into();
    fields.extend(
        [
            "BlkioWeightDevice",
            "BlkioDeviceReadBps",
            "BlkioDeviceWriteBps",
            "BlkioDeviceReadIOps",
            "BlkioDeviceWriteIOps",
        ]
        .map(|name| (name, devices(), Form::List)),
    );
    fields.extend([
        ("CpusetCpus", texts(&["", "0-2,4", "01,,3-3"]), Form::One),
        ("CpusetMems", texts(&["", "0"]), Form::One),
        ("OomKillDisable", vec![json!(true), json!(false)], Form::One),
        ("CgroupParent", texts(&["", "/p", "../p/"]), Form::One),
        ("DeviceCgroupRules", texts(&["c 1:3 rwm", "a  *:* r", "b 7:* mw"]), Form::List),
        (
            "Ulimits",
            vec![
                json!({}),
                Value::Null,
                json!({"Name": "nofile", "Soft": 1, "Hard": -1}),
                json!({"Name": "rss"}),
            ],
            Form::List,
        ),
    ]);
    fields
}

fn privilege_fields() -> Vec<Field> {
    let capabilities = || texts(&["NET_ADMIN", "cap_chown", "All", "mknod"]);
    let devices = vec![
        json!({"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}),
        json!({"PathOnHost": "/dev/zero", "CgroupPermissions": "mmr"}),
        json!({"PathOnHost": "x"}),
    ];
    let requests = vec![
        json!({"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"], ["gpu", "utility"]]}),
        json!({"Driver": "cdi", "DeviceIDs": ["vendor.com/class=name"]}),
        json!({"Driver": "", "Count": 2, "Options": {"a": "b"}}),
        json!({"Driver": "other", "Capabilities": [["GPU"]]}),
    ];
    vec![
        ("CapAdd", capabilities(), Form::List),
        ("CapAdd", capabilities(), Form::One),
        ("CapDrop", capabilities(), Form::List),
        (
            "SecurityOpt",
            texts(&[
                "no-new-privileges",
                "no-new-privileges:true",
                "no-new-privileges=false",
                "seccomp=unconfined",
                "seccomp:builtin",
                "seccomp={\"a\":1}",
                "label=disable",
                "label:user:u",
                "label=level:",
                "label=type",
                "apparmor:unconfined",
                "apparmor=profile",
                "systempaths=unconfined",
            ]),
            Form::List,
        ),
        ("Devices", devices, Form::List),
        ("DeviceRequests", requests, Form::List),
        ("GroupAdd", texts(&["team", "5"]), Form::List),
        ("Privileged", vec![json!(true), json!(false)], Form::One),
    ]
}

fn network_fields() -> Vec<Field> {
    let ports = json!({
        "80": null, "81/tcp": [], "82/TCP": [{"HostIp": "", "HostPort": ""}], "83/udp": [{"HostPort": "0"}],
        "84/foo": [{"HostIp": "foo", "HostPort": "8000-8010"}], "": [{"HostIp": "::1", "HostPort": "080"}],
    });
    vec![
        (
            "NetworkMode",
            texts(&["", "default", "bridge", "host", "none", "container:c", "container:", "n"]),
            Form::One,
        ),
        ("PidMode", texts(&["", "host", "private", "container:c"]), Form::One),
        ("IpcMode", texts(&["", "host", "private", "shareable", "none", "container:"]), Form::One),
        ("UTSMode", texts(&["", "host", "private"]), Form::One),
        ("UsernsMode", texts(&["", "host"]), Form::One),
        ("CgroupnsMode", texts(&["", "host", "private"]), Form::One),
        ("PortBindings", vec![json!({}), ports, Value::Null], Form::One),
        ("PublishAllPorts", vec![json!(true), json!(false)], Form::One),
        ("Links", texts(&["a:b", "a", "a:", "/a:/c/b"]), Form::List),
        ("Dns", texts(&["10.0.0.1", "::0:1", "fe80::1%eth0", ""]), Form::List),
        ("DnsOptions", texts(&["ndots:2"]), Form::List),
        ("DnsSearch", texts(&["example.org"]), Form::List),
        ("ExtraHosts", texts(&["a:1.2.3.4", "b:::1", "c:[::0:1]", "d:host-gateway"]), Form::List),
    ]
}

fn other_fields() -> Vec<Field> {
    let policy = |name: &str, count: i64| json!({ "Name": name, "MaximumRetryCount": count });
    vec![
        (
            "RestartPolicy",
            vec![
                Value::Null,
                json!({}),
                policy("no", 0),
                policy("no", 3),
                policy("", 1),
                policy("always", 2),
                policy("unless-stopped", 0),
                policy("on-failure", 0),
                policy("on-failure", 5_000_000_000),
            ],
            Form::One,
        ),
        (
            "LogConfig",
            vec![
                Value::Null,
                json!({"Type": "", "Config": {"a": "b"}}),
                json!({"Type": "json-file", "Config": null}),
                json!({"Type": "bogus", "Config": {}}),
                json!({"Type": "none"}),
            ],
            Form::One,
        ),
        ("Sysctls", vec![json!({}), json!({"net.a": "1"}), Value::Null], Form::One),
        ("AutoRemove", vec![json!(true), json!(false)], Form::One),
        ("Annotations", vec![json!({}), json!({"a": "b"}), Value::Null], Form::One),
        ("Init", vec![json!(true), json!(false), Value::Null], Form::One),
        ("ConsoleSize", vec![json!([0, 0]), json!([24, 80]), Value::Null], Form::One),
        ("ContainerIDFile", texts(&["", "/cid"]), Form::One),
        ("LxcConf", vec![json!([]), json!({}), Value::Null], Form::One),
        ("Runtime", texts(&["", "berth"]), Form::One),
        ("Isolation", texts(&["", "default"]), Form::One),
    ]
}

/// What clients ask of networks.
pub(super) fn endpoints() -> Vec<Value> {
    vec![
        Value::Null,
        json!({}),
        json!({"EndpointsConfig": {}}),
        json!({"EndpointsConfig": {"own": {"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}}}}),
        json!({"EndpointsConfig": {"default": {"Links": ["a:b"], "MacAddress": "02:42:ac:11:00:99"}}}),
        json!({"EndpointsConfig": {"own": {"IPAMConfig": {"LinkLocalIPs": ["169.254.0.9"], "IPv6Address": "fd00::9"},
                                           "DriverOpts": {"a": "b"}, "GwPriority": 7}}}),
        json!({"EndpointsConfig": {"own": {}, "other": {"GwPriority": -1}}}),
    ]
}
