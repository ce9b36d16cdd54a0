//! The server's rule for identity numbers, so that a file is corrected before any of it is sent.

/// Digits of an identity number.
pub(super) const DIGITS: usize = 16;
/// Women's day of birth is written with this added.
const WOMAN_DAY_OFFSET: i8 = 40;

/// What is allowed where a text is no identity number. Never says which digits it had.
pub(super) fn fault(text: &str) -> Option<String> {
    let digits = text.as_bytes();
    if digits.len() != DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return Some(format!("{DIGITS} digits; there are {} characters", text.chars().count()));
    }
    let pair = |at: usize| ((digits[at] - b'0') * 10 + (digits[at + 1] - b'0')).cast_signed();
    if pair(0) < 11 || pair(2) == 0 || pair(4) == 0 {
        return Some("digits 1 to 6 name an area: province 11 to 99, regency and district 01 to 99".into());
    }
    let day = if pair(6) > WOMAN_DAY_OFFSET { pair(6) - WOMAN_DAY_OFFSET } else { pair(6) };
    // A leap year: the two digits of the year do not tell whether there was a 29 February.
    if jiff::civil::Date::new(2000, pair(8), day).is_err() {
        return Some("digits 7 to 12 are a birth date DDMMYY, with 40 added to the day for women".into());
    }
    (&digits[12..] == b"0000").then(|| "digits 13 to 16 count from 0001".into())
}

#[cfg(test)]
mod tests {
    use kuota_domain::nik::Nik;

    use super::*;

    #[test]
    fn the_rule_is_the_servers() {
        let rows = [
            ("6171012309870001", None),
            ("6171016309870042", None),
            ("6171012902010001", None),
            ("6171017112990001", None),
            ("617101230987000", Some("16 digits; there are 15 characters")),
            ("617101230987000x", Some("16 digits; there are 16 characters")),
            ("0971012309870001", Some("digits 1 to 6")),
            ("6100012309870001", Some("digits 1 to 6")),
            ("6171002309870001", Some("digits 1 to 6")),
            ("6171013209870001", Some("digits 7 to 12")),
            ("6171014009870001", Some("digits 7 to 12")),
            ("6171013002870001", Some("digits 7 to 12")),
            ("6171012313870001", Some("digits 7 to 12")),
            ("6171012309870000", Some("digits 13 to 16")),
        ];
        for (text, expected) in rows {
            let found = fault(text);
            assert_eq!(found.is_none(), Nik::parse(text).is_ok(), "{text}");
            assert!(
                found.as_deref().unwrap_or_default().starts_with(expected.unwrap_or_default()),
                "{found:?}"
            );
        }
    }
}
