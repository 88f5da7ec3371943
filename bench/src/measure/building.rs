//! Builds: many small steps, many files, a large context, and what the cache spares.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use berth_tests::http::Connection;
use berth_tests::{Context, Entry, query};

use crate::arguments::Arguments;
use crate::engine::{Engine, IMAGE};
use crate::sample::{Sample, median, timed};
use crate::session::api;

/// The name of what is built.
const NAME: &str = "berth-bench-built";
/// RUN steps of the first build.
const STEPS: usize = 25;
/// Files of the build that copies, and the bytes of each.
const FILES: usize = 5_000;
const FILE_BYTES: usize = 10_000;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Large contexts are sent in chunks of this size.
const PIECE: usize = 1 << 20;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let fresh = [("nocache", "1")];
    let steps = steps();
    let files = files();
    let mut samples = Vec::new();
    let mut sample = |name: String, parameters: &[(&str, &str)], context: &[u8]| {
        let time = median(budget, || timed(|| build(engine, parameters, context)))?;
        samples.push(Sample::milliseconds(&name, time));
        anyhow::Ok(())
    };
    sample(format!("build, {STEPS} RUN steps"), &fresh, &steps)?;
    sample(format!("build, {STEPS} cached steps"), &[], &steps)?;
    sample(format!("build, COPY of {FILES} files"), &fresh, &files)?;
    sample(format!("build, cached COPY of {FILES} files"), &[], &files)?;
    samples.extend(large_context(engine, arguments.context)?);
    let _ = engine.client().attempt("DELETE", &format!("/images/{NAME}?force=1"), &[], b"")?;
    Ok(samples)
}

fn steps() -> Vec<u8> {
    let commands: String = (0..STEPS).map(|number| format!("RUN echo {number} > /f{number}\n")).collect();
    Context::of(&format!("FROM {IMAGE}\n{commands}")).bytes()
}

fn files() -> Vec<u8> {
    let mut context = Context::of(&format!("FROM {IMAGE}\nCOPY . /files\n"));
    for number in 0..FILES {
        let name = format!("d{}/f{number}", number % 50);
        let content = format!("{number:010}").repeat(FILE_BYTES / 10);
        context = context.entry(Entry { name: &name, content: content.as_bytes(), ..Entry::default() });
    }
    context.bytes()
}

fn build(engine: &Engine, parameters: &[(&str, &str)], context: &[u8]) -> anyhow::Result<()> {
    let mut connection = begin(engine, parameters, context.len())?;
    connection.send(context)?;
    end(connection)
}

fn begin(engine: &Engine, parameters: &[(&str, &str)], length: usize) -> anyhow::Result<Connection> {
    let mut connection = Connection::open(&engine.address())?;
    connection.set_timeout(TIMEOUT)?;
    let path = format!("/v{}/build{}", api(), query(&[&[("t", NAME), ("rm", "1")], parameters].concat()));
    let length = length.to_string();
    let headers = [("Content-Type", "application/x-tar"), ("Content-Length", length.as_str())];
    connection.request("POST", &path, &headers, b"")?;
    Ok(connection)
}

fn end(mut connection: Connection) -> anyhow::Result<()> {
    let head = connection.read_head()?;
    let body = connection.read_body("POST", &head)?;
    let said = String::from_utf8_lossy(&body);
    if !said.contains("Successfully built") {
        bail!("the build failed: {} {}", head.status, said.trim());
    }
    Ok(())
}

/// Reads a context that no step uses: how fast, and how much memory the daemon needs for it.
fn large_context(engine: &Engine, megabytes: usize) -> anyhow::Result<Vec<Sample>> {
    let entry = 64 * PIECE;
    let content = pseudo_random(entry);
    let parts = megabytes.div_ceil(64);
    let head = Context::of(&format!("FROM {IMAGE}\nLABEL large=1\n")).bytes();
    // Without the two blocks of zeros that end an archive, the next entries follow.
    let head = &head[..1024];
    let files: Vec<Vec<u8>> = (0..parts)
        .map(|number| {
            let name = format!("part{number}");
            let mut bytes =
                Context::empty().entry(Entry { name: &name, content: &content, ..Entry::default() }).bytes();
            bytes.truncate(512);
            bytes
        })
        .collect();
    let total = head.len() + parts * (512 + entry) + 1024;
    let pid = engine.pid()?;
    let before = peak(pid, true)?;
    let begin_time = Instant::now();
    let mut connection = begin(engine, &[], total)?;
    connection.send(head)?;
    for file in &files {
        connection.send(file)?;
        for piece in content.chunks(PIECE) {
            connection.send(piece)?;
        }
    }
    connection.send(&[0; 1024])?;
    end(connection)?;
    let time = begin_time.elapsed();
    let grown = peak(pid, false)? - before;
    let name = format!("build, context of {megabytes} MB");
    Ok(vec![
        Sample::megabytes_a_second(&name, total, time),
        Sample::megabytes(&format!("{name}: memory of the daemon at its peak"), grown),
    ])
}

/// Bytes that no file system can spare itself.
fn pseudo_random(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The greatest resident size of a process since its peak was last forgotten, in megabytes: proc(5).
fn peak(pid: u32, forget: bool) -> anyhow::Result<f64> {
    if forget {
        fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot forget the peak")?;
    }
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in status")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
