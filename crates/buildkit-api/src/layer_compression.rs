//! The compression of exported layers, from the attributes of exporters and cache exports.

use engine::images::registry::Form;

use crate::grpc::Status;

/// The highest levels: zlib's, and zstd's.
const GZIP_LEVELS: u32 = 9;
const ZSTD_LEVELS: u32 = 22;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
    None,
}

impl Compression {
    /// Reads an attribute; `None` for what layers are not packed with.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        match value {
            "gzip" | "" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "uncompressed" => Some(Self::None),
            _ => None,
        }
    }
}

/// The attributes for the compression of layers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerCompression {
    pub(crate) kind: Option<Compression>,
    pub(crate) level: Option<u32>,
}

impl LayerCompression {
    /// Reads a level.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no number.
    pub(crate) fn set_level(&mut self, value: &str) -> Result<(), Status> {
        let invalid = |_| Status::invalid(format!("the compression level {value:?} is no number"));
        self.level = Some(value.parse().map_err(invalid)?);
        Ok(())
    }

    /// The form in which layers are written; `None` where it is not set.
    ///
    /// # Errors
    /// `InvalidArgument` for a level that the compression does not have.
    pub(crate) fn form(&self) -> Result<Option<Form>, Status> {
        let level = |most: u32| match self.level {
            Some(level) if level > most => {
                Err(Status::invalid(format!("the compression level {level} is above {most}")))
            }
            level => Ok(level),
        };
        Ok(match (self.kind, self.level) {
            (None, None) => None,
            (Some(Compression::None), _) => Some(Form::Plain),
            (None | Some(Compression::Gzip), _) => {
                Some(level(GZIP_LEVELS)?.map_or(Form::GZIPPED, |level| Form::Gzipped { level }))
            }
            (Some(Compression::Zstd), _) => {
                let level = level(ZSTD_LEVELS)?.and_then(|level| level.try_into().ok());
                Some(Form::Zstd { level: level.unwrap_or_default() })
            }
        })
    }
}
