//! Brings older tables to the next version, one transaction a version. What is read and written here stays
//! as it was when its version was the present one.

use model::Timestamp;
use rusqlite::{Connection, Transaction, params};
use serde_json::{Map, Value, json};

use crate::old_settings;

/// The tables of version 1.
const TABLES_1: &str = "
    CREATE TABLE containers (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, settings TEXT NOT NULL, state TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE volumes (
        name TEXT PRIMARY KEY, driver TEXT NOT NULL, options TEXT NOT NULL, labels TEXT NOT NULL,
        anonymous INTEGER NOT NULL, created TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE execs (id TEXT PRIMARY KEY, container TEXT NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE events (number INTEGER PRIMARY KEY, document TEXT NOT NULL);
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE unreadable (
        origin TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL, reason TEXT NOT NULL,
        moved TEXT NOT NULL, PRIMARY KEY (origin, key)
    ) WITHOUT ROWID;
";

/// The tables that version 2 adds.
const TABLES_2: &str = "
    CREATE TABLE networks (id TEXT PRIMARY KEY, name TEXT NOT NULL, document TEXT NOT NULL) WITHOUT ROWID;
";

/// The addition of version 3: which containers are parts of pods.
const COLUMN_3: &str = "ALTER TABLE containers ADD COLUMN pod TEXT;";

/// Brings tables of version `from` to the version after it.
pub(super) fn from(connection: &mut Connection, from: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    match from {
        0 => to_1(&transaction)?,
        1 => to_2(&transaction)?,
        _ => transaction.execute_batch(COLUMN_3)?,
    }
    transaction.pragma_update(None, "user_version", from + 1)?;
    transaction.commit()
}

/// Version 0 had no number. Its containers were one document each, with the API's names; a new database has
/// none of its tables.
fn to_1(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let is_new: bool = transaction.query_row(
        "SELECT count(*) = 0 FROM sqlite_master WHERE type = 'table' AND name = 'containers'",
        [],
        |row| row.get(0),
    )?;
    let tables = ["containers", "volumes", "execs", "events", "settings"];
    if !is_new {
        for table in tables {
            transaction.execute_batch(&format!("ALTER TABLE {table} RENAME TO {table}_0;"))?;
        }
    }
    transaction.execute_batch(TABLES_1)?;
    if is_new {
        return Ok(());
    }
    for (id, document) in pairs(transaction, "SELECT id, document FROM containers_0")? {
        let [name, settings, state] = container_1(&document);
        transaction
            .prepare_cached("INSERT INTO containers VALUES (?, ?, ?, ?)")?
            .execute(params![id, name, settings, state])?;
    }
    for (number, document) in pairs(transaction, "SELECT CAST(number AS TEXT), document FROM events_0")? {
        transaction
            .prepare_cached("INSERT INTO events VALUES (CAST(? AS INTEGER), ?)")?
            .execute(params![number, event_1(&document)])?;
    }
    transaction.execute(
        "INSERT INTO volumes SELECT name, 'local', '{}', '{}', anonymous, ? FROM volumes_0",
        [Timestamp::now().to_string()],
    )?;
    // The documents of execs stay as they are.
    transaction.execute_batch(
        "INSERT INTO execs SELECT id, container, document FROM execs_0;
         INSERT INTO settings SELECT name, value FROM settings_0;",
    )?;
    for table in tables {
        transaction.execute_batch(&format!("DROP TABLE {table}_0;"))?;
    }
    Ok(())
}

/// Version 2 has networks. A container has places in several, where it had one on the bridge.
fn to_2(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES_2)?;
    for (id, state) in pairs(transaction, "SELECT id, state FROM containers")? {
        transaction
            .prepare_cached("UPDATE containers SET state = ? WHERE id = ?")?
            .execute(params![state_2(&state), id])?;
    }
    Ok(())
}

/// Gives a state its list of endpoints. One that cannot be read stays as it is.
fn state_2(document: &str) -> String {
    let Ok(Value::Object(mut state)) = serde_json::from_str(document) else { return document.to_owned() };
    let endpoints = match state.remove("endpoint") {
        Some(lease @ Value::Object(_)) => json!([{
            "attachment": { "network": "default" }, "network": null, "name": "bridge", "internal": false,
            "id": null, "lease": lease,
        }]),
        _ => Value::Null,
    };
    state.insert("endpoints".to_owned(), endpoints);
    Value::Object(state).to_string()
}

/// Reads two columns of text, whatever is in them.
fn pairs(connection: &Connection, query: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(query)?;
    let pairs =
        statement.query_map([], |row| Ok((super::load::text(row, 0)?, super::load::text(row, 1)?)))?;
    pairs.collect()
}

/// Splits a document into name, settings and state. A text that is no JSON object becomes settings that cannot be read.
fn container_1(document: &str) -> [String; 3] {
    let Ok(Value::Object(mut record)) = serde_json::from_str(document) else {
        return [String::new(), document.to_owned(), String::new()];
    };
    let name = record.remove("name").and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
    record.remove("id");
    let mut settings = Map::new();
    if record.contains_key("host_config") {
        let (config, host) = (record.remove("config"), record.remove("host_config"));
        let settings = old_settings::settings(&config.unwrap_or_default(), &host.unwrap_or_default());
        record.insert("settings".to_owned(), settings);
        let mounts = old_settings::mounts(&record.remove("mounts").unwrap_or_default());
        record.insert("mounts".to_owned(), mounts);
    }
    for field in ["created", "image", "path", "arguments", "settings"] {
        settings.extend(record.remove(field).map(|value| (field.to_owned(), value)));
    }
    for field in ["frozen_for_work", "volumes_go", "damaged"] {
        record.entry(field).or_insert(json!(false));
    }
    record.entry("log_lines_dropped").or_insert(json!(0));
    if let Some(Value::Object(endpoint)) = record.get_mut("endpoint") {
        endpoint.remove("container");
        endpoint.entry("openings").or_insert(json!([]));
        endpoint.entry("interface_name").or_insert(json!("eth0"));
    }
    [name, Value::Object(settings).to_string(), Value::Object(record).to_string()]
}

/// Gives an event its new names. One that cannot be read stays as it is.
fn event_1(document: &str) -> String {
    let Ok(mut event) = serde_json::from_str::<Value>(document) else { return document.to_owned() };
    let actor = event["actor"].take();
    json!({
        "kind": event["kind"], "action": event["action"], "id": actor["ID"], "attributes": actor["Attributes"],
        "time": event["time"],
    })
    .to_string()
}
