//! An error with the place it stands at: file, line and key.

use std::{fmt, ops::Range};

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {key}: {message}")]
pub struct Located {
    file: String,
    line: usize,
    key: String,
    message: String,
}

impl Located {
    /// In a line.
    #[must_use]
    pub fn new(file: impl fmt::Display, line: usize, key: &str, message: impl fmt::Display) -> Self {
        Self { file: file.to_string(), line, key: key.into(), message: message.to_string() }
    }

    /// Where a TOML error stands.
    #[must_use]
    pub fn of(file: impl fmt::Display, text: &str, error: &toml::de::Error) -> Self {
        Self::at(file, text, &error.span().unwrap_or(0..0), error.message())
    }

    /// At a span of the text.
    #[must_use]
    pub fn at(file: impl fmt::Display, text: &str, span: &Range<usize>, message: impl fmt::Display) -> Self {
        let start = span.start.min(text.len());
        let line = text[..start].bytes().filter(|byte| *byte == b'\n').count();
        let key = text.lines().nth(line).map_or("", |line| line.split('=').next().unwrap_or("").trim());
        Self::new(file, line + 1, key, message)
    }

    /// At the first line that sets a top-level key.
    #[must_use]
    pub fn at_key(file: impl fmt::Display, text: &str, key: &str, message: impl fmt::Display) -> Self {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if line.split('=').next().is_some_and(|name| name.trim() == key) {
                break;
            }
            start += line.len();
        }
        Self::at(file, text, &(start..start), message)
    }
}
