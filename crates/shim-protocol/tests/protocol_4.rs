//! What protocol 4 added, as bytes. These never change, see `protocol_1.rs`.

use std::time::Duration;

use berth_shim_protocol::{Notice, Probed, Received};
use model::{ExecId, Health, HealthSpec, HealthStatus, NO_EXIT_CODE, ProbeResult, Timestamp};

const EXEC_ID: &str = "0101010101010101010101010101010101010101010101010101010101010101";

const RESULT: &str =
    r#"{"start":"2026-11-23T12:05:01.4961Z","end":"2026-11-23T12:05:02Z","exit_code":-1,"output":"slow"}"#;

fn exec() -> ExecId {
    ExecId::from_random([1; 32])
}

fn result() -> ProbeResult {
    let at = |text| Timestamp::parse(text).unwrap_or(Timestamp::NEVER);
    ProbeResult {
        start: at("2026-11-23T12:05:01.4961Z"),
        end: at("2026-11-23T12:05:02Z"),
        exit_code: NO_EXIT_CODE,
        output: "slow".to_owned(),
    }
}

#[test]
fn probes_and_health_are_written_and_read_as_ever() {
    let probed = Probed {
        exec: exec(),
        exit_code: 137,
        result: result(),
        status: HealthStatus::Unhealthy,
        failing_streak: 3,
    };
    let health =
        Health { status: HealthStatus::Healthy, failing_streak: 1, log: std::iter::once(result()).collect() };
    let cases = [
        (Notice::ProbeStarted { exec: exec() }, format!(r#"{{"probe_started":{{"exec":"{EXEC_ID}"}}}}"#)),
        (
            Notice::Probed(Box::new(probed)),
            format!(
                r#"{{"probed":{{"exec":"{EXEC_ID}","exit_code":137,"result":{RESULT},"status":"unhealthy","failing_streak":3}}}}"#
            ),
        ),
        (
            Notice::Health(Box::new(health)),
            format!(r#"{{"health":{{"status":"healthy","failing_streak":1,"log":[{RESULT}]}}}}"#),
        ),
    ];
    for (notice, bytes) in cases {
        assert_eq!(notice.since(), 4, "{bytes}");
        assert_eq!(serde_json::to_string(&notice).unwrap_or_default(), bytes);
        let Received::Known(read) = Notice::read(bytes.as_bytes()) else { panic!("{bytes} is read") };
        assert_eq!(serde_json::to_string(&read).unwrap_or_default(), bytes);
    }
}

#[test]
fn a_check_stands_in_the_specification_as_ever() {
    let bytes = r#"{"arguments":["a"],"interval":{"secs":30,"nanos":0},"timeout":{"secs":0,"nanos":5},"start_period":{"secs":0,"nanos":0},"start_interval":{"secs":5,"nanos":0},"retries":3}"#;
    let check = HealthSpec {
        arguments: vec!["a".to_owned()],
        interval: Duration::from_secs(30),
        timeout: Duration::from_nanos(5),
        start_period: Duration::ZERO,
        start_interval: Duration::from_secs(5),
        retries: 3,
    };
    assert_eq!(serde_json::to_string(&check).unwrap_or_default(), bytes);
    assert_eq!(serde_json::from_str::<HealthSpec>(bytes).ok(), Some(check));
}
