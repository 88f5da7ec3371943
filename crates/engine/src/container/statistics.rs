//! Counters of running containers, sampled once a second for all who follow one.

use std::sync::{Arc, OnceLock, PoisonError};
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
    /// The host's processors at that moment.
    pub host: HostProcessors,
}

/// A sample and the one before it, and the form in which followers are sent them: made once for all.
#[derive(Debug, Default)]
pub struct Samples {
    /// The newest.
    pub present: Sample,
    /// The one before, that of the container's start at first; zeros when it does not run.
    pub previous: Sample,
    line: OnceLock<Box<[u8]>>,
}

impl Samples {
    /// The form that is sent; `write` makes it for the first follower that wants it.
    pub fn line(&self, write: impl FnOnce(&Self) -> Vec<u8>) -> &[u8] {
        self.line.get_or_init(|| write(self).into_boxed_slice())
    }
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

    /// Reads a container's counters once; zeros when it does not run.
    ///
    /// # Errors
    /// Unknown container.
    pub async fn statistics_once(&self, reference: &str) -> Result<Samples, Error> {
        Ok(sample(&*self.find(reference)?).await.unwrap_or_default())
    }
}

async fn sample_until_unwatched(container: Arc<Container>, sender: watch::Sender<Option<Arc<Samples>>>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = sender.closed() => break,
        }
        let Some(samples) = sample(&container).await else { break };
        sender.send_replace(Some(Arc::new(samples)));
    }
    // The sampler of the container must not keep followers waiting once this task is gone.
    let mut sampler = container.sampler.lock().unwrap_or_else(PoisonError::into_inner);
    if sampler.as_ref().is_some_and(|current| current.same_channel(&sender)) {
        *sampler = None;
    }
}

/// Reads the counters; the sample before is the last one that anybody asked for in this run of the
/// container, at first its start.
async fn sample(container: &Container) -> Option<Samples> {
    let present = read(container).await?;
    let started_at = container.record().started_at;
    let mut last = container.last_sample.lock().unwrap_or_else(PoisonError::into_inner);
    let previous = last.replace(present.clone());
    let previous = previous.filter(|sample| sample.read.is_some_and(|read| read >= started_at));
    let previous = previous.unwrap_or_else(|| at_start(&present, started_at));
    Some(Samples { present, previous, line: OnceLock::new() })
}

/// What a sample would have been when the container was started: it had used nothing, and the host's
/// processors as much less as time has passed since.
fn at_start(present: &Sample, started_at: Timestamp) -> Sample {
    let passed = present.read.map_or(Duration::ZERO, |read| read.since(started_at));
    let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
    let HostProcessors { count, spent } = present.host;
    let spent = spent.saturating_sub(passed.saturating_mul(u64::try_from(count).unwrap_or(1)));
    let cpu_per_processor = vec![0; present.statistics.cpu_per_processor.len()];
    Sample {
        read: Some(started_at),
        statistics: Statistics { cpu_per_processor, ..Statistics::default() },
        host: HostProcessors { count, spent },
    }
}

async fn read(container: &Container) -> Option<Sample> {
    let shim = container.shim()?;
    match shim.request(Request::Statistics, None).await {
        Ok(Answer::Statistics(statistics)) => Some(Sample {
            read: Some(Timestamp::now()),
            statistics: *statistics,
            host: HostProcessors::read(),
        }),
        Ok(_) | Err(_) => None,
    }
}

/// The host's processors together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostProcessors {
    /// How many are switched on.
    pub count: usize,
    /// Nanoseconds that they spent, idle ones too.
    pub spent: u64,
}

impl HostProcessors {
    /// Reads them from the kernel.
    #[must_use]
    pub fn read() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The first seven numbers of /proc/stat's first line, and how many such lines there are beside it.
    fn parse(text: &str) -> Self {
        let mut lines = text.lines().map_while(|line| line.strip_prefix("cpu"));
        let all = lines.next().unwrap_or_default();
        let ticks = all.split_whitespace().take(7).filter_map(|number| number.parse::<u64>().ok());
        let spent = ticks.sum::<u64>().saturating_mul(TICK);
        Self { spent, count: lines.count().max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_and_their_time_added_up() {
        let text = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3\ncpu1 4 5 6\nintr 5 cpu\n";
        assert_eq!(HostProcessors::parse(text), HostProcessors { count: 2, spent: 28 * TICK });
        assert_eq!(HostProcessors::parse(""), HostProcessors { count: 1, spent: 0 });
    }

    #[test]
    fn the_first_sample_is_compared_with_the_start() {
        let moment = |seconds| Timestamp::from_unix(seconds, 0).expect("a moment");
        let statistics = Statistics { cpu_total: 5, cpu_per_processor: vec![2, 3], ..Statistics::default() };
        let host = HostProcessors { count: 2, spent: 100_000_000_000 };
        let present = Sample { read: Some(moment(1010)), statistics, host };
        let start = at_start(&present, moment(1000));
        assert_eq!(start.host, HostProcessors { count: 2, spent: 80_000_000_000 });
        assert_eq!((start.statistics.cpu_total, start.statistics.cpu_per_processor), (0, vec![0, 0]));
    }
}
