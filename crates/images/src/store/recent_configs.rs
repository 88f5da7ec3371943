//! The configs that were read last.

use std::collections::VecDeque;

use model::Digest;

use crate::document::ImageConfig;

/// A config has some kilobytes; more images are seldom in use at once.
const RECENT_CONFIGS: usize = 16;

/// The longest document whose config is kept: a hostile one may have megabytes.
const LONGEST: usize = 256 << 10;

/// The configs read last: those of the images that containers are made of again and again.
#[derive(Debug, Default)]
pub(super) struct RecentConfigs(pub(super) VecDeque<(Digest, ImageConfig)>);

impl RecentConfigs {
    pub(super) fn find(&self, digest: &Digest) -> Option<ImageConfig> {
        self.0.iter().find(|(known, _)| known == digest).map(|(_, config)| config.clone())
    }

    /// Keeps a config whose document has so many bytes, unless it is a very long one.
    pub(super) fn keep(&mut self, digest: Digest, config: &ImageConfig, length: usize) {
        if length > LONGEST {
            return;
        }
        self.0.truncate(RECENT_CONFIGS - 1);
        self.0.push_front((digest, config.clone()));
    }
}
