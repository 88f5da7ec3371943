//! What an image of several platforms shows, and which of them its name leads to.

use berth_tests::query;
use serde_json::json;

use crate::source::{INDEX, NAME, Source, bare, entry, inspect, list, platform, pull, shown};

#[test]
fn an_index_is_kept_and_only_what_was_asked_for_is_fetched() {
    let engine = bare();
    let source = Source::new();
    let server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    assert_eq!(pull(&today, &name, "").succeeded().digest(), source.index);
    for blob in source.blobs_of(&source.foreign) {
        assert!(server.asked_for(&blob).is_empty(), "a blob of another platform was fetched");
    }
    let descriptor = json!({ "mediaType": INDEX, "digest": source.index, "size": source.content.length_of(&source.index) });
    for minor in [47, 48, 55] {
        let client = engine.at(&format!("1.{minor}"));
        let (listed, image) = (list(&client, &[]), inspect(&client, &name, &[]));
        let wanted = if minor < 48 { None } else { Some(&descriptor) };
        assert_eq!([listed[0].get("Descriptor"), image.get("Descriptor")], [wanted, wanted], "1.{minor}");
        assert_eq!([listed[0].get("Manifests"), image.get("Manifests")], [None, None], "1.{minor}");
    }
    let with = [("manifests", "1")];
    assert_eq!(list(&engine.at("1.46"), &with)[0].get("Manifests"), None);
    assert_eq!(inspect(&engine.at("1.47"), &name, &with).get("Manifests"), None);
    let manifests = inspect(&today, &name, &with)["Manifests"].clone();
    assert_eq!(
        shown(&manifests),
        [entry("image", false, "arm64"), entry("image", true, "amd64"), entry("attestation", true, "")]
    );
    assert_eq!(list(&engine.at("1.47"), &with)[0]["Manifests"], manifests);
    assert_eq!((&manifests[1]["ID"], &manifests[1]["Descriptor"]), (&source.own["digest"], &source.own));
    assert_eq!(manifests[2]["Descriptor"], source.attestation);
    assert_eq!(manifests[2]["AttestationData"], json!({ "For": source.own["digest"] }));
    assert_eq!(manifests[0]["Size"], json!({ "Content": 0, "Total": 0 }));
    let (size, unpacked) = (&manifests[1]["Size"], manifests[1]["ImageData"]["Size"]["Unpacked"].as_u64());
    assert_eq!(size["Total"].as_u64(), size["Content"].as_u64().zip(unpacked).map(|(a, b)| a + b), "{size}");
    assert_eq!(unpacked, inspect(&today, &name, &[])["Size"].as_u64());
    let both = today.get(&format!(
        "/images/{name}/json?manifests=1&platform={}",
        "%7B%22os%22:%22linux%22,%22architecture%22:%22amd64%22%7D"
    ));
    assert!(both.expect(400).text().contains("conflicting options"));
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    assert!(list(&today, &[("all", "1")]).is_empty());
}

#[test]
fn a_second_platform_joins_the_image_and_the_machines_own_has_the_name() {
    let engine = bare();
    let source = Source::new();
    let _server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    let first = pull(&today, &name, "linux/arm64").succeeded();
    assert!(first.say("Downloaded newer image"), "{first:?}");
    assert_eq!(inspect(&today, &name, &[])["Architecture"], "arm64", "the only one that is here");
    let second = pull(&today, &name, "").succeeded();
    assert!(second.say("Downloaded newer image") && second.digest() == source.index, "{second:?}");
    assert_eq!(inspect(&today, &name, &[])["Architecture"], "amd64");
    let again = pull(&today, &name, "linux/arm64").succeeded();
    assert!(again.say("Image is up to date"), "{again:?}");
    assert_eq!(
        inspect(&today, &name, &[])["Architecture"],
        "amd64",
        "a pull of the other takes no name away"
    );

    let listed = list(&today, &[("all", "1"), ("manifests", "1")]);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(
        shown(&listed[0]["Manifests"]),
        [entry("image", true, "arm64"), entry("image", true, "amd64"), entry("attestation", true, "")]
    );
    assert_eq!(today.get("/info").expect(200).json()["Images"], 1);
    let other = inspect(&today, &name, &[("platform", &platform("arm64"))]);
    assert_eq!((&other["Architecture"], &other["RepoTags"]), (&json!("arm64"), &json!([name])));
    let missing = today.get(&format!("/images/{name}/json{}", query(&[("platform", &platform("s390x"))])));
    assert!(missing.expect(404).text().contains("does not provide the specified platform (linux/s390x)"));
    let history = |of: &str| {
        let path = format!("/images/{name}/history{}", query(&[("platform", &platform(of))]));
        today.get(&path).expect(200).json().as_array().map(Vec::len)
    };
    assert_eq!((history("arm64"), history("amd64")), (Some(1), Some(2)));

    // A container of the other platform.
    let path = format!("/containers/create{}", query(&[("platform", "linux/arm64")]));
    let made = today.post_json(&path, &json!({ "Image": name, "Cmd": ["x"] })).expect(201).json();
    let id = made["Id"].as_str().expect("an id").to_owned();
    let container = today.get(&format!("/containers/{id}/json")).expect(200).json();
    assert_eq!((&container["Image"], &container["Config"]["Image"]), (&other["Id"], &json!(name)));
    let containers = today.get("/containers/json?all=1").expect(200).json();
    assert_eq!(containers[0]["Image"], name.as_str(), "it is called by the name that leads to its platform");
    let manifests = inspect(&today, &name, &[("manifests", "1")])["Manifests"].clone();
    assert_eq!(manifests[0]["ImageData"]["Containers"], json!([id]));
    assert!(today.delete(&format!("/images/{name}")).expect(409).text().contains("is using"));
    let _ = today.delete(&format!("/containers/{id}")).expect(204);
    let removed = today.delete(&format!("/images/{name}")).expect(200).json();
    let deleted = removed.as_array().expect("a list").iter().filter(|removal| removal["Deleted"].is_string());
    assert_eq!(deleted.count(), 2, "{removed}");
    assert!(list(&today, &[("all", "1")]).is_empty());
}

#[test]
fn one_platform_is_removed_and_the_other_keeps_the_name() {
    let engine = bare();
    let source = Source::new();
    let _server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    let _ = pull(&today, &name, "").succeeded();
    let _ = pull(&today, &name, "linux/arm64").succeeded();
    let remove = |of: &str| {
        let path = format!("/images/{name}{}", query(&[("platforms", &platform(of)), ("force", "1")]));
        today.delete(&path)
    };
    let _ = remove("s390x").expect(404);
    let own = inspect(&today, &name, &[])["Id"].clone();
    assert_eq!(remove("amd64").expect(200).json(), json!([{ "Deleted": own }]));
    let left = inspect(&today, &name, &[]);
    assert_eq!((&left["Architecture"], &left["RepoTags"]), (&json!("arm64"), &json!([name])));
    assert_eq!(left["RepoDigests"], json!([format!("{NAME}@{}", source.index)]));
    let removed = remove("arm64").expect(200).json();
    assert_eq!(removed[0], json!({ "Untagged": name }), "the name goes with the last platform");
    assert!(list(&today, &[("all", "1")]).is_empty());
}
