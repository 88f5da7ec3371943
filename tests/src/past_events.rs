//! What has happened so far.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::{Answer, Client, query};

impl Client {
    /// Past events that the filters choose, up to the end of the present second, as they come.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn past_events_with(&self, filters: &Value, headers: &[(&str, &str)]) -> Answer {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
        let pairs = [("since", "1"), ("until", &now.to_string()), ("filters", &filters.to_string())];
        self.call("GET", &format!("/events{}", query(&pairs)), headers, b"").expect(200)
    }

    /// The same, one by one.
    ///
    /// # Panics
    /// When the engine refuses.
    #[must_use]
    pub fn past_events(&self, filters: &Value) -> Vec<Value> {
        let text = self.past_events_with(filters, &[]).text();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}
