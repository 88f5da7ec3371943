//! Which steps are found in the cache, and which build makes the others.

use std::sync::atomic::Ordering;

use images::RemoveOptions;
use model::ErrorKind;

use crate::Order;
use crate::execution::stage::Stage;
use crate::fixture::{Archive, Fixture, context};

#[test]
fn cached_until_something_changes() {
    let fixture = Fixture::new();
    let text = "FROM base\nRUN echo a > /m\nCOPY f /f\nENV a=b";
    let with = |archive: Archive| fixture.build(archive);
    let first = with(context(text).file("f", "1"));
    let steps = "Step 1 : RUN echo a > /m\n~ -> RM Step 2 : COPY f /f\n-> RM Step 3 : ENV a b\n~ -> RM OK";
    assert!(first.text.ends_with(steps), "{}", first.text);
    let hits = |text: &str| text.matches("Using cache").count();
    let again = with(context(text).file("f", "1"));
    assert_eq!((again.result.unwrap(), hits(&again.text)), (first.result.unwrap(), 3));
    let later = |header: &mut tar::Header| header.set_mtime(1);
    let touched = with(context(text).entry("f", tar::EntryType::Regular, later, b"1"));
    assert_eq!(hits(&touched.text), 3);
    assert_eq!(hits(&with(context(text).file("f", "2")).text), 1);
    assert_eq!(hits(&with(context(text).file_of("f", "1", 0o755, 0, 0)).text), 1);
    assert_eq!(hits(&with(context(text).file_of("f", "1", 0o644, 7, 0)).text), 1);
    let uncached = fixture.build_with(context(text).file("f", "1"), |request| request.no_cache = true);
    assert_eq!(hits(&uncached.text), 0);
    let newest = with(context(text).file("f", "1"));
    assert_eq!(newest.result.unwrap(), uncached.result.unwrap());
    assert_eq!(hits(&with(context("FROM base\nRUN echo b > /m\nCOPY f /f").file("f", "1")).text), 0);
}

#[test]
fn the_cache_tells_apart_what_a_command_can_see() {
    let fixture = Fixture::new();
    let hit = |text: &str| fixture.build(context(text)).text.contains("Using cache");
    assert!(!hit("FROM base\nENV a=1\nRUN echo $a"));
    assert!(!hit("FROM base\nENV a=2\nRUN echo $a"));
    assert!(!hit("FROM base\nWORKDIR /x\nRUN echo $a"));
    assert!(!hit("FROM base\nUSER x\nRUN echo $a"));
    assert!(hit("FROM base\nENV a=1\nRUN other"));
}

#[test]
fn builds_of_the_same_file_share_their_work() {
    let fixture = Fixture::new();
    let results: Vec<_> = std::thread::scope(|scope| {
        let builds: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fixture.build(context("FROM base\nRUN pause; echo x > /x"))))
            .collect();
        builds.into_iter().map(|build| build.join().unwrap().result.unwrap()).collect()
    });
    assert!(results.iter().all(|image| *image == results[0]));
    assert_eq!(fixture.runner.runs.load(Ordering::Relaxed), 1);
}

#[test]
fn a_failing_build_does_not_hold_up_the_same_one() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        let builds: Vec<_> =
            (0..3).map(|_| scope.spawn(|| fixture.build(context("FROM base\nRUN pause; exit 1")))).collect();
        for build in builds {
            assert!(build.join().unwrap().result.is_err());
        }
    });
    assert_eq!(fixture.runner.runs.load(Ordering::Relaxed), 3);
}

#[test]
fn steps_that_change_nothing_share_one_layer_directory() {
    let fixture = Fixture::new();
    let image = fixture.image(context("FROM base\nRUN a\nRUN echo x > /x\nRUN b"));
    assert_eq!(image.config.rootfs.diff_ids.len(), 4);
    assert_eq!(fixture.store.lower_directories(&image).len(), 3);
}

#[test]
fn a_stage_does_not_go_on_from_an_image_that_was_removed_since_it_was_found() {
    let fixture = Fixture::new();
    // It has the layers of the base alone, which stay.
    let image = fixture.image(context("FROM base\nLABEL a=b"));
    let _ = fixture.store.remove(&image.id.hexadecimal(), RemoveOptions::default()).unwrap();
    let mut stage = Stage::scratch(None, None, Order::Written);
    let error = stage.advance(&image, &fixture.store).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(stage.image.is_none() && stage.layers.is_empty(), "it is where it was");
}
