//! Pages: how many, and from where. A token holds where a page ended and which query it belongs to.

use sha2::{Digest, Sha256};

use super::convert::Violations;
use crate::hex;

const TOKEN_BYTES: usize = 24;

/// One page of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Most items.
    pub(super) size: usize,
    /// Position the page before ended at.
    pub(super) after: Option<[u8; 16]>,
}

/// Tells one query from another.
pub(super) fn fingerprint(query: &str) -> [u8; 8] {
    let mut print = [0; 8];
    print.copy_from_slice(&Sha256::digest(query)[..8]);
    print
}

/// Reads size and token; what is wrong is noted.
pub(super) fn page(
    (size, token): (i32, &str),
    (default, most): (usize, usize),
    query: [u8; 8],
    violations: &mut Violations,
) -> Page {
    let size = match usize::try_from(size) {
        Ok(0) => default,
        Ok(size) if size <= most => size,
        Ok(_) | Err(_) => {
            violations.add("page_size", format!("0 to {most} is allowed"));
            default
        }
    };
    let after = if token.is_empty() { None } else { read(token, query) };
    if after.is_none() && !token.is_empty() {
        violations.add("page_token", "next_page_token of the page before, for the same query, is allowed");
    }
    Page { size, after }
}

/// The token of the page that follows a position.
pub(super) fn token(query: [u8; 8], after: [u8; 16]) -> String {
    hex::encode(&[&query[..], &after].concat())
}

fn read(token: &str, query: [u8; 8]) -> Option<[u8; 16]> {
    let mut bytes = [0; TOKEN_BYTES];
    if !hex::decode_into(token, &mut bytes) {
        return None;
    }
    let (print, after) = bytes.split_at(query.len());
    if print == query { after.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_page(size: i32, token: &str, query: &str) -> Option<Page> {
        let mut violations = Violations::default();
        let page = page((size, token), (10, 100), fingerprint(query), &mut violations);
        violations.check().is_ok().then_some(page)
    }

    #[test]
    fn a_token_continues_its_own_query_and_no_other() {
        let token = token(fingerprint("a"), [7; 16]);
        assert_eq!(read_page(0, "", "a"), Some(Page { size: 10, after: None }));
        assert_eq!(read_page(100, &token, "a"), Some(Page { size: 100, after: Some([7; 16]) }));
        for (size, token, query) in
            [(101, "", "a"), (-1, "", "a"), (0, token.as_str(), "b"), (0, "zz", "a"), (0, &token[1..], "a")]
        {
            assert_eq!(read_page(size, token, query), None, "{size} {token} {query}");
        }
    }
}
