//! Drives the engine without its API: one container from an imported image to its removal.
//! Needs root, busybox-static, and the shim that `scripts/build` makes.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_engine::{Engine, LogQuery, NewContainer, Options, Outcome, Removal};
use model::{ContainerSettings, HostSettings, LogConfig, LogDriver, NetworkMode};

/// The shim that `scripts/build` puts beside the daemon, or the one that `BERTH_SHIM` names.
fn shim() -> PathBuf {
    let built = || Some(std::env::current_exe().ok()?.parent()?.parent()?.join("berth-shim"));
    let shim =
        std::env::var_os("BERTH_SHIM").map(PathBuf::from).or_else(built).expect("a place for the shim");
    assert!(shim.exists(), "there is no shim at {}: scripts/build makes it", shim.display());
    shim
}

fn options(root: &Path) -> Options {
    Options {
        cdi_directories: Vec::new(),
        pod_networks: None,
        user_mapping: None,
        address_pools: berth_engine::AddressPools::default(),
        data_root: root.join("data"),
        exec_root: root.join("run"),
        sockets: Vec::new(),
        version: "test".to_owned(),
        shim: shim(),
        network: network::Options { bridge: network::BridgeChoice::None, ..network::Options::default() },
        dns: Vec::new(),
        dns_search: Vec::new(),
        log: LogConfig { driver: Some(LogDriver::JsonFile), options: Default::default() },
        ulimits: Vec::new(),
        labels: Vec::new(),
        registry: images::registry::RegistrySettings::default(),
        unpack_allowance: None,
        stop_containers_on_exit: false,
        cgroup_parent: None,
        pod_cgroup_driver: Default::default(),
    }
}

/// A tar with busybox as /bin/sh and all else that the tests run.
fn busybox_tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name("/bin/busybox", "bin/busybox").unwrap();
    for applet in ["sh", "echo", "true", "sleep", "cat"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    tar.into_inner().unwrap()
}

async fn run(engine: &Arc<Engine>, words: &[&str], host: HostSettings) -> (i32, String) {
    let command = Some(words.iter().map(|word| (*word).to_owned()).collect());
    let image = "busybox".to_owned();
    let new = NewContainer {
        name: None,
        settings: ContainerSettings { image, command, host, ..ContainerSettings::default() },
        ..NewContainer::default()
    };
    let id = engine.containers.create(new).await.unwrap().id;
    assert_eq!(engine.containers.start(id.as_str(), None).await.unwrap(), Outcome::Done);
    let code = engine
        .containers
        .begin_wait(id.as_str(), berth_engine::WaitCondition::NotRunning)
        .unwrap()
        .outcome()
        .await
        .exit_code;
    let query = LogQuery { stdout: true, stderr: true, framed: Some(false), ..LogQuery::default() };
    let mut logs = engine.logs.read(id.as_str(), query).await.unwrap();
    let mut text = String::new();
    while let Some(piece) = logs.next().await {
        text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    engine.containers.remove(id.as_str(), Removal::default()).await.unwrap();
    assert!(engine.containers.find(id.as_str()).is_err());
    (code, text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_from_image_to_removal() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root");
    let root = std::env::temp_dir().join(format!("berth-engine-{}", std::process::id()));
    let engine = Engine::open(options(&root)).await.unwrap();
    let import = images::ImportOptions {
        source: "-".to_owned(),
        reference: Some(model::ImageReference::parse("busybox").unwrap()),
        ..Default::default()
    };
    engine.images.store().import(&busybox_tar()[..], &import).unwrap();

    let none = || HostSettings { network_mode: NetworkMode::None, ..HostSettings::default() };
    assert_eq!(run(&engine, &["echo", "hi there"], none()).await, (0, "hi there\n".to_owned()));
    assert_eq!(run(&engine, &["sh", "-c", "echo out; echo err >&2; exit 3"], none()).await.0, 3);
    assert_eq!(run(&engine, &["sh", "-c", "kill -9 $$; exit 5"], none()).await.0, 5);

    engine.close().await;
    drop(engine);
    std::fs::remove_dir_all(&root).unwrap();
}
