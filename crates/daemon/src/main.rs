//! `berth`: a container engine that speaks the Docker Engine API.

mod api;
mod config;
mod daemon;
mod http;
mod listener;
mod log;
mod pidfile;

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let config::Command::Daemon(arguments) = config::CommandLine::parse().command;
    daemon::run(&arguments)
}
