//! The preparations before the first step: the context and the Dockerfile, parsed as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arguments::keep_git;
use super::contexts::SharedTree;
use super::judging::admit;
use super::state::Session;
use crate::context::{self, Fetching};
use crate::dockerfile::{Dockerfile, TreeChange, append_labels};
use crate::error::BuildError;
use crate::event::{BuildEvent, Material};
use crate::frontend::check_frontend;
use crate::order::Order;
use crate::request::{ContextProvider, ContextSource, DockerfileText, Provisions};
use crate::scratch::Scratch;
use crate::source_policy::SourcePolicy;
use crate::wording::Wording;

/// Which Dockerfile is meant, and what the request adds to it or leaves out.
pub(super) struct Choice {
    pub(super) dockerfile: Option<String>,
    pub(super) text: Option<DockerfileText>,
    pub(super) target: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) wording: Wording,
    pub(super) order: Order,
    /// The values of ARG.
    pub(super) arguments: BTreeMap<String, Option<String>>,
    /// The client's secrets and agents, and its policy for sources.
    pub(super) provisions: Option<Arc<dyn Provisions>>,
    pub(super) policy: Option<Arc<dyn SourcePolicy>>,
    /// The changes of a graph that was written as a Dockerfile; none for a Dockerfile.
    pub(super) tree_changes: Option<Vec<TreeChange>>,
}

/// A Dockerfile, and where its files come from.
pub(super) struct Prepared {
    pub(super) dockerfile: Dockerfile,
    /// The Dockerfile as it is written.
    pub(super) text: Vec<u8>,
    pub(super) context: Option<SharedTree>,
    pub(super) provider: Option<Arc<dyn ContextProvider>>,
}

/// Gets the context, unless the client sends it later, and understands the Dockerfile.
///
/// # Errors
/// [`BuildError`] when either is not there or no good.
pub(super) fn prepare(
    source: ContextSource,
    choice: &Choice,
    scratch: &Scratch,
    session: &Session<'_>,
) -> Result<Prepared, BuildError> {
    let (context, provider, bytes): (Option<SharedTree>, _, _) = match source {
        ContextSource::Provided(provider) => (None, Some(provider), None),
        source => {
            let name = choice.dockerfile.as_deref();
            let mut address = None;
            let has_text = choice.text.is_some();
            if let ContextSource::Remote(remote) = &source {
                admit(choice.policy.as_deref(), remote)?;
                address = Some(remote.clone()).filter(|_| choice.order == Order::Graph);
            }
            let fetching = Fetching {
                scratch,
                events: session.events,
                cancellation: session.cancellation,
                provisions: choice.provisions.as_deref().map(|provisions| provisions as _),
                keeps_git: choice.order == Order::Graph && keep_git(&choice.arguments),
            };
            let loaded = context::load(source, name, has_text, fetching);
            if session.cancellation.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            let loaded = loaded?;
            if let (Some(address), Some(content)) = (address, loaded.content) {
                session.events.send(BuildEvent::Material(Material::new(&address, content)));
            }
            (Some(Arc::new(loaded.context)), None, Some(loaded.dockerfile))
        }
    };
    let given = choice.text.as_ref().map(|text| text.bytes.clone());
    let text = given.or(bytes).ok_or(BuildError::NoContext)?;
    if choice.order == Order::Graph {
        check_frontend(&text, &choice.arguments)?;
    }
    let mut dockerfile = match &choice.tree_changes {
        Some(changes) => Dockerfile::parse_graph(&text, changes)?,
        None => Dockerfile::parse(&text, choice.wording, choice.order)?,
    };
    let takes_numbers = (choice.order, choice.wording) == (Order::Written, Wording::Reference);
    dockerfile.stop_after(choice.target.as_deref(), takes_numbers)?;
    append_labels(&mut dockerfile, &choice.labels);
    Ok(Prepared { dockerfile, text, context, provider })
}
