//! Block devices that a test makes for itself.

use std::path::Path;
use std::process::Command;

/// A block device of one MiB, backed by a new file, for as long as this value lives.
#[derive(Debug)]
pub struct LoopDevice(String);

impl LoopDevice {
    /// Makes one.
    ///
    /// # Panics
    /// When the host has no loop devices.
    #[must_use]
    pub fn new(image: &Path) -> Self {
        let file = std::fs::File::create_new(image).expect("a new file");
        file.set_len(1 << 20).expect("its size");
        let made = Command::new("losetup").args(["--find", "--show"]).arg(image).output();
        let made = made.expect("losetup (util-linux)");
        assert!(made.status.success(), "losetup: {}", String::from_utf8_lossy(&made.stderr));
        Self(String::from_utf8_lossy(&made.stdout).trim().to_owned())
    }

    /// Its path in `/dev`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}
