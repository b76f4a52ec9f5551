//! A Twilio stand-in and the guided story.
