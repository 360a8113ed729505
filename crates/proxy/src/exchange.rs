//! One request and its answer, as its phases see it: the same for both versions of HTTP on either side.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use meltemi_telemetry::ResponseFlags;

use crate::http::body::{BodyError, Sink, Source};
use crate::http::h1::encode::{self, Answering};
use crate::http::h1::{Framing, Writer};
use crate::http::h2::{Sender, convert};
use crate::http::head::{RequestHead, ResponseHead};
use crate::http::kept::Kept;
use crate::http::known::Known;
use crate::in_process::Answering as InProcess;
use crate::outbound::changes::Cors;

/// A request that has come in.
pub(crate) struct Call<'a> {
    pub(crate) head: &'a mut RequestHead,
    pub(crate) body: Source<'a>,
    pub(crate) reply: Reply<'a>,
    /// Which page of another origin may read the answer, if a rule says so. Boxed, since few requests have it.
    pub(crate) cors: Option<Box<Cors>>,
}

impl Call<'_> {
    /// Ready when the caller is gone. Only while the request's body is not being read.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match (&mut self.body, &mut self.reply) {
            (Source::H1(reader), _) => reader.poll_gone(cx),
            // Only before the answer has begun: from then on its sink is told.
            (Source::H2(_), Reply::H2 { respond, .. }) => respond.poll_reset(cx).map(drop),
            (_, Reply::InProcess(answering)) => answering.poll_gone(cx),
            _ => Poll::Pending,
        }
    }
}

/// The way back to the caller.
pub(crate) enum Reply<'a> {
    /// A connection of HTTP/1.1.
    H1 { writer: &'a mut Writer, to: Answering },
    /// A stream of HTTP/2.
    H2 { respond: SendResponse<Bytes>, sender: Sender },
    /// Nobody waits for an answer.
    Nobody,
    /// A call of our own: it is kept.
    Kept(&'a mut Kept),
    /// A program of this process.
    InProcess(&'a mut InProcess),
}

impl Reply<'_> {
    /// Passes an interim response on (RFC 9110, section 15.2), where the caller's version can have one here.
    pub(crate) async fn interim(&mut self, head: &ResponseHead) -> io::Result<()> {
        let (writer, to) = match self {
            Reply::H1 { writer, to } => (writer, to),
            Reply::H2 { respond, .. } => {
                return respond
                    .send_informational(convert::response(head))
                    .map_err(io::Error::other);
            }
            Reply::Nobody | Reply::Kept(_) | Reply::InProcess(_) => return Ok(()),
        };
        if to.version != crate::http::head::Version::Http11 {
            return Ok(());
        }
        encode::response(writer.out(), head, *to);
        writer.flush().await
    }

    /// Begins the answer. With HTTP/1.1 it goes out together with what follows.
    pub(crate) fn begin(&mut self, head: &ResponseHead) -> Result<(), BodyError> {
        match self {
            Reply::H1 { writer, to } => {
                let framing = encode::response(writer.out(), head, *to);
                writer.begin(framing);
            }
            Reply::H2 { respond, sender } => {
                let is_all = head.body == crate::http::head::BodyLength::Empty;
                let stream = respond
                    .send_response(convert::response(head), is_all)
                    .map_err(|error| BodyError::H2(error.into()))?;
                *sender = if is_all { Sender::ended() } else { Sender::new(stream) };
            }
            Reply::Nobody => {}
            Reply::Kept(kept) => kept.begin(head),
            Reply::InProcess(answering) => answering.begin(head),
        }
        Ok(())
    }

    /// Where the body goes.
    pub(crate) fn sink(&mut self) -> Sink<'_> {
        match self {
            Reply::H1 { writer, .. } => Sink::H1(writer),
            Reply::H2 { sender, .. } => Sink::H2(sender),
            Reply::Nobody => Sink::Nowhere,
            Reply::Kept(kept) => Sink::Kept(kept),
            Reply::InProcess(answering) => Sink::InProcess(answering),
        }
    }

    /// The answer cannot be finished: the caller must not take it for whole.
    pub(crate) fn break_off(&mut self, reason: Reason) {
        match self {
            // The connection ends without the end of the body.
            Reply::H1 { writer, .. } => writer.begin(Framing::UntilClose),
            Reply::H2 { respond, sender } => {
                sender.reset(reason);
                respond.send_reset(reason);
            }
            Reply::InProcess(answering) => answering.break_off(),
            Reply::Nobody | Reply::Kept(_) => {}
        }
    }

    /// The answer that is begun next is given by no endpoint, but by us.
    pub(crate) fn is_ours(&mut self, flags: ResponseFlags) {
        if let Reply::InProcess(answering) = self {
            answering.is_ours(flags);
        }
    }

    /// The caller's connection is to end with this answer.
    pub(crate) fn close_after(&mut self) {
        if let Reply::H1 { to, .. } = self {
            to.keep_alive = false;
        }
    }
}

/// Whether the caller waits for an interim response before it sends the body.
pub(crate) fn expects_continue(head: &RequestHead) -> bool {
    head.fields.find(Known::Expect).is_some()
}
