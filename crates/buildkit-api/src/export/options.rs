//! The exporters of a build and their attributes, parsed. What is not known is refused by name.

use std::collections::BTreeMap;

use model::ImageReference;

use super::names;
use crate::grpc::Status;
use buildkit_messages::control::Exporter;

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Export {
    /// Into the engine's store under these names, and from there to registries.
    Image { names: Vec<ImageReference>, push: bool },
    /// To the client as an archive of the image, with these names in it.
    Archive { kind: ArchiveKind, names: Vec<ImageReference> },
    /// To the client as an archive of the files.
    Files,
    /// To the client as a directory of the files.
    Directory,
}

/// What an archive of an image calls itself. Both are an image layout with a `manifest.json` beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArchiveKind {
    Docker,
    Oci,
}

impl ArchiveKind {
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Docker => "exporting to docker image format",
            Self::Oci => "exporting to oci image format",
        }
    }
}

impl Export {
    /// Parses an exporter.
    ///
    /// # Errors
    /// `Unimplemented` for a kind or an attribute that is not supported, `InvalidArgument` for an invalid value.
    pub(super) fn parse(exporter: &Exporter) -> Result<Self, Status> {
        let mut attributes = Attributes::default();
        let sorted: BTreeMap<_, _> = exporter.attributes.iter().collect();
        for (name, value) in sorted {
            attributes.take(&exporter.kind, name, value)?;
        }
        let Attributes { names, push } = attributes;
        match exporter.kind.as_str() {
            "image" | "moby" if push && names.is_empty() => {
                Err(Status::invalid("an image that is pushed needs a name"))
            }
            "image" | "moby" => Ok(Self::Image { names, push }),
            "docker" => Ok(Self::Archive { kind: ArchiveKind::Docker, names }),
            "oci" => Ok(Self::Archive { kind: ArchiveKind::Oci, names }),
            "tar" => Ok(Self::Files),
            "local" => Ok(Self::Directory),
            other => Err(Status::unimplemented(format!("exporter {other:?} is not supported"))),
        }
    }
}

#[derive(Debug, Default)]
struct Attributes {
    names: Vec<ImageReference>,
    push: bool,
}

impl Attributes {
    fn take(&mut self, kind: &str, name: &str, value: &str) -> Result<(), Status> {
        let flag = || match value {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(Status::invalid(format!("exporter attribute {name} is no boolean: {other:?}"))),
        };
        let refuse = |why: &str| {
            Err(Status::unimplemented(format!(
                "exporter attribute {name}={value} of {kind} is not supported: {why}"
            )))
        };
        match name {
            "name" => self.names = names::parse(value)?,
            "push" => self.push = flag()?,
            "tar" if !flag()? => return refuse("images are sent as archives"),
            "push-by-digest" if flag()? => return refuse("images are pushed by name"),
            "store" if !flag()? => return refuse("images are made in the engine's store"),
            "rewrite-timestamp" if flag()? => return refuse("files keep their times"),
            "platform-split" if flag()? => return refuse("results are for one platform"),
            "compression" if !matches!(value, "" | "gzip") => return refuse("layers are packed with gzip"),
            // What is so in any case, what the client does itself, or what it need not have (`unpack=false`).
            "tar"
            | "push-by-digest"
            | "store"
            | "rewrite-timestamp"
            | "platform-split"
            | "unpack"
            | "compression"
            | "force-compression"
            | "oci-mediatypes"
            | "name-canonical"
            | "buildinfo"
            | "dest"
            | "prefer-image-digest" => {}
            _ => return refuse("it is not known"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::grpc::Code;

    fn parse(kind: &str, attributes: &[(&str, &str)]) -> Result<Export, Status> {
        let owned = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Export::parse(&Exporter { kind: kind.to_owned(), attributes: owned.collect::<HashMap<_, _>>() })
    }

    #[test]
    fn exporters_are_told_apart() {
        let export = parse("moby", &[("name", "a,b:c"), ("unpack", "true")]).expect("an exporter");
        let Export::Image { names, push: false } = export else { panic!("{export:?}") };
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:latest", "b:c"]);
        assert_eq!(parse("local", &[]).expect("an exporter"), Export::Directory);
        assert_eq!(parse("tar", &[]).expect("an exporter"), Export::Files);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (kind, name, value) in [
            ("nosuch", "name", "a"),
            ("image", "nosuch", "1"),
            ("oci", "tar", "false"),
            ("image", "compression", "zstd"),
        ] {
            assert_eq!(
                parse(kind, &[(name, value)]).expect_err(kind).code,
                Code::Unimplemented,
                "{kind} {name}"
            );
        }
        assert_eq!(parse("image", &[("push", "true")]).expect_err("no name").code, Code::InvalidArgument);
        assert_eq!(parse("image", &[("name", "A B")]).expect_err("no name").code, Code::InvalidArgument);
    }
}
