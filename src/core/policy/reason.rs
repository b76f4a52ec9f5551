//! Reasons of a refusal.
//!
//! Owns the closed list of reasons with their codes, and the refusal that contains them. Refuses to
//! know how they were determined. INVARIANT: a refusal names at least one reason, each at most
//! once, and contains no text of the requester.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::model::word::{UnknownWord, unknown};

/// One reason to refuse. Codes are stable: responses, the audit log and dashboards use them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum Reason {
    /// The policy is not in force yet.
    PolicyNotInForce,
    /// The version to which the recording is pinned is not available.
    PolicyUnknown,
    /// The principal's accounts do not include the recording's.
    AccountUnknownToPrincipal,
    /// No content of the recording is stored.
    RecordingNotSealed,
    /// Its key is destroyed.
    RecordingShredded,
    /// The policy has no such tier.
    TierUnknown,
    /// The policy has no such purpose.
    PurposeUnknown,
    /// The purpose does not open this tier.
    PurposeNotForTier,
    /// None of the principal's roles permits this.
    RoleNotAllowed,
    /// The purpose requires a justification.
    JustificationMissing,
    /// The justification is longer than [`MAX_JUSTIFICATION`](super::MAX_JUSTIFICATION).
    JustificationTooLong,
    /// The grant that is being used has ended.
    GrantExpired,
    /// The purpose opens recordings only for a time after their collection.
    PurposeExpired,
    /// The purpose has a condition that does not hold.
    ConditionNotMet,
    /// The purpose is based on consent, and a party has not given it.
    ConsentMissing,
    /// Recording is based on consent, and a party has not given it.
    Quarantined,
    /// Only a hold prevents its shredding, and the hold is not for this purpose.
    #[strum(to_string = "recording-revoked")]
    Revoked,
    /// The tier requires the approval of a second person.
    ApprovalMissing,
    /// The principal has opened as many recordings for this purpose today as the policy allows.
    BudgetSpent,
    /// An evaluation of the policy failed.
    PolicyFailed,
}

impl Reason {
    /// Every reason, in the order in which they are reported.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Returns the stable code.
    pub fn code(self) -> &'static str {
        self.into()
    }

    /// Returns a sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::PolicyNotInForce => "The privacy policy is not in force yet.",
            Self::PolicyUnknown => {
                "The version of the privacy policy under which this was recorded is not available."
            }
            Self::AccountUnknownToPrincipal => {
                "Your access does not cover the account of this recording."
            }
            Self::RecordingNotSealed => "The vault does not hold this recording.",
            Self::RecordingShredded => {
                "This recording was shredded; the vault never opens it again."
            }
            Self::TierUnknown => {
                "The privacy policy does not know the sensitivity tier of this recording."
            }
            Self::PurposeUnknown => "The privacy policy does not know this purpose.",
            Self::PurposeNotForTier => {
                "This purpose does not open recordings of this sensitivity tier."
            }
            Self::RoleNotAllowed => "None of your roles may do this.",
            Self::JustificationMissing => "This purpose requires a written justification.",
            Self::JustificationTooLong => {
                "The justification is too long: write at most 1000 characters."
            }
            Self::GrantExpired => "The grant has expired.",
            Self::PurposeExpired => {
                "Recordings of this age may no longer be opened for this purpose."
            }
            Self::ConditionNotMet => {
                "A condition that the privacy policy sets for this purpose does not hold."
            }
            Self::ConsentMissing => "Not every party has consented to this purpose.",
            Self::Quarantined => {
                "There is no evidence that every party consented to being recorded."
            }
            Self::Revoked => {
                "This recording was revoked; a hold keeps it, for its own purpose only."
            }
            Self::ApprovalMissing => "Another person must approve this first.",
            Self::BudgetSpent => {
                "You have opened as many recordings for this purpose today as the privacy policy allows."
            }
            Self::PolicyFailed => "The privacy policy could not be evaluated for this request.",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One reason of a refusal, and the version of the policy that gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRefusal {
    /// The reason.
    pub reason: Reason,
    /// The deciding clause: a key of the policy file (`purposes/training/when`,
    /// `tiers/restricted/approval`), or one of the rules that no file can change (`fixed/state`).
    /// Stable, as codes are.
    pub clause: Arc<str>,
    /// Set if only the pinned earlier version refuses: its name. A later version never widens what
    /// an earlier one allowed.
    pub pinned: Option<Arc<str>>,
}

impl PolicyRefusal {
    /// Returns the whole sentence for people.
    pub fn sentence(&self) -> String {
        match &self.pinned {
            None => self.reason.text().to_owned(),
            Some(version) => {
                format!(
                    "{} This is the decision of version `{version}` of the privacy policy, under \
                     which this was recorded.",
                    self.reason.text()
                )
            }
        }
    }
}

/// A refusal, with every reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    refusals: Vec<PolicyRefusal>,
    hidden: bool,
    policy_digest: Arc<str>,
}

impl Denial {
    /// Creates it from the reasons of the current rules, followed by those that only the pinned
    /// version gives.
    pub(super) fn new(
        current: &Grounds,
        pinned: &Grounds,
        pinned_version: Option<Arc<str>>,
        hidden: bool,
        policy_digest: Arc<str>,
    ) -> Self {
        let own = current.iter().map(|(reason, clause)| PolicyRefusal {
            reason,
            clause,
            pinned: None,
        });
        let only_pinned = pinned.iter().filter(|(reason, _)| !current.names(*reason));
        let only_pinned = only_pinned.map(|(reason, clause)| PolicyRefusal {
            reason,
            clause,
            pinned: pinned_version.clone(),
        });
        Self {
            refusals: own.chain(only_pinned).collect(),
            hidden,
            policy_digest,
        }
    }

    /// Creates the refusal of a question that only the version in force decides.
    pub(super) fn by_current(against: &Grounds, hidden: bool, policy_digest: Arc<str>) -> Self {
        Self::new(against, &Grounds::default(), None, hidden, policy_digest)
    }

    /// Every reason.
    pub fn refusals(&self) -> &[PolicyRefusal] {
        &self.refusals
    }

    /// Returns whether this is one of the reasons, under either version.
    pub fn names(&self, reason: Reason) -> bool {
        self.refusals.iter().any(|refusal| refusal.reason == reason)
    }

    /// Returns whether the principal must not learn that the recording exists: the response must
    /// then equal the one for a missing recording.
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// SHA-256 of the current policy, by which it was decided; lower-case hex.
    pub fn policy_digest(&self) -> &str {
        &self.policy_digest
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused:")?;
        for refusal in &self.refusals {
            write!(f, " {}", refusal.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for Denial {}

/// Reasons with their clauses; each reason once, in the order of [`Reason::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grounds(BTreeMap<Reason, Arc<str>>);

impl Grounds {
    pub(super) fn of(reason: Reason, clause: Arc<str>) -> Self {
        Self([(reason, clause)].into())
    }

    /// Adds a reason. If two clauses give the same one, the first by name is kept, in whatever
    /// order they are added.
    pub(super) fn add(&mut self, reason: Reason, clause: &Arc<str>) {
        let kept = self.0.entry(reason).or_insert_with(|| Arc::clone(clause));
        if **clause < **kept {
            *kept = Arc::clone(clause);
        }
    }

    /// Adds a reason if the condition holds.
    pub(super) fn add_if(&mut self, condition: bool, reason: Reason, clause: impl Into<Arc<str>>) {
        if condition {
            self.add(reason, &clause.into());
        }
    }

    /// Drops every reason but these.
    pub(super) fn keep(&mut self, reasons: &[Reason]) {
        self.0.retain(|reason, _| reasons.contains(reason));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn names(&self, reason: Reason) -> bool {
        self.0.contains_key(&reason)
    }

    fn iter(&self) -> impl Iterator<Item = (Reason, Arc<str>)> {
        self.0
            .iter()
            .map(|(reason, clause)| (*reason, Arc::clone(clause)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_code_and_place() {
        let codes: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for (place, reason) in Reason::ALL.iter().copied().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
            assert!(
                reason
                    .code()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_reason_is_given_once_whichever_clause_comes_first() {
        let told = |clauses: [&str; 2]| {
            let mut grounds = Grounds::default();
            for clause in clauses {
                grounds.add(Reason::PolicyFailed, &clause.into());
            }
            grounds.iter().collect::<Vec<_>>()
        };
        assert_eq!(told(["a", "b"]), [(Reason::PolicyFailed, "a".into())]);
        assert_eq!(told(["a", "b"]), told(["b", "a"]));
    }

    #[test]
    fn people_are_told_the_bound_that_holds() {
        assert!(
            Reason::JustificationTooLong
                .text()
                .contains(&format!("at most {} ", crate::policy::MAX_JUSTIFICATION))
        );
    }
}
