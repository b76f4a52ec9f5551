//! Policy texts for people: durations, and the contents of a purpose.
//!
//! Owns wording that the privacy page and the command line share. Refuses to know where it is
//! shown.

use std::time::Duration;

use super::{
    document::{Pattern, PolicyDocument},
    view::View,
};
use crate::model::{media::MediaKind, name::Role, time::Timestamp};

/// Returns a duration in its largest whole unit: `90 days`, `1 hour`, `15 minutes`.
pub fn period(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let fits = units
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = fits.unwrap_or((1, "second"));
    match seconds / unit {
        1 => format!("1 {name}"),
        many => format!("{many} {name}s"),
    }
}

/// Returns what is kept of a kind of communication, to follow "we keep".
pub const fn kind(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::CallAudio => "the sound of calls and conferences",
        MediaKind::Message => {
            "messages between you and our numbers, such as SMS, MMS and WhatsApp: the text, the files, and your number or other address"
        }
        MediaKind::ChatMessage => {
            "messages in chats: the text, the files, and the name or address under which you take part"
        }
        MediaKind::VideoTrack => "picture and sound of video calls, for each participant alone",
        MediaKind::VideoComposition => {
            "video calls as a whole: picture and sound of several participants put together"
        }
    }
}

/// Returns the description of a view, to follow "they get".
pub fn view(view: View) -> String {
    match view {
        View::Audio => "the audio and the transcript".into(),
        View::Window { from_s: 0, to_s } => format!(
            "only the first {} of the audio",
            period(Duration::from_secs(to_s.into()))
        ),
        View::Window { from_s, to_s } => {
            format!("only the audio from {} to {}", moment(from_s), moment(to_s))
        }
        View::Transcript => "only the transcript".into(),
        View::RedactedTranscript => {
            "only the transcript, without the sensitive parts that automatic checks find".into()
        }
    }
}

/// `1:05`, `1:00:00`.
fn moment(second: u32) -> String {
    let hours = second / 3600;
    let minutes = second / 60 % 60;
    let seconds = second % 60;
    if hours == 0 {
        format!("{minutes}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

/// Returns a day as people write it, with the time unless it is the day's beginning (UTC).
pub fn day(at: Timestamp) -> String {
    let Ok(moment) = jiff::Timestamp::from_millisecond(at.as_millis()) else {
        return at.to_string();
    };
    let form = if at.as_millis().rem_euclid(86_400_000) == 0 {
        "%-d %B %Y"
    } else {
        "%-d %B %Y, %H:%M UTC"
    };
    moment.strftime(form).to_string()
}

/// Returns the description of an automatic check.
pub fn pattern(pattern: &Pattern) -> String {
    match pattern {
        Pattern::CardNumber => "numbers of payment cards".into(),
        Pattern::UsSocialSecurityNumber => "social security numbers of the United States".into(),
        Pattern::Iban => "international bank account numbers (IBAN)".into(),
        Pattern::Words(words) => {
            let quoted: Vec<String> = words.iter().map(|word| format!("“{word}”")).collect();
            format!("words such as {}", listed(&quoted, "or"))
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
pub fn listed<T: AsRef<str>>(items: &[T], conjunction: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} {conjunction} {}", first.join(", "), last.as_ref())
        }
    }
}

impl PolicyDocument {
    /// Returns a role's text in the file; its name if the file has none.
    pub fn role_text<'a>(&'a self, role: &'a Role) -> &'a str {
        self.roles
            .iter()
            .find(|(name, _)| name == role)
            .map_or(role.as_str(), |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_in_their_largest_whole_unit() {
        for (seconds, said) in [
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (90, "90 seconds"),
            (3600, "1 hour"),
            (5400, "90 minutes"),
            (86_400, "1 day"),
            (90_000, "25 hours"),
            (365 * 86_400, "365 days"),
        ] {
            assert_eq!(period(Duration::from_secs(seconds)), said);
        }
        assert_eq!(period(Duration::ZERO), "0 seconds");
    }

    #[test]
    fn a_view_is_said_as_what_it_gives() {
        assert_eq!(
            view(View::Window {
                from_s: 0,
                to_s: 300
            }),
            "only the first 5 minutes of the audio"
        );
        assert_eq!(
            view(View::Window {
                from_s: 65,
                to_s: 3600
            }),
            "only the audio from 1:05 to 1:00:00"
        );
        assert!(view(View::RedactedTranscript).contains("without"));
    }

    #[test]
    fn a_day_is_said_without_the_time_that_begins_it() {
        let at = |text: &str| day(Timestamp::parse_rfc3339(text).unwrap());
        assert_eq!(at("2026-01-01T00:00:00Z"), "1 January 2026");
        assert_eq!(
            at("2026-11-24T00:00:00+02:00"),
            "23 November 2026, 22:00 UTC"
        );
    }

    #[test]
    fn lists_read_as_sentences_do() {
        assert_eq!(listed::<&str>(&[], "or"), "");
        assert_eq!(listed(&["a"], "or"), "a");
        assert_eq!(listed(&["a", "b"], "or"), "a or b");
        assert_eq!(listed(&["a", "b", "c"], "and"), "a, b and c");
        assert_eq!(
            pattern(&Pattern::Words(vec!["x".into(), "y z".into()])),
            "words such as “x” or “y z”"
        );
    }
}
