//! An OCI image layout whose documents are of the fuzzer's choice and point to each other by their true digests: nothing
//! panics, nothing stays after an error, and what was loaded can be inspected and saved.
#![no_main]

use std::sync::LazyLock;

use berth_fuzz::{INDEX, Layout, MANIFEST, all, clear, store};
use images::Store;
use images::registry::Platform;
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use serde_json::{Value, json};

static STORE: LazyLock<Store> = LazyLock::new(|| store("layout"));

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    parts: Vec<Part<'a>>,
    entries: Vec<Entry<'a>>,
    wanted: Vec<Architecture>,
}

/// A blob; it may point to those before it.
#[derive(Arbitrary, Debug)]
enum Part<'a> {
    Image {
        architecture: Architecture,
        layers: Vec<&'a [u8]>,
    },
    /// A manifest that names any two of the blobs as config and layer.
    Manifest {
        config: u8,
        layers: Vec<u8>,
    },
    Index(Vec<Entry<'a>>),
    Document(&'a [u8]),
    /// One of the blobs is not there.
    Missing(u8),
}

/// How an index describes a blob.
#[derive(Arbitrary, Debug)]
struct Entry<'a> {
    part: u8,
    calls_it: Option<Kind>,
    platform: Option<Architecture>,
    name: Option<&'a str>,
    attests: Option<u8>,
    size: Option<u32>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Manifest,
    Index,
    Nothing,
}

#[derive(Arbitrary, Debug)]
enum Architecture {
    Amd64,
    Arm64,
    Unknown,
}

impl Architecture {
    const fn name(&self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Unknown => "unknown",
        }
    }
}

fn any(blobs: &[Value], number: u8) -> Value {
    blobs.get(usize::from(number) % blobs.len().max(1)).cloned().unwrap_or(Value::Null)
}

fn describe(blobs: &[Value], entry: &Entry<'_>) -> Value {
    let mut descriptor = any(blobs, entry.part);
    if descriptor.is_null() {
        return descriptor;
    }
    match entry.calls_it {
        Some(Kind::Manifest) => descriptor["mediaType"] = json!(MANIFEST),
        Some(Kind::Index) => descriptor["mediaType"] = json!(INDEX),
        Some(Kind::Nothing) => descriptor["mediaType"] = json!(""),
        None => {}
    }
    if let Some(platform) = &entry.platform {
        descriptor["platform"] = json!({ "architecture": platform.name(), "os": "linux" });
    }
    if let Some(name) = entry.name {
        descriptor["annotations"]["io.containerd.image.name"] = json!(name);
    }
    if let Some(of) = entry.attests {
        descriptor["annotations"]["vnd.docker.reference.type"] = json!("attestation-manifest");
        descriptor["annotations"]["vnd.docker.reference.digest"] = any(blobs, of)["digest"].clone();
    }
    if let Some(size) = entry.size {
        descriptor["size"] = json!(size);
    }
    descriptor
}

fuzz_target!(|input: Input<'_>| {
    let mut layout = Layout::default();
    let mut blobs: Vec<Value> = Vec::new();
    for part in input.parts.iter().take(40) {
        let added = match part {
            Part::Image { architecture, layers } => {
                let layers: Vec<Vec<u8>> =
                    layers.iter().take(4).map(|content| berth_fuzz::tarball([("file", *content)])).collect();
                layout.image(architecture.name(), &layers)
            }
            Part::Manifest { config, layers } => {
                let layers: Vec<Value> = layers.iter().map(|layer| any(&blobs, *layer)).collect();
                let manifest = json!({
                    "schemaVersion": 2, "mediaType": MANIFEST, "config": any(&blobs, *config), "layers": layers,
                });
                layout.blob(MANIFEST, manifest.to_string().into())
            }
            Part::Index(entries) => {
                let entries: Vec<Value> = entries.iter().map(|entry| describe(&blobs, entry)).collect();
                layout.index(&entries)
            }
            Part::Document(bytes) => layout.blob("application/octet-stream", bytes.to_vec()),
            Part::Missing(number) => {
                layout.forget(&any(&blobs, *number));
                continue;
            }
        };
        blobs.push(added);
    }
    let entries: Vec<Value> = input.entries.iter().map(|entry| describe(&blobs, entry)).collect();
    let tarball = layout.tarball(&entries);
    let wanted: Vec<Platform> = input
        .wanted
        .iter()
        .take(3)
        .map(|wanted| Platform {
            architecture: wanted.name().into(),
            os: "linux".into(),
            variant: String::new(),
        })
        .collect();
    if STORE.load_for(&tarball[..], &wanted).is_ok() {
        for image in STORE.list(&all()).expect("a list") {
            let id = image.id.hexadecimal();
            let details = STORE.inspect(&id, None).expect("inspected");
            if let Some(target) = details.target {
                STORE.manifests_of(&target).expect("manifests");
                STORE.statements_of(&image.id, &target).expect("statements");
            }
            STORE.save_layout(&[id], &[]).expect("saved").write(&mut std::io::sink()).expect("written");
        }
    } else {
        assert!(STORE.list(&all()).expect("a list").is_empty(), "a failed load left an image");
    }
    clear(&STORE);
});
