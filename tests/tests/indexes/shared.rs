//! Indexes that share an image: each name leads to what it came under itself, and nothing goes that another name leads to.

use berth_tests::registry::{Content, Server};
use berth_tests::{Client, Context, Engine, query};
use serde_json::{Value, json};

use crate::source::{
    INDEX, NAME, SOURCE, bare, entry, gzipped, image, inspect, list, platform, pull, shown, zstandard,
};

/// Two indexes of one image for arm64 and one for amd64 each.
struct Shared {
    engine: Engine,
    today: Client,
    _server: Server,
    first: String,
    second: String,
    /// The digest of the manifest of the image that both have.
    manifest: Value,
}

impl Shared {
    /// Both platforms of the first index are pulled, of the second the shared one alone.
    fn pulled() -> Self {
        let engine = bare();
        let today = engine.at("1.55");
        let mut content = Content::default();
        let shared = image(&mut content, "arm64", gzipped);
        let (one, two) = (image(&mut content, "amd64", gzipped), image(&mut content, "amd64", zstandard));
        for (tag, own) in [("v1", &one), ("v2", &two)] {
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [own, shared] });
            let _ = content.manifest(tag, INDEX, &index);
        }
        let server = Server::start(&engine, SOURCE, move |asked| content.answer(asked));
        let (first, second) = (format!("{NAME}:v1"), format!("{NAME}:v2"));
        let _ = pull(&today, &first, "").succeeded();
        let _ = pull(&today, &first, "linux/arm64").succeeded();
        let _ = pull(&today, &second, "linux/arm64").succeeded();
        Self { engine, today, _server: server, first, second, manifest: shared["digest"].clone() }
    }

    fn platforms_here(&self, name: &str) -> Vec<(String, bool, String)> {
        shown(&inspect(&self.today, name, &[("manifests", "1")])["Manifests"])
    }

    fn remove(&self, name: &str, architecture: &str) -> berth_tests::Answer {
        let wanted = query(&[("platforms", &platform(architecture)), ("force", "1")]);
        self.today.delete(&format!("/images/{name}{wanted}"))
    }

    /// The numbers of deleted images and the untagged names of a response.
    fn removals(removed: &Value) -> (usize, Vec<String>) {
        let all = removed.as_array().expect("a list");
        let untagged = all.iter().filter_map(|one| one["Untagged"].as_str()).map(str::to_owned).collect();
        (all.iter().filter(|one| one["Deleted"].is_string()).count(), untagged)
    }
}

#[test]
fn a_platform_is_that_of_the_name_alone() {
    let shared = Shared::pulled();
    let (today, second) = (&shared.today, &shared.second);
    let words = format!(
        "image with reference {second} was found but does not provide the specified platform (linux/amd64)"
    );
    let body = json!({ "Image": second, "Cmd": ["x"] });
    let refused = today.post_json("/containers/create?platform=linux%2Famd64", &body).expect(404);
    assert_eq!(refused.message(), words);
    let wanted = query(&[("platform", &platform("amd64"))]);
    for what in ["json", "history", "get"] {
        let refused = today.get(&format!("/images/{second}/{what}{wanted}")).expect(404);
        assert_eq!(refused.message(), words, "{what}");
    }
    let pushed = format!("/images/{NAME}/push{wanted}&tag=v2");
    assert_eq!(today.post(&pushed).expect(404).message(), words);
    assert_eq!(shared.remove(second, "amd64").expect(404).message(), words);
    for name in [&shared.first, second] {
        let other = inspect(today, name, &[("platform", &platform("arm64"))]);
        assert_eq!((&other["Architecture"], &other["RepoTags"]), (&json!("arm64"), &json!([name])));
    }
    assert_eq!(inspect(today, &shared.first, &[])["Architecture"], "amd64");
    let made = today.post_json("/containers/create", &json!({ "Image": shared.first })).expect(201).json();
    let _ = today.delete(&format!("/containers/{}", made["Id"].as_str().expect("an id"))).expect(204);
    for name in [&shared.first, second] {
        let _ = today.delete(&format!("/images/{name}")).expect(200);
    }
    assert!(list(today, &[("all", "1")]).is_empty());
}

#[test]
fn an_image_stays_that_another_index_needs() {
    let mut shared = Shared::pulled();
    let removed = shared.today.delete(&format!("/images/{}", shared.second)).expect(200).json();
    let (deleted, untagged) = Shared::removals(&removed);
    assert_eq!((deleted, &untagged[0], untagged.len()), (0, &shared.second, 2), "{removed}");
    let both = [entry("image", true, "amd64"), entry("image", true, "arm64")];
    assert_eq!(shared.platforms_here(&shared.first), both);
    assert_eq!(list(&shared.today, &[("all", "1")]).len(), 1);
    // Once more, and after another start.
    let _ = pull(&shared.today, &shared.second, "linux/arm64").succeeded();
    shared.engine.stop_daemon();
    shared.engine.start_daemon();
    let _ = shared.today.delete(&format!("/images/{}", shared.second)).expect(200);
    assert_eq!(shared.platforms_here(&shared.first), both);
    let removed = shared.today.delete(&format!("/images/{}", shared.first)).expect(200).json();
    assert_eq!(Shared::removals(&removed).0, 2, "{removed}");
    assert!(list(&shared.today, &[("all", "1")]).is_empty());
}

#[test]
fn a_platform_that_is_removed_stays_for_another_name() {
    let shared = Shared::pulled();
    let removed = shared.remove(&shared.first, "arm64").expect(200).json();
    let manifest = shared.manifest.as_str().expect("a digest");
    assert_eq!(removed, json!([{ "Untagged": format!("{NAME}@{manifest}") }]));
    let own_alone = [entry("image", true, "amd64"), entry("image", false, "arm64")];
    assert_eq!(shared.platforms_here(&shared.first), own_alone);
    assert_eq!(inspect(&shared.today, &shared.second, &[])["Architecture"], "arm64");
    let removed = shared.today.delete(&format!("/images/{}", shared.first)).expect(200).json();
    assert_eq!(Shared::removals(&removed).0, 1, "{removed}");
    let made = shared.today.post_json("/containers/create", &json!({ "Image": shared.second, "Cmd": ["x"] }));
    let id = made.expect(201).json()["Id"].as_str().expect("an id").to_owned();
    let _ = shared.today.delete(&format!("/containers/{id}")).expect(204);
    let removed = shared.today.delete(&format!("/images/{}", shared.second)).expect(200).json();
    assert_eq!(Shared::removals(&removed).0, 1, "{removed}");
    assert!(list(&shared.today, &[("all", "1")]).is_empty());
}

#[test]
fn containers_of_another_platform_are_those_of_the_image() {
    let shared = Shared::pulled();
    let (today, name) = (&shared.today, &shared.first);
    let create = |architecture: &str| {
        let path = format!("/containers/create{}", query(&[("platform", &format!("linux/{architecture}"))]));
        let made = today.post_json(&path, &json!({ "Image": name, "Cmd": ["true"] })).expect(201).json();
        made["Id"].as_str().expect("an id").to_owned()
    };
    let (own, other) = (create("amd64"), create("arm64"));
    let filters = json!({ "ancestor": [name] }).to_string();
    let found = today.get(&format!("/containers/json{}", query(&[("all", "1"), ("filters", &filters)])));
    let found = found.expect(200).json();
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
    let listed = list(today, &[]);
    let count = |name: &str| {
        let is_it = |image: &&Value| image["RepoTags"] == json!([name]);
        listed.iter().find(is_it).expect("the image")["Containers"].clone()
    };
    assert_eq!(count(name), 2);
    // The platform stays as long as a container has it.
    let path = format!("/images/{name}{}", query(&[("platforms", &platform("arm64"))]));
    assert_eq!(
        today.delete(&path).expect(400).message(),
        "Content will be removed from all images referencing this variant. Use —-force to force delete."
    );
    let _ = today.delete(&format!("/images/{}", shared.second)).expect(200);
    let _ = shared.remove(name, "arm64").expect(200);
    let container = today.get(&format!("/containers/{other}/json")).expect(200).json();
    let exported = today.get(&format!("/containers/{other}/export")).expect(200).body;
    assert!(!exported.is_empty(), "{container}");
    let _ = today.delete(&format!("/containers/{other}")).expect(204);
    let _ = today.get(&format!("/images/{}/json", container["Image"].as_str().expect("an id"))).expect(404);
    let _ = today.post(&format!("/containers/{own}/start")).expect(204);
    let _ = today.post(&format!("/containers/{own}/wait")).expect(200);
    let _ = today.delete(&format!("/containers/{own}")).expect(204);
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    assert!(list(today, &[("all", "1")]).is_empty());
}

#[test]
fn a_stage_of_a_platform_is_that_of_its_name() {
    let shared = Shared::pulled();
    let (today, first, second) = (&shared.today, &shared.first, &shared.second);
    // The last is not here under this name: it is pulled.
    for (name, architecture) in [(first, "amd64"), (first, "arm64"), (second, "arm64"), (second, "amd64")] {
        let text = format!("FROM --platform=linux/{architecture} {name}\nLABEL of={architecture}\n");
        let built = today.build(&[("t", "built")], Context::of(&text));
        assert_eq!(built.error, None, "{}", built.said);
        let image = inspect(today, "built", &[]);
        let base = inspect(today, name, &[("platform", &platform(architecture))]);
        assert_eq!(image["Architecture"], architecture, "{name}");
        assert_eq!(image["RootFS"], base["RootFS"], "{name} {architecture}");
        assert_eq!(image["Config"]["Labels"], json!({ "of": architecture }));
    }
    for name in [first, second] {
        let both = [entry("image", true, "amd64"), entry("image", true, "arm64")];
        assert_eq!(shared.platforms_here(name), both, "{name}");
    }
    let text = format!("FROM --platform=linux/s390x {first}\n");
    let refused = today.build(&[], Context::of(&text));
    assert!(refused.failure().contains("linux/s390x"), "{}", refused.failure());
    shared.engine.forget_builds();
}
