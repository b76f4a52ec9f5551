//! Bearer tokens: made, listed, revoked, recognised; and what their bearers may do besides
//! listening.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Error, Flow};
use crate::{
    evidence::NewEntry,
    ledger::{
        self, Ledger,
        marks::Marked,
        tokens::{self, TokenRow},
    },
    model::{
        access::Principal,
        actor::Actor,
        id::{RecordingId, TokenId},
        name::{Label, Role},
        sid::AccountSid,
        text::{LabelValue, TokenLabel},
        time::{Clock, Timestamp},
    },
    policy::{self, Action, Permit},
    secret::{Token, TokenKind},
};

/// A new token; the only time its secret is seen.
pub struct Minted {
    /// What the ledger knows of it.
    pub row: TokenRow,
    /// What its bearer shows.
    pub token: Token,
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The operator's own note; it is kept as it is, so it should name a system, not a person.
    pub label: TokenLabel,
    /// What its bearer is.
    pub roles: Vec<Role>,
    /// Whose recordings its bearer may know; empty: all.
    pub accounts: Vec<AccountSid>,
    /// What conditions of the policy may look at.
    pub attributes: BTreeMap<Label, BTreeSet<LabelValue>>,
    /// How long it lives.
    pub lifetime: Duration,
}

impl NewToken {
    /// For every account, with no role and no attribute yet.
    pub fn new(label: TokenLabel, lifetime: Duration) -> Self {
        Self {
            label,
            roles: Vec::new(),
            accounts: Vec::new(),
            attributes: BTreeMap::new(),
            lifetime,
        }
    }
}

/// Makes a bearer token.
///
/// # Errors
/// The ledger's.
pub async fn mint(ledger: &Ledger, clock: &Clock, wanted: NewToken) -> Result<Minted, Error> {
    let now = clock.now();
    let token = Token::random(TokenKind::Bearer, &mut rand::rng());
    let id = TokenId::random(&mut rand::rng());
    let NewToken {
        label,
        roles,
        accounts,
        attributes,
        lifetime,
    } = wanted;
    let values = |values: BTreeSet<LabelValue>| values.into_iter().map(String::from).collect();
    let (label, attributes) = (
        label.into(),
        attributes
            .into_iter()
            .map(|(label, of)| (label, values(of)))
            .collect(),
    );
    let row = TokenRow {
        id,
        label,
        roles,
        accounts,
        attributes,
        created_at: now,
        expires_at: now.after(lifetime),
        revoked_at: None,
    };
    let hash = token.hash();
    ledger
        .unit("tokens.mint", async |mut unit| {
            tokens::insert(&mut unit, &row, hash.as_str()).await?;
            unit.mark(Marked::Token, &[row.id], now);
            unit.audit(NewEntry::token_created(
                now,
                Actor::Operator,
                &row.principal(),
                Some(row.expires_at),
            ));
            Ok::<_, ledger::Error>(())
        })
        .await?;
    Ok(Minted { row, token })
}

/// All tokens, without their secrets.
///
/// # Errors
/// The ledger's.
pub async fn list(ledger: &Ledger) -> Result<Vec<TokenRow>, Error> {
    Ok(tokens::list(&mut ledger.read().await?).await?)
}

/// Revokes a token: from the commit on it is nobody's, and grants given to it do not open.
///
/// # Errors
/// [`Error::NotFound`] if there is no such living token.
pub async fn revoke(ledger: &Ledger, clock: &Clock, id: TokenId) -> Result<Timestamp, Error> {
    let now = clock.now();
    ledger
        .unit("tokens.revoke", async |mut unit| {
            if !tokens::revoke(&mut unit, id, now).await? {
                return Err(Error::NotFound);
            }
            unit.mark(Marked::Token, &[id], now);
            unit.audit(NewEntry::token_revoked(now, Actor::Operator, id));
            Ok(())
        })
        .await?;
    Ok(now)
}

impl Flow {
    /// Who shows this bearer token; `None` for one that is not, or no longer, valid.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn authenticate(&self, shown: &str) -> Result<Option<Principal>, Error> {
        let Some(token) = Token::parse(TokenKind::Bearer, shown) else {
            return Ok(None);
        };
        Ok(tokens::authenticate(
            &mut self.0.ledger.read().await?,
            token.hash().as_str(),
            self.now(),
        )
        .await?)
    }

    /// Decides whether a principal may do what is not listening, and writes a refusal down.
    /// `recording` is what it would be done to.
    ///
    /// # Errors
    /// [`Error::Denied`] with every reason; [`Error::NotFound`] where the principal may not know
    /// that there is anything.
    pub async fn permit(
        &self,
        principal: &Principal,
        action: Action,
        recording: Option<RecordingId>,
    ) -> Result<Permit, Error> {
        let now = self.now();
        let denial = match policy::permit(principal, action, &self.0.rulebook, now) {
            Ok(permit) => return Ok(permit),
            Err(denial) => denial,
        };
        self.note(|| NewEntry::action_denied(now, principal, action, recording, &denial))
            .await?;
        Err(if denial.is_hidden() {
            Error::NotFound
        } else {
            Error::Denied(denial)
        })
    }
}
