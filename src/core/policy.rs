//! The privacy policy: the published document, its rules, and every decision by these rules.
//!
//! ```text
//! privacy-policy.toml → document ┐
//!                    fixed.cedar ┴→ cedar → Rules ─┐
//!                        earlier versions → Rules ─┴→ Rulebook ─────┐
//! principal, recording, purpose, consents, holds, … → DecisionFacts ┴→ decide(facts, rulebook, now) → Grant | every reason against it
//! principal, action ────────────────────────────────────────→ permit(principal, action, rulebook, now) → Permit | every reason against it
//! ```
//!
//! Owns every decision about access and its reasons. Refuses to do I/O or to read a clock: `now`
//! and earlier versions are arguments. INVARIANT: the published file is the enforced file; a grant
//! names the digest of the deciding file. Deny is the default.

pub mod action;
mod answer;
mod approval;
mod cases;
#[cfg(test)]
mod cast;
mod cedar;
mod classify;
mod consent;
pub mod content;
mod decide;
mod diff;
mod document;
mod explain;
mod facts;
mod keep;
mod permit;
mod published;
mod quarantine;
mod read;
mod reason;
mod remaining;
pub mod retention;
mod rules;
mod view;
mod why;
pub mod words;

pub use self::{
    action::{Action, PermitAction},
    answer::Understood,
    approval::{approvable, approval_lifetime, grant_over, may_approve, may_state, over_budget},
    cases::{CaseOutcome, Cases},
    classify::{Classification, ClassificationFacts, NumberRuleFacts},
    consent::Consents,
    decide::{Decision, Grant, decide},
    diff::{Diff, KindTally, PolicyComparison, Tally},
    document::{
        Actions, ApprovalRule, Basis, Collection, ConsentRules, ContentRule, Controller, Cue,
        MAX_BYTES, MAX_GRANT_LIFETIME, MessageRule, MessagesFirst, NoticeSender, Pattern,
        PolicyDocument, PolicyFault, Processor, PurposeRule, Recipient, RemovedAtSource, Right,
        Spoken, TierRule, ToRevoked, VoiceConsent,
    },
    explain::{Explanation, OpenedTier, SaidBasis, SaidRole},
    facts::{DecisionFacts, MAX_JUSTIFICATION, StandingApproval},
    keep::NotKept,
    permit::{Permit, permit},
    quarantine::{covers_recording, quarantine, quarantining},
    reason::{Denial, PolicyRefusal, Reason},
    rules::{Rulebook, Rules},
    view::{View, ViewKind},
    why::way_out,
};
