//! Bearer tokens, the credentials of principals: minting, listing, revoking and authenticating
//! them; and permits for actions other than playback.
//!
//! Owns the principal of a new token. Refuses to know what a principal may open.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{error::Error, units::note};
use crate::{
    db::{
        Db,
        outbox::OutboxKind,
        principals::{self, LOCAL, PrincipalRow},
        tokens::{self, TokenRow},
        tx::Tx,
    },
    evidence::NewEntry,
    model::{
        access::{Principal, PrincipalKind},
        actor::Initiator,
        id::{PrincipalId, RecordingId, TokenId},
        name::{Label, Role},
        sid::AccountSid,
        text::{LabelValue, PrincipalSubject, TokenLabel},
        time::{Clock, Timestamp},
    },
    policy::{self, Permit, PermitAction, Rulebook},
    secret::{Token, TokenKind},
};

/// A new token. Its secret is visible only here.
pub struct Minted {
    /// The stored row.
    pub row: TokenRow,
    /// The principal of the token.
    pub principal: PrincipalRow,
    /// Whether this is the principal's first token.
    pub is_new_principal: bool,
    /// The secret that the bearer presents.
    pub token: Token,
}

/// The parameters of a new token.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The principal: the name of a local principal, new or not, or the id of an existing one. If
    /// `None`, a new principal is named after the token's id.
    pub principal: Option<PrincipalSubject>,
    /// Whether the principal is a person or a service. If `None`, the kind of an existing
    /// principal, and a service for a new one.
    pub kind: Option<PrincipalKind>,
    /// The operator's own note. It is stored as it is, so it should name a system, not a person.
    pub label: TokenLabel,
    /// The roles of its bearer.
    pub roles: Vec<Role>,
    /// The accounts whose recordings its bearer may know; empty means all.
    pub accounts: Vec<AccountSid>,
    /// Attributes that conditions of the policy may examine.
    pub attributes: BTreeMap<Label, BTreeSet<LabelValue>>,
    /// How long it is valid.
    pub lifetime: Duration,
}

impl NewToken {
    /// A token for every account, without roles and attributes.
    pub fn new(label: TokenLabel, lifetime: Duration) -> Self {
        Self {
            principal: None,
            kind: None,
            label,
            roles: Vec::new(),
            accounts: Vec::new(),
            attributes: BTreeMap::new(),
            lifetime,
        }
    }
}

/// Mints a bearer token, and inserts its principal if there is none of that name yet.
///
/// # Errors
/// [`Error::Invalid`] for a principal that does not exist, cannot have this name, or is of another
/// kind; any database error.
pub async fn mint(db: &Db, clock: &Clock, wanted: NewToken) -> Result<Minted, Error> {
    let now = clock.now();
    let token = Token::random(TokenKind::Bearer, &mut rand::rng());
    let hash = token.hash();
    let id = TokenId::random(&mut rand::rng());
    let new_principal = PrincipalId::random(&mut rand::rng());
    let attributes: BTreeMap<Label, BTreeSet<String>> = wanted
        .attributes
        .iter()
        .map(|(label, values)| {
            let values = values.iter().cloned().map(String::from).collect();
            (label.clone(), values)
        })
        .collect();
    let (row, principal) = db
        .unit("tokens.mint", async |mut unit| {
            let principal = principal_of(&mut unit, &wanted, (new_principal, id), now).await?;
            let row = TokenRow {
                id,
                hash: hash.as_str().to_owned(),
                principal: principal.id,
                label: wanted.label.to_string(),
                roles: wanted.roles.clone(),
                accounts: wanted.accounts.clone(),
                attributes: attributes.clone(),
                created_at: now,
                expires_at: now.after(wanted.lifetime),
                revoked_at: None,
            };
            tokens::insert(&mut unit, &row).await?;
            unit.to_journal(OutboxKind::Token, &[row.id], now);
            let created = NewEntry::token_created(
                now,
                Initiator::Operator,
                &row.principal(),
                Some(row.expires_at),
            );
            unit.audit(created);
            Ok::<_, Error>((row, principal))
        })
        .await?;
    Ok(Minted {
        is_new_principal: principal.id == new_principal,
        row,
        principal,
        token,
    })
}

/// Returns the principal of a new token: the one of that name, inserted with this id if there is
/// none yet.
async fn principal_of(
    tx: &mut Tx,
    wanted: &NewToken,
    (id, token): (PrincipalId, TokenId),
    now: Timestamp,
) -> Result<PrincipalRow, Error> {
    let principal = match &wanted.principal {
        Some(name) if is_id(name) => named(tx, name).await?,
        name => {
            let own = || token.to_string().parse().expect("an id is one short line");
            let subject = name.clone().unwrap_or_else(own);
            let label = match name {
                Some(name) => name.to_string(),
                None => wanted.label.to_string(),
            };
            let new = PrincipalRow {
                id,
                kind: wanted.kind.unwrap_or(PrincipalKind::Service),
                issuer: LOCAL.parse().expect("it is one short line"),
                subject,
                label,
                created_at: now,
            };
            principals::find_or_insert(tx, &new).await?
        }
    };
    match wanted.kind {
        Some(kind) if kind != principal.kind => Err(Error::Invalid(format!(
            "principal `{}` is a {}, not a {kind}: omit the kind, or name another principal",
            principal.subject, principal.kind
        ))),
        _ => Ok(principal),
    }
}

/// Returns whether a name has the form of an id of the vault. Such a name selects an existing
/// principal and never creates one: a mistyped id is not a new principal.
fn is_id(name: &PrincipalSubject) -> bool {
    ["prn_", "tok_"]
        .iter()
        .any(|prefix| name.as_str().starts_with(prefix))
}

/// Returns the principal with this id or this local name.
async fn named(tx: &mut Tx, name: &PrincipalSubject) -> Result<PrincipalRow, Error> {
    let found = match name.as_str().parse() {
        Ok(id) => principals::find(tx, id).await?,
        Err(_) => principals::find_local(tx, name).await?,
    };
    found.ok_or_else(|| {
        Error::Invalid(format!(
            "principal `{name}` does not exist; `recvault principal list` lists the principals"
        ))
    })
}

/// A token with its principal.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListedToken {
    /// The token.
    #[serde(flatten)]
    pub row: TokenRow,
    /// The name of the principal.
    pub subject: PrincipalSubject,
    /// The kind of the principal.
    pub kind: PrincipalKind,
}

/// Returns all tokens, without their secrets, oldest first.
///
/// # Errors
/// Any database error.
pub async fn list(db: &Db) -> Result<Vec<ListedToken>, Error> {
    let mut tx = db.read().await?;
    let tokens = tokens::list(&mut tx).await?;
    let principals: BTreeMap<PrincipalId, PrincipalRow> = principals::list(&mut tx)
        .await?
        .into_iter()
        .map(|principal| (principal.id, principal))
        .collect();
    let listed = tokens.into_iter().filter_map(|row| {
        let principal = principals.get(&row.principal)?;
        Some(ListedToken {
            subject: principal.subject.clone(),
            kind: principal.kind,
            row,
        })
    });
    Ok(listed.collect())
}

/// A principal with the number of its valid tokens.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListedPrincipal {
    /// The principal.
    #[serde(flatten)]
    pub row: PrincipalRow,
    /// Tokens that are neither revoked nor expired.
    pub living_tokens: usize,
}

/// Returns all principals, oldest first.
///
/// # Errors
/// Any database error.
pub async fn list_principals(db: &Db, clock: &Clock) -> Result<Vec<ListedPrincipal>, Error> {
    let now = clock.now();
    let mut tx = db.read().await?;
    let tokens = tokens::list(&mut tx).await?;
    let principals = principals::list(&mut tx).await?;
    drop(tx);
    let listed = principals.into_iter().map(|row| {
        let theirs = tokens.iter().filter(|token| token.principal == row.id);
        ListedPrincipal {
            living_tokens: theirs.filter(|token| token.lives(now)).count(),
            row,
        }
    });
    Ok(listed.collect())
}

/// Revokes a token: from the commit on it is not accepted, and grants given to it do not open.
/// Other tokens of its principal are not affected.
///
/// # Errors
/// [`Error::NotFound`] if there is no such token or it is revoked already.
pub async fn revoke(db: &Db, clock: &Clock, id: TokenId) -> Result<Timestamp, Error> {
    let now = clock.now();
    db.unit("tokens.revoke", async |mut unit| {
        let principal = tokens::revoke(&mut unit, id, now).await?;
        let principal = principal.ok_or(Error::NotFound)?;
        unit.to_journal(OutboxKind::Token, &[id], now);
        let revoked = NewEntry::token_revoked(now, Initiator::Operator, id, principal);
        unit.audit(revoked);
        Ok::<_, Error>(())
    })
    .await?;
    Ok(now)
}

/// The result of revoking every token of a principal.
#[derive(Clone, Debug)]
pub struct RevokedTokens {
    /// The principal.
    pub principal: PrincipalRow,
    /// The tokens that were not revoked before.
    pub tokens: Vec<TokenId>,
    /// When they were revoked.
    pub at: Timestamp,
}

/// Revokes every token that a principal has now. Tokens minted later are valid.
///
/// # Errors
/// [`Error::Invalid`] if there is no such principal; [`Error::NotFound`] if none of its tokens is
/// left to revoke.
pub async fn revoke_all(
    db: &Db,
    clock: &Clock,
    name: &PrincipalSubject,
) -> Result<RevokedTokens, Error> {
    let now = clock.now();
    let (principal, tokens) = db
        .unit("tokens.revoke_all", async |mut unit| {
            let principal = named(&mut unit, name).await?;
            let tokens = tokens::revoke_all(&mut unit, principal.id, now).await?;
            if tokens.is_empty() {
                return Err(Error::NotFound);
            }
            unit.to_journal(OutboxKind::Token, &tokens, now);
            let entries: Vec<NewEntry> = tokens
                .iter()
                .map(|id| NewEntry::token_revoked(now, Initiator::Operator, *id, principal.id))
                .collect();
            unit.audit_all(entries);
            Ok((principal, tokens))
        })
        .await?;
    Ok(RevokedTokens {
        principal,
        tokens,
        at: now,
    })
}

/// Authenticates bearers and issues permits for actions other than playback.
pub struct Access {
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
}

impl Access {
    pub(in crate::flow) fn new(db: Db, rulebook: Arc<Rulebook>, clock: Clock) -> Self {
        Self {
            db,
            rulebook,
            clock,
        }
    }

    /// Returns the principal of this bearer token; `None` if the token is not valid, or no longer.
    ///
    /// # Errors
    /// Any database error.
    pub async fn authenticate(&self, shown: &str) -> Result<Option<Principal>, Error> {
        let Some(token) = Token::parse(TokenKind::Bearer, shown) else {
            return Ok(None);
        };
        Ok(tokens::authenticate(
            &mut self.db.read().await?,
            token.hash().as_str(),
            self.clock.now(),
        )
        .await?)
    }

    /// The permit, if the rules give it; a refusal is nobody's news, because there is another way.
    pub fn may<A: PermitAction>(&self, principal: &Principal, action: A) -> Option<Permit<A>> {
        policy::permit(principal, action, &self.rulebook, self.clock.now()).ok()
    }

    /// Decides whether a principal may do what is not listening, and writes a refusal down.
    /// `recording` is what it would be done to.
    ///
    /// # Errors
    /// [`Error::Denied`] with every reason; [`Error::NotFound`] if the principal may not know that
    /// the object exists.
    pub async fn permit<A: PermitAction>(
        &self,
        principal: &Principal,
        action: A,
        recording: Option<RecordingId>,
    ) -> Result<Permit<A>, Error> {
        let now = self.clock.now();
        let denial = match policy::permit(principal, action, &self.rulebook, now) {
            Ok(permit) => return Ok(permit),
            Err(denial) => denial,
        };
        note(&self.db, || {
            NewEntry::action_denied(now, principal, A::ACTION, recording, &denial)
        })
        .await?;
        Err(if denial.is_hidden() {
            Error::NotFound
        } else {
            Error::Denied(denial)
        })
    }
}
