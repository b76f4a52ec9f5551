//! Proxy: sessions in which neither side sees the other's number
//! (<https://www.twilio.com/docs/proxy/api/webhooks>).
//!
//! Owns the callback of an interaction and the resources behind it, under one set of names
//! (`fields`). Refuses the intercept and out-of-session callbacks: they wait for an answer.
//!
//! The callback has no telephone number: the participants of the session have both the person's
//! number and the mask. INVARIANT: `Debug` shows no text and no number.

mod interaction;
mod session;

pub use self::{
    interaction::{Interaction, InteractionKind, InteractionSide},
    session::{ProxyParticipant, ProxySession},
};
use super::{
    fields::NamedFields, own_query::own_query, params::CallbackError, received_form::ReceivedForm,
    signature::Verified,
};
use crate::model::sid::AccountSid;

/// One callback of an interaction. Several come for each, with growing status, in no certain order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteractionCallback {
    /// The account or subaccount that signed the request.
    pub account: AccountSid,
    /// The interaction as it is now.
    pub interaction: Interaction,
    /// The query parameters of our own URL, in order, for classification.
    pub query: Vec<(String, String)>,
    /// The whole form as received.
    pub form: ReceivedForm,
}

impl InteractionCallback {
    /// Parses a verified callback.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        Ok(Self {
            account: verified.account().clone(),
            interaction: Interaction::read(&NamedFields::of_form(verified), "interaction")?,
            query: own_query(verified),
            form: ReceivedForm::of(verified),
        })
    }
}

#[cfg(test)]
mod tests;
