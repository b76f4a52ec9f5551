//! The context of a sealed object, and the associated data made from it. Built only here.
//!
//! INVARIANT: two different contexts never give the same associated data: each field carries its
//! length.

use crate::model::{
    artefact::{Artefact, Leg},
    encoding::length_prefixed,
    id::{RecordingId, VaultId},
};

/// Names this format and its version; a later version opens nothing that this one sealed.
const LABEL: &[u8] = b"recvault/object/1";
/// The label of a recovery file.
const RECOVERY: &[u8] = b"recvault/recovery/1";

/// The context to which a message is bound.
pub trait Bound {
    /// The associated data of the whole message.
    fn associated_data(&self) -> Vec<u8>;
}

/// A recovery file is bound to its header, which precedes it in the clear and names vault, epoch,
/// kind and file.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryContext<'a> {
    /// The header's bytes, exactly as in the file.
    pub header: &'a [u8],
}

impl Bound for RecoveryContext<'_> {
    fn associated_data(&self) -> Vec<u8> {
        length_prefixed(&[RECOVERY, self.header])
    }
}

/// The identity of one sealed object: an object in another's place does not open there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The vault that holds it.
    pub vault: VaultId,
    /// The recording it belongs to.
    pub recording: RecordingId,
    /// The participant's side.
    pub leg: Leg,
    /// The artefact.
    pub artefact: Artefact,
}

impl Bound for Context {
    /// Label, vault, recording, leg, artefact.
    fn associated_data(&self) -> Vec<u8> {
        length_prefixed(&[
            LABEL,
            self.vault.as_bytes(),
            self.recording.as_bytes(),
            self.leg.as_str().as_bytes(),
            self.artefact.word().as_bytes(),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn associated_data_is_written_down() {
        let context = Context {
            vault: "vlt_000102030405060708090a0b0c0d0e0f".parse().unwrap(),
            recording: "rec_101112131415161718191a1b1c1d1e1f".parse().unwrap(),
            leg: Leg::All,
            artefact: Artefact::Audio,
        };
        let expected = concat!(
            "0000000000000011",
            "7265637661756c742f6f626a6563742f31",
            "0000000000000010",
            "000102030405060708090a0b0c0d0e0f",
            "0000000000000010",
            "101112131415161718191a1b1c1d1e1f",
            "0000000000000003",
            "616c6c",
            "0000000000000005",
            "617564696f",
        );
        assert_eq!(hex::encode(context.associated_data()), expected);
    }

    proptest::proptest! {
        #[test]
        fn two_places_never_share_associated_data(
            one in (proptest::sample::select(Leg::ALL), 0u16..260),
            other in (proptest::sample::select(Leg::ALL), 0u16..260),
        ) {
            let place = |(leg, artefact): (Leg, u16)| Context {
                vault: "vlt_000102030405060708090a0b0c0d0e0f".parse().unwrap(),
                recording: "rec_101112131415161718191a1b1c1d1e1f".parse().unwrap(),
                leg,
                artefact: match u8::try_from(artefact) {
                    Ok(number) => Artefact::Media(number),
                    Err(_) if artefact % 2 == 0 => Artefact::Audio,
                    Err(_) => Artefact::Transcript,
                },
            };
            let [one, other] = [place(one), place(other)];
            proptest::prop_assert_eq!(
                one == other,
                one.associated_data() == other.associated_data()
            );
        }
    }
}
