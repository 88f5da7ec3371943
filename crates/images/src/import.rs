//! Makes an image of one layer from a root file system's tar.

use std::io::Read;

use model::{ImageReference, Timestamp};

use crate::Error;
use crate::document::{Config, History, ImageConfig, RootFs};
use crate::registry::Platform;
use crate::store::{Image, Naming, NewImage, Origin, Store};

/// The architecture's name as image configs have it (GOARCH of the OCI image specification).
#[must_use]
pub const fn architecture() -> &'static str {
    match std::env::consts::ARCH.as_bytes() {
        b"x86_64" => "amd64",
        b"aarch64" => "arm64",
        b"x86" => "386",
        b"riscv64" => "riscv64",
        b"powerpc64" => "ppc64le",
        b"s390x" => "s390x",
        b"arm" => "arm",
        _ => "unknown",
    }
}

/// How an import is to look.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Where the archive came from: `-` or a URL; the comment names it.
    pub source: String,
    /// The name of the image.
    pub reference: Option<ImageReference>,
    /// The config, changes applied; `None` gives the empty one.
    pub config: Option<Config>,
    /// Replaces the comment `Imported from …`.
    pub message: Option<String>,
    /// Its platform; `None` is this machine.
    pub platform: Option<Platform>,
    /// The program's version for `DockerVersion`.
    pub engine_version: String,
}

impl Store {
    /// Imports a root file system from a tar, compressed in any known way. A tag that names
    /// another image moves.
    ///
    /// # Errors
    /// [`Error::Archive`] when the archive is no good; nothing stays then.
    pub fn import(&self, archive: impl Read + Send, options: &ImportOptions) -> Result<Image, Error> {
        let layer = self.unpack_layer(archive)?;
        let comment = options.message.clone().unwrap_or_else(|| format!("Imported from {}", options.source));
        let created = Timestamp::now();
        let config = options.config.clone().unwrap_or_default();
        let platform = options.platform.as_ref();
        let document = ImageConfig {
            architecture: platform
                .map_or_else(|| architecture().to_owned(), |platform| platform.architecture.clone()),
            os: platform.map_or_else(|| "linux".to_owned(), |platform| platform.os.clone()),
            variant: platform.map(|platform| platform.variant.clone()).unwrap_or_default(),
            os_version: String::new(),
            author: String::new(),
            comment: comment.clone(),
            container: String::new(),
            container_config: Some(Config::default()),
            config: Some(config),
            created: Some(created),
            docker_version: options.engine_version.clone(),
            history: vec![History { created: Some(created), comment, ..History::default() }],
            steps: Vec::new(),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![layer.diff_id()] },
        };
        let config = serialise(&document)?;
        let layers = [layer];
        let new = NewImage {
            config: &config,
            layers: &layers,
            parent: None,
            legacy: None,
            origin: Origin::Here,
            target: None,
        };
        let names: Vec<_> = options.reference.iter().map(Naming::Tag).collect();
        Ok(self.publish(&new, &names)?.image)
    }
}

/// A config as the document that is hashed.
pub(crate) fn serialise(config: &ImageConfig) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(config).map_err(|source| Error::Document { name: "image config".to_owned(), source })
}
