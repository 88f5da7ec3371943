//! Archives that are small where they come and huge where they go: refused with a reason, and nothing of them stays.

use std::io::Write;
use std::process::{Command, Stdio};

use berth_tests::registry::{Content, Server, digest, gzip, pull, tar_of};
use berth_tests::saved::{SavedImage, tarball};
use berth_tests::{Engine, Options};
use serde_json::json;
use tar::EntryType;

use super::Target;

/// The daemon's `--unpack-allowance`, in MiB.
const ALLOWANCE: usize = 48;
/// The bomb: a gibibyte of zeros, made of parts that are compressed once.
const PIECE: usize = 64 << 20;
const PIECES: usize = 16;

const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

fn careful() -> Target {
    let arguments = vec![format!("--unpack-allowance={ALLOWANCE}")];
    Target::start_with(Options { arguments, ..Options::default() })
}

fn compress(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    // The level at which gzip makes of zeros what it can.
    let level = if program == "gzip" { "-9" } else { "-1" };
    let mut child =
        command.args(["-c", level]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(program);
    let mut input = child.stdin.take().expect("its input");
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).expect("taken"));
        child.wait_with_output().expect("its output").stdout
    })
}

/// A compressed tar with one file of zeros: every format takes one stream after another as one.
fn bomb(program: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path("zeros").expect("a name");
    header.set_entry_type(EntryType::Regular);
    header.set_size((PIECE * PIECES) as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let end = [0; 1024];
    let zeros = compress(program, &vec![0; PIECE]);
    [compress(program, header.as_bytes()), zeros.repeat(PIECES), compress(program, &end)].concat()
}

/// A tarball of an image whose layers are compressed in it.
fn saved_compressed(layers: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["zeros:x"], "Layers": names }]);
    let (config, manifest) = (config.to_string().into_bytes(), manifest.to_string().into_bytes());
    let packed: Vec<Vec<u8>> = layers.iter().map(|layer| compress("zstd", layer)).collect();
    let mut files = vec![("config.json", config.as_slice()), ("manifest.json", &manifest)];
    files.extend(names.iter().map(String::as_str).zip(packed.iter().map(Vec::as_slice)));
    tar_of(&files)
}

/// Only the tests' own image is there, and only its layer takes space.
fn assert_clean(engine: &Engine, what: &str) {
    let images = engine.get("/images/json?all=1").expect(200).json();
    assert_eq!(images.as_array().map(Vec::len), Some(1), "{what}: {images}");
    let count = |name: &str| std::fs::read_dir(engine.data_root().join(name)).expect("a directory").count();
    assert_eq!((count("images/layers"), count("images/temporary")), (1, 0), "{what}");
}

fn assert_refused(engine: &Engine, what: &str, path: &str, body: &[u8]) {
    let text = engine.call("POST", path, &TAR, body).text();
    assert!(text.contains("the archive is refused") && text.contains("--unpack-allowance"), "{what}: {text}");
    assert_clean(engine, what);
}

const IMPORT: &str = "/images/create?fromSrc=-&repo=bomb";
const LOAD: &str = "/images/load";

#[test]
fn a_gibibyte_of_zeros_is_refused_in_every_format() {
    let engine = careful();
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        let bomb = bomb(program);
        assert!(bomb.len() < 3 << 20, "{program}: {} bytes", bomb.len());
        assert_refused(&engine, program, IMPORT, &bomb);
        // As a layer in a tarball of images, and that tarball compressed once more.
        let image = SavedImage { name: "bomb:x".to_owned(), layers: vec![&bomb], command: &["true"] };
        let saved = tarball(&[image]);
        assert_refused(&engine, program, LOAD, &saved);
        assert_refused(&engine, program, LOAD, &compress("zstd", &saved));
    }
}

#[test]
fn many_small_layers_share_one_allowance() {
    let engine = careful();
    let layers: Vec<Vec<u8>> =
        (0..4).map(|number| tar_of(&[(&format!("f{number}"), &vec![0; 20 << 20])])).collect();
    let saved = |count: usize| compress("zstd", &saved_compressed(&layers[..count]));
    assert_refused(&engine, "four layers", LOAD, &saved(4));
    assert_eq!(engine.call("POST", LOAD, &TAR, &saved(2)).expect(200).text(), "");
    let _ = engine.delete("/images/zeros:x").expect(200);
    assert_clean(&engine, "two layers");
}

#[test]
fn a_registry_may_not_send_a_bomb() {
    let engine = careful();
    let mut content = Content::default();
    let layer = content.layer("application/vnd.docker.image.rootfs.diff.tar.gzip", bomb("gzip"));
    let document = content.document(&[tar_of(&[])], &[layer]);
    let _ = content.manifest("x", "application/vnd.docker.distribution.manifest.v2+json", &document);
    let server = Server::start(&engine, "127.0.0.1:5000", move |asked| content.answer(asked));
    let pulled = pull(&engine, "127.0.0.1:5000/bomb:x", "", &[]);
    assert!(pulled.failure().contains("the archive is refused"), "{pulled:?}");
    assert_clean(&engine, "a pull");
    let left = std::fs::read_dir(engine.data_root().join("images/blobs/sha256")).expect("downloads").count();
    assert_eq!(left, 0, "what is refused is not kept to be resumed");
    drop(server);
}

#[test]
fn what_is_large_but_honest_passes() {
    let engine = careful();
    // A terabyte that is a hole, in both of the ways in which GNU tar writes it; and zeros within the allowance.
    let directory = engine.directory().join("sparse");
    std::fs::create_dir(&directory).expect("a directory");
    let file = std::fs::File::create(directory.join("hole")).expect("a file");
    file.set_len(1 << 40).expect("a hole");
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (1 << 40) - 3).expect("its end");
    for format in ["gnu", "posix"] {
        let mut command = Command::new("tar");
        let output =
            command.args(["--sparse", &format!("--format={format}"), "-cC"]).arg(&directory).arg("hole");
        let archive = output.output().expect("tar").stdout;
        let answer =
            engine.call("POST", "/images/create?fromSrc=-&repo=sparse", &TAR, &gzip(&archive)).expect(200);
        assert!(!answer.text().contains("error"), "{format}: {}", answer.text());
        let image = engine.get("/images/sparse/json").expect(200).json();
        assert_eq!(image["VirtualSize"], json!(1_u64 << 40), "{format}");
        let layers = std::fs::read_dir(engine.data_root().join("images/layers")).expect("the layers");
        let hole =
            layers.map(|layer| layer.expect("a layer").path().join("diff/hole")).find(|hole| hole.exists());
        let metadata = std::fs::metadata(hole.expect("the file")).expect("its size");
        assert!(std::os::unix::fs::MetadataExt::blocks(&metadata) < 100, "{format}: the hole stays one");
        let _ = engine.delete("/images/sparse").expect(200);
    }
    let zeros = gzip(&tar_of(&[("zeros", &vec![0; (ALLOWANCE - 1) << 20])]));
    let answer = engine.call("POST", "/images/create?fromSrc=-&repo=zeros", &TAR, &zeros).expect(200);
    assert!(!answer.text().contains("error"), "{}", answer.text());
    let _ = engine.delete("/images/zeros").expect(200);
    std::fs::remove_dir_all(&directory).expect("removed");
}
