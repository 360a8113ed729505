//! Where the bytes of an HTTP/2 connection stand in its frames, so that what has begun and does not end can be told.
//!
//! `h2` waits for the end of a head for as long as a connection lives (HEADERS and CONTINUATION, RFC 9113, section 4.3), as it
//! does for the end of a frame and for the SETTINGS that a connection begins with.

/// The length of what a client begins with (RFC 9113, section 3.4).
const PREFACE: u32 = 24;
/// The length of a frame's head (RFC 9113, section 4.1).
const HEAD: usize = 9;
/// Kinds of frames (RFC 9113, section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
/// The flag of a frame that ends a list of fields.
const END_HEADERS: u8 = 0x4;

/// Follows the frames that a client sends.
#[derive(Debug)]
pub(crate) struct Frames {
    head: [u8; HEAD],
    /// So much of a frame's head is there.
    have: usize,
    /// So much of the preface, or of what a frame carries, is still to come.
    rest: u32,
    is_preface: bool,
    is_data: bool,
    /// Whether a list of fields has begun and its last frame not.
    is_list_open: bool,
    /// Whether the first frame is whole.
    is_begun: bool,
}

impl Frames {
    pub(crate) fn new() -> Frames {
        Frames {
            head: [0; HEAD],
            have: 0,
            rest: PREFACE,
            is_preface: true,
            is_data: false,
            is_list_open: false,
            is_begun: false,
        }
    }

    /// Whether something has begun that has to be whole soon: all but what a body consists of.
    pub(crate) fn is_owing(&self) -> bool {
        let is_within = self.rest > 0 && !self.is_data;
        !self.is_begun || self.is_list_open || self.have > 0 || is_within
    }

    /// Takes what has come; whether nothing was owed at some point of it.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut was_whole = false;
        while !bytes.is_empty() {
            if self.rest > 0 {
                let count = bytes.len().min(self.rest as usize);
                bytes = &bytes[count..];
                self.rest -= count as u32;
                if self.rest == 0 {
                    self.is_begun |= !self.is_preface;
                    self.is_preface = false;
                }
            } else {
                let count = bytes.len().min(HEAD - self.have);
                self.head[self.have..self.have + count].copy_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
                self.have += count;
                if self.have == HEAD {
                    self.begin();
                }
            }
            was_whole |= !self.is_owing();
        }
        was_whole
    }

    /// Begins a frame whose head is there.
    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.have = 0;
        self.rest = u32::from_be_bytes([0, high, middle, low]);
        self.is_data = kind == DATA;
        if matches!(kind, HEADERS | CONTINUATION) {
            self.is_list_open = flags & END_HEADERS == 0;
        }
        self.is_begun |= self.rest == 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + length, 0);
        frame
    }

    /// A connection that has begun: the preface and SETTINGS.
    fn begun() -> (Frames, Vec<u8>) {
        let bytes = [vec![b'P'; PREFACE as usize], frame(0x4, 0, 12)].concat();
        (Frames::new(), bytes)
    }

    #[test]
    fn a_connection_begins_with_a_whole_frame() {
        let (mut frames, bytes) = begun();
        for byte in &bytes[..bytes.len() - 1] {
            assert!(frames.is_owing());
            assert!(!frames.take(&[*byte]));
        }
        assert!(frames.take(&bytes[bytes.len() - 1..]));
        assert!(!frames.is_owing());
        let mut frames = Frames::new();
        frames.take(&[vec![b'P'; PREFACE as usize], frame(0x4, 0, 0)].concat());
        assert!(!frames.is_owing(), "empty SETTINGS");
    }

    #[test]
    fn a_list_of_fields_is_owed_until_its_last_frame_is_whole() {
        let (mut frames, bytes) = begun();
        frames.take(&bytes);
        for (part, is_owed) in [
            (frame(HEADERS, 0, 5), true),
            (frame(CONTINUATION, 0, 0), true),
            (frame(CONTINUATION, END_HEADERS, 3)[..HEAD + 2].to_vec(), true),
            (vec![0], false),
            // Both in one frame, and a body that pauses within one.
            (frame(HEADERS, END_HEADERS, 5), false),
            (frame(DATA, 0, 100)[..50].to_vec(), false),
            (vec![0; 59], false),
            // The head of the next frame has begun.
            (frame(DATA, 0, 100)[..4].to_vec(), true),
        ] {
            assert_eq!(frames.take(&part), !is_owed || part.len() == 59, "{part:?}");
            assert_eq!(frames.is_owing(), is_owed, "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_say_what_the_whole_says(
            of in prop::collection::vec((0u8..10, any::<u8>(), 0usize..20), 0..8),
            cuts in prop::collection::vec(1usize..30, 1..20),
        ) {
            let (mut whole, mut bytes) = begun();
            for (kind, flags, length) in of {
                bytes.extend(frame(kind, flags, length));
            }
            let mut pieces = Frames::new();
            let (mut rest, mut was_whole) = (&bytes[..], false);
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                was_whole |= pieces.take(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(whole.take(&bytes), was_whole);
            prop_assert_eq!(whole.is_owing(), pieces.is_owing());
        }
    }
}
