//! The notice at the beginning of a thread: a person is told that messages are kept, and by whom,
//! once.
//!
//! Owns when it is due, the search for one that was sent, and what became of it. Refuses to know
//! what counts as an answer: until there is one, the thread's messages are in quarantine like any
//! recording.
//!
//! INVARIANTS
//! - Nothing is sent to a person who was told or has answered, nor again to one whom the source
//!   refused, as it does after an opt-out (error 21610).
//! - Before a notice is sent, the source's list is searched for it: a process that died after sending
//!   sends no second one. The notice is a message of its thread, which has its notice.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::told::{CONTACT, LINE, ends, leg};
use crate::{
    db::{
        self, Db, Unit, consents,
        notices::{self, NoticeRow},
        recordings,
        work::{self, Lease, WorkKind},
    },
    evidence::NewEntry,
    flow::{
        consent::{
            ConsentRegister, disclosed,
            statement::{About, NewStatement},
        },
        error::Error,
        retry::{Setback, UNKNOWN_ACCOUNT},
        twilio_access::TwilioAccess,
    },
    model::{
        consent::{Answer, Method, RECORDING},
        crash,
        name::LegName,
        recording::Recording,
        sid::MessageSid,
        subject::Conversation,
        text::Reference,
        time::{Clock, Timestamp},
    },
    policy::{MessagesFirst, NoticeSender, Permit, Rulebook, action},
    twilio::{
        Account, MessageAddress, RestError, TwilioClient,
        rest::{MessageResource, Pages},
    },
    vault,
};

/// The pause after an attempt that may have sent the notice, until it is surely in the list.
const LISTED_WITHIN: Duration = Duration::from_secs(30);
/// The first pause until the status of a notice is looked up again; each is longer, up to an hour.
const DELIVERY: Duration = Duration::from_secs(60);
/// An older message makes no notice due: an import of an account is no reason to write to everybody
/// who ever wrote, and WhatsApp takes no free text later.
const RECENT: Duration = Duration::from_secs(24 * 3600);
/// The most pages of messages from a line to a person that are searched.
const PAGES: usize = 20;

/// Makes the notices of these messages due that have none yet. They were put in quarantine by this
/// unit.
///
/// # Errors
/// The database's.
pub(super) async fn tell_first(
    unit: &mut Unit,
    rulebook: &Rulebook,
    closed: &[Recording],
    now: Timestamp,
) -> Result<(), vault::Error> {
    if notice_of(rulebook).is_none() {
        return Ok(());
    }
    let threads: BTreeSet<Conversation> = closed
        .iter()
        .filter(|recording| recording.collected_at.after(RECENT) > now)
        // No line writes to a group.
        .filter(|recording| {
            let author = recording.author.as_ref().map(LegName::as_str);
            matches!(author, Some(CONTACT | LINE))
        })
        .filter_map(|recording| recording.thread.clone())
        .collect();
    let fresh = notices::ask(unit, &threads, now).await?;
    work::enqueue(unit, WorkKind::SendNotice, &fresh, now).await?;
    Ok(())
}

/// Returns the notice that the vault sends, by the policy in force.
fn notice_of(rulebook: &Rulebook) -> Option<&MessagesFirst> {
    let first = rulebook
        .current()
        .document()
        .consent
        .messages_first
        .as_ref();
    first.filter(|first| first.sent_by == NoticeSender::Vault)
}

/// Sends notices.
pub(in crate::flow) struct Notices {
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    consents: Arc<ConsentRegister>,
}

/// What became of a notice at the source.
enum Delivery {
    Pending,
    Done,
    Refused(Option<i64>),
}

impl Notices {
    pub(in crate::flow) fn new(
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        consents: Arc<ConsentRegister>,
    ) -> Self {
        Self {
            db,
            rulebook,
            clock,
            twilio,
            consents,
        }
    }

    /// Sends the notice of a lease, unless it is not needed any more, and records what became of it.
    pub(in crate::flow) async fn perform(
        &self,
        lease: &Lease<Conversation>,
    ) -> Result<(), Setback> {
        let ours = |error: Error| Setback::of_ours(&error);
        let before = self.before(&lease.subject).await.map_err(ours)?;
        let Some((notice, waiting)) = self.due(&lease.subject).await.map_err(ours)? else {
            return self.end(lease, before, None).await.map_err(ours);
        };
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(waiting.account())
            .ok_or_else(|| Setback::Stuck(UNKNOWN_ACCOUNT.to_owned()))?;

        let sent = match &before.message {
            Some(message) => {
                let found = self.twilio.client.message(account, message).await;
                match found {
                    // Only what was sent is deleted there.
                    Err(RestError::NotFound) => Ok(None),
                    found => found.map(Some),
                }
            }
            None => self
                .find_or_send(account, &waiting, notice)
                .await?
                .map(Some),
        };
        let (message, delivery) = match sent {
            Ok(None) => (before.message.clone(), Delivery::Done),
            Ok(Some(found)) => (Some(found.sid.clone()), delivery(&found)),
            Err(RestError::Refused {
                status: 400,
                code: code @ Some(_),
            }) => (None, Delivery::Refused(code)),
            Err(RestError::Transient { .. } | RestError::Shape(_)) => {
                let why = "it is not known whether the notice was sent; the list is searched next";
                return Err(Setback::Pause(Some(LISTED_WITHIN), why.to_owned()));
            }
            Err(error) => return Err(Setback::of_rest(&error, Duration::MAX)),
        };
        let row = NoticeRow {
            message: message.clone(),
            ..before.clone()
        };
        if let Some(message) = message.filter(|_| before.message.is_none()) {
            self.note_sent(&row, &message, notice).await.map_err(ours)?;
        }
        match delivery {
            Delivery::Pending => {
                let times = u32::try_from(lease.attempts.clamp(1, 60)).unwrap_or(60);
                let again = self.clock.now().after(DELIVERY * times);
                Err(Setback::Until(again, "the notice is on its way".to_owned()))
            }
            Delivery::Done => {
                self.note_told(&row, notice).await.map_err(ours)?;
                self.end(lease, row, None).await.map_err(ours)
            }
            Delivery::Refused(code) => self.end(lease, row, Some(code)).await.map_err(ours),
        }
    }

    async fn before(&self, thread: &Conversation) -> Result<NoticeRow, Error> {
        let row = notices::find(&mut self.db.read().await?, thread).await?;
        // After a restore there may be work, but no row.
        Ok(row.unwrap_or_else(|| NoticeRow {
            thread: thread.clone(),
            asked_at: self.clock.now(),
            message: None,
            error_code: None,
            ended_at: None,
        }))
    }

    /// Returns the notice, and a message that waits for an answer, unless the person was told, has
    /// answered, or nothing waits.
    async fn due(
        &self,
        thread: &Conversation,
    ) -> Result<Option<(&MessagesFirst, Recording)>, Error> {
        let Some(notice) = notice_of(&self.rulebook) else {
            return Ok(None);
        };
        let mut tx = self.db.read().await?;
        let Some(waiting) = recordings::newest_waiting(&mut tx, thread).await? else {
            return Ok(None);
        };
        let known = consents::gather(&mut tx, std::slice::from_ref(&waiting)).await?;
        let recording = RECORDING.parse().expect("it is a name");
        let is_said = known
            .values()
            .flat_map(|consents| &consents.statements)
            .any(|said| said.is_about(&recording));
        Ok((!is_said).then_some((notice, waiting)))
    }

    /// Returns the notice that an earlier attempt sent, or sends it.
    async fn find_or_send(
        &self,
        account: &Account,
        waiting: &Recording,
        notice: &MessagesFirst,
    ) -> Result<Result<MessageResource, RestError>, Setback> {
        let client = &self.twilio.client;
        let of_rest = |error: RestError| {
            match error {
            RestError::NotFound => Setback::Stuck(
                "the message whose sender is to be told is no longer at Twilio; tell them by your application".to_owned(),
            ),
            error => Setback::of_rest(&error, Duration::MAX),
        }
        };
        let sid = waiting.source_ref.sid().parse();
        let sid: MessageSid = sid.map_err(|_| Setback::Stuck("not a message".to_owned()))?;
        let first = client.message(account, &sid).await.map_err(of_rest)?;
        let nobody = MessageAddress::parse("");
        let (line, contact) = ends(&first, &nobody);
        if contact.address().is_none() || line.expose().is_empty() {
            let why = "Twilio names no number that can be written to; tell the person by your application";
            return Err(Setback::Stuck(why.to_owned()));
        }
        let (line, contact) = (line.expose(), contact.expose());
        let list = client.messages_between(account, line, contact);
        if let Some(found) = search(client, account, list, &notice.text)
            .await
            .map_err(of_rest)?
        {
            return Ok(Ok(found));
        }
        crash::point("notice.before_send");
        let sent = client
            .send_message(account, line, contact, &notice.text)
            .await;
        crash::point("notice.after_send");
        Ok(sent)
    }

    /// Records that the source took the notice. From then on its list is not searched.
    async fn note_sent(
        &self,
        row: &NoticeRow,
        message: &MessageSid,
        notice: &MessagesFirst,
    ) -> Result<(), Error> {
        let version = self.rulebook.current().version();
        let noted = self.db.unit("notice.note_sent", async |mut unit| {
            notices::put(&mut unit, row).await?;
            let digest = disclosed(&notice.text);
            let now = self.clock.now();
            let entry = NewEntry::notice_sent(now, &row.thread, message, &digest, version);
            unit.audit(entry);
            Ok::<_, db::Error>(())
        });
        Ok(noted.await?)
    }

    /// Records that the person was told, and how. Repeating it changes nothing.
    async fn note_told(&self, row: &NoticeRow, notice: &MessagesFirst) -> Result<(), Error> {
        let evidence = row
            .message
            .as_ref()
            .map(|sid| format!("Twilio message {sid}"));
        let told = NewStatement {
            about: About::Place(row.thread.clone(), Some(leg(CONTACT))),
            purposes: [RECORDING.parse().expect("it is a name")].into(),
            answer: Answer::Informed,
            method: Method::Sms,
            evidence: evidence.and_then(|text| Reference::cut(&text).ok()),
            disclosure: Some(disclosed(&notice.text)),
            policy_version: None,
            at: None,
            once: Some(format!("notice/{}", row.thread)),
        };
        let permit = Permit::of_vault(action::Consent);
        self.consents.record(&permit, vec![told]).await.map(drop)
    }

    /// Ends the work. `refused`: with the error of the source.
    async fn end(
        &self,
        lease: &Lease<Conversation>,
        row: NoticeRow,
        refused: Option<Option<i64>>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let row = NoticeRow {
            error_code: refused.flatten(),
            ended_at: Some(now),
            ..row
        };
        if let Some(code) = refused {
            tracing::warn!(
                thread = %row.thread, code,
                "Twilio refuses the notice to a person; their messages stay in quarantine until they answer otherwise"
            );
        }
        let ended = self.db.unit("notice.end", async |mut unit| {
            notices::put(&mut unit, &row).await?;
            work::finish(&mut unit, lease).await?;
            match refused {
                Some(code) => unit.audit(NewEntry::notice_refused(now, &row.thread, code)),
                None => unit.without_entry("what was sent and told has an entry of its own"),
            }
            Ok::<_, db::Error>(())
        });
        Ok(ended.await?)
    }
}

/// Searches messages from the line to the person, newest first, for the notice.
async fn search(
    client: &TwilioClient,
    account: &Account,
    mut list: Pages<MessageResource>,
    text: &str,
) -> Result<Option<MessageResource>, RestError> {
    for _ in 0..PAGES {
        let Some(page) = list.next(client, account).await? else {
            return Ok(None);
        };
        let is_notice = |message: &MessageResource| {
            let body = message.body.as_ref();
            !message.is_inbound() && body.is_some_and(|body| body.expose() == text)
        };
        if let Some(found) = page.items.into_iter().find(is_notice) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn delivery(message: &MessageResource) -> Delivery {
    match message.status.as_str() {
        "sent" | "delivered" | "partially_delivered" | "read" => Delivery::Done,
        "failed" | "undelivered" | "canceled" => Delivery::Refused(message.error_code),
        _ => Delivery::Pending,
    }
}
