//! The files of a chat message.
//!
//! Owns the names of their fields, which differ in case and form between webhook, event and REST.

use serde_json::{Map, Value};

use crate::{
    model::sid::MediaSid,
    twilio::{fields::NamedFields, personal::PersonalText},
};

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMedia {
    /// Its id.
    pub sid: MediaSid,
    /// `media`, and for e-mail `body` or `history`; an open set.
    pub category: Option<String>,
    /// The name that the sender's program gave.
    pub filename: Option<PersonalText>,
    /// Its type; empty if there is none.
    pub content_type: String,
    /// Bytes.
    pub size: Option<u64>,
}

impl ChatMedia {
    /// Reads the list of files. The `bool` tells whether every file is read: otherwise the message
    /// must be fetched.
    pub(super) fn all(fields: &NamedFields<'_>) -> (Vec<Self>, bool) {
        let Some(text) = fields.readable("Media") else {
            return (Vec::new(), true);
        };
        let Ok(items) = serde_json::from_str::<Option<Vec<Value>>>(text) else {
            return (Vec::new(), false);
        };
        let items = items.unwrap_or_default();
        let objects = items.iter().filter_map(Value::as_object);
        let media: Vec<Self> = objects.filter_map(Self::read).collect();
        let is_whole = media.len() == items.len();
        (media, is_whole)
    }

    fn read(object: &Map<String, Value>) -> Option<Self> {
        let fields = NamedFields::of_json(object);
        let sid = fields.parsed("Sid").or_else(|| fields.parsed("MediaSid"))?;
        let content_type = fields.readable("ContentType").unwrap_or_default();
        Some(Self {
            sid,
            category: fields.word("Category"),
            filename: fields.personal("Filename"),
            content_type: content_type.chars().take(128).collect(),
            size: fields.parsed("Size"),
        })
    }
}
