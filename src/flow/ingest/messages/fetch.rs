//! Fetching of messages that were announced without their text: outgoing ones, and those that only
//! the source's list named.
//!
//! Owns the order: text, tier, seal, entry. Refuses to know how the source is asked (`twilio`).

use std::sync::Arc;

use super::{LINE, MessageIntake, commit::follow_entering, contact_of, content_tiers, erase_at};
use crate::{
    db::{
        self, Db, parties,
        work::{self, Lease},
    },
    flow::{
        erasure::revocation::close::close_arriving,
        error::Error,
        ingest::{failure::FetchFailure, fetched::Fetched, keep::lets_go_unheard},
        reclassification::Reclassification,
        twilio_access::TwilioAccess,
        units::unit_with_keys,
        wakeups::Wakeups,
    },
    model::{
        id::RecordingId,
        name::Tier,
        recording::Recording,
        subject::{Address, Conversation},
        time::Clock,
        transcript::Transcript,
    },
    policy::Rulebook,
    twilio::{FetchError, MessageAddress, rest::MessageResource},
    vault::{self, MessageContent, SealedMessage, Vault},
};

/// Fetches and seals messages.
pub(in crate::flow) struct MessageFetching {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    wakeups: Wakeups,
    reclassification: Arc<Reclassification>,
    intake: Arc<MessageIntake>,
}

impl MessageFetching {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a dependency of its own, given once by the assembly"
    )]
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        wakeups: Wakeups,
        reclassification: Arc<Reclassification>,
        intake: Arc<MessageIntake>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            twilio,
            wakeups,
            reclassification,
            intake,
        }
    }

    /// Fetches and seals the announced message of a lease.
    pub(in crate::flow) async fn fetch(
        &self,
        lease: &Lease<RecordingId>,
        recording: &Recording,
    ) -> Result<Fetched, FetchFailure> {
        let ours = FetchFailure::Ours;
        if self
            .intake
            .admission()
            .is_revoked(recording)
            .await
            .map_err(ours)?
        {
            return Ok(Fetched::LetGo);
        }
        if let Some(why) = lets_go_unheard(&self.rulebook, recording) {
            let gone = self.intake.admission().let_go(recording.id, why).await;
            gone.map_err(ours)?;
            return Ok(Fetched::LetGo);
        }
        let resource = self.resource(recording).await?;
        let author = recording.author.clone().unwrap_or_else(|| super::leg(LINE));
        let text = Transcript::written(body(&resource), &author);
        self.raise(recording, &resource, &text)
            .await
            .map_err(ours)?;
        let thread = self.intake.place(recording.account(), &resource).await;
        let thread = thread.map_err(ours)?;
        let content = MessageContent {
            form: &form(&resource),
            text: &text.to_json(),
            parties: contact(&resource).map(contact_of).into_iter().collect(),
        };
        let sealed = self.vault.seal_message(recording.id, content).await;
        let sealed = sealed.map_err(|error| ours(error.into()))?;
        let entered = self.enter(lease, recording, &resource, thread.as_ref(), &sealed);
        match entered.await {
            Ok(()) => {
                self.wakeups.journal.notify_one();
                Ok(Fetched::Sealed)
            }
            Err(error) => {
                // Discarded immediately only if the transaction certainly did not commit.
                if did_not_commit(&error) {
                    for object in sealed.objects() {
                        self.vault.delete_orphan(object).await;
                    }
                }
                // Revoked during the fetch.
                let is_gone = matches!(error, Error::Vault(vault::Error::Gone));
                if is_gone
                    && self
                        .intake
                        .admission()
                        .is_revoked(recording)
                        .await
                        .map_err(ours)?
                {
                    return Ok(Fetched::LetGo);
                }
                Err(ours(error))
            }
        }
    }

    async fn resource(&self, recording: &Recording) -> Result<MessageResource, FetchFailure> {
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .ok_or(FetchFailure::UnknownAccount)?;
        let sid = recording.source_ref.sid().parse();
        let sid = sid.map_err(|_| FetchFailure::Source(FetchError::NotYet))?;
        let told = self.twilio.client.message(account, &sid).await;
        told.map_err(|error| FetchFailure::Source(error.into()))
    }

    /// Moves the message to the tier of its numbers and its content, before anything of it is
    /// sealed.
    async fn raise(
        &self,
        recording: &Recording,
        resource: &MessageResource,
        text: &Transcript,
    ) -> Result<(), Error> {
        let ends: Vec<Address> = [&resource.from, &resource.to]
            .into_iter()
            .flatten()
            .filter_map(|end| end.address().cloned())
            .collect();
        self.reclassification
            .reclassify_by_lines(recording, &ends)
            .await?;
        let rules = self.rulebook.current();
        let tiers: Vec<Tier> = content_tiers(rules, text).cloned().collect();
        if tiers.is_empty() {
            return Ok(());
        }
        self.reclassification
            .raise(
                recording.id,
                |recording| rules.raised(recording, &tiers).cloned(),
                &["content"],
            )
            .await?;
        Ok(())
    }

    async fn enter(
        &self,
        lease: &Lease<RecordingId>,
        recording: &Recording,
        resource: &MessageResource,
        thread: Option<&Conversation>,
        sealed: &SealedMessage,
    ) -> Result<(), Error> {
        let files = resource.num_media.unwrap_or_default();
        let erase_at = erase_at(&self.twilio, recording.account(), self.clock.now());
        unit_with_keys(&self.db, &self.vault, "messages.enter", async |mut unit| {
            let now = self.clock.now();
            let unit = &mut unit;
            let threads: Vec<Conversation> = thread
                .or(recording.thread.as_ref())
                .cloned()
                .into_iter()
                .collect();
            parties::share(unit, [recording.account()], &threads).await?;
            db::recordings::set_files(unit, recording.id, files).await?;
            if let Some(thread) = thread {
                db::recordings::set_thread(unit, recording.id, thread).await?;
            }
            let entered = self.vault.enter_messages(unit, &[sealed]).await?;
            let [recording] = entered.as_slice() else {
                return Err(db::Error::Stale("the message is not waiting to be sealed").into());
            };
            work::finish(unit, lease).await?;
            follow_entering(unit, &self.rulebook, &entered, |_| erase_at, now).await?;
            match close_arriving(unit, &self.rulebook, recording, now).await? {
                Some(_) => Err(vault::Error::Gone.into()),
                None => Ok(()),
            }
        })
        .await
    }
}

fn did_not_commit(error: &Error) -> bool {
    matches!(
        error,
        Error::Vault(
            vault::Error::Gone | vault::Error::Db(db::Error::Stale(_) | db::Error::LeaseLost)
        )
    )
}

fn body(resource: &MessageResource) -> &str {
    resource.body.as_ref().map_or("", |body| body.expose())
}

/// Returns the end that is not the account's own.
fn contact(resource: &MessageResource) -> Option<&MessageAddress> {
    if resource.is_inbound() {
        resource.from.as_ref()
    } else {
        resource.to.as_ref()
    }
}

/// Returns the message as the source's list states it, in the form of a callback.
fn form(resource: &MessageResource) -> zeroize::Zeroizing<Vec<u8>> {
    let address = |end: &Option<MessageAddress>| {
        end.as_ref()
            .map(|address| address.expose().to_owned())
            .unwrap_or_default()
    };
    let fields = [
        ("MessageSid", resource.sid.to_string()),
        ("Direction", resource.direction.clone()),
        ("MessageStatus", resource.status.clone()),
        ("From", address(&resource.from)),
        ("To", address(&resource.to)),
        ("Body", body(resource).to_owned()),
        (
            "NumMedia",
            resource.num_media.unwrap_or_default().to_string(),
        ),
        (
            "DateSent",
            resource
                .date_sent
                .map(|at| at.to_string())
                .unwrap_or_default(),
        ),
    ];
    let fields = fields.map(|(name, value)| (name, zeroize::Zeroizing::new(value)));
    let pairs: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    zeroize::Zeroizing::new(serde_json::to_vec(&pairs).expect("pairs of texts have a JSON form"))
}
