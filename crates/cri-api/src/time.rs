//! Times as the interface has them: nanoseconds since 1970.

use model::Timestamp;

/// A moment in nanoseconds since 1970; 0 for one that has not come.
pub(crate) fn nanoseconds(time: Timestamp) -> i64 {
    if time.is_never() {
        return 0;
    }
    i64::try_from(time.unix_nanoseconds()).unwrap_or(i64::MAX)
}
