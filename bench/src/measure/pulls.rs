//! Pull and push of large layers, with Debian's registry on the same machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use berth_tests::registry::Messages;
use berth_tests::rootfs;
use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::registry::{HOST, Registry, config, layer};
use crate::sample::{Sample, timed};

/// The layers of the image that is pulled, and of the one that is pushed.
const PULLED: u64 = 8;
const PUSHED: u64 = 4;
/// How often each is done; the median counts.
const ROUNDS: usize = 3;

pub(super) fn measure(engine: &mut Engine, _arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let registry = Registry::start()?;
    let mut samples = pull(engine, &registry)?;
    samples.push(push(engine)?);
    Ok(samples)
}

fn pull(engine: &Engine, registry: &Registry) -> anyhow::Result<Vec<Sample>> {
    let layers: Vec<Vec<u8>> = (1..=PULLED).map(layer).collect();
    let sent = registry.publish("pulled", &layers)?;
    drop(layers);
    let image = format!("{HOST}/pulled:latest");
    let path = format!("/images/create?fromImage={HOST}/pulled&tag=latest");
    let pid = engine.pid()?;
    let (mut times, mut memory): (Vec<Duration>, Vec<f64>) = Default::default();
    for _ in 0..ROUNDS {
        forget(engine, &image);
        rustix::fs::sync();
        // 5: begins the peak anew (proc_pid_clear_refs(5)).
        fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        times.push(timed(|| succeeds(engine, &path))?);
        memory.push(peak_megabytes(pid)?);
    }
    forget(engine, &image);
    memory.sort_unstable_by(f64::total_cmp);
    let what = format!("{PULLED} layers of {} MB gzipped", sent / 1_000_000 / layers_of(PULLED));
    Ok(vec![
        Sample::milliseconds(&format!("pull, {what}"), middle(times)),
        Sample::megabytes("memory of the daemon at most while it pulls", memory[ROUNDS - 1]),
    ])
}

/// Pushes an image that was loaded: its layers are compressed on the way.
fn push(engine: &Engine) -> anyhow::Result<Sample> {
    let mut times = Vec::new();
    for round in 0..ROUNDS as u64 {
        // Other content each time: the registry has none of it.
        let layers: Vec<Vec<u8>> = (0..PUSHED).map(|number| layer(100 + round * PUSHED + number)).collect();
        let image = format!("{HOST}/pushed{round}:latest");
        let archive = archive(&layers, &image)?;
        let kind = [("Content-Type", "application/x-tar")];
        let loaded = engine.client().attempt("POST", "/images/load", &kind, &archive)?;
        ensure!(loaded.status() == 200, "load: {}", loaded.text());
        drop((layers, archive));
        rustix::fs::sync();
        times.push(timed(|| succeeds(engine, &format!("/images/{HOST}/pushed{round}/push?tag=latest")))?);
        forget(engine, &image);
    }
    Ok(Sample::milliseconds(&format!("push, {PUSHED} layers of 144 MB"), middle(times)))
}

/// A request whose stream reports its success.
fn succeeds(engine: &Engine, path: &str) -> anyhow::Result<()> {
    let answer = engine.client().attempt("POST", path, &[("X-Registry-Auth", "e30=")], b"")?;
    let messages = Messages::of(&answer);
    ensure!(messages.error.is_none(), "{path}: {:?}", messages.error);
    Ok(())
}

fn forget(engine: &Engine, image: &str) {
    let _ = engine.client().delete(&format!("/images/{image}?force=1"));
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn layers_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(1)
}

/// An archive as `docker save` writes it.
fn archive(layers: &[Vec<u8>], image: &str) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        rootfs::append(&mut archive, name, tar::EntryType::Regular, 0o644, bytes);
    };
    let names: Vec<String> = (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    add(
        "manifest.json",
        json!([{ "Config": "config.json", "RepoTags": [image], "Layers": names }]).to_string().as_bytes(),
    );
    add("config.json", config(layers).to_string().as_bytes());
    for (name, layer) in names.iter().zip(layers) {
        add(name, layer);
    }
    archive.into_inner().context("an archive")
}

/// The most memory that a process had since its peak was begun anew, in megabytes.
fn peak_megabytes(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
