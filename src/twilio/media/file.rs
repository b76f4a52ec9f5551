//! Files of any type: pictures, sounds and documents of messages, and tracks of Video.
//!
//! Owns the recognition of an error document in the place of a file. Refuses to judge the content
//! of a message's file: it may hold anything.

use futures_util::StreamExt as _;
use reqwest::{
    Response, StatusCode, Version,
    header::{CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING},
};

use super::file_body::FileBody;
use crate::twilio::{
    container::FileContainer,
    encryption::{EncryptionKeys, EnvelopeKeyError, FileEnvelope},
    fetch_error::{FetchError, FetchRefusal, TransientFailure, transient_failure},
    rest::status_error,
};

/// The types of documents that servers send in place of a file.
const ERROR_TYPES: [&str; 4] = [
    "application/json",
    "application/xml",
    "text/xml",
    "text/html",
];

/// A file, as a stream.
#[derive(Debug)]
pub struct MediaFile {
    /// The type that the server states, in lower case and without parameters; empty if it states
    /// none. Storage often states `application/octet-stream` for anything.
    pub content_type: String,
    /// The length that the server states; of the ciphertext, if it is encrypted.
    pub content_length: Option<u64>,
    /// Its encryption with the customer's key. Such a file must be opened before it is read.
    pub envelope: Option<FileEnvelope>,
    /// The bytes as they arrive.
    pub body: FileBody,
}

impl MediaFile {
    /// Decrypts the file if it is encrypted, and returns it without its envelope. May block as long
    /// as a token needs.
    ///
    /// # Errors
    /// [`FetchRefusal::NoEnvelopeKey`], or [`TransientFailure::EnvelopeKey`] if a token cannot be
    /// used now.
    pub fn opened(self, keys: &EncryptionKeys) -> Result<Self, FetchError> {
        let Some(envelope) = &self.envelope else {
            return Ok(self);
        };
        match envelope.decryptor(keys) {
            Ok(decryptor) => Ok(Self {
                content_length: Some(envelope.plain_len()),
                envelope: None,
                body: self.body.decrypted(decryptor),
                content_type: self.content_type,
            }),
            Err(EnvelopeKeyError::NoKey) => Err(FetchRefusal::NoEnvelopeKey.into()),
            Err(EnvelopeKeyError::Place(why)) => Err(TransientFailure::EnvelopeKey { why }.into()),
        }
    }
}

/// Checks an answer by its headers. `announced` is the file's type as Twilio states it elsewhere: a
/// document of a type of errors is refused if it is another.
pub(super) fn file(
    response: Response,
    announced: &str,
    container: FileContainer,
) -> Result<MediaFile, FetchError> {
    let status = response.status();
    if let Some(failure) = status_error(status, response.headers()) {
        return Err(failure.into());
    }
    if status != StatusCode::OK {
        return Err(FetchRefusal::Status(status.as_u16()).into());
    }

    let content_type = kind(header(response.headers(), CONTENT_TYPE.as_str()).unwrap_or_default());
    if ERROR_TYPES.contains(&content_type.as_str()) && content_type != kind(announced) {
        return Err(FetchRefusal::ContentType {
            expected: match container {
                FileContainer::Any => "the file of a message",
                _ => container.name(),
            },
            found: content_type,
        }
        .into());
    }

    let content_length = response.content_length();
    let is_framed =
        response.headers().contains_key(TRANSFER_ENCODING) || response.version() >= Version::HTTP_2;
    if content_length.is_none() && !is_framed {
        return Err(FetchRefusal::Metadata("its end is not stated").into());
    }

    let headers = response.headers();
    let envelope = FileEnvelope::read(|name| header(headers, &format!("x-amz-meta-{name}")));
    let envelope = envelope.map_err(FetchRefusal::Envelope)?;
    let chunks = response
        .bytes_stream()
        .map(|chunk| chunk.map_err(|error| transient_failure(&error, 0)));
    Ok(MediaFile {
        content_type,
        content_length,
        envelope,
        body: FileBody::new(chunks, content_length).within(container),
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns a content type without parameters, at most 64 characters.
pub(super) fn kind(text: &str) -> String {
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence.to_ascii_lowercase().chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_compared_without_its_parameters() {
        assert_eq!(kind("Text/HTML; charset=utf-8"), "text/html");
        assert_eq!(kind(""), "");
    }
}
