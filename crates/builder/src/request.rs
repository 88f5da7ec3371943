//! A request for a build: the parameters of `POST /build`, parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use images::registry::Platform;
use model::{Digest, HostSettings, ImageReference};

use crate::dockerfile::TreeChange;
use crate::order::Order;
use crate::runner::StepError;
use crate::source_policy::SourcePolicy;
use crate::transfer::Source as ContextTree;
use crate::wording::Wording;

/// Where the build context comes from.
pub enum ContextSource {
    /// The request's body: a tar, plain or compressed (gzip, bzip2, xz, zstd).
    Archive(Box<dyn Read + Send>),
    /// `remote=`: a Dockerfile or a tar by URL, or a git repository.
    Remote(String),
    /// The client sends it on request.
    Provided(Arc<dyn ContextProvider>),
}

/// Gets contexts from the client when a step needs them.
pub trait ContextProvider: Send + Sync {
    /// Gets the main context, or the one of a name; a name at most once, the main context again where a trigger of an
    /// image, or a stage that only a step under way turned out to need, reads other paths. `paths` are those of the
    /// context that the steps read, relative to its root; an empty list means all of it.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    fn context(
        &self,
        name: Option<&str>,
        paths: &[String],
    ) -> Result<Arc<dyn ContextTree + Send + Sync>, StepError>;
}

/// Gives the steps of a build what the client keeps to itself otherwise.
pub trait Provisions: Send + Sync {
    /// The secret of an id; `None` when the client does not have it.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, StepError>;

    /// The path of a unix socket on this host at which the client's ssh agent of an id answers until the build
    /// ends; `None` when the client does not have it.
    ///
    /// # Errors
    /// [`StepError`] with the text for the client.
    fn ssh_agent(&self, id: &str) -> Result<Option<PathBuf>, StepError>;
}

/// A context other than the main one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// An image, by its reference.
    Image(String),
    /// An image of the store that the request has made or brought here: what it is made of was judged.
    Held(Digest),
    /// A git repository or an archive by its address.
    Remote(String),
    /// The client sends it: [`ContextProvider`].
    Provided,
}

/// The inputs of build checks beside the Dockerfile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckRequest {
    /// The values of ARG.
    pub arguments: BTreeMap<String, Option<String>>,
    /// The patterns of what is left out of the context.
    pub ignored: Vec<String>,
}

/// A Dockerfile that is not in the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerfileText {
    /// Its name, for messages.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for ContextSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(_) => formatter.write_str("Archive"),
            Self::Remote(address) => formatter.debug_tuple("Remote").field(address).finish(),
            Self::Provided(_) => formatter.write_str("Provided"),
        }
    }
}

/// The fate of the containers of RUN steps.
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
    /// `platform`: the platform of the images of FROM, where FROM has none.
    pub platform: Option<Platform>,
    /// `cachefrom`: images whose steps count as made here.
    pub cache_from: Vec<String>,
    /// How the stream is worded.
    pub wording: Wording,
    /// In which order steps run.
    pub order: Order,
    /// The Dockerfile, where it is no file of the context.
    pub dockerfile_text: Option<DockerfileText>,
    /// The patterns by which the client left files out of the main context; for build checks alone.
    pub ignored: Vec<String>,
    /// The contexts other than the main one; the name of one for one platform alone ends in `::` and that.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// The stages, by name or number, whose steps run again.
    pub no_cache_filter: Vec<String>,
    /// Whether RUN may use the network of the host although the build does not.
    pub allows_host_network: bool,
    /// Whether stages begin with the files of their images alone, without their configuration.
    pub bare_stages: bool,
    /// Where stages are so: the changes that the text names by their numbers.
    pub tree_changes: Vec<TreeChange>,
    /// Secrets and ssh agents; `None` where the client has no way to send them.
    pub provisions: Option<Arc<dyn Provisions>>,
    /// The client's policy for sources, if it has one.
    pub policy: Option<Arc<dyn SourcePolicy>>,
}

impl fmt::Debug for BuildRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { context, names, target, order, .. } = self;
        let mut shown = formatter.debug_struct("BuildRequest");
        shown.field("context", context).field("names", names).field("target", target).field("order", order);
        shown.finish_non_exhaustive()
    }
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
            order: Order::default(),
            dockerfile_text: None,
            ignored: Vec::new(),
            named_contexts: BTreeMap::new(),
            no_cache_filter: Vec::new(),
            allows_host_network: false,
            bare_stages: false,
            tree_changes: Vec::new(),
            provisions: None,
            policy: None,
        }
    }
}
