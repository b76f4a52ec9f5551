//! Texts that go through a session of Proxy, in which neither side sees the other's number.
//!
//! Owns the places in a session: one for each participation. Refuses to ask the source who takes
//! part (`sessions`): the callback has no number, and must be durable before it is answered.
//! INVARIANT: the mask, the line between the two sides, is never a party.

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    MessageIntake,
    tier::tier_of,
    told::{LINE, Told, form_of, leg},
};
use crate::{
    db::{accept::Announcement, parties, session_calls::SessionCall},
    flow::{consent::parties::joining::Joining, error::Error},
    model::{
        crash,
        details::Participant,
        media::MediaKind,
        name::LegName,
        recording::DiscoveredBy,
        sid::{AccountSid, CallSid, ProxyParticipantSid},
        source::{CopyKind, SourceCopy},
        subject::{Conversation, PartyScope},
        transcript::Transcript,
    },
    twilio::{Interaction, InteractionCallback, InteractionKind, InteractionSide},
    vault::{Keeping, MessageContent},
};

/// A text through a session, as the source told of it.
struct InteractionText<'a> {
    account: &'a AccountSid,
    interaction: &'a Interaction,
    /// Every field, as delivered.
    form: &'a [u8],
    query: &'a [(String, String)],
    heard_by: DiscoveredBy,
}

impl MessageIntake {
    /// Keeps a text that goes through a session, if the policy in force keeps messages. When this
    /// returns, it is sealed and durable. A call has no text: its recording is announced by itself,
    /// and finds its session by what is noted here. Repeating it changes nothing, except that a message behind
    /// it that was not known yet is known then.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub async fn keep_interaction(&self, told: &InteractionCallback) -> Result<(), Error> {
        if told.interaction.kind == InteractionKind::Voice {
            return self.note_calls(&told.account, &told.interaction).await;
        }
        self.keep_text(InteractionText {
            account: &told.account,
            interaction: &told.interaction,
            form: told.form.as_bytes(),
            query: &told.query,
            heard_by: DiscoveredBy::Callback,
        })
        .await
    }

    /// Notes that calls go through a session, if the policy in force keeps calls: their recordings,
    /// which may have come already, belong to it.
    async fn note_calls(&self, account: &AccountSid, told: &Interaction) -> Result<(), Error> {
        if !self.rulebook.current().keeps(MediaKind::CallAudio) {
            return Ok(());
        }
        let sides = [&told.inbound, &told.outbound];
        let calls: Vec<CallSid> = sides
            .into_iter()
            .filter_map(InteractionSide::call)
            .collect();
        let now = self.clock.now();
        let row = |call: &CallSid| SessionCall {
            call: call.clone(),
            account: account.clone(),
            session: told.session.clone(),
            caller: told.inbound.participant.clone(),
            callee: told.outbound.participant.clone(),
            told_at: now,
        };
        let rows: Vec<SessionCall> = calls.iter().map(row).collect();
        let joining = Joining::Calls {
            session: &told.session,
            calls: &calls,
            noted: &rows,
        };
        self.parties.join(account, joining).await?;
        crash::point("sessions.noted");
        Ok(())
    }

    /// Keeps a text that the source lists and no callback told of.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(in crate::flow) async fn keep_listed_interaction(
        &self,
        account: &AccountSid,
        listed: &Interaction,
    ) -> Result<(), Error> {
        if listed.kind == InteractionKind::Voice {
            return self.note_calls(account, listed).await;
        }
        self.keep_text(InteractionText {
            account,
            interaction: listed,
            form: &form(listed),
            query: &[],
            heard_by: DiscoveredBy::Reconcile,
        })
        .await
    }

    async fn keep_text(&self, told: InteractionText<'_>) -> Result<(), Error> {
        let rules = self.rulebook.current();
        let interaction = told.interaction;
        if interaction.kind != InteractionKind::Message || !rules.keeps(MediaKind::Message) {
            return Ok(());
        }

        let session = Conversation::Session(interaction.session.clone());
        let author = interaction.inbound.participant.as_ref();
        let author = author.map_or_else(|| leg(LINE), place_of);
        let announcement = self.announcement(
            rules,
            &Told {
                source_ref: interaction.source_ref(told.account),
                thread: Some(session.clone()),
                source: None,
                author: author.clone(),
                status: "received",
                error_code: None,
                files: interaction.num_media,
                query: told.query,
                at: interaction.created_at,
            },
        );
        let announcement = Announcement {
            heard_by: told.heard_by,
            ..announcement
        };
        let parties = self
            .take_places(told.account, &session, interaction)
            .await?;
        let body = interaction.body.as_ref().map_or("", |body| body.expose());
        let text = Transcript::written(body, &author);
        // The rules for numbers apply once the numbers are known.
        let tier = tier_of(rules, &announcement, &[], [&text]);
        let content = MessageContent {
            form: told.form,
            text: &text.to_json(),
            parties,
            edit: None,
        };
        let announcement = Announcement {
            tier,
            ..announcement
        };
        let copies = self.copies_of(interaction);
        self.seal(announcement, content, copies).await
    }

    /// Notes the participants of a session, unless they are. Nobody knows yet who they are.
    async fn take_places(
        &self,
        account: &AccountSid,
        session: &Conversation,
        interaction: &Interaction,
    ) -> Result<Vec<Participant>, Error> {
        let sides = [&interaction.inbound, &interaction.outbound];
        let places = sides
            .into_iter()
            .filter_map(|side| side.participant.as_ref());
        let parties: Vec<Participant> = places.map(|sid| Participant::at(place_of(sid))).collect();
        let only = std::slice::from_ref(session);
        let scope = PartyScope::from(account);
        let known = parties::of(&mut self.db.read().await?, &scope, only).await?;
        let is_known = |party: &Participant| {
            let mut known = known.values().flatten();
            known.any(|known| known.leg == party.leg)
        };
        if !parties.iter().all(is_known) {
            let unknown: Vec<Participant> = parties
                .iter()
                .filter(|party| !is_known(party))
                .cloned()
                .collect();
            self.parties
                .name_found(account, session, &unknown, Keeping::Carried)
                .await?;
        }
        Ok(parties)
    }

    /// Returns the copies at the source: the interaction, and the messages behind it.
    fn copies_of(&self, interaction: &Interaction) -> Vec<SourceCopy> {
        let now = self.clock.now();
        let own = SourceCopy::found(CopyKind::Interaction, interaction.sid.as_str(), now);
        let legs = [&interaction.inbound, &interaction.outbound];
        let legs = legs.into_iter().filter_map(InteractionSide::message);
        let legs = legs.map(|sid| SourceCopy::found(CopyKind::Message, sid.as_str(), now));
        std::iter::once(own).chain(legs).collect()
    }
}

/// Returns the place of a participation in its session.
pub(in crate::flow) fn place_of(sid: &ProxyParticipantSid) -> LegName {
    leg(&sid.as_str().to_ascii_lowercase())
}

/// Returns an interaction as the source's list states it, in the form of its callback.
fn form(listed: &Interaction) -> Zeroizing<Vec<u8>> {
    let sid = |sid: Option<&str>| Zeroizing::new(sid.unwrap_or_default().to_owned());
    let body = listed.body.as_ref().map(|body| body.expose());
    let data = body.map_or_else(String::new, |body| json!({ "body": body }).to_string());
    let participant = |side: &InteractionSide| sid(side.participant.as_ref().map(|of| of.as_str()));
    form_of(&[
        ("interactionSid", sid(Some(listed.sid.as_str()))),
        ("interactionSessionSid", sid(Some(listed.session.as_str()))),
        (
            "interactionServiceSid",
            sid(listed.service.as_ref().map(|of| of.as_str())),
        ),
        ("interactionData", Zeroizing::new(data)),
        ("inboundParticipantSid", participant(&listed.inbound)),
        (
            "inboundResourceSid",
            sid(listed.inbound.resource.as_deref()),
        ),
        ("outboundParticipantSid", participant(&listed.outbound)),
        (
            "outboundResourceSid",
            sid(listed.outbound.resource.as_deref()),
        ),
    ])
}
