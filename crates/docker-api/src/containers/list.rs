//! `GET /containers/json`: newest first, filtered, with the names that links give.

use std::collections::HashMap;
use std::sync::Arc;

use engine::{Phase, Record};
use http::StatusCode;
use model::{ContainerId, Timestamp};

use crate::filters::Filters;
use crate::wire::ContainerSummary;
use crate::{ApiError, Call, Handled, Reply};

const STATUSES: [&str; 6] = ["created", "restarting", "running", "paused", "exited", "dead"];

/// What a list shows.
struct Selection {
    all: bool,
    limit: usize,
    since: Option<ContainerId>,
    before: Option<ContainerId>,
    filters: Filters,
    exit_codes: Vec<i32>,
    names: Vec<regex_lite::Regex>,
}

pub(super) async fn list(call: &Call<'_>) -> Handled {
    let selection = Selection::read(call)?;
    let records: Vec<Arc<Record>> =
        call.engine.containers.all().iter().map(|container| container.record()).collect();
    let mut aliases = aliases(&records);
    let with_sizes = call.query.is_true("size");
    let now = Timestamp::now();
    let mut summaries = Vec::new();
    for record in selection.choose(&records) {
        let sizes = if with_sizes { call.engine.files.sizes(record).await? } else { Some((0, 0)) };
        // It has gone since the list was made.
        let Some(sizes) = sizes else { continue };
        let aliases = aliases.remove(&record.id).unwrap_or_default();
        summaries.push(ContainerSummary::new(record, aliases, sizes, now));
    }
    Reply::json(StatusCode::OK, &summaries)
}

/// Further names: `/parent/alias` for each container that links to one.
fn aliases(records: &[Arc<Record>]) -> HashMap<ContainerId, Vec<String>> {
    let mut aliases: HashMap<ContainerId, Vec<String>> = HashMap::new();
    for record in records {
        for (alias, target) in &record.links {
            aliases.entry(target.clone()).or_default().push(format!("/{}/{alias}", record.name));
        }
    }
    aliases
}

impl Selection {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let limit: Option<i64> = call.query.number_if_filled("limit").map_err(ApiError::bad_parameter)?;
        let filters = Filters::parse(call.query.text("filters")).map_err(ApiError::bad_parameter)?;
        for status in filters.values("status") {
            if !STATUSES.contains(&status.as_str()) {
                return Err(ApiError::bad_request("Unrecognised filter value for status"));
            }
        }
        let exit_codes = filters.values("exited").iter().map(|code| {
            code.parse()
                .map_err(|_| ApiError::bad_parameter(format!("exited must be a whole number, not {code:?}")))
        });
        let exit_codes = exit_codes.collect::<Result<_, _>>()?;
        // A pattern that is none matches nothing.
        let names =
            filters.values("name").iter().filter_map(|name| regex_lite::Regex::new(name).ok()).collect();
        let container = |name: &str| {
            let reference = call.query.filled(name);
            reference
                .map(|reference| Ok::<_, ApiError>(call.engine.containers.find(reference)?.id().clone()))
                .transpose()
        };
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let (since, before) = (container("since")?, container("before")?);
        let implied =
            limit.is_some() || since.is_some() || before.is_some() || !filters.values("status").is_empty();
        Ok(Self {
            all: call.query.is_true("all") || implied,
            limit: limit.unwrap_or(usize::MAX),
            since,
            before,
            filters,
            exit_codes,
            names,
        })
    }

    /// The records to show, of all records newest first.
    fn choose<'a>(&'a self, records: &'a [Arc<Record>]) -> impl Iterator<Item = &'a Arc<Record>> {
        let position = |id: &Option<ContainerId>| {
            id.as_ref().and_then(|id| records.iter().position(|record| record.id == *id))
        };
        let first = position(&self.before).map_or(0, |at| at + 1);
        let end = position(&self.since).unwrap_or(records.len());
        let within = records.get(first..end.max(first)).unwrap_or_default();
        within.iter().filter(|record| self.fits(record)).take(self.limit)
    }

    fn fits(&self, record: &Record) -> bool {
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            let values = self.filters.values(name);
            values.is_empty() || values.iter().any(|value| fits(value))
        };
        let is_shown = self.all || record.is_running() || record.is_restarting();
        let name = format!("/{}", record.name);
        is_shown
            && (self.exit_codes.is_empty()
                || (!record.is_running() && self.exit_codes.contains(&record.exit_code)))
            && any("status", &|status| status == status_word(record))
            && any("id", &|id| record.id.as_str().starts_with(id))
            && (self.filters.values("name").is_empty()
                || self.names.iter().any(|pattern| pattern.is_match(&name) || pattern.is_match(&record.name)))
            && self.filters.values("label").iter().all(|label| has_label(record, label))
    }
}

fn has_label(record: &Record, wanted: &str) -> bool {
    let labels = record.settings.labels.as_ref();
    match wanted.split_once('=') {
        Some((key, value)) => {
            labels.is_some_and(|labels| labels.get(key).is_some_and(|known| known == value))
        }
        None => labels.is_some_and(|labels| labels.contains_key(wanted)),
    }
}

/// The word of the `status` filter for a container.
fn status_word(record: &Record) -> &'static str {
    match record.phase {
        Phase::Created => "created",
        // Its only start failed.
        Phase::Exited if !record.has_run() => "created",
        Phase::Starting | Phase::Running(_) => "running",
        Phase::Paused(_) => "paused",
        Phase::Restarting => "restarting",
        Phase::Exited => "exited",
        Phase::Removing => "dead",
    }
}
