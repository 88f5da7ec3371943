//! The attributes of a cache export, each read once; what has no effect is a warning, what is not known a refusal.

use std::collections::{BTreeMap, HashMap};

use engine::images::registry::Form;
use model::ImageReference;

use crate::grpc::Status;

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
    pub(super) compression: Compression,
    pub(super) level: Option<u32>,
    pub(super) ignores_errors: bool,
    /// What has no effect, in words.
    pub(super) warnings: Vec<String>,
}

/// How layers are compressed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    #[default]
    Gzip,
    Zstd,
    None,
}

/// The highest levels: zlib's, and zstd's.
const GZIP_LEVELS: u32 = 9;
const ZSTD_LEVELS: u32 = 22;

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
            ("local", "compression") => {
                self.compression = match value {
                    "gzip" | "" => Compression::Gzip,
                    "zstd" => Compression::Zstd,
                    "uncompressed" => Compression::None,
                    _ => return refuse(": layers are packed with gzip or zstd, or uncompressed"),
                }
            }
            (_, "compression") if matches!(value, "gzip" | "") => {}
            (_, "compression") => return refuse(": layers go to registries packed with gzip"),
            (_, "compression-level") => {
                let invalid = |_| Status::invalid(format!("the compression level {value:?} is no number"));
                self.level = Some(value.parse().map_err(invalid)?);
                if kind == "registry" {
                    self.has_no_effect(name, value, "layers go to registries at one level");
                }
            }
            // Every layer is compressed as the export says.
            (_, "force-compression") => drop(flag(name, value)?),
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

    /// What layers are packed into.
    ///
    /// # Errors
    /// `InvalidArgument` for a level that the compression does not have.
    pub(super) fn form(&self) -> Result<Form, Status> {
        let level = |most: u32| match self.level {
            Some(level) if level > most => {
                Err(Status::invalid(format!("the compression level {level} is above {most}")))
            }
            level => Ok(level),
        };
        Ok(match self.compression {
            Compression::None => Form::Plain,
            Compression::Gzip => level(GZIP_LEVELS)?.map_or(Form::GZIPPED, |level| Form::Gzipped { level }),
            Compression::Zstd => Form::Zstd {
                level: level(ZSTD_LEVELS)?.and_then(|level| level.try_into().ok()).unwrap_or_default(),
            },
        })
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
