//! The shapes of rows: one that changes needs another number, or an earlier release would read the row, and write it again
//! without what it does not know.

use std::collections::BTreeSet;

use model::{BlockDeviceSetting, DeviceRequest, DriverDeviceRequest, MountKind, MountRequest};
use serde_json::Value;

use super::*;

/// Settings that have what the saved ones lack.
fn whole_settings(record: &mut Record) {
    let host = &mut record.settings.host;
    host.devices = Some(vec![DeviceRequest::default()]);
    host.device_requests = Some(vec![DriverDeviceRequest::default()]);
    host.resources.block_weight_devices = Some(vec![BlockDeviceSetting::default()]);
    host.mounts.get_or_insert_default().push(MountRequest {
        target: "/image".to_owned(),
        kind: MountKind::Image { image: "busybox".to_owned(), subpath: String::new() },
        read_only: true,
        written: None,
    });
}

/// The tables and the fields of the rows of a database that has all of them.
fn shape() -> String {
    let (earlier, present) = (Directory::new(), Directory::new());
    earlier.sql(VERSION_3);
    let saved = earlier.saved();
    let mut rows: Vec<Row> = Vec::new();
    for mut record in saved.containers {
        if record.name == "web" {
            whole_settings(&mut record);
            record.pod = Some(Arc::new(PodRole::unreadable()));
        }
        rows.push(Row::Container(Arc::new(record)));
    }
    rows.extend(saved.execs.into_iter().map(Row::Exec));
    rows.extend(saved.networks.into_iter().map(Row::Network));
    rows.extend(saved.volumes.into_iter().map(Row::Volume));
    rows.extend(saved.events.into_iter().map(|(number, event)| Row::Event { number, event }));
    let (database, _) = present.open();
    database.write(rows, Durability::PowerLoss).wait_blocking().expect("written");
    drop(database);
    let mut lines = BTreeSet::new();
    let tables = "SELECT json_group_array(sql) FROM (SELECT sql FROM sqlite_master WHERE sql IS NOT NULL)";
    for table in serde_json::from_str::<Vec<String>>(&present.text(tables)).expect("texts") {
        lines.insert(table.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    for (table, column) in [
        ("containers", "settings"),
        ("containers", "state"),
        ("containers", "pod"),
        ("execs", "document"),
        ("networks", "document"),
        ("events", "document"),
    ] {
        let query =
            format!("SELECT json_group_array(json({column})) FROM {table} WHERE {column} IS NOT NULL");
        let documents: Value = serde_json::from_str(&present.text(&query)).expect("JSON");
        fields(&documents, &format!("{table}.{column}"), &mut lines);
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The names of all fields of a document, with those that they lie in.
fn fields(document: &Value, place: &str, lines: &mut BTreeSet<String>) {
    match document {
        Value::Object(document) => {
            for (name, value) in document {
                let place = format!("{place}.{name}");
                lines.insert(place.clone());
                fields(value, &place, lines);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| fields(element, place, lines)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_row_of_another_shape_is_of_another_version() {
    let path = format!("{}/src/store/shapes/version{}.txt", env!("CARGO_MANIFEST_DIR"), schema::VERSION);
    let shape = shape();
    if std::env::var("BERTH_GOLDEN").is_ok_and(|value| value == "write")
        && !std::path::Path::new(&path).exists()
    {
        std::fs::write(&path, &shape).expect("a new version's file");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (kept, shape) = (lines(&kept), lines(&shape));
    let (gone, new): (Vec<_>, Vec<_>) =
        (kept.difference(&shape).collect(), shape.difference(&kept).collect());
    assert!(
        gone.is_empty() && new.is_empty(),
        "the rows of version {} have others fields than it has in {path}: without {gone:#?}, with {new:#?}. \
         Another shape needs the next number in schema.rs, a migration in migrate.rs, and its own file here, which \
         BERTH_GOLDEN=write makes",
        schema::VERSION
    );
}

#[test]
fn rows_of_version_3_get_the_fields_that_came_later_in_it() {
    let directory = Directory::new();
    directory.sql(VERSION_3);
    directory.sql(
        "UPDATE containers SET state = json_remove(state, '$.image_mounts', '$.mounts[0].subpath',
             '$.mounts[0].owners', '$.mounts[0].submounts', '$.mounts[0].writable_submounts',
             '$.endpoints[0].lease.relays_loopback', '$.endpoints[0].lease.ipv6', '$.error_origin')
             WHERE name = 'web';
         UPDATE execs SET document = json_remove(document, '$.config.detach_keys', '$.config.console_size');
         UPDATE networks SET document = json_remove(document, '$.shared_bridge');
         INSERT INTO containers SELECT replace(id, '5', '6'), 'torn', settings, '[', NULL FROM containers
             WHERE name = 'once';",
    );
    let saved = directory.saved();
    assert_eq!(directory.text("PRAGMA user_version"), schema::VERSION.to_string());
    let by_name = |name: &str| saved.containers.iter().find(|record| record.name == name).expect(name);
    assert!(by_name("web").is_running(), "{:?}", by_name("web"));
    let volume = by_name("web").mounts[0].volume().expect("a volume");
    assert_eq!((volume.name.as_str(), volume.subpath.as_str()), ("data", ""));
    assert!(damage(by_name("torn")).starts_with("its state cannot be read: "), "{:?}", by_name("torn"));
    assert_eq!((saved.execs.len(), saved.networks.len()), (1, 4));
    for (field, expected) in [
        ("json_extract(state, '$.mounts[0].owners')", "of_host"),
        ("json_extract(state, '$.image_mounts')", "{}"),
        ("json_extract(state, '$.endpoints[0].lease.relays_loopback')", "0"),
        ("json_type(state, '$.endpoints[0].lease.ipv6')", "null"),
    ] {
        let query = format!("SELECT {field} FROM containers WHERE name = 'web'");
        assert_eq!(directory.text(&query), expected, "{field}");
    }
    assert_eq!(directory.text("SELECT json_type(document, '$.config.console_size') FROM execs"), "null");
}
