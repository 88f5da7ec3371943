//! Passes bytes through programs of the machine, such as compressors.

use std::io::Write;
use std::process::{Command, Stdio};

/// What a program makes of bytes.
///
/// # Panics
/// When the program is not installed or does not read.
#[must_use]
pub fn piped(program: &str, arguments: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut input = child.stdin.take().expect("stdin");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("the program's output");
    writer.join().expect("the writer").expect("its input");
    output.stdout
}
