//! `manifest.json`, as Docker since 1.10, skopeo, buildah and this program write it.

use model::{Digest, ImageReference};
use serde::Deserialize;

use super::{Loading, Named};
use crate::document::ImageConfig;
use crate::store::Layer;
use crate::{Error, Inconsistency, store::parse_document as parse};

/// One image of the file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ManifestItem {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
    #[serde(default)]
    parent: Option<String>,
    /// This program's: the directories are named by true ids.
    #[serde(default)]
    true_ids: bool,
}

impl Loading<'_> {
    /// The items, unless the v1.20 layout beside them has more.
    pub(super) fn manifest_items(&self) -> Result<Option<Vec<ManifestItem>>, Error> {
        let Some(document) = self.tarball.document("manifest.json") else { return Ok(None) };
        let items: Vec<ManifestItem> = parse("manifest.json", document)?;
        Ok((!items.iter().any(|item| item.true_ids)).then_some(items))
    }

    pub(super) fn images_of_manifest(
        &mut self,
        items: &[ManifestItem],
    ) -> Result<(Vec<Digest>, Named), Error> {
        let (mut images, mut names) = (Vec::new(), Vec::new());
        for item in items {
            let name = super::tarball::clean(&item.config);
            let document = self.tarball.require(&name)?.to_vec();
            let config: ImageConfig = parse(&name, &document)?;
            let members = item.layers.as_deref().unwrap_or_default();
            let layers = self.item_layers(&name, &config, members)?;
            let parent = item.parent.as_deref().and_then(|parent| Digest::parse(parent).ok());
            let image = self.add_config(&document, &layers, parent)?;
            images.push(image);
            for tag in item.repo_tags.iter().flatten() {
                names.push((ImageReference::parse(tag)?, image));
            }
        }
        Ok((images, names))
    }

    /// The layers that an item names, checked against the config.
    fn item_layers(
        &mut self,
        name: &str,
        config: &ImageConfig,
        members: &[String],
    ) -> Result<Vec<Layer>, Error> {
        let expected = &config.rootfs.diff_ids;
        if members.len() != expected.len() {
            let (layers, diff_ids) = (members.len(), expected.len());
            return Err(Inconsistency::LayerCount { name: name.to_owned(), layers, diff_ids }.into());
        }
        let mut layers = Vec::new();
        for (member, expected) in members.iter().zip(expected) {
            let place = super::tarball::clean(member);
            if let Some(damage) = self.tarball.take_damage(&place) {
                return Err(damage.into());
            }
            let found = self.tarball.layer(&place).cloned();
            // A member that is left out may be here already.
            let layer = found.or_else(|| self.store.layer(expected));
            let layer = layer.ok_or_else(|| Inconsistency::MissingMember(member.clone()))?;
            if layer.diff_id() != *expected {
                let actual = layer.diff_id();
                return Err(
                    Inconsistency::WrongDigest { name: member.clone(), expected: *expected, actual }.into()
                );
            }
            layers.push(layer);
        }
        Ok(layers)
    }
}
