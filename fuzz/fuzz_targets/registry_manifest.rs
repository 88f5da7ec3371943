//! A registry's manifest of any kind: nothing panics, what is written again reads the same, and the
//! config made of a schema 1 manifest has its layers.
#![no_main]

use images::registry::read_for_fuzzing;
use libfuzzer_sys::fuzz_target;

const TYPES: [Option<&str>; 5] = [
    None,
    Some("application/vnd.docker.distribution.manifest.v2+json"),
    Some("application/vnd.docker.distribution.manifest.list.v2+json"),
    Some("application/vnd.oci.image.index.v1+json; charset=utf-8"),
    Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
];

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    // Refusing is fine: most documents are no manifests.
    let _ = read_for_fuzzing(TYPES[usize::from(kind) % TYPES.len()], bytes);
});
