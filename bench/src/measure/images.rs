//! Images as tarballs: import, save and load of one, and the list of many.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use berth_tests::rootfs::append;
use berth_tests::saved::{SavedImage, tarball};
use tar::EntryType;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};
use crate::session::Session;

/// The image that is moved about.
const NAME: &str = "berth-bench-moved";
/// The files of its layers.
const FILE_BYTES: usize = 1 << 20;
/// The images of the list, and the repository that has them as tags.
const LISTED: usize = 2_000;
const LISTED_NAME: &str = "berth-bench-listed";
const TAR: [(&str, &str); 1] = [("Content-Type", "application/x-tar")];

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let archive = files(arguments.megabytes);
    let mut samples = Vec::new();
    let path = format!("/images/create?fromSrc=-&repo={NAME}");
    let time = median(budget, || {
        let time = timed(|| post(engine, &path, &archive))?;
        remove(engine, NAME)?;
        Ok(time)
    })?;
    samples.push(Sample::megabytes_a_second("import", archive.len(), time));
    post(engine, &path, &archive)?;
    let path = format!("/images/{NAME}/get");
    let mut saved = Vec::new();
    let time = median(budget, || {
        let begin = Instant::now();
        let answer = engine.client().attempt("GET", &path, &[], b"")?;
        ensure!(answer.status() == 200, "save: {}", answer.text());
        saved = answer.body;
        Ok(begin.elapsed())
    })?;
    samples.push(Sample::megabytes_a_second("save", saved.len(), time));
    let time = median(budget, || {
        remove(engine, NAME)?;
        timed(|| post(engine, "/images/load", &saved))
    })?;
    samples.push(Sample::megabytes_a_second("load", saved.len(), time));
    remove(engine, NAME)?;
    samples.push(list(engine)?);
    Ok(samples)
}

/// Makes many images that share a layer, each a tag of a repository.
pub(super) fn make_many(engine: &Engine, repository: &str, count: usize) -> anyhow::Result<()> {
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "file", EntryType::Regular, 0o644, b"of all images");
    let layer = layer.into_inner()?;
    let images: Vec<SavedImage<'_>> = (0..count)
        .map(|number| SavedImage {
            name: format!("{repository}:{number}"),
            layers: vec![&layer],
            command: &["true"],
        })
        .collect();
    post(engine, "/images/load", &tarball(&images))
}

/// Removes what [`make_many`] made.
pub(super) fn remove_many(session: &mut Session, repository: &str, count: usize) -> anyhow::Result<()> {
    for number in 0..count {
        session.ask("DELETE", &format!("/images/{repository}:{number}"), None)?;
    }
    Ok(())
}

/// Lists many images that share a layer.
fn list(engine: &Engine) -> anyhow::Result<Sample> {
    make_many(engine, LISTED_NAME, LISTED)?;
    let mut session = engine.session();
    let time = median(Duration::from_secs(1), || {
        timed(|| {
            let answer = session.ask("GET", "/images/json", None)?;
            ensure!(answer.body.len() > LISTED * 100, "the list has {} bytes", answer.body.len());
            Ok(())
        })
    })?;
    remove_many(&mut session, LISTED_NAME, LISTED)?;
    Ok(Sample::milliseconds(&format!("list, {LISTED} images"), time))
}

/// A layer of files that do not compress.
fn files(megabytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut content = vec![0; FILE_BYTES];
    let mut archive = tar::Builder::new(Vec::with_capacity((megabytes + 1) * FILE_BYTES));
    for number in 0..megabytes {
        for piece in content.chunks_exact_mut(8) {
            // Marsaglia's xorshift.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            piece.copy_from_slice(&state.to_le_bytes());
        }
        append(&mut archive, &format!("d{}/f{number}", number % 16), EntryType::Regular, 0o644, &content);
    }
    archive.into_inner().unwrap_or_default()
}

fn post(engine: &Engine, path: &str, body: &[u8]) -> anyhow::Result<()> {
    let answer = engine.client().attempt("POST", path, &TAR, body)?;
    if answer.status() != 200 || answer.text().contains("\"error\"") {
        bail!("POST {path}: {} {}", answer.status(), answer.text());
    }
    Ok(())
}

fn remove(engine: &Engine, name: &str) -> anyhow::Result<()> {
    engine.session().ask("DELETE", &format!("/images/{name}?force=1"), None).map(drop)
}
