//! Dockerfiles: every text ends in instructions or in an error, and no line end makes a difference.
#![no_main]

use berth_builder::{Dockerfile, Wording};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = Dockerfile::parse(text.as_bytes(), Wording::Reference);
    if !text.contains('\r') {
        let windows = text.replace('\n', "\r\n");
        assert_eq!(Dockerfile::parse(windows.as_bytes(), Wording::Reference), parsed);
    }
});
