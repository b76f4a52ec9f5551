//! The identities that an application gives people in tokens of the source.
//!
//! Owns that one identity is one person in calls, rooms and chats. INVARIANT: the canonical form is
//! `client:` and the identity in lower case, with `%` and two hex digits for whatever an address
//! cannot contain; an identity that spells another address is that address.

use super::{Address, visible};

/// Returns the address that an identity spells.
pub(super) fn address_of_identity(identity: &str) -> Option<Address> {
    let is_address = identity.starts_with('+') || identity.contains(':');
    is_address.then(|| Address::parse(identity).ok()).flatten()
}

/// Returns an identity as an address: one person in calls, rooms and chats.
pub(super) fn client_of(identity: &str) -> String {
    let mut text = String::from("client:");
    for byte in identity.bytes() {
        match byte {
            b'%' | b';' | b'?' => text.push_str(&format!("%{byte:02x}")),
            plain if plain.is_ascii_graphic() => text.push(char::from(plain.to_ascii_lowercase())),
            other => text.push_str(&format!("%{other:02x}")),
        }
    }
    text
}

/// Returns the canonical form of the person with an identity. As [`Address::of_identity`], also for
/// an identity that is too long for an address.
pub(super) fn person_of_identity(identity: &str) -> String {
    let known = address_of_identity(identity);
    known.map_or_else(
        || client_of(identity),
        |known| known.expose_person().to_owned(),
    )
}

/// The scheme of identities as a chat shows them.
pub(super) const CHAT: &str = "chat:";

/// Returns the identity of a chat's user, unchanged: the application chose it.
pub(super) fn chat_identity(text: &str) -> Option<&str> {
    let (scheme, identity) = text.split_at_checked(CHAT.len())?;
    let is_plain = scheme.eq_ignore_ascii_case(CHAT)
        && matches!(identity.len(), 1..=240)
        && !identity.chars().any(char::is_control)
        && identity.trim() == identity
        && visible(identity).eq(identity.chars());
    is_plain.then_some(identity)
}
