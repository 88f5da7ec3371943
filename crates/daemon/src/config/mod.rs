//! The daemon's settings: from flags and file to checked values.

mod address;
mod effective;
mod engine_options;
mod error;
mod file;
mod flags;
mod reload;
mod user_mapping;

use std::path::{Path, PathBuf};

use docker_api::{ApiVersion, VersionError};
use model::ImageReference;

pub(crate) use address::{AddressError, ListenAddress};
use effective::{effective, log_level};
pub(crate) use error::SettingsError;
pub(crate) use flags::{Command, CommandLine, DaemonArguments, Flags};
pub(crate) use reload::Reloadable;

/// The files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The CA that client certificates must be signed by; `None` requires no certificates.
    pub(crate) client_ca: Option<PathBuf>,
}

/// All settings of the daemon, validated.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: Vec<ListenAddress>,
    pub(crate) group: Option<String>,
    pub(crate) tls: Option<TlsFiles>,
    /// The socket of Kubernetes' container runtime interface, where it is served.
    pub(crate) cri: Option<PathBuf>,
    /// The images that the kubelet must not remove.
    pub(crate) pinned_images: Vec<ImageReference>,
    pub(crate) cors: String,
    /// The newest version of the API that is served.
    pub(crate) maximum: ApiVersion,
    /// Names by which the daemon may be reached over TCP.
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) pidfile: PathBuf,
    /// Bytes of the cache of builds; 0 is any number.
    pub(crate) build_cache_limit: Option<u64>,
    pub(crate) engine: engine::Options,
    pub(crate) reloadable: Reloadable,
}

impl Settings {
    /// Reads the file, joins it with the flags and checks all of it.
    pub(crate) fn load(arguments: &DaemonArguments) -> Result<Self, SettingsError> {
        let flags = effective(arguments)?;
        check_unsupported(&flags)?;
        let exec_root = flags.exec_root.clone().unwrap_or_else(|| "/run/berth".into());
        let tls = tls_files(&flags);
        let listen = listen_addresses(&flags, &exec_root, tls.is_some())?;
        Ok(Self {
            allowed_hosts: allowed_hosts(&flags, &listen),
            listen,
            group: flags.group.clone(),
            cri: flags.cri.as_ref().map(|path| cri_socket(path, &exec_root)),
            pinned_images: pinned_images(&flags)?,
            cors: cors_origin(&flags)?,
            maximum: maximum(&flags)?,
            pidfile: flags.pidfile.clone().unwrap_or_else(|| exec_root.join("berth.pid")),
            build_cache_limit: flags.build_cache_limit.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
            engine: engine_options::from_flags(&flags, &exec_root)?,
            reloadable: Reloadable::from_flags(&flags)?,
            tls,
        })
    }
}

fn check_unsupported(flags: &Flags) -> Result<(), SettingsError> {
    if flags.selinux_enabled == Some(true) {
        return Err(SettingsError::flag("selinux-enabled", "SELinux labels are not supported"));
    }
    match flags.storage_driver.as_deref() {
        None | Some("" | "overlay" | "overlay2") => Ok(()),
        Some(other) => {
            Err(SettingsError::flag("storage-driver", format!("there is no {other:?}, only overlay")))
        }
    }
}

fn listen_addresses(flags: &Flags, exec_root: &Path, tls: bool) -> Result<Vec<ListenAddress>, AddressError> {
    let default_socket = exec_root.join("berth.sock");
    if flags.host.is_empty() {
        return Ok(vec![ListenAddress::Unix(default_socket)]);
    }
    flags.host.iter().map(|host| ListenAddress::parse(host, default_socket.clone(), tls)).collect()
}

/// The socket of Kubernetes' container runtime interface: the path that is given, or the usual one.
fn cri_socket(path: &str, exec_root: &Path) -> PathBuf {
    if path.is_empty() { exec_root.join("cri.sock") } else { path.into() }
}

/// The images that the kubelet must not remove, each with its tag.
fn pinned_images(flags: &Flags) -> Result<Vec<ImageReference>, SettingsError> {
    let parse = |name: &String| {
        let wrong = |error| SettingsError::flag("pinned-image", format!("{name}: {error}"));
        ImageReference::parse(name).map(ImageReference::with_default_tag).map_err(wrong)
    };
    flags.pinned_image.iter().map(parse).collect()
}

/// The names that are allowed, and those that the daemon listens at.
fn allowed_hosts(flags: &Flags, listen: &[ListenAddress]) -> Vec<String> {
    let own = listen.iter().filter_map(ListenAddress::host).map(str::to_owned);
    flags.allowed_host.iter().cloned().chain(own).collect()
}

fn tls_files(flags: &Flags) -> Option<TlsFiles> {
    let verify = flags.tlsverify == Some(true);
    if !verify && flags.tls != Some(true) {
        return None;
    }
    let home = std::env::var_os("DOCKER_CERT_PATH").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker")
    });
    let file = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| home.join(name));
    Some(TlsFiles {
        certificate: file(&flags.tlscert, "cert.pem"),
        key: file(&flags.tlskey, "key.pem"),
        client_ca: verify.then(|| file(&flags.tlscacert, "ca.pem")),
    })
}

/// The newest version that is served.
fn maximum(flags: &Flags) -> Result<ApiVersion, SettingsError> {
    let Some(text) = &flags.api_max else { return Ok(docker_api::MAX) };
    text.parse().map_err(|error: VersionError| SettingsError::flag("api-max", error))
}

fn cors_origin(flags: &Flags) -> Result<String, SettingsError> {
    let origin = flags.api_cors_header.clone().unwrap_or_default();
    match http::HeaderValue::try_from(&origin) {
        Ok(_) => Ok(origin),
        Err(_) => Err(SettingsError::flag("api-cors-header", "no header can carry this value")),
    }
}
