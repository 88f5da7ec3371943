//! Saves images as tarballs: the layout of API v1.20, which old engines read, with a `manifest.json` for
//! newer tools.
//!
//! A directory's `json` is the image's config document with `id` and `parent` put in front, so
//! that loading gives the document back byte for byte, and with it the id. A layer that has no
//! image of its own here (of an image that was pulled) gets a directory with a derived id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use model::{Digest, Timestamp, split_tag};
use serde::Serialize;

use crate::store::{ImageRecord, Layer, Name, Store, Target};
use crate::tar::{Member, Writer};
use crate::v1::{EMPTY_TAR, LayerJson, spliced_json};
use crate::{Error, resolve};

/// The images to be saved: their layers are held, so that they can be written at any time later.
#[derive(Debug, Default)]
pub struct SavedImages {
    /// By directory name.
    directories: BTreeMap<String, Directory>,
    /// Configs that stand apart, by member name.
    configs: BTreeMap<String, Vec<u8>>,
    manifest: Vec<ManifestItem>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug)]
struct Directory {
    json: Vec<u8>,
    layer: Option<Layer>,
}

/// One image in `manifest.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ManifestItem {
    pub(crate) config: String,
    pub(crate) repo_tags: Option<Vec<String>>,
    pub(crate) layers: Vec<String>,
    /// The directories are named by the images' true ids.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) true_ids: bool,
}

/// The result of a name: an image, and the names to be listed for it.
pub(crate) struct Asked {
    pub(crate) image: Arc<ImageRecord>,
    /// The repository and the tag, or the digest in its place.
    pub(crate) name: Option<(String, String)>,
    /// The target of the name.
    pub(crate) target: Option<Target>,
}

impl Store {
    /// Prepares images for saving: a repository's name alone means all its tags, an id no name.
    ///
    /// # Errors
    /// `NotFound` when one is unknown; nothing is written before that is checked.
    pub fn save(&self, names: &[impl AsRef<str>]) -> Result<SavedImages, Error> {
        let mut asked = Vec::new();
        for name in names {
            asked.append(&mut self.asked(name.as_ref())?);
        }
        let mut saved = SavedImages::default();
        let mut items: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
        let mut order = Vec::new();
        for Asked { image, name, .. } in asked {
            if !items.contains_key(&image.id) {
                self.add_saved(&mut saved, &image)?;
                order.push(Arc::clone(&image));
            }
            let tags = items.entry(image.id).or_default();
            if let Some((repository, tag)) = name {
                if !tag.contains(':') {
                    tags.push(format!("{repository}:{tag}"));
                }
                saved.repositories.entry(repository).or_default().insert(tag, image.id.hexadecimal());
            }
        }
        for image in order {
            let tags = items.remove(&image.id).filter(|tags| !tags.is_empty());
            let item = self.manifest_item(&mut saved, &image, tags)?;
            saved.manifest.push(item);
        }
        Ok(saved)
    }

    /// The images that a name means.
    ///
    /// # Errors
    /// `NotFound` when it means none.
    pub(crate) fn asked(&self, name: &str) -> Result<Vec<Asked>, Error> {
        let index = self.index();
        if let (repository, None) = split_tag(name)
            && let Ok(repository) = model::RepositoryName::parse(repository)
            && let Some(tags) = index.tags.get(repository.to_string().as_str())
        {
            let asked = tags.iter().filter_map(|(tag, image)| {
                let image = Arc::clone(index.images.get(image)?);
                let (repository, tag) = (repository.to_string(), tag.to_string());
                let target = index.target_of_name(&Name::Tag(repository.clone(), tag.clone())).cloned();
                Some(Asked { image, name: Some((repository, tag)), target })
            });
            return Ok(asked.collect());
        }
        let (image, found_by) = resolve::find(&index, name).map_err(Error::as_lookup)?;
        let target = resolve::published(&index, name).cloned();
        let name = match (found_by, model::ImageReference::parse(name)) {
            (resolve::FoundBy::Name, Ok(reference)) => {
                let target = match reference.digest {
                    Some(digest) => digest.to_string(),
                    None => reference.tag_or_latest().to_string(),
                };
                Some((reference.repository.to_string(), target))
            }
            _ => None,
        };
        Ok(vec![Asked { image, name, target }])
    }

    /// Adds an image's directory, those of its layers, and those of its parents.
    fn add_saved(&self, saved: &mut SavedImages, image: &Arc<ImageRecord>) -> Result<(), Error> {
        let mut next = Some(Arc::clone(image));
        while let Some(image) = next {
            let id = image.id.hexadecimal();
            if saved.directories.contains_key(&id) {
                break;
            }
            let parent = image.parent.and_then(|parent| self.index().images.get(&parent).cloned());
            let mut layers = self.held_layers(&image)?;
            let inherited = parent.as_ref().map_or(0, |parent| parent.layers.len().min(layers.len()));
            layers.drain(..inherited);
            let top = layers.pop();
            let mut below = parent.as_ref().map(|parent| parent.id.hexadecimal());
            for layer in layers {
                let json = LayerJson::new(below.as_deref(), layer.diff_id(), image.created);
                let id = json.id().to_owned();
                let directory = Directory { json: json.document()?, layer: Some(layer) };
                saved.directories.insert(id.clone(), directory);
                below = Some(id);
            }
            let json = self.json(&image, &id, below.as_deref())?;
            saved.directories.insert(id, Directory { json, layer: top });
            next = parent;
        }
        Ok(())
    }

    fn held_layers(&self, image: &ImageRecord) -> Result<Vec<Layer>, Error> {
        let image = self.image(&image.id)?;
        self.layers(&image)
    }

    fn json(&self, image: &ImageRecord, id: &str, below: Option<&str>) -> Result<Vec<u8>, Error> {
        let digest = image.legacy.unwrap_or(image.config);
        let document = self.document_of(&image.id, &digest)?;
        if image.legacy.is_some() {
            return Ok(document);
        }
        Ok(spliced_json(id, below, image.size, &document))
    }

    fn manifest_item(
        &self,
        saved: &mut SavedImages,
        image: &ImageRecord,
        repo_tags: Option<Vec<String>>,
    ) -> Result<ManifestItem, Error> {
        let id = image.id.hexadecimal();
        let mut config = format!("{id}/json");
        let digest = image.config;
        let document = self.document_of(&image.id, &digest)?;
        let spliced = saved.directories.get(&id).and_then(|directory| crate::v1::unspliced(&directory.json));
        // A client that knows an image of elsewhere by its id shall find it under that id again.
        if spliced.as_ref() != Some(&document) || !self.is_own(&digest, &document)? {
            config = format!("{}.json", digest.hexadecimal());
            saved.configs.insert(config.clone(), document);
        }
        // The directory that holds each layer: the same layer may have several, any will do.
        let place = |layer: &Layer| {
            let holds = |(_, directory): &(&String, &Directory)| {
                directory.layer.as_ref().is_some_and(|held| held.diff_id() == layer.diff_id())
            };
            saved.directories.iter().find(holds).map(|(name, _)| format!("{name}/layer.tar"))
        };
        let layers = self.held_layers(image)?.iter().filter_map(place).collect();
        Ok(ManifestItem { config, repo_tags, layers, true_ids: true })
    }
}

impl Store {
    /// Whether a config is as this program writes it.
    fn is_own(&self, digest: &Digest, document: &[u8]) -> Result<bool, Error> {
        Ok(crate::import::serialise(&self.config(digest)?)? == document)
    }
}

impl SavedImages {
    /// Writes the tarball; returns its size.
    ///
    /// # Errors
    /// [`Error::Output`] when a layer cannot be read or `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        let mut writer = Writer::new(out);
        let seconds = Timestamp::now().unix_seconds();
        let mut members: BTreeSet<&str> = self.directories.keys().map(String::as_str).collect();
        members.extend(self.configs.keys().map(String::as_str));
        for name in members {
            match (self.directories.get(name), self.configs.get(name)) {
                (Some(directory), _) => write_directory(&mut writer, name, directory, seconds)?,
                (None, Some(config)) => write_file(&mut writer, name, config, seconds)?,
                (None, None) => {}
            }
        }
        if !self.manifest.is_empty() {
            write_file(&mut writer, "manifest.json", &line(&self.manifest)?, seconds)?;
        }
        if !self.repositories.is_empty() {
            write_file(&mut writer, "repositories", &line(&self.repositories)?, seconds)?;
        }
        writer.finish().map(drop).map_err(Error::Output)
    }
}

/// A document of a tarball: a line of JSON.
pub(crate) fn line(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut text = serde_json::to_vec(value)
        .map_err(|source| Error::Document { name: "manifest.json".to_owned(), source })?;
    text.push(b'\n');
    Ok(text)
}

/// A member of a tarball.
pub(crate) fn member(path: &str, flag: u8, mode: u32, seconds: i64) -> Member<'_> {
    Member {
        path: path.as_bytes(),
        flag,
        mode,
        seconds,
        user_name: "root",
        group_name: "root",
        ..Member::default()
    }
}

/// Writes a file.
pub(crate) fn write_file(
    writer: &mut Writer<&mut dyn Write>,
    path: &str,
    content: &[u8],
    seconds: i64,
) -> Result<(), Error> {
    writer.file(&member(path, b'0', 0o644, seconds), content).map_err(Error::Output)
}

fn write_directory(
    writer: &mut Writer<&mut dyn Write>,
    name: &str,
    directory: &Directory,
    seconds: i64,
) -> Result<(), Error> {
    writer.header(&member(&format!("{name}/"), b'5', 0o755, seconds)).map_err(Error::Output)?;
    write_file(writer, &format!("{name}/VERSION"), b"1.0", seconds)?;
    write_file(writer, &format!("{name}/json"), &directory.json, seconds)?;
    let path = format!("{name}/layer.tar");
    let Some(layer) = &directory.layer else {
        return write_file(writer, &path, &EMPTY_TAR, seconds);
    };
    write_layer(writer, &path, layer, seconds)
}

/// Writes a layer's tar.
pub(crate) fn write_layer(
    writer: &mut Writer<&mut dyn Write>,
    path: &str,
    layer: &Layer,
    seconds: i64,
) -> Result<(), Error> {
    let size = layer.tar_size();
    let header = Member { size, ..member(path, b'0', 0o644, seconds) };
    writer.header(&header).map_err(Error::Output)?;
    let written = layer.write_tar(writer.out())?;
    if written != size {
        let text = format!("layer {} gives {written} bytes, not {size}", layer.diff_id());
        return Err(Error::Output(io::Error::new(io::ErrorKind::InvalidData, text)));
    }
    writer.pad(size).map_err(Error::Output)
}
