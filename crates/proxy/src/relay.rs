//! The answer goes back to the caller, while what is left of the request goes on.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Instant;

use h2::Reason;

use crate::exchange::{Call, Reply};
use crate::http::body::{BodyError, Broken, Sink, Source, Watch, pump};
use crate::http::h1::{Reader, Writer};
use crate::http::head::{Fields, ResponseHead};
use crate::http::known::Known;
use crate::reporting;
use crate::upstream::attempt::Answer;
use crate::upstream::replay::Replay;
use crate::upstream::route::Route;
use crate::worker::Worker;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Whole.
    Complete,
    /// The caller went away.
    CallerGone,
    /// The endpoint broke it off.
    EndpointBroke,
}

/// What is counted of an answer.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Bytes of its body.
    pub(crate) bytes: u64,
    /// `grpc-status`, from fields or trailers.
    pub(crate) grpc_status: Option<u8>,
    /// Whether the endpoint's word on its load is wanted from trailers.
    pub(crate) wants_load: bool,
    /// How much of what it can do the endpoint does, by its trailers.
    pub(crate) utilization: Option<f32>,
}

impl Counted {
    pub(crate) fn read_status(&mut self, fields: &Fields) {
        let status = fields.find(Known::GrpcStatus).and_then(|text| std::str::from_utf8(text).ok());
        self.grpc_status = status.and_then(|text| text.trim().parse().ok()).or(self.grpc_status);
    }
}

impl Watch for Counted {
    fn data(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
    }

    fn end(&mut self, trailers: &Fields) {
        self.read_status(trailers);
        if self.wants_load {
            self.utilization = reporting::of_message(trailers);
        }
    }
}

/// Passes the answer on to its end, and gives the connection back to its pool where it can serve again.
pub(crate) async fn relay(
    worker: &Worker,
    route: &Route,
    call: &mut Call<'_>,
    mut answer: Answer,
    response: &ResponseHead,
    replay: &mut Replay,
    counted: &mut Counted,
) -> End {
    counted.read_status(&response.fields);
    replay.forget();
    if !call.body.is_over() {
        // Nobody can tell whether the rest of the request will be read.
        call.reply.close_after();
    }
    if call.reply.begin(response).is_err() {
        return End::CallerGone;
    }
    if response.upgrade {
        return leave_http(call, answer, counted).await;
    }
    let end = {
        let (mut source, mut sink) = match &mut answer {
            Answer::H1(connection) => {
                let connection = &mut **connection;
                (Source::H1(&mut connection.reader), Sink::H1(&mut connection.writer))
            }
            Answer::H2 { sender, receiver, .. } => (Source::H2(receiver), Sink::H2(sender)),
        };
        both_ways(call, &mut source, &mut sink, replay, counted).await
    };
    let end = match end {
        Ok(()) => End::Complete,
        Err(Broken::Sink) => End::CallerGone,
        Err(Broken::Source(error)) => {
            call.reply.break_off(reason_of(&error));
            End::EndpointBroke
        }
    };
    if let Answer::H1(mut connection) = answer
        && end == End::Complete
        && response.keep_alive
        && connection.writer.is_done()
        && connection.reader.is_body_over()
    {
        worker.pool.put(route, connection, Instant::now());
    }
    end
}

/// Runs both directions until the answer is over. What of the request is not over then is not waited for.
async fn both_ways(
    call: &mut Call<'_>,
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    replay: &mut Replay,
    counted: &mut Counted,
) -> Result<(), Broken> {
    let Call { body, reply, .. } = call;
    let mut back = reply.sink();
    let mut is_sent = sink.is_done();
    while !is_sent {
        tokio::select! {
            biased;
            answered = pump(source, &mut back, counted) => return answered,
            sent = pump(body, sink, replay) => match sent {
                // A request that its caller breaks off has no use for an answer.
                Err(Broken::Source(_)) => return Err(Broken::Sink),
                // Over, or nobody reads it, so that its end is not seen: the answer goes on.
                Ok(()) | Err(Broken::Sink) => {
                    replay.is_whole();
                    is_sent = true;
                }
            },
        }
    }
    tokio::select! {
        biased;
        answered = pump(source, &mut back, counted) => answered,
        () = poll_fn(|cx| poll_gone(body, cx)) => Err(Broken::Sink),
    }
}

/// Ready when a caller with a connection of its own is gone; a stream's end is told to its sink.
fn poll_gone(body: &mut Source<'_>, cx: &mut Context<'_>) -> Poll<()> {
    match body {
        Source::H1(reader) => reader.poll_gone(cx),
        Source::H2(_) | Source::Over(_) | Source::Bytes(..) | Source::InProcess(_) => Poll::Pending,
    }
}

fn reason_of(error: &BodyError) -> Reason {
    match error {
        BodyError::H2(error) => error.reason().unwrap_or(Reason::INTERNAL_ERROR),
        _ => Reason::INTERNAL_ERROR,
    }
}

/// After status 101 both connections carry bytes, each direction until its end.
async fn leave_http(call: &mut Call<'_>, answer: Answer, counted: &mut Counted) -> End {
    let (Answer::H1(mut connection), Source::H1(reader), Reply::H1 { writer, .. }) =
        (answer, &mut call.body, &mut call.reply)
    else {
        return End::EndpointBroke;
    };
    reader.leave_http();
    connection.reader.leave_http();
    connection.writer.begin(crate::http::h1::Framing::UntilClose);
    let connection = &mut *connection;
    tunnel(reader, writer, &mut connection.reader, &mut connection.writer, counted).await
}

/// Carries bytes both ways; the end of one direction is passed on as such, and the other goes on.
pub(crate) async fn tunnel(
    reader: &mut Reader,
    writer: &mut Writer,
    far_reader: &mut Reader,
    far_writer: &mut Writer,
    counted: &mut Counted,
) -> End {
    let mut up = Counted::default();
    let there = one_way(reader, far_writer, &mut up);
    let back = one_way(far_reader, writer, counted);
    match tokio::try_join!(there, back) {
        Ok(_) => End::Complete,
        Err(_) => End::CallerGone,
    }
}

/// Carries one direction. A side that takes no more may still have something to say: only a side that cannot be read any
/// longer ends both directions.
async fn one_way(
    reader: &mut Reader,
    writer: &mut Writer,
    counted: &mut Counted,
) -> Result<(), BodyError> {
    match pump(&mut Source::H1(reader), &mut Sink::H1(writer), counted).await {
        Err(Broken::Source(error)) => Err(error),
        Err(Broken::Sink) => Ok(()),
        Ok(()) => {
            // A side that is gone already needs no end.
            let _ = writer.close().await;
            Ok(())
        }
    }
}
