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
        2 => transaction.execute_batch(COLUMN_3)?,
        _ => to_4(&transaction)?,
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

/// Version 4 has the tables of version 3. Releases of that version had rows of different shapes, the later ones with more
/// fields: now all have all of them. Since then a row of another shape is of another version.
fn to_4(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (table, column, shape) in [
        ("containers", "state", state_4 as fn(&mut Map<String, Value>)),
        ("execs", "document", exec_4),
        ("networks", "document", network_4),
    ] {
        for (id, document) in pairs(transaction, &format!("SELECT id, {column} FROM {table}"))? {
            // One that cannot be read stays as it is.
            let Ok(Value::Object(mut fields)) = serde_json::from_str(&document) else { continue };
            shape(&mut fields);
            transaction
                .prepare_cached(&format!("UPDATE {table} SET {column} = ? WHERE id = ?"))?
                .execute(params![Value::Object(fields).to_string(), id])?;
        }
    }
    Ok(())
}

/// Gives fields that are missing their values.
fn fill(fields: &mut Map<String, Value>, missing: &[(&str, Value)]) {
    for (name, value) in missing {
        fields.entry(*name).or_insert_with(|| value.clone());
    }
}

fn state_4(state: &mut Map<String, Value>) {
    fill(state, &[("error_origin", Value::Null), ("image_mounts", json!({})), ("health", Value::Null)]);
    for mount in objects(state.get_mut("mounts")) {
        let missing = [
            ("writable_submounts", json!(false)),
            ("submounts", json!("included")),
            ("owners", json!("of_host")),
            ("subpath", json!("")),
        ];
        fill(mount, &missing);
    }
    for endpoint in objects(state.get_mut("endpoints")) {
        if let Some(Value::Object(lease)) = endpoint.get_mut("lease") {
            fill(lease, &[("ipv6", Value::Null), ("relays_loopback", json!(false))]);
        }
    }
}

fn exec_4(document: &mut Map<String, Value>) {
    if let Some(Value::Object(config)) = document.get_mut("config") {
        fill(config, &[("detach_keys", json!([])), ("console_size", Value::Null)]);
    }
}

fn network_4(document: &mut Map<String, Value>) {
    fill(document, &[("shared_bridge", Value::Null)]);
}

/// The objects of a list.
fn objects(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
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
