//! Many networks and many published ports on one host: a start must cost what it costs on an empty one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{crowd, networks};
use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, middle, timed};
use crate::session::Session;

/// How many ports one of the containers publishes that fill the host.
const PORTS_EACH: usize = 50;
/// Addresses of each network.
const ADDRESSES: u32 = 256;
/// Where the networks' addresses begin: 10.204.0.0.
const FIRST: u32 = 0x0acc_0000;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut session = engine.session();
    let count = arguments.networks.max(1);
    let samples = filled(engine, &mut session, arguments, count);
    engine.clean()?;
    for number in 0..count {
        // One that could not be made is not there.
        let _ = networks::remove(&mut session, &name(number));
    }
    samples
}

fn filled(
    engine: &Engine,
    session: &mut Session,
    arguments: &Arguments,
    count: usize,
) -> anyhow::Result<Vec<Sample>> {
    let mut making: Vec<Duration> = Vec::with_capacity(count);
    making.push(timed(|| networks::create(session, &name(0), &subnet(0)))?);
    let body = publishing(engine, 0, 1);
    let mut samples = crowd::start_some(session, "start with a port, one network", &body)?;
    for number in 1..count {
        making.push(timed(|| networks::create(session, &name(number), &subnet(number)))?);
    }
    samples.push(Sample::milliseconds(&format!("network, create, up to {count}"), middle(&making)));
    let (containers, begin) = (arguments.ports / PORTS_EACH, Instant::now());
    for number in 0..containers {
        let id = session.create(&publishing(engine, number % count, PORTS_EACH))?;
        session.start(&id)?;
    }
    let each = begin.elapsed() / u32::try_from(containers.max(1)).unwrap_or(u32::MAX);
    samples.push(Sample::milliseconds(&format!("create and start with {PORTS_EACH} ports"), each));
    let what = format!("start with a port, {count} networks, {} ports", arguments.ports);
    samples.extend(crowd::start_some(session, &what, &publishing(engine, count - 1, 1))?);
    Ok(samples)
}

fn name(number: usize) -> String {
    format!("berth-bench-{number}")
}

fn subnet(number: usize) -> String {
    let base = FIRST + u32::try_from(number).unwrap_or(0) * ADDRESSES;
    format!("{}/24", std::net::Ipv4Addr::from(base))
}

/// A container in the network of this number that publishes so many ports.
fn publishing(engine: &Engine, network: usize, ports: usize) -> Value {
    let mut body = engine.body(&["sleep", "3600"], &name(network));
    for port in 1..=ports {
        let key = format!("{port}/tcp");
        body["ExposedPorts"][&key] = json!({});
        body["HostConfig"]["PortBindings"][&key] = json!([{ "HostPort": "" }]);
    }
    body
}
