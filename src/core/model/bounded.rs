//! Numbers of settings with a range.
//!
//! Owns the fault of a number out of range. INVARIANT: a number is refused and never replaced, so
//! that what a configuration says is what is done.

use serde::{Deserialize as _, Deserializer, de::Error as _};

/// Reads an integer from `LEAST` to `MOST`; for `#[serde(deserialize_with)]`.
///
/// # Errors
/// The deserializer's; a number out of range.
pub fn within<'de, const LEAST: u32, const MOST: u32, N, D>(deserializer: D) -> Result<N, D::Error>
where
    N: TryFrom<u32>,
    D: Deserializer<'de>,
{
    let number = u32::deserialize(deserializer)?;
    let in_range = (LEAST..=MOST).contains(&number).then_some(number);
    in_range
        .and_then(|number| N::try_from(number).ok())
        .ok_or_else(|| {
            D::Error::custom(format_args!(
                "`{number}` is out of range: expected {LEAST} to {MOST}"
            ))
        })
}

#[cfg(test)]
mod tests {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Settings {
        #[serde(deserialize_with = "super::within::<1, 64, _, _>")]
        connections: u16,
    }

    fn read(text: &str) -> Result<u16, String> {
        let settings: Result<Settings, _> = serde_json::from_str(text);
        settings
            .map(|settings| settings.connections)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_range() {
        assert_eq!(read(r#"{"connections": 1}"#), Ok(1));
        assert_eq!(read(r#"{"connections": 64}"#), Ok(64));
        for out in ["0", "65", "70000"] {
            let fault = read(&format!(r#"{{"connections": {out}}}"#)).unwrap_err();
            assert!(fault.contains("expected 1 to 64"), "{fault}");
        }
    }
}
