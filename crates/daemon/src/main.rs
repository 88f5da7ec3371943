//! `berth`: a container engine that speaks the Docker Engine API.

mod config;
mod daemon;
mod first_image;
mod idle_memory;
mod listener;
mod log;
mod pidfile;
mod reserve;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match config::CommandLine::parse().command {
        config::Command::Daemon(arguments) => run_daemon(&arguments),
        config::Command::Image(arguments) => make_image(&arguments),
    }
}

fn run_daemon(arguments: &config::DaemonArguments) -> ExitCode {
    let log = log::start();
    match daemon::run(arguments, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", model::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn make_image(arguments: &first_image::ImageArguments) -> ExitCode {
    match first_image::run(arguments) {
        Ok(id) => {
            // It may have no reader: the image is there all the same.
            let _ = writeln!(std::io::stdout(), "{id}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "berth: {}", model::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}
