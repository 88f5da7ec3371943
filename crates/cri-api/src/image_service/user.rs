//! The user that an image runs as: a number, or a name that only its files can resolve.

use crate::wire::value::Int64Value;

/// The number or the name of an image's user; the group is left out. An image that names none runs as root.
pub(super) fn of_image(user: &str) -> (Option<Int64Value>, String) {
    let user = user.split_once(':').map_or(user, |(user, _)| user);
    if user.is_empty() {
        return (Some(Int64Value { value: 0 }), String::new());
    }
    match user.parse() {
        Ok(value) => (Some(Int64Value { value }), String::new()),
        Err(_) => (None, user.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_number_or_a_name() {
        let uid = |value| Some(Int64Value { value });
        assert_eq!(of_image("1002"), (uid(1002), String::new()));
        assert_eq!(of_image("1003:users"), (uid(1003), String::new()));
        assert_eq!(of_image("www-data:100"), (None, "www-data".to_owned()));
        assert_eq!(of_image(""), (uid(0), String::new()));
    }
}
