//! The layout of API v1.20: a directory for each image, parents named in `json`, `repositories`.

use std::collections::{BTreeMap, BTreeSet};

use model::{Digest, ImageReference};

use super::{Loading, Named};
use crate::document::{History, ImageConfig, RootFs};
use crate::import::serialise;
use crate::store::{Image, Layer, NewImage, Origin, digest_of};
use crate::v1::{EMPTY_TAR, V1Image, unspliced};
use crate::{Error, Inconsistency, architecture, store::parse_document as parse};

/// No image was built in more steps; each keeps the history of all before it.
const ANCESTOR_LIMIT: usize = 2000;

/// One directory.
struct Directory {
    name: String,
    image: V1Image,
}

/// The result of a directory: an image, or layers that one is made of.
#[derive(Clone)]
struct Built {
    image: Option<Image>,
    layers: Vec<Layer>,
}

type Directories = BTreeMap<String, Directory>;

impl Loading<'_> {
    pub(super) fn images_of_v1(&mut self) -> Result<(Vec<Digest>, Named), Error> {
        let names = self.repositories()?;
        let directories = self.directories()?;
        let mut built: BTreeMap<String, Built> = BTreeMap::new();
        for id in directories.keys() {
            for id in self.order(&directories, &built, id)? {
                let done = self.build(&directories, &built, &id)?;
                built.insert(id, done);
            }
        }
        let parents: BTreeSet<&str> =
            directories.values().filter_map(|directory| directory.image.parent.as_deref()).collect();
        let tops = built.iter().filter(|(id, _)| !parents.contains(id.as_str()));
        let images = tops.filter_map(|(_, built)| built.image.as_ref().map(|image| image.id)).collect();
        let mut named = Vec::new();
        for (reference, id) in names {
            let image = Digest::parse_hexadecimal(&id).ok();
            let image = image.filter(|image| self.store.index().images.contains_key(image));
            named.push((reference, image.ok_or(Inconsistency::UnknownImage(id))?));
        }
        Ok((images, named))
    }

    /// The names and ids of `repositories`; names by digest cannot be set without their manifest.
    fn repositories(&self) -> Result<Vec<(ImageReference, String)>, Error> {
        let Some(document) = self.tarball.document("repositories") else { return Ok(Vec::new()) };
        let repositories: BTreeMap<String, BTreeMap<String, String>> = parse("repositories", document)?;
        let mut names = Vec::new();
        for (repository, tags) in repositories {
            for (tag, id) in tags {
                let reference = ImageReference::from_parts(&repository, &tag)?;
                if reference.digest.is_none() {
                    names.push((reference, id));
                }
            }
        }
        Ok(names)
    }

    fn directories(&self) -> Result<Directories, Error> {
        let mut directories = BTreeMap::new();
        for name in self.tarball.v1_directories() {
            let member = format!("{name}/json");
            let image: V1Image = parse(&member, self.tarball.require(&member)?)?;
            directories.insert(image.id.clone(), Directory { name, image });
        }
        Ok(directories)
    }

    /// The directories that have to be built for an image, lowest first, itself the last.
    fn order(
        &self,
        directories: &Directories,
        built: &BTreeMap<String, Built>,
        id: &str,
    ) -> Result<Vec<String>, Error> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next.take() {
            if built.contains_key(&id) {
                break;
            }
            if !seen.insert(id.clone()) {
                return Err(Inconsistency::Circle(id).into());
            }
            let Some(directory) = directories.get(&id) else {
                if self.known(&id).is_some() {
                    break;
                }
                return Err(Inconsistency::MissingMember(format!("{id}/json")).into());
            };
            next = directory.image.parent.clone().filter(|parent| !parent.is_empty());
            order.push(id);
        }
        order.reverse();
        Ok(order)
    }

    /// An image that is in the store.
    fn known(&self, id: &str) -> Option<Image> {
        let id = Digest::parse_hexadecimal(id).ok()?;
        self.store.image(&id).ok()
    }

    fn build(
        &mut self,
        directories: &Directories,
        built: &BTreeMap<String, Built>,
        id: &str,
    ) -> Result<Built, Error> {
        let missing = || Inconsistency::MissingMember(format!("{id}/json"));
        let directory = directories.get(id).ok_or_else(missing)?;
        let below = match directory.image.parent.as_deref().filter(|parent| !parent.is_empty()) {
            None => Built { image: None, layers: Vec::new() },
            Some(parent) => match built.get(parent) {
                Some(below) => below.clone(),
                None => {
                    let image = self.known(parent).ok_or_else(missing)?;
                    let layers = self.store.layers(&image)?;
                    Built { image: Some(image), layers }
                }
            },
        };
        let own = self.own_layer(directory)?;
        if directory.image.layer_only {
            let layers = below.layers.into_iter().chain(own).collect();
            return Ok(Built { image: None, layers });
        }
        let number = Digest::parse_hexadecimal(id).map_err(|_| Inconsistency::UnknownImage(id.to_owned()))?;
        match self.exact_config(directory, number) {
            Some(document) => self.build_exact(&document, number, below, own),
            None => self.build_legacy(directory, number, below, own),
        }
    }

    /// The directory's layer; none where its tar has no entries.
    fn own_layer(&self, directory: &Directory) -> Result<Option<Layer>, Error> {
        let member = format!("{}/layer.tar", directory.name);
        let layer = self.tarball.layer(&member).ok_or(Inconsistency::MissingMember(member))?;
        Ok((layer.diff_id() != digest_of(&EMPTY_TAR)).then(|| layer.clone()))
    }

    /// The config document whose digest is the image's id, in the `json` or in a file of its own.
    fn exact_config(&self, directory: &Directory, id: Digest) -> Option<Vec<u8>> {
        let json = self.tarball.document(&format!("{}/json", directory.name))?;
        let inside = unspliced(json).filter(|document| digest_of(document) == id);
        inside.or_else(|| {
            let beside = self.tarball.document(&format!("{}.json", id.hexadecimal()))?;
            (digest_of(beside) == id).then(|| beside.to_vec())
        })
    }

    fn build_exact(
        &mut self,
        document: &[u8],
        id: Digest,
        below: Built,
        own: Option<Layer>,
    ) -> Result<Built, Error> {
        let config: ImageConfig = parse("json", document)?;
        let mut layers = Vec::new();
        for diff_id in &config.rootfs.diff_ids {
            let near = below.layers.iter().chain(&own).find(|layer| layer.diff_id() == *diff_id);
            let found = near.or_else(|| self.tarball.layer_of(diff_id)).cloned();
            let layer = found.or_else(|| self.store.layer(diff_id));
            layers.push(layer.ok_or_else(|| Inconsistency::MissingMember(format!("layer {diff_id}")))?);
        }
        let parent = below.image.map(|image| image.id);
        let image = self.add(
            &NewImage {
                config: document,
                layers: &layers,
                parent,
                legacy: None,
                origin: Origin::Elsewhere,
                target: None,
            },
            id,
        )?;
        Ok(Built { image: Some(image), layers })
    }

    /// An image whose id is its own, not a digest: the `json` is kept, a config made of it.
    fn build_legacy(
        &mut self,
        directory: &Directory,
        id: Digest,
        below: Built,
        own: Option<Layer>,
    ) -> Result<Built, Error> {
        if let Some(image) = self.known(&id.hexadecimal()) {
            let layers = self.store.layers(&image)?;
            return Ok(Built { image: Some(image), layers });
        }
        let member = format!("{}/json", directory.name);
        let json = self.tarball.require(&member)?.to_vec();
        let mut history = below.image.as_ref().map(|image| image.config.history.clone()).unwrap_or_default();
        history.push(step(&directory.image, own.is_none()));
        if history.len() > ANCESTOR_LIMIT {
            let what = format!("image {}", id.short());
            return Err(
                Inconsistency::TooMuch { what, limit: ANCESTOR_LIMIT as u64, unit: "ancestors" }.into()
            );
        }
        let layers: Vec<Layer> = below.layers.into_iter().chain(own).collect();
        let V1Image {
            created,
            container,
            container_config,
            config,
            docker_version,
            author,
            comment,
            architecture: machine,
            os,
            ..
        } = directory.image.clone();
        let document = ImageConfig {
            architecture: machine.unwrap_or_else(|| architecture().to_owned()),
            os: os.unwrap_or_else(|| "linux".to_owned()),
            variant: String::new(),
            os_version: String::new(),
            author: author.unwrap_or_default(),
            comment: comment.unwrap_or_default(),
            container: container.unwrap_or_default(),
            config,
            container_config,
            created,
            docker_version: docker_version.unwrap_or_default(),
            history,
            steps: Vec::new(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: layers.iter().map(Layer::diff_id).collect(),
            },
        };
        let document = serialise(&document)?;
        let parent = below.image.map(|image| image.id);
        let new = NewImage {
            config: &document,
            layers: &layers,
            parent,
            legacy: Some((id, &json)),
            origin: Origin::Elsewhere,
            target: None,
        };
        let image = self.add(&new, id)?;
        Ok(Built { image: Some(image), layers })
    }
}

fn step(image: &V1Image, empty_layer: bool) -> History {
    let command = image.container_config.as_ref().and_then(|config| config.cmd.as_ref());
    History {
        created: image.created,
        author: image.author.clone().unwrap_or_default(),
        created_by: command.map(|command| command.0.join(" ")).unwrap_or_default(),
        comment: image.comment.clone().unwrap_or_default(),
        empty_layer,
    }
}
