//! Of the images of an archive those for the requested platforms are loaded.

use berth_tests::tarball::{self, TAR};
use berth_tests::{Answer, Client, query};
use tar::EntryType;

use crate::source::{NAME, Source, bare, entry, inspect, list, platform, pull, shown};

/// Loads an archive for some architectures.
fn load(client: &Client, archive: &[u8], architectures: &[&str]) -> Answer {
    let wanted: Vec<String> = architectures.iter().map(|architecture| platform(architecture)).collect();
    let wanted: Vec<(&str, &str)> = wanted.iter().map(|wanted| ("platform", wanted.as_str())).collect();
    client.call("POST", &format!("/images/load{}", query(&wanted)), &TAR, archive)
}

#[test]
fn the_platform_of_a_load_chooses() {
    let engine = bare();
    let source = Source::new();
    let server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    let _ = pull(&today, &name, "").succeeded();
    let _ = pull(&today, &name, "linux/arm64").succeeded();
    drop(server);
    let saved = today.get(&format!("/images/{name}/get")).expect(200).body;
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    let available = || {
        let manifests = inspect(&today, &name, &[("manifests", "1")])["Manifests"].clone();
        shown(&manifests)
    };
    let named = || inspect(&today, &name, &[])["Architecture"].clone();

    assert!(load(&today, &saved, &["arm64"]).expect(200).text().contains(&format!("Loaded image: {name}")));
    assert_eq!(
        available(),
        [entry("image", true, "arm64"), entry("image", false, "amd64"), entry("attestation", true, "")]
    );
    assert_eq!(named(), "arm64");
    let both = [entry("image", true, "arm64"), entry("image", true, "amd64"), entry("attestation", true, "")];
    let _ = load(&today, &saved, &["amd64"]).expect(200);
    assert_eq!((available(), named()), (both.to_vec(), "amd64".into()));
    let _ = load(&today, &saved, &["arm64"]).expect(200);
    assert_eq!(named(), "amd64", "the machine's own platform keeps the name");
    let _ = today.delete(&format!("/images/{name}")).expect(200);

    let missing = load(&today, &saved, &["s390x"]).stream_failure();
    let words = format!(
        "image with reference {name} was found but does not provide the specified platform (linux/s390x)"
    );
    assert_eq!(missing, words);
    let _ = load(&today, &saved, &["amd64", "s390x"]).stream_failure();
    assert!(list(&today, &[("all", "1")]).is_empty(), "a refused load left an image");
    let _ = load(&engine.at("1.51"), &saved, &["amd64", "arm64"]).expect(400);
    let _ = load(&today, &saved, &["amd64", "arm64"]).expect(200);
    assert_eq!(available(), both);
    // Before 1.48, `platform` was no parameter.
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    let _ = load(&engine.at("1.47"), &saved, &["s390x"]).expect(200);
    assert_eq!(available(), both);

    let alone = engine.at("1.43").get(&format!("/images/{name}/get")).expect(200).body;
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    let _ = load(&today, &alone, &["arm64"]).stream_failure();
    assert!(list(&today, &[("all", "1")]).is_empty(), "a refused load left an image");
    let _ = load(&today, &alone, &["amd64"]).expect(200);
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    assert!(list(&today, &[("all", "1")]).is_empty());
}

#[test]
fn an_archive_without_an_image_for_this_machine_is_loaded() {
    let engine = bare();
    let source = Source::new();
    let server = source.serve(&engine);
    let today = engine.at("1.55");
    let name = format!("{NAME}:v1");
    let _ = pull(&today, &name, "linux/arm64").succeeded();
    drop(server);
    let saved = today.get(&format!("/images/{name}/get")).expect(200).body;
    let _ = today.delete(&format!("/images/{name}")).expect(200);
    // As tools write it that know nothing of `manifest.json`.
    let entries = tarball::entries(&saved)
        .into_iter()
        .filter(|(name, entry)| entry.kind == EntryType::Regular && name != "manifest.json");
    let entries: Vec<_> =
        entries.map(|(name, entry)| tarball::raw(EntryType::Regular, &name, "", &entry.content)).collect();
    let _ = load(&today, &tarball::joined(&entries), &[]).expect(200);
    assert_eq!(inspect(&today, &name, &[])["Architecture"], "arm64");
    let _ = today.delete(&format!("/images/{name}")).expect(200);
}
