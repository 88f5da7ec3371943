//! A client's caches to import, and to export.

use std::collections::HashMap;

use engine::images::registry::{Form, LayerForm};
use model::{Digest, ImageReference};
use serde_json::Value;

use super::attributes::{Attributes, CacheMode};
use crate::grpc::Status;
use buildkit_messages::control::{CacheEntry, CacheOptions};

/// Caches of one build, each way.
const CACHE_LIMIT: usize = 32;

/// Where a build's cache goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CacheExport {
    /// Into a registry.
    Registry {
        reference: ImageReference,
        mode: CacheMode,
        layers: LayerForm,
        ignores_errors: bool,
        warnings: Vec<String>,
    },
    /// Into a directory of the client, its layers in this form.
    Local { directory: String, mode: CacheMode, form: Form, ignores_errors: bool, warnings: Vec<String> },
    /// Not sent: each image that is built here is a cache.
    Inline,
    /// To an unsupported service; the build continues.
    Unused(String),
}

impl CacheExport {
    /// Parses a request's caches.
    ///
    /// # Errors
    /// `Unimplemented` for a kind or an attribute that is not supported, `InvalidArgument` for an invalid value.
    pub(crate) fn of_request(options: Option<&CacheOptions>) -> Result<Vec<Self>, Status> {
        let Some(options) = options else { return Ok(Vec::new()) };
        if options.exports.len() > CACHE_LIMIT {
            return Err(Status::invalid(format!("a build has at most {CACHE_LIMIT} cache exports")));
        }
        let mut exports = options.exports.iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        // Clients that support only one.
        if !options.export_reference.is_empty() {
            let attributes = HashMap::from([("ref".to_owned(), options.export_reference.clone())]);
            exports.push(Self::parse(&CacheEntry { kind: "registry".to_owned(), attributes })?);
        }
        Ok(exports)
    }

    fn parse(entry: &CacheEntry) -> Result<Self, Status> {
        let read = || Attributes::read(&entry.kind, &entry.attributes);
        let missing = |name: &str| Status::invalid(format!("cache export to {} needs {name}", entry.kind));
        match entry.kind.as_str() {
            "inline" => Ok(Self::Inline),
            "registry" => {
                let attributes = read()?;
                let layers = LayerForm { form: attributes.form()?, is_forced: attributes.forces_compression };
                let Attributes { reference, mode, ignores_errors, warnings, .. } = attributes;
                let reference = reference.ok_or_else(|| missing("ref"))?;
                Ok(Self::Registry { reference, mode, layers, ignores_errors, warnings })
            }
            "local" => {
                let attributes = read()?;
                let form = attributes.form()?;
                let Attributes { directory, mode, ignores_errors, warnings, .. } = attributes;
                let directory = directory.ok_or_else(|| missing("dest"))?;
                Ok(Self::Local { directory, mode, form, ignores_errors, warnings })
            }
            "gha" => Ok(Self::Unused(entry.kind.clone())),
            other => Err(Status::unimplemented(format!(
                "cache export to {other} is not supported: caches go to a registry, to a directory of the client (local), or into the image (inline)"
            ))),
        }
    }

    /// Warnings about parts without effect.
    pub(crate) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Registry { warnings, .. } | Self::Local { warnings, .. } => warnings.clone(),
            Self::Inline => Vec::new(),
            Self::Unused(kind) => {
                vec![format!("the cache of the kind {kind} is not supported and is not made")]
            }
        }
    }
}

/// A cache in a directory of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalCache {
    pub(crate) directory: String,
    pub(crate) index: Digest,
}

/// The caches that a build begins with.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct CacheImports {
    /// Those in registries.
    pub(crate) references: Vec<String>,
    /// Those in directories of the client.
    pub(crate) local: Vec<LocalCache>,
    /// The kinds of others, which are not used.
    pub(crate) unused: Vec<String>,
}

impl CacheImports {
    /// Parses a request's caches; clients that call the frontend without the gateway send them in an option, as
    /// JSON.
    pub(crate) fn read(entries: &[CacheEntry], json: Option<&str>) -> Self {
        let mut imports = Self::default();
        for entry in entries {
            imports.add(&entry.kind, &|name| entry.attributes.get(name).map(String::as_str));
        }
        let listed: Vec<Value> = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        for entry in &listed {
            imports.add(entry["Type"].as_str().unwrap_or_default(), &|name| entry["Attrs"][name].as_str());
        }
        imports
    }

    fn add<'a>(&mut self, kind: &str, attribute: &dyn Fn(&str) -> Option<&'a str>) {
        let is_full = self.references.len() + self.local.len() >= CACHE_LIMIT;
        let index = attribute("digest").and_then(|digest| Digest::parse(digest).ok());
        match (kind, attribute("ref"), attribute("src"), index) {
            ("registry", Some(reference), ..) if !is_full => {
                let reference = reference.to_owned();
                if !self.references.contains(&reference) {
                    self.references.push(reference);
                }
            }
            ("local", _, Some(directory), Some(index)) if !is_full => {
                let cache = LocalCache { directory: directory.to_owned(), index };
                if !self.local.contains(&cache) {
                    self.local.push(cache);
                }
            }
            (kind, ..) => self.unused.push(kind.to_owned()),
        }
    }
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
        let digest = Digest::from_bytes([7; 32]);
        let text = digest.to_string();
        let local = [("src", "/d"), ("digest", text.as_str())];
        let imports = CacheImports::read(
            &[entry("gha", &[]), entry("local", &local), entry("local", &[("src", "/e")])],
            Some(json),
        );
        assert_eq!(imports.references, ["a/b:c"]);
        assert_eq!(imports.local, [LocalCache { directory: "/d".to_owned(), index: digest }]);
        assert_eq!(imports.unused, ["gha", "local"], "without an index there is nothing to read");
    }

    #[test]
    fn caches_go_where_their_attributes_say() {
        let parsed = CacheExport::parse(&entry("registry", &[("ref", "h:5/a"), ("mode", "max")]));
        let Ok(CacheExport::Registry { reference, mode, ignores_errors: false, .. }) = parsed else {
            panic!("{parsed:?}")
        };
        assert_eq!((reference.to_string().as_str(), mode), ("h:5/a:latest", CacheMode::Stages));
        assert!(matches!(CacheExport::parse(&entry("inline", &[])), Ok(CacheExport::Inline)));
        let form = |attributes: &[(&str, &str)]| {
            let parsed = CacheExport::parse(&entry("local", &[attributes, &[("dest", "/d")]].concat()));
            let Ok(CacheExport::Local { directory, form, .. }) = parsed else { panic!("{parsed:?}") };
            assert_eq!(directory, "/d");
            form
        };
        assert_eq!(form(&[("tag", "x"), ("mode", "min")]), Form::GZIPPED);
        assert_eq!(form(&[("compression", "uncompressed")]), Form::Plain);
        assert_eq!(form(&[("compression-level", "9")]), Form::Gzipped { level: 9 });
        assert_eq!(form(&[("compression", "zstd")]), Form::Zstd { level: 0 });
        assert_eq!(form(&[("compression", "zstd"), ("compression-level", "22")]), Form::Zstd { level: 22 });
        for (kind, attributes, code) in [
            ("s3", &[][..], Code::Unimplemented),
            ("local", &[("mode", "max")][..], Code::InvalidArgument),
            ("local", &[("dest", "x"), ("compression", "estargz")][..], Code::Unimplemented),
            ("local", &[("dest", "x"), ("compression-level", "10")][..], Code::InvalidArgument),
            ("local", &[("dest", "x"), ("ref", "a")][..], Code::Unimplemented),
            ("registry", &[("ref", "a"), ("nosuch", "1")][..], Code::Unimplemented),
            ("registry", &[("ref", "a"), ("compression", "estargz")][..], Code::Unimplemented),
            ("registry", &[("ref", "a"), ("ignore-error", "maybe")][..], Code::InvalidArgument),
            ("registry", &[("ref", "a"), ("mode", "all")][..], Code::InvalidArgument),
            ("registry", &[][..], Code::InvalidArgument),
            ("registry", &[("ref", "NO NAME")][..], Code::InvalidArgument),
        ] {
            assert_eq!(
                CacheExport::parse(&entry(kind, attributes)).expect_err(kind).code,
                code,
                "{attributes:?}"
            );
        }
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let warnings = |attribute: (&str, &str)| {
            let parsed = CacheExport::parse(&entry("registry", &[("ref", "a"), attribute]));
            parsed.expect("an export").warnings()
        };
        for (name, value, is_warned) in [
            ("oci-mediatypes", "false", true),
            ("oci-mediatypes", "true", false),
            ("image-manifest", "true", true),
            ("image-manifest", "false", false),
            ("registry.insecure", "true", true),
            ("compression-level", "3", false),
            ("compression", "zstd", false),
            ("force-compression", "true", false),
            ("compression", "gzip", false),
        ] {
            let warnings = warnings((name, value));
            let named = format!("cache export attribute {name}={value} has no effect");
            assert_eq!(
                warnings.iter().any(|warning| warning.starts_with(&named)),
                is_warned,
                "{name}={value}"
            );
        }
    }
}
