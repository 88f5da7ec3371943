//! Images for other machines, and for several at once. Nothing here runs a command of another machine.

use berth_tests::registry::{Protection, Registry};
use berth_tests::{Engine, tarball};
use serde_json::Value;

use crate::client::{Order, Outcome, run};
use crate::offers::Offers;
use crate::registry::Stored;

const DOCKERFILE: &str = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n";

fn order(name: &str, platforms: &str) -> Order {
    let offers = Offers::of(DOCKERFILE, &[("amd64/a", b"amd"), ("arm64/a", b"arm")]);
    Order::of(offers, name).option("platform", platforms)
}

#[test]
fn an_image_is_built_for_another_machine() {
    let engine = Engine::start();
    run(order("other", "linux/arm64").run(engine.socket())).result.expect("a build");
    let image = engine.at("1.55").get("/images/other/json").expect(200).json();
    assert_eq!((image["Architecture"].as_str(), image["Os"].as_str()), (Some("arm64"), Some("linux")));
    engine.forget_builds();
}

#[test]
fn images_of_several_platforms_have_one_name_and_one_index() {
    let engine = Engine::start();
    let registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let exporters: &[(&str, &[(&str, &str)])] =
        &[("image", &[("name", "127.0.0.1:5000/a/many:1"), ("push", "true")])];
    let order = order("x", "linux/amd64,linux/arm64").exporters(exporters);
    let built = run(order.run(engine.socket()));
    let index = built.result.as_ref().expect("a build")["containerimage.digest"].clone();
    let stored = Stored::of(&registry);
    let document: Value = serde_json::from_slice(stored.blob(&index)).expect("an index");
    let platforms = document["manifests"].as_array().expect("manifests").iter();
    let platforms: Vec<_> = platforms.map(|one| one["platform"]["architecture"].as_str()).collect();
    assert_eq!(platforms, [Some("amd64"), Some("arm64")]);

    let today = engine.at("1.55");
    let name = "/images/127.0.0.1:5000/a/many:1";
    for architecture in ["amd64", "arm64"] {
        let platform = format!("%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22{architecture}%22%7D");
        let image = today.get(&format!("{name}/json?platform={platform}")).expect(200).json();
        assert_eq!(image["Architecture"], architecture);
    }
    let listed = today.get("/images/json").expect(200).json();
    let named = listed.as_array().expect("a list").iter();
    assert_eq!(
        named.filter(|image| image["RepoTags"] != serde_json::json!(["busybox:latest"])).count(),
        1,
        "{listed}"
    );
    engine.forget_builds();
}

/// Exports the files of two platforms, which have one of the same name.
fn files(engine: &Engine, attributes: &[(&str, &str)]) -> Outcome {
    let order = order("x", "linux/amd64,linux/arm64").option("attest:provenance", "mode=min");
    run(order.exporters(&[("local", attributes)]).run(engine.socket()))
}

fn names(built: &Outcome) -> Vec<String> {
    let names = built.received.directory.iter();
    names.map(|(stat, _)| String::from_utf8(stat.path.clone()).expect("a name")).collect()
}

#[test]
fn files_of_several_platforms_have_directories_of_their_own() {
    let engine = Engine::start();
    for attributes in [&[][..], &[("platform-split", "true")][..]] {
        let built = files(&engine, attributes);
        built.result.as_ref().expect("a build");
        let expected =
            |platform: &str| ["", "/a", "/provenance.json"].map(|name| format!("linux_{platform}{name}"));
        assert_eq!(names(&built), [expected("amd64"), expected("arm64")].concat());
        let contents = built.received.directory.iter().filter(|(stat, _)| stat.path.ends_with(b"/a"));
        assert_eq!(contents.map(|(_, content)| content.as_slice()).collect::<Vec<_>>(), [b"amd", b"arm"]);
    }
    let built = files(&engine, &[("platform-split", "false")]);
    assert_eq!(
        *built.failure(),
        (2, "cannot overwrite a from linux/amd64 with linux/arm64 when split option is disabled".to_owned())
    );
    let one = order("x", "linux/arm64").exporters(&[("local", &[("platform-split", "true")])]);
    let one = run(one.run(engine.socket()));
    one.result.as_ref().expect("a build");
    assert_eq!(names(&one), ["linux_arm64", "linux_arm64/a"]);
    engine.forget_builds();
}

#[test]
fn archives_of_files_have_directories_of_several_platforms() {
    let engine = Engine::start();
    let export = |order: Order, attributes: &[(&str, &str)]| {
        let order = order.option("attest:provenance", "mode=min").exporters(&[("tar", attributes)]);
        let built = run(order.run(engine.socket()));
        built.result.as_ref().expect("a build");
        tarball::names(&built.received.file)
    };
    let both = || order("x", "linux/amd64,linux/arm64");
    let one = || order("x", "linux/amd64");
    let several = || one().option("build-arg:BUILDKIT_MULTI_PLATFORM", "1");
    let own = |platform: &str, said: &str| ["", "/a", said].map(|name| format!("{platform}{name}"));
    let amd = own("linux_amd64", "/provenance.json");
    assert_eq!(export(both(), &[]), [amd.clone(), own("linux_arm64", "/provenance.json")].concat());
    let named = |platform: &str| own(platform, &format!("/provenance.{platform}.json"));
    let apart = export(both(), &[("platform-split", "false")]);
    assert_eq!(apart, [named("linux_amd64"), named("linux_arm64")].concat());
    assert_eq!(export(one(), &[("platform-split", "true")]), ["a", "provenance.json"]);
    assert_eq!(export(several(), &[]), amd);
    engine.forget_builds();
}

#[test]
fn a_base_that_is_here_for_another_machine_alone_is_used_and_reported() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    let base = "127.0.0.1:5000/a/base";
    let _ = engine.at("1.55").post(&format!("/images/busybox/tag?repo={base}")).expect(201);
    let order = |file: &str| Order::of(Offers::of(file, &[("f", b"one")]), "other");
    let dockerfile = format!("FROM {base}\nCOPY f /f\n");
    let built = run(order(&dockerfile).option("platform", "linux/arm64").run(engine.socket()));
    built.result.as_ref().expect("a build");
    let text = format!(
        "Base image {base} was pulled with platform \"linux/amd64\", expected \"linux/arm64\" for current build"
    );
    assert_eq!(built.warnings(), [format!("InvalidBaseImagePlatform: {text} (line 1)")]);
    let image = engine.at("1.55").get("/images/other/json").expect(200).json();
    assert_eq!(image["Architecture"], "arm64", "the result is for what was wanted");
    let quiet = format!("# check=skip=InvalidBaseImagePlatform\n{dockerfile}");
    let built = run(order(&quiet).option("platform", "linux/arm64").run(engine.socket()));
    built.result.as_ref().expect("a build");
    assert_eq!(built.warnings(), Vec::<String>::new());
    engine.forget_builds();
    let _ = engine.delete(&format!("/images/{base}")).expect(200);
}

#[test]
fn a_base_for_another_machine_does_not_stand_in_for_one_that_cannot_be_asked_for() {
    let engine = Engine::start();
    let _registry = Registry::start(&engine, "127.0.0.1:5000", &Protection::Open);
    // Nothing answers at the first; the second is to be asked in any case, and has none.
    for (base, mode) in [("127.0.0.1:1/a/base", "local"), ("127.0.0.1:5000/a/base", "pull")] {
        let _ = engine.at("1.55").post(&format!("/images/busybox/tag?repo={base}")).expect(201);
        let order = Order::of(Offers::of(&format!("FROM {base}\nCOPY f /f\n"), &[("f", b"one")]), "other");
        let order = order.option("platform", "linux/arm64").option("image-resolve-mode", mode);
        let refused = run(order.run(engine.socket()));
        assert!(refused.result.is_err(), "{base}: {:?}", refused.warnings());
        let _ = engine.delete(&format!("/images/{base}")).expect(200);
    }
    engine.forget_builds();
}

#[test]
fn one_platform_may_count_as_several() {
    let engine = Engine::start();
    let order = || order("x", "linux/arm64").option("build-arg:BUILDKIT_MULTI_PLATFORM", "1");
    for (attributes, expected) in
        [(&[][..], &["linux_arm64", "linux_arm64/a"][..]), (&[("platform-split", "false")][..], &["a"][..])]
    {
        let built = run(order().exporters(&[("local", attributes)]).run(engine.socket()));
        built.result.as_ref().expect("a build");
        assert_eq!(names(&built), expected);
    }
    engine.forget_builds();
}
