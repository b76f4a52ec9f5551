//! Secret bytes that are assembled piece by piece.
//!
//! INVARIANT: growth leaves no copy behind. A plain `Vec` or `String` that grows frees its former
//! memory with the secret in it; this type moves to larger memory itself and zeroes the former one.

use std::{
    fmt, io,
    ops::{Deref, DerefMut},
};

use zeroize::{Zeroize, Zeroizing};

/// Variable-length secret bytes, zeroed on drop and on every move: decrypted pages, lines with
/// keys, texts to be sealed.
///
/// ```compile_fail
/// fn wants_clone<T: Clone>() {}
/// wants_clone::<recvault_core::secret::SecretBuffer>();
/// ```
#[derive(Default)]
pub struct SecretBuffer(Vec<u8>);

impl SecretBuffer {
    /// Returns an empty one with this capacity.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Returns this many bytes, all 0.
    pub fn zeroed(bytes: usize) -> Self {
        Self(vec![0; bytes])
    }

    /// Takes over bytes of which no other copy exists.
    pub fn take(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Serialises a value as JSON, without another copy. For values that always have a JSON form.
    ///
    /// # Errors
    /// For a value that has none.
    pub fn json(value: &impl serde::Serialize) -> serde_json::Result<Self> {
        let mut buffer = Self::with_capacity(256);
        serde_json::to_writer(&mut buffer, value)?;
        Ok(buffer)
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends a byte.
    pub fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    /// Removes all bytes and keeps the capacity.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }

    /// Removes the first bytes; the others move to the front.
    pub fn drop_front(&mut self, bytes: usize) {
        let len = self.0.len();
        let bytes = bytes.min(self.0.len());
        self.0.copy_within(bytes.., 0);
        if let Some(behind) = self.0.get_mut(len - bytes..) {
            behind.zeroize();
        }
        self.0.truncate(len - bytes);
    }

    /// Returns the same bytes as text, in place; `None` if they are not UTF-8.
    pub fn into_text(mut self) -> Option<Zeroizing<String>> {
        match String::from_utf8(std::mem::take(&mut self.0)) {
            Ok(text) => Some(Zeroizing::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                None
            }
        }
    }

    fn reserve(&mut self, more: usize) {
        let wanted = self.0.len().saturating_add(more);
        if wanted > self.0.capacity() {
            let mut larger = Vec::with_capacity(wanted.max(self.0.capacity().saturating_mul(2)));
            larger.extend_from_slice(&self.0);
            std::mem::replace(&mut self.0, larger).zeroize();
        }
    }
}

impl Drop for SecretBuffer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Deref for SecretBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for SecretBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for SecretBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl AsMut<[u8]> for SecretBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl io::Write for SecretBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for SecretBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBuffer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_put_together_in_pieces_is_what_was_put_in(pieces in proptest::collection::vec(proptest::collection::vec(0u8.., 0..400), 0..20), front in 0usize..300) {
            let mut buffer = SecretBuffer::default();
            let mut expected = Vec::new();
            for piece in &pieces {
                buffer.extend_from_slice(piece);
                expected.extend_from_slice(piece);
            }
            proptest::prop_assert_eq!(&*buffer, expected.as_slice());
            buffer.drop_front(front);
            expected.drain(..front.min(expected.len()));
            proptest::prop_assert_eq!(&*buffer, expected.as_slice());
        }
    }

    #[test]
    fn text_stays_in_its_place_and_what_is_none_is_refused() {
        let buffer = SecretBuffer::json(&["Grüße"]).unwrap();
        assert_eq!(buffer.into_text().unwrap().as_str(), "[\"Grüße\"]");
        assert!(SecretBuffer::take(vec![0xff]).into_text().is_none());
        assert_eq!(
            format!("{:?}", SecretBuffer::take(b"secret".to_vec())),
            "SecretBuffer(…)"
        );
    }
}
