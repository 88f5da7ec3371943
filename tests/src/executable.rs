//! Programs that a test writes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program, not by this process itself: what another thread starts meanwhile has the descriptor of a file that is
/// just being written for a while, and the kernel executes no program that is open for writing.
///
/// # Panics
/// When it cannot be written.
pub fn install(path: &Path, content: &[u8]) {
    let mut writer = Command::new("sh")
        .args(["-ec", "cat > \"$0\"; chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    writer.stdin.take().expect("its input").write_all(content).expect("the program");
    assert!(writer.wait().expect("its end").success(), "{} is not written", path.display());
}
