//! The units of work that change rows without an audit entry: each with its reason, here and in the
//! code, so that a new one changes this list and is visible in review.

use std::collections::BTreeSet;

use super::lexer::Code;

/// The reasons why units of these files need no entry.
const EXCUSED: &[(&str, &[&str])] = &[
    (
        "src/flow/queue.rs",
        &[
            "there is nothing to do",
            "when work is due",
            "whose the work is",
            "work that is put off is no act",
        ],
    ),
    (
        "src/flow/idempotency.rs",
        &["whose the request is", "what was done is told by itself"],
    ),
    (
        "src/flow/consent/parties/joining.rs",
        &["nothing joined", "what a recording belongs to is no act"],
    ),
    (
        "src/flow/consent/parties/members.rs",
        &["a participant that is known is no news"],
    ),
    (
        "src/flow/ingest/messages/chats.rs",
        &["the state of a chat is no news about a recording"],
    ),
    (
        "src/flow/ingest/messages/chats/deliveries.rs",
        &["a copy that was seen is no act"],
    ),
    (
        "src/flow/ingest/messages/chats/read.rs",
        &["what was read is told by itself"],
    ),
    (
        "src/flow/ingest/messages/chats/states.rs",
        &[
            "a removal that is known is no news",
            "a state that is fetched is told when it is sealed",
            "a state that is known is no news",
        ],
    ),
    (
        "src/flow/ingest/messages/fetch.rs",
        &[
            "a new state has an entry of its own",
            "the thread of a message is no act",
        ],
    ),
    (
        "src/flow/ingest/messages/commit.rs",
        &["a message that came before is no news"],
    ),
    (
        "src/flow/ingest/messages/files.rs",
        &["each file has an entry of its own"],
    ),
    (
        "src/flow/ingest/messages/notice.rs",
        &["what was sent and told has an entry of its own"],
    ),
    (
        "src/flow/ingest/sessions.rs",
        &["the naming has an entry of its own"],
    ),
    ("src/flow/playback/ending.rs", &["it was ended before"]),
    (
        "src/flow/policies/approval.rs",
        &["it was asked for before"],
    ),
    (
        "src/flow/reconcile/backfill.rs",
        &["how far the listing came"],
    ),
    (
        "src/flow/upkeep/garbage.rs",
        &["what is over is cleared away"],
    ),
    ("src/drill/canary.rs", &["whose the work is"]),
    ("src/flow/clock.rs", &["a clock that runs is no act"]),
    (
        "src/flow/reconcile.rs",
        &["a comparison that found nothing new is no news"],
    ),
    (
        "src/flow/reconcile/compare.rs",
        &["what is to be done is told when it is done"],
    ),
    ("src/flow/reconcile/turn.rs", &["whose the comparison is"]),
    (
        "src/flow/erase/settle.rs",
        &["a copy that is looked at again is no news"],
    ),
    (
        "src/flow/erasure/revocation/close.rs",
        &["a recording that is closed already is no news"],
    ),
    (
        "src/flow/erasure/shredding/units.rs",
        &["what was let go of before is counted with this revocation, too"],
    ),
    (
        "src/flow/erasure/revocation/work.rs",
        &["how far the work came", "whose the work is"],
    ),
    (
        "src/flow/transcription.rs",
        &[
            "a transcript that is passed over is no act",
            "work that is put off is no act",
        ],
    ),
    (
        "src/flow/transcription/look.rs",
        &["what is found waits until it is filed"],
    ),
    (
        "src/flow/transcription/told.rs",
        &["what Twilio tells waits until it is filed"],
    ),
    (
        "src/flow/transcription/filing/rank.rs",
        &["a transcript that another supersedes is not filed"],
    ),
    (
        "src/db/accept.rs",
        &["what is announced is told when it is sealed"],
    ),
    (
        "src/flow/ingest/parties/room.rs",
        &["what is announced is told when it is sealed"],
    ),
    ("src/vault.rs", &["there is no vault yet"]),
    (
        "src/vault/epoch.rs",
        &[
            "a turn is told when it commits",
            "receipts say what was told when the root was destroyed",
            "that the root is destroyed was told",
        ],
    ),
    (
        "src/vault/epoch/custody.rs",
        &["the lease of the turn is kept"],
    ),
    (
        "src/vault/epoch/turner.rs",
        &["the lease of the turn is kept", "whose the turn is"],
    ),
    ("src/vault/journal.rs", &["what is in the store by now"]),
    (
        "src/vault/snapshot/shared.rs",
        &[
            "an entry told that the object was given up",
            "an object that nothing names yet",
            "what an object has that a snapshot is about to name",
        ],
    ),
    (
        "src/vault/packs.rs",
        &[
            "a pack that nothing names yet",
            "where the store has what the database has",
            "since when a pack holds dead bytes",
            "what a pack had is told of elsewhere",
        ],
    ),
    (
        "src/vault/packs/restored.rs",
        &["the database has what the store has"],
    ),
    (
        "src/vault/shred.rs",
        &["packs hold ciphertext of it, and the receipt waits for them"],
    ),
];

/// Returns the differences between the list and the code.
pub(super) fn unlisted(program: &[Code]) -> Vec<String> {
    let said: BTreeSet<(&str, &str)> = program.iter().flat_map(excuses).collect();
    let listed: BTreeSet<(&str, &str)> = EXCUSED
        .iter()
        .flat_map(|(path, reasons)| reasons.iter().map(move |reason| (*path, *reason)))
        .collect();
    let new = said.difference(&listed).map(|(path, reason)| {
        format!(
            "{path}: a unit of work tells the audit log nothing, because `{reason}`: tell it, or add this to the list in tests/tidy/units.rs"
        )
    });
    let gone = listed.difference(&said).map(|(path, reason)| {
        format!("{path}: no unit says `{reason}` any more: take it out of tests/tidy/units.rs")
    });
    new.chain(gone).collect()
}

/// Returns the file and its reasons. An argument that is no literal text counts as empty.
fn excuses(code: &Code) -> Vec<(&str, &str)> {
    if code.path == "src/db/unit.rs" {
        return Vec::new();
    }
    let calls = code.words("without_entry").map(|at| {
        // The contents of texts are blank in the code.
        let line = code.code[..at].matches('\n').count() + 1;
        let (_, arguments) = code.code[at..].split_once('(').unwrap_or_default();
        let (argument, _) = arguments.split_once(')').unwrap_or_default();
        let is_text = !argument.contains(|c: char| c.is_alphanumeric());
        let said = code
            .texts
            .iter()
            .find(|(there, _)| is_text && *there >= line);
        said.map_or("", |(_, text)| text.as_str())
    });
    calls.map(|said| (code.path.as_str(), said)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer;

    #[test]
    fn an_excuse_that_is_not_listed_is_found() {
        let said = |text: &str| {
            let code = lexer::read("src/flow/a.rs", text).without_tests();
            excuses(&code)
                .into_iter()
                .map(|(_, said)| said.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            said("f(\"b\");\nunit.without_entry(\"a\"); f(\"c\");"),
            ["a"]
        );
        assert_eq!(said("unit.without_entry(\n    \"a\",\n);"), ["a"]);
        assert_eq!(said("unit.without_entry(why); f(\"c\");"), [""]);
        assert_eq!(said("// unit.without_entry(\"a\")"), [""; 0]);
        let codes = [lexer::read("src/flow/a.rs", "unit.without_entry(\"a\");")];
        let faults = unlisted(&codes);
        assert!(faults[0].contains("src/flow/a.rs"), "{faults:?}");
        let listed = EXCUSED.iter().flat_map(|(_, reasons)| *reasons).count();
        assert_eq!(
            faults.len(),
            1 + listed,
            "those that are gone are found, too"
        );
    }
}
