//! A thousand listeners, each of which receives a thousand events.

use std::time::{Duration, Instant};

use anyhow::ensure;
use berth_tests::http::Connection;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::Sample;
use crate::session::allow_descriptors;

const LISTENERS: u32 = 1000;
const EVENTS: u32 = 1000;
/// Threads that read, each for its share of the listeners.
const READERS: usize = 4;
/// Longer than any engine takes.
const TIMEOUT: Duration = Duration::from_secs(120);

pub(super) fn measure(engine: &mut Engine, _arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    allow_descriptors(u64::from(LISTENERS) + 100)?;
    let client = engine.client();
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        let (head, stream) =
            client.open("GET", "/events?filters=%7B%22event%22%3A%5B%22tag%22%5D%7D", &[], b"");
        ensure!(head.status == 200, "GET /events: {}", head.status);
        stream.set_timeout(TIMEOUT)?;
        listeners.push(stream);
    }
    let mut session = engine.session();
    let begin = Instant::now();
    let received = std::thread::scope(|scope| -> anyhow::Result<Vec<u32>> {
        let share = listeners.len().div_ceil(READERS);
        let readers: Vec<_> =
            listeners.chunks_mut(share).map(|some| scope.spawn(move || listen(some))).collect();
        for _ in 0..EVENTS {
            session.ask("POST", "/images/berth-bench/tag?repo=bench-events&tag=one&force=1", None)?;
        }
        readers.into_iter().map(|reader| reader.join().unwrap_or_else(|_| Ok(0))).collect()
    })?;
    let time = begin.elapsed();
    session.ask("DELETE", "/images/bench-events:one", None)?;
    ensure!(received.iter().sum::<u32>() == LISTENERS * EVENTS, "events were lost: {received:?}");
    let name = format!("events received, {LISTENERS} listeners, {EVENTS} events, none lost");
    Ok(vec![Sample::a_second(&name, LISTENERS * EVENTS, time)])
}

/// Reads until each of these has received every event; gives how many that were. An event is an object with an
/// actor with attributes: three braces.
fn listen(listeners: &mut [Connection]) -> anyhow::Result<u32> {
    const BRACES: u32 = 3;
    let mut received = vec![0; listeners.len()];
    while received.iter().any(|count| *count < BRACES * EVENTS) {
        for (stream, received) in listeners.iter_mut().zip(&mut received) {
            if *received < BRACES * EVENTS {
                let bytes = stream.read_some()?;
                ensure!(!bytes.is_empty(), "a stream ended after {} events", *received / BRACES);
                *received += u32::try_from(bytes.iter().filter(|byte| **byte == b'{').count())?;
            }
        }
    }
    Ok(received.iter().sum::<u32>() / BRACES)
}
