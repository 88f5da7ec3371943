//! A Debian system as a tar, made once from the package mirror and kept beside the programs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use rustix::fs::{FlockOperation, flock};

/// What the tree has beside the packages that every Debian has: a compiler, and `setcap`.
const INCLUDED: &str = "tcc,libc6-dev,libcap2-bin";
const SUITE: &str = "bookworm";
const MIRROR: &str = "http://deb.debian.org/debian";

/// The path of the tar; the first call on a machine takes a minute or two.
///
/// # Panics
/// When debootstrap is not installed or the mirror cannot be reached.
#[must_use]
pub fn tree() -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let target = test.ancestors().nth(3).expect("the target directory").to_owned();
    let archive = target.join(format!("debian-{SUITE}.tar"));
    let lock = File::create(target.join("debian.lock")).expect("a lock");
    flock(&lock, FlockOperation::LockExclusive).expect("the lock");
    if !archive.exists() {
        make(&target.join("debian.new"), &archive);
    }
    archive
}

fn make(directory: &PathBuf, archive: &PathBuf) {
    let run = |command: &mut Command| {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let _ = fs::remove_dir_all(directory);
    run(Command::new("debootstrap")
        .args(["--variant=minbase", &format!("--include={INCLUDED}"), SUITE])
        .arg(directory)
        .arg(MIRROR));
    let _ = fs::remove_dir_all(directory.join("var/cache/apt/archives"));
    let partial = archive.with_extension("partial");
    // Device files and mounts are the engine's.
    run(Command::new("tar")
        .arg("--create")
        .arg("--file")
        .arg(&partial)
        .arg("--directory")
        .arg(directory)
        .args([
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
            "--exclude=./dev/*",
            "--exclude=./proc/*",
            "--exclude=./sys/*",
            ".",
        ]));
    fs::rename(&partial, archive).expect("the archive's name");
    fs::remove_dir_all(directory).expect("the tree to go");
}
