//! What happens to pods, and lists in parts.

use std::sync::mpsc::Receiver;

use berth_tests::cri::Cri;
use berth_tests::{Engine, wait};
use cri_messages::container::{
    ContainerState, ContainerStatus, RemoveContainerRequest, RemoveContainerResponse,
};
use cri_messages::event::{ContainerEventResponse, ContainerEventType, GetEventsRequest};
use cri_messages::image::{Image, ImageFilter};
use cri_messages::list_stream::{
    StreamContainerStatsRequest, StreamContainerStatsResponse, StreamContainersRequest,
    StreamContainersResponse, StreamImagesRequest, StreamImagesResponse, StreamPodSandboxMetricsRequest,
    StreamPodSandboxMetricsResponse, StreamPodSandboxStatsRequest, StreamPodSandboxStatsResponse,
    StreamPodSandboxesRequest, StreamPodSandboxesResponse,
};
use cri_messages::sandbox::{PodSandboxFilter, PodSandboxState};
use cri_messages::value::ImageSpec;
use prost::Message;
use serde_json::json;
use tonic::Status;

use crate::engine;
use crate::pod::{pod, remove, run, shell, started, stop};

type Events = Receiver<Result<ContainerEventResponse, Status>>;

fn listen(cri: &Cri) -> Events {
    cri.stream("RuntimeService/GetContainerEvents", GetEventsRequest {})
}

/// The next event: its container, its kind, and the pod's state and its containers'.
fn next(events: &Events) -> (String, ContainerEventType, PodSandboxState, Vec<ContainerStatus>) {
    let event = events.recv_timeout(wait::TIMEOUT).expect("an event").expect("no failure");
    let kind = event.container_event_type();
    let pod = event.pod_sandbox_status.expect("the pod");
    assert_eq!(pod.metadata.as_ref().expect("metadata").uid, "uid-of-pod");
    (event.container_id, kind, pod.state(), event.containers_statuses)
}

#[test]
fn what_happens_to_a_pod_comes_with_all_that_is_in_it() {
    let engine = engine();
    let cri = Cri::of(&engine);
    let events = listen(&cri);
    // What happens to containers of Docker's clients is not shown.
    let _ = engine.run(&json!({ "Image": "busybox", "Cmd": ["true"] }));
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let (id, kind, _, containers) = next(&events);
    assert_eq!((id, kind), (sandbox.clone(), ContainerEventType::ContainerCreatedEvent));
    assert!(containers.is_empty());
    let (id, kind, state, _) = next(&events);
    assert_eq!((id, kind), (sandbox.clone(), ContainerEventType::ContainerStartedEvent));
    assert_eq!(state, PodSandboxState::Ready);
    let main = started(&cri, &sandbox, shell("main", "read line; exit 3"));
    let (id, kind, ..) = next(&events);
    assert_eq!((id, kind), (main.clone(), ContainerEventType::ContainerCreatedEvent));
    let (id, kind, ..) = next(&events);
    assert_eq!((id, kind), (main.clone(), ContainerEventType::ContainerStartedEvent));
    let (id, kind, state, containers) = next(&events);
    assert_eq!((id, kind), (main.clone(), ContainerEventType::ContainerStoppedEvent));
    assert_eq!((state, containers.len()), (PodSandboxState::Ready, 1));
    assert_eq!((containers[0].state(), containers[0].exit_code), (ContainerState::Exited, 3));
    let asked = RemoveContainerRequest { container_id: main.clone() };
    let _: RemoveContainerResponse = cri.call("RuntimeService/RemoveContainer", asked).expect("removed");
    let (id, kind, _, containers) = next(&events);
    assert_eq!((id, kind, containers.len()), (main, ContainerEventType::ContainerDeletedEvent, 0));
    stop(&cri, &sandbox);
    let (id, kind, state, _) = next(&events);
    assert_eq!((id, kind), (sandbox.clone(), ContainerEventType::ContainerStoppedEvent));
    assert_eq!(state, PodSandboxState::Notready);
    remove(&cri, &sandbox);
    let (id, kind, ..) = next(&events);
    assert_eq!((id, kind), (sandbox, ContainerEventType::ContainerDeletedEvent));
}

#[test]
fn a_stream_of_events_ends_with_the_daemon() {
    let mut engine = engine();
    let cri = Cri::of(&engine);
    let events = listen(&cri);
    engine.stop_daemon();
    let end = events.recv_timeout(wait::TIMEOUT);
    assert!(end.is_err() || end.is_ok_and(|answer| answer.is_err()), "no event has happened");
    engine.start_daemon();
}

/// All answers of a stream that ends.
fn all<Q, A>(cri: &Cri, method: &str, asked: Q) -> Vec<A>
where
    Q: Message + Default + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    cri.stream(method, asked).into_iter().map(|answer| answer.expect("a part")).collect()
}

fn sandboxes(cri: &Cri, filter: PodSandboxFilter) -> Vec<String> {
    let asked = StreamPodSandboxesRequest { filter: Some(filter) };
    let parts: Vec<StreamPodSandboxesResponse> = all(cri, "RuntimeService/StreamPodSandboxes", asked);
    parts.into_iter().flat_map(|part| part.pod_sandboxes).map(|sandbox| sandbox.id).collect()
}

fn images(cri: &Cri, name: &str) -> Vec<Image> {
    let image = Some(ImageSpec { image: name.to_owned(), ..ImageSpec::default() });
    let asked = StreamImagesRequest { filter: Some(ImageFilter { image }) };
    let parts: Vec<StreamImagesResponse> = all(cri, "ImageService/StreamImages", asked);
    parts.into_iter().flat_map(|part| part.images).collect()
}

#[test]
fn each_list_comes_in_parts_too() {
    let engine = engine();
    let cri = Cri::of(&engine);
    assert!(sandboxes(&cri, PodSandboxFilter::default()).is_empty());
    let sandbox = run(&cri, pod(&engine, "pod")).expect("a pod");
    let other = run(&cri, pod(&engine, "other")).expect("a pod");
    let main = started(&cri, &sandbox, shell("main", "sleep 1000"));
    assert_eq!(sandboxes(&cri, PodSandboxFilter::default()), [other.as_str(), sandbox.as_str()]);
    let filter = PodSandboxFilter { id: sandbox.clone(), ..PodSandboxFilter::default() };
    assert_eq!(sandboxes(&cri, filter), [sandbox.as_str()]);
    let containers: Vec<StreamContainersResponse> =
        all(&cri, "RuntimeService/StreamContainers", StreamContainersRequest { filter: None });
    let ids: Vec<&String> =
        containers.iter().flat_map(|part| &part.containers).map(|found| &found.id).collect();
    assert_eq!(ids, [&main]);
    let stats: Vec<StreamContainerStatsResponse> =
        all(&cri, "RuntimeService/StreamContainerStats", StreamContainerStatsRequest { filter: None });
    let stats: Vec<_> = stats.into_iter().flat_map(|part| part.container_stats).collect();
    assert_eq!(stats.len(), 1);
    assert_eq!(stats[0].attributes.as_ref().expect("attributes").id, main);
    let stats: Vec<StreamPodSandboxStatsResponse> =
        all(&cri, "RuntimeService/StreamPodSandboxStats", StreamPodSandboxStatsRequest { filter: None });
    assert_eq!(stats.iter().map(|part| part.pod_sandbox_stats.len()).sum::<usize>(), 2);
    let metrics: Vec<StreamPodSandboxMetricsResponse> =
        all(&cri, "RuntimeService/StreamPodSandboxMetrics", StreamPodSandboxMetricsRequest {});
    assert_eq!(metrics.iter().map(|part| part.pod_sandbox_metrics.len()).sum::<usize>(), 2);
    assert_eq!(images(&cri, "busybox").len(), 1);
    assert!(images(&cri, "no-such-image").is_empty());
    for id in [sandbox, other] {
        remove(&cri, &id);
    }
}

#[test]
fn pinned_images_are_shown_as_such() {
    let engine =
        Engine::start_with_flags(&[berth_tests::cri::FLAG, "--pinned-image", "docker.io/library/busybox"]);
    let cri = Cri::of(&engine);
    let _ = engine.post("/images/busybox/tag?repo=other&tag=1").expect(201);
    assert!(images(&cri, "busybox").iter().all(|image| image.pinned && image.repo_tags.len() == 2));
    let _ = engine.delete("/images/busybox?noprune=1").expect(200);
    let left = images(&cri, "other:1");
    assert_eq!((left.len(), left[0].pinned), (1, false), "it has another name");
}
