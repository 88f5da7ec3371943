//! A client's directory as packets: it is refused, or no entry leads out of it, and what is taken for whole has all that was sent.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    buildkit_api::fuzzing::read_entries(bytes);
    buildkit_api::fuzzing::receive_directory(bytes);
});
