//! Who demands that a recording is kept.

use std::{fmt, str::FromStr};

/// Who demands a hold: a court and its file number, a department; 1 to 200 characters in one line. Never a person.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Authority(String);

/// The text names no authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an authority: use 1 to 200 characters in one line, such as `Landgericht Berlin, 12 O 345/26`")]
pub struct InvalidAuthority;

impl Authority {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Authority {
    type Err = InvalidAuthority;

    fn from_str(text: &str) -> Result<Self, InvalidAuthority> {
        let text = text.trim();
        // `nth` and not `count`: what is far too long is not read to its end.
        let fits = text.chars().any(char::is_alphanumeric) && text.chars().nth(200).is_none() && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidAuthority) }
    }
}

impl<'de> serde::Deserialize<'de> for Authority {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_one_short_line() {
        let longest = "ä".repeat(200);
        for good in ["Landgericht Berlin, 12 O 345/26", " legal ", &longest] {
            assert_eq!(good.parse::<Authority>().map(|authority| authority.to_string()), Ok(good.trim().to_owned()));
        }
        for bad in ["", "  ", "--", "two\nlines", &"x".repeat(201)] {
            assert_eq!(bad.parse::<Authority>(), Err(InvalidAuthority), "{bad}");
        }
    }
}
