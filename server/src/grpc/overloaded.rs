//! What calls that are shed are told, made ready when the server starts: under overload it is said more often than anything
//! else, and must cost next to nothing.

use http::{HeaderMap, Response};

use super::{language::Language, status::status};
use crate::engine::{Failure, Pushback};

/// Every answer there is to a call that is shed.
#[derive(Debug)]
pub(super) struct Overloaded(Box<[HeaderMap]>);

impl Overloaded {
    pub(super) fn new() -> Self {
        let heads = Pushback::all().flat_map(|pushback| {
            Language::ALL.map(|language| {
                let status = status(Failure::Overloaded(pushback), language);
                status.into_http::<()>().into_parts().0.headers
            })
        });
        Self(heads.collect())
    }

    /// The head that is the whole answer.
    pub(super) fn head(&self, pushback: Pushback, language: Language) -> Response<()> {
        let mut head = Response::new(());
        *head.headers_mut() = self.0[pushback.index() * Language::ALL.len() + language as usize].clone();
        head
    }
}
