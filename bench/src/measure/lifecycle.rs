//! Create, start, wait and delete of a container that does nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};
use crate::session::Session;

/// How many clients run containers at once.
const CLIENTS: usize = 8;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let mut samples = Vec::new();
    for network in ["bridge", "none", "host"] {
        let body = engine.body(&["true"], network);
        let mut session = engine.session();
        let time = median(budget, || timed(|| once(&mut session, &body)))?;
        samples.push(Sample::milliseconds(&format!("lifecycle, {network}"), time));
    }
    samples.push(at_once(engine, budget)?);
    Ok(samples)
}

/// One lifecycle.
pub(super) fn once(session: &mut Session, body: &Value) -> anyhow::Result<()> {
    let id = session.create(body)?;
    session.start(&id)?;
    session.wait(&id)?;
    session.ask("DELETE", &format!("/containers/{id}"), None).map(drop)
}

/// How many lifecycles end each second when several clients make them.
fn at_once(engine: &Engine, budget: Duration) -> anyhow::Result<Sample> {
    let count = AtomicU32::new(0);
    let body = engine.body(&["true"], "bridge");
    let begin = Instant::now();
    let outcomes: Vec<anyhow::Result<()>> = thread::scope(|scope| {
        let client = || {
            let mut session = engine.session();
            while begin.elapsed() < budget {
                once(&mut session, &body)?;
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
            .collect()
    });
    let time = begin.elapsed();
    outcomes.into_iter().collect::<anyhow::Result<()>>()?;
    let name = format!("lifecycles, {CLIENTS} clients");
    Ok(Sample::a_second(&name, count.load(Ordering::Relaxed), time))
}
