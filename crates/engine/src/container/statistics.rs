//! Counters of running containers, sampled once a second for all followers of one.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::Timestamp;
use shim_protocol::{Answer, Request};
use tokio::sync::watch;

use crate::container::Container;
use crate::container::containers::Containers;
use crate::container::samples::{HostProcessors, Reading, Sample, Samples};
use crate::error::Error;

/// The time between two samples.
const INTERVAL: Duration = Duration::from_secs(1);

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

impl Containers {
    /// Follows a container's counters; of one that does not run there is nothing to follow.
    ///
    /// # Errors
    /// Unknown container.
    pub fn statistics(self: &Arc<Self>, reference: &str) -> Result<Option<StatisticsStream>, Error> {
        let container = self.directory.find(reference)?;
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

    /// Reads a container's counters once, or twice with the time between that followers have too; zeros
    /// when it does not run.
    ///
    /// # Errors
    /// Unknown container, or a shim that does not answer.
    pub async fn statistics_once(&self, reference: &str, reading: Reading) -> Result<Samples, Error> {
        let container = self.directory.find(reference)?;
        let Some(first) = read(&container).await? else { return Ok(Samples::default()) };
        if reading == Reading::One {
            return Ok(Samples::of(first, Sample::default()));
        }
        tokio::time::sleep(INTERVAL).await;
        let Some(present) = read(&container).await? else { return Ok(Samples::default()) };
        Ok(Samples::of(present, first))
    }
}

async fn sample_until_unwatched(container: Arc<Container>, sender: watch::Sender<Option<Arc<Samples>>>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = sender.closed() => break,
        }
        match sample(&container).await {
            Ok(Some(samples)) => drop(sender.send_replace(Some(Arc::new(samples)))),
            Ok(None) => break,
            // A shim that does not answer now may do so later.
            Err(error) => tracing::debug!("no counters of container {}: {error}", container.id()),
        }
    }
    // The sampler of the container must not keep followers waiting once this task is gone.
    let mut sampler = container.sampler.lock().unwrap_or_else(PoisonError::into_inner);
    if sampler.as_ref().is_some_and(|current| current.same_channel(&sender)) {
        *sampler = None;
    }
}

/// Reads the counters; the previous sample is the last one that was read for any client in this run of the
/// container, at first its start.
async fn sample(container: &Container) -> Result<Option<Samples>, Error> {
    let Some(present) = read(container).await? else { return Ok(None) };
    let started_at = container.record().started_at;
    let mut last = container.last_sample.lock().unwrap_or_else(PoisonError::into_inner);
    let previous = last.replace(present.clone());
    Ok(Some(Samples::new(present, previous, started_at)))
}

/// Reads the counters; `None` when the container does not run.
async fn read(container: &Container) -> Result<Option<Sample>, Error> {
    let Some(shim) = container.shim() else { return Ok(None) };
    match shim.request(Request::Statistics, None).await {
        Ok(Answer::Statistics(statistics)) => Ok(Some(Sample {
            read: Some(Timestamp::now()),
            statistics: *statistics,
            host: HostProcessors::read(),
        })),
        Ok(_) => Ok(None),
        Err(error) if error.means_ended() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
