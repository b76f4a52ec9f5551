//! The rules of one version of the policy, as Cedar (<https://docs.cedarpolicy.com>).
//!
//! ```text
//! fixed.cedar ─┐
//!     document ┴→ text → parsed → validated by the schema → one slice for each purpose
//! ```
//!
//! Owns the compilation, and the evaluation of a request. Refuses to know of other versions: the
//! decision does. INVARIANTS
//! - The printed rules are the enforced rules: they are parsed from the text.
//! - A slice omits only rules whose scope is another purpose.
//! - An evaluation that fails refuses; so does one in which no rule permits.

mod question;
mod schema;
mod text;
mod when;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision, Effect, Entities, Entity,
    EntityUid, Policy, PolicyId, PolicySet, Request, Schema, ValidationMode, Validator,
};

pub(super) use self::{
    question::{Question, Unaskable},
    schema::{RESERVED, Vocabulary},
    when::Conditions,
};
use super::{
    document::PolicyDocument,
    reason::{Grounds, Reason},
};
use crate::model::name::Purpose;

/// The clause that refuses a request with facts that Cedar cannot represent.
pub(super) const UNASKABLE: &str = "fixed/request";

/// The compiled rules of one version.
#[derive(Debug)]
pub(super) struct Compiled {
    text: String,
    schema: String,
    purposes: BTreeMap<Purpose, Slice>,
    unknown: Slice,
}

/// The rules that apply to one purpose.
#[derive(Debug)]
struct Slice {
    action: Entity,
    policies: PolicySet,
    marks: HashMap<PolicyId, Mark>,
    /// The clause that is named if no rule applies.
    silent: Arc<str>,
}

/// The annotations of one rule.
#[derive(Clone, Debug)]
struct Mark {
    clause: Arc<str>,
    /// The reason, for a rule that forbids.
    reason: Option<Reason>,
}

impl Compiled {
    /// Compiles a document.
    ///
    /// # Errors
    /// Why it cannot be compiled. A document that was parsed can always be compiled: its conditions
    /// were checked.
    pub(super) fn of(document: &PolicyDocument) -> Result<Self, Vec<String>> {
        let vocabulary = Vocabulary::of(document);
        let (text, schema) = (text::text(document), schema::text(&vocabulary));
        let policies: PolicySet = text
            .parse()
            .map_err(|error: cedar_policy::ParseErrors| vec![error.to_string()])?;
        let parsed = Schema::from_cedarschema_str(&schema)
            .map_err(|error| vec![error.to_string()])?
            .0;
        let validated = Validator::new(parsed).validate(&policies, ValidationMode::Strict);
        let errors: Vec<String> = validated
            .validation_errors()
            .map(ToString::to_string)
            .collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let slice = |name: &str, based_on_consent: bool, is_held_for: bool| {
            let groups = [
                ("BasedOnConsent", based_on_consent),
                ("RecordedWithConsent", vocabulary.recorded_with_consent),
                ("HeldFor", is_held_for),
            ];
            let groups = groups
                .into_iter()
                .filter(|(_, is_in)| *is_in)
                .map(|(group, _)| question::uid(&question::ACTION, group));
            Slice::new(name, groups.collect(), &policies)
        };
        let purposes = vocabulary
            .purposes
            .iter()
            .map(|(name, based_on_consent, is_held_for)| {
                let slice = slice(name.as_str(), *based_on_consent, *is_held_for)?;
                Ok(((*name).clone(), slice))
            });
        let purposes = purposes
            .collect::<Result<_, String>>()
            .map_err(|error| vec![error])?;
        let unknown = slice("Unknown", false, false).map_err(|error| vec![error])?;
        Ok(Self {
            text,
            schema,
            purposes,
            unknown,
        })
    }

    /// Returns all rules, in the syntax of Cedar.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the schema by which they were validated.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Evaluates every rule for one purpose: returns the permitting clause, or every reason against
    /// it.
    pub(super) fn judge(
        &self,
        purpose: &Purpose,
        question: &Question,
    ) -> Result<Arc<str>, Grounds> {
        self.purposes
            .get(purpose)
            .unwrap_or(&self.unknown)
            .judge(question)
    }
}

impl Slice {
    fn new(name: &str, groups: HashSet<EntityUid>, all: &PolicySet) -> Result<Self, String> {
        let action = Entity::new_no_attrs(question::uid(&question::ACTION, name), groups.clone());
        let is_about = |policy: &&Policy| match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => uid == action.uid(),
            ActionConstraint::In(uids) => uids
                .iter()
                .any(|uid| *uid == action.uid() || groups.contains(uid)),
        };
        let policies = PolicySet::from_policies(all.policies().filter(is_about).cloned())
            .map_err(|error| error.to_string())?;
        let marks = policies
            .policies()
            .map(|policy| Ok((policy.id().clone(), Mark::of(policy)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self {
            policies,
            marks,
            silent: format!("purposes/{name}").into(),
            action,
        })
    }

    fn judge(&self, question: &Question) -> Result<Arc<str>, Grounds> {
        let failed = || Grounds::of(Reason::PolicyFailed, Arc::from(UNASKABLE));
        let [principal, action, resource] =
            [&question.principal, &self.action, &question.resource].map(Entity::uid);
        let request = Request::new(principal, action, resource, question.context.clone(), None)
            .map_err(|_| failed())?;
        let entities = [
            question.principal.clone(),
            question.resource.clone(),
            self.action.clone(),
        ];
        let entities = Entities::from_entities(entities, None).map_err(|_| failed())?;
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);

        let mut against = Grounds::default();
        let mut clause = None;
        for mark in response
            .diagnostics()
            .reason()
            .filter_map(|id| self.marks.get(id))
        {
            match mark.reason {
                Some(reason) => against.add(reason, &mark.clause),
                None => clause = Some(&mark.clause),
            }
        }
        for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
            let clause = self
                .marks
                .get(error.policy_id())
                .map_or(&self.silent, |mark| &mark.clause);
            against.add(Reason::PolicyFailed, clause);
        }
        match clause {
            Some(clause) if against.is_empty() && response.decision() == Decision::Allow => {
                Ok(Arc::clone(clause))
            }
            _ => {
                if against.is_empty() {
                    against.add(Reason::PolicyFailed, &self.silent);
                }
                Err(against)
            }
        }
    }
}

impl Mark {
    fn of(policy: &Policy) -> Result<Self, String> {
        let clause = policy
            .annotation("clause")
            .ok_or_else(|| format!("a rule names no clause: {policy}"))?
            .into();
        let reason = match (policy.effect(), policy.annotation("reason")) {
            (Effect::Permit, None) => None,
            (Effect::Forbid, Some(code)) => {
                let reason = code.parse();
                Some(reason.map_err(|_| format!("a rule names no known reason: {policy}"))?)
            }
            _ => {
                return Err(format!(
                    "a rule that forbids names a reason, and no other does: {policy}"
                ));
            }
        };
        Ok(Self { clause, reason })
    }
}

#[cfg(test)]
mod tests;
