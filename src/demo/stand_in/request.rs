//! A request for the handlers: routed, authenticated and parsed.
//!
//! Refuses to know the handlers; `rest` creates it and passes it on.

use super::{page::FormPairs, route::Ask};
use crate::model::sid::AccountSid;

/// A request with a known sender.
pub(super) struct AuthenticatedRequest {
    pub(super) ask: Ask,
    /// The account of the requested resource.
    pub(super) account: AccountSid,
    pub(super) path: String,
    pub(super) query: FormPairs,
    pub(super) form: FormPairs,
    /// The origin of the request, `http://<host>`.
    pub(super) origin: String,
}
