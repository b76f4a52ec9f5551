//! The schema: the attributes that rules and conditions can use.
//!
//! Owns the names and types of everything that a policy can refer to. Refuses to know the rules.
//! INVARIANTS
//! - A possibly unknown attribute is optional, so that the validator refuses a condition that does
//!   not check it with `has` first.
//! - Roles and tiers are closed lists, so that the validator refuses a misspelt one.

use std::fmt::Write as _;

use crate::{
    model::name::{Label, Purpose, Role, Tier},
    policy::document::{Basis, PolicyDocument},
};

/// Everything that a policy declares by name.
pub(in crate::policy) struct Vocabulary<'d> {
    pub(in crate::policy) roles: Vec<&'d Role>,
    pub(in crate::policy) tiers: Vec<&'d Tier>,
    pub(in crate::policy) labels: Vec<&'d Label>,
    /// Each purpose with whether it is based on consent, and whether holds are placed for it.
    pub(in crate::policy) purposes: Vec<(&'d Purpose, bool, bool)>,
    /// Whether recording itself is based on consent.
    pub(in crate::policy) recorded_with_consent: bool,
}

impl<'d> Vocabulary<'d> {
    pub(super) fn of(document: &'d PolicyDocument) -> Self {
        let purposes = document.purposes.iter();
        Self {
            roles: document.roles.iter().map(|(role, _)| role).collect(),
            tiers: document.tiers.iter().map(|tier| &tier.name).collect(),
            labels: document.collection.labels.iter().collect(),
            purposes: purposes
                .map(|purpose| {
                    let name = &purpose.name;
                    let is_held_for = document.hold_purposes.contains(name);
                    (name, purpose.basis == Some(Basis::Consent), is_held_for)
                })
                .collect(),
            recorded_with_consent: document.collection.basis == Some(Basis::Consent),
        }
    }
}

/// Names that a label cannot have, because principals or recordings have another attribute of that
/// name.
pub(in crate::policy) const RESERVED: [&str; 13] = [
    "every_account",
    "accounts",
    "account",
    "kind",
    "state",
    "tier",
    "collected_at",
    "revoked",
    "conference",
    "source",
    "duration_s",
    "channels",
    "roles",
];

/// Returns the schema as text, for Cedar and for people.
pub(super) fn text(vocabulary: &Vocabulary<'_>) -> String {
    let mut text = String::from(
        "// The attributes for rules of the privacy policy. An attribute with `?` is optional: \
         test it with `has` first.\nnamespace Recvault {\n",
    );
    let mut add = |line: std::fmt::Arguments<'_>| {
        // Writing to a `String` cannot fail.
        let _ = text.write_fmt(line);
    };
    add(format_args!(
        "    // The role of a principal: `principal in Recvault::Role::\"…\"`.\n    entity \
         Role{};\n",
        closed(&vocabulary.roles)
    ));
    add(format_args!(
        "    // The sensitivity of a recording: `resource.tier == Recvault::Tier::\"…\"`.\n    \
         entity Tier{};\n",
        closed(&vocabulary.tiers)
    ));
    add(format_args!(
        "    // The requester.\n    entity Principal in [Role] {{\n{PRINCIPAL}"
    ));
    for label in &vocabulary.labels {
        add(format_args!("        \"{label}\"?: Set<String>,\n"));
    }
    add(format_args!(
        "    }};\n    // The requested recording.\n    entity Recording {{\n{RECORDING}"
    ));
    for label in &vocabulary.labels {
        add(format_args!("        \"{label}\"?: String,\n"));
    }
    add(format_args!(
        "    }};\n    // The request, with facts of the vault about it.\n    type Request = \
         {{\n{CONTEXT}    }};\n{ACTIONS}"
    ));
    let with_consent = if vocabulary.recorded_with_consent {
        "\"RecordedWithConsent\""
    } else {
        ""
    };
    let unknown = if vocabulary.recorded_with_consent {
        format!(" in [{with_consent}]")
    } else {
        String::new()
    };
    add(format_args!("    action \"Unknown\"{unknown} {APPLIES};\n"));
    for (purpose, based_on_consent, is_held_for) in &vocabulary.purposes {
        let groups: Vec<&str> = [
            if *based_on_consent {
                "\"BasedOnConsent\""
            } else {
                ""
            },
            with_consent,
            if *is_held_for { "\"HeldFor\"" } else { "" },
        ]
        .into_iter()
        .filter(|group| !group.is_empty())
        .collect();
        let groups = if groups.is_empty() {
            String::new()
        } else {
            format!(" in [{}]", groups.join(", "))
        };
        add(format_args!(
            "    action \"{purpose}\"{groups} {APPLIES};\n"
        ));
    }
    text.push_str("}\n");
    text
}

/// Declares a closed list, unless it is empty: Cedar has no empty enumeration.
fn closed<T: std::fmt::Display>(names: &[T]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!(" enum [{}]", names.join(", "))
}

const PRINCIPAL: &str =
    "        // Whether the requester may see recordings of every account; if not, of these.
        every_account: Bool,
        accounts: Set<String>,
";

const RECORDING: &str = "        // The account of the recording.
        account: String,
        // call, message, chat-message, video-track or video-composition; today always call.
        kind: String,
        // announced, absent, failed, sealed or shredded.
        state: String,
        tier: Tier,
        // The time at which it began, as far as known.
        collected_at: datetime,
        // Whether it would have been shredded without a hold.
        revoked: Bool,
        // Whether it is of a conference.
        conference: Bool,
        // Twilio's source of the recording (DialVerb, …).
        source?: String,
        // Its length in seconds, and its number of channels, from Twilio.
        duration_s?: Long,
        channels?: Long,
";

const CONTEXT: &str = "        now: datetime,
        // The network address of the requester.
        network?: ipaddr,
        // The ticket: a case in another system.
        ticket?: String,
        // Whether there is a justification, and its length: 1001 stands for any greater length.
        justified: Bool,
        justification_length: Long,
        // Whether every party consents to the purpose, and to being recorded.
        consented: Bool,
        recording_consented: Bool,
        // Whether a hold for this purpose is in force.
        held: Bool,
        // The end of an approval by another person.
        approved_until?: datetime,
        // Whether the requester asks for break-glass, without approval.
        break_glass: Bool,
        // The number of recordings that the requester opened for this purpose today.
        openings_today: Long,
        // The end of an existing grant; missing in a request for a new grant.
        until?: datetime,
";

const ACTIONS: &str =
    "    // Groups: purposes based on consent; all purposes, where recording is based on consent.
    action \"BasedOnConsent\";
    action \"RecordedWithConsent\";
    // The purposes for which holds are placed.
    action \"HeldFor\";
    // The purposes. `Unknown` stands for every purpose that the policy does not declare.
";

const APPLIES: &str =
    "appliesTo { principal: [Principal], resource: [Recording], context: Request }";
