//! Files out of a container and into it, as tars.

use std::time::Instant;

use anyhow::ensure;
use berth_tests::tarball::TAR;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::Sample;
use crate::session::api;

/// Each is done so often; the best counts, the others also measure the disk.
const ROUNDS: u32 = 3;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut session = engine.session();
    let megabytes = arguments.megabytes;
    let script =
        format!("for i in 1 2 3 4; do dd if=/dev/zero of=/big$i bs=1M count={} 2>&1; done", megabytes / 4);
    let id = session.create(&engine.body(&["sh", "-c", &script], "none"))?;
    session.start(&id)?;
    session.wait(&id)?;
    let out = |path: &str| best(|| download(engine, &format!("/containers/{id}/{path}")));
    let get = out("archive?path=/")?;
    let export = out("export")?;
    let put = best(|| upload(engine, &id, megabytes))?;
    session.remove(&id)?;
    Ok(vec![get.named("archive, get"), put.named("archive, put"), export.named("export")])
}

/// How much in which time.
#[derive(Clone, Copy)]
struct Transfer {
    bytes: usize,
    time: std::time::Duration,
}

impl Transfer {
    fn named(self, name: &str) -> Sample {
        Sample::megabytes_a_second(name, self.bytes, self.time)
    }
}

fn best(act: impl Fn() -> anyhow::Result<Transfer>) -> anyhow::Result<Transfer> {
    let mut fastest = act()?;
    for _ in 1..ROUNDS {
        let next = act()?;
        if next.time < fastest.time {
            fastest = next;
        }
    }
    Ok(fastest)
}

fn download(engine: &Engine, path: &str) -> anyhow::Result<Transfer> {
    let begin = Instant::now();
    let (head, mut connection) = engine.client().open("GET", path, &[("Connection", "close")], b"");
    ensure!(head.status == 200, "{path}: {}", head.status);
    let mut bytes = 0;
    loop {
        let count = connection.read_some()?.len();
        if count == 0 {
            break;
        }
        bytes += count;
    }
    Ok(Transfer { bytes, time: begin.elapsed() })
}

fn upload(engine: &Engine, id: &str, megabytes: usize) -> anyhow::Result<Transfer> {
    let size = megabytes << 20;
    let mut header = tar::Header::new_gnu();
    header.set_path("put")?;
    header.set_mode(0o644);
    header.set_size(u64::try_from(size)?);
    header.set_cksum();
    let piece = vec![b'x'; 1 << 20];
    let length = (512 + size + 1024).to_string();
    let path = format!("/containers/{id}/archive?path=/tmp");
    let begin = Instant::now();
    let mut connection = engine.client().connect();
    let fields = [TAR[0], ("Content-Length", length.as_str())];
    connection.request("PUT", &format!("/v{}{path}", api()), &fields, b"")?;
    connection.send(header.as_bytes())?;
    for _ in 0..megabytes {
        connection.send(&piece)?;
    }
    connection.send(&[0; 1024])?;
    let status = connection.read_head()?.status;
    ensure!(status == 200, "PUT {path}: {status}");
    Ok(Transfer { bytes: size, time: begin.elapsed() })
}
