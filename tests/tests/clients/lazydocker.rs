//! lazydocker, which shows the engine on a screen.

use std::fs;

use berth_tests::terminal::Terminal;
use berth_tests::{Engine, installed, sh};

#[test]
fn lazydocker_shows_containers_that_come_and_what_they_write() {
    let engine = Engine::start();
    let home = engine.directory().join("home");
    fs::create_dir(&home).expect("a home directory");
    let home = home.display().to_string();
    let socket = format!("unix://{}", engine.socket().display());
    // Only the letters that change are drawn: the names have none in common at the same place.
    let first = engine.create_named("lantern", &sh("while read -r line; do echo $line; done"));
    engine.start(&first);
    let environment = [("DOCKER_HOST", socket.as_str()), ("HOME", &home), ("XDG_CONFIG_HOME", &home)];
    let program = installed("lazydocker").join("bin/lazydocker");
    let mut screen = Terminal::start(&program, &[], &environment, 40, 160);
    screen.expect("lantern");
    let second = engine.create_named("OBSIDIAN", &sh("exec sleep 1000"));
    engine.start(&second);
    screen.expect("OBSIDIAN");
    screen.send(b"q");
    let (status, _) = screen.finish();
    assert!(status.success(), "{status}");
}
