//! Dockerfiles: every text ends in instructions or in an error, and no line end makes a difference.
#![no_main]

use builder::{CheckInputs, Dockerfile, Order, Wording, check_dockerfile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = Dockerfile::parse(text.as_bytes(), Wording::Reference, Order::Written);
    let checked = check_dockerfile(text.as_bytes(), &CheckInputs::default());
    assert_eq!(checked.is_ok(), Dockerfile::parse(text.as_bytes(), Wording::Today, Order::Graph).is_ok());
    if !text.contains('\r') {
        let windows = text.replace('\n', "\r\n");
        assert_eq!(Dockerfile::parse(windows.as_bytes(), Wording::Reference, Order::Written), parsed);
    }
});
