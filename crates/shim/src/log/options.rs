//! Values of log options.

/// Bytes, as `max-size` is written: a number with `b`, `k`, `m` or `g` behind it, and `b` or `ib` behind that.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let whole: u64 = number.parse().ok()?;
    whole.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, wanted) in [
            ("10k", Some(10_240)),
            ("1M", Some(1 << 20)),
            ("5", Some(5)),
            ("2gb", Some(2 << 30)),
            ("1kib", Some(1024)),
        ] {
            assert_eq!(bytes(text), wanted, "{text}");
        }
        for bad in ["", "k", "-1", "0", "10x"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
