//! The result of a frontend.

use std::collections::HashMap;

use serde_json::json;

use crate::grpc::{Code, Status};
use crate::made::MadeImage;

/// The images that a frontend made.
#[derive(Debug, Default)]
pub(crate) enum Made {
    /// It answered a request.
    #[default]
    Nothing,
    Image(Box<MadeImage>),
    /// One for each platform, in the order of the request.
    Platforms(Vec<MadeImage>),
}

/// The result of a frontend.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) made: Made,
    pub(crate) metadata: HashMap<String, Vec<u8>>,
}

impl Outcome {
    /// The images.
    ///
    /// # Errors
    /// `FailedPrecondition` where something else was requested.
    pub(crate) fn images(self) -> Result<Vec<MadeImage>, Status> {
        match self.made {
            Made::Nothing => Err(Status::new(Code::FailedPrecondition, "the frontend made no image")),
            Made::Image(image) => Ok(vec![*image]),
            Made::Platforms(images) => Ok(images),
        }
    }
}

/// The description of images of several platforms, as clients read it of a result.
pub(super) fn platforms(images: &[MadeImage]) -> Vec<u8> {
    let platform = |image: &MadeImage| {
        let platform = &image.platform;
        json!({
            "ID": platform.to_string(),
            "Platform": { "architecture": platform.architecture, "os": platform.os, "variant": platform.variant },
        })
    };
    json!({ "Platforms": images.iter().map(platform).collect::<Vec<_>>() }).to_string().into_bytes()
}
