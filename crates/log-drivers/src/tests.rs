//! Which options are refused, and which not.

use super::*;

fn checked(driver: &str, options: &[(&str, &str)]) -> Result<(), Refusal> {
    let driver = LogDriver::from(driver.to_owned());
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    check(&driver, &LogConfig { driver: Some(driver.clone()), options })
}

#[test]
fn a_driver_that_is_not_there_is_told_from_a_bad_option() {
    assert_eq!(checked("bogus", &[]), Err(Refusal::UnknownDriver("bogus".to_owned())));
    assert!(matches!(checked("json-file", &[("bogus", "1")]), Err(Refusal::Option(_))));
}

#[test]
fn bad_options_are_refused() {
    let address = ("syslog-address", "udp://127.0.0.1:1");
    for (driver, options) in [
        ("bogus", &[][..]),
        ("json-file", &[("bogus", "1")]),
        ("json-file", &[("max-size", "abc")]),
        ("json-file", &[("max-size", "0")]),
        ("json-file", &[("max-file", "0")]),
        ("json-file", &[("max-file", "x")]),
        ("local", &[("max-size", "abc")]),
        ("json-file", &[("max-size", "1m"), ("compress", "true")]),
        ("json-file", &[("max-file", "2"), ("compress", "true")]),
        ("local", &[("compress", "x")]),
        ("gelf", &[]),
        ("gelf", &[("gelf-address", "foo")]),
        ("gelf", &[("gelf-address", "udp://h:x")]),
        ("gelf", &[("gelf-address", "udp://h"), ("gelf-compression-level", "10")]),
        ("gelf", &[("gelf-address", "udp://h"), ("gelf-compression-type", "zip")]),
        ("syslog", &[("syslog-address", "http://x")]),
        ("syslog", &[("syslog-address", "unix://relative")]),
        ("syslog", &[("syslog-address", "udp://:514")]),
        ("syslog", &[address, ("syslog-facility", "nope")]),
        ("syslog", &[address, ("syslog-format", "rfc1")]),
        ("syslog", &[address, ("labels", "a")]),
        ("fluentd", &[("fluentd-address", "tls://h:1")]),
        ("fluentd", &[("fluentd-address", "h:x")]),
        ("fluentd", &[("fluentd-address", "unix://relative")]),
        ("fluentd", &[("fluentd-async", "maybe")]),
        ("fluentd", &[("fluentd-retry-wait", "1")]),
        ("fluentd", &[("fluentd-max-retries", "-1")]),
        ("fluentd", &[("fluentd-buffer-limit", "many")]),
        ("json-file", &[("mode", "sometimes")]),
        ("json-file", &[("max-buffer-size", "1m")]),
        ("fluentd", &[("mode", "non-blocking"), ("max-buffer-size", "much")]),
        ("fluentd", &[("mode", "blocking")]),
        ("fluentd", &[("cache-disabled", "false")]),
    ] {
        assert!(checked(driver, options).is_err(), "{driver} {options:?}");
    }
    for (driver, options) in [
        ("json-file", &[("max-size", "10k"), ("max-file", "3"), ("labels", "a"), ("env", "b")][..]),
        ("local", &[("max-size", "10k"), ("max-file", "3"), ("compress", "false"), ("labels", "a")]),
        ("local", &[("compress", "true")]),
        ("json-file", &[("max-size", "1m"), ("max-file", "2"), ("compress", "1")]),
        ("fluentd", &[]),
        ("fluentd", &[("fluentd-address", "h"), ("fluentd-async", "True"), ("fluentd-retry-wait", "1m0.5s")]),
        ("fluentd", &[("fluentd-address", "unix:///run/f.sock"), ("labels-regex", "^a"), ("tag", "x")]),
        ("none", &[("a", "b")]),
        ("fluentd", &[("mode", "non-blocking"), ("max-buffer-size", "4m"), ("cache-disabled", "true")]),
        ("json-file", &[("mode", "blocking")]),
        ("syslog", &[address, ("labels", "a"), ("syslog-format", "rfc5424micro")]),
        ("gelf", &[("gelf-address", "udp://logs.example.com"), ("gelf-compression-level", "9")]),
    ] {
        assert_eq!(checked(driver, options), Ok(()), "{driver} {options:?}");
    }
}
