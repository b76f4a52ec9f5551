//! What a composition was made of, as far as Twilio states it: sources of sound, and of the regions of
//! its picture (<https://www.twilio.com/docs/video/api/compositions-resource>).
//!
//! Owns whom that shows. Refuses to guess: the name of a track may be that of several, also of one that
//! is not listed any more, so it stands for everybody in the room. INVARIANT: somebody who was heard or
//! seen is never left out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::track::TrackRecording;
use crate::model::sid::{RoomParticipantSid, TrackRecordingSid};

/// What a composition was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompositionSources(Vec<SourceGroup>);

/// The sound, or one region of the picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SourceGroup {
    sources: Vec<MediaSource>,
    /// Those of whom nothing is taken.
    excluded: BTreeSet<RoomParticipantSid>,
}

/// A source as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum MediaSource {
    /// Everything of a participant.
    Participant(RoomParticipantSid),
    /// A recording.
    Recording(TrackRecordingSid),
    /// `MT…`: a track.
    Track(String),
    /// A name, or a pattern of names.
    Named,
}

impl MediaSource {
    fn read(text: &str) -> Self {
        if let Ok(participant) = text.parse() {
            return Self::Participant(participant);
        }
        match text.parse() {
            Ok(recording) => Self::Recording(recording),
            Err(_) if is_track(text) => Self::Track(text.to_owned()),
            Err(_) => Self::Named,
        }
    }
}

/// Whether a text is the id of a track.
fn is_track(text: &str) -> bool {
    let digits = text.strip_prefix("MT").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl CompositionSources {
    /// Reads the resource of a composition; `None` if it does not say what it is made of.
    pub(super) fn read(resource: &Value) -> Option<Self> {
        let sound = SourceGroup::read(
            resource.get("audio_sources"),
            resource.get("audio_sources_excluded"),
        );
        let regions = match resource.get("video_layout") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(regions)) => regions
                .values()
                .map(|region| {
                    SourceGroup::read(
                        region.get("video_sources"),
                        region.get("video_sources_excluded"),
                    )
                })
                .collect(),
            Some(_) => return None,
        };
        let groups: Option<Vec<SourceGroup>> = std::iter::once(sound).chain(regions).collect();
        let groups = groups?;
        let is_told = groups.iter().any(|group| !group.sources.is_empty());
        is_told.then_some(Self(groups))
    }

    /// Returns who was heard or seen; `None` for everybody in the room, and where a source is of
    /// nobody who is known. `tracks` are the recordings of the room, `room` its participants.
    pub fn people(
        &self,
        tracks: &[TrackRecording],
        room: &BTreeSet<RoomParticipantSid>,
    ) -> Option<BTreeSet<RoomParticipantSid>> {
        let mut people = BTreeSet::new();
        for SourceGroup { sources, excluded } in &self.0 {
            for source in sources {
                let publisher = |is_it: &dyn Fn(&&TrackRecording) -> bool| {
                    let track = tracks.iter().find(is_it)?;
                    track.participant.clone()
                };
                match source {
                    MediaSource::Participant(participant) => {
                        people.insert(participant.clone());
                    }
                    MediaSource::Recording(sid) => {
                        people.insert(publisher(&|track| track.sid == *sid)?);
                    }
                    MediaSource::Track(sid) => {
                        people.insert(publisher(&|track| track.track.as_ref() == Some(sid))?);
                    }
                    MediaSource::Named => people.extend(room.difference(excluded).cloned()),
                }
            }
        }
        (!room.is_subset(&people)).then_some(people)
    }
}

impl SourceGroup {
    /// Reads two lists; `None` if they cannot be read.
    fn read(sources: Option<&Value>, excluded: Option<&Value>) -> Option<Self> {
        Some(Self {
            sources: texts(sources)?.map(MediaSource::read).collect(),
            // What is not known to be a person excludes nobody.
            excluded: texts(excluded)?
                .filter_map(|text| text.parse().ok())
                .collect(),
        })
    }
}

/// Returns the texts of a list that may be absent; `None` if it is something else.
fn texts(list: Option<&Value>) -> Option<impl Iterator<Item = &str>> {
    let list = match list {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => return None,
    };
    let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
    texts.map(Vec::into_iter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::twilio::vectors::id;

    fn person(name: char) -> RoomParticipantSid {
        format!("PA{}", name.to_string().repeat(32))
            .parse()
            .unwrap()
    }

    fn shown(resource: Value) -> Option<BTreeSet<RoomParticipantSid>> {
        let track = json!({ "sid": id("RT"), "room_sid": id("RM"), "source_sid": id("MT"),
            "grouping_sids": { "participant_sid": person('b') } });
        let track: TrackRecording = serde_json::from_value(track).unwrap();
        let room = ['a', 'b', 'c'].map(person).into();
        CompositionSources::read(&resource)?.people(&[track], &room)
    }

    #[test]
    fn it_shows_those_whom_its_sources_name() {
        let a = person('a');
        let only = |names: &[char]| Some(names.iter().copied().map(person).collect());
        let layout = |sources: Value| json!({ "video_layout": { "one": sources } });
        for (resource, people) in [
            (json!({ "audio_sources": [a] }), only(&['a'])),
            (json!({ "audio_sources": [id("RT")] }), only(&['b'])),
            (layout(json!({ "video_sources": [id("MT")] })), only(&['b'])),
            (
                json!({ "audio_sources": [a], "video_layout": { "one": { "video_sources": [id("RT")] } } }),
                only(&['a', 'b']),
            ),
            (
                json!({ "audio_sources": ["*"], "audio_sources_excluded": [a] }),
                only(&['b', 'c']),
            ),
        ] {
            assert_eq!(shown(resource.clone()), people, "{resource}");
        }
    }

    #[test]
    fn what_is_not_certain_shows_everybody() {
        let a = person('a');
        for resource in [
            json!({}),
            json!({ "audio_sources": null, "video_layout": null }),
            json!({ "audio_sources": [], "video_layout": {} }),
            json!({ "audio_sources": ["*"] }),
            json!({ "audio_sources": ["camera", a] }),
            json!({ "audio_sources": "camera" }),
            json!({ "audio_sources": [a], "video_layout": "grid" }),
            json!({ "audio_sources": [a], "video_layout": { "one": { "video_sources": [1] } } }),
            // A recording that is not listed any more.
            json!({ "audio_sources": [a, format!("RT{}", "9".repeat(32))] }),
            // Nobody's name excludes nobody.
            json!({ "audio_sources": ["*"], "audio_sources_excluded": ["camera"] }),
            // Excluded from one region only.
            json!({ "audio_sources": ["*"], "audio_sources_excluded": [a],
                "video_layout": { "one": { "video_sources": ["*"] } } }),
        ] {
            assert_eq!(shown(resource.clone()), None, "{resource}");
        }
    }
}
