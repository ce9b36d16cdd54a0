//! In which language people are spoken to. Reasons, metadata and error messages for developers never change with it.

use http::{HeaderMap, header::ACCEPT_LANGUAGE};
use tonic::metadata::MetadataMap;

/// A language there are words in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Language {
    /// Unless something else is asked for.
    #[default]
    English,
    Indonesian,
}

impl Language {
    /// Every one.
    pub(super) const ALL: [Self; 2] = [Self::English, Self::Indonesian];

    /// The best of those a call names in `accept-language` (RFC 9110, section 12.5.4).
    pub(super) fn of(metadata: &MetadataMap) -> Self {
        Self::of_headers(metadata.as_ref())
    }

    /// The same, where the headers are still bare.
    pub(super) fn of_headers(headers: &HeaderMap) -> Self {
        let named = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        named.map_or_else(Self::default, Self::best_of)
    }

    /// The tag it is known by.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Indonesian => "id",
        }
    }

    fn best_of(named: &str) -> Self {
        let mut best = (Self::default(), 0.0);
        for range in named.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
            let language = match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
                // The old tag of Indonesian is still sent by some.
                "id" | "in" => Self::Indonesian,
                "en" => Self::English,
                _ => continue,
            };
            if let Ok(weight) = weight
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_the_languages_named_is_spoken() {
        for (named, language) in [
            ("id", Language::Indonesian),
            ("id-ID,id;q=0.9,en;q=0.8", Language::Indonesian),
            ("en-US,en;q=0.9,id;q=0.8", Language::English),
            ("en;q=0.2, IN;q=0.7", Language::Indonesian),
            ("fr, id;q=0.1", Language::Indonesian),
            ("id;q=0", Language::English),
            ("id;q=much", Language::English),
            ("", Language::English),
            ("*", Language::English),
        ] {
            assert_eq!(Language::best_of(named), language, "{named}");
        }
    }
}
