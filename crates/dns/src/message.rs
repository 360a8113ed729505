//! The bytes of questions and replies: what is refused before anybody looks at the name, and what is left out of a
//! reply that is too long.

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns as Opt, Message, Metadata, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};

/// The size of a header.
pub(crate) const HEADER: usize = 12;
/// The largest message over UDP of a sender without EDNS (RFC 1035).
pub(crate) const PLAIN_UDP: u16 = 512;
/// The largest message over UDP that is not in danger of being fragmented (DNS flag day 2020).
pub(crate) const SAFE_UDP: u16 = 1232;

const QUERY: u8 = 0;
const FORMAT_ERROR: u8 = 1;
const NOT_IMPLEMENTED: u8 = 4;

/// What a client asked, well formed.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The header.
    pub(crate) metadata: Metadata,
    /// The only question.
    pub(crate) query: Query,
    /// What the client said of itself by EDNS.
    pub(crate) edns: Option<Edns>,
}

/// What matters here of an OPT record; its options concern the two ends of one hop, and none is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The largest UDP message that the sender takes.
    pub(crate) payload: u16,
    /// Whether records of DNSSEC are wanted.
    pub(crate) dnssec_ok: bool,
}

impl Edns {
    /// As a record.
    pub(crate) fn to_opt(self) -> Opt {
        let mut opt = Opt::new();
        opt.set_max_payload(self.payload).set_dnssec_ok(self.dnssec_ok);
        opt
    }
}

/// What to say to a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// NOERROR, NXDOMAIN and the like.
    pub(crate) code: ResponseCode,
    /// Whether the mesh is the authority for the name.
    pub(crate) authoritative: bool,
    /// What was asked for.
    pub(crate) answers: Vec<Record>,
    /// For negative replies the SOA that says how long they hold.
    pub(crate) authorities: Vec<Record>,
    /// What will be asked next; left out where it does not fit.
    pub(crate) additionals: Vec<Record>,
}

impl Reply {
    /// A reply of nothing but a code.
    pub(crate) fn error(code: ResponseCode) -> Reply {
        Reply { code, ..Reply::default() }
    }
}

/// What became of some bytes.
#[derive(Debug)]
pub(crate) enum Read {
    /// A question.
    Request(Box<Request>),
    /// Nothing that is answered here; these bytes say so to the client.
    Refused(Vec<u8>),
    /// No question at all. To answer would be to answer answers.
    Ignored,
}

/// Reads a client's message.
pub(crate) fn read(packet: &[u8]) -> Read {
    let Some(header) = packet.get(..HEADER) else { return Read::Ignored };
    if header[2] & 0x80 != 0 {
        return Read::Ignored;
    }
    if (header[2] >> 3) & 0xf != QUERY {
        return Read::Refused(bare(header, NOT_IMPLEMENTED));
    }
    if header[4..6] != [0, 1] {
        return Read::Refused(bare(header, FORMAT_ERROR));
    }
    let Ok(mut message) = Message::from_vec(packet) else {
        return Read::Refused(bare(header, FORMAT_ERROR));
    };
    let Some(query) = message.queries.pop() else {
        return Read::Refused(bare(header, FORMAT_ERROR));
    };
    let edns = message.edns.as_ref().map(|opt| Edns {
        payload: opt.max_payload().max(PLAIN_UDP),
        dnssec_ok: opt.flags().dnssec_ok,
    });
    let request = Request { metadata: message.metadata, query, edns };
    match refusal(&request, message.version()) {
        Some(code) => Read::Refused(encode(&request, Reply::error(code), PLAIN_UDP.into())),
        None => Read::Request(Box::new(request)),
    }
}

/// Why a well-formed question is not answered, whatever its name.
fn refusal(request: &Request, edns_version: u8) -> Option<ResponseCode> {
    if edns_version != 0 {
        return Some(ResponseCode::BADVERS);
    }
    let is_transfer = matches!(request.query.query_type(), RecordType::AXFR | RecordType::IXFR);
    let is_internet = matches!(request.query.query_class(), DNSClass::IN | DNSClass::ANY);
    (is_transfer || !is_internet).then_some(ResponseCode::Refused)
}

/// A reply to a message of which not more than the header is understood.
fn bare(header: &[u8], code: u8) -> Vec<u8> {
    let mut reply = vec![0; HEADER];
    reply[..2].copy_from_slice(&header[..2]);
    // QR, and from the question the opcode and RD.
    reply[2] = 0x80 | (header[2] & 0x79);
    reply[3] = code;
    reply
}

/// Writes a reply in at most `limit` bytes: first the additional records are left out, then as many answers as need
/// be, which the TC bit tells.
pub(crate) fn encode(request: &Request, reply: Reply, limit: usize) -> Vec<u8> {
    let mut message = response_to(request);
    message.metadata.response_code = reply.code;
    message.metadata.authoritative = reply.authoritative;
    message.answers = reply.answers;
    message.authorities = reply.authorities;
    message.additionals = reply.additionals;
    fit(message, limit).unwrap_or_else(|error| {
        tracing::warn!(name = %request.query.name(), %error, "a reply cannot be written");
        server_failure(request)
    })
}

/// The reply for a question that could not be answered.
pub(crate) fn server_failure(request: &Request) -> Vec<u8> {
    let mut message = response_to(request);
    message.metadata.response_code = ResponseCode::ServFail;
    // The question was read from a message, so that it can be written into one.
    message.to_vec().unwrap_or_default()
}

fn response_to(request: &Request) -> Message {
    let mut message = Message::response(request.metadata.id, request.metadata.op_code);
    message.metadata = Metadata::response_from_request(&request.metadata);
    message.metadata.recursion_available = true;
    message.add_query(request.query.clone());
    if let Some(edns) = request.edns {
        message.set_edns(Edns { payload: SAFE_UDP, ..edns }.to_opt());
    }
    message
}

/// Cuts a reply of another server, of which all is known that matters, to `limit` bytes.
pub(crate) fn cut(reply: &[u8], limit: usize) -> Option<Vec<u8>> {
    fit(Message::from_vec(reply).ok()?, limit).ok()
}

fn fit(mut message: Message, limit: usize) -> Result<Vec<u8>, ProtoError> {
    if let Some(bytes) = whole(&message, limit)? {
        return Ok(bytes);
    }
    message.additionals.clear();
    if let Some(bytes) = whole(&message, limit)? {
        return Ok(bytes);
    }
    message.metadata.truncation = true;
    message.authorities.clear();
    let answers = std::mem::take(&mut message.answers);
    let mut best = message.to_vec()?;
    let (mut fits, mut too_many) = (0, answers.len());
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        message.answers = answers[..middle].to_vec();
        match whole(&message, limit)? {
            Some(bytes) => (best, fits) = (bytes, middle),
            None => too_many = middle,
        }
    }
    Ok(best)
}

/// The bytes of the whole message, if they are not more than `limit`.
fn whole(message: &Message, limit: usize) -> Result<Option<Vec<u8>>, ProtoError> {
    let bytes = message.to_vec()?;
    // Beyond 64 KiB the encoder leaves records out by itself, and sets TC.
    let is_whole = message.metadata.truncation || bytes[2] & 0x02 == 0;
    Ok((bytes.len() <= limit && is_whole).then_some(bytes))
}

#[cfg(test)]
mod tests;
