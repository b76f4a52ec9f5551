//! The policy as data: JSON-LD with the terms of the W3C Data Privacy Vocabulary
//! (<https://w3id.org/dpv>), for programs that check the published policy.
//!
//! Owns the schema, which is stable: members may be added, none changes its meaning. Times are RFC
//! 3339; durations are whole seconds in members that end with `_s`; information that the file omits
//! is null or an empty list.

use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::{
    classify::Classification,
    document::{
        ApprovalRule, Basis, ConsentRules, Cue, MessageRule, Pattern, PurposeRule, Spoken, TierRule,
    },
    rules::Rules,
    view::View,
};

impl Rules {
    /// Returns the contents of the file, with its digest.
    pub fn to_json(&self) -> Value {
        let policy = self.document();
        let collection = &policy.collection;
        json!({
            "@context": context(),
            "@type": "https://w3id.org/dpv#PrivacyNotice",
            "version": policy.version,
            "effective": policy.effective,
            "digest": self.digest(),
            "controller": { "name": policy.controller.name, "contact": policy.controller.contact },
            "processors": policy.processors.iter().map(|each| json!({ "name": each.name, "task": each.task })).collect::<Vec<_>>(),
            "roles": policy.roles.iter().map(|(role, text)| json!({ "name": role, "text": text })).collect::<Vec<_>>(),
            "collection": {
                "kinds": collection.kinds,
                "basis": collection.basis.map(basis),
                "disclosure": collection.disclosure,
                "quarantine_s": seconds(collection.quarantine),
                "labels": collection.labels,
                "shorter_than_s": seconds(collection.shorter_than),
                "quieter_than": collection.quieter_than,
                "to_revoked": collection.to_revoked,
                "removed_at_source": collection.removed_at_source,
            },
            "consent": consent(&policy.consent),
            "default_tier": policy.default_tier,
            "tiers": policy.tiers.iter().map(|each| self.tier_json(each)).collect::<Vec<_>>(),
            "classification": policy.classification.iter().map(classification).collect::<Vec<_>>(),
            "content": policy.content.iter().map(|each| content(&each.pattern, each.tier.as_str())).collect::<Vec<_>>(),
            "purposes": policy.purposes.iter().map(purpose).collect::<Vec<_>>(),
            "recipients": policy.recipients.iter().map(|each| json!({ "name": each.name, "purposes": each.purposes })).collect::<Vec<_>>(),
            "rights": policy.rights.iter().map(|each| json!({ "name": each.name, "how": each.how })).collect::<Vec<_>>(),
            "hold_purposes": policy.hold_purposes,
            "actions": {
                "catalogue": policy.actions.catalogue,
                "shred": policy.actions.shred,
                "audit": policy.actions.audit,
                "consent": policy.actions.consent,
                "revoke": policy.actions.revoke,
                "hold": policy.actions.hold,
                "correct": policy.actions.correct,
                "transcribe": policy.actions.transcribe,
                "export": policy.actions.export,
            },
        })
    }

    fn tier_json(&self, tier: &TierRule) -> Value {
        json!({
            "name": tier.name,
            "description": tier.description,
            "grant_lifetime_s": tier.grant_lifetime.as_secs(),
            "forgotten_at_once": self.immediate_tiers().contains(&&tier.name),
            "retention_s": seconds(tier.retention),
            // Derived from it and from the purposes that open the tier.
            "kept_s": seconds(self.limit(&tier.name).map(|limit| limit.period)),
            "approval": tier.approval.as_ref().map(approval),
        })
    }
}

/// The vocabularies of the members. Members without a term in a vocabulary are the vault's own.
fn context() -> Value {
    let term = |name: &str| format!("https://w3id.org/dpv#{name}");
    json!({
        "@vocab": "urn:recvault:policy:",
        "dpv": "@type",
        "name": "http://purl.org/dc/terms/title",
        "controller": term("hasDataController"),
        "processors": term("hasDataProcessor"),
        "contact": term("hasContact"),
        "purposes": term("hasPurpose"),
        "recipients": term("hasRecipient"),
        "rights": term("hasRight"),
        "basis": term("hasLegalBasis"),
        "effective": { "@id": "http://purl.org/dc/terms/valid", "@type": "http://www.w3.org/2001/XMLSchema#dateTime" },
    })
}

fn seconds(length: Option<Duration>) -> Option<u64> {
    length.map(|length| length.as_secs())
}

fn basis(basis: Basis) -> Value {
    json!({ "code": basis.as_str(), "text": basis.text(), "dpv": basis.dpv() })
}

fn consent(rules: &ConsentRules) -> Value {
    let voice = rules.voice.as_ref().map(|voice| {
        json!({
            "purposes": voice.purposes,
            "attempts": voice.attempts,
            "patience_s": voice.patience_s,
            "min_confidence_percent": voice.min_confidence_percent,
            "languages": voice.languages.iter().map(spoken).collect::<Vec<_>>(),
        })
    });
    let first = rules.messages_first.as_ref().map(|first| {
        json!({
            "text": first.text,
            "text_sha256": hex::encode(digest::digest(&digest::SHA256, first.text.as_bytes())),
            "sent_by": first.sent_by.as_str(),
        })
    });
    json!({
        "voice": voice,
        "messages": rules.messages.iter().map(message).collect::<Vec<_>>(),
        "messages_first": first,
    })
}

fn spoken(spoken: &Spoken) -> Value {
    let cue = |cue: &Cue| json!({ "digit": cue.digit, "words": cue.words });
    json!({
        "language": spoken.language,
        "voice": spoken.voice,
        "text": spoken.text,
        // A statement of consent refers to the spoken text by this digest.
        "text_sha256": hex::encode(digest::digest(&digest::SHA256, spoken.text.as_bytes())),
        "agreed": spoken.agreed,
        "declined": spoken.declined,
        "yes": cue(&spoken.yes),
        "no": cue(&spoken.no),
    })
}

fn message(rule: &MessageRule) -> Value {
    json!({ "words": rule.words, "opt_out": rule.opt_out, "answer": rule.answer, "purposes": rule.purposes, "reply": rule.reply })
}

fn approval(approval: &ApprovalRule) -> Value {
    json!({ "roles": approval.roles, "lifetime_s": approval.lifetime.as_secs(), "break_glass": approval.break_glass })
}

fn classification(rule: &Classification) -> Value {
    let parameter = rule
        .parameter
        .as_ref()
        .map(|(name, value)| json!({ "name": name, "value": value }));
    json!({ "tier": rule.tier, "account": rule.account, "source": rule.source, "conference": rule.conference, "parameter": parameter })
}

fn content(pattern: &Pattern, tier: &str) -> Value {
    let (name, words) = match pattern {
        Pattern::CardNumber => ("card-number", None),
        Pattern::UsSocialSecurityNumber => ("us-social-security-number", None),
        Pattern::Iban => ("iban", None),
        Pattern::Words(words) => ("words", Some(words)),
    };
    json!({ "pattern": name, "words": words, "tier": tier })
}

fn purpose(purpose: &PurposeRule) -> Value {
    let window = match purpose.view {
        View::Window { from_s, to_s } => Some(json!({ "from_s": from_s, "to_s": to_s })),
        _ => None,
    };
    json!({
        "name": purpose.name,
        "dpv": purpose.dpv,
        "text": purpose.text,
        "tiers": purpose.tiers,
        "roles": purpose.roles,
        "justification": purpose.justification,
        "basis": purpose.basis.map(basis),
        "view": purpose.view.as_str(),
        "window": window,
        "when": purpose.when,
        "retention_s": seconds(purpose.retention),
        "budget": purpose.budget,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");

    #[test]
    fn the_shipped_policy_reads_as_data() {
        let rules = Rules::parse("p", SHIPPED).unwrap();
        let data = rules.to_json();
        assert_eq!(
            (&data["version"], &data["digest"]),
            (&json!("1"), &json!(rules.digest()))
        );
        assert_eq!(data["effective"], "2026-01-01T00:00:00.000Z");
        let training = data["purposes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|each| each["name"] == "training")
            .unwrap();
        assert_eq!(training["dpv"], "https://w3id.org/dpv#PersonnelManagement");
        assert_eq!(training["basis"]["dpv"], "https://w3id.org/dpv#Consent");
        assert_eq!(
            (&training["view"], &training["window"]),
            (&json!("window"), &json!({ "from_s": 0, "to_s": 300 }))
        );
        assert_eq!(data["tiers"][1]["kept_s"], 180 * 86_400);
        assert_eq!(
            data["tiers"][2]["approval"]["roles"],
            json!(["privacy-officer"])
        );
        assert_eq!(data["content"][3]["words"][0], "diagnosis");
        assert_eq!(
            data["@context"]["dpv"], "@type",
            "the term of a purpose is its type"
        );
    }

    #[test]
    fn what_people_are_asked_is_published_with_the_digest_that_statements_name() {
        let data = Rules::parse("p", &crate::samples::asking())
            .unwrap()
            .to_json();
        let voice = &data["consent"]["voice"];
        assert_eq!(
            (&voice["purposes"], &voice["attempts"]),
            (&json!(["recording", "training"]), &json!(2))
        );
        let text = voice["languages"][0]["text"].as_str().unwrap();
        let digest = &voice["languages"][0]["text_sha256"];
        assert_eq!(
            *digest,
            json!(hex::encode(<sha2::Sha256 as sha2::Digest>::digest(text)))
        );
        assert_eq!(
            voice["languages"][1]["yes"],
            json!({ "digit": "1", "words": ["ja", "ja bitte", "einverstanden"] })
        );
        let rule = json!({ "words": ["stop recording", "delete my recordings"], "opt_out": "STOP", "answer": "withdrawn", "purposes": [] });
        let published = &data["consent"]["messages"][0];
        assert!(
            rule.as_object()
                .unwrap()
                .iter()
                .all(|(key, value)| published[key] == *value),
            "{published}"
        );
        assert_eq!(
            Rules::parse("p", SHIPPED).unwrap().to_json()["consent"],
            json!({ "voice": null, "messages": [], "messages_first": null })
        );
    }

    #[test]
    fn what_the_file_does_not_say_is_null() {
        let text = "version = \"0\"\neffective = 2026-01-01\ndefault_tier = \"t\"\n[controller]\nname = \"C\"\ncontact = \"c\"\n[roles]\n\
                    [[tiers]]\nname = \"t\"\ndescription = \"T\"\ngrant_lifetime = \"24h\"\n[actions]\ncatalogue = []\nshred = []\naudit = []\n";
        let data = Rules::parse("p", text).unwrap().to_json();
        assert_eq!(
            (&data["collection"]["basis"], &data["tiers"][0]["kept_s"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(data["rights"], json!([]));
    }
}
