//! `docker run` step by step: create, start, wait, logs, remove.

use berth_tests::{Engine, sh};

#[test]
fn a_container_runs_and_leaves_its_exit_code_and_logs() {
    let engine = Engine::start();
    let output = engine.output(&sh("echo out; echo err >&2; exit 3"));
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (3, "out\n", "err\n"));
}
