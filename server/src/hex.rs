//! Bytes as hexadecimal digits, and back.

/// Two lower-case digits a byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]) {
        text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
    }
    text
}

/// Fills `bytes` in place, so that a secret is nowhere else; says whether the text was exactly their digits.
#[must_use]
pub fn decode_into(text: &str, bytes: &mut [u8]) -> bool {
    let digits = text.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.len() == 2 * bytes.len()
        && bytes.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| {
            let read = value(pair[0]).zip(value(pair[1])).map(|(high, low)| high << 4 | low);
            *byte = read.unwrap_or(0);
            read.is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_read_back_and_nothing_else_does() {
        let mut bytes = [0; 3];
        assert_eq!(encode(&[0x0A, 0xFF, 0x10]), "0aff10");
        assert!(decode_into("0aFf10", &mut bytes));
        assert_eq!(bytes, [0x0A, 0xFF, 0x10]);
        for text in ["", "0aff1", "0aff100", "0aff1g", "0aff1\u{e9}"] {
            assert!(!decode_into(text, &mut bytes), "{text}");
        }
    }
}
