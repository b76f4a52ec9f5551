//! Twilio: signatures, callbacks, media.
