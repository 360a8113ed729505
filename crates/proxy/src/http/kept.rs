//! The answer to a call of our own, kept whole within a limit.

use super::body::BodyError;
use super::head::ResponseHead;

/// An answer as far as it has come.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
    /// The longest body that is taken, bytes.
    limit: usize,
}

impl Kept {
    /// Nothing yet.
    pub(crate) fn new(limit: usize) -> Kept {
        Kept { head: ResponseHead::default(), body: Vec::new(), limit }
    }

    /// Takes the head.
    pub(crate) fn begin(&mut self, head: &ResponseHead) {
        self.head = ResponseHead { fields: head.fields.clone(), ..ResponseHead::default() };
        self.head.status = head.status;
        self.body.clear();
    }

    /// Takes bytes of the body: all, or none if they are too many.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        if self.body.len() + bytes.len() > self.limit {
            return Err(BodyError::TooLong(self.limit));
        }
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}
