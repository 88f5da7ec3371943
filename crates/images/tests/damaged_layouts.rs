//! Image layouts whose documents are damaged before their digests are taken, so that everything still points to something: whatever the
//! outcome of a load, nothing panics, nothing stays after an error, and what is listed can be used. The targets `image_layout` and
//! `image_index` of `fuzz/` cover the rest. Needs root.

mod support;

use std::collections::BTreeMap;

use berth_images::registry::Platform;
use berth_images::{ListFilter, RemoveOptions, Store, digest_of};
use serde_json::{Value, json};
use support::{Archive, Scratch};

const ROUNDS: u32 = 600;
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Strings that have a meaning for a parser.
const PIECES: [&str; 14] = [
    "",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "-1",
    "18446744073709551616",
    "\"linux\"",
    "\"amd64\"",
    "[[[[",
    "\u{0}",
];

/// Marsaglia's xorshift: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % limit.max(1)
    }

    /// One in so many.
    fn hits(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    /// A document as it is, or with a part of it replaced, doubled or removed.
    fn damaged(&mut self, document: &Value) -> Vec<u8> {
        let mut bytes = document.to_string().into_bytes();
        if !self.hits(6) {
            return bytes;
        }
        let from = self.below(bytes.len());
        let until = (from + self.below(40)).min(bytes.len());
        let piece = match self.below(3) {
            0 => PIECES[self.below(PIECES.len())].as_bytes().to_vec(),
            1 => [&bytes[from..until], &bytes[from..until]].concat(),
            _ => Vec::new(),
        };
        bytes.splice(from..until, piece);
        bytes
    }
}

/// A layout under way.
struct Layout<'a> {
    numbers: &'a mut Numbers,
    members: BTreeMap<String, Vec<u8>>,
    blobs: Vec<Value>,
}

impl Layout<'_> {
    fn blob(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let digest = digest_of(&content);
        let blob = json!({ "mediaType": media_type, "digest": digest.to_string(), "size": content.len() });
        if !self.numbers.hits(30) {
            self.members.insert(format!("blobs/sha256/{}", digest.hexadecimal()), content);
        }
        self.blobs.push(blob.clone());
        // At times, it points elsewhere.
        if self.numbers.hits(20) { self.blobs[self.numbers.below(self.blobs.len())].clone() } else { blob }
    }

    fn document(&mut self, media_type: &str, document: &Value) -> Value {
        let bytes = self.numbers.damaged(document);
        self.blob(media_type, bytes)
    }

    fn image(&mut self, architecture: &str) -> Value {
        let layers: Vec<Vec<u8>> = (0..self.numbers.below(3))
            .map(|number| Archive::new().file(&format!("{architecture}{number}"), b"x").finish())
            .collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| digest_of(layer).to_string()).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": { "Labels": { "a": "b" } },
            "rootfs": { "type": "layers", "diff_ids": diff_ids }, "history": [{ "created_by": "made" }],
        });
        let config = self.document("application/vnd.oci.image.config.v1+json", &config);
        let tar = "application/vnd.oci.image.layer.v1.tar";
        let layers: Vec<Value> = layers.into_iter().map(|layer| self.blob(tar, layer)).collect();
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = self.document(MANIFEST, &manifest);
        manifest["platform"] = json!({ "architecture": architecture, "os": "linux" });
        manifest
    }

    /// An index of images for two platforms, an attestation, and what else there is.
    fn index(&mut self, depth: usize) -> Value {
        let mut entries = vec![self.image("arm64"), self.image("amd64")];
        let mut attestation = self.image("unknown");
        attestation["annotations"] = json!({
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": entries[1]["digest"],
        });
        entries.push(attestation);
        if depth > 0 && self.numbers.hits(2) {
            entries.push(self.index(depth - 1));
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.document(INDEX, &index)
    }

    fn tarball(mut self) -> Vec<u8> {
        let mut top = if self.numbers.hits(3) { self.image("amd64") } else { self.index(5) };
        top["annotations"] = json!({ "io.containerd.image.name": "docker.io/library/damaged:1" });
        let index = json!({ "schemaVersion": 2, "manifests": [top] });
        let index = self.numbers.damaged(&index);
        self.members.insert("index.json".to_owned(), index);
        let archive = Archive::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        self.members.iter().fold(archive, |archive, (name, content)| archive.file(name, content)).finish()
    }
}

/// Uses all images in every way.
fn use_all(store: &Store, all: &ListFilter) {
    for image in store.list(all).expect("a list") {
        let id = image.id.hexadecimal();
        store.save_layout(&[&id], &[]).expect("prepared").write(&mut std::io::sink()).expect("saved");
        let Some(target) = store.inspect(&id, None).expect("inspected").target else { continue };
        let _ = store.manifests_of(&target).expect("manifests");
        let _ = store.manifest_of(&image.id, &target).expect("a manifest");
        let _ = store.statements_of(&image.id, &target).expect("statements");
    }
}

#[test]
fn damaged_layouts_are_loaded_whole_or_not_at_all() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let all = ListFilter { all: true, ..ListFilter::default() };
    let platform = |architecture: &str| Platform {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        variant: String::new(),
    };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut outcomes = [0_u32; 2];
    for round in 0..ROUNDS {
        let layout = Layout { numbers: &mut numbers, members: BTreeMap::new(), blobs: Vec::new() };
        let tarball = layout.tarball();
        let wanted = match numbers.below(4) {
            0 => vec![platform("amd64")],
            1 => vec![platform("arm64")],
            2 => vec![platform("amd64"), platform("arm64")],
            _ => Vec::new(),
        };
        let is_loaded = store.load_for(&tarball[..], &wanted).is_ok();
        outcomes[usize::from(is_loaded)] += 1;
        if is_loaded {
            use_all(&store, &all);
        } else {
            assert_eq!(store.list(&all).expect("a list"), [], "round {round}: an error left an image");
        }
        let options = RemoveOptions { force: true, keep_parents: true, ..RemoveOptions::default() };
        while let Some(image) = store.list(&all).expect("a list").first() {
            let _ = store.remove(&image.id.hexadecimal(), options).expect("removed");
        }
    }
    assert!(outcomes.iter().all(|count| *count > ROUNDS / 20), "of both kinds there are some: {outcomes:?}");
}

/// Why a layout with these members is refused.
fn refusal(store: &Store, members: &[(String, Value)]) -> String {
    let archive = Archive::new().file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let add = |archive: Archive, (name, document): &(String, Value)| {
        archive.file(name, document.to_string().as_bytes())
    };
    let tarball = members.iter().fold(archive, add).finish();
    store.load(&tarball[..]).expect_err("refused").to_string()
}

/// A document's place in a layout, and what describes it.
fn placed(document: &Value) -> (String, Value) {
    let bytes = document.to_string().into_bytes();
    let digest = digest_of(&bytes);
    let descriptor = json!({ "mediaType": INDEX, "digest": digest.to_string(), "size": bytes.len() });
    (format!("blobs/sha256/{}", digest.hexadecimal()), descriptor)
}

#[test]
fn a_refusal_of_a_layout_names_what_is_wrong() {
    let scratch = Scratch::new();
    let store = Store::open(scratch.path().join("images")).expect("a store");
    let index = |listed: Value| vec![("index.json".to_owned(), json!({ "manifests": [listed] }))];
    let digest = digest_of(b"x").to_string();
    for (listed, words) in [
        (
            json!({ "digest": "sha256:../../etc/passwd" }),
            "index.json has a descriptor whose sha256 digest is invalid: sha256:../../etc/passwd",
        ),
        (
            json!({ "digest": "SHA256:00", "size": 1 }),
            "index.json has a descriptor whose sha256 digest is invalid: SHA256:00",
        ),
        (json!({ "digest": digest, "size": -5 }), "index.json has a descriptor whose size is invalid: -5"),
        (json!({ "mediaType": INDEX }), "index.json has a descriptor without a digest"),
    ] {
        assert_eq!(refusal(&store, &index(listed)), words);
    }

    // Indexes in each other, the innermost of which lists nothing.
    let empty = json!({ "manifests": [] });
    let (mut name, mut inner) = placed(&empty);
    let mut members = vec![(name.clone(), empty)];
    let with_index = |members: &[(String, Value)], inner: &Value| [members, &index(inner.clone())].concat();
    let words = format!("the index {name} lists no image");
    assert_eq!(refusal(&store, &with_index(&members, &inner)), words);
    let innermost = name.clone();
    for _ in 0..4 {
        let outer = json!({ "manifests": [inner] });
        (name, inner) = placed(&outer);
        members.push((name.clone(), outer));
    }
    let words = format!("the index {innermost} stands in more than 3 others");
    assert_eq!(refusal(&store, &with_index(&members, &inner)), words);

    // What is listed is not there: no platform was requested.
    let absent = json!({ "manifests": [{ "mediaType": MANIFEST, "digest": digest, "size": 1 }] });
    let (name, descriptor) = placed(&absent);
    let words = format!("the tarball has no blobs/{}: no such file", digest.replace(':', "/"));
    assert_eq!(refusal(&store, &with_index(&[(name, absent)], &descriptor)), words);
}
