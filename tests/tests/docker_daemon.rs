//! `docker-daemon:` of skopeo and buildah: images are copied from the engine and to it. Both use 1.22, whatever the engine
//! serves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use berth_tests::{Engine, sh};
use serde_json::json;

/// An engine with an image of two layers, and a directory for the programs.
fn prepared() -> (Engine, PathBuf) {
    let engine = Engine::start();
    let directory = engine.directory().join("copies");
    std::fs::create_dir(&directory).expect("a directory");
    let container = engine.run(&sh("echo made > /greeting"));
    assert_eq!(engine.wait(&container), 0);
    let _ = engine.post(&format!("/commit?container={container}&repo=made&tag=v1")).expect(201);
    engine.remove(&container);
    (engine, directory)
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> Output {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    output.unwrap_or_else(|error| panic!("{program} (see scripts/setup): {error}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The output of an image, which a copy has too.
fn greeting(engine: &Engine, image: &str) -> String {
    engine.output(&json!({ "Image": image, "Cmd": ["cat", "/greeting"] })).stdout
}

fn id_of(engine: &Engine, image: &str) -> String {
    let image = engine.at("1.55").get(&format!("/images/{image}/json")).expect(200).json();
    image["Id"].as_str().expect("an id").to_owned()
}

#[test]
fn skopeo_copies_from_the_engine_and_to_it() {
    let (engine, directory) = prepared();
    let host = format!("unix://{}", engine.socket().display());
    let skopeo = |arguments: &[&str]| {
        let all: Vec<&str> = ["--insecure-policy"].iter().chain(arguments).copied().collect();
        run("skopeo", &all, &directory)
    };
    let from = ["copy", "--quiet", "--src-daemon-host", &host, "--dest-daemon-host", &host];
    let copy = |source: &str, target: &str| {
        let all: Vec<&str> = from.iter().copied().chain([source, target]).collect();
        let output = skopeo(&all);
        assert!(output.status.success(), "{source} to {target}: {}", text(&output.stderr));
    };
    let inspected = skopeo(&["inspect", "--daemon-host", &host, "docker-daemon:made:v1"]);
    let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
    assert_eq!(inspected["Layers"].as_array().map(Vec::len), Some(2), "{inspected}");

    copy("docker-daemon:made:v1", "docker-daemon:copied/straight:v1");
    copy("docker-daemon:made:v1", "oci:layout:v1");
    let _ = engine.delete("/images/made:v1").expect(200);
    copy("oci:layout:v1", "docker-daemon:copied:v2");
    copy("docker-daemon:copied:v2", "docker-daemon:again:v3");
    for image in ["copied/straight:v1", "copied:v2", "again:v3"] {
        assert_eq!(greeting(&engine, image), "made\n", "{image}");
    }
    assert_eq!(id_of(&engine, "copied:v2"), id_of(&engine, "again:v3"));
    let missing = skopeo(&["inspect", "--daemon-host", &host, "docker-daemon:nosuch:v1"]);
    assert!(text(&missing.stderr).contains("nosuch:v1"), "{}", text(&missing.stderr));
    for image in ["copied/straight:v1", "copied:v2", "again:v3"] {
        let _ = engine.delete(&format!("/images/{image}")).expect(200);
    }
}

#[test]
fn buildah_builds_on_an_image_of_the_engine_and_gives_it_the_result() {
    let (engine, directory) = prepared();
    // It looks for the socket in its one place: the commands run in a mount namespace where that is the engine's.
    let script = format!(
        "mount -t tmpfs none /run; ln -s {} /run/docker.sock
        buildah() {{ command buildah --root storage --runroot run --storage-driver vfs \"$@\"; }}
        buildah from --pull-always --name work docker-daemon:made:v1
        buildah config --cmd 'cat /greeting' --label by=buildah work
        buildah commit --quiet work result
        buildah push result docker-daemon:built:v2
        buildah pull --quiet docker-daemon:built:v2
        buildah rm --all; buildah rmi --all --force",
        engine.socket().display()
    );
    let output = run("unshare", &["--mount", "sh", "-ec", &script], &directory);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let built = engine.at("1.55").get("/images/built:v2/json").expect(200).json();
    assert_eq!(built["Config"]["Labels"]["by"], "buildah");
    assert_eq!(engine.output(&json!({ "Image": "built:v2" })).stdout, "made\n");
    assert_eq!(built["RootFS"]["Layers"].as_array().map(Vec::len), Some(3));
    for image in ["built:v2", "made:v1"] {
        let _ = engine.delete(&format!("/images/{image}")).expect(200);
    }
}
