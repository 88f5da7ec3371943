//! The puller of tests: it has one image at most.

use std::sync::Mutex;

use images::registry::{Cancellation, Platform, Progress};
use model::{Digest, ErrorKind, ImageReference};

use crate::runner::{ImagePuller, StepError};

/// Pulls nothing, or the image that a test gives it.
#[derive(Default)]
pub(crate) struct FakePuller {
    pub(crate) image: Mutex<Option<Digest>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl ImagePuller for FakePuller {
    fn pull(
        &self,
        image: &ImageReference,
        _platform: Option<&Platform>,
        progress: &dyn Progress,
        _cancellation: &Cancellation,
    ) -> Result<Digest, StepError> {
        self.asked.lock().unwrap().push(image.to_string());
        progress.report(images::registry::Message::line(format!("Pulling {image}")));
        let known = *self.image.lock().unwrap();
        known.ok_or_else(|| StepError::new(ErrorKind::NotFound, format!("Error: image {image} not found")))
    }
}
