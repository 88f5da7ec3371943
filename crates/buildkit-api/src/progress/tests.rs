//! The stored progress of builds.

use super::*;

#[test]
fn output_is_clipped() {
    let progress = Progress::new("r");
    let step = progress.start("1", "[1/1] RUN yes");
    let piece = vec![b'y'; 1 << 20];
    (0..5).for_each(|_| step.log(LogStream::Stdout, &piece));
    let kept: usize =
        progress.lock().messages.iter().flat_map(|message| &message.logs).map(|log| log.message.len()).sum();
    assert_eq!(kept, STEP_LOG_LIMIT + CLIPPED.len());
}

#[test]
fn output_byte_by_byte_weighs_little_more_than_its_bytes() {
    let progress = Progress::new("r");
    let step = progress.start("1", "[1/2] RUN dd bs=1");
    let other = progress.start("2", "[2/2] RUN dd bs=1");
    (0..100_000).for_each(|_| step.log(LogStream::Stdout, b"x"));
    assert!(progress.weight() < 200_000, "{}", progress.weight());
    step.log(LogStream::Stderr, b"e");
    other.log(LogStream::Stderr, b"o");
    step.log(LogStream::Stderr, b"e");
    let logs = |progress: &Progress| -> Vec<(i64, usize)> {
        let state = progress.lock();
        let logs = state.messages.iter().flat_map(|message| &message.logs);
        logs.map(|log| (log.stream, log.message.len())).collect()
    };
    let rest = 100_000 - 3 * GROWN_LOG;
    let whole = (1, GROWN_LOG);
    assert_eq!(logs(&progress), [whole, whole, whole, (1, rest), (2, 1), (2, 1), (2, 1)]);
    // What was sent stays as it is, and then the messages are counted.
    for _ in 0..=LOG_LIMIT {
        let mut state = progress.lock();
        state.given = state.messages.len();
        drop(state);
        step.log(LogStream::Stdout, b"y");
    }
    let all = logs(&progress);
    assert_eq!(all.len(), LOG_LIMIT + 2, "the last one and what says that there are no more");
    assert_eq!(all.last(), Some(&(1, CLIPPED.len())));
}

#[test]
fn a_step_counts_by_its_last_state() {
    let progress = Progress::new("r");
    progress.start("1", "a").complete();
    progress.start("2", "b").complete_from_cache();
    progress.start("3", "c").fail("no");
    progress.announce("4", "d", Vec::new());
    assert_eq!(progress.counts(), Counts { total: 4, cached: 1, completed: 3, warnings: 0 });
}
