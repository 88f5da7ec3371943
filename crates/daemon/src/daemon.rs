//! The daemon's life: settings, log, engine, listeners, signals, and the way back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use berth_http::request_budget;
use buildkit_api::BuildKit;
use docker_api::{Api, OriginPolicy, SharedSettings, common_headers};
use engine::Engine;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::{DaemonArguments, Reloadable, Settings};
use crate::idle_memory;
use crate::listener::{self, Accepting, Connections, CriListener};
use crate::log::LogLevel;
use crate::pidfile::PidFile;
use crate::reserve::Reserve;

/// How long pending requests may still take after the signal to stop.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Areas of memory that threads allocate from.
const ARENAS: i32 = 2;
/// Threads for blocking work, one of them in reserve; idle ones end after [`IDLE_THREAD`]. A client that stops in the middle of an archive
/// keeps one waiting, so there are many: it must take more such clients than anyone has to hold others up.
const BLOCKING_THREADS: usize = 1025;

/// How long a thread for blocking work waits for more of it: it is gone, and its stack with it, when a daemon that has become
/// quiet gives memory back.
const IDLE_THREAD: Duration = Duration::from_secs(1);

/// Bytes of unfinished requests in memory, of all clients together.
const UNFINISHED_REQUESTS: usize = 64 << 20;

/// Runs the daemon until a signal ends it.
pub(crate) fn run(arguments: &DaemonArguments, log: &LogLevel) -> anyhow::Result<()> {
    engine::sys::memory::keep_few_arenas(ARENAS);
    engine::sys::private::set_usual_umask();
    engine::sys::child_signal::keep_ended_children().context("cannot set what SIGCHLD does")?;
    let settings = Settings::load(arguments)?;
    log.set(settings.reloadable.level);
    let reserve = Arc::new(Reserve::default());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4)))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(1 << 20)
        .thread_keep_alive(IDLE_THREAD)
        .enable_all();
    reserve.listen(&mut builder);
    let runtime = builder.build().context("cannot start the runtime")?;
    let (pidfile, result) = runtime.block_on(async {
        reserve.start();
        match begin(&settings) {
            Ok((signals, pidfile)) => {
                // On the heap once, instead of several times on the stack.
                (Some(pidfile), Box::pin(serve(settings, arguments, log, signals)).await)
            }
            Err(error) => (None, Err(error)),
        }
    });
    reserve.end();
    end(runtime, pidfile);
    result
}

/// Handles signals first: a reader of the pid file may send one.
fn begin(settings: &Settings) -> anyhow::Result<(Signals, PidFile)> {
    let signals = Signals::listen().context("cannot listen for signals")?;
    Ok((signals, PidFile::write(&settings.pidfile)?))
}

/// Ends what runs still, and only then gives up the pid file: the next daemon, which takes the containers over, may
/// wait for that.
fn end(runtime: Runtime, pidfile: Option<PidFile>) {
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(pidfile);
}

async fn serve(
    mut settings: Settings,
    arguments: &DaemonArguments,
    log: &LogLevel,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let listeners =
        listener::bind(&settings.listen, settings.group.as_deref(), settings.tls.as_ref()).await?;
    let cri = match &settings.cri {
        Some(path) => Some(CriListener::bind(path, settings.group.as_deref()).await?),
        None => None,
    };
    let received = settings.engine.data_root.join("buildkit");
    settings.engine.sockets = listeners.iter().filter_map(listener::Listener::socket).collect();
    settings.engine.sockets.extend(cri.iter().map(|cri| cri.path().to_owned()));
    let cache_limit = settings.build_cache_limit;
    // The memory for opening it is returned afterwards, unlike this function's own.
    let engine = Box::pin(Engine::open(settings.engine)).await.context("cannot open the engine")?;
    let shown = Arc::new(SharedSettings::new(settings.reloadable.shown));
    let (stop, stopping) = watch::channel(false);
    let origins = OriginPolicy::new(settings.cors.clone(), settings.allowed_hosts);
    let build_kit = BuildKit::new(Arc::clone(&engine), received, env!("CARGO_PKG_VERSION"), cache_limit)
        .context("cannot make the directory for clients' files")?;
    let api = Api::new((Arc::clone(&engine), build_kit), Arc::clone(&shown), settings.maximum, origins);
    idle_memory::start(Arc::downgrade(&engine), api.requests()).context("cannot start a thread")?;
    let cri = cri.map(|cri| {
        let api = Arc::new(cri_api::Api::new(&engine, &settings.pinned_images));
        tokio::spawn(cri.serve(api, stopping.clone()))
    });
    let connections = Connections {
        service: Arc::new(api),
        settings: berth_http::Settings {
            common_headers: common_headers(settings.maximum, &settings.cors).into(),
            budget: request_budget(UNFINISHED_REQUESTS),
            stopping,
        },
    };
    let accepting = Accepting::start(listeners, &connections);
    drop(connections);
    tracing::info!("API listening, version {}", env!("CARGO_PKG_VERSION"));
    if let Err(error) = engine::sys::memory::give_back_stack() {
        tracing::debug!("cannot free the memory of the start: {error}");
    }
    while let Event::Reload = signals.next().await {
        match Reloadable::reload(arguments) {
            Ok(read) => {
                log.set(read.level);
                shown.replace(read.shown);
                engine.images.set_registry(read.registry);
                tracing::info!("settings are read again");
            }
            Err(error) => tracing::error!("the settings stay as they were: {error}"),
        }
    }
    tracing::info!("stopping");
    stop.send_replace(true);
    accepting.finish(TIMEOUT).await;
    if let Some(cri) = cri
        && tokio::time::timeout(TIMEOUT, cri).await.is_err()
    {
        tracing::warn!("some calls of Kubernetes were still being answered after {} s", TIMEOUT.as_secs());
    }
    engine.close().await;
    Ok(())
}

/// The meaning of a signal.
enum Event {
    Reload,
    Stop,
}

/// The signals that the daemon listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.hang_up.recv() => Event::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Sends whether a file is there when it is dropped.
    struct Witness(PathBuf, Sender<bool>);

    impl Drop for Witness {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.exists());
        }
    }

    #[test]
    fn the_pid_file_stays_until_all_work_has_ended() {
        let path = std::env::temp_dir().join(format!("berth-end-{}.pid", std::process::id()));
        let pidfile = PidFile::write(&path).expect("written");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let (sender, receiver) = channel();
        let witness = Witness(path.clone(), sender);
        runtime.spawn(async move {
            let _witness = witness;
            std::future::pending::<()>().await;
        });
        end(runtime, Some(pidfile));
        assert_eq!(receiver.recv(), Ok(true));
        assert!(!path.exists());
    }
}
