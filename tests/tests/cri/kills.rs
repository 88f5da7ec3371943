//! `kill -9` of the daemon in the middle of the lives of pods: the next one finds a state in which everything can be removed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use berth_tests::cri::Cri;
use berth_tests::wait;
use cri_messages::container::{
    ContainerFilter, ContainerState, ListContainersRequest, ListContainersResponse, StopContainerRequest,
    StopContainerResponse,
};
use cri_messages::sandbox::{
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandboxConfig, RemovePodSandboxRequest,
    RemovePodSandboxResponse, StopPodSandboxRequest, StopPodSandboxResponse,
};
use tonic::Status;

use crate::engine;
use crate::pod::{create, logs, pod, remove, run, shell, start};

/// The steps of a pod's life.
const STEPS: usize = 6;
/// How often the daemon is killed; each time after other steps.
const ROUNDS: usize = 9;

/// Lives the life of a pod again and again until a call fails, as all do once the daemon is gone.
fn live(cri: &Cri, config: &PodSandboxConfig, steps: &AtomicUsize) -> Result<(), Status> {
    loop {
        let step = || steps.fetch_add(1, Ordering::SeqCst);
        let sandbox = run(cri, config.clone())?;
        step();
        let id = create(cri, &sandbox, shell("main", "sleep 1000"))?;
        step();
        start(cri, &id)?;
        step();
        let asked = StopContainerRequest { container_id: id, timeout: 0 };
        let _: StopContainerResponse = cri.call("RuntimeService/StopContainer", asked)?;
        step();
        let asked = StopPodSandboxRequest { pod_sandbox_id: sandbox.clone() };
        let _: StopPodSandboxResponse = cri.call("RuntimeService/StopPodSandbox", asked)?;
        step();
        let asked = RemovePodSandboxRequest { pod_sandbox_id: sandbox };
        let _: RemovePodSandboxResponse = cri.call("RuntimeService/RemovePodSandbox", asked)?;
        step();
    }
}

fn sandboxes(cri: &Cri) -> Vec<String> {
    let asked = ListPodSandboxRequest { filter: None };
    let answer: ListPodSandboxResponse = cri.call("RuntimeService/ListPodSandbox", asked).expect("a list");
    answer.items.into_iter().map(|sandbox| sandbox.id).collect()
}

fn containers(cri: &Cri) -> Vec<(String, i32)> {
    let asked = ListContainersRequest { filter: Some(ContainerFilter::default()) };
    let answer: ListContainersResponse = cri.call("RuntimeService/ListContainers", asked).expect("a list");
    answer.containers.into_iter().map(|container| (container.pod_sandbox_id, container.state)).collect()
}

#[test]
fn everything_can_be_removed_after_the_daemon_was_killed_at_any_step() {
    let mut engine = engine();
    // This one lives through all of it.
    let cri = Cri::of(&engine);
    let survivor = run(&cri, pod(&engine, "survivor")).expect("a pod");
    let id = create(&cri, &survivor, shell("main", "sleep 1000")).expect("a container");
    start(&cri, &id).expect("a start");
    for round in 0..ROUNDS {
        let steps = AtomicUsize::new(0);
        let clients = ["one", "two"].map(|name| (Cri::of(&engine), pod(&engine, name)));
        let wanted = 2 * STEPS + round;
        thread::scope(|scope| {
            let lives = clients.each_ref().map(|(cri, config)| scope.spawn(|| live(cri, config, &steps)));
            wait::until("the steps", || (steps.load(Ordering::SeqCst) >= wanted).then_some(()));
            engine.kill_daemon();
            for life in lives {
                let _ = life.join().expect("a thread").expect_err("the daemon is gone");
            }
        });
        engine.start_daemon();
        let cri = Cri::of(&engine);
        let found = sandboxes(&cri);
        assert!(found.contains(&survivor));
        for (sandbox, state) in containers(&cri) {
            assert!(found.contains(&sandbox), "round {round}: a container without its pod");
            let is_survivors = sandbox == survivor;
            assert!(!is_survivors || state == i32::from(ContainerState::Running), "round {round}: {state}");
        }
        for sandbox in found.iter().filter(|id| **id != survivor) {
            remove(&cri, sandbox);
        }
        assert_eq!(sandboxes(&cri), std::slice::from_ref(&survivor), "round {round}");
        assert_eq!(containers(&cri).len(), 1, "round {round}");
    }
    remove(&Cri::of(&engine), &survivor);
    let _ = std::fs::remove_dir_all(logs(&engine));
}
