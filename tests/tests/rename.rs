//! `POST /containers/{id}/rename`.

use berth_tests::{Engine, query, sh};

#[test]
fn a_new_name_replaces_the_old() {
    let engine = Engine::start();
    let id = engine.create_named("old", &sh("true"));
    let _ = engine.post("/containers/old/rename?name=new").expect(204);
    assert_eq!(engine.inspect("new")["Id"], id.as_str());
    assert_eq!(engine.inspect(&id)["Name"], "/new");
    let answer = engine.get("/containers/old/json").expect(404);
    assert_eq!(answer.text(), "no such id: old\n");
    let _ = engine.create_named("old", &sh("true"));
}

#[test]
fn a_running_container_is_renamed_too() {
    let engine = Engine::start();
    let id = engine.run(&sh("sleep 600"));
    let _ = engine.post(&format!("/containers/{id}/rename?name=runs")).expect(204);
    assert_eq!(engine.inspect("runs")["State"]["Running"], true);
}

#[test]
fn taken_and_bad_names_are_refused() {
    let engine = Engine::start();
    let one = engine.create_named("one", &sh("true"));
    let two = engine.create_named("two", &sh("true"));
    for (name, owner) in [("two", &two), ("one", &one)] {
        let answer = engine.post(&format!("/containers/one/rename?name={name}")).expect(409);
        let wanted = format!(
            "Error when allocating new name: Conflict. The name \"{name}\" is already in use by container {}. \
             You have to delete (or rename) that container to be able to reuse that name.\n",
            &owner[..12]
        );
        assert_eq!(answer.text(), wanted);
    }
    for name in ["-x", ".x", "_x", "a b", "a+b", "a/b", "x", "ä"] {
        let answer = engine.post(&format!("/containers/one/rename{}", query(&[("name", name)])));
        assert_eq!(answer.status(), 500, "{name:?}: {}", answer.status());
        let wanted = format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed\n");
        assert!(answer.text().ends_with(&wanted), "{name:?}: {}", answer.text());
    }
    for path in ["/containers/one/rename", "/containers/one/rename?name="] {
        let answer = engine.post(path);
        assert_eq!(answer.status(), 500, "{path}: {}", answer.status());
    }
    let answer = engine.post("/containers/nosuch/rename?name=abc").expect(404);
    assert_eq!(answer.text(), "no such id: nosuch\n");
    assert_eq!(engine.inspect(&one)["Name"], "/one");
}
