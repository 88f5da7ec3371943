//! Making volumes: empty ones, and those that get an image's content.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::{Engine, TREE_BYTES, TREE_FILES};
use crate::sample::{Sample, median, middle, timed};
use crate::session::Session;

/// The version of the API that brought volumes of their own is 1.21.
const VERSION: &str = "1.24";

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let mut session = engine.session();
    let mut samples = empty_volumes(&mut session, budget)?;
    for (what, place, bytes) in [
        (format!("create, volume of {TREE_FILES} files copied up"), "/tree", TREE_BYTES),
        ("create, volume of one large file copied up".to_owned(), "/large", crate::engine::TEXT_BYTES),
    ] {
        let mut body = engine.body(&["true"], "none");
        body["Volumes"] = json!({ place: {} });
        let time = median(budget, || {
            let mut id = String::new();
            let time = timed(|| {
                id = session.create(&body)?;
                // dockerd fills its volumes at the start, berth when it creates.
                session.start(&id)?;
                session.wait(&id)
            })?;
            session.remove(&id)?;
            Ok(time)
        })?;
        samples.push(Sample::milliseconds(&format!("{what}, and run"), time));
        samples.push(Sample::megabytes_a_second(&what, bytes, time));
    }
    Ok(samples)
}

/// Creates and removes unused volumes, one at a time.
fn empty_volumes(session: &mut Session, budget: Duration) -> anyhow::Result<Vec<Sample>> {
    let (mut creates, mut removes) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while creates.len() < 5 || begin.elapsed() < budget {
        let name = format!("bench-{}", creates.len());
        let body = json!({ "Name": name });
        let create = || session.ask_at(VERSION, "POST", "/volumes/create", Some(&body)).map(drop);
        creates.push(timed(create)?);
        let path = format!("/volumes/{name}");
        removes.push(timed(|| session.ask_at(VERSION, "DELETE", &path, None).map(drop))?);
    }
    Ok(vec![
        Sample::milliseconds("volume, create", middle(&creates)),
        Sample::milliseconds("volume, remove", middle(&removes)),
    ])
}
