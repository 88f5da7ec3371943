//! Finds the image that an earlier build made of the same step.
//!
//! A step is the same when its parent and its container's configuration are: the command, in which
//! copied files are named by their worth, and everything that a command could see or a later step
//! would inherit. Only images that were made here are looked at: those that a registry sent or a
//! tarball brought say of themselves what made them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use images::Store;
use images::document::{Config, StringOrList};
use model::Digest;

use super::in_flight::InFlight;

/// As many configurations are remembered.
const REMEMBERED: usize = 4096;

/// What all builds share: images' configurations, and which steps are being made.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// The container's configuration that an image was made with.
    configs: Mutex<HashMap<Digest, Option<Arc<Config>>>>,
    pub(super) in_flight: InFlight,
}

impl Cache {
    /// The newest child of an image that was made with this configuration.
    pub(super) fn find(&self, store: &Store, parent: Option<&Digest>, wanted: &Config) -> Option<Digest> {
        let children = store.children(parent);
        children
            .into_iter()
            .rev()
            .find(|child| self.config(store, child).is_some_and(|config| same(&config, wanted)))
    }

    fn config(&self, store: &Store, image: &Digest) -> Option<Arc<Config>> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = configs.get(image) {
            return known.clone();
        }
        let config = store.image(image).ok()?.config.container_config.map(Arc::new);
        if configs.len() >= REMEMBERED {
            configs.clear();
        }
        configs.insert(*image, config.clone());
        config
    }
}

/// Whether two configurations are the same for every command that runs with them and every image
/// that inherits them.
fn same(one: &Config, other: &Config) -> bool {
    fn words(list: Option<&StringOrList>) -> &[String] {
        list.map_or(&[], |list| list.0.as_slice())
    }
    fn list(list: Option<&Vec<String>>) -> &[String] {
        list.map_or(&[], Vec::as_slice)
    }
    words(one.cmd.as_ref()) == words(other.cmd.as_ref())
        && words(one.entrypoint.as_ref()) == words(other.entrypoint.as_ref())
        && list(one.env.as_ref()) == list(other.env.as_ref())
        && list(one.on_build.as_ref()) == list(other.on_build.as_ref())
        && one.shell == other.shell
        && one.user == other.user
        && one.working_dir == other.working_dir
        && one.labels.clone().unwrap_or_default() == other.labels.clone().unwrap_or_default()
        && one.exposed_ports.clone().unwrap_or_default() == other.exposed_ports.clone().unwrap_or_default()
        && one.volumes.clone().unwrap_or_default() == other.volumes.clone().unwrap_or_default()
        && one.stop_signal == other.stop_signal
        && one.stop_timeout == other.stop_timeout
        && one.healthcheck == other.healthcheck
        && (one.tty, one.open_stdin, one.stdin_once) == (other.tty, other.open_stdin, other.stdin_once)
        && one.network_disabled == other.network_disabled
}
