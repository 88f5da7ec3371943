//! Image configs: nothing panics, and what was parsed is written so that it parses to the same.
#![no_main]

use images::document::ImageConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(config) = serde_json::from_slice::<ImageConfig>(data) {
        let written = serde_json::to_vec(&config).expect("a config is JSON");
        let again: ImageConfig = serde_json::from_slice(&written).expect("what is written parses");
        assert_eq!(again, config);
    }
});
