//! How a stream of objects is put into a body: lines of JSON, or a sequence of JSON texts (RFC 7464).

use http::HeaderValue;

use crate::version::ApiVersion;

/// The format of a stream of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The only one in versions without a choice.
    Json,
    /// One object a line.
    JsonLines,
    /// The same by its other name.
    NewlineDelimited,
    /// Each object behind a record separator.
    Sequence,
}

/// The formats that can be requested.
const CHOICES: [Format; 3] = [Format::JsonLines, Format::NewlineDelimited, Format::Sequence];

impl Format {
    /// The format of events that a client of this version accepts most; the version's own where it accepts none of
    /// them.
    pub(crate) fn of_events(version: ApiVersion, accept: &str) -> Self {
        if !version.events_have_a_choice_of_format() {
            return Self::Json;
        }
        let knows_lines = version.events_are_json_lines();
        let default = if knows_lines { Self::JsonLines } else { Self::NewlineDelimited };
        let known: &[Self] = if knows_lines { &CHOICES } else { &CHOICES[1..] };
        Self::accepted(accept, known).unwrap_or(default)
    }

    /// The format of a log whose lines are requested as objects, by `format` or by `Accept`.
    pub(crate) fn of_logs(is_asked_for: bool, accept: &str) -> Option<Self> {
        Self::accepted(accept, &CHOICES).or(is_asked_for.then_some(Self::NewlineDelimited))
    }

    /// The one of these that a client accepts most.
    fn accepted(accept: &str, known: &[Self]) -> Option<Self> {
        let mut best = (0.0, None);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts
                .filter_map(|parameter| parameter.strip_prefix("q=")?.parse::<f32>().ok())
                .next()
                .unwrap_or(1.0);
            let format = known.iter().find(|format| name.eq_ignore_ascii_case(format.name()));
            if format.is_some() && quality > best.0 {
                best = (quality, format.copied());
            }
        }
        best.1
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/jsonl",
            Self::NewlineDelimited => "application/x-ndjson",
            Self::Sequence => "application/json-seq",
        }
    }

    /// The value of `Content-Type`.
    pub(crate) const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// The bytes before each object.
    pub(crate) const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Sequence => b"\x1e",
            Self::Json | Self::JsonLines | Self::NewlineDelimited => b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_choose_since_1_52() {
        let at = |minor, accept| Format::of_events(ApiVersion::minor(minor), accept);
        assert_eq!(at(51, "application/json-seq"), Format::Json);
        assert_eq!((at(52, ""), at(53, "*/*")), (Format::NewlineDelimited, Format::JsonLines));
        assert_eq!(at(52, "application/jsonl"), Format::NewlineDelimited);
        assert_eq!(at(53, "application/jsonl"), Format::JsonLines);
        assert_eq!(at(55, "text/html, Application/JSON-seq"), Format::Sequence);
        assert_eq!(
            at(55, "application/json-seq;q=0.5, application/x-ndjson; q=0.8"),
            Format::NewlineDelimited
        );
        assert_eq!(at(55, "application/json-seq;q=0"), Format::JsonLines);
    }

    #[test]
    fn logs_are_objects_where_a_client_asks_for_them() {
        assert_eq!(Format::of_logs(false, "*/*"), None);
        assert_eq!(Format::of_logs(true, "*/*"), Some(Format::NewlineDelimited));
        assert_eq!(Format::of_logs(false, "application/jsonl"), Some(Format::JsonLines));
        assert_eq!(Format::of_logs(true, "application/json-seq"), Some(Format::Sequence));
    }
}
