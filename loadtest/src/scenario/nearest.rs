//! The right key for a wrong one: what somebody most likely meant.

/// A message of the TOML reader, with the nearest allowed name if one was not known.
pub(super) fn hint(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let is_unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let (Some(found), true) = (names.next(), is_unknown) else { return message.to_owned() };
    let distance = |name: &&str| strsim::damerau_levenshtein(found, name);
    match names.min_by_key(distance) {
        Some(name) => format!("`{found}` is not known; the nearest is `{name}`"),
        None => message.to_owned(),
    }
}
