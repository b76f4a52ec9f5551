//! The Cedar request: one question to the rules.
//!
//! Owns the mapping of facts to attributes. Refuses to know any rule. INVARIANT: an unknown fact
//! has no attribute. A fact that Cedar cannot represent makes the request fail, which refuses it.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use cedar_policy::{Context, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::{
    model::{consent::RECORDING, name::Purpose, time::Timestamp},
    policy::facts::{DecisionFacts, MAX_JUSTIFICATION},
};

/// One request, usable with every version of the policy.
pub(in crate::policy) struct Question {
    pub(super) principal: Entity,
    pub(super) resource: Entity,
    pub(super) context: Context,
}

/// A fact that Cedar cannot represent.
pub(in crate::policy) struct Unaskable;

impl Question {
    /// Builds the request from the present facts.
    pub(in crate::policy) fn of(
        facts: &DecisionFacts<'_>,
        now: Timestamp,
    ) -> Result<Self, Unaskable> {
        Ok(Self {
            principal: principal(facts)?,
            resource: resource(facts)?,
            context: context(facts, now)?,
        })
    }
}

fn principal(facts: &DecisionFacts<'_>) -> Result<Entity, Unaskable> {
    let principal = facts.principal;
    let accounts = principal
        .accounts
        .iter()
        .map(|account| text(account.as_str()));
    let mut attributes = HashMap::with_capacity(2 + principal.attributes.len());
    attributes.insert(
        "every_account".to_owned(),
        truth(principal.accounts.is_empty()),
    );
    attributes.insert(
        "accounts".to_owned(),
        RestrictedExpression::new_set(accounts),
    );
    for (label, values) in &principal.attributes {
        let values = values.iter().map(|value| text(value));
        // A label of an older token whose name now has another meaning must not replace that
        // attribute.
        attributes
            .entry(label.as_str().to_owned())
            .or_insert_with(|| RestrictedExpression::new_set(values));
    }
    let roles: HashSet<EntityUid> = principal
        .roles
        .iter()
        .map(|role| uid(&ROLE, role.as_str()))
        .collect();
    Entity::new(
        uid(&PRINCIPAL, &principal.id.to_string()),
        attributes,
        roles,
    )
    .map_err(|_| Unaskable)
}

fn resource(facts: &DecisionFacts<'_>) -> Result<Entity, Unaskable> {
    let recording = facts.recording;
    let mut attributes = HashMap::with_capacity(10 + recording.labels.len());
    let mut add = |name: &str, value| attributes.insert(name.to_owned(), value);
    add("account", text(recording.account().as_str()));
    add("kind", text(recording.kind().as_str()));
    add("state", text(recording.state.as_str()));
    add(
        "tier",
        RestrictedExpression::new_entity_uid(uid(&TIER, recording.tier.as_str())),
    );
    add("collected_at", instant(recording.collected_at));
    add("revoked", truth(recording.revoked_at.is_some()));
    add("conference", truth(recording.conference.is_some()));
    if let Some(source) = &recording.source {
        add("source", text(source));
    }
    if let Some(seconds) = recording.duration_s {
        add("duration_s", RestrictedExpression::new_long(seconds));
    }
    if let Some(channels) = recording.channels {
        add("channels", RestrictedExpression::new_long(channels));
    }
    for (label, value) in &recording.labels {
        attributes
            .entry(label.as_str().to_owned())
            .or_insert_with(|| text(value));
    }
    Entity::new(
        uid(&RECORDING_TYPE, &recording.id.to_string()),
        attributes,
        HashSet::new(),
    )
    .map_err(|_| Unaskable)
}

fn context(facts: &DecisionFacts<'_>, now: Timestamp) -> Result<Context, Unaskable> {
    let written = facts
        .justification
        .map_or(0, |text| text.chars().take(MAX_JUSTIFICATION + 1).count());
    let consents = |purpose: &Purpose| truth(facts.consents.cover(facts.recording, purpose, now));
    let mut pairs = vec![
        ("now", instant(now)),
        ("justified", truth(facts.is_justified())),
        (
            "justification_length",
            RestrictedExpression::new_long(i64::try_from(written).unwrap_or(i64::MAX)),
        ),
        ("consented", consents(&facts.purpose)),
        ("recording_consented", consents(&OF_RECORDING)),
        ("held", truth(facts.holds.contains(&facts.purpose))),
        ("break_glass", truth(facts.break_glass)),
        (
            "openings_today",
            RestrictedExpression::new_long(facts.openings_today.into()),
        ),
    ];
    if let Some(network) = facts.network {
        // An IPv4 address is normalised, whichever form it came in.
        pairs.push((
            "network",
            RestrictedExpression::new_ip(network.to_canonical().to_string()),
        ));
    }
    if let Some(ticket) = facts.ticket {
        pairs.push(("ticket", text(ticket.as_str())));
    }
    if let Some(approval) = facts.approval {
        pairs.push(("approved_until", instant(approval.until)));
    }
    if let Some(until) = facts.until {
        pairs.push(("until", instant(until)));
    }
    Context::from_pairs(
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    )
    .map_err(|_| Unaskable)
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn truth(value: bool) -> RestrictedExpression {
    RestrictedExpression::new_bool(value)
}

/// Cedar uses milliseconds, as the vault does.
fn instant(at: Timestamp) -> RestrictedExpression {
    RestrictedExpression::new_datetime(at.to_string())
}

pub(super) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

macro_rules! kinds {
    ($($name:ident = $text:literal,)+) => {
        $(pub(super) static $name: LazyLock<EntityTypeName> = LazyLock::new(|| $text.parse().expect("it is the name of a type"));)+
    };
}

kinds! {
    PRINCIPAL = "Recvault::Principal",
    ROLE = "Recvault::Role",
    TIER = "Recvault::Tier",
    RECORDING_TYPE = "Recvault::Recording",
    ACTION = "Recvault::Action",
}

static OF_RECORDING: LazyLock<Purpose> =
    LazyLock::new(|| RECORDING.parse().expect("it is the name of a purpose"));
