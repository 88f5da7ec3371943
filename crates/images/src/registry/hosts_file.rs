//! `HOST/hosts.toml` beside a registry's certificates: the sources of its images, and their order.
//!
//! ```toml
//! server = "https://registry.example"      # the registry itself, where it is not https://HOST
//!
//! [host."http://mirror.example:5000"]      # tried before it; several in the file's order
//! capabilities = ["pull", "resolve"]       # without "resolve" it is used for digests alone
//! ca = "mirror.crt"                        # one file or several, absolute or beside this file
//! skip_verify = true                       # any certificate will do
//! override_path = true                     # the address ends in the API's root: no /v2 is added
//! ```
//!
//! `_default/hosts.toml` holds for registries without a file of their own.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use model::ImageReference;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use url::Url;

use super::settings::{SettingError, parse_mirror};

/// The file's name.
const NAME: &str = "hosts.toml";
/// The directory of the file for all registries without one.
const DEFAULT: &str = "_default";
/// The longest file.
const LIMIT: u64 = 1 << 20;

/// A `hosts.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML, or has an unknown key or value.
    #[error("cannot use {path}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// An address in it is invalid.
    #[error("cannot use {path}")]
    Address {
        /// Which.
        path: PathBuf,
        /// Why.
        source: SettingError,
    },
}

/// A kind of request that a host serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Capability {
    /// Manifests by digest, and blobs.
    Pull,
    /// Which digest a tag has.
    Resolve,
    /// Pushes; they go to the registry itself.
    Push,
}

/// The trust of a host beside what its own directory of certificates has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostTrust {
    /// Files of authorities.
    pub(super) authorities: Vec<PathBuf>,
    /// Whether any certificate will do.
    pub(super) anything: bool,
}

/// A host that has a registry's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RegistryHost {
    /// Its address; ends in `/`.
    pub(super) url: Url,
    /// Whether the address is the API's root itself.
    pub(super) overrides_path: bool,
    pub(super) trust: HostTrust,
    capabilities: Vec<Capability>,
}

impl RegistryHost {
    /// Whether it may serve this image.
    pub(super) fn serves(&self, reference: &ImageReference) -> bool {
        let can = |capability| self.capabilities.contains(&capability);
        can(Capability::Pull) && (reference.digest.is_some() || can(Capability::Resolve))
    }
}

/// The content of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostsFile {
    /// The hosts that are tried first, in order.
    pub(super) mirrors: Vec<RegistryHost>,
    /// The registry itself.
    pub(super) server: Option<RegistryHost>,
}

impl HostsFile {
    /// Reads the file for a registry's host: its own, or the default one; the first that exists.
    ///
    /// # Errors
    /// A file that cannot be read or has unknown content.
    pub(super) fn load(directories: &[PathBuf], host: &str) -> Result<Option<Self>, HostsError> {
        for name in [host, DEFAULT] {
            for directory in directories {
                let directory = directory.join(name);
                let path = directory.join(NAME);
                match sys::bounded_read::read_on_host(&path, LIMIT) {
                    Ok(bytes) => return parse(&bytes, &directory, path).map(Some),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(source) => return Err(HostsError::Read { path, source }),
                }
            }
        }
        Ok(None)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    server: Option<String>,
    capabilities: Option<Vec<Capability>>,
    ca: Option<OneOrSeveral>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    host: InOrder,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHost {
    capabilities: Option<Vec<Capability>>,
    ca: Option<OneOrSeveral>,
    #[serde(default)]
    skip_verify: bool,
    #[serde(default)]
    override_path: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

/// Hosts in the file's order, which a map would lose.
#[derive(Default)]
struct InOrder(Vec<(String, WrittenHost)>);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hosts;

        impl<'de> Visitor<'de> for Hosts {
            type Value = InOrder;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table of hosts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
                let mut hosts = Vec::new();
                while let Some(host) = map.next_entry()? {
                    hosts.push(host);
                }
                Ok(InOrder(hosts))
            }
        }
        deserializer.deserialize_map(Hosts)
    }
}

fn parse(bytes: &[u8], directory: &Path, path: PathBuf) -> Result<HostsFile, HostsError> {
    let written: WrittenFile = match toml::from_slice(bytes) {
        Ok(written) => written,
        Err(source) => return Err(HostsError::Parse { path, source: Box::new(source) }),
    };
    let of_server = WrittenHost {
        capabilities: written.capabilities,
        ca: written.ca,
        skip_verify: written.skip_verify,
        override_path: written.override_path,
    };
    let address = |source| HostsError::Address { path: path.clone(), source };
    let server = written.server.map(|server| host(&server, of_server, directory)).transpose();
    let mirrors = written.host.0.into_iter().map(|(name, settings)| host(&name, settings, directory));
    Ok(HostsFile {
        server: server.map_err(address)?,
        mirrors: mirrors.collect::<Result<_, _>>().map_err(address)?,
    })
}

/// A host by its address; one without a scheme uses https.
fn host(address: &str, written: WrittenHost, directory: &Path) -> Result<RegistryHost, SettingError> {
    let with_scheme = if address.contains("://") { address.to_owned() } else { format!("https://{address}") };
    let authorities = match written.ca {
        None => Vec::new(),
        Some(OneOrSeveral::One(file)) => vec![file],
        Some(OneOrSeveral::Several(files)) => files,
    };
    let all = || vec![Capability::Pull, Capability::Resolve, Capability::Push];
    Ok(RegistryHost {
        url: parse_mirror(&with_scheme)?,
        overrides_path: written.override_path,
        trust: HostTrust {
            authorities: authorities.into_iter().map(|file| directory.join(file)).collect(),
            anything: written.skip_verify,
        },
        capabilities: written.capabilities.unwrap_or_else(all),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HostsFile, HostsError> {
        parse(text.as_bytes(), Path::new("/certs.d/r.example"), PathBuf::from("hosts.toml"))
    }

    #[test]
    fn hosts_keep_the_files_order_and_their_settings() {
        let file = read(
            "server = \"https://real.example\"\n\
             [host.\"http://z.example:5000\"]\ncapabilities = [\"pull\"]\n\
             [host.\"a.example/v2/proxy\"]\noverride_path = true\nskip_verify = true\nca = [\"one.crt\", \"/two.crt\"]\n",
        );
        let file = file.expect("a file");
        let urls: Vec<_> = file.mirrors.iter().map(|mirror| mirror.url.as_str()).collect();
        assert_eq!(urls, ["http://z.example:5000/", "https://a.example/v2/proxy/"]);
        let [first, second] = &file.mirrors[..] else { panic!("two mirrors") };
        let authorities = ["/certs.d/r.example/one.crt", "/two.crt"].map(PathBuf::from).to_vec();
        assert_eq!(second.trust, HostTrust { authorities, anything: true });
        assert!(second.overrides_path && !first.overrides_path);
        let tag = ImageReference::parse("r.example/a:v1").expect("a name");
        let digest =
            ImageReference::parse(&format!("r.example/a@sha256:{}", "0".repeat(64))).expect("a name");
        assert!(!first.serves(&tag) && first.serves(&digest) && second.serves(&tag));
        assert_eq!(file.server.expect("a server").url.as_str(), "https://real.example/");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for bad in [
            "[host.\"http://m\"]\ndial_timeout = \"1s\"\n",
            "[host.\"http://m\"]\ncapabilities = [\"fly\"]\n",
            "[host.\"http://u:p@m\"]\n",
            "server = 5\n",
            "no toml",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read("").expect("a file"), HostsFile::default());
    }
}
