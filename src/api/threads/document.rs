//! A conversation as a page for people: it has no script, loads nothing, and prints well.
//!
//! Owns the form of the page; the template is in `thread.html`. INVARIANT: hidden characters of a
//! text are shown by their numbers, and each text is isolated, so that it changes nothing around it.

use std::borrow::Cow;

use askama::Template;

use super::{ReadThread, ThreadParams, WithheldBody, WithheldWhy};
use crate::{
    api::problem::{Problem, ProblemReason},
    flow::{ThreadContent, ThreadItem},
    model::{name::LegName, subject::Address},
    secret::SecretBuffer,
};

/// Styles are inline, and nothing else is loaded.
pub(super) const CONTENT_SECURITY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// Returns the page.
pub(super) fn rendered(page: &Transcribed<'_>) -> Result<SecretBuffer, Problem> {
    let mut html = SecretBuffer::with_capacity(64 * 1024);
    page.write_into(&mut html).map_err(|error| {
        tracing::error!(%error, "a conversation's page cannot be made");
        Problem::internal()
    })?;
    Ok(html)
}

/// A part of a conversation, for people.
#[derive(Template)]
#[template(path = "thread.html")]
pub(super) struct Transcribed<'a> {
    conversation: &'a str,
    kind: &'static str,
    account: Option<&'a str>,
    purpose: &'a str,
    grant: String,
    is_first: bool,
    parties: Vec<ShownParty<'a>>,
    items: Vec<ShownItem<'a>>,
    is_redacted: bool,
    next: Option<String>,
}

/// A participant.
struct ShownParty<'a> {
    leg: &'a str,
    address: Option<&'a str>,
    name: Option<Vec<Piece<'a>>>,
}

/// One recording.
struct ShownItem<'a> {
    id: String,
    kind: &'static str,
    at: String,
    author: &'a str,
    files: u8,
    text: Option<Vec<Piece<'a>>>,
    redacted: Vec<&'static str>,
    why: Option<&'static str>,
    reasons: Vec<ProblemReason>,
    shredded_at: Option<String>,
    receipt: Option<String>,
}

/// A piece of a text.
enum Piece<'a> {
    /// Characters that are shown as they are.
    Plain(Cow<'a, str>),
    /// A character that would not be seen, or that would move others: its number, as in `U+202E`.
    Hidden(String),
}

impl ReadThread {
    /// Returns the page for people.
    pub(super) fn shown(&self, params: &ThreadParams) -> Transcribed<'_> {
        let parties = self.page.parties.iter().flat_map(|parties| parties.iter());
        let parties = parties.map(|party| ShownParty {
            leg: party.leg.as_str(),
            address: party.address.as_ref().map(Address::expose),
            name: party.name.as_deref().map(pieces),
        });
        let items: Vec<ShownItem<'_>> = self.page.items.iter().map(ShownItem::of).collect();
        let first = self.page.items.first();
        Transcribed {
            conversation: self.session.conversation.as_str(),
            kind: self.session.conversation.kind().as_str(),
            account: first.map(|item| item.recording.account().as_str()),
            purpose: self.session.purpose().as_str(),
            grant: self.session.id().to_string(),
            is_first: params.cursor.is_none(),
            parties: parties.collect(),
            is_redacted: items.iter().any(|item| !item.redacted.is_empty()),
            items,
            next: self.next_cursor().map(|cursor| {
                let limit = params.limit.map(|limit| format!("&limit={limit}"));
                format!("?cursor={cursor}{}", limit.unwrap_or_default())
            }),
        }
    }
}

impl<'a> ShownItem<'a> {
    fn of(item: &'a ThreadItem) -> Self {
        let recording = &item.recording;
        let withheld = WithheldBody::of(&item.content);
        let why = withheld.as_ref().map(|withheld| withheld.why.sentence());
        let (reasons, shredded_at, receipt) = match withheld {
            Some(withheld) => (withheld.reasons, withheld.shredded_at, withheld.receipt_id),
            None => Default::default(),
        };
        let (text, redacted) = match &item.content {
            ThreadContent::Shown(shown) => (
                Some(pieces(shown.text.expose())),
                shown.redacted.iter().copied().collect(),
            ),
            _ => (None, Vec::new()),
        };
        Self {
            id: recording.id.to_string(),
            kind: recording.kind().as_str(),
            at: recording.collected_at.to_string(),
            author: recording
                .author
                .as_ref()
                .map_or("everybody", LegName::as_str),
            files: recording.files,
            text,
            redacted,
            why,
            reasons,
            shredded_at: shredded_at.map(|at| at.to_string()),
            receipt: receipt.map(|id| id.to_string()),
        }
    }
}

impl WithheldWhy {
    fn sentence(self) -> &'static str {
        match self {
            Self::Denied => "Not given: the privacy policy does not allow it for this purpose.",
            Self::Shredded => "Deleted: its key is destroyed.",
            Self::OtherView => "Not given: the view of this purpose has no text.",
            Self::Unreadable => "Not given: its text cannot be read at the moment.",
            Self::NotWritten => "A recording of its own, which is requested by itself.",
        }
    }
}

/// Cuts a text where a character hides: control characters, direction marks, and characters without
/// a width. Line breaks stay.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    for (at, c) in text.char_indices() {
        if !hides(c) {
            continue;
        }
        if begin < at {
            pieces.push(Piece::Plain(text[begin..at].into()));
        }
        pieces.push(Piece::Hidden(format!("U+{:04X}", u32::from(c))));
        begin = at + c.len_utf8();
    }
    if begin < text.len() {
        pieces.push(Piece::Plain(text[begin..].into()));
    }
    pieces
}

/// Returns whether a character is not seen, or changes the order of others. The joiners of emoji and
/// of scripts that need them, and variation selectors, stay.
fn hides(c: char) -> bool {
    let is_break = matches!(c, '\n' | '\t' | '\r');
    c.is_control() && !is_break
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests;
