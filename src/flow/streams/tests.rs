//! Endings of streams.

use super::*;

const MOMENT: Duration = Duration::from_millis(1);

fn recording() -> RecordingId {
    RecordingId::random(&mut rand::rng())
}

#[test]
fn a_shred_silences_its_recording_and_no_other() {
    let streams = Streams::default();
    let shredded = recording();
    let other = recording();
    let first = streams.register(shredded);
    let second = streams.register(shredded);
    let third = streams.register(other);
    streams.silence(shredded);
    assert_eq!(
        [&first, &second, &third].map(Registered::has_ended),
        [Some(Ended::Shredded), Some(Ended::Shredded), None]
    );
    assert_eq!(streams.count(), 1);
    drop((first, second));
    assert_eq!(streams.count(), 1);
    drop(third);
    assert_eq!(streams.count(), 0);
}

#[test]
fn the_end_of_a_grant_or_a_token_ends_its_streams_and_no_others() {
    let rng = &mut rand::rng();
    let (grants, tokens) = (
        [GrantId::random(rng), GrantId::random(rng)],
        [TokenId::random(rng), TokenId::random(rng)],
    );
    let streams = Streams::default();
    let id = recording();
    let all = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(grant, token)| {
        let stream = streams.register(id);
        stream.by(tokens[token]);
        stream.under(grants[grant]);
        stream
    });
    let bare = streams.register(id);
    streams.end(StreamEnding::Grant(grants[0]));
    let ended = || all.each_ref().map(Registered::has_ended);
    let over = Some(Ended::GrantOver);
    assert_eq!(ended(), [over, None, over, None]);
    streams.end(StreamEnding::Token(tokens[1]));
    assert_eq!(ended(), [over, None, over, Some(Ended::Refused)]);
    assert_eq!((bare.has_ended(), streams.count()), (None, 2));
    streams.end(StreamEnding::Moved(id));
    assert_eq!(
        (bare.has_ended(), streams.count()),
        (Some(Ended::Refused), 0)
    );
}

#[test]
fn what_was_written_before_a_stream_was_decided_does_not_end_it() {
    let streams = Streams::default();
    let id = recording();
    let (old, new) = (streams.register_since(id, 6), streams.register_since(id, 7));
    streams.end_at(7, StreamEnding::Moved(id));
    assert_eq!(old.has_ended(), Some(Ended::Refused));
    assert_eq!((new.has_ended(), streams.count()), (None, 1));
    streams.end_at(8, StreamEnding::Shredded(id));
    assert_eq!(
        (new.has_ended(), streams.count()),
        (Some(Ended::Shredded), 0)
    );
}

#[test]
fn one_listener_leaving_does_not_hide_another() {
    let streams = Streams::default();
    let id = recording();
    let first = streams.register(id);
    let second = streams.register(id);
    drop(first);
    streams.silence(id);
    assert_eq!(second.has_ended(), Some(Ended::Shredded));
}

#[test]
fn without_a_watch_there_is_no_lease() {
    let stream = Streams::default().register(recording());
    assert_eq!(stream.has_ended_at(stream.entered + 1000 * LEASE), None);
}

#[test]
fn a_lease_begins_with_the_stream_and_ends_to_the_moment() {
    let streams = Streams::default();
    streams.watched();
    let stream = streams.register(recording());
    let begin = stream.entered;
    assert_eq!(stream.has_ended_at(begin + LEASE - MOMENT), None);
    assert_eq!(stream.has_ended_at(begin + LEASE), Some(Ended::Unsure));
    // Only a poll extends it, and not one that is older than the stream.
    streams.renew(begin - MOMENT);
    assert_eq!(stream.has_ended_at(begin + LEASE), Some(Ended::Unsure));
    streams.renew(begin + 2 * MOMENT);
    streams.renew(begin + MOMENT);
    assert_eq!(stream.has_ended_at(begin + LEASE + MOMENT), None);
    assert_eq!(
        stream.has_ended_at(begin + LEASE + 2 * MOMENT),
        Some(Ended::Unsure)
    );
}

#[tokio::test]
async fn bytes_wait_for_a_look_long_before_the_lease_is_over() {
    let streams = Streams::default();
    streams.watched();
    let stream = streams.register(recording());
    let begin = stream.entered;
    assert!(stream.is_fresh_at(begin + FRESH - MOMENT) && !stream.is_fresh_at(begin + FRESH));
    streams.renew(begin + FRESH);
    assert!(stream.is_fresh_at(begin + FRESH + FRESH - MOMENT));
    streams.lock().asked = None;
    let mut late = streams.register(recording());
    late.entered = begin.checked_sub(FRESH).unwrap();
    let ((), ()) = tokio::join!(late.fresh(), async {
        tokio::task::yield_now().await;
        assert!(!late.is_fresh());
        streams.renew(Instant::now());
    });
}

#[test]
fn a_shred_is_told_even_after_the_lease() {
    let streams = Streams::default();
    let id = recording();
    streams.watched();
    let stream = streams.register(id);
    streams.silence(id);
    assert_eq!(
        stream.has_ended_at(stream.entered + LEASE),
        Some(Ended::Shredded)
    );
}

#[test]
fn a_watch_covers_only_what_was_entered_after_its_beginning() {
    let streams = Streams::default();
    let unwatched = streams.register(recording());
    streams.watched();
    let first = streams.register(recording());
    assert_eq!(
        [&unwatched, &first].map(Registered::has_ended),
        [Some(Ended::Unsure), None]
    );
    streams.watched();
    streams.renew(Instant::now());
    let second = streams.register(recording());
    assert_eq!(
        [&unwatched, &first, &second].map(Registered::has_ended),
        [Some(Ended::Unsure), Some(Ended::Unsure), None]
    );
}

#[tokio::test]
async fn who_waits_for_the_end_hears_of_it_at_once() {
    let streams = Streams::default();
    let id = recording();
    let stream = streams.register(id);
    let (ended, ()) = tokio::join!(stream.end(), async {
        tokio::task::yield_now().await;
        streams.silence(id);
    });
    assert_eq!(ended, Ended::Shredded);
}
