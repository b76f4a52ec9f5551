//! The authority that demands a hold.

use std::{fmt, str::FromStr};

use super::text::TextLine;

/// The authority that demands a hold: a court with its file number, a department; 1 to 200
/// characters in one line. Never a person.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde_with::DeserializeFromStr, utoipa::ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1F\x7F-\x9F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]*$", examples("Landgericht Berlin, 12 O 345/26"))]
pub struct Authority(TextLine<1, 200>);

/// The text is not an authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an authority: use 1 to 200 characters in one line, such as `Landgericht Berlin, 12 O 345/26`"
)]
pub struct InvalidAuthority;

impl Authority {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, InvalidAuthority> {
        let line: TextLine<1, 200> = text.trim().parse().map_err(|_| InvalidAuthority)?;
        if line.as_str().contains(char::is_alphanumeric) {
            Ok(Self(line))
        } else {
            Err(InvalidAuthority)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_one_short_line() {
        let longest = "ä".repeat(200);
        for good in ["Landgericht Berlin, 12 O 345/26", " legal ", &longest] {
            assert_eq!(
                good.parse::<Authority>()
                    .map(|authority| authority.to_string()),
                Ok(good.trim().to_owned())
            );
        }
        for bad in [
            "",
            "  ",
            "--",
            "two\nlines",
            "a\0b",
            "a\u{202e}b",
            &"x".repeat(201),
        ] {
            assert_eq!(bad.parse::<Authority>(), Err(InvalidAuthority), "{bad}");
        }
    }
}
