//! The attributes of a cache export, each read once; an ineffective one is a warning, an unknown one a refusal.

use std::collections::{BTreeMap, HashMap};

use engine::images::registry::Form;
use model::ImageReference;

use crate::grpc::Status;
use crate::layer_compression::{Compression, LayerCompression};

/// The images of a build that go into a cache.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheMode {
    /// The result.
    #[default]
    Result,
    /// Every stage.
    Stages,
}

/// The attributes of a cache export.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) reference: Option<ImageReference>,
    pub(super) directory: Option<String>,
    pub(super) mode: CacheMode,
    pub(super) compression: LayerCompression,
    /// Whether existing blobs of layers are not used; the layers of a directory are always packed.
    pub(super) forces_compression: bool,
    pub(super) ignores_errors: bool,
    /// Warnings about attributes without effect.
    pub(super) warnings: Vec<String>,
}

impl Attributes {
    /// Reads the attributes of an export of this kind.
    ///
    /// # Errors
    /// `Unimplemented` for one that is not supported, `InvalidArgument` for an invalid value.
    pub(super) fn read(kind: &str, attributes: &HashMap<String, String>) -> Result<Self, Status> {
        let mut read = Self::default();
        let sorted: BTreeMap<_, _> = attributes.iter().collect();
        for (name, value) in sorted {
            read.take(kind, name, value)?;
        }
        Ok(read)
    }

    fn take(&mut self, kind: &str, name: &str, value: &str) -> Result<(), Status> {
        let refuse = |why: &str| {
            let text = format!("cache export attribute {name}={value} of {kind} is not supported{why}");
            Err(Status::unimplemented(text))
        };
        match (kind, name) {
            ("registry", "ref") => self.reference = Some(parse_reference(value)?),
            ("local", "dest") => self.directory = Some(value.to_owned()),
            // The client writes it into its index.
            ("local", "tag") => {}
            (_, "mode") => {
                self.mode = match value {
                    "min" | "" => CacheMode::Result,
                    "max" => CacheMode::Stages,
                    other => {
                        return Err(Status::invalid(format!("the mode {other:?} is neither min nor max")));
                    }
                }
            }
            (_, "ignore-error") => self.ignores_errors = flag(name, value)?,
            (_, "compression") => match Compression::parse(value) {
                Some(compression) => self.compression.kind = Some(compression),
                None => return refuse(": layers are packed with gzip or zstd, or uncompressed"),
            },
            (_, "compression-level") => self.compression.set_level(value)?,
            (_, "force-compression") => self.forces_compression = flag(name, value)?,
            (_, "oci-mediatypes") if flag(name, value)? => {}
            (_, "oci-mediatypes") => self.has_no_effect(name, value, "caches have the types of the OCI"),
            (_, "image-manifest") if flag(name, value)? => {
                self.has_no_effect(name, value, "caches are indexes of images");
            }
            (_, "image-manifest") => {}
            ("registry", "registry.insecure") if flag(name, value)? => {
                self.has_no_effect(name, value, "the engine's settings say which registries are insecure");
            }
            ("registry", "registry.insecure") => {}
            _ => return refuse(""),
        }
        Ok(())
    }

    fn has_no_effect(&mut self, name: &str, value: &str, why: &str) {
        self.warnings.push(format!("cache export attribute {name}={value} has no effect: {why}"));
    }

    /// The form of packed layers.
    ///
    /// # Errors
    /// `InvalidArgument` for a level that the compression does not have.
    pub(super) fn form(&self) -> Result<Form, Status> {
        Ok(self.compression.form()?.unwrap_or(Form::GZIPPED))
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Status> {
    match value {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(Status::invalid(format!("cache export attribute {name} is no boolean: {other:?}"))),
    }
}

/// Parses the place of a cache.
///
/// # Errors
/// `InvalidArgument` for what is no name.
pub(super) fn parse_reference(text: &str) -> Result<ImageReference, Status> {
    let reference = ImageReference::parse(text).map_err(|error| Status::invalid(error.to_string()))?;
    Ok(reference.with_default_tag())
}
