//! What everything takes of the disk: `/system/df` of many images, containers and volumes.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;

use super::images::{make_many, remove_many};
use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};

const IMAGES: usize = 1_000;
const CONTAINERS: usize = 200;
const VOLUMES: usize = 200;
/// The repository that has the images as tags, and how the volumes begin.
const NAME: &str = "berth-bench-usage";
/// The newest version that all engines here serve.
const VERSION: &str = "1.41";

pub(super) fn measure(engine: &mut Engine, _: &Arguments) -> anyhow::Result<Vec<Sample>> {
    make_many(engine, NAME, IMAGES)?;
    let mut session = engine.session();
    for number in 0..VOLUMES {
        let volume = json!({ "Name": format!("{NAME}-{number}") });
        session.ask_at(VERSION, "POST", "/volumes/create", Some(&volume))?;
    }
    let mut containers = Vec::new();
    for number in 0..CONTAINERS {
        let mut body = engine.body(&["true"], "none");
        body["HostConfig"]["Binds"] = json!([format!("{NAME}-{}:/volume", number % VOLUMES)]);
        containers.push(session.create(&body)?);
    }
    let mut ask = || {
        timed(|| {
            let answer = session.ask_at(VERSION, "GET", "/system/df", None)?;
            ensure!(answer.body.len() > (IMAGES + CONTAINERS + VOLUMES) * 100, "not everything is there");
            Ok(())
        })
    };
    let first = ask()?;
    let time = median(Duration::from_secs(1), ask)?;
    for id in containers {
        session.remove(&id)?;
    }
    for number in 0..VOLUMES {
        session.ask_at(VERSION, "DELETE", &format!("/volumes/{NAME}-{number}"), None)?;
    }
    remove_many(&mut session, NAME, IMAGES)?;
    let name = format!("disk usage, {IMAGES} images, {CONTAINERS} containers, {VOLUMES} volumes");
    Ok(vec![
        Sample::milliseconds(&format!("{name}, the first time"), first),
        Sample::milliseconds(&name, time),
    ])
}
