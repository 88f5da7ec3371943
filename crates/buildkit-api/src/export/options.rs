//! The exporters of a build and their attributes, parsed. Unknown exporters are refused by name, unknown attributes are warned
//! of.

use std::collections::BTreeMap;

use engine::images::registry::{Form, LayerForm};
use engine::images::{ArchiveKind, MediaTypes};
use model::ImageReference;

use super::annotations::WantedAnnotations;
use super::names;
use crate::grpc::Status;
use crate::layer_compression::{Compression, LayerCompression};
use buildkit_messages::control::Exporter;

/// An exporter that was parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParsedExport {
    pub(super) export: Export,
    /// Attributes that have no effect, in words.
    pub(super) warnings: Vec<String>,
}

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Export {
    /// Into the engine's store, and to registries.
    Image(ImageExport),
    /// To the client as an archive of the image.
    Archive(ArchiveExport),
    /// To the client as an archive of the files; names of attestations begin with the prefix, and without `split` name
    /// the platform too.
    Files { prefix: String, split: Option<bool> },
    /// To the client as a directory of the files, likewise; `split`: whether each platform has a directory of its own.
    Directory { prefix: String, split: Option<bool> },
}

/// An image in the engine's store, and in registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageExport {
    pub(super) names: Vec<ImageReference>,
    /// What its layers become in registries.
    pub(super) push: Option<LayerForm>,
    pub(super) annotations: WantedAnnotations,
    /// Whose media types it has, where that is said.
    pub(super) types: Option<MediaTypes>,
    /// Whether it goes to registries alone, and gets no name here.
    pub(super) is_kept: bool,
}

/// An archive of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArchiveExport {
    pub(super) kind: ArchiveKind,
    /// The names in it.
    pub(super) names: Vec<ImageReference>,
    /// The form of its layers; they stay as they are without one.
    pub(super) form: Option<Form>,
    pub(super) annotations: WantedAnnotations,
    pub(super) types: Option<MediaTypes>,
}

impl ParsedExport {
    /// Parses an exporter.
    ///
    /// # Errors
    /// `Unimplemented` for a kind that is not supported or an attribute that cannot be followed, `InvalidArgument` for an invalid value.
    pub(super) fn of(exporter: &Exporter) -> Result<Self, Status> {
        let kind = Kind::parse(&exporter.kind)?;
        let mut attributes = Attributes::default();
        let sorted: BTreeMap<_, _> = exporter.attributes.iter().collect();
        for (name, value) in sorted {
            attributes.take((kind, &exporter.kind), name, value)?;
        }
        let form = attributes.compression.form()?;
        let Attributes { names, push, forces_compression, annotations, prefix, split, .. } = attributes;
        let Attributes { types, is_unkept, mut warnings, .. } = attributes;
        let export = match kind {
            Kind::Image if push && names.is_empty() => {
                return Err(Status::invalid("an image that is pushed needs a name"));
            }
            Kind::Image => {
                let layers = LayerForm { form: form.unwrap_or(Form::GZIPPED), is_forced: forces_compression };
                if !push && layers.form != Form::GZIPPED {
                    let text = "the compression of an image that is not pushed has no effect";
                    warnings.push(format!("{text}: layers in the engine's store are not compressed"));
                }
                let push = push.then_some(layers);
                Export::Image(ImageExport { names, push, annotations, types, is_kept: !is_unkept })
            }
            Kind::Archive(kind) => {
                let form = form.filter(|form| *form != Form::Plain);
                Export::Archive(ArchiveExport { kind, names, form, annotations, types })
            }
            Kind::Files => Export::Files { prefix, split },
            Kind::Directory => Export::Directory { prefix, split },
        };
        Ok(Self { export, warnings })
    }
}

/// The kinds of exporters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Archive(ArchiveKind),
    Files,
    Directory,
}

impl Kind {
    fn parse(text: &str) -> Result<Self, Status> {
        Ok(match text {
            "image" | "moby" => Self::Image,
            "docker" => Self::Archive(ArchiveKind::Docker),
            "oci" => Self::Archive(ArchiveKind::Oci),
            "tar" => Self::Files,
            "local" => Self::Directory,
            other => return Err(Status::unimplemented(format!("exporter {other:?} could not be found"))),
        })
    }

    /// Whether what it gives is an image.
    const fn is_of_images(self) -> bool {
        matches!(self, Self::Image | Self::Archive(_))
    }
}

#[derive(Debug, Default)]
struct Attributes {
    names: Vec<ImageReference>,
    push: bool,
    compression: LayerCompression,
    forces_compression: bool,
    annotations: WantedAnnotations,
    prefix: String,
    split: Option<bool>,
    types: Option<MediaTypes>,
    is_unkept: bool,
    warnings: Vec<String>,
}

impl Attributes {
    fn take(&mut self, (kind, shown): (Kind, &str), name: &str, value: &str) -> Result<(), Status> {
        let flag = || match value {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(Status::invalid(format!("exporter attribute {name} is no boolean: {other:?}"))),
        };
        let refuse = |why: &str| {
            Err(Status::unimplemented(format!(
                "exporter attribute {name}={value} of {shown} is not supported: {why}"
            )))
        };
        let mut warn = |why: &str| {
            let text = format!("exporter attribute {name}={value} of {shown} has no effect: {why}");
            self.warnings.push(text);
            Ok(())
        };
        if kind.is_of_images() && self.annotations.take(name, value)? {
            return Ok(());
        }
        match (kind, name) {
            (_, "name") if kind.is_of_images() => self.names = names::parse(value)?,
            (_, "name") => return warn("files have no name"),
            // The client writes it there.
            (_, "dest") if kind != Kind::Image => {}
            (Kind::Image, "push") => self.push = flag()?,
            (Kind::Image, "push-by-digest") if flag()? => return refuse("images are pushed by name"),
            (Kind::Image, "push-by-digest") => {}
            (Kind::Image, "store") => self.is_unkept = !flag()?,
            // Clients send it with every push; images are always unpacked.
            (Kind::Image, "unpack") => drop(flag()?),
            (Kind::Image, "dangling-name-prefix") => {
                return warn("an image without a name is found by its id");
            }
            (Kind::Image, "name-canonical") if flag()? => {
                return warn("images that are pushed get the name of their digest in any case");
            }
            // Clients set it for every image; the response has the digests of both.
            (Kind::Image, "name-canonical" | "prefer-image-digest") => drop(flag()?),
            (Kind::Archive(_), "tar") if !flag()? => return refuse("images are sent as archives"),
            (Kind::Archive(_), "tar") => {}
            (Kind::Image | Kind::Archive(_), "compression") => match Compression::parse(value) {
                Some(compression) => self.compression.kind = Some(compression),
                None => return refuse("layers are packed with gzip or zstd, or uncompressed"),
            },
            (Kind::Image | Kind::Archive(_), "compression-level") => self.compression.set_level(value)?,
            // All layers of an archive are compressed alike.
            (Kind::Image | Kind::Archive(_), "force-compression") => self.forces_compression = flag()?,
            (Kind::Image | Kind::Archive(_), "oci-mediatypes") => {
                self.types = Some(if flag()? { MediaTypes::Oci } else { MediaTypes::Docker });
            }
            (Kind::Image | Kind::Archive(_), "buildinfo") if flag()? => {
                return warn("clients of today have no such field of images");
            }
            (Kind::Image | Kind::Archive(_), "buildinfo") => {}
            (Kind::Files | Kind::Directory, "attestation-prefix") => self.prefix = file_prefix(value)?,
            (Kind::Files | Kind::Directory, "platform-split") => self.split = Some(flag()?),
            (_, "rewrite-timestamp") if flag()? => return refuse("files keep their times"),
            (_, "rewrite-timestamp") => {}
            (_, "source-date-epoch") => {
                return refuse("the argument SOURCE_DATE_EPOCH of the build says when results were made");
            }
            (_, name) if name.starts_with("annotation") => {
                return refuse("images have annotations, by a place and a key");
            }
            _ => return warn("it is not known"),
        }
        Ok(())
    }
}

/// A prefix of names of files: attestations lie in the same directory as the files.
fn file_prefix(text: &str) -> Result<String, Status> {
    if text.contains('/') || text.contains('\0') || text.len() > PREFIX_LIMIT {
        return Err(Status::invalid(format!("{text:?} is no prefix of a file's name")));
    }
    Ok(text.to_owned())
}

/// The longest prefix: NAME_MAX leaves room for a name behind it.
const PREFIX_LIMIT: usize = 200;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::grpc::Code;

    fn parse_with_warnings(kind: &str, attributes: &[(&str, &str)]) -> Result<ParsedExport, Status> {
        let owned = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ParsedExport::of(&Exporter { kind: kind.to_owned(), attributes: owned.collect::<HashMap<_, _>>() })
    }

    fn parse(kind: &str, attributes: &[(&str, &str)]) -> Result<Export, Status> {
        parse_with_warnings(kind, attributes).map(|parsed| parsed.export)
    }

    #[test]
    fn exporters_are_told_apart() {
        let export = parse("moby", &[("name", "a,b:c"), ("unpack", "true")]).expect("an exporter");
        let Export::Image(ImageExport { names, push: None, .. }) = export else { panic!("{export:?}") };
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:latest", "b:c"]);
        assert_eq!(
            parse("local", &[("dest", "/x")]).expect("an exporter"),
            Export::Directory { prefix: String::new(), split: None }
        );
        assert_eq!(
            parse("tar", &[]).expect("an exporter"),
            Export::Files { prefix: String::new(), split: None }
        );
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (kind, name, value) in [
            ("nosuch", "name", "a"),
            ("image", "push-by-digest", "true"),
            ("image", "rewrite-timestamp", "true"),
            ("image", "source-date-epoch", "7"),
            ("oci", "tar", "false"),
            ("docker", "compression", "estargz"),
            ("image", "annotation.", "b"),
            ("local", "annotation.a", "b"),
            ("tar", "rewrite-timestamp", "true"),
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

    #[test]
    fn layers_are_packed_as_the_client_wants() {
        let push = |attributes: &[(&str, &str)]| {
            let attributes = [&[("name", "a"), ("push", "true")], attributes].concat();
            let export = parse("image", &attributes).expect("an exporter");
            let Export::Image(ImageExport { push, .. }) = export else { panic!("{export:?}") };
            push.expect("a push")
        };
        assert_eq!(push(&[]), LayerForm::default());
        let zstd = Form::Zstd { level: 19 };
        assert_eq!(
            push(&[("compression", "zstd"), ("compression-level", "19"), ("force-compression", "true")]),
            LayerForm { form: zstd, is_forced: true }
        );
        let archive = |attributes: &[(&str, &str)]| {
            let export = parse("oci", attributes).expect("an exporter");
            let Export::Archive(ArchiveExport { form, .. }) = export else { panic!("{export:?}") };
            form
        };
        assert_eq!((archive(&[]), archive(&[("compression", "uncompressed")])), (None, None));
        assert_eq!(archive(&[("compression-level", "1")]), Some(Form::Gzipped { level: 1 }));
        let parsed = parse_with_warnings("image", &[("name", "a"), ("compression", "zstd")]);
        assert_eq!(
            parsed.expect("an exporter").warnings,
            [
                "the compression of an image that is not pushed has no effect: layers in the engine's store are not compressed"
            ]
        );
    }

    #[test]
    fn what_has_no_effect_is_named_and_what_is_so_anyway_is_not() {
        for (kind, name, value, is_warned) in [
            ("image", "unpack", "false", false),
            ("image", "store", "true", false),
            ("image", "nosuch", "1", true),
            ("image", "dest", "/x", true),
            ("image", "dangling-name-prefix", "a", true),
            ("oci", "push", "true", true),
            ("local", "compression", "gzip", true),
            ("image", "unpack", "true", false),
            ("image", "compression", "gzip", false),
            ("image", "force-compression", "true", false),
            ("image", "oci-mediatypes", "true", false),
            ("image", "oci-mediatypes", "false", false),
            ("image", "name-canonical", "true", true),
            ("image", "prefer-image-digest", "true", false),
            ("image", "buildinfo", "true", true),
            ("oci", "compression", "gzip", false),
            ("oci", "compression-level", "9", false),
            ("oci", "compression", "uncompressed", false),
            ("oci", "oci-mediatypes", "true", false),
            ("docker", "oci-mediatypes", "false", false),
            ("docker", "force-compression", "true", false),
            ("docker", "dest", "/x", false),
            ("tar", "name", "a", true),
            ("tar", "rewrite-timestamp", "false", false),
            ("local", "platform-split", "false", false),
        ] {
            let parsed = parse_with_warnings(kind, &[(name, value)]).expect(name);
            let named = format!("exporter attribute {name}={value} of {kind} has no effect");
            let is_named = parsed.warnings.iter().any(|warning| warning.starts_with(&named));
            assert_eq!(
                (is_named, parsed.warnings.len()),
                (is_warned, usize::from(is_warned)),
                "{kind} {name}={value}"
            );
        }
        for (name, value) in [("unpack", "maybe"), ("oci-mediatypes", "2")] {
            assert_eq!(parse("image", &[(name, value)]).expect_err(name).code, Code::InvalidArgument);
        }
        assert_eq!(
            parse("local", &[("attestation-prefix", "../x")]).expect_err("a path").code,
            Code::InvalidArgument
        );
    }
}
