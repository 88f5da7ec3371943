//! Finds the image that an earlier build made of the same step.
//!
//! A step is the same when its parent and its container's configuration are: the command, in which copied
//! files are named by their digests, and everything that a command could see or a later step would inherit.
//! Only images that were made here are considered: the histories of those from a registry or a tarball prove
//! nothing.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use images::Store;
use images::document::{Config, StringOrList};
use images::registry::Platform;
use model::Digest;
use sha2::{Digest as _, Sha256};

use super::in_flight::InFlight;

/// The number of cached fingerprints.
const REMEMBERED: usize = 4096;

/// The shared state of all builds: images' fingerprints, and which steps are being made.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// The fingerprint of the container's configuration that an image was made with. A configuration itself may have
    /// megabytes of labels.
    fingerprints: Mutex<HashMap<Digest, Option<Digest>>>,
    pub(super) in_flight: InFlight,
}

impl Cache {
    /// The newest child of an image that was made with a configuration of this fingerprint.
    pub(super) fn find(&self, store: &Store, parent: Option<&Digest>, wanted: Digest) -> Option<Digest> {
        let children = store.children(parent);
        children.into_iter().rev().find(|child| self.fingerprint(store, child) == Some(wanted))
    }

    fn fingerprint(&self, store: &Store, image: &Digest) -> Option<Digest> {
        let mut fingerprints = self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = fingerprints.get(image) {
            return *known;
        }
        let config = store.image(image).ok()?.config.clone();
        let made_with = config.container_config.as_ref();
        let found = made_with.and_then(|made_with| fingerprint(made_with, &Platform::of(&config)).ok());
        if fingerprints.len() >= REMEMBERED {
            fingerprints.clear();
        }
        fingerprints.insert(*image, found);
        found
    }
}

/// Two configurations have the same one when they are the same for every command that runs with them and every image
/// that inherits them, and for the same platform: a list or map that is missing is as good as an empty one.
pub(super) fn fingerprint(config: &Config, platform: &Platform) -> serde_json::Result<Digest> {
    fn words(list: Option<&StringOrList>) -> &[String] {
        list.map_or(&[], |list| list.0.as_slice())
    }
    fn list(list: Option<&Vec<String>>) -> &[String] {
        list.map_or(&[], Vec::as_slice)
    }
    fn entries<V>(map: Option<&BTreeMap<String, V>>) -> Vec<(&String, &V)> {
        map.into_iter().flatten().collect()
    }
    let relevant = (
        (words(config.cmd.as_ref()), words(config.entrypoint.as_ref())),
        (list(config.env.as_ref()), list(config.on_build.as_ref()), &config.shell),
        (&config.user, &config.working_dir),
        entries(config.labels.as_ref()),
        entries(config.exposed_ports.as_ref()),
        entries(config.volumes.as_ref()),
        (&config.stop_signal, config.stop_timeout, &config.healthcheck),
        (config.tty, config.open_stdin, config.stdin_once, config.network_disabled),
        platform,
    );
    let mut hashing = Hashing(Sha256::new());
    serde_json::to_writer(&mut hashing, &relevant)?;
    Ok(Digest::from_bytes(hashing.0.finalize().into()))
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_apart_what_commands_and_images_see() {
        let of = |config: &Config| fingerprint(config, &Platform::host()).expect("a configuration");
        let plain = Config::default();
        let same = Config { env: Some(Vec::new()), labels: Some(BTreeMap::new()), ..Config::default() };
        assert_eq!(of(&plain), of(&same), "a list that is missing is an empty one");
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        for other in [
            Config { env: words(&["a=b"]), ..Config::default() },
            Config { on_build: words(&["a=b"]), ..Config::default() },
            Config { cmd: words(&["a=b"]).map(StringOrList), ..Config::default() },
            Config { entrypoint: words(&["a=b"]).map(StringOrList), ..Config::default() },
            Config { user: "a".to_owned(), ..Config::default() },
            Config { working_dir: "a".to_owned(), ..Config::default() },
            Config { tty: true, ..Config::default() },
            Config { stop_timeout: Some(1), ..Config::default() },
        ] {
            assert_ne!(of(&plain), of(&other), "{other:?}");
        }
    }
}
