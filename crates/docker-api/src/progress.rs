//! Long work on images whose messages are the response: the form of each in the API's JSON stream, `status` and `id`
//! alone or with `progressDetail` and a drawn bar, and the cancellation of the work when the client leaves.

use std::fmt::Write;
use std::sync::Arc;

use berth_http::Exchange;
use engine::images::registry::{Cancellation, Detail, Message, Progress};
use serde::Serialize;

use crate::stream::{self, Reporter, answer_progress};
use crate::{ApiError, Handled};

/// Runs long work on a thread of its own and answers with its messages. It is cancelled when the client leaves.
pub(crate) async fn answer_with_messages(
    exchange: &mut Exchange,
    work: impl FnOnce(&dyn Progress, &Cancellation) -> Result<(), ApiError> + Send + 'static,
) -> Handled {
    let cancellation = Arc::new(Cancellation::new());
    let stop = Arc::clone(&cancellation);
    let work = stream::start(move |reporter: Reporter| {
        let report = |message: Message| {
            if !reporter.send(encode(&message)) {
                cancellation.cancel();
            }
        };
        work(&report, &cancellation)
    })?;
    answer_progress(exchange, work, move || stop.cancel()).await
}

/// A message in a stream.
#[derive(Serialize)]
struct WireMessage<'a> {
    status: &'a str,
    #[serde(rename = "progressDetail", skip_serializing_if = "Option::is_none")]
    detail: Option<Amount>,
    #[serde(rename = "progress", skip_serializing_if = "Option::is_none")]
    bar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

/// `progressDetail`, whose zeroes are left out.
#[derive(Default, Serialize)]
struct Amount {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Writes a message as it stands in a stream: JSON with `<`, `>` and `&` escaped, then `\r\n`: clients split the
/// stream at line ends.
pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let (detail, bar) = match message.detail {
        Detail::Absent => (None, None),
        Detail::Empty => (Some(Amount::default()), None),
        Detail::Amount { current, total } => {
            (Some(Amount { current, total }), Some(draw_bar(current, total)))
        }
    };
    let wire = WireMessage { status: &message.status, detail, bar, id: message.id.as_deref() };
    let mut text = String::new();
    for character in serde_json::to_string(&wire).unwrap_or_default().chars() {
        match character {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            other => text.push(other),
        }
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The columns between the brackets of a bar, without its head.
const BAR_COLUMNS: u64 = 50;

fn draw_bar(current: u64, total: u64) -> String {
    if total == 0 || current > total {
        return format!("{:>8}", human_size(current));
    }
    let percent = u128::from(current) * 100 / u128::from(total);
    let filled = usize::try_from(percent / 2).unwrap_or(0);
    let empty = usize::try_from(BAR_COLUMNS).unwrap_or(0).saturating_sub(filled);
    let mut bar = String::with_capacity(96);
    let _ = write!(
        bar,
        "[{}>{}] {:>8}/{}",
        "=".repeat(filled),
        " ".repeat(empty),
        human_size(current),
        human_size(total)
    );
    bar
}

/// Writes a size with four significant digits and a decimal unit: `32.77 kB`.
fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = match size {
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    let mut digits = format!("{size:.decimals$}");
    if digits.contains('.') {
        digits.truncate(digits.trim_end_matches('0').trim_end_matches('.').len());
    }
    format!("{digits} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (32, "32 B"),
            (406, "406 B"),
            (32_768, "32.77 kB"),
            (98_304, "98.3 kB"),
            (524_288, "524.3 kB"),
            (1_065_642, "1.066 MB"),
            (2_000_000_000, "2 GB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn bars_are_drawn_as_clients_know_them() {
        let bar = draw_bar;
        assert_eq!(bar(32, 32), "[==================================================>]     32 B/32 B");
        assert_eq!(
            bar(32_768, 1_065_642),
            "[=>                                                 ] 32.77 kB/1.066 MB"
        );
        assert_eq!(bar(5, 0), "     5 B");
    }

    #[test]
    fn encoding_is_that_of_the_stream() {
        let text = |message: Message| String::from_utf8(encode(&message)).expect("UTF-8");
        assert_eq!(
            text(Message::titled("v1", "Pulling from a")),
            "{\"status\":\"Pulling from a\",\"id\":\"v1\"}\r\n"
        );
        assert_eq!(
            text(Message::state("0123456789ab", "Pull complete")),
            "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"0123456789ab\"}\r\n"
        );
        assert_eq!(
            text(Message::amount("x", "Downloading", 110, 110)),
            "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":110,\"total\":110},\"progress\":\
             \"[==================================================\\u003e]    110 B/110 B\",\"id\":\"x\"}\r\n"
        );
        // Whatever the words hold, a stream splits into lines that are JSON each.
        let odd = ["\r\n", "a\nb\u{2028}", "{}", "\u{0}\\\""];
        let stream: String = odd.iter().map(|words| text(Message::state(*words, *words))).collect();
        let lines: Vec<&str> = stream.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), odd.len());
        for (line, words) in lines.iter().zip(odd) {
            let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!((object["status"].as_str(), object["id"].as_str()), (Some(words), Some(words)));
        }
    }
}
