//! act, which runs workflows of GitHub in containers.

use std::fs;

use berth_tests::{Context, Engine, Program, client_files, installed};
use serde_json::json;

#[test]
fn act_runs_the_jobs_of_a_workflow() {
    let engine = Engine::start();
    let page = Context::of(
        "FROM busybox\nRUN echo served > /page\nCMD [\"httpd\", \"-f\", \"-p\", \"80\", \"-h\", \"/\"]\n",
    );
    assert_eq!(engine.build(&[("t", "page:local")], page).error, None);
    let act = Program::new(&engine, installed("act").join("bin/act"));
    let work = act.home().join("work");
    fs::create_dir(&work).expect("a working directory");
    fs::write(work.join("given"), "given file\n").expect("a file");
    let workflow = client_files("act").join("workflow.yaml");
    let arguments = [
        "push",
        "--directory=work",
        &format!("--workflows={}", workflow.display()),
        "--platform=ubuntu-latest=busybox",
        "--pull=false",
        "--no-cache-server",
        "--container-daemon-socket=-",
    ];
    let output = act.ok(&arguments);
    for line in ["served", "given file", "step of its own", "second of job"] {
        assert!(output.lines().any(|shown| shown.ends_with(&format!("| {line}"))), "{line:?}: {output}");
    }
    assert_eq!(engine.get("/containers/json?all=1").expect(200).json(), json!([]));
    // Where it keeps tools for later runs.
    let _ = engine.at("1.55").delete("/volumes/act-toolcache").expect(204);
    engine.forget_builds();
}
