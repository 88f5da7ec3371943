//! Attacks: each runs against a daemon of its own in a memory cgroup, must fail, and must not make the daemon use much
//! memory. One file for each attacker; `docs/security.md` names the tests.

mod archive;
mod archives;
mod bombs;
mod clients;
mod container;
mod contexts;
mod departures;
mod depth;
mod local_user;
mod network;
mod numbers;
mod pages;
mod registry;
mod settings;
mod system_calls;
mod texts;
mod unfinished;

use std::ops::{Deref, DerefMut};

use berth_tests::{Engine, Options, merged, sh};
use serde_json::{Value, json};

/// What the daemon and its shims may use together, page cache included. An attack that would take the host's memory
/// makes the kernel end the daemon instead, and the test fails.
const LIMIT: u64 = 512 << 20;

/// What the daemon itself may have in use at once during any attack.
const PEAK: u64 = 150 << 20;

/// A container with the default capabilities that runs a script of the host's Python.
fn with_python(script: &str, words: &[&str]) -> Value {
    let mut command = vec!["/usr/bin/python3", "-c", script];
    command.extend(words);
    let binds = ["/usr:/usr:ro", "/lib:/lib:ro", "/lib64:/lib64:ro"];
    merged(sh(""), json!({ "Cmd": command, "HostConfig": { "Binds": binds } }))
}

/// A daemon to be attacked. When it is dropped it must live, answer and have stayed small, and nothing may be left.
struct Target(Engine);

impl Target {
    fn start() -> Self {
        Self::start_with(Options::default())
    }

    fn start_with(options: Options) -> Self {
        let engine = Engine::start_with(Options { memory: Some(LIMIT), ..options });
        // The import of the tests' image is no attack.
        engine.forget_peak_memory();
        Self(engine)
    }

    /// Checks the daemon's memory; an attack that replaces the daemon does so before.
    fn assert_small(&self) {
        let peak = self.0.peak_memory();
        assert!(peak < PEAK, "the daemon used {} MiB at once; its log:\n{}", peak >> 20, self.0.log());
    }
}

impl Deref for Target {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.0
    }
}

impl DerefMut for Target {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.0
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.assert_small();
            let _ = self.0.get("/_ping").expect(200);
        }
    }
}
