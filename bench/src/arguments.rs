//! What is measured, of which engines, and how much of it: the command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures a container engine over its socket; with two sockets prints how many times better the first is.
#[derive(Debug, Parser)]
#[command(name = "berth-bench", version)]
pub(crate) struct Arguments {
    /// Unix socket of an engine; give it twice to compare two.
    #[arg(long, required = true, num_args = 1)]
    pub(crate) socket: Vec<PathBuf>,
    /// Name of an engine in the table, in the order of the sockets.
    #[arg(long)]
    pub(crate) name: Vec<String>,
    /// Shell command that starts an engine (and stays), in the order of the sockets. The engine must not
    /// run yet; without it, start and restart are not measured.
    #[arg(long)]
    pub(crate) start: Vec<String>,
    /// Unix socket at which an engine serves Kubernetes' container runtime interface, in the order of the sockets;
    /// without it, pods are not measured.
    #[arg(long)]
    pub(crate) cri: Vec<PathBuf>,
    /// The program of Compose 5 (`docker-compose`); without it, projects of several services are not measured.
    #[arg(long)]
    pub(crate) compose: Option<PathBuf>,
    /// The program `docker-buildx`, by which builds through BuildKit's protocol are measured; without it they are not.
    #[arg(long)]
    pub(crate) buildx: Option<PathBuf>,
    /// Address of a BuildKit that builds for an engine instead of its own, in the order of the sockets; `own` means
    /// its own.
    #[arg(long)]
    pub(crate) buildkit: Vec<String>,
    /// The version of the API that is spoken; a current dockerd has none below 1.40.
    #[arg(long, default_value = "1.20")]
    pub(crate) api: String,
    /// Pods that run at once.
    #[arg(long, default_value_t = 110)]
    pub(crate) pods: usize,
    /// Only measurements whose name begins with one of these.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Containers that exist while listing is measured for the second time.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) many: usize,
    /// Containers with published ports that run at once.
    #[arg(long, default_value_t = 500)]
    pub(crate) crowd: usize,
    /// Containers that run at once in one network that a client made.
    #[arg(long, default_value_t = 1000)]
    pub(crate) neighbours: usize,
    /// Containers with health checks that run at once.
    #[arg(long, default_value_t = 1000)]
    pub(crate) checked: usize,
    /// Networks that clients made, while starts are measured among many.
    #[arg(long, default_value_t = 1000)]
    pub(crate) networks: usize,
    /// Ports that are published meanwhile.
    #[arg(long, default_value_t = 5000)]
    pub(crate) ports: usize,
    /// Seconds that each repeated measurement may take.
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Megabytes of the large build context.
    #[arg(long, default_value_t = 1024)]
    pub(crate) context: usize,
    /// Megabytes sent through each stream.
    #[arg(long, default_value_t = 256)]
    pub(crate) megabytes: usize,
}
