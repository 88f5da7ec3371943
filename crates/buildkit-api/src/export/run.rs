//! Runs the exporters of a build, one after the other.

use std::collections::HashMap;
use std::sync::Arc;

use engine::images::registry::LayerForm;

use super::options::{Export, ParsedExport};
use super::result::BuildOutput;
use super::{archive, directory, image};
use crate::build::Build;
use crate::grpc::Status;
use crate::made::MadeImage;
use crate::parts::Parts;
use crate::provenance::Provenance;
use buildkit_messages::control::Exporter;

/// Exporters of one build.
const EXPORTER_LIMIT: usize = 32;

/// Refuses exporters before anything is built for them; returns what of them has no effect, in words.
///
/// # Errors
/// [`Status`] for one that is not supported.
pub(crate) fn check(exporters: &[Exporter]) -> Result<Vec<String>, Status> {
    if exporters.len() > EXPORTER_LIMIT {
        return Err(Status::invalid(format!("a build has at most {EXPORTER_LIMIT} exporters")));
    }
    let parsed = exporters.iter().map(|exporter| ParsedExport::of(exporter).map(|parsed| parsed.warnings));
    Ok(parsed.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Runs the exporters of a build on its images, and returns their responses.
///
/// # Errors
/// [`Status`] of the first that fails.
pub(crate) async fn run(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    images: Vec<MadeImage>,
) -> Result<HashMap<String, String>, Status> {
    let mut response = HashMap::new();
    if images.is_empty() {
        return Ok(response);
    }
    // The images are held until the last exporter has them.
    let output = BuildOutput { images, provenance: Provenance::of_options(&build.attributes())? };
    build.set_statements(output.statements(build));
    for (number, exporter) in build.exporters.iter().enumerate() {
        match ParsedExport::of(exporter)?.export {
            Export::Image(export) => {
                let compresses = export.push.is_some_and(|layers| layers != LayerForm::default());
                let attributes =
                    [("annotation", !export.annotations.is_empty()), ("compression", compresses)];
                output.warn_if_foreign(parts, build, &attributes);
                response.extend(image::export(parts, build, &output, export).await?);
            }
            Export::Archive(export) => {
                let is_lost = export.form.is_none() && !export.annotations.is_empty();
                output.warn_if_foreign(parts, build, &[("annotation", is_lost)]);
                response.extend(archive::export_image(parts, build, number, &output, export).await?);
            }
            Export::Files { prefix, split } => {
                let files = output.files_of_archive(build, &prefix, split);
                archive::export_files(parts, build, number, files).await?;
            }
            Export::Directory { prefix, split } => {
                let files = output.files_by_platform(build, &prefix, split);
                directory::export(parts, build, number, files).await?;
            }
        }
    }
    Ok(response)
}
