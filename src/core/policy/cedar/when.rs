//! Conditions: the `when` of a purpose, before it becomes part of a rule.
//!
//! Owns the criteria for a valid condition. Refuses to evaluate it. INVARIANT: a condition is one
//! whole expression. Text that is valid only at the place of insertion, such as a bracket that ends
//! the rule and begins another, is refused.

use cedar_policy::{
    Expression, Policy, PolicyId, PolicySet, Schema, ValidationError, ValidationMode,
    ValidationWarning, Validator,
};

use super::schema::{self, Vocabulary};
use crate::model::name::Purpose;

/// The maximum length of a condition in characters.
const MAX_LENGTH: usize = 4000;

/// The maximum nesting depth of brackets: Cedar's parser needs stack for each.
const MAX_DEPTH: usize = 32;

/// The maximum length of a quoted message of Cedar.
const MAX_TOLD: usize = 400;

/// Checks conditions against the declarations of a document.
pub(in crate::policy) struct Conditions(Option<Validator>);

impl Conditions {
    /// Creates a checker for a document with these declarations.
    pub(in crate::policy) fn new(vocabulary: &Vocabulary<'_>) -> Self {
        let schema = Schema::from_cedarschema_str(&schema::text(vocabulary));
        Self(schema.ok().map(|(schema, _)| Validator::new(schema)))
    }

    /// Creates a checker for a document with faulty declarations: only the form can be checked.
    pub(in crate::policy) fn of_form() -> Self {
        Self(None)
    }

    /// Checks the condition of one purpose. Returns warnings.
    ///
    /// # Errors
    /// Every fault.
    pub(in crate::policy) fn check(
        &self,
        purpose: &Purpose,
        text: &str,
    ) -> Result<Vec<String>, Vec<String>> {
        if text.chars().nth(MAX_LENGTH).is_some() {
            return Err(vec![format!("it is longer than {MAX_LENGTH} characters")]);
        }
        if depth(text) > MAX_DEPTH {
            return Err(vec![format!(
                "its brackets are nested more than {MAX_DEPTH} deep"
            )]);
        }
        text.parse::<Expression>()
            .map_err(|errors| errors.iter().map(told).collect::<Vec<_>>())?;
        let rule = |effect: &str, word: &str| {
            let rule = format!(
                "{effect} (principal, action == Recvault::Action::\"{purpose}\", resource) {word} {{ (\n{text}\n) }};"
            );
            Policy::parse(Some(PolicyId::new("when")), rule)
                .map_err(|errors| errors.iter().map(told).collect::<Vec<_>>())
        };
        let never = rule("permit", "when")?;
        let always = rule("forbid", "unless")?;
        let Some(validator) = &self.0 else {
            return Ok(Vec::new());
        };
        let mut odd = Vec::new();
        for (policy, is_odd) in [(never, "it never holds"), (always, "it always holds")] {
            let set = PolicySet::from_policies([policy]).map_err(|error| vec![told(error)])?;
            let result = validator.validate(&set, ValidationMode::Strict);
            let errors: Vec<String> = result.validation_errors().map(way_out).collect();
            if !errors.is_empty() {
                return Err(errors);
            }
            odd.extend(result.validation_warnings().map(|warning| match warning {
                ValidationWarning::ImpossiblePolicy(_) => is_odd.to_owned(),
                other => told(other),
            }));
        }
        odd.dedup();
        Ok(odd)
    }
}

/// Returns the validator's message, with a remedy if the message alone would be unclear.
fn way_out(error: &ValidationError) -> String {
    let said = told(error);
    let said = said.strip_prefix("for policy `when`, ").unwrap_or(&said);
    match error {
        ValidationError::UnsafeOptionalAttributeAccess(_) => {
            format!("{said}: test it first, as in `x has y && …` or `if x has y then … else …`")
        }
        _ => said.to_owned(),
    }
}

/// Returns the maximum nesting depth of brackets; those in strings and comments count too.
fn depth(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Returns Cedar's message, with its remedy if it provides one.
fn told(error: impl std::fmt::Display) -> String {
    error.to_string().chars().take(MAX_TOLD).collect()
}
