//! A request as the handlers get it: routed, authenticated and read.
//!
//! Refuses to know who answers it; `rest` makes it and gives it on.

use super::{page::FormPairs, route::Ask};
use crate::model::sid::AccountSid;

/// A request whose sender is known.
pub(super) struct AuthenticatedRequest {
    pub(super) ask: Ask,
    /// Whose things are asked for.
    pub(super) account: AccountSid,
    pub(super) path: String,
    pub(super) query: FormPairs,
    pub(super) form: FormPairs,
    /// `http://<host>` that was asked.
    pub(super) origin: String,
}
