//! Contexts, Dockerfiles and images of a build that mean harm: refused in words, in little memory.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use berth_tests::registry::{Reply, Server, tar_of};
use berth_tests::{Context, Engine, Options};
use tar::{EntryType, Header};

use super::{LIMIT, Target};

/// What the daemon may have in use at once for a context of a million files.
const PEAK_OF_A_MILLION: u64 = 200 << 20;
/// How long a context of so many files or levels may take in a build without optimisation.
const TIMEOUT: Duration = Duration::from_secs(600);

fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_path(name).expect("a short name");
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// What zstd(1) makes of what is written.
fn compressed(write: impl FnOnce(&mut dyn Write) + Send) -> Vec<u8> {
    let mut command = Command::new("zstd");
    let mut child =
        command.args(["-q", "-c", "-1"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("zstd");
    let mut input = std::io::BufWriter::with_capacity(1 << 20, child.stdin.take().expect("its input"));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            write(&mut input);
            input.flush().expect("taken");
        });
        child.wait_with_output().expect("its output").stdout
    })
}

/// A context of small files and one of zeros that is compressed to almost nothing.
fn with_zeros(files: &[(&str, &str)], name: &str, megabytes: usize) -> Vec<u8> {
    compressed(|out| {
        for (name, content) in files {
            out.write_all(header(name, EntryType::Regular, content.len() as u64).as_bytes()).expect("taken");
            let mut block = content.as_bytes().to_vec();
            block.resize(content.len().next_multiple_of(512), 0);
            out.write_all(&block).expect("taken");
        }
        out.write_all(header(name, EntryType::Regular, (megabytes << 20) as u64).as_bytes()).expect("taken");
        let zeros = vec![0; 1 << 20];
        for _ in 0..megabytes {
            out.write_all(&zeros).expect("taken");
        }
        out.write_all(&[0; 1024]).expect("taken");
    })
}

fn refusal(engine: &Engine, body: &[u8]) -> String {
    engine.build_with(&[], &[], body).failure().to_owned()
}

#[test]
fn a_path_without_end_is_refused() {
    let engine = Target::start();
    let path = format!("{}f\0", "d/".repeat(100_000));
    let mut body = header("long", EntryType::GNULongName, path.len() as u64).as_bytes().to_vec();
    body.extend_from_slice(path.as_bytes());
    body.resize(body.len().next_multiple_of(512), 0);
    body.extend_from_slice(header("f", EntryType::Regular, 0).as_bytes());
    body.extend_from_slice(&[0; 1024]);
    assert_eq!(
        refusal(&engine, &body),
        "cannot read the build context: the archive is refused: more than 4095 bytes in a path"
    );
}

#[test]
fn dockerfiles_and_ignore_files_are_read_to_a_limit() {
    let engine = Target::start();
    assert_eq!(
        refusal(&engine, &with_zeros(&[], "Dockerfile", 300)),
        "cannot read Dockerfile of the build context: longer than 2097152 bytes"
    );
    assert_eq!(
        refusal(&engine, &with_zeros(&[("Dockerfile", "FROM busybox\n")], ".dockerignore", 300)),
        "cannot read .dockerignore of the build context: longer than 1048576 bytes"
    );
    let longest = engine.log().lines().map(str::len).max();
    assert!(longest < Some(10_000), "a line of the log has {longest:?} bytes");
}

#[test]
fn dockerfiles_that_grow_are_refused() {
    let engine = Target::start();
    let doubling =
        (0..60).fold("FROM busybox\nENV a=0123456789\n".to_owned(), |text, _| text + "ENV a=$a$a\n");
    for (what, text, want) in [
        ("doubled", doubling, "variables put more than 1048576 bytes into the words of a build stage"),
        (
            "nested",
            format!("FROM busybox\nENV a={}\n", "${x:-".repeat(300_000)),
            "substitutions are nested more than 64 deep",
        ),
        (
            "many",
            format!("FROM busybox\n{}", "USER x\n".repeat(200_000)),
            "the Dockerfile has more than 2000 instructions",
        ),
        (
            "ports",
            format!("FROM busybox\nEXPOSE {}\n", "0-65535 ".repeat(100_000)),
            "EXPOSE names more than 196608 ports",
        ),
    ] {
        assert_eq!(engine.build(&[], Context::of(&text)).failure(), want, "{what}");
    }
    engine.forget_builds();
}

/// Builds what takes its time; gives the image.
fn patient_build(engine: &Engine, body: &[u8]) -> String {
    let mut connection = engine.connect();
    connection.set_timeout(TIMEOUT).expect("a socket");
    connection.request("POST", "/build", &[("Content-Type", "application/x-tar")], body).expect("sent");
    let head = connection.read_head().expect("an answer");
    let said = connection.read_body("POST", &head).expect("its stream");
    let said = String::from_utf8_lossy(&said);
    let (_, built) = said.split_once("Successfully built ").unwrap_or_else(|| panic!("{said}"));
    built.chars().take_while(char::is_ascii_hexdigit).collect()
}

#[test]
fn a_million_files_are_a_context() {
    let engine = Engine::start_with(Options { memory: Some(LIMIT), ..Options::default() });
    let body = compressed(|out| {
        let dockerfile = b"FROM busybox\nCOPY d/999999 /last\n";
        out.write_all(header("Dockerfile", EntryType::Regular, dockerfile.len() as u64).as_bytes())
            .expect("taken");
        let mut block = [0; 512];
        block[..dockerfile.len()].copy_from_slice(dockerfile);
        out.write_all(&block).expect("taken");
        for number in 0..1_000_000 {
            out.write_all(header(&format!("d/{number:06}"), EntryType::Regular, 0).as_bytes())
                .expect("taken");
        }
        out.write_all(&[0; 1024]).expect("taken");
    });
    engine.forget_peak_memory();
    patient_build(&engine, &body);
    let peak = engine.peak_memory();
    assert!(peak < PEAK_OF_A_MILLION, "the daemon used {} MiB", peak >> 20);
    engine.forget_builds();
}

/// The entries of a tar with an empty file at a path that is longer than a header's field.
pub(super) fn deep_file(path: &str) -> Vec<u8> {
    let path = format!("{path}\0");
    let mut entries = header("long", EntryType::GNULongName, path.len() as u64).as_bytes().to_vec();
    entries.extend_from_slice(path.as_bytes());
    entries.resize(entries.len().next_multiple_of(512), 0);
    entries.extend_from_slice(header("f", EntryType::Regular, 0).as_bytes());
    entries
}

/// A context with a Dockerfile and a file that lies deep in `x`.
fn deep_context(dockerfile: &[u8]) -> Vec<u8> {
    let mut body = header("Dockerfile", EntryType::Regular, dockerfile.len() as u64).as_bytes().to_vec();
    body.extend_from_slice(dockerfile);
    body.resize(body.len().next_multiple_of(512), 0);
    body.extend_from_slice(&deep_file(&format!("x/{}f", "d/".repeat(1_900))));
    body.extend_from_slice(&[0; 1024]);
    body
}

#[test]
fn deep_directories_do_not_end_the_daemon() {
    let engine = Target::start();
    // Copied, copied once more from the stage, replaced by a file, and packed.
    let dockerfile = b"FROM busybox AS first\nCOPY x /x/\nFROM busybox\nCOPY --from=first /x /y\nADD x /z\n";
    let image = patient_build(&engine, &deep_context(dockerfile));
    let find = |place: &str| {
        let script = format!("find {place} -name f | wc -lc");
        engine.output_of(&image, &script).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(find("/y"), ["1", &(3 + 2 * 1_900 + 2).to_string()], "the file is as deep as it was");
    assert_eq!(find("/z").first().map(String::as_str), Some("1"));
    let saved = engine.get(&format!("/images/{image}/get")).expect(200);
    assert!(saved.body.len() > 1_900 * 512, "{} bytes", saved.body.len());
    engine.forget_builds();
}

#[test]
fn the_accounts_of_an_image_are_neither_devices_nor_pipes() {
    let engine = Target::start();
    for (kind, name) in [(EntryType::Char, "zero"), (EntryType::Fifo, "fifo")] {
        let mut passwd = header("etc/passwd", kind, 0);
        if kind == EntryType::Char {
            passwd.set_device_major(1).expect("a number");
            passwd.set_device_minor(5).expect("a number");
        }
        passwd.set_cksum();
        engine.import(name, &[passwd.as_bytes().as_slice(), &[0; 1024]].concat());
        let context = Context::of(&format!("FROM {name}\nCOPY --chown=zz f /f\n")).file("f", "x");
        assert_eq!(
            engine.build(&[], context).failure(),
            "cannot read etc/passwd: not a regular file",
            "{name}"
        );
        let _ = engine.delete(&format!("/images/{name}")).expect(200);
    }
}

#[test]
fn a_remote_dockerfile_ends() {
    let engine = Target::start();
    let text = "# a Dockerfile without an end\n".repeat(200_000);
    let server = Server::start(&engine, "127.0.0.1:0", move |_| {
        Reply::new(200).with("Content-Type", "text/plain").body(text.clone())
    });
    let address = format!("http://{}/Dockerfile", server.address);
    let built = engine.build_with(&[("remote", &address)], &[], b"");
    assert_eq!(built.failure(), "cannot read Dockerfile of the build context: longer than 2097152 bytes");
}

#[test]
fn a_tarball_of_many_documents_is_refused() {
    let engine = Target::start();
    let document = vec![b' '; 7 << 20];
    let names: Vec<String> = (0..20).map(|number| format!("{number}.json")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), document.as_slice())).collect();
    let tar = tar_of(&files);
    let body = compressed(|out| out.write_all(&tar).expect("taken"));
    let answer = engine.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &body);
    assert_eq!(answer.status(), 500);
    assert!(answer.text().contains("has more than"), "{}", answer.text());
    // A document without an end in depth.
    let nested = format!("{}1", "[".repeat(4 << 20));
    let tar = tar_of(&[("manifest.json", nested.as_bytes())]);
    let answer = engine.call("POST", "/images/load", &[("Content-Type", "application/x-tar")], &tar);
    assert_eq!(answer.status(), 500);
    assert!(answer.text().starts_with("cannot read the document manifest.json: "), "{}", answer.text());
}
