//! `[twilio.products]`: the interfaces of Conversations, Proxy and Video.
//!
//! Owns their roots, which are hosts of their own. Refuses to know their resources. The addresses
//! of these interfaces name no account, so requests carry the account's own credential.

use url::Url;

use super::{faults::TableFaults, network::base_url};

/// `[twilio.products]`, and the same below an account for another region.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProductSettings {
    /// Root of Conversations.
    pub conversations_base: Option<String>,
    /// Root of the media of Conversations.
    pub chat_media_base: Option<String>,
    /// Root of Proxy.
    pub proxy_base: Option<String>,
    /// Root of Video.
    pub video_base: Option<String>,
}

/// The checked roots.
#[derive(Clone, Debug)]
pub(in crate::twilio) struct ProductBases {
    pub(in crate::twilio) conversations: Url,
    pub(in crate::twilio) chat_media: Url,
    pub(in crate::twilio) proxy: Url,
    pub(in crate::twilio) video: Url,
}

impl ProductSettings {
    /// Returns settings in which one server is the root of every product.
    pub fn at(base: &str) -> Self {
        let base = Some(base.to_owned());
        Self {
            conversations_base: base.clone(),
            chat_media_base: base.clone(),
            proxy_base: base.clone(),
            video_base: base,
        }
    }

    /// Checks the roots; those that are not given are the common ones.
    pub(super) fn resolve(
        &self,
        common: &ProductBases,
        faults: &mut TableFaults<'_>,
    ) -> ProductBases {
        let mut base = |key, given: &Option<String>, common: &Url| match given {
            Some(given) => base_url(key, given, faults),
            None => common.clone(),
        };
        ProductBases {
            conversations: base(
                "conversations_base",
                &self.conversations_base,
                &common.conversations,
            ),
            chat_media: base("chat_media_base", &self.chat_media_base, &common.chat_media),
            proxy: base("proxy_base", &self.proxy_base, &common.proxy),
            video: base("video_base", &self.video_base, &common.video),
        }
    }
}

impl Default for ProductBases {
    fn default() -> Self {
        let base = |host: &str| {
            Url::parse(&format!("https://{host}.twilio.com")).expect("a constant URL parses")
        };
        Self {
            conversations: base("conversations"),
            chat_media: base("mcs.us1"),
            proxy: base("proxy"),
            video: base("video"),
        }
    }
}
