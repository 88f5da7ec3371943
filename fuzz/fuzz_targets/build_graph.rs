//! A client's build graph (LLB): it is refused, or becomes a Dockerfile in which no word of it is an instruction of its own.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| buildkit_api::fuzzing::translate_graph(bytes));
