//! A participant's connection to a channel.

use crate::twilio::{fields::NamedFields, message::MessageAddress};

/// The addresses through which a participant without an SDK takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessagingBinding {
    /// The channel in lower case: `sms`, `whatsapp`, `chat`; an open set.
    pub kind: Option<String>,
    /// The person's addresses; several in a group.
    pub addresses: Vec<MessageAddress>,
    /// The line of the account that they write to: no person.
    pub proxy_address: Option<MessageAddress>,
    /// The line that stands for an SDK user in a group: no person.
    pub projected_address: Option<MessageAddress>,
    /// The author's address where a message began the chat.
    pub author_address: Option<MessageAddress>,
}

impl MessagingBinding {
    /// Reads the binding; `None` if the participant has none.
    pub(super) fn read(fields: &NamedFields<'_>) -> Option<Self> {
        let address = |field| fields.readable(field).map(MessageAddress::parse);
        let binding = Self {
            kind: fields.word("MessagingBinding.Type"),
            addresses: fields
                .all("MessagingBinding.Address")
                .map(MessageAddress::parse)
                .collect(),
            proxy_address: address("MessagingBinding.ProxyAddress"),
            projected_address: address("MessagingBinding.ProjectedAddress"),
            author_address: address("MessagingBinding.AuthorAddress"),
        };
        (binding != Self::default()).then_some(binding)
    }
}
