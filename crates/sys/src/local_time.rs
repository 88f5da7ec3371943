//! The time of day where the host is.

use std::mem::MaybeUninit;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// RFC 3164's form, `Nov  3 12:05:01`, in the host's time zone.
#[must_use]
pub fn stamp(unix_seconds: i64) -> String {
    let mut broken = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call; a failure leaves the zeroed value.
    unsafe { libc::localtime_r(&raw const unix_seconds, broken.as_mut_ptr()) };
    // SAFETY: zeroed or filled; all its fields are plain numbers but a pointer that is not used.
    let broken = unsafe { broken.assume_init() };
    let month = usize::try_from(broken.tm_mon).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"Jan");
    format!("{month} {:>2} {:02}:{:02}:{:02}", broken.tm_mday, broken.tm_hour, broken.tm_min, broken.tm_sec)
}
