//! Which records of builds a client means: conditions between commas, as `docker buildx history ls --filter` writes them.

use std::time::SystemTime;

use model::parse_duration;

use buildkit_messages::google::Timestamp;
use buildkit_messages::history::BuildHistoryRecord;

/// Conditions of one filter.
const CONDITION_LIMIT: usize = 64;
/// The nanoseconds of a second.
const NANOSECONDS: i128 = 1_000_000_000;
/// The code of a build that was cancelled.
const CANCELLED: i32 = 1;

/// A filter: all conditions of one of its alternatives hold.
#[derive(Debug, Default)]
pub(super) struct HistoryFilter {
    /// Empty where every record is meant.
    alternatives: Vec<Vec<Condition>>,
}

#[derive(Debug)]
enum Condition {
    Text { field: TextField, test: TextTest, value: String },
    Time { field: TimeField, test: TimeTest, nanoseconds: i128 },
}

#[derive(Debug, Clone, Copy)]
enum TextField {
    Reference,
    Repository,
    Status,
}

#[derive(Debug, Clone, Copy)]
enum TextTest {
    Equal,
    Unequal,
    Contains,
}

#[derive(Debug, Clone, Copy)]
enum TimeField {
    Started,
    Completed,
    Duration,
}

#[derive(Debug, Clone, Copy)]
enum TimeTest {
    AtMost,
    Below,
    AtLeast,
    Above,
}

impl HistoryFilter {
    /// Parses the alternatives of a filter.
    ///
    /// # Errors
    /// The text for the client.
    pub(super) fn parse(texts: &[String]) -> Result<Self, String> {
        let alternatives = texts.iter().filter(|text| !text.is_empty()).map(|text| conditions(text));
        Ok(Self { alternatives: alternatives.collect::<Result<_, _>>()? })
    }

    /// Whether a record is meant.
    pub(super) fn matches(&self, record: &BuildHistoryRecord) -> bool {
        let holds = |conditions: &Vec<Condition>| conditions.iter().all(|condition| condition.holds(record));
        self.alternatives.is_empty() || self.alternatives.iter().any(holds)
    }
}

fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let fields = fields(text);
    if fields.len() > CONDITION_LIMIT {
        return Err(format!("a filter of builds has at most {CONDITION_LIMIT} conditions"));
    }
    fields.iter().map(|field| condition(field)).collect()
}

/// The fields between commas: RFC 4180, of one line.
fn fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(field) = fields.last_mut() else { break };
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if is_quoted || field.is_empty() => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields.retain(|field| !field.is_empty());
    fields
}

fn condition(text: &str) -> Result<Condition, String> {
    let invalid = || format!("{text:?} is no condition for builds");
    let end = text.find(['=', '!', '~', '<', '>']).ok_or_else(invalid)?;
    let (name, rest) = text.split_at(end);
    let field = match name.trim() {
        "ref" => Ok(TextField::Reference),
        "repository" => Ok(TextField::Repository),
        "status" => Ok(TextField::Status),
        "startedAt" => Err(TimeField::Started),
        "completedAt" => Err(TimeField::Completed),
        "duration" => Err(TimeField::Duration),
        other => return Err(format!("builds cannot be filtered by {other:?}")),
    };
    match field {
        Ok(field) => {
            let signs = [("==", TextTest::Equal), ("!=", TextTest::Unequal), ("~=", TextTest::Contains)];
            let (test, value) = split_sign(rest, signs).ok_or_else(invalid)?;
            Ok(Condition::Text { field, test, value: value.to_owned() })
        }
        Err(field) => {
            let signs = [
                ("<=", TimeTest::AtMost),
                (">=", TimeTest::AtLeast),
                ("<", TimeTest::Below),
                (">", TimeTest::Above),
            ];
            let (test, value) = split_sign(rest, signs).ok_or_else(invalid)?;
            let nanoseconds = field.parse(value).ok_or_else(invalid)?;
            Ok(Condition::Time { field, test, nanoseconds })
        }
    }
}

fn split_sign<'a, T, const N: usize>(text: &'a str, signs: [(&str, T); N]) -> Option<(T, &'a str)> {
    signs.into_iter().find_map(|(sign, test)| Some((test, text.strip_prefix(sign)?.trim())))
}

impl TimeField {
    /// Nanoseconds since 1970, of a moment or of a duration back from now; those of a duration itself.
    fn parse(self, text: &str) -> Option<i128> {
        match self {
            Self::Duration => parse_duration(text),
            Self::Started | Self::Completed => {
                let moment = || model::Timestamp::parse(text).ok().map(model::Timestamp::unix_nanoseconds);
                let now = model::Timestamp::from(SystemTime::now()).unix_nanoseconds();
                parse_duration(text).map(|back| now - back).or_else(moment)
            }
        }
    }

    fn of(self, record: &BuildHistoryRecord) -> i128 {
        let moment = |time: &Option<Timestamp>| {
            time.map(|time| i128::from(time.seconds) * NANOSECONDS + i128::from(time.nanoseconds))
        };
        let (created, completed) = (moment(&record.created), moment(&record.completed));
        match self {
            Self::Started => created.unwrap_or_default(),
            Self::Completed => completed.unwrap_or_default(),
            // A build that runs has none yet.
            Self::Duration => completed.zip(created).map_or(0, |(completed, created)| completed - created),
        }
    }
}

impl Condition {
    fn holds(&self, record: &BuildHistoryRecord) -> bool {
        match self {
            Self::Text { field, test, value } => {
                let found = field.of(record);
                match test {
                    TextTest::Equal => found == value,
                    TextTest::Unequal => found != value,
                    TextTest::Contains => found.contains(value.as_str()),
                }
            }
            Self::Time { field, test, nanoseconds } => {
                let found = field.of(record);
                match test {
                    TimeTest::AtMost => found <= *nanoseconds,
                    TimeTest::Below => found < *nanoseconds,
                    TimeTest::AtLeast => found >= *nanoseconds,
                    TimeTest::Above => found > *nanoseconds,
                }
            }
        }
    }
}

impl TextField {
    fn of(self, record: &BuildHistoryRecord) -> &str {
        let attribute = |name: &str| record.frontend_attributes.get(name).map(String::as_str);
        match self {
            Self::Reference => &record.reference,
            // The address of a context holds that of its repository.
            Self::Repository => attribute("vcs:source").or_else(|| attribute("context")).unwrap_or_default(),
            Self::Status => match (&record.error, &record.completed) {
                (_, None) => "running",
                (None, Some(_)) => "completed",
                (Some(error), Some(_)) if error.code == CANCELLED => "canceled",
                (Some(_), Some(_)) => "error",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use buildkit_messages::google::Status;

    use super::*;

    fn record() -> BuildHistoryRecord {
        let source = ("vcs:source".to_owned(), "https://host/repo.git".to_owned());
        let moment = |seconds| Some(Timestamp { seconds, nanoseconds: 0 });
        BuildHistoryRecord {
            reference: "abc".to_owned(),
            frontend_attributes: [source].into(),
            created: moment(1_000),
            completed: moment(1_090),
            ..BuildHistoryRecord::default()
        }
    }

    fn matches(texts: &[&str], record: &BuildHistoryRecord) -> bool {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        HistoryFilter::parse(&texts).expect("a filter").matches(record)
    }

    #[test]
    fn a_record_fits_one_of_the_alternatives() {
        for (texts, want) in [
            (&[""][..], true),
            (&["ref~=b"], true),
            (&["ref!=abc"], false),
            (&["status==completed,ref==abc"], true),
            (&["status==completed,ref==other"], false),
            (&["ref==other", "repository~=host/repo"], true),
            (&["\"repository~=a,b\""], false),
            (&["duration>1m"], true),
            (&["duration>=1.5m,duration<=90s"], true),
            (&["duration<90s"], false),
            (&["startedAt<1h"], true),
            (&["completedAt>1970-01-01T00:18:09Z"], true),
            (&["startedAt>=1970-01-01T00:16:41Z"], false),
        ] {
            assert_eq!(matches(texts, &record()), want, "{texts:?}");
        }
    }

    #[test]
    fn each_end_of_a_build_has_its_status() {
        let failed =
            |code| BuildHistoryRecord { error: Some(Status { code, ..Status::default() }), ..record() };
        assert!(matches(&["status==error"], &failed(2)));
        assert!(matches(&["status==canceled"], &failed(1)));
        let running = BuildHistoryRecord { completed: None, ..record() };
        assert!(matches(&["status==running"], &running) && !matches(&["duration>0s"], &running));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["ref", "nosuch==1", "duration=5", "duration>x", "startedAt~=1h", "status<=1"] {
            assert!(HistoryFilter::parse(&[text.to_owned()]).is_err(), "{text}");
        }
    }
}
