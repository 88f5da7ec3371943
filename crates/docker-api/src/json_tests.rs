//! Bodies as clients send them, right and wrong.

use engine::images::document::StringOrList;

use crate::container_settings::{Config, HostConfig};

use super::*;

fn config(body: &str) -> Config {
    from_body(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn host_error(body: &str) -> String {
    from_body::<HostConfig>(body.as_bytes()).expect_err(body).to_string()
}

#[test]
fn keys_in_any_case_and_unknown_ones() {
    let config =
        config(r#"{"hostname":"h","CMD":["a"],"tTy":true,"Nonsense":{"x":1},"Labels":{"KeY":"v"}} trailing"#);
    assert_eq!((config.hostname.as_str(), config.tty), ("h", true));
    assert_eq!(config.cmd, Some(StringOrList(vec!["a".into()])));
    assert_eq!(config.labels.expect("labels")["KeY"], "v");
}

#[test]
fn the_exact_key_wins() {
    assert_eq!(config(r#"{"User":"a","user":"b"}"#).user, "a");
    assert_eq!(config(r#"{"user":"b","User":"a"}"#).user, "a");
}

#[test]
fn null_is_the_empty_value_everywhere() {
    assert_eq!(config("null"), Config::default());
    let filled = config(
        r#"{"Hostname":null,"Tty":null,"Env":[null,"A=b"],"Labels":{"a":null},"Cmd":null,"Volumes":{"/v":null}}"#,
    );
    assert_eq!(filled.env, Some(vec![String::new(), "A=b".into()]));
    assert_eq!(filled.labels.expect("labels")["a"], "");
    assert_eq!(filled.volumes.expect("volumes").len(), 1);
    let host: HostConfig =
        from_body(br#"{"RestartPolicy":null,"Memory":null,"LogConfig":{"Type":null,"Config":null},"PortBindings":{"80/tcp":null},"Ulimits":[null]}"#)
            .expect("nulls");
    assert_eq!(host.memory, 0);
    assert_eq!(host.ulimits.expect("ulimits").len(), 1);
}

#[test]
fn a_command_may_be_one_string() {
    assert_eq!(config(r#"{"Cmd":"ls"}"#).cmd, Some(StringOrList(vec!["ls".into()])));
    assert_eq!(config(r#"{"Entrypoint":[]}"#).entrypoint, Some(StringOrList(vec![])));
    for bad in [r#"{"Cmd":5}"#, r#"{"Cmd":{"a":1}}"#, r#"{"Cmd":[1]}"#, r#"{"Cmd":true}"#] {
        let error = from_body::<Config>(bad.as_bytes()).expect_err(bad).to_string();
        assert!(error.starts_with("invalid request body: Cmd: ") && !error.contains("untagged"), "{error}");
    }
}

#[test]
fn wrong_types_name_the_field() {
    for (body, error) in [
        (r#"{"Memory":"64m"}"#, "Memory: must be a whole number, not a string"),
        (r#"{"Memory":1.5}"#, "Memory: must be a whole number that fits, not 1.5"),
        (r#"{"MemorySwappiness":1.0}"#, "MemorySwappiness: must be a whole number that fits, not 1.0"),
        (r#"{"CpuShares":99999999999999999999}"#, "CpuShares: must be a whole number that fits, not 1e+20"),
        (r#"{"Binds":"/a:/b"}"#, "Binds: must be an array, not a string"),
        (r#"{"Binds":{"a":"b"}}"#, "Binds: must be an array, not an object"),
        (r#"{"Privileged":"yes"}"#, "Privileged: must be a boolean, not a string"),
        (r#"{"NetworkMode":5}"#, "NetworkMode: must be a string, not a number"),
        (r#"{"RestartPolicy":"always"}"#, "RestartPolicy: must be an object, not a string"),
        (
            r#"{"PortBindings":{"80/tcp":[{"HostPort":80}]}}"#,
            "PortBindings.80/tcp[0].HostPort: must be a string, not a number",
        ),
        (r#"{"Ulimits":[{},{"Soft":"1"}]}"#, "Ulimits[1].Soft: must be a whole number, not a string"),
        ("[]", "must be a JSON object, not an array"),
        ("\"x\"", "must be a JSON object, not a string"),
        ("", "it is empty, a JSON object is needed"),
    ] {
        assert_eq!(host_error(body), format!("invalid request body: {error}"), "{body}");
    }
    for broken in ["{", "{\"a\":", "{bad}", "\u{feff}{}", "nul"] {
        assert!(host_error(broken).contains("not valid JSON"), "{broken}");
    }
}
