//! Reads everything that is saved. A row that cannot be read is moved aside, so that the daemon starts.

use model::{ContainerId, Event, ExecId, NetworkId, Timestamp, VolumeDriverKind};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde_json::json;

use super::container::ContainerColumns;
use super::rows::{EventDocument, ExecRow, KEPT_EVENTS, NetworkRow, Row, VolumeRow};
use crate::record::Record;

/// All that earlier daemons saved.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) containers: Vec<Record>,
    pub(crate) execs: Vec<ExecRow>,
    pub(crate) volumes: Vec<VolumeRow>,
    pub(crate) networks: Vec<NetworkRow>,
    /// The last events, oldest first, with their numbers.
    pub(crate) events: Vec<(u64, Event)>,
    /// The engine's own id.
    pub(crate) identity: Option<String>,
    /// Whether rows of earlier daemons may be lost: the database has replaced a damaged one, which lies beside it.
    pub(crate) is_lost: bool,
}

/// A row that cannot be read.
struct Unreadable {
    origin: &'static str,
    key: String,
    content: String,
    reason: String,
    /// Its replacement.
    placeholder: Option<Row>,
}

/// Reads all rows.
///
/// # Errors
/// When the database fails.
pub(super) fn read(connection: &mut Connection) -> rusqlite::Result<Saved> {
    let mut aside = Vec::new();
    let saved = Saved {
        containers: containers(connection, &mut aside)?,
        execs: execs(connection, &mut aside)?,
        volumes: volumes(connection, &mut aside)?,
        networks: networks(connection, &mut aside)?,
        events: events(connection, &mut aside)?,
        identity: identity(connection)?,
        is_lost: false,
    };
    for row in &aside {
        let Unreadable { origin, key, reason, .. } = row;
        tracing::error!("the row {key} of the table {origin} cannot be read and is moved aside: {reason}");
    }
    // On a full disk they stay where they are, and the next start moves them.
    if let Err(error) = move_aside(connection, &aside) {
        tracing::error!("cannot move rows aside that cannot be read: {error}");
    }
    Ok(saved)
}

fn move_aside(connection: &mut Connection, rows: &[Unreadable]) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for Unreadable { origin, key, content, reason, placeholder } in rows {
        let moved = Timestamp::now().to_string();
        transaction.execute(
            "INSERT OR REPLACE INTO unreadable VALUES (?, ?, ?, ?, ?)",
            params![origin, key, content, reason, moved],
        )?;
        let column = match *origin {
            "events" => "CAST(number AS TEXT)",
            "volumes" => "name",
            _ => "id",
        };
        transaction.execute(&format!("DELETE FROM {origin} WHERE {column} = ?"), [key])?;
        if let Some(placeholder) = placeholder {
            placeholder.write(&transaction)?;
        }
    }
    transaction.commit()
}

fn containers(connection: &Connection, aside: &mut Vec<Unreadable>) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare("SELECT id, name, settings, state, pod FROM containers")?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = ContainerColumns {
            id: text(row, 0)?,
            name: text(row, 1)?,
            settings: text(row, 2)?,
            state: text(row, 3)?,
            pod: if row.get_ref(4)? == ValueRef::Null { None } else { Some(text(row, 4)?) },
        };
        let (record, damage) = match columns.record() {
            Ok((record, damage)) => (Some(record), damage),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(reason) = damage {
            let content = json!({ "name": columns.name, "settings": columns.settings, "state": columns.state, "pod": columns.pod });
            aside.push(Unreadable {
                origin: "containers",
                key: columns.id,
                content: content.to_string(),
                reason,
                placeholder: record.clone().map(|record| Row::Container(record.into())),
            });
        }
        records.extend(record);
    }
    Ok(records)
}

fn execs(connection: &Connection, aside: &mut Vec<Unreadable>) -> rusqlite::Result<Vec<ExecRow>> {
    let mut statement = connection.prepare("SELECT id, container, document FROM execs")?;
    let mut rows = statement.query([])?;
    let mut execs = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, container, content) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let exec = || -> Result<ExecRow, Box<dyn std::error::Error>> {
            Ok(ExecRow {
                id: ExecId::parse(&key)?,
                container: ContainerId::parse(&container)?,
                document: serde_json::from_str(&content)?,
            })
        };
        match exec() {
            Ok(exec) => execs.push(exec),
            Err(error) => {
                let reason = error.to_string();
                aside.push(Unreadable { origin: "execs", key, content, reason, placeholder: None });
            }
        }
    }
    Ok(execs)
}

/// A volume of which something besides its name cannot be read is there still, without that.
fn volumes(connection: &Connection, aside: &mut Vec<Unreadable>) -> rusqlite::Result<Vec<VolumeRow>> {
    let mut statement =
        connection.prepare("SELECT name, driver, options, labels, anonymous, created FROM volumes")?;
    let mut rows = statement.query([])?;
    let mut volumes = Vec::new();
    while let Some(row) = rows.next()? {
        let (driver, options, labels, created) = (text(row, 1)?, text(row, 2)?, text(row, 3)?, text(row, 5)?);
        let mut volume = VolumeRow {
            name: text(row, 0)?,
            driver: VolumeDriverKind::default(),
            options: Default::default(),
            labels: Default::default(),
            anonymous: text(row, 4)? == "1",
            created: Timestamp::NEVER,
        };
        let mut fill = || -> Result<(), Box<dyn std::error::Error>> {
            volume.driver =
                VolumeDriverKind::of(&driver).ok_or_else(|| format!("there is no driver {driver}"))?;
            volume.options = serde_json::from_str(&options)?;
            volume.labels = serde_json::from_str(&labels)?;
            volume.created = Timestamp::parse(&created)?;
            Ok(())
        };
        let filled = fill();
        // It is the name of a directory.
        if let Err(error) = model::check_volume_name(&volume.name) {
            let content =
                json!({ "driver": driver, "options": options, "labels": labels, "created": created });
            aside.push(Unreadable {
                origin: "volumes",
                key: volume.name,
                content: content.to_string(),
                reason: error.to_string(),
                placeholder: None,
            });
            continue;
        }
        if let Err(error) = filled {
            aside.push(Unreadable {
                origin: "volumes",
                key: volume.name.clone(),
                content:
                    json!({ "driver": driver, "options": options, "labels": labels, "created": created })
                        .to_string(),
                reason: error.to_string(),
                placeholder: Some(Row::Volume(volume.clone())),
            });
        }
        volumes.push(volume);
    }
    Ok(volumes)
}

fn networks(connection: &Connection, aside: &mut Vec<Unreadable>) -> rusqlite::Result<Vec<NetworkRow>> {
    let mut statement = connection.prepare("SELECT id, document FROM networks")?;
    let mut rows = statement.query([])?;
    let mut networks = Vec::new();
    while let Some(row) = rows.next()? {
        let (key, content) = (text(row, 0)?, text(row, 1)?);
        let network = || -> Result<NetworkRow, Box<dyn std::error::Error>> {
            Ok(NetworkRow { id: NetworkId::parse(&key)?, document: serde_json::from_str(&content)? })
        };
        match network() {
            Ok(network) => networks.push(network),
            Err(error) => {
                let reason = error.to_string();
                aside.push(Unreadable { origin: "networks", key, content, reason, placeholder: None });
            }
        }
    }
    Ok(networks)
}

fn events(connection: &Connection, aside: &mut Vec<Unreadable>) -> rusqlite::Result<Vec<(u64, Event)>> {
    let mut statement =
        connection.prepare("SELECT number, document FROM events ORDER BY number DESC LIMIT ?")?;
    let mut rows = statement.query([KEPT_EVENTS])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let (number, content) = (row.get::<_, i64>(0)?, text(row, 1)?);
        let document = serde_json::from_str::<EventDocument>(&content).map_err(|error| error.to_string());
        let read = document.and_then(|document| {
            let event = document.event().map_err(|error| error.to_string())?;
            Ok((event_number(number)?, event))
        });
        match read {
            Ok(event) => events.push(event),
            Err(reason) => {
                let key = number.to_string();
                aside.push(Unreadable { origin: "events", key, content, reason, placeholder: None });
            }
        }
    }
    events.reverse();
    Ok(events)
}

/// A number that an event can have had: later ones get greater numbers.
fn event_number(number: i64) -> Result<u64, String> {
    let greatest = i64::MAX / 2;
    u64::try_from(number)
        .ok()
        .filter(|_| number <= greatest)
        .ok_or_else(|| format!("the number is not one from 0 to {greatest}"))
}

fn identity(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare("SELECT value FROM settings WHERE name = 'identity'")?;
    let mut rows = statement.query([])?;
    rows.next()?.map(|row| text(row, 0)).transpose()
}

/// A column as text, whatever was written into it.
pub(super) fn text(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    })
}
