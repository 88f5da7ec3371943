//! Steps that are refused, and odd forms that are taken, each by its text.

use std::os::unix::fs::MetadataExt;

use crate::fixture::{Archive, Fixture, context};
use crate::{BuildError, Intermediate, Wording};

#[test]
fn a_step_that_cannot_be_is_refused_when_it_is_reached() {
    let fixture = Fixture::new();
    for (rest, want) in [
        ("VOLUME /etc/passwd", "cannot mount volume over existing file, file exists /etc/passwd"),
        ("VOLUME /etc/passwd/below", "cannot mount volume over existing file, file exists /etc/passwd/below"),
        ("RUN []", "No command specified"),
        ("ENV \"\"=x", "ENV names can not be blank"),
        ("ENV $empty=x", "ENV names can not be blank"),
        ("LABEL \"\"=x", "LABEL names can not be blank"),
        ("ADD ../../ /x", "Forbidden path outside the build context: ../../ (../../)"),
        ("COPY d/../.. /x", "Forbidden path outside the build context: d/../.. (d/../..)"),
        ("COPY --chown=zz d /x", "can't find uid for zz"),
    ] {
        let archive = context(&format!("FROM base\n{rest}")).directory("d/");
        let text = fixture.stream_of(archive);
        assert!(text.ends_with(&format!("ERROR {want}")), "{rest}: {text}");
    }
    for rest in ["VOLUME /tmp /new", "VOLUME /lnk"] {
        assert!(fixture.build(context(&format!("FROM base\n{rest}"))).result.is_ok(), "{rest}");
    }
}

/// Every step's image has the whole configuration.
#[test]
fn configurations_that_are_repeated_by_every_step_are_bounded() {
    let fixture = Fixture::new();
    let steps = format!("CMD [\"{}\"]\n{}", "x".repeat(1_900_000), "ENV b=1\nENV b=2\n".repeat(30));
    let text = fixture.stream(&steps);
    let end = text.lines().last().unwrap_or_default();
    assert!(
        end.ends_with("ERROR the steps of a build make no more than 67108864 bytes of configuration"),
        "{end}"
    );
}

#[test]
fn an_empty_list_runs_the_images_command() {
    let fixture = Fixture::new();
    let text = fixture.stream("CMD [\"x\", \"echo inherited\"]\nRUN []");
    assert!(text.contains("RUN \n~ inherited\n"), "{text}");
}

#[test]
fn containers_that_are_kept_are_there_for_every_step() {
    let fixture = Fixture::new();
    let archive = context("FROM base\nCOPY f /f\nENV a=b\nRUN echo hi").file("f", "x");
    fixture.build_with(archive, |request| request.intermediate = Intermediate::Keep).result.unwrap();
    assert_eq!(fixture.runner.alive.lock().unwrap().len(), 3);
    let archive = context("FROM base\nCOPY g /g\nENV a=c").file("g", "x");
    fixture.build(archive).result.unwrap();
    assert_eq!(fixture.runner.alive.lock().unwrap().len(), 3, "others need no container");
}

#[test]
fn triggers_are_looked_at_when_they_run() {
    let fixture = Fixture::new();
    for (trigger, want) in [
        ("FOO x", "Unknown instruction: FOO"),
        ("RUN", "RUN requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
    ] {
        let built = fixture.build_with(context(&format!("FROM base\nONBUILD {trigger}")), |request| {
            request.names = vec![model::ImageReference::parse("triggers").unwrap()]
        });
        let image = fixture.store.image(&built.result.unwrap()).unwrap();
        assert_eq!(image.config.config.unwrap().on_build.unwrap(), [trigger]);
        let child = fixture.build(context("FROM triggers"));
        assert_eq!(child.result.unwrap_err().to_string(), want);
    }
}

#[test]
fn triggers_of_an_image_are_named_as_the_image_has_them() {
    let fixture = Fixture::new();
    let changes = ["ONBUILD anything at all".to_owned()];
    let config =
        crate::apply_changes(images::document::Config::default(), &changes, Wording::Reference).unwrap();
    assert_eq!(config.on_build.unwrap(), ["anything at all"]);
    for (change, want) in [
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("ONBUILD onbuild RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"),
    ] {
        let error = crate::apply_changes(
            images::document::Config::default(),
            &[change.to_owned()],
            Wording::Reference,
        )
        .unwrap_err();
        assert_eq!(error.to_string(), want);
    }
    for (trigger, want) in [
        ("FROM x", "from isn't allowed as an ONBUILD trigger"),
        ("MAINTAINER x", "maintainer isn't allowed as an ONBUILD trigger"),
        ("anything at all", "Unknown instruction: ANYTHING"),
    ] {
        let config = images::document::Config {
            on_build: Some(vec![trigger.to_owned()]),
            ..images::document::Config::default()
        };
        let options = images::ImportOptions {
            reference: Some(model::ImageReference::parse("triggers").unwrap()),
            config: Some(config),
            ..images::ImportOptions::default()
        };
        fixture.store.import(Archive::new().file("a", "a").bytes().as_slice(), &options).unwrap();
        let built = fixture.build(context("FROM triggers"));
        assert_eq!(built.result.unwrap_err().to_string(), want, "{trigger}");
        let _ = fixture.store.remove("triggers", images::RemoveOptions::default()).unwrap();
    }
}

#[test]
fn links_of_the_context_lead_into_it() {
    let fixture = Fixture::new();
    let links = |archive: Archive| {
        archive
            .directory("d/")
            .file("d/f", "inside")
            .symlink("link", "/d/f")
            .symlink("directory", "/d")
            .symlink("out", "/etc/passwd")
            .symlink("up", "/../etc")
            .symlink("higher", "../../../d/f")
            .symlink("d/higher", "../../d/../../d")
            .symlink("missing", "../../etc")
    };
    let image = fixture.image(links(context(
        "FROM base\nCOPY link /a\nADD directory /b\nCOPY directory/f /c\n\
         COPY higher /e\nADD d/higher/../d/f /g",
    )));
    for path in ["a", "b/f", "c", "e", "g"] {
        assert_eq!(fixture.read(&image, path), "inside", "{path}");
    }
    for (word, target) in [("out", "/etc/passwd"), ("up", "/../etc"), ("missing", "../../etc")] {
        let text = fixture.stream_of(links(context(&format!("FROM base\nCOPY {word} /x"))));
        let want = format!("ERROR Forbidden path outside the build context: {word} ({target})");
        assert!(text.ends_with(&want), "{text}");
    }
}

#[test]
fn hard_links_to_what_is_no_file_are_kept() {
    let fixture = Fixture::new();
    for text in ["FROM base\nCOPY d /d", "FROM base AS one\nCOPY d /d\nFROM scratch\nCOPY --from=one d /d"] {
        let archive = context(text)
            .directory("d/")
            .symlink("d/other", "target")
            .symlink("d/link", "target")
            .hard_link("d/link2", "d/link")
            .hard_link("d/link3", "d/link2")
            .entry("d/fifo", tar::EntryType::Fifo, |_| {}, b"")
            .hard_link("d/fifo2", "d/fifo");
        let image = fixture.image(archive);
        let top = fixture.top_layer(&image);
        for (line, how) in
            [("d/link2 777 0:0 -> target 2015", "a symlink"), ("d/fifo2 644 0:0 fifo 2015", "a FIFO")]
        {
            assert!(top.iter().any(|found| found == line), "{how}: {top:?}");
        }
        let layer = fixture.store.lower_directories(&image)[0].clone();
        let inode = |name: &str| std::fs::symlink_metadata(layer.join("d").join(name)).unwrap().ino();
        assert_eq!([inode("link2"), inode("link3")], [inode("link"); 2], "{text}: a symbolic link's names");
        assert_eq!(inode("fifo2"), inode("fifo"), "{text}: a FIFO's names");
        assert_ne!(inode("other"), inode("link"), "{text}: another link with the same target");
    }
    let archive = context("FROM base\nCOPY d /d").directory("d/").hard_link("d/x", "d");
    let error = fixture.build(archive).result.unwrap_err().to_string();
    assert_eq!(error, "cannot unpack d/x of the build context: the link's target d is not in it");
}

#[test]
fn names_that_mark_deletions_cannot_be_stored() {
    let fixture = Fixture::new();
    let archive = context("FROM base\nCOPY d /d").directory("d/").file("d/.wh.x", "lost");
    let error = fixture.build(archive).result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot store \"d/.wh.x\" in a layer: names that begin with .wh. mark what a layer deletes"
    );
    assert!(matches!(error, BuildError::Images(_)));
}
