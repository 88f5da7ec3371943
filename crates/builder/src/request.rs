//! What a build is asked to do: the parameters of `POST /build`, parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use images::registry::Platform;
use model::{HostSettings, ImageReference};

use crate::wording::Wording;

/// Where the build context comes from.
pub enum ContextSource {
    /// The request's body: a tar, plain or compressed (gzip, bzip2, xz, zstd).
    Archive(Box<dyn Read + Send>),
    /// `remote=`: a Dockerfile or a tar by URL, or a git repository.
    Remote(String),
}

impl fmt::Debug for ContextSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(_) => formatter.write_str("Archive"),
            Self::Remote(address) => formatter.debug_tuple("Remote").field(address).finish(),
        }
    }
}

/// What happens to the containers of RUN steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Intermediate {
    /// `rm=1`, the default: removed after their step; that of a failing step is kept.
    #[default]
    RemoveOnSuccess,
    /// `forcerm=1`: removed in any case.
    Remove,
    /// `rm=0`: kept.
    Keep,
}

/// A build: the parameters of `POST /build`.
#[derive(Debug)]
pub struct BuildRequest {
    /// Where the context comes from.
    pub context: ContextSource,
    /// `dockerfile`: the Dockerfile's path in the context; `None` or empty means `Dockerfile`.
    pub dockerfile: Option<String>,
    /// `t`: the names that the image gets.
    pub names: Vec<ImageReference>,
    /// `nocache`: every step runs again.
    pub no_cache: bool,
    /// `pull`: images of FROM are pulled even where they are there.
    pub pull: bool,
    /// `rm` and `forcerm`.
    pub intermediate: Intermediate,
    /// `memory`, `memswap`, `cpushares`, `cpusetcpus`, `cpuperiod`, `cpuquota`, `cgroupparent`…:
    /// the limits of the RUN steps' containers.
    pub host: HostSettings,
    /// `buildargs`: values of ARG; `null` leaves the Dockerfile's default.
    pub build_arguments: BTreeMap<String, Option<String>>,
    /// `labels`: labels of the resulting image.
    pub labels: BTreeMap<String, String>,
    /// `target`: the stage to stop after.
    pub target: Option<String>,
    /// `platform`: what the images of FROM are for, where FROM does not say it.
    pub platform: Option<Platform>,
    /// `cachefrom`: images whose steps count as made here.
    pub cache_from: Vec<String>,
    /// How the stream is worded.
    pub wording: Wording,
}

impl BuildRequest {
    /// Makes a build of a context with the default of every parameter.
    #[must_use]
    pub fn new(context: ContextSource) -> Self {
        Self {
            context,
            dockerfile: None,
            names: Vec::new(),
            no_cache: false,
            pull: false,
            intermediate: Intermediate::default(),
            host: HostSettings::default(),
            build_arguments: BTreeMap::new(),
            labels: BTreeMap::new(),
            target: None,
            platform: None,
            cache_from: Vec::new(),
            wording: Wording::default(),
        }
    }
}
