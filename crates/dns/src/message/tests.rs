//! Which messages are refused, and how replies are cut.

use std::net::Ipv4Addr;

use hickory_proto::op::{MessageType, OpCode};
use hickory_proto::rr::{Name, RData, rdata};

use super::*;

fn question() -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii("HeLLo.x.").unwrap(), RecordType::A));
    message
}

fn refused(packet: &[u8]) -> Message {
    match read(packet) {
        Read::Refused(bytes) => Message::from_vec(&bytes).unwrap(),
        other => panic!("not refused: {other:?}"),
    }
}

fn accepted(message: &Message) -> Request {
    match read(&message.to_vec().unwrap()) {
        Read::Request(request) => *request,
        other => panic!("not accepted: {other:?}"),
    }
}

fn addresses(count: u16) -> Vec<Record> {
    let record = |n: u16| {
        let [high, low] = n.to_be_bytes();
        let data = RData::A(rdata::A(Ipv4Addr::new(10, 0, high, low)));
        Record::from_rdata(Name::from_ascii("HeLLo.x.").unwrap(), 5, data)
    };
    (0..count).map(record).collect()
}

#[test]
fn what_is_no_question_is_ignored() {
    let mut response = question();
    response.metadata.message_type = MessageType::Response;
    assert!(matches!(read(&response.to_vec().unwrap()), Read::Ignored));
    assert!(matches!(read(b""), Read::Ignored));
    assert!(matches!(read(&[0; HEADER - 1]), Read::Ignored));
}

#[test]
fn other_operations_are_not_implemented() {
    for op_code in [OpCode::Notify, OpCode::Update, OpCode::Status] {
        let mut message = question();
        message.metadata.op_code = op_code;
        let reply = refused(&message.to_vec().unwrap());
        assert_eq!(reply.metadata.response_code, ResponseCode::NotImp);
        assert_eq!(reply.metadata.op_code, op_code);
        assert_eq!(reply.metadata.id, message.metadata.id);
        assert!(reply.metadata.recursion_desired);
    }
}

#[test]
fn malformed_messages_are_format_errors() {
    let good = question().to_vec().unwrap();
    let mut two_questions = question();
    two_questions.add_query(Query::query(Name::root(), RecordType::A));
    let mut no_question = question();
    no_question.queries.clear();
    let mut looping = good.clone();
    looping[HEADER..HEADER + 2].copy_from_slice(&[0xc0, HEADER as u8]);
    for (case, packet) in [
        ("cut", good[..good.len() - 1].to_vec()),
        ("header alone", good[..HEADER].to_vec()),
        ("two questions", two_questions.to_vec().unwrap()),
        ("no question", no_question.to_vec().unwrap()),
        ("compression loop", looping),
    ] {
        let reply = refused(&packet);
        assert_eq!(reply.metadata.response_code, ResponseCode::FormErr, "{case}");
        assert_eq!(reply.metadata.message_type, MessageType::Response, "{case}");
        assert_eq!(reply.metadata.id.to_be_bytes(), packet[..2], "{case}");
    }
}

#[test]
fn unknown_versions_of_edns_are_told_ours() {
    let mut message = question();
    let mut opt = Opt::new();
    opt.set_version(1).set_max_payload(4096).set_dnssec_ok(true);
    message.set_edns(opt);
    let reply = refused(&message.to_vec().unwrap());
    // 16, which is BADSIG where a signature is answered.
    assert_eq!(u16::from(reply.metadata.response_code), 16);
    let opt = reply.edns.unwrap();
    assert_eq!(opt.version(), 0);
    assert!(opt.flags().dnssec_ok);
}

#[test]
fn transfers_and_other_classes_are_refused() {
    for (kind, class) in [
        (RecordType::AXFR, DNSClass::IN),
        (RecordType::IXFR, DNSClass::IN),
        (RecordType::TXT, DNSClass::CH),
        (RecordType::A, DNSClass::Unknown(77)),
    ] {
        let mut message = question();
        message.queries[0].set_query_type(kind).set_query_class(class);
        let reply = refused(&message.to_vec().unwrap());
        assert_eq!(reply.metadata.response_code, ResponseCode::Refused, "{kind} {class}");
    }
}

#[test]
fn a_reply_mirrors_its_question() {
    let mut message = question();
    message.metadata.checking_disabled = true;
    let reply = Reply { authoritative: true, answers: addresses(1), ..Reply::default() };
    let bytes = encode(&accepted(&message), reply, 512);
    let reply = Message::from_vec(&bytes).unwrap();
    let metadata = reply.metadata;
    assert_eq!(metadata.id, message.metadata.id);
    assert!(metadata.recursion_desired && metadata.recursion_available);
    assert!(metadata.authoritative && metadata.checking_disabled && !metadata.truncation);
    assert!(reply.queries[0].name().eq_case(message.queries[0].name()));
    assert!(reply.edns.is_none());
}

#[test]
fn what_does_not_fit_is_left_out() {
    let mut message = question();
    let mut opt = Opt::new();
    opt.set_max_payload(512);
    message.set_edns(opt);
    let request = accepted(&message);
    // (answers, additionals, limit, truncated, answers left, additionals left)
    for (answers, additionals, limit, truncated, left, extra) in [
        (10, 10, 512, false, 10, 10),
        (20, 20, 512, false, 20, 0),
        (100, 0, 512, true, 29, 0),
        (100, 100, 1232, true, 74, 0),
        (100, 100, 65535, false, 100, 100),
        (5000, 0, 65535, true, 2884, 0),
    ] {
        let reply = Reply {
            answers: addresses(answers),
            additionals: addresses(additionals),
            ..Reply::default()
        };
        let bytes = encode(&request, reply, limit);
        let case = format!("{answers} and {additionals} records in {limit} bytes");
        assert!(bytes.len() <= limit, "{case}: {} bytes", bytes.len());
        let reply = Message::from_vec(&bytes).unwrap();
        assert_eq!(reply.metadata.truncation, truncated, "{case}");
        assert_eq!(reply.additionals.len(), extra, "{case}");
        assert!(reply.edns.is_some(), "{case}: OPT is never left out");
        assert_eq!(reply.answers.len(), left, "{case}");
    }
}
