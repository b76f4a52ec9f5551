//! One unambiguous encoding of several fields as bytes, for hashing, derivation and authentication.
//!
//! Owns the form: each field after its length in bytes as a big-endian `u64`. Refuses to know the
//! meaning of the fields; a caller's first field is a label that is used nowhere else.
//!
//! INVARIANT: two different lists of fields never give the same bytes.

/// Encodes fields, each with its length before it.
pub fn length_prefixed(fields: &[&[u8]]) -> Vec<u8> {
    let length = fields.iter().map(|field| size_of::<u64>() + field.len());
    let mut encoded = Vec::with_capacity(length.sum());
    for field in fields {
        encoded.extend_from_slice(&(field.len() as u64).to_be_bytes());
        encoded.extend_from_slice(field);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_written_down() {
        assert_eq!(
            length_prefixed(&[b"ab", b"", b"c"]),
            b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01c"
        );
        assert!(length_prefixed(&[]).is_empty());
    }

    #[test]
    fn fields_do_not_run_together() {
        let lists: [&[&[u8]]; 6] = [
            &[],
            &[b""],
            &[b"abc"],
            &[b"ab", b"c"],
            &[b"a", b"bc"],
            &[b"a", b"", b"bc"],
        ];
        for (at, one) in lists.iter().enumerate() {
            for other in &lists[at + 1..] {
                assert_ne!(length_prefixed(one), length_prefixed(other));
            }
        }
    }
}
