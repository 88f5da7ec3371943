//! Whatever a client writes is shown as it was written, and means the same when it is read again.

use model::ContainerSettings;
use serde_json::{Map, Value, json};

use super::{Config, HostConfig, WireSettings, from_wire, host_from_wire, take_from_beside, to_wire};
use crate::json;
use crate::version::ApiVersion;

/// Bodies of each property.
const ROUNDS: u64 = 500;

/// Choices that are random and the same in every run.
struct Dice(u64);

impl Dice {
    /// splitmix64.
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.roll() % count as u64).unwrap_or_default()
    }

    fn pick(&mut self, values: &[Value]) -> Value {
        values[self.below(values.len())].clone()
    }

    /// Up to three of the values, or nothing where a list may stand.
    fn list(&mut self, values: &[Value]) -> Value {
        match self.below(5) {
            0 => Value::Null,
            count => (1..count).map(|_| self.pick(values)).collect(),
        }
    }
}

fn texts(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| json!(text)).collect()
}

/// A field's values; with a `Form` of a list, the field is a list of them.
type Field = (&'static str, Vec<Value>, Form);

#[derive(Clone, Copy, PartialEq)]
enum Form {
    One,
    List,
}

fn config_fields() -> Vec<Field> {
    let words = || texts(&["a", "b c", ""]);
    let truth = || vec![json!(true), json!(false), Value::Null];
    vec![
        ("Image", texts(&["busybox", "a/b:1"]), Form::One),
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
            vec![json!({}), json!({"Test": ["NONE"]}), json!({"Test": []}), Value::Null],
            Form::One,
        ),
    ]
}

fn host_fields() -> Vec<Field> {
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
    ]
}

/// An object with about half of the fields.
fn object(dice: &mut Dice, fields: &[Field]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, values, form) in fields {
        if dice.below(2) == 0 {
            let value = if *form == Form::List { dice.list(values) } else { dice.pick(values) };
            object.insert((*name).to_owned(), value);
        }
    }
    object
}

fn body(dice: &mut Dice) -> Value {
    let mut body = object(dice, &config_fields());
    body.insert("HostConfig".to_owned(), object(dice, &host_fields()).into());
    body.insert("Image".to_owned(), json!("busybox"));
    body.into()
}

fn version() -> ApiVersion {
    crate::version::REFERENCE
}

fn read(body: &Value) -> ContainerSettings {
    from_wire(version(), body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[test]
fn writing_undoes_reading() {
    let mut dice = Dice(1);
    for _ in 0..ROUNDS {
        let body = body(&mut dice);
        let config: Config = json::from_object(body.clone()).expect("a config");
        let mut host: HostConfig = json::from_object(body["HostConfig"].clone()).expect("a host config");
        // Two spellings of one mode are shown alike.
        if host.network_mode.is_empty() {
            "default".clone_into(&mut host.network_mode);
        }
        assert_eq!(to_wire(&read(&body)), WireSettings { config, host }, "{body}");
    }
}

#[test]
fn reading_undoes_writing() {
    let mut dice = Dice(2);
    for _ in 0..ROUNDS {
        let settings = read(&body(&mut dice));
        let WireSettings { config, host } = to_wire(&settings);
        let mut written = serde_json::to_value(&config).expect("a config");
        written["HostConfig"] = serde_json::to_value(&host).expect("a host config");
        assert_eq!(read(&written), settings, "{written}");
    }
}

#[test]
fn a_row_holds_all_settings() {
    let mut dice = Dice(3);
    for _ in 0..ROUNDS {
        let settings = read(&body(&mut dice));
        let row = serde_json::to_string(&settings).expect("a row");
        assert_eq!(serde_json::from_str::<ContainerSettings>(&row).expect("settings"), settings, "{row}");
    }
}

#[test]
fn a_start_that_says_nothing_has_no_settings() {
    for nothing in ["{}", r#"{"Memory":0,"Binds":null}"#, r#"{"HostConfig":{}}"#] {
        assert!(host_from_wire(nothing.as_bytes()).expect("settings").is_none(), "{nothing}");
    }
    let within = host_from_wire(br#"{"HostConfig":{"Memory":5}}"#).expect("settings").expect("some");
    assert_eq!(within.resources.memory, 5);
}

#[test]
fn old_limits_fill_what_the_host_config_leaves_open() {
    let mut host = HostConfig { memory: 7, ..HostConfig::default() };
    let beside = json::from_body(br#"{"Memory":9,"CpuShares":5,"cpuset":"0,1"}"#).expect("body");
    take_from_beside(&mut host, beside);
    assert_eq!((host.memory, host.cpu_shares, host.cpuset_cpus.as_str()), (7, 5, "0,1"));
}
