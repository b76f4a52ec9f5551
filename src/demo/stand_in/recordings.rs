//! The Recordings resource: listed, fetched, deleted
//! (<https://www.twilio.com/docs/voice/api/recording>).

use serde_json::{Value, json};

use super::{
    World,
    answer::{Refused, StandInAnswer},
    hours::{filter_time, rfc2822},
    page::{self, FormPairs},
    recording::HeldRecording,
    request::AuthenticatedRequest,
    route::Below,
};
use crate::model::{sid::RecordingSid, time::Timestamp};

/// `GET …/Recordings.json`, newest first.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let born = BornBetween::parse(
        &asked.query,
        ["DateCreated", "DateCreated<", "DateCreated>"],
    )?;
    let deleted_too = asked.query.flag("IncludeSoftDeleted").unwrap_or_default();
    let now = world.hours.now();
    let state = world.state();
    let items = state
        .recordings
        .iter()
        .filter(|(_, held)| held.account == asked.account && is_below(held, &asked.ask.below))
        .filter(|(_, held)| {
            !state.has_expired(held, now) && (held.deleted.is_none() || deleted_too)
        })
        .filter(|(_, held)| born.contains(held.created))
        .filter(|(_, held)| {
            is(
                asked.query.get("CallSid"),
                held.facts.call.as_ref().map(ToString::to_string),
            )
        })
        .filter(|(_, held)| {
            is(
                asked.query.get("ConferenceSid"),
                held.facts.conference.as_ref().map(ToString::to_string),
            )
        })
        .map(|(sid, held)| (newest_first(held.created, sid.as_str()), (sid, held)))
        .collect();
    page::of_2010(
        items,
        "recordings",
        &asked.path,
        &asked.query,
        |(sid, held)| resource(sid, held, &asked.ask.below),
    )
}

/// `GET …/Recordings/{RE}.json`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let now = world.hours.now();
    let state = world.state();
    let sid: RecordingSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let held = state
        .recording(&sid, now)
        .filter(|held| held.account == asked.account && is_below(held, &asked.ask.below));
    let shown = state.behaviour.deleted_is_shown
        || asked.query.flag("IncludeSoftDeleted").unwrap_or_default();
    let held = held
        .filter(|held| held.deleted.is_none() || shown)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::ok(resource(&sid, held, &asked.ask.below)))
}

/// `DELETE …/Recordings/{RE}.json`.
pub(super) fn delete(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let now = world.hours.now();
    let mut state = world.state();
    let behaviour = state.behaviour.clone();
    let sid: RecordingSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let held = state
        .recordings
        .get_mut(&sid)
        .ok_or_else(Refused::not_found)?;
    if held.account != asked.account || !is_below(held, &asked.ask.below) {
        return Err(Refused::not_found());
    }
    match held.facts.status.as_str() {
        "completed" => {}
        "absent" if behaviour.absent_can_be_deleted => {}
        "deleted" if behaviour.second_deletion_is_fine => return Ok(StandInAnswer::Empty),
        "deleted" => return Err(Refused::not_found()),
        _ => {
            return Err(Refused::of(
                &behaviour.undeletable,
                "The recording cannot be deleted because it has not been completed",
            ));
        }
    }
    // A file that is stored elsewhere is not deleted.
    held.facts.media = None;
    held.facts.status = "deleted".to_owned();
    (held.deleted, held.updated) = (Some(now), now);
    if behaviour.deletion_takes_transcriptions {
        state
            .transcriptions
            .retain(|_, owned| owned.facts.recording != sid);
    }
    if behaviour.deletion_takes_add_ons {
        state
            .add_ons
            .retain(|_, owned| owned.facts.recording != sid);
    }
    Ok(StandInAnswer::Empty)
}

/// Returns the metadata resource. Below a call or a conference it has its track, but neither a
/// media URL nor subresources.
pub(super) fn resource(sid: &RecordingSid, held: &HeldRecording, below: &Below) -> Value {
    let account = format!("/2010-04-01/Accounts/{}", held.account);
    let uri = match below {
        Below::Call(call) => format!("{account}/Calls/{call}/Recordings/{sid}"),
        Below::Conference(conference) => {
            format!("{account}/Conferences/{conference}/Recordings/{sid}")
        }
        Below::Account | Below::Recording(_) | Below::Message(_) => {
            format!("{account}/Recordings/{sid}")
        }
    };
    let ended = matches!(
        held.facts.status.as_str(),
        "completed" | "absent" | "deleted"
    );
    let mut resource = json!({
        "account_sid": held.account,
        "api_version": "2010-04-01",
        "call_sid": held.facts.call,
        "conference_sid": held.facts.conference,
        "date_created": rfc2822(held.created),
        "date_updated": rfc2822(held.updated),
        "start_time": rfc2822(held.created),
        "duration": ended.then(|| held.sound.seconds.to_string()),
        "sid": sid,
        "price": null,
        "price_unit": "USD",
        "status": held.facts.status,
        "channels": held.sound.channels,
        "source": held.facts.source,
        "error_code": held.facts.error_code,
        "uri": format!("{uri}.json"),
        "encryption_details": held.encryption.as_ref().map(|encryption| encryption.in_metadata()),
    });
    if let (Value::Object(fields), Below::Account | Below::Recording(_)) = (&mut resource, below) {
        let subresources = json!({
            "add_on_results": format!("{uri}/AddOnResults.json"),
            "transcriptions": format!("{uri}/Transcriptions.json"),
        });
        let media_url = held
            .facts
            .media_url
            .clone()
            .unwrap_or_else(|| format!("https://api.twilio.com{uri}"));
        fields.insert("subresource_uris".to_owned(), subresources);
        fields.insert("media_url".to_owned(), json!(media_url));
    } else if let Value::Object(fields) = &mut resource {
        fields.insert("track".to_owned(), json!(held.facts.track));
    }
    resource
}

pub(super) fn is_below(held: &HeldRecording, below: &Below) -> bool {
    match below {
        Below::Call(call) => held
            .facts
            .call
            .as_ref()
            .is_some_and(|own| own.as_str() == call),
        Below::Conference(conference) => held
            .facts
            .conference
            .as_ref()
            .is_some_and(|own| own.as_str() == conference),
        Below::Account | Below::Recording(_) | Below::Message(_) => true,
    }
}

/// Whether a value matches an optional filter.
pub(super) fn is(wanted: Option<&str>, found: Option<String>) -> bool {
    wanted.is_none_or(|wanted| found.is_some_and(|found| found == wanted))
}

/// Returns the sort key of a list with the newest item first.
pub(super) fn newest_first(created: Timestamp, sid: &str) -> String {
    format!("{:019}{sid}", i64::MAX.saturating_sub(created.as_millis()))
}

/// A filter such as `DateCreated`, `DateCreated<` and `DateCreated>`: a day or a time, and inclusive
/// bounds.
pub(super) struct BornBetween {
    on: Option<(Timestamp, bool)>,
    until: Option<Timestamp>,
    from: Option<Timestamp>,
}

impl BornBetween {
    pub(super) fn parse(
        query: &FormPairs,
        [on, until, from]: [&'static str; 3],
    ) -> Result<Self, Refused> {
        let time = |name: &'static str| {
            query
                .get(name)
                .map(|text| filter_time(text).ok_or_else(|| Refused::invalid(name)))
                .transpose()
        };
        Ok(Self {
            on: time(on)?,
            until: time(until)?.map(|(at, _)| at),
            from: time(from)?.map(|(at, _)| at),
        })
    }

    pub(super) fn contains(&self, at: Timestamp) -> bool {
        let day = std::time::Duration::from_hours(24);
        self.on.is_none_or(|(on, whole_day)| {
            if whole_day {
                on <= at && at < on.after(day)
            } else {
                on == at
            }
        }) && self.until.is_none_or(|until| at <= until)
            && self.from.is_none_or(|from| from <= at)
    }
}
