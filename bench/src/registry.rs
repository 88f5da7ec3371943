//! Debian's registry on the loopback, and an image in it whose layers are large.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use berth_tests::http::Connection;
use berth_tests::registry::{digest, gzip, noise};
use berth_tests::{Address, Answer, rootfs};
use serde_json::{Value, json};

/// Where it listens.
pub(crate) const HOST: &str = "127.0.0.1:5099";

/// The files of a layer: large ones, and as many small ones as a system has.
const LARGE_FILES: usize = 140;
const SMALL_FILES: usize = 1000;

/// A running registry; dropping it ends it and removes what it holds.
#[derive(Debug)]
pub(crate) struct Registry {
    directory: PathBuf,
    process: Child,
}

impl Registry {
    /// Starts an empty one.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("berth-bench-registry-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)?;
        let config = directory.join("config.yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: \
             {HOST}\n  secret: s\n",
            directory.join("data").display()
        );
        fs::write(&config, text)?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start docker-registry (Debian's package)")?;
        let registry = Self { directory, process };
        let begin = Instant::now();
        while ask("GET", "/v2/", "", b"").is_err() {
            if begin.elapsed() > Duration::from_secs(20) {
                bail!("docker-registry does not listen at {HOST}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Puts an image of gzipped layers into it; gives the bytes of the layers as they are sent.
    pub(crate) fn publish(&self, repository: &str, layers: &[Vec<u8>]) -> anyhow::Result<usize> {
        let mut sent = 0;
        let mut described = Vec::new();
        for layer in layers {
            let blob = gzip(layer);
            sent += blob.len();
            described.push(upload(repository, "application/vnd.docker.image.rootfs.diff.tar.gzip", &blob)?);
        }
        let kind = "application/vnd.docker.container.image.v1+json";
        let config = upload(repository, kind, config(layers).to_string().as_bytes())?;
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": described })
                .to_string();
        expect(&ask("PUT", &format!("/v2/{repository}/manifests/latest"), kind, manifest.as_bytes())?, 201)?;
        Ok(sent)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The config of an image of these plain layers.
pub(crate) fn config(layers: &[Vec<u8>]) -> Value {
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    json!({
        "architecture": "amd64", "os": "linux", "created": "2020-01-01T00:00:00Z", "config": { "Cmd": ["true"] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": layers.iter().map(|_| json!({ "created_by": "berth-bench" })).collect::<Vec<_>>(),
    })
}

/// A layer's tar: about 144 MB, about 60 MB when gzipped, as programs and data are.
pub(crate) fn layer(number: u64) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: String, seed: u64, size: usize| {
        rootfs::append(&mut archive, &name, tar::EntryType::Regular, 0o644, &content(seed, size));
    };
    for file in 0..LARGE_FILES {
        add(format!("layer{number}/large{file}"), number * 1_000_003 + file as u64, 1_000_000);
    }
    for file in 0..SMALL_FILES {
        add(format!("layer{number}/small{file}"), number * 2_000_003 + file as u64, 4_000);
    }
    archive.into_inner().unwrap_or_default()
}

/// Bytes of which gzip leaves about two fifths: half noise of six bits, half words.
fn content(seed: u64, size: usize) -> Vec<u8> {
    const BLOCK: usize = 500;
    const WORDS: &[u8] = b"the quick brown fox jumps over the lazy dog and back again ";
    let noise = noise(seed, size.div_ceil(2) + BLOCK);
    let mut bytes = Vec::with_capacity(size + 2 * BLOCK);
    for piece in noise.chunks(BLOCK) {
        bytes.extend(piece.iter().map(|byte| b' ' + (byte & 0x3f)));
        bytes.extend(WORDS.iter().cycle().take(BLOCK));
    }
    bytes.truncate(size);
    bytes
}

/// Uploads a blob; gives its descriptor.
fn upload(repository: &str, kind: &str, blob: &[u8]) -> anyhow::Result<Value> {
    let begun = ask("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"")?;
    expect(&begun, 202)?;
    let location = begun.head.header("location").context("no Location")?;
    let place = location.split_once(HOST).map_or(location, |(_, path)| path);
    let digest = digest(blob);
    let done = ask("PUT", &format!("{place}&digest={digest}"), "application/octet-stream", blob)?;
    expect(&done, 201)?;
    Ok(json!({ "mediaType": kind, "size": blob.len(), "digest": digest }))
}

fn ask(method: &str, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
    let address: SocketAddr = HOST.parse()?;
    let mut connection = Connection::open(&Address::Tcp(address))?;
    connection.request(method, path, &[("Content-Type", kind)], body)?;
    let head = connection.read_head()?;
    let body = connection.read_body(method, &head)?;
    Ok(Answer { head, body })
}

fn expect(answer: &Answer, status: u16) -> anyhow::Result<()> {
    if answer.status() == status {
        return Ok(());
    }
    bail!("the registry answers {}: {}", answer.status(), answer.text().trim())
}
