//! Making a volume that gets an image's content.

use std::time::Duration;

use serde_json::json;

use crate::Arguments;
use crate::engine::{Engine, TREE_BYTES, TREE_FILES};
use crate::sample::{Sample, median, timed};

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let mut session = engine.session();
    let mut samples = Vec::new();
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
