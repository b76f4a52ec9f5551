//! The rows of a grant, which every opening needs.

use std::time::Duration;

use recvault::{
    db::{
        grants::{self, GrantRow},
        tokens::{self, TokenRow},
    },
    model::{
        access::Principal,
        id::{GrantId, TokenId},
        time::Clock,
    },
    policy::Grant,
    secret::{Token, TokenKind},
};

use crate::{Failure, filled::Filled};

/// Inserts a token that can hold grants.
pub(super) async fn token(vault: &Filled, principal: &Principal) -> Result<TokenId, Failure> {
    let now = Clock::System.now();
    let hash = Token::random(TokenKind::Bearer, &mut rand::rng()).hash();
    let row = TokenRow {
        hash: hash.as_str().to_owned(),
        attributes: Default::default(),
        id: principal.credential,
        principal: principal.id,
        label: "bench".into(),
        roles: principal.roles.iter().cloned().collect(),
        accounts: Vec::new(),
        created_at: now,
        expires_at: now.after(Duration::from_secs(3600)),
        revoked_at: None,
    };
    let inserted = vault.db.unit("inserted", async |mut unit| {
        unit.without_entry("a bench");
        tokens::insert(&mut unit, &row).await
    });
    inserted.await?;
    Ok(row.id)
}

/// Inserts the row of a grant, which every opening needs.
pub(super) async fn given(
    vault: &Filled,
    token: TokenId,
    grant: &Grant,
) -> Result<GrantId, Failure> {
    let hash = Token::random(TokenKind::Grant, &mut rand::rng()).hash();
    let row = GrantRow {
        id: GrantId::random(&mut rand::rng()),
        hash: hash.as_str().to_owned(),
        object: grant.recording().into(),
        // No opening asks for it.
        account: format!("AC{}", "0".repeat(32)).parse()?,
        token,
        purpose: grant.purpose().clone(),
        justified: grant.is_justified(),
        policy_digest: grant.policy_digest().to_owned(),
        issued_at: Clock::System.now(),
        expires_at: grant.expires_at(),
        ticket: None,
        break_glass: false,
        opened_at: None,
        approval: None,
        ended_at: None,
    };
    let inserted = vault.db.unit("given", async |mut unit| {
        unit.without_entry("a bench");
        grants::insert(&mut unit, &row).await
    });
    inserted.await?;
    Ok(row.id)
}
