//! Attacks on the daemon: each runs against a daemon of its own in a memory cgroup, must fail, and must not make
//! the daemon use much memory.
//!
//! One file for each attacker; `docs/security.md` names the attacks. [`attack`] is what each test calls.

mod clients;

use berth_tests::{Engine, Options};

/// What the daemon and its shims may use together, page cache included. An attack that would take the host's memory
/// makes the kernel end the daemon instead, and the test fails.
const LIMIT: u64 = 512 << 20;

/// What the daemon itself may have in use at once during any attack.
const PEAK: u64 = 150 << 20;

/// Runs an attack. The daemon must live, answer and stay small, and nothing may be left when the attack is over.
fn attack(act: impl FnOnce(&mut Engine)) {
    attack_with(Options::default(), act);
}

/// Runs an attack on a daemon with these options.
fn attack_with(options: Options, act: impl FnOnce(&mut Engine)) {
    let mut engine = Engine::start_with(Options { memory: Some(LIMIT), ..options });
    // The import of the tests' image is no attack.
    engine.forget_peak_memory();
    act(&mut engine);
    assert_small(&engine);
    let _ = engine.get("/_ping").expect(200);
}

/// Checks the daemon's memory; for attacks that end with a daemon other than the first.
fn assert_small(engine: &Engine) {
    let peak = engine.peak_memory();
    assert!(peak < PEAK, "the daemon used {} MiB at once; its log:\n{}", peak >> 20, engine.log());
}
