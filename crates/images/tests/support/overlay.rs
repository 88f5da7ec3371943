//! Makes a container's upper directory with the kernel's own overlay, in a mount namespace of a
//! child process.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a shell script in the merged view of the layers (topmost first); returns the upper directory.
pub fn run(scratch: &Path, name: &str, lowers: &[PathBuf], script: &str) -> PathBuf {
    let base = scratch.join(name);
    let (upper, work, merged) = (base.join("upper"), base.join("work"), base.join("merged"));
    for directory in [&upper, &work, &merged] {
        std::fs::create_dir_all(directory).expect("a directory");
    }
    let lower: Vec<String> = lowers.iter().map(|lower| lower.display().to_string()).collect();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.join(":"), upper.display(), work.display());
    let mount = format!(
        "mount -t overlay overlay -o {options} {} && cd {} && {script}",
        merged.display(),
        merged.display()
    );
    let status = Command::new("unshare").args(["-m", "sh", "-ec", &mount]).status().expect("unshare");
    assert!(status.success(), "{script}");
    upper
}

/// What a view shows: `find` with all that matters of each file, and all contents hashed.
pub fn listing(scratch: &Path, name: &str, lowers: &[PathBuf]) -> String {
    let out = scratch.join(format!("{name}.listing"));
    let script = format!(
        "(find . -mindepth 1 ! -type d -printf '%p %y %m %U:%G %s %T@ %l %n\\n' -o -mindepth 1 -printf '%p %y %m %U:%G %T@\\n' | sort; \
         find . -type f | sort | xargs -r -d '\\n' sha256sum) > {}",
        out.display()
    );
    run(scratch, name, lowers, &script);
    std::fs::read_to_string(out).expect("the listing")
}
