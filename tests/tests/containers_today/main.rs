//! Containers as the versions after 1.20 make, list and inspect them.

mod creating;
mod joining;
mod listing;
mod parameters;
mod showing;

use berth_tests::today::Today;
use berth_tests::{Client, merged, query, sh};
use serde_json::{Value, json};

/// A body with settings of the host.
fn with(script: &str, host: Value) -> Value {
    merged(sh(script), json!({ "HostConfig": host }))
}

/// `HostConfig` of inspect.
fn host(client: &Client, id: &str) -> Value {
    client.inspect(id)["HostConfig"].clone()
}

/// The entry of a container in the list of all.
fn listed(client: &Client, id: &str, more: &str) -> Value {
    let list = client.get(&format!("/containers/json?all=1{more}")).expect(200).json();
    let mut entries = list.as_array().expect("a list").iter();
    entries.find(|entry| entry["Id"] == json!(id)).expect("its entry").clone()
}

/// Whether an object has a field.
fn has(object: &Value, field: &str) -> bool {
    object.as_object().expect("an object").contains_key(field)
}
