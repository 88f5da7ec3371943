//! Builds whose images others remove meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use images::registry::{Cancellation, Platform, Progress};
use images::{ImportOptions, ListFilter, RemoveOptions, Store};
use model::{Digest, ErrorKind, ImageReference};

use super::{BuildError, context};
use crate::fixture::{Archive, Fixture};
use crate::runner::{ImagePuller, StepError};
use crate::{BuildEvent, BuildRequest, ContextSource, Session};

/// Pulls an image that is removed the first time, as soon as it is there.
struct UnluckyPuller {
    store: Store,
    pulls: AtomicUsize,
}

impl ImagePuller for UnluckyPuller {
    fn pull(
        &self,
        image: &ImageReference,
        _platform: Option<&Platform>,
        _progress: &dyn Progress,
        _cancellation: &Cancellation,
    ) -> Result<Digest, StepError> {
        let failed = |error| StepError::new(ErrorKind::Internal, error);
        let options = ImportOptions { reference: Some(image.clone()), ..ImportOptions::default() };
        let archive = Archive::new().file("pulled", "x").bytes();
        let pulled = self.store.import(archive.as_slice(), &options).map_err(failed)?.id;
        if self.pulls.fetch_add(1, Ordering::Relaxed) == 0 {
            self.store.remove(&pulled.hexadecimal(), RemoveOptions::default()).map_err(failed)?;
        }
        Ok(pulled)
    }
}

fn build(
    fixture: &Fixture,
    dockerfile: &str,
    puller: &dyn ImagePuller,
    events: &(dyn Fn(BuildEvent) + Sync),
) -> Result<Digest, BuildError> {
    let archive = context(dockerfile).file("f", "x").bytes();
    let request = BuildRequest::new(ContextSource::Archive(Box::new(std::io::Cursor::new(archive))));
    let events = |event| events(event);
    let session =
        Session { runner: &fixture.runner, puller, events: &events, cancellation: &fixture.cancellation };
    fixture.builder.build(request, &session)
}

#[test]
fn no_removal_takes_the_image_that_a_stage_goes_on_from() {
    let fixture = Fixture::new();
    let prune = |event: BuildEvent| {
        if matches!(&event, BuildEvent::Stream(text) if !text.starts_with("Step 0 ")) {
            let _ = fixture.store.prune(&ListFilter::default(), |_, _, _| {}).unwrap();
            let force = RemoveOptions { force: true, ..RemoveOptions::default() };
            let _ = fixture.store.remove("base", force);
        }
    };
    let dockerfile = "FROM base\nRUN echo a > /a\nENV b=c\nCOPY f /f\nRUN echo d > /d\nLABEL e=f\n";
    let built = build(&fixture, dockerfile, &fixture.puller, &prune);
    let image = fixture.store.image(&built.unwrap()).unwrap();
    assert_eq!(image.config.history.len(), 6);
    assert_eq!(fixture.read(&image, "d"), "d\n");
    drop(image);
    // Nothing holds it any more.
    let _ = fixture.store.prune(&ListFilter::default(), |_, _, _| {}).unwrap();
    assert_eq!(fixture.store.count(), 0);
}

#[test]
fn an_image_that_was_removed_when_it_came_is_pulled_again() {
    for dockerfile in ["FROM other:1\nRUN echo a > /a\n", "FROM base\nCOPY --from=other:1 /pulled /p\n"] {
        let fixture = Fixture::new();
        let puller = UnluckyPuller { store: fixture.store.clone(), pulls: AtomicUsize::default() };
        assert!(build(&fixture, dockerfile, &puller, &drop).is_ok(), "{dockerfile}");
        assert_eq!(puller.pulls.into_inner(), 2);
    }
}
