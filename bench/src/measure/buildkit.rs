//! Builds through BuildKit's protocol by the real `docker buildx`, whose own time is part of every row.
//!
//! The base is made of the context, so that a BuildKit without an engine can be measured as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use berth_tests::rootfs;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};

/// The name of what is built.
const NAME: &str = "berth-bench-built";
/// RUN steps of the first build.
const STEPS: usize = 25;
/// Files of the build that copies, and the bytes of each.
const FILES: usize = 5_000;
const FILE_BYTES: usize = 10_000;
/// Stages that only sleep for a second.
const STAGES: usize = 6;
/// The beginning of every Dockerfile.
const BASE: &str = "FROM scratch AS base\nADD base.tar /\n";

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let Some(program) = &arguments.buildx else { return Ok(Vec::new()) };
    let budget = Duration::from_secs(arguments.seconds);
    let directory = std::env::temp_dir().join(format!("berth-bench-{}", std::process::id()));
    let client = Buildx::choose(program, directory.join("settings"), engine)?;
    let mut samples = Vec::new();
    let mut sample = |name: &str, mut change: Box<dyn FnMut() -> anyhow::Result<()>>, context: &Path| {
        let time = median(budget, || {
            change()?;
            timed(|| client.build(context))
        })?;
        samples.push(Sample::milliseconds(name, time));
        anyhow::Ok(())
    };
    let steps = directory.join("steps");
    let commands: String =
        (0..STEPS).map(|number| format!("RUN echo $round {number} > /f{number}\n")).collect();
    let dockerfile = move |round: &str| format!("{BASE}FROM base\nARG round={round}\n{commands}");
    write_context(&steps, &dockerfile("0"))?;
    sample(&format!("buildx, {STEPS} RUN steps"), each_round(&steps, dockerfile), &steps)?;
    sample(&format!("buildx, {STEPS} cached steps"), Box::new(|| Ok(())), &steps)?;

    let files = directory.join("files");
    write_context(&files, &format!("{BASE}FROM base\nCOPY d /files\n"))?;
    let all = files.clone();
    let mut round = 0;
    let write_all = move || {
        round += 1;
        (0..FILES).try_for_each(|number| write_file(&all, number, round))
    };
    sample(&format!("buildx, COPY of {FILES} files"), Box::new(write_all), &files)?;
    sample(&format!("buildx, cached COPY of {FILES} files"), Box::new(|| Ok(())), &files)?;
    let one = files.clone();
    let mut round = 0;
    let write_one = move || {
        round += 1;
        write_file(&one, round % FILES, 1_000_000 + round)
    };
    sample(&format!("buildx, one of {FILES} files changed"), Box::new(write_one), &files)?;

    let stages = directory.join("stages");
    let dockerfile = |round: &str| {
        let each = |number| format!("FROM base AS s{number}\nRUN sleep 1; echo {round} > /s{number}\n");
        let sleeping: String = (0..STAGES).map(each).collect();
        let copies: String =
            (0..STAGES).map(|number| format!("COPY --from=s{number} /s{number} /\n")).collect();
        format!("{BASE}{sleeping}FROM base\n{copies}")
    };
    write_context(&stages, &dockerfile("0"))?;
    sample(
        &format!("buildx, {STAGES} parallel stages of a second"),
        each_round(&stages, dockerfile),
        &stages,
    )?;
    fs::remove_dir_all(&directory).context("cannot remove the contexts")?;
    let _ = engine.client().attempt("DELETE", &format!("/images/{NAME}?force=1"), &[], b"")?;
    Ok(samples)
}

/// Writes another Dockerfile before every build.
fn each_round(
    directory: &Path,
    dockerfile: impl Fn(&str) -> String + 'static,
) -> Box<dyn FnMut() -> anyhow::Result<()>> {
    let path = directory.join("Dockerfile");
    let mut round = 0_usize;
    Box::new(move || {
        round += 1;
        fs::write(&path, dockerfile(&round.to_string())).context("cannot write a Dockerfile")
    })
}

fn write_context(directory: &Path, dockerfile: &str) -> anyhow::Result<()> {
    fs::create_dir_all(directory.join("d")).context("cannot make a context")?;
    fs::write(directory.join("Dockerfile"), dockerfile)?;
    fs::write(directory.join("base.tar"), rootfs::busybox())?;
    Ok(())
}

fn write_file(context: &Path, number: usize, round: usize) -> anyhow::Result<()> {
    let directory = context.join(format!("d/{}", number % 50));
    fs::create_dir_all(&directory)?;
    let content = format!("{:010}", number + round * FILES).repeat(FILE_BYTES / 10);
    fs::write(directory.join(format!("f{number}")), content).context("cannot write a file of the context")
}

/// The client, pointed at an engine or at a BuildKit of its own.
struct Buildx<'a> {
    program: &'a Path,
    settings: PathBuf,
    host: String,
}

impl<'a> Buildx<'a> {
    fn choose(program: &'a Path, settings: PathBuf, engine: &Engine) -> anyhow::Result<Self> {
        let client = Self { program, settings, host: engine.host() };
        if let Some(endpoint) = engine.buildkit() {
            client.run(&["create", "--name", "bench", "--driver", "remote", "--use", endpoint])?;
        }
        Ok(client)
    }

    fn build(&self, context: &Path) -> anyhow::Result<()> {
        let output = format!("--output=type=image,name={NAME}");
        let context = context.to_string_lossy();
        self.run(&["build", "--quiet", "--provenance=false", &output, &context])
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.program);
        command.args(arguments).env("BUILDX_CONFIG", &self.settings).env("DOCKER_HOST", &self.host);
        let output = command.stdin(Stdio::null()).output().context("cannot run buildx")?;
        if !output.status.success() {
            bail!("buildx {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}
