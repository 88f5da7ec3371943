//! Whatever a client writes is shown as it was written, and means the same when it is read again.

mod fields;
mod values;

use model::ContainerSettings;
use serde_json::{Map, Value, json};

use self::values::{Field, Form, config_fields, endpoints, host_fields};
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

/// An object with one of so many fields.
fn object(dice: &mut Dice, one_of: usize, fields: &[Field]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, values, form) in fields {
        if dice.below(one_of) == 0 {
            let value = if *form == Form::List { dice.list(values) } else { dice.pick(values) };
            object.insert((*name).to_owned(), value);
        }
    }
    object
}

fn body(dice: &mut Dice) -> Value {
    let mut body = body_with(dice, 2);
    // The reference has no health, and takes a check that says nothing or disables that of the image.
    if !body["Healthcheck"].is_null() {
        let disabled =
            [json!({}), json!({"Test": []}), json!({"Test": ["NONE"]}), json!({"Test": ["NONE", "behind"]})];
        body["Healthcheck"] = dice.pick(&disabled);
    }
    body
}

fn body_with(dice: &mut Dice, one_of: usize) -> Value {
    let mut body = object(dice, one_of, &config_fields());
    body.insert("HostConfig".to_owned(), object(dice, one_of, &host_fields()).into());
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

/// The versions at which something of a create is read otherwise, and some between them.
const VERSIONS: [u32; 12] = [20, 21, 22, 24, 25, 32, 35, 40, 43, 44, 48, 55];

/// What a version makes of bodies with few fields: later ones refuse most of those with many.
fn read_in(
    version: ApiVersion,
    dice: &mut Dice,
    change: impl Fn(&mut Dice, &mut Value),
) -> Vec<ContainerSettings> {
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let mut body = body_with(dice, 12);
        change(dice, &mut body);
        all.extend(from_wire(version, body.to_string().as_bytes()).ok());
    }
    assert!(all.len() > 50, "version {version} takes {} of {ROUNDS} bodies", all.len());
    all
}

#[test]
fn what_a_version_shows_it_reads_as_the_same() {
    for minor in VERSIONS {
        let version = ApiVersion::minor(minor);
        for settings in read_in(version, &mut Dice(u64::from(minor)), |_, _| {}) {
            let WireSettings { config, host } = to_wire(&settings);
            let mut written = serde_json::to_value(&config).expect("a config");
            written["HostConfig"] = serde_json::to_value(&host).expect("a host config");
            let again = from_wire(version, written.to_string().as_bytes());
            assert_eq!(
                again.unwrap_or_else(|error| panic!("{version} {written}: {error}")),
                settings,
                "{written}"
            );
        }
    }
}

#[test]
fn a_row_holds_all_settings() {
    let mut all: Vec<ContainerSettings> = Vec::new();
    let mut dice = Dice(3);
    all.extend((0..ROUNDS).map(|_| read(&body(&mut dice))));
    for minor in VERSIONS {
        all.extend(read_in(ApiVersion::minor(minor), &mut dice, |dice, body| {
            body["NetworkingConfig"] = dice.pick(&endpoints());
        }));
    }
    for settings in all {
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
