//! `berth`: a container engine that speaks the Docker Engine API.

mod api;
mod config;
mod daemon;
mod http;
mod listener;
mod log;
mod pidfile;
mod words;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let config::Command::Daemon(arguments) = config::CommandLine::parse().command;
    let log = log::start();
    match daemon::run(&arguments, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", words::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
