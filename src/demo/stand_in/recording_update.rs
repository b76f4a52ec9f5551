//! Running recordings: started, paused, resumed and stopped over REST.

use super::{
    World,
    answer::{Refused, StandInAnswer},
    new_sid,
    recording::{self, HeldRecording, RecordingFacts},
    recordings::{is_below, resource},
    request::AuthenticatedRequest,
    route::Below,
    subscription::Subscription,
};
use crate::model::sid::{CallSid, RecordingSid};

/// The alias of the running recording.
const CURRENT: &str = "Twilio.CURRENT";

/// `POST …/Calls/{CA}/Recordings/{RE}.json`, also for a conference: `Status` is `stopped`, `paused`
/// or `in-progress`.
pub(super) fn update(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let mut state = world.state();
    let behaviour = state.behaviour.clone();
    let is_its = |held: &HeldRecording| {
        held.account == asked.account && held.deleted.is_none() && is_below(held, &asked.ask.below)
    };
    let sid: RecordingSid = if asked.ask.sid == CURRENT {
        let running = state
            .recordings
            .iter()
            .filter(|(_, held)| is_its(held) && runs(held));
        running
            .max_by_key(|(sid, held)| (held.created, (*sid).clone()))
            .map(|(sid, _)| sid.clone())
            .ok_or_else(Refused::not_found)?
    } else {
        asked.ask.sid.parse().map_err(|_| Refused::not_found())?
    };
    let held = state
        .recordings
        .get_mut(&sid)
        .filter(|held| is_its(held))
        .ok_or_else(Refused::not_found)?;
    let status = asked
        .form
        .get("Status")
        .ok_or_else(|| Refused::invalid("Status"))?;
    let pause = asked.form.get("PauseBehavior");
    if pause.is_some_and(|pause| status != "paused" || !matches!(pause, "skip" | "silence")) {
        return Err(Refused::invalid("PauseBehavior"));
    }
    if !runs(held) {
        return Err(Refused::of(
            &behaviour.unchangeable,
            "The recording is not in progress",
        ));
    }
    let next = match status {
        "stopped" => "processing",
        "paused" => "paused",
        "in-progress" => "in-progress",
        _ => return Err(Refused::invalid("Status")),
    };
    next.clone_into(&mut held.facts.status);
    held.updated = world.hours.now();
    if status == "stopped" && behaviour.stop_completes {
        world.complete(&mut state, &sid);
    }
    let held = state.recordings.get(&sid).ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::ok(resource(&sid, held, &asked.ask.below)))
}

fn runs(held: &HeldRecording) -> bool {
    matches!(held.facts.status.as_str(), "in-progress" | "paused")
}

/// The events that the specification names. The answer to another one is not documented; it is
/// refused here.
const EVENTS: [&str; 3] = ["in-progress", "completed", "absent"];

/// `POST …/Calls/{CA}/Recordings.json`: starts the recording of a call in progress.
pub(super) fn start(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let Below::Call(call) = &asked.ask.below else {
        return Err(Refused::not_found());
    };
    let call: CallSid = call.parse().map_err(|_| Refused::not_found())?;
    let mut state = world.state();
    let owned = state
        .calls
        .get(&call)
        .filter(|owned| owned.account == asked.account)
        .ok_or_else(Refused::not_found)?;
    if owned.facts.status != "in-progress" {
        return Err(Refused::new(
            400,
            21220,
            "Requested resource is not eligible for recording",
        ));
    }
    let track = asked.form.get("RecordingTrack").unwrap_or("both");
    let channels = match (track, asked.form.get("RecordingChannels").unwrap_or("mono")) {
        ("both", "dual") => 2,
        ("both", "mono") | ("inbound" | "outbound", "mono" | "dual") => 1,
        ("both", _) => return Err(Refused::invalid("RecordingChannels")),
        _ => return Err(Refused::invalid("RecordingTrack")),
    };
    let events = asked
        .form
        .pairs()
        .iter()
        .filter(|(name, _)| name == "RecordingStatusCallbackEvent");
    if !events
        .flat_map(|(_, value)| value.split_ascii_whitespace())
        .all(|event| EVENTS.contains(&event))
    {
        return Err(Refused::invalid("RecordingStatusCallbackEvent"));
    }
    let sid: RecordingSid = new_sid("RE").parse().expect("a new SID is a SID");
    let facts = RecordingFacts {
        media: None,
        status: "in-progress".to_owned(),
        source: "StartCallRecordingAPI".to_owned(),
        call: Some(call),
        track: track.to_owned(),
        channels,
        created: Some(world.hours.now()),
        ..RecordingFacts::new(&sid, bytes::Bytes::new())
    };
    let mut held = recording::held(world, &asked.account, facts);
    held.started_with = asked.form.pairs().to_vec();
    held.callback = asked.form.get("RecordingStatusCallback").map(|url| {
        let events = asked
            .form
            .pairs()
            .iter()
            .filter(|(name, _)| name == "RecordingStatusCallbackEvent")
            .map(|(_, value)| value.as_str());
        Subscription::new(url, &events.collect::<Vec<_>>().join(" "))
    });
    let shown = resource(&sid, &held, &asked.ask.below);
    state.recordings.insert(sid.clone(), held);
    world.announce(&mut state, &sid, "in-progress");
    Ok(StandInAnswer::created(shown))
}
