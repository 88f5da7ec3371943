//! Layers of classic builds in graphs, and of graphs in classic builds.

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;

use images::{Image, ImportOptions};
use model::ImageReference;

use crate::fixture::{Archive, Built, Fixture, context};
use crate::{Order, Wording};

/// Builds as a current client does in one way or the other.
fn build(fixture: &Fixture, order: Order, archive: Archive) -> Built {
    fixture.build_with(archive, |request| {
        request.order = order;
        request.wording = Wording::Today;
    })
}

fn image(fixture: &Fixture, order: Order, archive: Archive) -> Image {
    let built = build(fixture, order, archive);
    fixture.store.image(&built.result.unwrap_or_else(|error| panic!("{error}"))).expect("an image")
}

/// How many commands have run.
fn runs(fixture: &Fixture) -> usize {
    fixture.runner.runs.load(Ordering::Relaxed)
}

/// The layers that hold something.
fn layers(fixture: &Fixture, image: &Image) -> Vec<String> {
    let layers = fixture.store.layers(image).expect("layers");
    let filled = layers.iter().filter(|layer| !layer.is_empty());
    filled.map(|layer| layer.diff_id().to_string()).collect()
}

/// Every kind of step, on a base and on nothing, with a user and without, in new and in old directories.
const DOCKERFILES: [&str; 7] = [
    "FROM base\nLABEL a=b\nENV c=d\nRUN echo a > /a\nEXPOSE 80\nWORKDIR /w\nRUN echo b > /b\nCOPY f g/ h/\nCMD x\n",
    "FROM base\nWORKDIR /usr/lib\nADD f .\nUSER alice\nRUN echo a > /a\nCOPY --chown=alice f /f\n",
    "FROM base AS one\nARG v=1\nRUN echo a > /a\nFROM scratch\nCOPY --from=one /a /\nLABEL x=y\nCOPY f /f\n",
    "FROM scratch\nADD f /\nRUN echo a > /a\n",
    "FROM base AS one\nRUN echo a > /a\nLABEL x=y\nFROM base\nRUN --mount=from=one,target=/m echo b > /b\n",
    "FROM base\nARG x=1\nENV y=$x\nRUN <<EOT\necho a > /a\nEOT\nCOPY <<EOT /doc\ntext\nEOT\n",
    "FROM base\nRUN echo a > /a\nCOPY --link --chown=bob:staff --chmod=u=rw f /d/\n",
];

#[test]
fn what_one_way_builds_the_other_finds() {
    for (first, second) in [(Order::Written, Order::Graph), (Order::Graph, Order::Written)] {
        for dockerfile in DOCKERFILES {
            let fixture = Fixture::new();
            let archive = || context(dockerfile).file("f", "1").file("g/x", "2");
            let made = image(&fixture, first, archive());
            let count = runs(&fixture);
            let found = image(&fixture, second, archive());
            assert_eq!(runs(&fixture), count, "{first:?}: {dockerfile}");
            assert_eq!(layers(&fixture, &made), layers(&fixture, &found), "{first:?}: {dockerfile}");
            let comment = |image: &Image| image.config.history.last().expect("a step").comment.clone();
            let of_graph = if first == Order::Graph { &made } else { &found };
            let of_file = if first == Order::Graph { &found } else { &made };
            assert_eq!(comment(of_graph), "buildkit.dockerfile.v0", "each writes its own history");
            assert_eq!(comment(of_file), "");
        }
    }
}

#[test]
fn the_streams_say_what_was_found() {
    let fixture = Fixture::new();
    let archive = || context("FROM base\nRUN echo a > /a\nCOPY f /f\n").file("f", "1");
    drop(image(&fixture, Order::Graph, archive()));
    let text = build(&fixture, Order::Written, archive()).text;
    assert_eq!(text.matches("Using cache").count(), 2, "{text}");
}

#[test]
fn classic_builds_run_again_behind_a_label_and_graphs_do_not() {
    let fixture = Fixture::new();
    let build = |order, label: &str| {
        drop(image(&fixture, order, context(&format!("FROM base\nLABEL a={label}\nRUN echo a > /a\n"))));
        runs(&fixture)
    };
    assert_eq!(build(Order::Graph, "1"), 1);
    assert_eq!(build(Order::Graph, "2"), 1);
    assert_eq!(build(Order::Written, "2"), 1);
    assert_eq!(build(Order::Written, "3"), 2);
    assert_eq!(build(Order::Written, "4"), 3, "a classic build does not find what another one made");
    assert_eq!(build(Order::Graph, "5"), 3);
}

#[test]
fn what_differs_between_the_ways_is_made_twice() {
    for dockerfile in [
        // What is written into it is lost in a classic build.
        "FROM base\nVOLUME /tmp\nRUN echo a > /a\n",
        // The group of the same name, or the primary one.
        "FROM base\nCOPY --chown=bob f /f\nRUN echo a > /a\n",
        // Root's directory, or the user's.
        "FROM base\nUSER alice\nWORKDIR /w\nRUN echo a > /a\n",
        // ENV wins over ARG, or the last of them.
        "FROM base\nENV a=1\nARG a=2\nRUN echo a > /a\n",
        // A graph gives a new directory the mode, and the time of the directory that it is a copy of.
        "FROM base\nCOPY --chmod=700 g /new/\nRUN echo a > /a\n",
        "FROM base\nCOPY --chmod=700 f /new/\nRUN echo a > /a\n",
        "FROM base\nCOPY g /new/\nRUN echo a > /a\n",
        // Names of one file stay together, or are copies of their own.
        "FROM base\nCOPY g/x g/y /tmp/\nRUN echo a > /a\n",
    ] {
        for (first, second) in [(Order::Written, Order::Graph), (Order::Graph, Order::Written)] {
            let fixture = Fixture::new();
            let archive = || {
                context(dockerfile).file("f", "1").directory("g/").file("g/x", "2").hard_link("g/y", "g/x")
            };
            drop(image(&fixture, first, archive()));
            drop(image(&fixture, second, archive()));
            assert_eq!(runs(&fixture), 2, "{first:?}: {dockerfile}");
        }
    }
}

#[test]
fn a_linked_directory_is_dressed_in_graphs_alone() {
    for (first, second) in [(Order::Written, Order::Graph), (Order::Graph, Order::Written)] {
        let fixture = Fixture::new();
        let dockerfile = "FROM base\nCOPY --link --chmod=700 g /new/\n";
        let archive = || context(dockerfile).directory("g/").file("g/x", "2");
        let (made, other) = (image(&fixture, first, archive()), image(&fixture, second, archive()));
        assert_ne!(layers(&fixture, &made), layers(&fixture, &other), "{first:?}");
    }
}

#[test]
fn owners_in_a_context_are_not_those_of_a_stage() {
    for first in [Order::Written, Order::Graph] {
        for second in [Order::Written, Order::Graph] {
            let fixture = Fixture::new();
            let file = || Archive::new().file_of("f", "1", 0o644, 1000, 1000);
            let options = ImportOptions {
                source: "-".to_owned(),
                reference: Some(ImageReference::parse("owned").expect("a name")),
                ..ImportOptions::default()
            };
            fixture.store.import(file().bytes().as_slice(), &options).expect("an image");
            let of_context = "FROM base\nCOPY f /f\n";
            let of_image = "FROM base\nCOPY --from=owned f /f\n";
            let archive = |dockerfile: &str| file().file("Dockerfile", dockerfile);
            let one = image(&fixture, first, archive(of_context));
            let other = image(&fixture, second, archive(of_image));
            let owner = |image: &Image| {
                let top = fixture.store.lower_directories(image).remove(0);
                top.join("f").metadata().expect("a file").uid()
            };
            assert_eq!((owner(&one), owner(&other)), (0, 1000), "{first:?}, {second:?}");
        }
    }
}

#[test]
fn a_program_is_not_the_same_text_for_the_shell() {
    let fixture = Fixture::new();
    let script = "#!/bin/x\n";
    let run = |order, command: &str| {
        drop(image(&fixture, order, context(&format!("FROM base\nRUN {command}\n"))));
        runs(&fixture)
    };
    let here = format!("<<EOT\n{script}EOT");
    let shell = "[\"/bin/sh\", \"-c\", \"#!/bin/x\\n\"]";
    assert_eq!(run(Order::Graph, &here), 1);
    assert_eq!(run(Order::Written, shell), 2);
    assert_eq!(run(Order::Graph, shell), 2);
}

#[test]
fn a_copy_that_only_a_classic_build_makes_is_not_found_by_a_graph() {
    let fixture = Fixture::new();
    let archive = || context("FROM base\nCOPY d /\n").file("d/usr/lib", "a file");
    drop(image(&fixture, Order::Written, archive()));
    let failure = build(&fixture, Order::Graph, archive()).result.expect_err("a failure");
    assert!(failure.to_string().contains("usr/lib"), "{failure}");
}

#[test]
fn what_may_not_be_cached_is_not_found_by_either() {
    let fixture = Fixture::new();
    let build = |order, no_cache| {
        let built = fixture.build_with(context("FROM base\nRUN echo a > /a\n"), |request| {
            request.order = order;
            request.no_cache = no_cache;
        });
        assert!(built.result.is_ok(), "{}", built.text);
        runs(&fixture)
    };
    assert_eq!(build(Order::Written, false), 1);
    assert_eq!(build(Order::Graph, true), 2);
    assert_eq!(build(Order::Written, true), 3);
    assert_eq!(build(Order::Graph, false), 3);
}
