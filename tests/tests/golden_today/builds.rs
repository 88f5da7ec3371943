//! Builds by the classic protocol.

use berth_tests::golden::{Request, answer};
use berth_tests::{Context, Engine};

use crate::{check, check_all};

#[test]
fn answers_to_builds() {
    let engine = Engine::start();
    for (name, dockerfile) in [
        ("build", "FROM busybox AS first\nRUN echo said\nFROM first\nLABEL kind=golden\n"),
        ("build-step-fails", "FROM busybox\nRUN exit 7\n"),
        ("build-unknown-instruction", "FROM busybox\nFROBNICATE x\n"),
        ("build-unknown-image", "FROM 127.0.0.1:1/nosuch\n"),
    ] {
        let context = Context::of(dockerfile).bytes();
        check(name, |version| {
            let seen = answer(&engine, version, &Request::archive("/build?t=built&nocache=1", &context));
            engine.forget_builds();
            seen
        });
    }
    check_all(
        &engine,
        &[
            ("build-without-a-dockerfile", "POST", "/build"),
            ("build-bad-arguments", "POST", "/build?buildargs=x"),
            ("build-prune-nothing", "POST", "/build/prune"),
            ("build-cancel-unknown", "POST", "/build/cancel?id=nosuch"),
        ],
    );
}
