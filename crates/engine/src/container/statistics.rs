//! Counters of running containers, sampled once a second for all who follow one.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::{Statistics, Timestamp};
use shim_protocol::{Answer, Request};
use tokio::sync::watch;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::Error;

/// The time between two samples.
const INTERVAL: Duration = Duration::from_secs(1);

/// Nanoseconds of one clock tick of /proc/stat (100 a second on x86-64).
const TICK: u64 = 10_000_000;

/// One reading of a container's counters.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// When it was taken; `None` for the zeros of a container that does not run.
    pub read: Option<Timestamp>,
    /// The counters.
    pub statistics: Statistics,
    /// Nanoseconds that the host's processors spent, all together.
    pub system_cpu: u64,
}

/// A sample and the one before it.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// The newest.
    pub present: Sample,
    /// The one before; zeros when there was none.
    pub previous: Sample,
}

/// Follows a container's counters.
pub struct StatisticsStream {
    samples: watch::Receiver<Option<Arc<Samples>>>,
}

impl StatisticsStream {
    /// The next samples; `None` when the container has ended.
    pub async fn next(&mut self) -> Option<Arc<Samples>> {
        loop {
            self.samples.changed().await.ok()?;
            if let Some(samples) = self.samples.borrow_and_update().clone() {
                return Some(samples);
            }
        }
    }
}

impl Engine {
    /// Follows a container's counters; of one that does not run there is nothing to follow.
    ///
    /// # Errors
    /// Unknown container.
    pub fn statistics(self: &Arc<Self>, reference: &str) -> Result<Option<StatisticsStream>, Error> {
        let container = self.find(reference)?;
        if !container.record().is_running() {
            return Ok(None);
        }
        let mut sampler = container.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = sampler.as_ref().filter(|sampler| !sampler.is_closed()) {
            let mut samples = running.subscribe();
            samples.mark_changed();
            return Ok(Some(StatisticsStream { samples }));
        }
        let (sender, samples) = watch::channel(None);
        *sampler = Some(sender.clone());
        tokio::spawn(sample_until_unwatched(Arc::clone(&container), sender));
        Ok(Some(StatisticsStream { samples }))
    }

    /// Reads a container's counters once, with those of a moment ago; zeros when it does not run.
    ///
    /// # Errors
    /// Unknown container.
    pub async fn statistics_once(&self, reference: &str) -> Result<Samples, Error> {
        let container = self.find(reference)?;
        let present = read(&container).await.unwrap_or_default();
        Ok(Samples { present, previous: Sample::default() })
    }
}

async fn sample_until_unwatched(container: Arc<Container>, sender: watch::Sender<Option<Arc<Samples>>>) {
    let mut previous = Sample::default();
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = sender.closed() => break,
        }
        let Some(present) = read(&container).await else { break };
        sender.send_replace(Some(Arc::new(Samples { present: present.clone(), previous })));
        previous = present;
    }
    // The sampler of the container must not keep followers waiting once this task is gone.
    let mut sampler = container.sampler.lock().unwrap_or_else(PoisonError::into_inner);
    if sampler.as_ref().is_some_and(|current| current.same_channel(&sender)) {
        *sampler = None;
    }
}

async fn read(container: &Container) -> Option<Sample> {
    let shim = container.shim()?;
    match shim.request(Request::Statistics, None).await {
        Ok(Answer::Statistics(statistics)) => Some(Sample {
            read: Some(Timestamp::now()),
            statistics: *statistics,
            system_cpu: system_cpu().unwrap_or_default(),
        }),
        Ok(_) | Err(_) => None,
    }
}

/// Nanoseconds that the host's processors spent: the first seven numbers of /proc/stat's first line.
fn system_cpu() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: u64 = line.split_whitespace().take(7).filter_map(|number| number.parse::<u64>().ok()).sum();
    Some(ticks * TICK)
}
