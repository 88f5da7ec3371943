//! Samples of a container's counters with those of the host's processors.

use std::sync::OnceLock;
use std::time::Duration;

use model::{Statistics, Timestamp};

/// Nanoseconds of one clock tick of /proc/stat (100 a second on x86-64).
const TICK: u64 = 10_000_000;

/// How many forms samples have: front ends of several versions show them differently.
pub const STATISTICS_FORMS: usize = 4;

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

/// How often counters are read for one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Once, at once: there is nothing to compare with.
    One,
    /// Twice.
    Two,
}

/// A sample and the one before it, and the forms in which followers are sent them: each made once for all.
#[derive(Debug, Default)]
pub struct Samples {
    /// The newest.
    pub present: Sample,
    /// The one before, that of the container's start at first; zeros when it does not run.
    pub previous: Sample,
    lines: [OnceLock<Box<[u8]>>; STATISTICS_FORMS],
}

impl Sample {
    /// This sample as of the container's start: it had used nothing, and the host's processors as much less
    /// as time has passed since.
    fn at_start(&self, started_at: Timestamp) -> Self {
        let passed = self.read.map_or(Duration::ZERO, |read| read.since(started_at));
        let passed = u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX);
        let HostProcessors { count, spent } = self.host;
        let spent = spent.saturating_sub(passed.saturating_mul(u64::try_from(count).unwrap_or(1)));
        let cpu_per_processor = vec![0; self.statistics.cpu_per_processor.len()];
        Self {
            read: Some(started_at),
            statistics: Statistics { cpu_per_processor, ..Statistics::default() },
            host: HostProcessors { count, spent },
        }
    }
}

impl Samples {
    /// A sample with the one before it; a `previous` of an earlier run is replaced by what the start would
    /// have shown.
    pub(crate) fn new(present: Sample, previous: Option<Sample>, started_at: Timestamp) -> Self {
        let previous = previous.filter(|sample| sample.read.is_some_and(|read| read >= started_at));
        let previous = previous.unwrap_or_else(|| present.at_start(started_at));
        Self { present, previous, lines: Default::default() }
    }

    /// Two samples of one run.
    pub(crate) fn of(present: Sample, previous: Sample) -> Self {
        Self { present, previous, lines: Default::default() }
    }

    /// The bytes of this sample in one of the [`STATISTICS_FORMS`]; `write` makes them for the first follower
    /// that needs them.
    ///
    /// # Panics
    /// When `form` is out of range.
    pub fn line(&self, form: usize, write: impl FnOnce(&Self) -> Vec<u8>) -> &[u8] {
        self.lines[form].get_or_init(|| write(self).into_boxed_slice())
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
        let start = present.at_start(moment(1000));
        assert_eq!(start.host, HostProcessors { count: 2, spent: 80_000_000_000 });
        assert_eq!((start.statistics.cpu_total, start.statistics.cpu_per_processor), (0, vec![0, 0]));
    }
}
