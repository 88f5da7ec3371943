//! Which records of the cache a client means: conditions between commas, all of which hold.

use std::time::{Duration, SystemTime};

use engine::builder::{CacheKind, CacheRecord};
use engine::pattern;
use model::Timestamp;
use regex_lite::Regex;

/// Conditions of one filter, in all of its alternatives.
const CONDITION_LIMIT: usize = 64;

/// A filter: one of its alternatives holds, and the record was not used since a moment.
#[derive(Debug, Clone)]
pub(crate) struct CacheFilter {
    /// Empty where every record is meant.
    alternatives: Vec<Vec<Condition>>,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Condition {
    field: Field,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Equal(String),
    Unequal(String),
    Matches(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Parent,
    Kind,
    Description,
    InUse,
    Shared,
    Private,
    Mutable,
    Immutable,
}

impl CacheFilter {
    /// Parses the alternatives of a filter; records must be unused for so long too.
    ///
    /// # Errors
    /// The text for the client.
    pub(crate) fn parse(texts: &[String], unused_for: Duration) -> Result<Self, String> {
        let parts = |text: &String| text.split(',').filter(|part| !part.is_empty()).count();
        if texts.iter().map(parts).sum::<usize>() > CONDITION_LIMIT {
            return Err(format!("a filter of the build cache has at most {CONDITION_LIMIT} conditions"));
        }
        let alternatives = texts.iter().filter(|text| !text.is_empty()).map(|text| conditions(text));
        let until = SystemTime::now().checked_sub(unused_for).filter(|_| !unused_for.is_zero());
        Ok(Self { alternatives: alternatives.collect::<Result<_, _>>()?, until: until.map(Timestamp::from) })
    }

    /// Whether a record is meant.
    pub(crate) fn matches(&self, record: &CacheRecord) -> bool {
        let holds = |conditions: &Vec<Condition>| conditions.iter().all(|condition| condition.holds(record));
        let is_old = |until| record.used.is_none_or(|used| used < until);
        (self.alternatives.is_empty() || self.alternatives.iter().any(holds)) && self.until.is_none_or(is_old)
    }
}

fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    text.split(',').filter(|part| !part.is_empty()).map(condition).collect()
}

/// `field==value`, `field!=value`, `field~=value`, or the name of a truth.
fn condition(text: &str) -> Result<Condition, String> {
    let split = |sign| text.split_once(sign).map(|(field, value)| (field, sign, value));
    let (field, sign, value) = ["==", "!=", "~="].into_iter().find_map(split).unwrap_or((text, "==", "true"));
    let field = match field.trim() {
        "id" => Field::Id,
        "parent" | "parents" => Field::Parent,
        "type" => Field::Kind,
        "description" => Field::Description,
        "inuse" => Field::InUse,
        "shared" => Field::Shared,
        "private" => Field::Private,
        "mutable" => Field::Mutable,
        "immutable" => Field::Immutable,
        other => return Err(format!("the build cache cannot be filtered by {other:?}")),
    };
    let value = value.trim().trim_matches('"').to_owned();
    let test = match sign {
        "!=" => Test::Unequal(value),
        "~=" => Test::Matches(
            pattern::compile(&value)
                .map_err(|error| format!("{value:?} is no regular expression: {error}"))?,
        ),
        _ => Test::Equal(value),
    };
    Ok(Condition { field, test })
}

impl Condition {
    fn holds(&self, record: &CacheRecord) -> bool {
        let truth = |value: bool| if value { "true" } else { "false" };
        let is_mutable = record.kind != CacheKind::Step;
        match self.field {
            Field::Id => self.fits(&record.id),
            Field::Parent if record.parents.is_empty() => matches!(self.test, Test::Unequal(_)),
            Field::Parent => record.parents.iter().any(|parent| self.fits(parent)),
            Field::Kind => self.fits(record.kind.name()),
            Field::Description => self.fits(&record.description),
            Field::InUse => self.fits(truth(record.in_use)),
            Field::Shared => self.fits(truth(record.shared)),
            Field::Private => self.fits(truth(!record.shared)),
            Field::Mutable => self.fits(truth(is_mutable)),
            Field::Immutable => self.fits(truth(!is_mutable)),
        }
    }

    fn fits(&self, text: &str) -> bool {
        match &self.test {
            Test::Equal(value) => text == value,
            Test::Unequal(value) => text != value,
            Test::Matches(pattern) => pattern.is_match(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> CacheRecord {
        CacheRecord {
            id: "abc".to_owned(),
            kind: CacheKind::Step,
            parents: vec!["def".to_owned()],
            description: "RUN make".to_owned(),
            size: 1,
            created: None,
            used: Some(Timestamp::from(SystemTime::now() - Duration::from_secs(60))),
            uses: 1,
            in_use: false,
            shared: true,
        }
    }

    #[test]
    fn a_record_fits_one_of_the_alternatives() {
        for (texts, want) in [
            (&[""][..], true),
            (&["id==abc"], true),
            (&["id~=b,type==regular"], true),
            (&["id==b", "parents==def"], true),
            (&["type!=regular"], false),
            (&["inuse"], false),
            (&["inuse==false,shared"], true),
            (&["private"], false),
            (&["immutable,description~=make"], true),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let filter = CacheFilter::parse(&texts, Duration::ZERO).expect("a filter");
            assert_eq!(filter.matches(&record()), want, "{texts:?}");
        }
        let many = vec!["id~=a".to_owned(); CONDITION_LIMIT + 1];
        for wrong in [&["nosuch==1".to_owned()][..], &["id~=a{99999}".to_owned()], &many] {
            assert!(CacheFilter::parse(wrong, Duration::ZERO).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_was_used_since_is_not_meant() {
        let unused = |seconds| CacheFilter::parse(&[], Duration::from_secs(seconds)).expect("a filter");
        assert!(unused(30).matches(&record()) && !unused(90).matches(&record()));
    }
}
