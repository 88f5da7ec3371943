//! Events as the versions after 1.20 show them: their fields, their formats, those of images.

use berth_tests::tarball::TAR;
use berth_tests::{Context, Engine, query, sh, tarball};
use serde_json::{Value, json};

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["Action"].as_str().expect("an action")).collect()
}

#[test]
fn fields_are_those_of_the_version() {
    let engine = Engine::start();
    let id = engine.create_named("web", &berth_tests::merged(sh("true"), json!({"Labels": {"tier": "db"}})));
    let create = |version: &str| {
        engine.at(version).past_events(&json!({"event": ["create"], "type": ["container"]})).remove(0)
    };
    let today = create("1.55");
    let mut fields: Vec<&String> = today.as_object().expect("an object").keys().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["Action", "Actor", "Type", "scope", "time", "timeNano"]);
    assert_eq!(
        today["Actor"],
        json!({"ID": id, "Attributes": {"image": "busybox", "name": "web", "tier": "db"}})
    );
    assert_eq!((&today["Type"], &today["scope"]), (&json!("container"), &json!("local")));
    for version in ["1.22", "1.51"] {
        let event = create(version);
        assert_eq!(
            (&event["status"], &event["id"], &event["from"]),
            (&json!("create"), &json!(id), &json!("busybox"))
        );
        assert_eq!(event["scope"], "local", "{version}");
    }
    assert_eq!(create("1.20").get("scope"), None);
    engine.remove(&id);
    let of_the_name = |version| engine.at(version).past_events(&json!({"container": ["web"]})).len();
    assert_eq!((of_the_name("1.20"), of_the_name("1.22")), (0, 2), "a name that none has any more");
}

#[test]
fn a_commit_says_what_it_made_and_did_on_the_way() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let id = today.run(&sh("sleep 600"));
    let of_container = |event: &Value| event["Actor"]["ID"] == id.as_str();
    let since = |wanted: &str| {
        let all = today.past_events(&json!({"event": ["pause", "unpause", "tag", "commit"]}));
        let at = all.iter().rposition(|event| of_container(event) && event["Action"] == wanted);
        all[at.expect("such an event")..].to_vec()
    };
    let image = today.post(&format!("/commit?container={id}&repo=made&tag=1&comment=why")).expect(201).json();
    let made = since("pause");
    assert_eq!(actions(&made), ["pause", "tag", "commit", "unpause"]);
    assert_eq!(
        (&made[1]["Actor"]["ID"], &made[1]["Actor"]["Attributes"]["name"]),
        (&image["Id"], &json!("made:1"))
    );
    let said = &made[2]["Actor"]["Attributes"];
    assert_eq!(
        (&said["imageID"], &said["imageRef"], &said["comment"]),
        (&image["Id"], &json!("made:1"), &json!("why"))
    );
    let _ = today.post(&format!("/commit?container={id}&repo=made&tag=2&pause=0")).expect(201);
    assert_eq!(actions(&since("unpause")), ["unpause", "tag", "commit"], "without a pause");
    engine.remove(&id);
    for name in ["made:1", "made:2"] {
        let _ = today.delete(&format!("/images/{name}")).expect(200);
    }
    assert_eq!(today.post("/commit").expect(400).message(), "invalid name or ID supplied: \"\"");
}

#[test]
fn formats_are_chosen_by_accept() {
    let engine = Engine::start();
    let id = engine.create(&sh("true"));
    let filters = json!({"container": [id], "event": ["create"]});
    let get = |version: &str, accept: &str| {
        let answer = engine.at(version).past_events_with(&filters, &[("Accept", accept)]);
        (answer.head.header("content-type").expect("a type").to_owned(), answer.text())
    };
    for (version, accept, kind) in [
        ("1.51", "application/json-seq", "application/json"),
        ("1.52", "*/*", "application/x-ndjson"),
        ("1.55", "*/*", "application/jsonl"),
        ("1.55", "application/x-ndjson", "application/x-ndjson"),
    ] {
        let (seen, text) = get(version, accept);
        assert_eq!(seen, kind, "{accept} at {version}");
        assert!(text.starts_with('{') && text.ends_with("}\n") && text.lines().count() == 1, "{text}");
    }
    let (kind, text) = get("1.55", "application/json-seq");
    assert_eq!(kind, "application/json-seq");
    assert!(text.starts_with("\u{1e}{") && text.ends_with("}\n"), "{text:?}");
    engine.remove(&id);
}

#[test]
fn images_are_called_by_id_and_name() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    let built = today.build(&[("t", "made")], Context::of("FROM busybox\nLABEL il=im"));
    let _ = built.image();
    let id = today.get("/images/made/json").expect(200).json()["Id"].as_str().expect("an id").to_owned();
    let archive = today.get("/images/made/get").expect(200).body;
    let _ = today.post("/images/made/tag?repo=made&tag=v2").expect(201);
    let _ = today.delete("/images/made:v2").expect(200);
    let _ = today.delete("/images/made").expect(200);
    let _ = today.call("POST", "/images/load", &TAR, &archive).expect(200);
    let of = |version: &str| engine.at(version).past_events(&json!({"type": ["image"], "image": [id]}));
    let events = of("1.55");
    assert_eq!(actions(&events), ["create", "tag", "save", "tag", "untag", "untag", "delete", "load"]);
    assert!(events.iter().all(|event| event["Actor"]["ID"] == json!(id)), "{events:?}");
    assert_eq!(events[1]["Actor"]["Attributes"], json!({"name": "made:latest", "il": "im"}));
    assert_eq!(events[2]["Actor"]["Attributes"]["name"], json!(id));
    assert_eq!(events[4]["Actor"]["Attributes"]["name"], "made:v2");
    assert_eq!(actions(&of("1.45"))[0], "tag", "create came with 1.46");
    assert_eq!(of("1.24")[0]["id"], json!(id));
    // Before 1.22 they have the names that acts used, and nothing of what came later.
    let old = engine.at("1.20").past_events(&json!({"type": ["image"], "image": ["made"]}));
    assert_eq!(actions(&old), ["tag", "tag", "untag", "untag"]);
    assert_eq!((&old[1]["id"], &old[2]["id"]), (&json!("made:v2"), &json!(id[7..])));
    let _ = today.delete("/images/made").expect(200);
}

#[test]
fn imports_and_prunes_are_events() {
    let engine = Engine::start();
    let today = engine.at("1.55");
    for content in ["one", "two"] {
        let _ = today
            .call("POST", "/images/create?fromSrc=-&repo=app", &TAR, &tarball::of(&[("f", content)]))
            .expect(200);
    }
    let named = today.past_events(&json!({"type": ["image"], "image": ["app"]}));
    assert_eq!(actions(&named), ["tag", "tag"]);
    let imports = today.past_events(&json!({"type": ["image"], "event": ["tag", "import"]}));
    let imports = &imports[imports.len() - 4..];
    assert_eq!(actions(imports), ["tag", "import", "tag", "import"]);
    assert_eq!(imports[0]["Actor"]["Attributes"]["name"], "app:latest");
    assert_eq!(imports[1]["Actor"]["Attributes"]["name"], imports[1]["Actor"]["ID"]);
    let pruned = today.post("/images/prune").expect(200).json();
    let _ = today.post("/images/prune").expect(200);
    let prunes = today.past_events(&json!({"event": ["prune"]}));
    assert_eq!(prunes.len(), 1, "a prune of nothing is no event");
    assert_eq!(prunes[0]["Type"], "image");
    assert_eq!(
        prunes[0]["Actor"],
        json!({"ID": "", "Attributes": {"reclaimed": pruned["SpaceReclaimed"].to_string()}})
    );
    assert_eq!(engine.at("1.40").past_events(&json!({"event": ["prune"]})), Vec::<Value>::new());
    // A prune that removes names has an event for each, as a removal does.
    let id = today.get("/images/app/json").expect(200).json()["Id"].clone();
    let busy = engine.create(&sh("true"));
    let all = query(&[("filters", r#"{"dangling":["false"]}"#)]);
    let _ = today.post(&format!("/images/prune{all}")).expect(200);
    let removals =
        today.past_events(&json!({"type": ["image"], "event": ["untag", "delete"], "image": [id]}));
    let actions: Vec<&Value> = removals.iter().map(|event| &event["Action"]).collect();
    assert_eq!(actions, ["untag", "delete"]);
    engine.remove(&busy);
}

#[test]
fn filters_that_are_not_known_or_not_filters_are_400_since_1_24() {
    let engine = Engine::start();
    let form = "filters must be a JSON object whose values are lists of strings: ";
    for (filters, words) in [
        (r#"{"nosuch":["x"]}"#, "Invalid filter 'nosuch'".to_owned()),
        ("[]", format!("{form}it is an array")),
        ("{bad", format!("{form}something that is not JSON stands before line 1, character 3")),
    ] {
        let path = format!("/events{}", query(&[("until", "1"), ("filters", filters)]));
        for version in ["1.24", "1.55"] {
            assert_eq!(engine.at(version).get(&path).expect(400).json(), json!({ "message": words }));
        }
        assert_eq!(engine.at("1.23").get(&path).expect(500).text(), format!("{words}\n"));
    }
}
