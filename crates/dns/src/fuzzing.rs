//! What bytes of clients and of other name servers go through, for the fuzz targets in `fuzz/`.

use hickory_proto::op::ResponseCode;

use crate::message::{self, HEADER, PLAIN_UDP, Read, Reply};

/// A client's message, and the same bytes as another server's reply. What is answered answers the question that was asked,
/// and fits where it must.
pub fn message(bytes: &[u8]) {
    match message::read(bytes) {
        Read::Ignored => {}
        Read::Refused(reply) => is_reply(bytes, &reply),
        Read::Request(request) => {
            let reply =
                message::encode(&request, Reply::error(ResponseCode::NXDomain), PLAIN_UDP.into());
            is_reply(bytes, &reply);
            is_reply(bytes, &message::server_failure(&request));
        }
    }
    let limit = usize::from(PLAIN_UDP);
    if let Some(cut) = message::cut(bytes, limit) {
        assert!(
            cut.len() <= limit || cut[2] & 0x02 != 0,
            "{} bytes and not marked as cut",
            cut.len()
        );
    }
}

fn is_reply(question: &[u8], reply: &[u8]) {
    assert!(reply.len() >= HEADER, "a reply has a header");
    assert_eq!(reply[..2], question[..2], "it is for the question that was asked");
    assert_eq!(reply[2] & 0x80, 0x80, "it says that it is a reply");
}
