//! A client's directory as packets: it is refused, or no entry leads out of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| berth_buildkit_api::fuzzing::read_entries(bytes));
