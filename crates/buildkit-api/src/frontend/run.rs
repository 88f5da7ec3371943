//! Runs the Dockerfile's frontend with options that are parsed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use engine::builder::{
    BuildError, BuildRequest, ContextSource, DockerfileText, Order, SourcePolicy, TreeChange, Wording,
};
use engine::images::registry::{Cancellation, CredentialMap, Platform};
use model::Digest;
use tokio::runtime::Handle;

use super::context::ClientContexts;
use super::credentials::SessionCredentials;
use super::documents::{self, Documents, Places};
use super::events::Events;
use super::graph::{InlineTree, LocalSource};
use super::options::{MainContext, Options};
use super::outcome::{self, Made, Outcome};
use super::policy::SessionPolicy;
use super::provisions::SessionProvisions;
use super::remote::Remote;
use super::{failure, subrequest, upload};
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::held::HeldImage;
use crate::made::MadeImage;
use crate::parts::Parts;
use crate::remote_cache::{self, CacheImports};
use buildkit_messages::operations::SourceInfo;

/// Where a result has the configuration of an image.
const CONFIG: &str = "containerimage.config";
/// The parts of a build's request other than its options.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The context, where the request has it.
    pub(super) context: Option<ContextSource>,
    pub(super) credentials: CredentialMap,
    /// The caches that it begins with.
    pub(super) caches: CacheImports,
    /// The Dockerfile of a client's graph, whose stages have files alone, and its changes that are not instructions.
    pub(super) graph: Option<(Documents, Vec<TreeChange>)>,
    /// The directories of the client that the graph takes, by the names of their contexts.
    pub(super) locals: BTreeMap<String, LocalSource>,
    /// The files that it has in itself, likewise.
    pub(super) inline: BTreeMap<String, InlineTree>,
}

/// Where a graph of the client takes files from.
struct GraphSources {
    locals: BTreeMap<String, LocalSource>,
    inline: BTreeMap<String, InlineTree>,
    is_graph: bool,
    changes: Vec<TreeChange>,
}

/// Where the main context is, if the request has it, and the policy for the others.
struct Origins {
    given: Option<ContextSource>,
    policy: Option<SessionPolicy>,
}

/// Runs the frontend with options that are parsed.
///
/// # Errors
/// [`Status`] with the text for the client.
pub(super) async fn run_with(
    parts: &Arc<Parts>,
    build: &Arc<Build>,
    options: Options,
    given: Given,
) -> Result<Outcome, Status> {
    let session = match build.session.as_str() {
        "" => None,
        id => Some(parts.sessions.find(id).await?),
    };
    let remote = Remote { session, build: Arc::clone(build), runtime: Handle::current() };
    let policy = match build.policy_session.as_str() {
        "" => None,
        id => Some(SessionPolicy::new(parts.sessions.find(id).await?, remote.clone())),
    };
    let is_graph = given.graph.is_some();
    let client_context = match &options.context {
        MainContext::Client(context) if given.context.is_none() => Some(Some(context.as_str())),
        MainContext::Remote(_) if options.offers_dockerfile => Some(None),
        MainContext::Client(_) | MainContext::Upload(_) | MainContext::Remote(_) => None,
    };
    let documents = match client_context {
        _ if is_graph => given.graph.as_ref().map(|(documents, _)| documents.clone()),
        Some(context) => {
            let (directory, file_name) = (&options.dockerfile_directory, &options.file_name);
            if let Some(policy) = &policy {
                policy.admit(&format!("local://{directory}")).await?;
            }
            let places = Places { directory, file_name, context };
            Some(documents::load(parts, build, remote.session()?, places).await?)
        }
        None => None,
    };
    if let Some(subrequest) = options.subrequest {
        let parts = Arc::clone(parts);
        let answer = move || subrequest::answer(&parts, subrequest, &options, documents.as_ref());
        let answered = tokio::task::spawn_blocking(answer).await;
        let metadata = answered.map_err(|error| Status::new(Code::Internal, error.to_string()))??;
        return Ok(Outcome { made: Made::Nothing, metadata });
    }
    let unused = given.caches.unused.iter();
    let unused = unused.map(|kind| format!("the cache of the kind {kind} is not supported and is not used"));
    build.progress.warn_of_options(unused.collect());
    let source = documents.as_ref().filter(|_| !is_graph).map(|documents| SourceInfo {
        file_name: documents.name.clone(),
        data: documents.text.clone(),
        language: "Dockerfile".to_owned(),
    });
    let Given { mut context, credentials, caches, locals, inline, graph } = given;
    let changes = graph.map(|(_, changes)| changes).unwrap_or_default();
    let mut cache_from = Vec::new();
    for place in &caches.references {
        let credentials = SessionCredentials::new(remote.clone(), credentials.clone());
        cache_from.extend(remote_cache::import(parts, build, place, credentials).await);
    }
    for cache in &caches.local {
        let session = remote.session.as_ref();
        let missing = || Status::new(Code::FailedPrecondition, "a local cache needs a session of the client");
        let session = session.ok_or_else(missing)?;
        cache_from.extend(remote_cache::import_local(parts, build, session, cache).await);
    }
    let wanted: Vec<Option<Platform>> = match options.platforms.as_slice() {
        [] => vec![None],
        platforms => platforms.iter().cloned().map(Some).collect(),
    };
    let is_one = wanted.len() == 1 && !options.is_multi_platform;
    if wanted.len() > 1 && (context.is_some() || matches!(options.context, MainContext::Upload(_))) {
        return Err(Status::unimplemented("a context that is sent as an archive is for one platform alone"));
    }
    let mut images = Vec::new();
    for platform in wanted {
        let options = Options { platforms: platform.into_iter().collect(), ..options.clone() };
        let (locals, inline, changes) = (locals.clone(), inline.clone(), changes.clone());
        let sources = GraphSources { locals, inline, is_graph, changes };
        let from = Origins { given: context.take(), policy: policy.clone() };
        let request = request(parts, &remote, options, (documents.clone(), sources), from).await?;
        let request =
            BuildRequest { cache_from: [cache_from.clone(), request.cache_from.clone()].concat(), ..request };
        let credentials = SessionCredentials::new(remote.clone(), credentials.clone());
        images.push(build_image(parts, remote.clone(), request, source.clone(), credentials).await?);
    }
    if is_one && let Some(image) = images.pop() {
        let metadata = HashMap::from([(CONFIG.to_owned(), config(parts, &image.held.id)?)]);
        return Ok(Outcome { made: Made::Image(Box::new(image)), metadata });
    }
    let mut metadata = HashMap::from([("refs.platforms".to_owned(), outcome::platforms(&images))]);
    for image in &mut images {
        image.is_by_platform = true;
        metadata.insert(format!("{CONFIG}/{}", image.platform), config(parts, &image.held.id)?);
    }
    Ok(Outcome { made: Made::Platforms(images), metadata })
}

/// The key of the client's directories, where the session has one.
fn shared_key(remote: &Remote) -> Option<String> {
    let key = &remote.session.as_ref()?.fields.shared_key;
    (!key.is_empty()).then(|| key.clone())
}

/// The build of these options.
async fn request(
    parts: &Arc<Parts>,
    remote: &Remote,
    options: Options,
    (documents, graph): (Option<Documents>, GraphSources),
    Origins { given, policy }: Origins,
) -> Result<BuildRequest, Status> {
    let main = match &options.context {
        MainContext::Client(name) => name.clone(),
        MainContext::Upload(_) | MainContext::Remote(_) => "context".to_owned(),
    };
    let provider = ClientContexts {
        parts: Arc::clone(parts),
        remote: remote.clone(),
        main,
        named: options.local_names,
        locals: graph.locals,
        inline: graph.inline,
        excludes: documents.as_ref().map(|documents| documents.excludes.clone()).unwrap_or_default(),
        key: options.shared_key.or_else(|| shared_key(remote)),
        policy: policy.clone(),
    };
    let context = match (given, options.context) {
        (Some(context), _) => context,
        (None, MainContext::Client(_)) => ContextSource::Provided(Arc::new(provider)),
        (None, MainContext::Upload(path)) => ContextSource::Archive(upload::open(remote, &path).await?),
        (None, MainContext::Remote(address)) => ContextSource::Remote(address),
    };
    let text = documents.map(|documents| DockerfileText { name: documents.name, bytes: documents.text });
    Ok(BuildRequest {
        dockerfile: Some(options.file_name),
        no_cache: options.no_cache,
        no_cache_filter: options.no_cache_filter,
        pull: options.pull,
        host: options.host,
        allows_host_network: remote.build.allows_host_network,
        build_arguments: options.build_arguments,
        labels: options.labels,
        target: options.target,
        platform: options.platforms.into_iter().next(),
        cache_from: options.cache_from,
        wording: Wording::Today,
        order: Order::Graph,
        dockerfile_text: text,
        named_contexts: options.named_contexts,
        bare_stages: graph.is_graph,
        tree_changes: graph.changes,
        policy: policy.map(|policy| Arc::new(policy) as Arc<dyn SourcePolicy>),
        provisions: Some(Arc::new(SessionProvisions::new(remote.clone(), parts.directory.clone()))),
        ..BuildRequest::new(context)
    })
}

/// Stops a build that has no waiter any more.
struct CancelOnDrop(Cancellation);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn build_image(
    parts: &Arc<Parts>,
    remote: Remote,
    request: BuildRequest,
    source: Option<SourceInfo>,
    credentials: SessionCredentials,
) -> Result<MadeImage, Status> {
    let cancellation = remote.build.cancellation().child();
    let _guard = CancelOnDrop(cancellation.clone());
    let engine = Arc::clone(&parts.engine);
    let events =
        Events::new(&remote.build.progress, format!("{} ", remote.build.next_number()), source.clone());
    let work = tokio::task::spawn_blocking(move || {
        let image = engine.builds.build(request, &credentials, &events, &cancellation)?;
        let store = engine.images.store();
        let platform = Platform::of(&store.image(&image)?.config);
        Ok(MadeImage {
            held: HeldImage::hold(store, image)?,
            platform,
            is_by_platform: false,
            materials: events.materials(),
            provisions: events.provisions(),
            stages: events.stages(),
        })
    });
    let built =
        work.await.map_err(|error| Status::new(Code::Internal, format!("the build failed: {error}")))?;
    built.map_err(|error: BuildError| failure::status(&error, source.as_ref()))
}

/// The configuration of an image, as clients read it of a result.
fn config(parts: &Parts, image: &Digest) -> Result<Vec<u8>, Status> {
    let store = parts.engine.images.store();
    let found = store.image(image).and_then(|found| store.document_of(image, &found.config_digest));
    found.map_err(|error| Status::of_kind(error.kind(), error.to_string()))
}
