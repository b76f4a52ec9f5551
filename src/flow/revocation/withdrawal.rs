//! What follows from a withdrawal that is told as a statement of consent.
//!
//! Owns which revocation it is. A statement ends what rests on consent and nothing else: where recording itself rests on it, in any version of the policy, what it
//! covers is shredded; otherwise purposes are closed. (Who wants everything of a person gone, whatever it rests on, revokes without naming purposes.)

use std::{collections::BTreeSet, time::Duration};

use super::work::LEASE;
use crate::{
    evidence::{NewEntry, ShredReason},
    flow::{Error, Flow},
    ledger::{
        Tx,
        marks::{self, Marked},
        recordings,
        revocations::{self, Revocation},
    },
    model::{
        consent::{Answer, RECORDING, Statement, Whom},
        id::RevocationId,
        name::Purpose,
        recording::State,
        revocation::Target,
        time::Timestamp,
    },
    policy::Permit,
};

/// How long whoever tells of a withdrawal waits for what follows; the rest goes on by itself.
const PATIENCE: Duration = Duration::from_secs(5);

impl Flow {
    /// Begins the revocations that follow from statements which were just entered, in the same unit: they are on their way whatever happens next.
    pub(in crate::flow) async fn begin_withdrawals(
        &self,
        tx: &mut Tx,
        permit: &Permit,
        said: &[&Statement],
        now: Timestamp,
    ) -> Result<(Vec<RevocationId>, Vec<NewEntry>), Error> {
        let reason: ShredReason = "consent-withdrawn".parse().expect("it is a code");
        let (mut begun, mut entries) = (Vec::new(), Vec::new());
        for statement in said.iter().filter(|said| said.answer == Answer::Withdrawn) {
            let Some(purposes) = self.ended_by(statement) else { continue };
            let targets = match &statement.whom {
                Whom::Subject(subject) => vec![Target::Subject(*subject)],
                Whom::Leg(conversation, _) => {
                    let recordings = recordings::of_conversation(tx, conversation).await?.into_iter();
                    recordings
                        .filter(|recording| recording.state != State::Shredded)
                        .map(|recording| Target::Recording(recording.id))
                        .collect()
                }
            };
            for target in targets {
                let revocation = Revocation {
                    id: RevocationId::random(&mut rand::rng()),
                    target,
                    purposes: purposes.clone(),
                    accounts: permit.accounts().clone(),
                    reason: reason.clone(),
                    actor: *permit.actor(),
                    revoked_at: now,
                    is_done: false,
                    cursor: None,
                    jws: None,
                    finished_at: None,
                };
                revocations::insert(tx, &revocation, now.after(LEASE)).await?;
                marks::set(tx, Marked::Revocation, &[revocation.id], now).await?;
                let (id, reach) = (revocation.id, revocation.target.kind());
                entries.push(NewEntry::revocation_begun(now, revocation.actor, id, reach, &revocation.purposes, &reason));
                begun.push(id);
            }
        }
        Ok((begun, entries))
    }

    /// Does what was begun, for a while.
    pub(in crate::flow) async fn go_on_with(&self, begun: &[RevocationId]) -> Result<(), Error> {
        for id in begun {
            metrics::counter!("recvault_revocations_total").increment(1);
            self.go_on_for(*id, PATIENCE).await?;
        }
        Ok(())
    }

    /// The purposes that a withdrawal ends, none for all of the recording; `None` if nothing that rests on consent is among them.
    fn ended_by(&self, statement: &Statement) -> Option<BTreeSet<Purpose>> {
        let book = &self.0.rulebook;
        let recording: Purpose = RECORDING.parse().expect("it is a name");
        if statement.is_about(&recording) && book.records_with_consent() {
            return Some(BTreeSet::new());
        }
        let ended: BTreeSet<Purpose> = book.resting_on_consent().filter(|purpose| statement.is_about(purpose)).cloned().collect();
        (!ended.is_empty()).then_some(ended)
    }
}
