//! The invariants of a vault without a running process, however the last one ended: no partial
//! state, and an audit log without gaps.

use std::collections::BTreeMap;

use crate::world::World;

/// The state of a vault whose invariants hold.
#[derive(Debug)]
pub(crate) struct Found {
    /// The state of each recording by its id; for a shredded one, that of its receipt.
    pub(crate) states: BTreeMap<String, String>,
    /// Complete objects that no recording owns.
    pub(crate) orphans: usize,
    /// Objects of shredded recordings that are still in the catalogue, although their bytes are
    /// removed.
    pub(crate) removed: usize,
    /// Waiting work items.
    pub(crate) work: u32,
}

const RECORDINGS: &str = "
    SELECT r.id || '|' || r.state || '|' || r.source_status
      || '|' || (SELECT COUNT(*) FROM key_entries k WHERE k.recording_id = r.id)
      || '|' || (SELECT COUNT(*) FROM artefacts a WHERE a.recording_id = r.id)
      || '|' || COALESCE((SELECT MAX(a.object_id || ':' || a.sealed_len) FROM artefacts a WHERE a.recording_id = r.id), '')
      || '|' || (SELECT COUNT(*) FROM tombstones f WHERE f.recording_id = r.id)
      || '|' || (SELECT COUNT(f.fingerprint) FROM tombstones f WHERE f.recording_id = r.id)
      || '|' || COALESCE((SELECT MAX(c.state) FROM receipts c WHERE c.recording_id = r.id), '')
      || '|' || COALESCE((SELECT MAX(c.epoch) FROM receipts c WHERE c.recording_id = r.id), -1)
      || '|' || (SELECT COUNT(e.previous_destroyed_at) FROM epochs e JOIN receipts c ON c.epoch = e.epoch WHERE c.recording_id = r.id)
      || '|' || (SELECT COUNT(e.finished_at) FROM epochs e JOIN receipts c ON c.epoch = e.epoch WHERE c.recording_id = r.id)
      || '|' || (SELECT COUNT(*) FROM work w WHERE w.recording_id = r.id AND w.kind = 'fetch')
      || '|' || (SELECT COUNT(*) FROM work w WHERE w.recording_id = r.id AND w.kind = 'delete-ciphertext')
      || '|' || (SELECT COUNT(*) FROM work w WHERE w.recording_id = r.id AND w.kind = 'delete-at-source')
      || '|' || (SELECT COUNT(*) FROM audit e WHERE e.recording_id = r.id AND e.event = 'recording.sealed')
      || '|' || (SELECT COUNT(*) FROM audit e WHERE e.recording_id = r.id AND e.event = 'shred.tombstoned')
      || '|' || (SELECT COUNT(*) FROM audit e WHERE e.recording_id = r.id AND e.event = 'shred.bytes-removed')
    FROM recordings r ORDER BY r.id";

/// The number of entries, the highest number, and the number in the head.
const AUDIT: &str = "
    SELECT COUNT(*) || '|' || COALESCE(MAX(seq), 0) || '|' || COALESCE(MIN(seq), 1) || '|' || (SELECT seq FROM audit_head) FROM audit";

/// Whether a database was rebuilt.
const REBUILDINGS: &str = "SELECT event FROM audit WHERE event = 'vault.restored'";

/// Checks a vault that no process serves.
pub(crate) async fn check(world: &World) -> Found {
    let is_rebuilt = !world.database.texts(REBUILDINGS).await.is_empty();
    let rows = world.database.texts(RECORDINGS).await;
    let mut objects = world.objects();
    let mut found = Found {
        states: BTreeMap::new(),
        orphans: 0,
        removed: 0,
        work: 0,
    };
    for row in &rows {
        let columns: [&str; 18] = row.split('|').collect::<Vec<_>>().try_into().unwrap();
        let [
            id,
            state,
            status,
            keys,
            artefacts,
            object,
            tombstones,
            fingerprints,
            receipt,
            rest @ ..,
        ] = columns;
        let [
            epoch,
            destroyed,
            finished,
            fetches,
            removes,
            erases,
            sealings,
            fencings,
            removals,
        ] = rest;
        let stored = object
            .split_once(':')
            .and_then(|(object, _)| objects.remove(object.trim_start_matches("obj_")));
        let has_object = stored.is_some();
        if let (Some(stored), Some((_, catalogued))) = (stored, object.split_once(':')) {
            assert_eq!(
                stored.to_string(),
                catalogued,
                "an object has the length that is catalogued: {row}"
            );
        }
        let shred = (
            tombstones,
            fingerprints,
            receipt,
            removes,
            fencings,
            removals,
        );
        match state {
            "announced" => {
                assert_eq!(
                    (keys, artefacts, sealings),
                    ("0", "0", "0"),
                    "nothing of an announced recording is sealed: {row}"
                );
                assert_eq!(
                    shred,
                    ("0", "0", "", "0", "0", "0"),
                    "nothing of it is shredded: {row}"
                );
                assert_eq!(
                    fetches,
                    if status == "completed" { "1" } else { "0" },
                    "its fetch is waiting: {row}"
                );
            }
            "sealed" => {
                assert_eq!(
                    (keys, artefacts, has_object),
                    ("1", "1", true),
                    "a sealed recording has one key and one object: {row}"
                );
                assert_eq!(
                    shred,
                    ("0", "0", "", "0", "0", "0"),
                    "nothing of it is shredded: {row}"
                );
                assert_eq!((sealings, fetches), ("1", "0"), "it was sealed once: {row}");
            }
            "shredded" => {
                assert_eq!(
                    (keys, fetches),
                    ("0", "0"),
                    "a shredded recording has no key and is not fetched: {row}"
                );
                assert_eq!(
                    (tombstones, fingerprints, fencings),
                    ("1", sealings, "1"),
                    "tombstone and log agree: {row}"
                );
                // A rebuilt database may not know that the bytes are removed, and removes them
                // again.
                let is_again = is_rebuilt && matches!((removes, removals), ("1", "1") | ("0", "2"));
                assert!(
                    is_again || matches!((removes, removals), ("1", "0") | ("0", "1")),
                    "its bytes will be removed or are: {row}"
                );
                match (fingerprints, receipt) {
                    // A recording that was never sealed needs no removal and no turn, so its
                    // receipt waits for the source alone.
                    ("0", "closed") => {
                        assert_eq!((epoch, artefacts), ("0", "0"), "there was no key: {row}")
                    }
                    ("0", "tombstoned") => assert_eq!(
                        (epoch, artefacts, erases),
                        ("0", "0", "1"),
                        "there was no key: {row}"
                    ),
                    ("1", "tombstoned") => assert_eq!(
                        finished, "0",
                        "a turn that is done left nothing tombstoned: {row}"
                    ),
                    ("1", "unrecoverable") => {
                        assert!(
                            destroyed == "1" && (removes == "1" || erases == "1"),
                            "the old root is gone, some bytes are not: {row}"
                        )
                    }
                    ("1", "closed") => assert_eq!(
                        (destroyed, removes, artefacts),
                        ("1", "0", "0"),
                        "root and bytes are gone: {row}"
                    ),
                    _ => panic!("the receipt says how far it is: {row}"),
                }
                found.removed += usize::from(artefacts == "1" && !has_object);
            }
            _ => panic!("no recording here is absent or failed: {row}"),
        }
        // After the receipt is closed, a new callback of Twilio's is checked once more, but nothing
        // waits for that.
        let erases = if receipt == "closed" { "0" } else { erases };
        found.work += [fetches, removes, erases]
            .iter()
            .map(|count| count.parse::<u32>().unwrap())
            .sum::<u32>();
        found.states.insert(
            id.to_owned(),
            if state == "shredded" { receipt } else { state }.to_owned(),
        );
    }
    found.orphans = objects.len();

    let audit = world.database.texts(AUDIT).await.remove(0);
    let numbers: Vec<&str> = audit.split('|').collect();
    assert_eq!(numbers[2], "1", "the audit log begins with 1");
    assert!(
        numbers[0] == numbers[1] && numbers[1] == numbers[3],
        "the audit log has a gap: {audit}"
    );
    found
}
