//! Registries: pull, push, search and login against registries of version 2.
//!
//! ```text
//!   Client ─ pull, push, search, check_credentials
//!     ├─ api_root   where the registry answers: mirrors, https, plain http
//!     ├─ session    authentication: Basic, bearer tokens; retries of temporary failures
//!     ├─ transport  one request: connection pools, proxies, TLS, redirects, cancellation
//!     ├─ manifest   what an image consists of
//!     └─ pull, push the work itself, several layers at once
//! ```
//!
//! Everything is synchronous; long work reports to a [`Progress`] and stops by a
//! [`Cancellation`]. Nothing that a registry sends is trusted: every digest and size is checked.

mod api_root;
pub mod auth;
mod cancellation;
mod challenge;
mod client;
mod download;
mod error;
mod forward;
mod host;
mod hosts_file;
mod in_flight;
mod kept;
mod login;
mod loose;
mod manifest;
mod parallel;
pub mod progress;
mod proof;
mod proxy;
mod pull;
mod push;
mod reason;
mod retry;
mod search;
mod session;
mod settings;
mod tls;
mod token;
mod transport;

pub use auth::{AuthError, CredentialMap, Credentials};
pub use cancellation::Cancellation;
pub use error::RegistryError;
pub use host::{HUB, HUB_INDEX_ADDRESS, is_hub, location};
pub use hosts_file::HostsError;
pub use login::LoggedIn;
#[cfg(feature = "fuzzing")]
pub use manifest::read_for_fuzzing;
pub(crate) use manifest::{
    DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LIST, DOCKER_MANIFEST, DOCKER_PLAIN_LAYER, DOCKER_ZSTD_LAYER,
    ImageManifest, Index, LAYER_LIMIT, OCI_CONFIG, OCI_GZIP_LAYER, OCI_INDEX, OCI_LAYER, OCI_MANIFEST,
    OCI_ZSTD_LAYER, REFERENCE_DIGEST, REFERENCE_TYPE,
};
pub use manifest::{Descriptor, ManifestError, Platform, PlatformError};
pub use progress::{Detail, Message, Progress, Silent};
pub use proxy::ProxySettings;
pub use pull::{DescribedImage, PullRequest, PulledImage, PulledNames};
pub use push::{Form, LayerForm, PushRequest, PushWords, PushedImage};
pub(crate) use push::{Written, write_out};
pub use reason::reason;
pub use search::{SearchRequest, SearchResult};
pub use settings::{InsecureRegistry, RegistrySettings, Retry, SettingError, parse_mirror};
pub use tls::CertificateError;
pub use token::IdentityToken;
pub use transport::TransportError;

pub use client::Client;

use model::ImageReference;

use crate::BuiltImages;

impl Client {
    /// Pulls one image, or all tags of a repository, and names what came.
    ///
    /// Nothing is reported before the first manifest was found: an error until then can still be
    /// answered with a status. What was downloaded when it fails is used by the next pull.
    ///
    /// # Errors
    /// `NotFound` for an unknown repository or tag and for one that the credentials do not open,
    /// [`RegistryError::Cancelled`], else why the registry or its content cannot be used.
    pub fn pull(
        &self,
        request: &PullRequest<'_>,
        progress: &dyn Progress,
        cancellation: &Cancellation,
    ) -> Result<Vec<PulledImage>, RegistryError> {
        pull::pull(self, || self.transport(cancellation), request, progress)
    }

    /// Describes what a registry has under a name, `latest` where it has neither tag nor digest.
    ///
    /// # Errors
    /// `NotFound` for an unknown repository or tag, `Unauthorized` or `Forbidden` when the registry refuses, else why
    /// the registry or its content cannot be used.
    pub fn describe(
        &self,
        reference: &ImageReference,
        credentials: Option<&Credentials>,
        cancellation: &Cancellation,
    ) -> Result<DescribedImage, RegistryError> {
        pull::describe(&self.transport(cancellation), reference, credentials)
    }

    /// Pushes one tag, or all tags of a repository.
    ///
    /// Nothing is reported before the names were found here and the registry was reached.
    ///
    /// # Errors
    /// `NotFound` when the name is not here, `Unauthorized` or `Forbidden` when the registry
    /// refuses, [`RegistryError::Cancelled`], else why the registry cannot be used.
    pub fn push(
        &self,
        request: &PushRequest<'_>,
        progress: &dyn Progress,
        cancellation: &Cancellation,
    ) -> Result<Vec<PushedImage>, RegistryError> {
        push::push(&self.transport(cancellation), request, progress)
    }

    /// Pushes what a build made under a tag, as [`Client::push`] does; the image `main` gets the digest as a name.
    ///
    /// # Errors
    /// As [`Client::push`].
    pub fn push_exported(
        &self,
        request: &PushRequest<'_>,
        (main, built): (model::Digest, &BuiltImages),
        progress: &dyn Progress,
        cancellation: &Cancellation,
    ) -> Result<PushedImage, RegistryError> {
        push::push_exported(&self.transport(cancellation), request, (main, built), progress)
    }

    /// Pushes images that were built here, as one index, under a tag that they need not have here; returns its digest.
    ///
    /// # Errors
    /// As [`Client::push`].
    pub fn push_built(
        &self,
        request: &PushRequest<'_>,
        built: &BuiltImages,
        progress: &dyn Progress,
        cancellation: &Cancellation,
    ) -> Result<model::Digest, RegistryError> {
        push::push_built(&self.transport(cancellation), request, built, progress)
    }

    /// Searches the index that the term's host names, or Docker Hub's.
    ///
    /// # Errors
    /// [`RegistryError::Reference`] when the term is no name, else why the index gives no list.
    pub fn search(
        &self,
        request: &SearchRequest<'_>,
        cancellation: &Cancellation,
    ) -> Result<Vec<SearchResult>, RegistryError> {
        search::search(&self.transport(cancellation), request)
    }

    /// Checks credentials at the registry that they name; returns the text that clients show.
    ///
    /// # Errors
    /// [`RegistryError::Login`] or [`RegistryError::Unproven`] when the registry refuses them, else why it cannot be
    /// reached.
    pub fn check_credentials(
        &self,
        credentials: &Credentials,
        identity: IdentityToken,
        cancellation: &Cancellation,
    ) -> Result<LoggedIn, RegistryError> {
        login::check(&self.transport(cancellation), credentials, identity)
    }
}

#[cfg(test)]
mod tests;
