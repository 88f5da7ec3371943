//! The time of day where the host is.

use std::mem::MaybeUninit;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// RFC 3164's form, `Nov  3 12:05:01`, in the host's time zone.
#[must_use]
pub fn stamp(unix_seconds: i64) -> String {
    let broken = broken_down(unix_seconds);
    format!(
        "{} {:>2} {:02}:{:02}:{:02}",
        month(&broken),
        broken.tm_mday,
        broken.tm_hour,
        broken.tm_min,
        broken.tm_sec
    )
}

/// When something began, as `ps -f` shows it: `12:05` on the day of `now`, `Nov03` in its year, else `2013`.
#[must_use]
pub fn beginning(unix_seconds: i64, now: i64) -> String {
    let (then, now) = (broken_down(unix_seconds), broken_down(now));
    if then.tm_year != now.tm_year {
        format!("{}", then.tm_year + 1900)
    } else if then.tm_yday != now.tm_yday {
        format!("{}{:02}", month(&then), then.tm_mday)
    } else {
        format!("{:02}:{:02}", then.tm_hour, then.tm_min)
    }
}

fn month(broken: &libc::tm) -> &'static str {
    usize::try_from(broken.tm_mon).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan")
}

fn broken_down(unix_seconds: i64) -> libc::tm {
    let mut broken = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call; a failure leaves the zeroed value.
    unsafe { libc::localtime_r(&raw const unix_seconds, broken.as_mut_ptr()) };
    // SAFETY: zeroed or filled; all its fields are plain numbers but a pointer that is not used.
    unsafe { broken.assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_told_as_far_as_they_are_away() {
        // Noon: the same day in every time zone from -12 to +11.
        let noon = 1_700_049_600;
        assert!(beginning(noon, noon).contains(':'));
        let day = 86_400;
        assert!(["Nov05", "Nov04"].contains(&beginning(noon - 10 * day, noon).as_str()));
        assert_eq!(beginning(noon - 400 * day, noon), "2022");
    }
}
