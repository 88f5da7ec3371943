//! Testcontainers for Node.js, with a reaper in the place of its own, whose image is in a registry.

use berth_tests::{Context, Engine, Program, client_files, installed, node};

/// Reads connections as the reaper does, and writes its input to its log. It prints that it has started when it listens and has
/// the engine's socket.
const REAPER: &str = r#"FROM busybox
LABEL org.testcontainers.ryuk=true
RUN printf '#!/bin/sh\nwhile read -r line; do echo "$line" >&2; echo ACK; done\n' > /answer && chmod 755 /answer
CMD ["sh", "-c", "nc -ll -p 8080 -e /answer & until grep -q :1F90 /proc/net/tcp /proc/net/tcp6 && test -S /var/run/docker.sock; do sleep 0.1; done; echo Started; wait"]
"#;

#[test]
fn testcontainers_waits_and_connects_and_has_its_reaper() {
    let engine = Engine::start();
    let built = engine.build(&[("t", "reaper:local")], Context::of(REAPER));
    assert!(!built.image().is_empty());
    let program = Program::new(&engine, node())
        .with("NODE_PATH", &installed("testcontainers-node").join("node_modules").display().to_string())
        .with("RYUK_CONTAINER_IMAGE", "reaper:local");
    let script = client_files("testcontainers-node").join("drive.js");
    let output = program.ok(&[script.to_str().expect("a path")]);
    assert_eq!(output.trim(), "testcontainers: all is well");
    engine.forget_builds();
}
