//! All that is read of one container or sandbox for its metrics.

use std::io;

use engine::{Engine, OpenFiles, Record};
use model::{Statistics, Timestamp};
use tonic::Status;

use crate::status::of_engine;
use crate::time::nanoseconds;

const NANOSECONDS: i64 = 1_000_000_000;

/// The usage of one container.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) statistics: Statistics,
    pub(super) open: OpenFiles,
    pub(super) disk: Disk,
    /// Bytes of its own layer.
    pub(super) layer: u64,
    pub(super) limits: Limits,
    /// Seconds since 1970.
    pub(super) started_at: u64,
    pub(super) now: u64,
    /// Whether it was killed for its memory.
    pub(super) out_of_memory: bool,
}

/// The file system that containers' layers are on.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) bytes: u64,
    pub(super) inodes: u64,
    pub(super) free_inodes: u64,
}

/// The limits that hold.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) cpu_period: i64,
    pub(super) cpu_quota: i64,
    pub(super) cpu_shares: i64,
    pub(super) memory: i64,
    pub(super) memory_swap: i64,
}

impl Reading {
    pub(super) async fn of(engine: &Engine, record: &Record) -> Result<Self, Status> {
        let failed = |error: engine::Error| of_engine(&error);
        let samples = engine.pods.statistics(&record.id).await.map_err(failed)?;
        let disk =
            disk(engine).map_err(|error| Status::internal(format!("cannot measure the disk: {error}")))?;
        let resources = &record.settings.host.resources;
        let seconds = |time: Timestamp| u64::try_from(nanoseconds(time) / NANOSECONDS).unwrap_or_default();
        Ok(Self {
            statistics: samples.present.statistics.clone(),
            open: engine.pods.open_files(&record.id).await.map_err(failed)?,
            disk,
            layer: if record.is_sandbox() {
                0
            } else {
                engine.pods.layer_size(&record.id).await.map_err(failed)?.bytes
            },
            limits: Limits {
                cpu_period: resources.cpu_period,
                cpu_quota: resources.cpu_quota,
                cpu_shares: resources.cpu_shares,
                memory: resources.memory,
                memory_swap: resources.memory_swap,
            },
            started_at: seconds(record.started_at),
            now: seconds(Timestamp::now()),
            out_of_memory: record.out_of_memory,
        })
    }

    /// A detail of memory, by the names that each version of control groups has for it.
    pub(super) fn memory(&self, names: [&str; 2]) -> u64 {
        names.iter().find_map(|name| self.statistics.memory_details.get(*name)).copied().unwrap_or_default()
    }
}

fn disk(engine: &Engine) -> io::Result<Disk> {
    let found = rustix::fs::statvfs(&engine.options().data_root)?;
    Ok(Disk { bytes: found.f_blocks * found.f_frsize, inodes: found.f_files, free_inodes: found.f_favail })
}
