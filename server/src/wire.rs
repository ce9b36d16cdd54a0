//! Protobuf messages written and read in place, field by field: what comes by the thousand needs no message in memory.
//! What is nothing is not written, as proto3 has it.

use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint};

/// Bytes of a message that say how long it is, while that is not known: enough for 16 KiB.
const HOLE: usize = 2;
/// Bytes of the longest length.
const LENGTH_BYTES_MAX: usize = 10;

/// Writes a message as a field of another.
pub(crate) fn nested(tag: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    encode_key(tag, WireType::LengthDelimited, out);
    let begin = out.len();
    out.resize(begin + HOLE, 0);
    write(out);
    let length = (out.len() - begin - HOLE) as u64;
    let (mut prefix, size) = ([0; LENGTH_BYTES_MAX], encoded_len_varint(length));
    encode_varint(length, &mut &mut prefix[..]);
    if size == HOLE {
        out[begin..begin + HOLE].copy_from_slice(&prefix[..HOLE]);
    } else {
        out.splice(begin..begin + HOLE, prefix.into_iter().take(size));
    }
}

/// Writes a text as a field.
pub(crate) fn text(tag: u32, text: &str, out: &mut Vec<u8>) {
    bytes(tag, text.as_bytes(), out);
}

/// Writes bytes as a field.
pub(crate) fn bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        encode_key(tag, WireType::LengthDelimited, out);
        encode_varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

/// Writes a number as a field.
pub(crate) fn number(tag: u32, number: impl Into<u64>, out: &mut Vec<u8>) {
    let number = number.into();
    if number != 0 {
        present(tag, number, out);
    }
}

/// Writes a number that may be absent, and is not: also when it is nothing.
pub(crate) fn present(tag: u32, number: impl Into<u64>, out: &mut Vec<u8>) {
    encode_key(tag, WireType::Varint, out);
    encode_varint(number.into(), out);
}

/// Fields of a message, by number; `None`, and then nothing more, where it is broken.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

/// What a field holds.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// A number, or a yes.
    Number(u64),
    /// Text, bytes, a message.
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let (tag, wire_type) = decode_key(&mut self.0).ok()?;
        let number = decode_varint(&mut self.0).ok()?;
        let value = match wire_type {
            WireType::Varint => Value::Number(number),
            WireType::LengthDelimited => {
                let (bytes, rest) = self.0.split_at_checked(usize::try_from(number).ok()?)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            WireType::SixtyFourBit | WireType::StartGroup | WireType::EndGroup | WireType::ThirtyTwoBit => {
                return None;
            }
        };
        Some((tag, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_a_message_says_its_length_whatever_that_is() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 3_000_000] {
            let mut out = vec![1, 2];
            nested(3, &mut out, |out| out.extend(std::iter::repeat_n(9, length)));
            let mut expected = vec![1, 2];
            prost::encoding::bytes::encode(3, &vec![9; length], &mut expected);
            assert_eq!(out, expected, "{length}");
        }
    }
}
