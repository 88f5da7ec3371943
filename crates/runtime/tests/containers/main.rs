//! Runs real containers on the real kernel; needs root and busybox-static at /bin/busybox.
//!
//! One thread, as the shim: the harness is the loop in `main`. Arguments choose tests by parts of
//! their names.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test program")]

mod bench;
mod control;
mod further;
mod life;
mod scene;
mod users;
mod view;
mod walls;

use std::process::ExitCode;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        println!("FAILED: these tests make namespaces and cgroups and need root");
        return ExitCode::FAILURE;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if wanted.iter().any(|word| word == "bench") {
        bench::run();
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in all() {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        match std::panic::catch_unwind(test) {
            Ok(()) => passed += 1,
            Err(_) => failed.push(name),
        }
        println!("{} {name}", if failed.last() == Some(&name) { "FAILED" } else { "ok" });
    }
    println!("{passed} passed, {} failed {failed:?}", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn all() -> Vec<Test> {
    [life::TESTS, further::TESTS, control::TESTS, view::TESTS, walls::TESTS, users::TESTS].concat()
}
