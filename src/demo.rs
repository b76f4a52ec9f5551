//! A Twilio stand-in and the recording it hands out, so that anybody can try everything on one machine.

pub mod conversation;
pub mod stand_in;
