//! The list of a bucket's unfinished uploads, which `object_store` does not ask for.
//!
//! Owns the one request (`ListMultipartUploads`), signed by `object_store` with the same
//! credentials, and the reading of its answer. It refuses to know whose an upload is. Nothing of an
//! answer is repeated in an error.

use futures_util::TryStreamExt as _;
use object_store::{
    aws::{AwsAuthorizer, AwsCredentialProvider},
    client::{HttpClient, HttpError, HttpRequest, HttpRequestBody},
};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::{model::time::Timestamp, store::error::Error};

/// The number of uploads after which no further page is asked for.
const MOST: usize = 10_000;

/// The maximum length of an answer: a thousand uploads, each with a key of at most 1,024 bytes,
/// percent-encoded.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// The list of one bucket.
pub(in crate::store) struct UploadListing {
    http: HttpClient,
    /// The address of the bucket itself.
    bucket: Url,
    region: String,
    credentials: AwsCredentialProvider,
}

/// An upload that was begun, and neither completed nor aborted.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct OpenUpload {
    pub(in crate::store) key: String,
    pub(in crate::store) id: String,
    /// By the store's clock.
    pub(in crate::store) initiated: Timestamp,
}

/// The answer, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename = "ListMultipartUploadsResult", rename_all = "PascalCase")]
struct UploadPage {
    /// `url` if keys are percent-encoded; a server may ignore that it was asked to.
    encoding_type: Option<String>,
    /// Without it, the text is no answer.
    is_truncated: bool,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    #[serde(default, rename = "Upload")]
    uploads: Vec<UploadEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UploadEntry {
    key: String,
    upload_id: String,
    initiated: String,
}

/// Where the next page begins: a key, and the id of an upload under it.
type Marker = (String, String);

impl UploadListing {
    pub(in crate::store) fn new(
        http: HttpClient,
        bucket: Url,
        region: String,
        credentials: AwsCredentialProvider,
    ) -> Self {
        Self {
            http,
            bucket,
            region,
            credentials,
        }
    }

    /// Every unfinished upload whose key begins with `prefix`; `None` if the store does not let us
    /// list them: the right is missing, or the server has no such list.
    pub(in crate::store) async fn list(
        &self,
        store: &'static str,
        prefix: &str,
    ) -> Result<Option<Vec<OpenUpload>>, Error> {
        let unreadable = |reason: &str| Error::Unavailable {
            store,
            reason: reason.into(),
        };
        let mut found = Vec::new();
        let mut marker: Option<Marker> = None;
        loop {
            let Some(text) = self.page(store, prefix, marker.as_ref()).await? else {
                return Ok(None);
            };
            let (uploads, next) =
                read_page(&text).ok_or_else(|| unreadable("its list of uploads is unreadable"))?;
            found.extend(uploads);
            // The rest is listed by the next sweep.
            let Some(next) = next.filter(|_| found.len() < MOST) else {
                return Ok(Some(found));
            };
            // Pages are in order of keys; one that leads back would never end. The ids under one
            // key are in order of time, so only the same one again leads back.
            let leads_back = marker
                .as_ref()
                .is_some_and(|last| next.0 < last.0 || next == *last);
            if leads_back {
                return Err(unreadable("its list of uploads has no end"));
            }
            marker = Some(next);
        }
    }

    async fn page(
        &self,
        store: &'static str,
        prefix: &str,
        marker: Option<&Marker>,
    ) -> Result<Option<String>, Error> {
        let http_fault = |error: HttpError| Error::of_http(store, &error);
        let mut url = self.bucket.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("uploads", "");
            query.append_pair("encoding-type", "url");
            query.append_pair("prefix", prefix);
            if let Some((key, id)) = marker {
                query.append_pair("key-marker", key);
                query.append_pair("upload-id-marker", id);
            }
        }
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.as_str().parse().map_err(|_| Error::Unavailable {
            store,
            reason: "its address cannot be requested".into(),
        })?;
        let credential = self
            .credentials
            .get_credential()
            .await
            .map_err(|error| Error::of_backend(store, error))?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|error| Error::of_backend(store, error))?;
        let response = self.http.execute(request).await.map_err(http_fault)?;
        match response.status().as_u16() {
            200 => {}
            // Refused, or a method, a request or a parameter that this server does not have.
            400 | 401 | 403 | 404 | 405 | 501 => return Ok(None),
            status => {
                return Err(Error::Unavailable {
                    store,
                    reason: format!("it answered with status {status}"),
                });
            }
        }
        let mut parts = response.into_body().bytes_stream();
        let mut body = Vec::new();
        while let Some(part) = parts.try_next().await.map_err(http_fault)? {
            if body.len() + part.len() > PAGE_BYTES {
                return Err(Error::Unavailable {
                    store,
                    reason: "its list of uploads is larger than a page can be".into(),
                });
            }
            body.extend_from_slice(&part);
        }
        Ok(Some(String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Reads one answer; `None` if it is none. An entry whose time cannot be read is left out: nobody
/// could say that it is old.
fn read_page(text: &str) -> Option<(Vec<OpenUpload>, Option<Marker>)> {
    let page: UploadPage = quick_xml::de::from_str(text).ok()?;
    let is_encoded = page.encoding_type.as_deref() == Some("url");
    let plain = |text: String| match is_encoded {
        true => form_urlencoded::parse(text.as_bytes())
            .next()
            .map_or_else(String::new, |(name, _)| name.into_owned()),
        false => text,
    };
    let uploads = page.uploads.into_iter().filter_map(|entry| {
        Some(OpenUpload {
            initiated: Timestamp::parse_rfc3339(&entry.initiated)?,
            key: plain(entry.key),
            id: entry.upload_id,
        })
    });
    let uploads = uploads.collect();
    let next = match page.is_truncated {
        true => {
            let key = page.next_key_marker.filter(|key| !key.is_empty())?;
            Some((plain(key), page.next_upload_id_marker.unwrap_or_default()))
        }
        false => None,
    };
    Some((uploads, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
        <Bucket>calls</Bucket><KeyMarker/><UploadIdMarker/>"#;
    const WHOLE: &str = "<IsTruncated>false</IsTruncated>";

    fn read(body: &str) -> Option<(Vec<OpenUpload>, Option<Marker>)> {
        read_page(&format!("{HEAD}{body}</ListMultipartUploadsResult>"))
    }

    fn entry(key: &str, initiated: &str) -> String {
        format!(
            "<Upload><Key>{key}</Key><UploadId>u-1</UploadId><Initiator><ID>x</ID></Initiator>\
             <Initiated>{initiated}</Initiated></Upload>"
        )
    }

    #[test]
    fn an_answer_is_read_as_aws_writes_it() {
        let body = format!(
            "<EncodingType>url</EncodingType><NextKeyMarker>team%2Fa+b</NextKeyMarker>\
             <NextUploadIdMarker>u-1</NextUploadIdMarker><MaxUploads>2</MaxUploads>\
             <IsTruncated>true</IsTruncated>{}<Other/>{}",
            entry("team%2Fa+b", "2026-11-10T20:48:33.000Z"),
            entry("team%2Fc", "yesterday"),
        );
        let (uploads, next) = read(&body).unwrap();
        let initiated = Timestamp::parse_rfc3339("2026-11-10T20:48:33Z").unwrap();
        assert_eq!(
            uploads,
            [OpenUpload {
                key: "team/a b".into(),
                id: "u-1".into(),
                initiated,
            }],
            "an entry without a time is left out"
        );
        assert_eq!(next, Some(("team/a b".into(), "u-1".into())));
    }

    #[test]
    fn keys_are_plain_unless_the_answer_says_otherwise() {
        let body = entry("team/a%2Bb+c", "2026-11-10T20:48:33.000Z");
        let (uploads, next) = read(&format!("{WHOLE}{body}")).unwrap();
        assert_eq!(uploads[0].key, "team/a%2Bb+c");
        assert_eq!(next, None);
        assert_eq!(read(WHOLE).unwrap(), (Vec::new(), None));
    }

    #[test]
    fn what_is_no_answer_is_not_read_as_an_empty_list() {
        for body in [
            "",
            "<html><body>hello",
            "{}",
            "<html><body>hello</body></html>",
            "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>x</Key></Upload></ListMultipartUploadsResult>",
            "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>",
        ] {
            assert!(read_page(body).is_none(), "{body}");
        }
    }
}
