//! Bearer tokens, the credentials of principals: made, listed, revoked, recognised; and what their
//! bearers may do besides listening.
//!
//! Owns which principal a new token is of. Refuses to know what a principal may open.

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

/// A new token; the only time its secret is seen.
pub struct Minted {
    /// What the database knows of it.
    pub row: TokenRow,
    /// Whose it is.
    pub principal: PrincipalRow,
    /// Whether this principal has their first token now.
    pub is_new_principal: bool,
    /// What its bearer shows.
    pub token: Token,
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose it is to be: the name of a local principal, new or not, or the id of one that is
    /// there. Without it: a principal of its own, named by the token's id.
    pub principal: Option<PrincipalSubject>,
    /// A person or a service. Without it: what the principal is already, and a service if new.
    pub kind: Option<PrincipalKind>,
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

/// Makes a bearer token, and its principal if there is none of that name yet.
///
/// # Errors
/// [`Error::Invalid`] for a principal who cannot be named so, or is of another kind; the database's.
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

/// Whose a new token is: the principal of that name, entered with this id if there is none yet.
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

/// Whether a name has the form of an id of ours. Such a name finds a principal and makes none: a
/// mistyped id is not somebody new.
fn is_id(name: &PrincipalSubject) -> bool {
    ["prn_", "tok_"]
        .iter()
        .any(|prefix| name.as_str().starts_with(prefix))
}

/// The principal with this id, or whom the command line named so.
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
    /// What the principal is called.
    pub subject: PrincipalSubject,
    /// What the principal is.
    pub kind: PrincipalKind,
}

/// All tokens, without their secrets, oldest first.
///
/// # Errors
/// The database's.
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

/// A principal, and how many tokens of theirs still work.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ListedPrincipal {
    /// The principal.
    #[serde(flatten)]
    pub row: PrincipalRow,
    /// Tokens that are neither revoked nor expired.
    pub living_tokens: usize,
}

/// All principals, oldest first.
///
/// # Errors
/// The database's.
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

/// Revokes a token: from the commit on it is nobody's, and grants given to it do not open. Other
/// tokens of its principal stay.
///
/// # Errors
/// [`Error::NotFound`] if there is no such living token.
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

/// Every token of a principal, revoked at once.
#[derive(Clone, Debug)]
pub struct RevokedTokens {
    /// Whose they were.
    pub principal: PrincipalRow,
    /// Those that were not revoked before.
    pub tokens: Vec<TokenId>,
    /// When.
    pub at: Timestamp,
}

/// Revokes every token that a principal has now. A token made for them later works.
///
/// # Errors
/// [`Error::Invalid`] if there is no such principal; [`Error::NotFound`] if no token of theirs is
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

/// Who somebody is, and what they may do besides listening.
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

    /// Who shows this bearer token; `None` for one that is not, or no longer, valid.
    ///
    /// # Errors
    /// The database's.
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
    /// [`Error::Denied`] with every reason; [`Error::NotFound`] where the principal may not know
    /// that there is anything.
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
