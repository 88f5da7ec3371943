//! A client's annotations of manifests and indexes: `annotation[-PLACE][[PLATFORM]].KEY=VALUE`.

use engine::images::registry::Platform;
use engine::images::{Annotations, BuiltImage};

use crate::grpc::{Code, Status};

/// The prefix of all such attributes.
const PREFIX: &str = "annotation";

/// The place of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Manifest,
    /// The descriptor of a manifest.
    ManifestDescriptor,
    Index,
    /// The descriptor of an index.
    IndexDescriptor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Annotation {
    place: Place,
    /// The platform whose manifest gets it; each does without one.
    platform: Option<Platform>,
    key: String,
    value: String,
}

/// A client's annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WantedAnnotations(Vec<Annotation>);

impl WantedAnnotations {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes an attribute, if it is one of an annotation.
    ///
    /// # Errors
    /// For another place than there are, and for what is no platform.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<bool, Status> {
        let Some((head, key)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.')) else {
            return Ok(false);
        };
        // A platform has no points, a key may have any.
        let (head, platform) = match head.strip_suffix(']').and_then(|head| head.split_once('[')) {
            Some((head, platform)) => (head, Some(platform)),
            None => (head, None),
        };
        let place = match head {
            "" | "-manifest" => Place::Manifest,
            "-manifest-descriptor" => Place::ManifestDescriptor,
            "-index" => Place::Index,
            "-index-descriptor" => Place::IndexDescriptor,
            other if other.starts_with('-') => {
                let text = format!("unrecognized annotation type {}", other.trim_start_matches('-'));
                return Err(Status::new(Code::Unknown, text));
            }
            _ => return Ok(false),
        };
        if key.is_empty() {
            return Ok(false);
        }
        let parse = |text: &str| text.parse::<Platform>().map_err(|error| Status::invalid(error.to_string()));
        let platform = platform.map(parse).transpose()?;
        self.0.push(Annotation { place, platform, key: key.to_owned(), value: value.to_owned() });
        Ok(true)
    }

    /// Adds the annotations of images of these platforms, and returns those of their index.
    ///
    /// # Errors
    /// For an unknown platform of several images, and for annotations of an index where there is none.
    pub(super) fn apply(
        &self,
        platforms: &[Platform],
        images: &mut [BuiltImage],
        has_index: bool,
    ) -> Result<Annotations, Status> {
        let mut of_index = Annotations::new();
        for Annotation { place, platform, key, value } in &self.0 {
            let is_of_index = matches!(place, Place::Index | Place::IndexDescriptor);
            if is_of_index && !has_index {
                let text = "index annotations not supported for single platform export";
                return Err(Status::new(Code::Unknown, text));
            }
            let is_meant =
                |own: &Platform| platform.as_ref().is_none_or(|wanted| wanted.is(own) && own.is(wanted));
            if let Some(wanted) = platform
                && platforms.len() > 1
                && !platforms.iter().any(is_meant)
            {
                let text = format!("invalid annotation: no platform {wanted} found in source");
                return Err(Status::new(Code::Unknown, text));
            }
            if *place == Place::Index {
                of_index.insert(key.clone(), value.clone());
            }
            for (_, image) in platforms.iter().zip(&mut *images).filter(|(own, _)| is_meant(own)) {
                let annotations = match place {
                    Place::Manifest => &mut image.annotations,
                    Place::ManifestDescriptor => &mut image.descriptor_annotations,
                    Place::Index | Place::IndexDescriptor => continue,
                };
                annotations.insert(key.clone(), value.clone());
            }
        }
        Ok(of_index)
    }

    /// The annotations of what the root of a result is listed by.
    pub(super) fn of_root(&self, images: &[BuiltImage], has_index: bool) -> Annotations {
        if has_index {
            let own = self.0.iter().filter(|annotation| annotation.place == Place::IndexDescriptor);
            return own.map(|annotation| (annotation.key.clone(), annotation.value.clone())).collect();
        }
        images.iter().flat_map(|image| image.descriptor_annotations.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use engine::images::digest_of;

    use super::*;

    fn wanted(attributes: &[(&str, &str)]) -> WantedAnnotations {
        let mut wanted = WantedAnnotations::default();
        for (name, value) in attributes {
            assert!(wanted.take(name, value).expect("an annotation"), "{name}");
        }
        wanted
    }

    fn platforms(names: &[&str]) -> Vec<Platform> {
        names.iter().map(|name| name.parse().expect("a platform")).collect()
    }

    fn images(count: u8) -> Vec<BuiltImage> {
        (0..count).map(|number| BuiltImage::new(digest_of(&[number]))).collect()
    }

    fn of(annotations: &Annotations) -> Vec<(&str, &str)> {
        annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    #[test]
    fn each_place_gets_its_own() {
        let wanted = wanted(&[
            ("annotation.org.example.a", "1"),
            ("annotation-manifest.b", ""),
            ("annotation-manifest-descriptor.c", "3"),
            ("annotation-index.d", "4"),
            ("annotation-index-descriptor.e", "5"),
        ]);
        let mut images = images(1);
        let index = wanted.apply(&platforms(&["linux/amd64"]), &mut images, true).expect("annotations");
        assert_eq!(of(&images[0].annotations), [("b", ""), ("org.example.a", "1")]);
        assert_eq!(of(&images[0].descriptor_annotations), [("c", "3")]);
        assert_eq!(of(&index), [("d", "4")]);
        assert_eq!(of(&wanted.of_root(&images, true)), [("e", "5")]);
        assert_eq!(of(&wanted.of_root(&images, false)), [("c", "3")]);
    }

    #[test]
    fn a_platform_chooses_among_several_images() {
        let own = platforms(&["linux/amd64", "linux/arm64"]);
        let mut made = images(2);
        let arm = wanted(&[("annotation[linux/arm64].a", "1")]);
        arm.apply(&own, &mut made, true).expect("annotations");
        assert_eq!(made.iter().map(|image| image.annotations.len()).collect::<Vec<_>>(), [0, 1]);
        let other = wanted(&[("annotation-manifest[linux/386].a", "1")]);
        let refused = other.apply(&own, &mut made, true).expect_err("no such platform");
        assert_eq!(refused.message, "invalid annotation: no platform linux/386 found in source");
        // One image alone may be for another one.
        other.apply(&own[..1], &mut images(1), false).expect("no annotation");
    }

    #[test]
    fn what_is_no_annotation_or_has_no_place_is_said() {
        let mut none = WantedAnnotations::default();
        for name in ["annotation", "annotation.", "annotations.a", "name"] {
            assert!(!none.take(name, "x").expect("another attribute"), "{name}");
        }
        let refused = none.take("annotation-nosuch.i", "4").expect_err("no place");
        assert_eq!(refused.message, "unrecognized annotation type nosuch");
        for name in ["annotation-index.a", "annotation-index-descriptor.a"] {
            let refused = wanted(&[(name, "x")]).apply(&platforms(&["linux/amd64"]), &mut images(1), false);
            let text = "index annotations not supported for single platform export";
            assert_eq!(refused.expect_err(name).message, text);
        }
    }
}
