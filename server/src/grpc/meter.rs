//! Counts calls of the API and health checks by method and status code, whoever answers them. Methods it does not know
//! are not counted: their names come from outside.

use std::{sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName};

use crate::telemetry::{CallKind, CallSheet, Method};

/// Where an answer says how it ended.
pub(super) static STATUS: HeaderName = HeaderName::from_static("grpc-status");

pub(super) const OK: usize = 0;
const CANCELLED: usize = 1;
pub(super) const UNKNOWN: usize = 2;
pub(super) const UNAVAILABLE: usize = 14;

/// The status, where a head or trailers tell it.
pub(super) fn code(headers: &HeaderMap) -> Option<usize> {
    let status = headers.get(&STATUS)?;
    Some(status.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN))
}

/// One call under way. Dropped before its end, it was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    sheet: Arc<CallSheet>,
    method: Method,
    began: Instant,
    code: usize,
}

impl Call {
    /// A call came in.
    pub(super) fn begin(sheet: &Arc<CallSheet>, method: Method, began: Instant) -> Self {
        sheet.started(method);
        Self { sheet: sheet.clone(), method, began, code: CANCELLED }
    }

    /// The head of its answer is there. An error stands in it; a stream that has begun well may still end badly, and
    /// is given back.
    pub(super) fn head(self, headers: &HeaderMap) -> Option<Self> {
        match (self.method.kind(), code(headers)) {
            (CallKind::ServerStream, None) => Some(self),
            (CallKind::Unary | CallKind::ServerStream, said) => {
                self.end(said.unwrap_or(OK));
                None
            }
        }
    }

    /// It is answered, with that status.
    pub(super) fn end(mut self, code: usize) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.sheet.handled(self.method, self.code, self.began.elapsed());
    }
}
