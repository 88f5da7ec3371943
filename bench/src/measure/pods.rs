//! Pods over Kubernetes' container runtime interface: how soon they run, and what a node full of them needs.

use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, ensure};
use berth_tests::cri::Cri;
use cri_messages::container::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, CreateContainerResponse,
    StartContainerRequest, StartContainerResponse,
};
use cri_messages::sandbox::{
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandboxConfig, PodSandboxMetadata, PodSandboxState,
    RemovePodSandboxRequest, RemovePodSandboxResponse, RunPodSandboxRequest, RunPodSandboxResponse,
};
use cri_messages::value::ImageSpec;

use super::memory::processes_of;
use crate::arguments::Arguments;
use crate::engine::{Engine, IMAGE, proportional_megabytes};
use crate::sample::{Sample, median, middle, timed};

/// A node without requests for so long is quiet.
const QUIET: Duration = Duration::from_secs(3);

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let Some(socket) = engine.cri().map(ToOwned::to_owned) else { return Ok(Vec::new()) };
    let mut samples = single(&Cri::connect(&socket), arguments)?;
    let mut pods = Vec::new();
    let full = full_node(&Cri::connect(&socket), engine, arguments, &mut pods)
        .and_then(|full| Ok((full, after_kill(engine, pods.len())?)));
    // Another daemon may serve by now.
    let cri = Cri::connect(&socket);
    pods.iter().try_for_each(|pod| remove(&cri, pod))?;
    let (full, again) = full?;
    samples.extend(full.into_iter().chain(again));
    Ok(samples)
}

/// The daemon's start again after `kill -9`, where it was started here.
fn after_kill(engine: &mut Engine, pods: usize) -> anyhow::Result<Option<Sample>> {
    let (Some(socket), Some(time)) = (engine.cri().map(ToOwned::to_owned), engine.restart()?) else {
        return Ok(None);
    };
    let found = ready(&Cri::connect(&socket))?;
    ensure!(found == pods, "{found} of {pods} pods are ready after the daemon's restart");
    Ok(Some(Sample::milliseconds(&format!("daemon ready after kill -9, {pods} pods"), time)))
}

/// One pod at a time.
fn single(cri: &Cri, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let (mut number, mut starts) = (0, Vec::new());
    let sandbox = median(budget, || {
        number += 1;
        let begin = Instant::now();
        let pod = run(cri, number)?;
        let time = begin.elapsed();
        starts.push(timed(|| start(cri, &pod).map(drop))?);
        remove(cri, &pod)?;
        Ok(time)
    })?;
    Ok(vec![
        Sample::milliseconds("sandbox of a pod", sandbox),
        Sample::milliseconds("create and start in a pod", middle(&starts)),
    ])
}

/// As many pods as a node has.
fn full_node(
    cri: &Cri,
    engine: &Engine,
    arguments: &Arguments,
    pods: &mut Vec<String>,
) -> anyhow::Result<Vec<Sample>> {
    let (mut ids, mut times) = (Vec::new(), Vec::new());
    for number in 0..arguments.pods {
        let begin = Instant::now();
        let pod = run(cri, number)?;
        pods.push(pod.clone());
        ids.push(start(cri, &pod)?);
        times.push(begin.elapsed());
        ids.push(pod);
    }
    thread::sleep(QUIET);
    let count = f64::from(u32::try_from(arguments.pods)?);
    let serving: Vec<u32> = processes_of(&ids).into_iter().filter(|pid| !is_own(*pid)).collect();
    let beside: f64 = serving.into_iter().flat_map(proportional_megabytes).sum();
    let last = middle(&times[times.len().saturating_sub(10)..]);
    let named = |what: &str| format!("{what}, {} pods", arguments.pods);
    Ok(vec![
        Sample::milliseconds(&named("the last pods with a container"), last),
        Sample::megabytes(&named("memory for each beside its own"), beside / count),
        Sample::megabytes(&named("memory of the daemon"), proportional_megabytes(engine.pid()?)?),
    ])
}

/// Whether a process is a pod's own program, and not a server of it.
fn is_own(pid: u32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| command.starts_with(b"sleep\0"))
}

fn run(cri: &Cri, number: usize) -> anyhow::Result<String> {
    let metadata = PodSandboxMetadata {
        name: format!("pod-{number}"),
        uid: format!("uid-{number}"),
        namespace: "bench".to_owned(),
        attempt: 0,
    };
    let config = PodSandboxConfig { metadata: Some(metadata), ..PodSandboxConfig::default() };
    let asked = RunPodSandboxRequest { config: Some(config), runtime_handler: String::new() };
    let answer: RunPodSandboxResponse =
        cri.call("RuntimeService/RunPodSandbox", asked).context("cannot run a pod")?;
    Ok(answer.pod_sandbox_id)
}

/// Makes and starts a container in a pod.
fn start(cri: &Cri, pod: &str) -> anyhow::Result<String> {
    let config = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "main".to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image: IMAGE.to_owned(), ..ImageSpec::default() }),
        command: ["sleep", "3600"].map(str::to_owned).to_vec(),
        ..ContainerConfig::default()
    };
    let asked =
        CreateContainerRequest { pod_sandbox_id: pod.to_owned(), config: Some(config), sandbox_config: None };
    let made: CreateContainerResponse =
        cri.call("RuntimeService/CreateContainer", asked).context("cannot make a container")?;
    let asked = StartContainerRequest { container_id: made.container_id.clone() };
    let _: StartContainerResponse =
        cri.call("RuntimeService/StartContainer", asked).context("cannot start a container")?;
    Ok(made.container_id)
}

fn remove(cri: &Cri, pod: &str) -> anyhow::Result<()> {
    let asked = RemovePodSandboxRequest { pod_sandbox_id: pod.to_owned() };
    let _: RemovePodSandboxResponse =
        cri.call("RuntimeService/RemovePodSandbox", asked).context("cannot remove a pod")?;
    Ok(())
}

/// How many pods are ready.
fn ready(cri: &Cri) -> anyhow::Result<usize> {
    let asked = ListPodSandboxRequest { filter: None };
    let pods: ListPodSandboxResponse =
        cri.call("RuntimeService/ListPodSandbox", asked).context("cannot list the pods")?;
    Ok(pods.items.iter().filter(|pod| pod.state() == PodSandboxState::Ready).count())
}
