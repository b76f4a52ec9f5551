//! The Messages resource: listed, fetched, sent, redacted, deleted
//! (<https://www.twilio.com/docs/messaging/api/message-resource>).

use serde_json::{Value, json};

use super::{
    Owned, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    message::MessageFacts,
    new_sid, page,
    recordings::{BornBetween, is, newest_first},
    request::AuthenticatedRequest,
};
use crate::model::sid::MessageSid;

const TOO_EARLY: &str = "Cannot delete message because delivery has not been completed";

/// `GET …/Messages.json`, newest first. There is no filter by status or direction.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let sent = BornBetween::parse(&asked.query, ["DateSent", "DateSent<", "DateSent>"])?;
    let now = world.hours.now();
    let state = world.state();
    let items = state
        .messages
        .iter()
        .filter(|(_, owned)| owned.account == asked.account && state.shows(owned, now))
        .filter(|(_, owned)| sent.contains(owned.created))
        .filter(|(_, owned)| is(asked.query.get("From"), Some(owned.facts.from.clone())))
        .filter(|(_, owned)| is(asked.query.get("To"), Some(owned.facts.to.clone())))
        .map(|(sid, owned)| (newest_first(owned.created, sid.as_str()), (sid, owned)))
        .collect();
    let behaviour = &state.behaviour;
    page::of_2010(
        items,
        "messages",
        &asked.path,
        &asked.query,
        |(sid, owned)| {
            let hidden = Hidden {
                text: behaviour.message_texts_are_redacted,
                numbers: behaviour.message_numbers_are_redacted,
            };
            resource(sid, owned, hidden)
        },
    )
}

/// `GET …/Messages/{SM}.json`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    let (sid, owned) = state
        .message(&asked.account, &asked.ask.sid, world.hours.now())
        .ok_or_else(Refused::not_found)?;
    let hidden = Hidden {
        text: state.behaviour.message_texts_are_redacted,
        numbers: state.behaviour.message_numbers_are_redacted,
    };
    Ok(StandInAnswer::ok(resource(&sid, owned, hidden)))
}

/// `POST …/Messages.json`: takes a message. It stays `queued` until a test changes its status.
pub(super) fn create(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let given = |name: &str| asked.form.get(name).unwrap_or_default();
    let (from, to, body) = (given("From"), given("To"), given("Body"));
    for (text, code, name) in [
        (to, 21604, "To"),
        (from, 21603, "From"),
        (body, 21602, "Body"),
    ] {
        if text.is_empty() {
            let why = format!("A '{name}' is required.");
            return Err(Refused::new(400, code, &why));
        }
    }
    let sid: MessageSid = new_sid("SM")
        .parse()
        .expect("it has the prefix and 32 digits");
    let mut facts = MessageFacts {
        status: "queued".to_owned(),
        ..MessageFacts::outbound(from, to, body)
    };
    let mut owned = world.own(&asked.account, facts.clone());
    let mut state = world.state();
    if state.behaviour.opted_out.contains(to) {
        if !state.behaviour.opt_out_is_found_late {
            let why = "Attempt to send to unsubscribed recipient";
            return Err(Refused::new(400, 21610, why));
        }
        (facts.status, facts.error_code) = ("failed".to_owned(), Some(21610));
    }
    owned.facts = facts;
    owned.created = world.hours.now();
    let shown = Hidden {
        text: false,
        numbers: false,
    };
    let answer = StandInAnswer::created(resource(&sid, &owned, shown));
    state.messages.insert(sid, owned);
    Ok(answer)
}

/// `POST …/Messages/{SM}.json`: `Body=` empties the text. Nothing else can be changed.
pub(super) fn update(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let mut state = world.state();
    let now = world.hours.now();
    let (sid, owned) = state
        .message(&asked.account, &asked.ask.sid, now)
        .ok_or_else(Refused::not_found)?;
    match (asked.form.get("Body"), asked.form.get("Status")) {
        (Some(""), None) => {}
        (None, Some("canceled")) => {
            return Err(Refused::new(
                409,
                30409,
                "The message cannot be canceled any more",
            ));
        }
        _ => return Err(Refused::new(400, 30400, "Only an empty Body can be set")),
    }
    if world.is_incomplete(&state, owned) {
        return Err(Refused::of(&state.behaviour.message_undeletable, TOO_EARLY));
    }
    let owned = state
        .messages
        .get_mut(&sid)
        .ok_or_else(Refused::not_found)?;
    owned.facts.body.clear();
    let owned = owned.clone();
    let hidden = Hidden {
        text: state.behaviour.message_texts_are_redacted,
        numbers: state.behaviour.message_numbers_are_redacted,
    };
    Ok(StandInAnswer::ok(resource(&sid, &owned, hidden)))
}

/// `DELETE …/Messages/{SM}.json`: takes its media with it.
pub(super) fn delete(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let mut state = world.state();
    let (sid, owned) = state
        .message(&asked.account, &asked.ask.sid, world.hours.now())
        .ok_or_else(Refused::not_found)?;
    if world.is_incomplete(&state, owned) {
        return Err(Refused::of(&state.behaviour.message_undeletable, TOO_EARLY));
    }
    state.messages.remove(&sid);
    Ok(StandInAnswer::Empty)
}

/// What Message Redaction hides.
#[derive(Clone, Copy)]
struct Hidden {
    text: bool,
    numbers: bool,
}

fn resource(sid: &MessageSid, owned: &Owned<MessageFacts>, hidden: Hidden) -> Value {
    let Owned {
        account,
        created,
        facts,
    } = owned;
    let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
    let number = |number: &str| match number.len().checked_sub(4) {
        Some(kept) if hidden.numbers => {
            let shown: String = number.chars().take(kept).collect();
            format!("{shown}XXXX")
        }
        _ => number.to_owned(),
    };
    json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "body": if hidden.text { "" } else { &facts.body },
        "date_created": rfc2822(*created),
        "date_sent": rfc2822(*created),
        "date_updated": rfc2822(*created),
        "direction": facts.direction,
        "error_code": facts.error_code,
        "error_message": null,
        "from": number(&facts.from),
        "messaging_service_sid": facts.messaging_service,
        "num_media": facts.media.len().to_string(),
        "num_segments": "1",
        "price": null,
        "price_unit": "USD",
        "sid": sid,
        "status": facts.status,
        "subresource_uris": {
            "media": format!("{uri}/Media.json"),
            "feedback": format!("{uri}/Feedback.json"),
        },
        "to": number(&facts.to),
        "uri": format!("{uri}.json"),
    })
}
