//! Runs the exporters of a build, one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use super::options::Export;
use super::{archive, directory, image};
use crate::build::Build;
use crate::grpc::Status;
use crate::held::HeldImage;
use crate::parts::Parts;
use buildkit_messages::control::Exporter;

/// Exporters of one build.
const EXPORTER_LIMIT: usize = 32;

/// Refuses exporters before anything is built for them.
///
/// # Errors
/// [`Status`] for one that is not supported.
pub(crate) fn check(exporters: &[Exporter]) -> Result<(), Status> {
    if exporters.len() > EXPORTER_LIMIT {
        return Err(Status::invalid(format!("a build has at most {EXPORTER_LIMIT} exporters")));
    }
    exporters.iter().try_for_each(|exporter| Export::parse(exporter).map(drop))
}

/// Hands an image to the exporters of its build, and gives what they say of it.
///
/// # Errors
/// [`Status`] of the first that fails.
pub(crate) async fn run(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    image: Option<HeldImage>,
) -> Result<HashMap<String, String>, Status> {
    let mut response = HashMap::new();
    // Held until the last exporter has it.
    let Some(held) = image else { return Ok(response) };
    let image = held.id;
    for (number, exporter) in build.exporters.iter().enumerate() {
        match Export::parse(exporter)? {
            Export::Image { names, push } => {
                response.extend(image::export(parts, build, image, names, push).await?);
            }
            Export::Archive { kind, names } => {
                archive::export_image(parts, build, number, image, (kind, names)).await?;
                response.extend(image::digests(&image));
            }
            Export::Files => archive::export_files(parts, build, number, image).await?,
            Export::Directory => directory::export(parts, build, number, image).await?,
        }
    }
    Ok(response)
}
