//! The containers of files of Video, checked while they pass.
//!
//! Owns two of them: Matroska and WebM (RFC 9559 over EBML, RFC 8794), and MPEG-4 (boxes of ISO/IEC
//! 14496-12). Their outer parts state their lengths, so a file that was cut ends inside a part, and
//! an altered one states nonsense. Refuses to look into a part.
//!
//! An encrypted file has no authentication, so this is a part of the check that it was decrypted
//! with the right key. INVARIANT: no more than one header of a part is held.

/// What a file must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContainer {
    /// Anything.
    Any,
    /// Matroska: `mkv`, `mka`, and WebM.
    Matroska,
    /// MPEG-4.
    Mp4,
}

impl FileContainer {
    /// Returns its name, for an error.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any file",
            Self::Matroska => "Matroska or WebM",
            Self::Mp4 => "MPEG-4",
        }
    }

    /// Returns whether a file of this kind may begin with these bytes.
    pub(super) fn may_begin(self, bytes: &[u8]) -> bool {
        ContainerCheck::of(self).push(bytes) != Err(ContainerFault::Other)
    }
}

/// Why a file is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerFault {
    /// Its beginning is that of something else.
    Other,
    /// A part that no such file has.
    Malformed,
    /// It ends inside a part, or without a part that each such file has.
    Cut,
}

const EBML: u64 = 0x1a45_dfa3;
const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1f43_b675;
const FTYP: &[u8] = b"ftyp";
const MOOV: &[u8] = b"moov";
/// The longest header of a part: an id of 4 bytes and a length of 8, or a box with a long length.
const LONGEST: usize = 16;

/// The structure of a file so far.
#[derive(Debug)]
pub(super) struct ContainerCheck {
    container: FileContainer,
    /// The beginning of a header.
    head: Vec<u8>,
    /// Bytes left of the present part; `None` in one that lasts until the end of the file.
    left: Option<u64>,
    /// Bytes of the file so far.
    position: u64,
    /// The end of the segment, if it states one.
    ends: Option<u64>,
    parts: u64,
    /// Whether the part was seen that holds the media.
    has_media: bool,
}

/// The header of a part.
struct Part {
    id: u64,
    kind: [u8; 4],
    /// Bytes after the header; `None` until the end of the file, or of the part around it.
    len: Option<u64>,
}

impl ContainerCheck {
    pub(super) fn of(container: FileContainer) -> Self {
        Self {
            container,
            head: Vec::with_capacity(LONGEST),
            left: Some(0),
            position: 0,
            ends: None,
            parts: 0,
            has_media: false,
        }
    }

    /// Whether the beginning is that of the container.
    pub(super) fn has_begun(&self) -> bool {
        self.container == FileContainer::Any || self.parts > 0
    }

    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ContainerFault> {
        if self.container == FileContainer::Any {
            return Ok(());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(left) = self.left else {
                self.position += rest.len() as u64;
                return Ok(());
            };
            let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            if skipped > 0 {
                self.left = Some(left - skipped as u64);
                self.position += skipped as u64;
                rest = rest.get(skipped..).unwrap_or_default();
                continue;
            }
            let (byte, after) = rest.split_at(1);
            self.head.extend_from_slice(byte);
            self.position += 1;
            rest = after;
            if let Some(part) = self.part()? {
                self.enter(&part)?;
                self.head.clear();
            }
        }
        Ok(())
    }

    /// Checks the end of the file.
    pub(super) fn finish(&self) -> Result<(), ContainerFault> {
        if self.container == FileContainer::Any {
            return Ok(());
        }
        if self.parts == 0 {
            return Err(ContainerFault::Other);
        }
        let is_at_end = self.head.is_empty() && matches!(self.left, None | Some(0));
        let is_long_enough = self.ends.is_none_or(|ends| self.position >= ends);
        if is_at_end && is_long_enough && self.has_media {
            Ok(())
        } else {
            Err(ContainerFault::Cut)
        }
    }

    /// Returns the part whose header was read; `None` while it is too short.
    fn part(&self) -> Result<Option<Part>, ContainerFault> {
        let part = match self.container {
            FileContainer::Mp4 => read_box(&self.head),
            _ => read_element(&self.head),
        };
        // Nothing is held back for the beginning of another file.
        let is_first = self.parts == 0;
        match part {
            Err(_) if is_first => Err(ContainerFault::Other),
            part => part,
        }
    }

    fn enter(&mut self, part: &Part) -> Result<(), ContainerFault> {
        let is_first = self.parts == 0;
        self.parts += 1;
        if self.container == FileContainer::Mp4 {
            if is_first && part.kind != FTYP {
                return Err(ContainerFault::Other);
            }
            self.has_media |= part.kind == MOOV;
            self.left = part.len;
            return Ok(());
        }
        if is_first != (part.id == EBML) {
            return Err(if is_first {
                ContainerFault::Other
            } else {
                ContainerFault::Malformed
            });
        }
        self.left = match (part.id, part.len) {
            (SEGMENT, len) => {
                self.has_media = true;
                self.ends = len.and_then(|len| self.position.checked_add(len));
                Some(0)
            }
            // A recorder that runs does not know how long it becomes.
            (CLUSTER, None) => Some(0),
            (_, None) => return Err(ContainerFault::Malformed),
            (_, len) => len,
        };
        Ok(())
    }
}

/// Reads the header of an EBML element (RFC 8794, sections 4 to 6).
fn read_element(head: &[u8]) -> Result<Option<Part>, ContainerFault> {
    let Some(&first) = head.first() else {
        return Ok(None);
    };
    let id_len = first.leading_zeros() as usize + 1;
    if id_len > 4 {
        return Err(ContainerFault::Malformed);
    }
    let (Some(id), Some(&next)) = (head.get(..id_len), head.get(id_len)) else {
        return Ok(None);
    };
    let size_len = next.leading_zeros() as usize + 1;
    if size_len > 8 {
        return Err(ContainerFault::Malformed);
    }
    let Some(size) = head.get(id_len..id_len + size_len) else {
        return Ok(None);
    };
    let most = (1u64 << (7 * size_len)) - 1;
    let len = number(size) & most;
    Ok(Some(Part {
        id: number(id),
        kind: [0; 4],
        len: (len != most).then_some(len),
    }))
}

/// Reads the header of a box (ISO/IEC 14496-12, section 4.2).
fn read_box(head: &[u8]) -> Result<Option<Part>, ContainerFault> {
    let (Some(size), Some(kind)) = (head.get(..4), head.get(4..8)) else {
        return Ok(None);
    };
    let kind: [u8; 4] = kind.try_into().unwrap_or_default();
    let is_named = kind
        .iter()
        .all(|byte| byte.is_ascii_graphic() || *byte == b' ' || *byte == 0xa9);
    let (len, header) = match number(size) {
        _ if !is_named => return Err(ContainerFault::Malformed),
        0 => (None, 8),
        1 => match head.get(8..16) {
            None => return Ok(None),
            Some(long) => (Some(number(long)), 16),
        },
        short => (Some(short), 8),
    };
    let len = match len {
        None => None,
        Some(len) => Some(
            len.checked_sub(header as u64)
                .ok_or(ContainerFault::Malformed)?,
        ),
    };
    Ok(Some(Part { id: 0, kind, len }))
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header, a segment of a stated length with a part of 2 bytes, and one of no stated length
    /// with a cluster of none and its 3 bytes.
    const FIXED: &[u8] = b"\x1a\x45\xdf\xa3\x81x\x18\x53\x80\x67\x84\xec\x82ab";
    const RUNNING: &[u8] =
        b"\x1a\x45\xdf\xa3\x81x\x18\x53\x80\x67\xff\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff\xa3\x83abc";
    const BOXES: &[u8] = b"\0\0\0\x0cftypisom\0\0\0\x09moovx\0\0\0\x01mdat\0\0\0\0\0\0\0\x12ab";
    const OPEN: &[u8] = b"\0\0\0\x0cftypisom\0\0\0\x08moov\0\0\0\0mdatabc";

    fn read(container: FileContainer, file: &[u8], at: usize) -> Result<(), ContainerFault> {
        let mut check = ContainerCheck::of(container);
        for chunk in file.chunks(at) {
            check.push(chunk)?;
        }
        check.finish()
    }

    #[test]
    fn a_whole_file_is_whole_however_it_arrives() {
        for (container, file) in [
            (FileContainer::Matroska, FIXED),
            (FileContainer::Matroska, RUNNING),
            (FileContainer::Mp4, BOXES),
            (FileContainer::Mp4, OPEN),
        ] {
            for at in [1, 2, 5, 100] {
                assert_eq!(read(container, file, at), Ok(()), "{file:?} {at}");
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_is_not_whole() {
        for (container, file, ends) in [
            (FileContainer::Matroska, FIXED, &[][..]),
            // A running recorder may stop after each part.
            (FileContainer::Matroska, RUNNING, &[11, 23]),
            (FileContainer::Mp4, BOXES, &[21]),
        ] {
            for len in 0..file.len() {
                let whole = read(container, &file[..len], 3).is_ok();
                assert_eq!(whole, ends.contains(&len), "{container:?} {len}");
            }
        }
    }

    #[test]
    fn another_file_is_told_by_its_beginning() {
        for file in [
            &b"<!DOCTYPE html><html>"[..],
            b"{\"status\":404}",
            b"RIFF\0\0\0\0WAVE",
            b"\0\0\0\0",
            b"",
        ] {
            for container in [FileContainer::Matroska, FileContainer::Mp4] {
                let told = read(container, file, 100);
                assert_eq!(told, Err(ContainerFault::Other), "{file:?}");
            }
        }
        assert!(read(FileContainer::Matroska, BOXES, 9).is_err());
        assert!(read(FileContainer::Mp4, FIXED, 9).is_err());
        assert_eq!(read(FileContainer::Any, b"anything", 3), Ok(()));
    }

    #[test]
    fn a_part_that_no_file_has_is_refused() {
        let mut second = FIXED.to_vec();
        second.extend(FIXED);
        assert_eq!(
            read(FileContainer::Matroska, &second, 9),
            Err(ContainerFault::Malformed)
        );
        let mut nonsense = RUNNING.to_vec();
        nonsense.extend(b"\x01\x02");
        assert_eq!(
            read(FileContainer::Matroska, &nonsense, 9),
            Err(ContainerFault::Malformed)
        );
        let mut short = BOXES.to_vec();
        short.extend(b"\0\0\0\x07free");
        assert_eq!(
            read(FileContainer::Mp4, &short, 9),
            Err(ContainerFault::Malformed)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_whole_or_not(file in prop::collection::vec(any::<u8>(), 0..60), at in 1usize..9) {
            for container in [FileContainer::Matroska, FileContainer::Mp4] {
                let _ = read(container, &file, at);
                let file = [FIXED, file.as_slice()].concat();
                prop_assert_eq!(read(container, &file, at), read(container, &file, 100));
            }
        }
    }
}
