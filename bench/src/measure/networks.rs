//! A network that a client made: lifecycles in it, connecting, its own making, names, and many containers in it.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use berth_tests::host::within_network_of;
use serde_json::{Value, json};

use super::{crowd, lifecycle};
use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, middle, timed};
use crate::session::Session;

/// The network of the measurements.
const NAME: &str = "berth-bench";
/// A version that has networks, in dockerd 20.10 too. berth serves it with `--api-max`.
const VERSION: &str = "1.41";
/// The name server of containers.
const NAME_SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);
/// How many clients in the container send queries at once.
const CLIENTS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut session = engine.session();
    // One that an earlier run has left.
    let _ = remove(&mut session, NAME);
    create(&mut session, NAME, "10.201.0.0/16")?;
    let samples = within(engine, &mut session, arguments);
    engine.clean()?;
    remove(&mut session, NAME)?;
    samples
}

fn within(engine: &Engine, session: &mut Session, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let body = engine.body(&["true"], NAME);
    let time = median(budget, || timed(|| lifecycle::once(session, &body)))?;
    let mut samples = vec![Sample::milliseconds("lifecycle, network of a client", time)];
    let time = median(budget, || {
        timed(|| {
            create(session, "berth-bench-more", "10.202.0.0/24")?;
            remove(session, "berth-bench-more")
        })
    })?;
    samples.push(Sample::milliseconds("network, create and remove", time));
    samples.extend(connecting(engine, session, budget)?);
    samples.extend(names(engine, session, budget)?);
    let body = engine.body(&["sleep", "3600"], NAME);
    samples.extend(crowd::start_many(session, "start in one network", &body, arguments.neighbours)?);
    Ok(samples)
}

pub(super) fn create(session: &mut Session, name: &str, subnet: &str) -> anyhow::Result<()> {
    let body = json!({ "Name": name, "IPAM": { "Config": [{ "Subnet": subnet }] } });
    session.ask_at(VERSION, "POST", "/networks/create", Some(&body)).map(drop)
}

pub(super) fn remove(session: &mut Session, name: &str) -> anyhow::Result<()> {
    session.ask_at(VERSION, "DELETE", &format!("/networks/{name}"), None).map(drop)
}

/// A running container comes into the network and leaves it.
fn connecting(engine: &Engine, session: &mut Session, budget: Duration) -> anyhow::Result<Vec<Sample>> {
    let id = session.create(&engine.body(&["sleep", "3600"], "bridge"))?;
    session.start(&id)?;
    let container = json!({ "Container": id });
    let change = |session: &mut Session, verb: &str| {
        let path = format!("/networks/{NAME}/{verb}");
        session.ask_at(VERSION, "POST", &path, Some(&container)).map(drop)
    };
    let mut leaving = Vec::new();
    let connecting = median(budget, || {
        let time = timed(|| change(session, "connect"))?;
        leaving.push(timed(|| change(session, "disconnect"))?);
        Ok(time)
    })?;
    session.remove(&id)?;
    Ok(vec![
        Sample::milliseconds("network, connect a running container", connecting),
        Sample::milliseconds("network, disconnect it", middle(&leaving)),
    ])
}

/// What the container's name server takes for its own name.
fn names(engine: &Engine, session: &mut Session, budget: Duration) -> anyhow::Result<Vec<Sample>> {
    let id = session.create(&engine.body(&["sleep", "3600"], NAME))?;
    session.start(&id)?;
    let inspected: Value = session.ask("GET", &format!("/containers/{id}/json"), None)?.json();
    let pid = inspected["State"]["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    let pid = pid.filter(|pid| *pid > 0).context("the container does not run")?;
    let question = question(&id[..12]);
    let alone = within_network_of(pid, || {
        let socket = client()?;
        median(budget, || timed(|| ask(&socket, &question)))
    })?;
    let (count, begin) = (AtomicU32::new(0), Instant::now());
    let outcomes: Vec<anyhow::Result<()>> = thread::scope(|scope| {
        let asking = || {
            within_network_of(pid, || {
                let socket = client()?;
                while begin.elapsed() < budget {
                    ask(&socket, &question)?;
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(asking)).collect();
        let end = |client: thread::ScopedJoinHandle<'_, anyhow::Result<()>>| {
            client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked"))
        };
        clients.into_iter().map(end).collect()
    });
    let time = begin.elapsed();
    outcomes.into_iter().collect::<anyhow::Result<()>>()?;
    session.remove(&id)?;
    Ok(vec![
        Sample::milliseconds("name asked from inside", alone),
        Sample::a_second(
            &format!("names, {CLIENTS} clients in a container"),
            count.load(Ordering::Relaxed),
            time,
        ),
    ])
}

fn client() -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.connect(NAME_SERVER)?;
    Ok(socket)
}

/// A question for the addresses of IPv4 of a name of one label (RFC 1035, section 4).
fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0x0b, 0xe7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    message.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// Sends a query and requires at least one address in the answer.
fn ask(socket: &UdpSocket, question: &[u8]) -> anyhow::Result<()> {
    socket.send(question)?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).context("no answer")?;
    anyhow::ensure!(length > 12 && answer[7] > 0, "an answer without addresses");
    Ok(())
}
