//! What the tests of caches have in common: a build of two stages whose steps a second build takes from what was kept.

use berth_tests::Engine;
use buildkit_messages::control::CacheEntry;

use crate::client::Outcome;

pub(crate) const DOCKERFILE: &str =
    "FROM busybox AS made\nRUN echo made > /f\nFROM busybox\nRUN touch /own\nCOPY --from=made /f /f\n";
/// The step of the stage that is no part of the image.
pub(crate) const MADE: &str = "[made 2/2] RUN echo made > /f";
/// The step of the image's own stage.
pub(crate) const OWN: &str = "[stage-1 2/3] RUN touch /own";

pub(crate) fn entry(kind: &str, attributes: &[(&str, &str)]) -> CacheEntry {
    let owned = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    CacheEntry { kind: kind.to_owned(), attributes: owned.collect() }
}

/// Whether a second build, of an image called `cached`, took its own step from the cache, and the other stage's in `made`.
pub(crate) fn assert_is_reused(engine: &Engine, second: &Outcome, made: &str, mode: &str) {
    assert_eq!((second.step(MADE).as_str(), second.step(OWN).as_str()), (made, "cached"), "mode={mode}");
    assert_eq!(engine.output_of("cached", "cat /f; ls /own"), "made\n/own\n");
    let listed = engine.at("1.55").get("/images/json?all=1").expect(200).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "what was imported is no image: {listed}");
}
