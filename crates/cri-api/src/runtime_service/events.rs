//! `GetContainerEvents`: what happens to sandboxes and containers, each with the whole pod as it is then.

use std::sync::Arc;

use engine::{PodChange, PodEvent, PodEvents, Record};
use futures_util::{Stream, stream};
use model::Timestamp;
use tokio::sync::watch;
use tonic::Status;

use super::RuntimeService;
use super::{sandboxes, status_of_container};
use crate::blocking::apart;
use crate::time::nanoseconds;
use crate::wire::container::ContainerStatus;
use crate::wire::event::{ContainerEventResponse, ContainerEventType};
use crate::wire::pod_status::PodSandboxStatusResponse;

/// A listener's place.
struct Listening {
    service: Arc<RuntimeService>,
    events: PodEvents,
    stopping: watch::Receiver<bool>,
    is_over: bool,
}

impl RuntimeService {
    /// `GetContainerEvents`: from now on until the client leaves or the daemon stops.
    pub(crate) fn events(
        self: Arc<Self>,
        stopping: watch::Receiver<bool>,
    ) -> impl Stream<Item = Result<ContainerEventResponse, Status>> + Send + use<> {
        let events = PodEvents::listen(&self.engine.pods);
        let listening = Listening { service: self, events, stopping, is_over: false };
        stream::unfold(listening, |mut listening| async move {
            let next = listening.next().await?;
            Some((next, listening))
        })
    }

    /// The whole pod of a sandbox.
    pub(super) fn pod(&self, sandbox: &Record) -> PodSandboxStatusResponse {
        let containers = self.engine.pods.containers_of(&sandbox.id);
        let status = |record: Arc<Record>| -> ContainerStatus {
            status_of_container::status(&record, self.engine.pods.identity(&record))
        };
        PodSandboxStatusResponse {
            status: Some(sandboxes::status(sandbox, &self.engine.pods)),
            containers_statuses: containers.into_iter().map(status).collect(),
            timestamp: nanoseconds(Timestamp::now()),
            ..PodSandboxStatusResponse::default()
        }
    }
}

impl Listening {
    async fn next(&mut self) -> Option<Result<ContainerEventResponse, Status>> {
        if self.is_over {
            return None;
        }
        let stopping = async { drop(self.stopping.wait_for(|stopping| *stopping).await) };
        let event = tokio::select! {
            () = stopping => return None,
            event = self.events.next() => event,
        };
        Some(match event {
            Ok(event) => self.answer(&event).await,
            Err(_) => {
                self.is_over = true;
                Err(Status::data_loss("events were missed: the lists have to be read again"))
            }
        })
    }

    async fn answer(&self, event: &PodEvent) -> Result<ContainerEventResponse, Status> {
        let kind = match event.change {
            PodChange::Created => ContainerEventType::ContainerCreatedEvent,
            PodChange::Started => ContainerEventType::ContainerStartedEvent,
            PodChange::Stopped => ContainerEventType::ContainerStoppedEvent,
            PodChange::Deleted => ContainerEventType::ContainerDeletedEvent,
        };
        let (sandbox, service) = (self.events.sandbox_of(&event.part), Arc::clone(&self.service));
        // Files of the pod's containers are read.
        let pod = apart(move || Ok(sandbox.map(|sandbox| service.pod(&sandbox)).unwrap_or_default()));
        let pod = pod.await?;
        Ok(ContainerEventResponse {
            container_id: event.part.id.to_string(),
            container_event_type: kind.into(),
            created_at: nanoseconds(event.time),
            pod_sandbox_status: pod.status,
            containers_statuses: pod.containers_statuses,
        })
    }
}
