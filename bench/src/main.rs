//! Measures a container engine over its socket; with two sockets it compares them.
//!
//! Everything goes through the Docker Engine API, so that any engine can be measured. Medians are shown:
//! the machine's noise is one-sided.

mod engine;
mod measure;
mod registry;
mod sample;
mod session;
mod table;

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;

use crate::engine::{Addresses, Engine};
use crate::measure::{MEASUREMENTS, Measurement};
use crate::table::Table;

/// Measures a container engine over its socket; with two sockets prints how many times better the first is.
#[derive(Debug, Parser)]
#[command(name = "berth-bench", version)]
pub(crate) struct Arguments {
    /// Unix socket of an engine; give it twice to compare two.
    #[arg(long, required = true, num_args = 1)]
    socket: Vec<PathBuf>,
    /// Name of an engine in the table, in the order of the sockets.
    #[arg(long)]
    name: Vec<String>,
    /// Shell command that starts an engine (and stays), in the order of the sockets. The engine must not
    /// run yet; without it, start and restart are not measured.
    #[arg(long)]
    start: Vec<String>,
    /// Unix socket at which an engine serves Kubernetes' container runtime interface, in the order of the sockets;
    /// without it, pods are not measured.
    #[arg(long)]
    cri: Vec<PathBuf>,
    /// The program of Compose 5 (`docker-compose`); without it, projects of several services are not measured.
    #[arg(long)]
    compose: Option<PathBuf>,
    /// The program `docker-buildx`, by which builds through BuildKit's protocol are measured; without it they are not.
    #[arg(long)]
    buildx: Option<PathBuf>,
    /// Address of a BuildKit that builds for an engine instead of its own, in the order of the sockets; `own` means
    /// its own.
    #[arg(long)]
    buildkit: Vec<String>,
    /// The version of the API that is spoken; a current dockerd has none below 1.40.
    #[arg(long, default_value = "1.20")]
    api: String,
    /// Pods that run at once.
    #[arg(long, default_value_t = 110)]
    pods: usize,
    /// Only measurements whose name begins with one of these.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Containers that exist while listing is measured for the second time.
    #[arg(long, default_value_t = 10_000)]
    many: usize,
    /// Containers with published ports that run at once.
    #[arg(long, default_value_t = 500)]
    crowd: usize,
    /// Containers that run at once in one network that a client made.
    #[arg(long, default_value_t = 1000)]
    neighbours: usize,
    /// Containers with health checks that run at once.
    #[arg(long, default_value_t = 1000)]
    checked: usize,
    /// Networks that clients made, while starts are measured among many.
    #[arg(long, default_value_t = 1000)]
    networks: usize,
    /// Ports that are published meanwhile.
    #[arg(long, default_value_t = 5000)]
    ports: usize,
    /// Seconds that each repeated measurement may take.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Megabytes of the large build context.
    #[arg(long, default_value_t = 1024)]
    context: usize,
    /// Megabytes sent through each stream.
    #[arg(long, default_value_t = 256)]
    megabytes: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    session::speak(arguments.api.clone());
    let mut table = Table::default();
    for (number, socket) in arguments.socket.iter().enumerate() {
        let name = arguments.name.get(number).cloned().unwrap_or_else(|| socket.display().to_string());
        let start = arguments.start.get(number).cloned();
        let cri = arguments.cri.get(number).cloned();
        let buildkit = arguments.buildkit.get(number).filter(|address| *address != "own").cloned();
        let addresses = Addresses { socket: socket.clone(), cri, buildkit };
        let mut engine = Engine::open(addresses, start).with_context(|| format!("cannot use {name}"))?;
        table.column(&name);
        for measurement in wanted(&arguments.only) {
            table.progress(&format!("measuring {name}: {}", measurement.name));
            match (measurement.run)(&mut engine, &arguments) {
                Ok(results) => results.into_iter().for_each(|result| table.add(result)),
                Err(error) => table.progress(&format!("{} failed: {error:#}", measurement.name)),
            }
            engine.clean()?;
        }
        engine.end();
    }
    table.print().context("cannot print the table")
}

/// The measurements asked for.
fn wanted(only: &[String]) -> impl Iterator<Item = &'static Measurement> {
    MEASUREMENTS.iter().filter(move |measurement| {
        only.is_empty() || only.iter().any(|prefix| measurement.name.starts_with(prefix.as_str()))
    })
}
