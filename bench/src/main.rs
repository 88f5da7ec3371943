//! Measures a container engine over its socket; with two sockets it compares them.
//!
//! Everything goes through the Docker Engine API, so that any engine can be measured. Medians are shown:
//! the machine's noise is one-sided.

mod arguments;
mod engine;
mod measure;
mod registry;
mod sample;
mod session;
mod table;

use anyhow::Context;
use clap::Parser;

use crate::arguments::Arguments;
use crate::engine::{Addresses, Engine};
use crate::measure::{MEASUREMENTS, Measurement};
use crate::table::Table;

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

/// The requested measurements.
fn wanted(only: &[String]) -> impl Iterator<Item = &'static Measurement> {
    MEASUREMENTS.iter().filter(move |measurement| {
        only.is_empty() || only.iter().any(|prefix| measurement.name.starts_with(prefix.as_str()))
    })
}
