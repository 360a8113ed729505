//! Whatever bytes come in, what goes out is a reply to them, and in time.

use hickory_proto::op::{Edns as Opt, MessageType, ResponseCode};
use hickory_proto::rr::RecordType;
use proptest::prelude::*;

use super::*;
use crate::forward::{Patience, Upstreams};
use crate::names::Resolution;
use crate::zone::tests::mesh::Mesh;

fn handler() -> Handler {
    let endpoints: Vec<String> = (1..=60).map(|n| format!("w{n}=10.0.0.{n}")).collect();
    let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
    let two = ["a=10.0.0.1", "b=10.0.0.2"];
    let mesh = Mesh::default()
        .with("hello.default.svc.cluster.local", Resolution::Static, &["http:80"], &endpoints)
        .with("two.default.svc.cluster.local", Resolution::Static, &["http:80"], &two);
    let nobody = Forwarder::new(Upstreams::Fixed(Vec::new()), Vec::new(), Patience::default());
    Handler::new(Zone::new("svc.cluster.local").unwrap(), Arc::new(mesh), nobody)
}

fn limit(payload: Option<u16>) -> usize {
    payload.unwrap_or(512).into()
}

fn question(name: &str, wanted: RecordType) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), wanted));
    message
}

fn reply(handler: &Handler, message: &Message) -> Message {
    match handler.begin(&message.to_vec().unwrap(), limit) {
        Step::Reply(reply) => Message::from_vec(&reply).unwrap(),
        _ => panic!("{} is not answered at once", message.queries[0]),
    }
}

#[test]
fn each_name_and_type_turns_by_itself() {
    let handler = handler();
    let first = || reply(&handler, &question("two.", RecordType::A)).answers[0].data.clone();
    let start = first();
    for turn in 1..20 {
        // As resolvers do: both types for each look-up, and other names between.
        reply(&handler, &question("TWO.", RecordType::AAAA));
        assert_eq!(first() == start, turn % 2 == 0, "turn {turn}");
    }
}

#[test]
fn a_reply_has_the_size_that_the_client_takes() {
    let handler = handler();
    for (payload, truncated) in
        [(None, true), (Some(512), true), (Some(100), true), (Some(1232), false)]
    {
        let mut message = question("hello.default.svc.cluster.local.", RecordType::A);
        if payload.is_some() {
            message.set_edns(Opt::new());
        }
        let mut packet = message.to_vec().unwrap();
        if let Some(payload) = payload {
            // The setter makes 512 of what is less, as a reader has to (RFC 6891); the record ends the message.
            let class = packet.len() - 8;
            packet[class..class + 2].copy_from_slice(&u16::to_be_bytes(payload));
        }
        let Step::Reply(reply) = handler.begin(&packet, limit) else { panic!("not answered") };
        let reply = Message::from_vec(&reply).unwrap();
        assert_eq!(reply.metadata.truncation, truncated, "{payload:?}");
        assert_eq!(reply.edns.is_some(), payload.is_some(), "{payload:?}");
        assert_eq!(reply.answers.len() == 60, !truncated, "{payload:?}");
        assert!(!reply.answers.is_empty());
    }
}

#[tokio::test]
async fn without_a_resolver_others_names_fail() {
    let handler = handler();
    let message = question("example.com.", RecordType::A);
    let Step::Ask(ask) = handler.begin(&message.to_vec().unwrap(), limit) else {
        panic!("not forwarded")
    };
    let reply = Message::from_vec(&handler.finish(*ask).await).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(reply.metadata.id, message.metadata.id);
    assert!(reply.metadata.recursion_available && !reply.metadata.authoritative);
}

fn check(packet: &[u8]) -> Result<(), TestCaseError> {
    if let Step::Reply(bytes) = handler().begin(packet, limit) {
        let reply = Message::from_vec(&bytes);
        prop_assert!(reply.is_ok(), "{packet:x?} gives {bytes:x?}: {reply:?}");
        let metadata = reply.unwrap().metadata;
        prop_assert_eq!(metadata.message_type, MessageType::Response);
        prop_assert_eq!(metadata.id.to_be_bytes(), [packet[0], packet[1]]);
        prop_assert!(packet[2] & 0x80 == 0, "an answer is answered");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_are_no_danger(packet in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&packet)?;
    }

    #[test]
    fn random_bytes_behind_a_good_header_are_none(
        body in prop::collection::vec(any::<u8>(), 0..300),
        records in 0u8..4,
    ) {
        check(&[&[1, 2, 1, 0, 0, 1, 0, records, 0, records, 0, records], &body[..]].concat())?;
    }

    #[test]
    fn nor_is_a_good_question_with_bytes_changed(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        kind in any::<u16>(),
    ) {
        let mut message = question("_http._tcp.Hello.default.svc.cluster.local.", kind.into());
        message.set_edns(Opt::new());
        // Types such as OPT cannot be asked for; the rest of the packet is as good for that.
        let mut packet = message.to_vec().unwrap();
        check(&packet)?;
        for (place, byte) in changes {
            *place.get_mut(&mut packet) = byte;
        }
        check(&packet)?;
        packet.truncate(cut.index(packet.len()));
        check(&packet)?;
    }
}
