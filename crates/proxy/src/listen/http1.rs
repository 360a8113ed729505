//! The serving end of an HTTP/1.1 connection: one request after the other, until one side has had enough.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::exchange::{Call, Reply};
use crate::finish::local::write_refusal;
use crate::http::body::Source;
use crate::http::h1::encode::Answering;
use crate::http::h1::parse::Malformed;
use crate::http::h1::{ReadError, Reader, Writer};
use crate::http::head::RequestHead;
use crate::io::Io;
use crate::listen::Role;
use crate::listen::clock::Clock;
use crate::worker::Worker;

/// How long a head may take from its first byte on.
pub(super) const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request (Envoy's default).
const IDLE: Duration = Duration::from_secs(3600);
/// How long an idle connection waits for its caller to close it once the workload has left the mesh: the caller knows that
/// and closes first, so that no request meets a connection that we are just closing.
const LEAVING: Duration = Duration::from_secs(2);
/// How long a caller that was refused is listened to, so that it can read why.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// What comes next on a connection.
enum Next {
    Request,
    Refuse(Malformed),
    TooSlow,
    Close,
}

/// Serves requests until the connection ends. `reader` may hold the first bytes already.
pub(crate) async fn serve(worker: &Rc<Worker>, io: Io, mut reader: Reader, role: &Role) {
    let mut writer = Writer::new(io.clone());
    let mut head = RequestHead::default();
    let mut drained = pin!(worker.drained());
    let mut clock = Clock::new();
    loop {
        let drained = role.is_inbound().then_some(drained.as_mut());
        let next = next(worker, &mut reader, &mut head, drained, &mut clock).await;
        match next {
            Next::Request => {}
            Next::Close => break,
            Next::Refuse(why) => {
                return refuse(reader, writer, why.status(), &why.to_string()).await;
            }
            Next::TooSlow => {
                return refuse(reader, writer, 408, "the head was not whole within 10 s").await;
            }
        }
        if head.method() == b"CONNECT" {
            let authority = head.authority().to_vec();
            return role.connect(worker, io, reader, writer, &authority).await;
        }
        if !one(worker, &mut reader, &mut writer, &mut head, role).await {
            break;
        }
    }
    close(reader, writer).await;
}

/// Serves one request; whether the connection goes on.
async fn one(
    worker: &Rc<Worker>,
    reader: &mut Reader,
    writer: &mut Writer,
    head: &mut RequestHead,
    role: &Role,
) -> bool {
    let to = Answering {
        version: head.version,
        to_head: head.method() == b"HEAD",
        keep_alive: head.keep_alive,
    };
    let mut call =
        Call { head, body: Source::H1(reader), reply: Reply::H1 { writer, to }, cors: None };
    let may_continue = role.serve(worker, &mut call).await;
    let keep_alive = match call.reply {
        Reply::H1 { to, .. } => to.keep_alive,
        Reply::H2 { .. } | Reply::Nobody | Reply::Kept(_) | Reply::InProcess(_) => false,
    };
    if !may_continue || !writer.is_over() {
        return false;
    }
    // A body that nobody read is taken in if it is there already; else the connection ends.
    keep_alive && reader.discard()
}

/// Waits for the next head.
async fn next(
    worker: &Worker,
    reader: &mut Reader,
    head: &mut RequestHead,
    mut drained: Option<Pin<&mut tokio::sync::futures::Notified<'_>>>,
    clock: &mut Clock,
) -> Next {
    let mut first_byte: Option<Instant> = None;
    loop {
        match reader.take_request(head) {
            Ok(true) => return Next::Request,
            Ok(false) => {}
            Err(ReadError::Malformed(why)) => return Next::Refuse(why),
            Err(_) => return Next::Close,
        }
        if reader.is_ended() {
            return Next::Close;
        }
        let is_idle = !reader.has_bytes();
        if is_idle {
            head.clear();
            head.fields.rest();
        }
        let is_leaving = drained.is_some() && worker.is_draining();
        let deadline = match is_idle {
            true if is_leaving => Instant::now() + LEAVING,
            true => Instant::now() + IDLE,
            false => *first_byte.get_or_insert_with(Instant::now) + HEAD,
        };
        let event = poll_fn(|cx| {
            if let Poll::Ready(read) = reader.poll_fill(cx) {
                return Poll::Ready(read.map_or(Event::Failed, |()| Event::Read));
            }
            if let Some(drained) = drained.as_mut().filter(|_| is_idle && !is_leaving)
                && drained.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Event::Drained);
            }
            clock.poll(cx, deadline).map(|()| Event::Late)
        })
        .await;
        match event {
            Event::Read | Event::Drained => {}
            Event::Failed => return Next::Close,
            Event::Late if is_idle => return Next::Close,
            Event::Late => return Next::TooSlow,
        }
    }
}

enum Event {
    Read,
    Failed,
    Drained,
    Late,
}

/// Answers a request that could not be read, and ends the connection.
async fn refuse(reader: Reader, mut writer: Writer, status: u16, text: &str) {
    write_refusal(&mut writer, status, text);
    close(reader, writer).await;
}

/// Ends our direction, and reads on for a moment: closing with unread bytes would make the kernel throw away what we
/// sent (RFC 9112, section 9.6).
async fn close(mut reader: Reader, mut writer: Writer) {
    if reader.is_ended() {
        let _ = tokio::time::timeout(LINGER, writer.close()).await;
        return;
    }
    let lingering = async {
        if writer.close().await.is_err() {
            return;
        }
        while !reader.is_ended() {
            reader.skip(usize::MAX);
            if poll_fn(|cx| reader.poll_fill(cx)).await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LINGER, lingering).await;
}
