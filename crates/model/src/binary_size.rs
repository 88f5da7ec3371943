//! Sizes with a unit, in steps of 1024.

/// Splits a size in lower case into its number, as it is written, and the power of two of its unit: `b`, `k`, `m`, `g` or `t`,
/// also as in `kb` and `kib`; bytes have none. `None` for another unit.
#[must_use]
pub fn split_binary_unit(size: &str) -> Option<(&str, u32)> {
    let number = size.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let shift = match size[number.len()..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    Some((number, shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_two() {
        for (size, split) in [
            ("5", ("5", 0)),
            ("-1", ("-1", 0)),
            ("7b", ("7", 0)),
            ("64k", ("64", 10)),
            ("1gib", ("1", 30)),
            ("2tb", ("2", 40)),
            ("", ("", 0)),
        ] {
            assert_eq!(split_binary_unit(size), Some(split), "{size}");
        }
        assert_eq!(split_binary_unit("1x"), None);
        assert_eq!(split_binary_unit("1K"), None, "not in lower case");
    }
}
