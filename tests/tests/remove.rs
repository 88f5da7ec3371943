//! `DELETE /containers/{id}`.

use berth_tests::{Engine, merged, sh};
use serde_json::json;

#[test]
fn a_removed_container_is_gone() {
    let engine = Engine::start();
    let id = engine.create_named("gone", &sh("true"));
    let _ = engine.delete("/containers/gone").expect(204);
    for name in [id.as_str(), "gone"] {
        assert_eq!(
            engine.get(&format!("/containers/{name}/json")).expect(404).text(),
            format!("no such id: {name}\n")
        );
        assert_eq!(
            engine.delete(&format!("/containers/{name}")).expect(404).text(),
            format!("no such id: {name}\n")
        );
    }
    assert!(!engine.data_root().join("containers").join(&id).exists());
}

#[test]
fn a_running_container_needs_force() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    for parameters in ["", "?v=1", "?force=0", "?force=false", "?force="] {
        let answer = engine.delete(&format!("/containers/{id}{parameters}")).expect(409);
        let wanted = format!(
            "Cannot destroy container {id}: Conflict, You cannot remove a running container. Stop the container \
             before attempting removal or use -f\n"
        );
        assert_eq!(answer.text(), wanted, "{parameters}");
    }
    let pid = engine.pid(&id);
    let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn force_removes_a_paused_container() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let _ = engine.post(&format!("/containers/{id}/pause")).expect(204);
    let _ = engine.delete(&format!("/containers/{id}")).expect(409);
    let _ = engine.delete(&format!("/containers/{id}?force=1")).expect(204);
}

#[test]
fn anonymous_volumes_go_when_asked_for_and_binds_never() {
    let engine = Engine::start();
    let directory = engine.directory().join("bound");
    std::fs::create_dir(&directory).expect("a directory to bind");
    std::fs::write(directory.join("kept"), "").expect("a file to keep");
    let bind = format!("{}:/bound", directory.display());
    let body = merged(
        sh("echo data > /anonymous/file; echo data > /bound/new"),
        json!({ "Volumes": { "/anonymous": {} }, "HostConfig": { "Binds": [bind] } }),
    );
    let id = engine.run(&body);
    assert_eq!(engine.wait(&id), 0);
    let mounts = engine.inspect(&id)["Mounts"].clone();
    let volume = mounts.as_array().into_iter().flatten().find(|mount| mount["Destination"] == "/anonymous");
    let source = volume.and_then(|mount| mount["Source"].as_str()).expect("the volume's place").to_owned();
    assert!(std::path::Path::new(&source).join("file").exists(), "{source}");
    let _ = engine.delete(&format!("/containers/{id}?v=1")).expect(204);
    assert!(!std::path::Path::new(&source).exists(), "the volume went with its container");
    assert!(directory.join("kept").exists() && directory.join("new").exists());
    std::fs::remove_dir_all(&directory).expect("the directory to go");
}

#[test]
fn link_names_only_links() {
    let engine = Engine::start();
    let id = engine.create_named("plain", &sh("true"));
    let answer = engine.delete("/containers/plain?link=1").expect(409);
    assert_eq!(answer.text(), "Conflict, cannot remove the default name of the container\n");
    assert_eq!(engine.inspect(&id)["Name"], "/plain");
    let _ = engine.delete("/containers/nosuch?link=1").expect(404);
    let _ = engine.delete("/containers/nosuch?force=1").expect(404);
}

#[test]
fn two_removals_at_once_remove_it_once() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let path = format!("/containers/{id}?force=1");
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let remove = || {
            let answer = engine.delete(&path);
            (answer.status(), answer.text())
        };
        let removals: Vec<_> = (0..4).map(|_| scope.spawn(remove)).collect();
        removals.into_iter().map(|removal| removal.join().expect("an answer")).collect()
    });
    let removed = (204, String::new());
    assert_eq!(answers.iter().filter(|answer| **answer == removed).count(), 1, "{answers:?}");
    // The others find it being removed, or gone.
    let going =
        (409, format!("Cannot destroy container {id}: Conflict, the container is being removed already\n"));
    let gone = (404, format!("no such id: {id}\n"));
    assert!(answers.iter().all(|answer| [&removed, &going, &gone].contains(&answer)), "{answers:?}");
    let _ = engine.get(&format!("/containers/{id}/json")).expect(404);
}
