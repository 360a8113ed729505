//! The head of a message: one flat buffer with its fields as ranges, the same for HTTP/1.1 and HTTP/2.
//!
//! A head is reused from request to request on a connection, so that a steady stream of requests
//! allocates nothing here. Field names keep the case in which they came.

use super::known::Known;

/// The size of heads whose memory is kept from request to request, bytes.
const USUAL: usize = 4096;

/// A range of a head's buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    known: Known,
    name: Span,
    value: Span,
}

/// Header or trailer fields, in their order.
#[derive(Debug, Default, Clone)]
pub struct Fields {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

impl Fields {
    /// Forgets all fields, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    /// Gives the memory of an unusually large head back, when there will be none for a while.
    pub(crate) fn rest(&mut self) {
        if self.bytes.capacity() > USUAL {
            *self = Fields::default();
        }
    }

    /// Takes over a parsed head: `raw` is copied once, names and values are given as slices of it.
    pub(crate) fn load<'a>(
        &mut self,
        raw: &'a [u8],
        parsed: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        self.clear();
        self.bytes.extend_from_slice(raw);
        for (name, value) in parsed {
            let field = Field {
                known: Known::of(name),
                name: offset(raw, name),
                value: offset(raw, value),
            };
            self.fields.push(field);
        }
    }

    /// Copies text into the buffer.
    pub(crate) fn store(&mut self, text: &[u8]) -> Span {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(text);
        Span { start, len: text.len() as u32 }
    }

    /// The range of a part of what was loaded; the empty range for an empty part.
    pub(crate) fn span_of(&self, raw: &[u8], part: &[u8]) -> Span {
        if part.is_empty() { Span::default() } else { offset(raw, part) }
    }

    /// The ranges of the values of all fields of this kind.
    pub(crate) fn spans(&self, known: Known) -> impl Iterator<Item = Span> {
        self.fields.iter().filter(move |field| field.known == known).map(|field| field.value)
    }

    /// The text of a range.
    pub(crate) fn text(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..(span.start + span.len) as usize]
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let field =
            Field { known: Known::of(name), name: self.store(name), value: self.store(value) };
        self.fields.push(field);
    }

    /// Leaves of a trailer section what may stand in one: nothing that says where a message ends or goes, who calls, or how the
    /// request is to be served (RFC 9110, section 6.5.1). Somebody may take trailers for header fields.
    pub(crate) fn keep_trailers(&mut self) {
        const NEVER: [&[u8]; 5] = [
            b"authorization",
            b"forwarded",
            b"set-cookie",
            b"x-forwarded-for",
            b"x-forwarded-host",
        ];
        if !self.fields.is_empty() {
            self.retain(|known, name, _| {
                known.may_be_trailer() && !NEVER.iter().any(|it| name.eq_ignore_ascii_case(it))
            });
        }
    }

    /// The first field of this kind.
    pub fn find(&self, known: Known) -> Option<&[u8]> {
        self.find_all(known).next()
    }

    /// All fields of this kind.
    pub fn find_all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |field| field.known == known)
            .map(|field| self.text(field.value))
    }

    /// The first field of this name, without regard to case.
    pub fn find_name(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields
            .iter()
            .find(|field| self.text(field.name).eq_ignore_ascii_case(name))
            .map(|field| self.text(field.value))
    }

    /// Removes all fields of this kind.
    pub fn remove(&mut self, known: Known) {
        self.fields.retain(|field| field.known != known);
    }

    /// Removes all fields of this name, without regard to case.
    pub fn remove_name(&mut self, name: &[u8]) {
        self.retain(|_, own, _| !own.eq_ignore_ascii_case(name));
    }

    /// Leaves one field of this kind, with this value.
    pub fn set(&mut self, known: Known, name: &[u8], value: &[u8]) {
        self.remove(known);
        self.push(name, value);
    }

    /// Keeps the fields for which `keep(kind, name, value)` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Known, &[u8], &[u8]) -> bool) {
        let bytes = &self.bytes;
        let text = |span: Span| &bytes[span.start as usize..(span.start + span.len) as usize];
        self.fields.retain(|field| keep(field.known, text(field.name), text(field.value)));
    }

    /// Kind, name and value of each field.
    pub fn iter(&self) -> impl Iterator<Item = (Known, &[u8], &[u8])> {
        self.fields.iter().map(|field| (field.known, self.text(field.name), self.text(field.value)))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

fn offset(raw: &[u8], part: &[u8]) -> Span {
    Span { start: (part.as_ptr() as usize - raw.as_ptr() as usize) as u32, len: part.len() as u32 }
}

/// The version of HTTP in which a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyLength {
    /// There is no body.
    #[default]
    Empty,
    /// So many bytes.
    Exact(u64),
    /// Known only when it ends: chunks, HTTP/2 frames, or the end of the connection.
    Unknown,
}

/// The head of a request.
#[derive(Debug, Default, Clone)]
pub struct RequestHead {
    /// All fields but `host`, which is the authority.
    pub fields: Fields,
    pub(crate) method: Span,
    pub(crate) target: Span,
    pub(crate) authority: Span,
    /// Version in which it came.
    pub version: Version,
    /// Length of its body.
    pub body: BodyLength,
    /// Whether the caller's connection may serve another request afterwards.
    pub keep_alive: bool,
    /// Whether it asks to leave HTTP (`connection: upgrade`).
    pub upgrade: bool,
}

impl RequestHead {
    /// The method, in its letters.
    pub fn method(&self) -> &[u8] {
        self.fields.text(self.method)
    }

    /// Path and query; `*` for OPTIONS, empty for CONNECT.
    pub fn target(&self) -> &[u8] {
        self.fields.text(self.target)
    }

    /// Host and perhaps port that the caller asked for.
    pub fn authority(&self) -> &[u8] {
        self.fields.text(self.authority)
    }

    /// Puts another path and query in place of the caller's.
    pub(crate) fn set_target(&mut self, target: &[u8]) {
        self.target = self.fields.store(target);
    }

    /// Puts another host in place of the one that the caller asked for.
    pub(crate) fn set_authority(&mut self, authority: &[u8]) {
        self.authority = self.fields.store(authority);
    }

    /// Whether the content is gRPC (`application/grpc`, with or without a subtype).
    pub fn is_grpc(&self) -> bool {
        let Some(content) = self.fields.find(Known::ContentType) else {
            return false;
        };
        content.len() >= 16
            && content[..16].eq_ignore_ascii_case(b"application/grpc")
            && !matches!(content.get(16), Some(b'-'))
    }

    /// Starts over for another request.
    pub fn clear(&mut self) {
        self.fields.clear();
        *self = RequestHead { fields: std::mem::take(&mut self.fields), ..Default::default() };
    }
}

/// The head of a response.
#[derive(Debug, Default, Clone)]
pub struct ResponseHead {
    /// The fields.
    pub fields: Fields,
    /// The status code.
    pub status: u16,
    /// Version in which it came.
    pub version: Version,
    /// Length of its body.
    pub body: BodyLength,
    /// Whether the connection that it came on may serve another request.
    pub keep_alive: bool,
    /// Whether it leaves HTTP (status 101).
    pub upgrade: bool,
}

impl ResponseHead {
    /// Starts over for another response.
    pub fn clear(&mut self) {
        self.fields.clear();
        *self = ResponseHead { fields: std::mem::take(&mut self.fields), ..Default::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_order_and_case_and_are_found_without_it() {
        let mut fields = Fields::default();
        fields.push(b"X-One", b"1");
        fields.push(b"Cookie", b"a=1");
        fields.push(b"cookie", b"b=2");
        assert_eq!(fields.find_name(b"x-one"), Some(&b"1"[..]));
        assert_eq!(fields.find_all(Known::Cookie).count(), 2);
        fields.set(Known::Cookie, b"cookie", b"c=3");
        let names: Vec<_> = fields.iter().map(|(_, name, _)| name.to_vec()).collect();
        assert_eq!(names, [b"X-One".to_vec(), b"cookie".to_vec()]);
    }

    #[test]
    fn grpc_is_told_from_grpc_web() {
        for (content, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut head = RequestHead::default();
            head.fields.push(b"content-type", content.as_bytes());
            assert_eq!(head.is_grpc(), grpc, "{content}");
        }
    }
}
