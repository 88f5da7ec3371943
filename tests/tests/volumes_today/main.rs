//! Volumes that clients make by themselves, since 1.21: the resource, what containers do with it, and what stays
//! when the daemon dies.

mod lasting;
mod mounted;
mod pruning;
mod requests;

use std::path::PathBuf;

use berth_tests::today::Today;
use berth_tests::{Client, merged, sh};
use serde_json::{Value, json};

/// Makes a volume; gives what create answers.
fn volume(client: &Client, body: Value) -> Value {
    client.post_json("/volumes/create", &body).expect(201).json()
}

/// What a volume's inspect shows.
fn shown(client: &Client, name: &str) -> Value {
    client.get(&format!("/volumes/{name}")).expect(200).json()
}

/// Where a volume's content is on the host.
fn content(client: &Client, name: &str) -> PathBuf {
    PathBuf::from(shown(client, name)["Mountpoint"].as_str().expect("a path"))
}

/// A container with a volume at `/v`.
fn on(name: &str, script: &str) -> Value {
    merged(sh(script), json!({ "HostConfig": { "Binds": [format!("{name}:/v")] } }))
}

/// The names that a list with these filters has.
fn listed(client: &Client, filters: Value) -> Vec<String> {
    let query = berth_tests::query(&[("filters", &filters.to_string())]);
    let list = client.get(&format!("/volumes{query}")).expect(200).json();
    assert_eq!(list["Warnings"], Value::Null);
    let volumes = list["Volumes"].as_array().expect("a list").iter();
    volumes.map(|volume| volume["Name"].as_str().expect("a name").to_owned()).collect()
}

/// Removes volumes that no container uses; gives their names and the bytes that they held.
fn prune(client: &Client, filters: Value) -> (Vec<String>, u64) {
    let query = berth_tests::query(&[("filters", &filters.to_string())]);
    let answer = client.post(&format!("/volumes/prune{query}")).expect(200).json();
    let mut deleted: Vec<String> =
        serde_json::from_value(answer["VolumesDeleted"].clone()).expect("a list of names");
    deleted.sort();
    (deleted, answer["SpaceReclaimed"].as_u64().expect("bytes"))
}

/// The events of volumes so far, in the form of a version.
fn past(client: &Client) -> Vec<Value> {
    client.past_events(&json!({ "type": ["volume"] }))
}
