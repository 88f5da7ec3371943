//! Which caches a client wants a build to begin with, and where it wants its own.

use std::collections::{BTreeMap, HashMap};

use model::ImageReference;
use serde_json::Value;

use crate::grpc::Status;
use buildkit_messages::control::{CacheEntry, CacheOptions};

/// Caches of one build, each way.
const CACHE_LIMIT: usize = 32;

/// The images of a build that go into a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CacheMode {
    /// The result.
    Result,
    /// Every stage.
    Stages,
}

/// Where a build's cache goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CacheExport {
    /// Into a registry.
    Registry { reference: ImageReference, mode: CacheMode, ignores_errors: bool },
    /// Nowhere: each image that is built here is a cache.
    Inline,
    /// To a service that is not used; the build goes on.
    Unused(String),
}

impl CacheExport {
    /// Reads what a request wants.
    ///
    /// # Errors
    /// `Unimplemented` for a kind or an attribute that is not supported, `InvalidArgument` for an invalid value.
    pub(crate) fn of_request(options: Option<&CacheOptions>) -> Result<Vec<Self>, Status> {
        let Some(options) = options else { return Ok(Vec::new()) };
        if options.exports.len() > CACHE_LIMIT {
            return Err(Status::invalid(format!("a build has at most {CACHE_LIMIT} cache exports")));
        }
        let mut exports = options.exports.iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        // Clients that know one only.
        if !options.export_reference.is_empty() {
            let attributes = HashMap::from([("ref".to_owned(), options.export_reference.clone())]);
            exports.push(Self::parse(&CacheEntry { kind: "registry".to_owned(), attributes })?);
        }
        Ok(exports)
    }

    fn parse(entry: &CacheEntry) -> Result<Self, Status> {
        match entry.kind.as_str() {
            "inline" => Ok(Self::Inline),
            "registry" => Self::registry(&entry.attributes),
            "gha" => Ok(Self::Unused(entry.kind.clone())),
            other => Err(Status::unimplemented(format!(
                "cache export to {other} is not supported: caches go to a registry, or into the image (inline)"
            ))),
        }
    }

    fn registry(attributes: &HashMap<String, String>) -> Result<Self, Status> {
        let (mut reference, mut mode, mut ignores_errors) = (None, CacheMode::Result, false);
        let sorted: BTreeMap<_, _> = attributes.iter().collect();
        for (name, value) in sorted {
            match (name.as_str(), value.as_str()) {
                ("ref", text) => reference = Some(parse_reference(text)?),
                ("mode", "min" | "") => mode = CacheMode::Result,
                ("mode", "max") => mode = CacheMode::Stages,
                ("ignore-error", value) => ignores_errors = matches!(value, "true" | "1" | ""),
                // What is so in any case.
                ("compression", "gzip" | "")
                | ("oci-mediatypes" | "image-manifest" | "registry.insecure", _) => {}
                ("force-compression" | "compression-level", _) => {}
                _ => {
                    let text = format!("cache export attribute {name}={value} of registry is not supported");
                    return Err(Status::unimplemented(text));
                }
            }
        }
        let missing = || Status::invalid("cache export to registry needs ref");
        Ok(Self::Registry { reference: reference.ok_or_else(missing)?, mode, ignores_errors })
    }
}

/// The caches that a build begins with.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct CacheImports {
    /// Those in registries.
    pub(crate) references: Vec<String>,
    /// The kinds of others, which are not used.
    pub(crate) unused: Vec<String>,
}

impl CacheImports {
    /// Reads what a request wants; clients that call the frontend without the gateway say it in an option, as JSON.
    pub(crate) fn read(entries: &[CacheEntry], json: Option<&str>) -> Self {
        let mut imports = Self::default();
        for entry in entries {
            imports.add(&entry.kind, entry.attributes.get("ref").map(String::as_str));
        }
        let listed: Vec<Value> = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        for entry in &listed {
            imports.add(entry["Type"].as_str().unwrap_or_default(), entry["Attrs"]["ref"].as_str());
        }
        imports
    }

    fn add(&mut self, kind: &str, reference: Option<&str>) {
        match (kind, reference) {
            ("registry", Some(reference)) if self.references.len() < CACHE_LIMIT => {
                let reference = reference.to_owned();
                if !self.references.contains(&reference) {
                    self.references.push(reference);
                }
            }
            (kind, _) => self.unused.push(kind.to_owned()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::Code;

    fn entry(kind: &str, attributes: &[(&str, &str)]) -> CacheEntry {
        let owned = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        CacheEntry { kind: kind.to_owned(), attributes: owned.collect() }
    }

    #[test]
    fn images_are_told_from_other_caches() {
        let json = r#"[{"Type":"registry","Attrs":{"ref":"a/b:c"}}]"#;
        let imports = CacheImports::read(&[entry("gha", &[])], Some(json));
        assert_eq!(imports.references, ["a/b:c"]);
        assert_eq!(imports.unused, ["gha"]);
    }

    #[test]
    fn caches_go_to_registries_as_their_attributes_say() {
        let parsed = CacheExport::parse(&entry("registry", &[("ref", "h:5/a"), ("mode", "max")]));
        let Ok(CacheExport::Registry { reference, mode, ignores_errors: false }) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!((reference.to_string().as_str(), mode), ("h:5/a:latest", CacheMode::Stages));
        assert!(matches!(CacheExport::parse(&entry("inline", &[])), Ok(CacheExport::Inline)));
        for (kind, attributes, code) in [
            ("s3", &[][..], Code::Unimplemented),
            ("local", &[("dest", "x")][..], Code::Unimplemented),
            ("registry", &[("ref", "a"), ("nosuch", "1")][..], Code::Unimplemented),
            ("registry", &[][..], Code::InvalidArgument),
            ("registry", &[("ref", "NO NAME")][..], Code::InvalidArgument),
        ] {
            assert_eq!(CacheExport::parse(&entry(kind, attributes)).expect_err(kind).code, code, "{kind}");
        }
    }
}
