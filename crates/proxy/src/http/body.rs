//! Bodies on their way: where their pieces come from and where they go, whatever the version of HTTP on either side.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};

use super::h1::{ReadError, Reader, Writer};
use super::h2::{H2Error, Receiver, Sender};
use super::head::Fields;
use super::kept::Kept;
use crate::in_process::{self, Answering, Given};

/// What waits at a source.
pub(crate) enum Piece<'a> {
    /// Bytes of the body, not empty.
    Data(&'a [u8]),
    /// The end, with the trailers of the message (none if empty).
    End(&'a Fields),
    /// Nothing yet.
    Nothing,
}

/// Where the pieces of a body come from.
pub(crate) enum Source<'a> {
    /// A connection of HTTP/1.1.
    H1(&'a mut Reader),
    /// A stream of HTTP/2.
    H2(&'a mut Receiver),
    /// There is nothing more, and no trailers.
    Over(&'a Fields),
    /// These bytes, and no trailers.
    Bytes(&'a mut Bytes, &'a Fields),
    /// What a program of this process gives.
    InProcess(&'a mut Given),
}

/// Why no more of a body comes or goes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Reading from HTTP/1.1.
    #[error(transparent)]
    H1(#[from] ReadError),
    /// Either direction of HTTP/2.
    #[error(transparent)]
    H2(#[from] H2Error),
    /// Writing to HTTP/1.1.
    #[error("writing: {0}")]
    Write(std::io::Error),
    /// Nothing came for too long.
    #[error("nothing of the body came for too long")]
    Stalled,
    /// It is longer than what is kept of one, bytes.
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    /// A program of this process gives no more.
    #[error(transparent)]
    Given(#[from] in_process::Broken),
    /// A program of this process reads no more.
    #[error("nobody reads it any longer")]
    Gone,
}

impl Source<'_> {
    /// What waits, without reading.
    pub(crate) fn piece(&mut self) -> Result<Piece<'_>, BodyError> {
        match self {
            Source::H1(reader) => Ok(reader.piece()?),
            Source::H2(receiver) => Ok(receiver.piece()),
            Source::Over(nothing) => Ok(Piece::End(nothing)),
            Source::Bytes(bytes, nothing) if bytes.is_empty() => Ok(Piece::End(nothing)),
            Source::Bytes(bytes, _) => Ok(Piece::Data(bytes)),
            Source::InProcess(given) => Ok(given.piece()),
        }
    }

    /// Whether it was received to its end.
    pub(crate) fn is_over(&mut self) -> bool {
        match self {
            Source::H1(reader) => reader.is_body_over(),
            Source::H2(receiver) => receiver.is_over(),
            Source::Over(_) => true,
            Source::Bytes(bytes, _) => bytes.is_empty(),
            Source::InProcess(given) => given.is_over(),
        }
    }

    /// Whether all of it has come, what waits included, as far as that is known.
    pub(crate) fn is_here(&mut self) -> bool {
        match self {
            Source::H1(reader) => reader.is_body_here(),
            Source::H2(receiver) => receiver.is_here(),
            Source::Over(_) | Source::Bytes(..) => true,
            Source::InProcess(given) => given.is_here(),
        }
    }

    /// So many bytes of the piece were taken.
    pub(crate) fn consume(&mut self, count: usize) {
        match self {
            Source::H1(reader) => reader.consume(count),
            Source::H2(receiver) => receiver.consume(count),
            Source::Over(_) => {}
            Source::Bytes(bytes, _) => bytes.advance(count.min(bytes.len())),
            Source::InProcess(given) => given.consume(count),
        }
    }

    /// Waits until there is more than there was.
    pub(crate) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match self {
            Source::H1(reader) => reader.poll_more(cx).map_err(BodyError::H1),
            Source::H2(receiver) => receiver.poll_more(cx).map_err(BodyError::H2),
            Source::Over(_) | Source::Bytes(..) => Poll::Ready(Ok(())),
            Source::InProcess(given) => given.poll_more(cx).map_err(BodyError::Given),
        }
    }

    /// The waiting piece as bytes of their own, where that costs nothing.
    fn take_bytes(&mut self) -> Option<Bytes> {
        match self {
            Source::H1(_) | Source::Over(_) => None,
            Source::H2(receiver) => receiver.take(),
            Source::Bytes(bytes, _) => Some(std::mem::take(bytes)),
            Source::InProcess(given) => given.take(),
        }
    }
}

/// Where the pieces of a body go.
pub(crate) enum Sink<'a> {
    /// A connection of HTTP/1.1.
    H1(&'a mut Writer),
    /// A stream of HTTP/2.
    H2(&'a mut Sender),
    /// Nobody reads it.
    Nowhere,
    /// It is kept.
    Kept(&'a mut Kept),
    /// A program of this process reads it.
    InProcess(&'a mut Answering),
}

impl Sink<'_> {
    /// Sends all that is buffered.
    pub(crate) async fn flush(&mut self) -> Result<(), BodyError> {
        match self {
            Sink::H1(writer) => writer.flush().await.map_err(BodyError::Write),
            Sink::H2(_) | Sink::Nowhere | Sink::Kept(_) => Ok(()),
            Sink::InProcess(answering) => answering.flush().await,
        }
    }

    /// Takes some of the bytes; answers how many. Waits while the peer does not take more.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<usize, BodyError> {
        match self {
            Sink::H1(writer) => writer.body(bytes).await.map_err(BodyError::Write),
            Sink::H2(sender) => Ok(sender.write(bytes).await?),
            Sink::Nowhere => Ok(bytes.len()),
            Sink::Kept(kept) => kept.write(bytes),
            Sink::InProcess(answering) => answering.write(bytes).await,
        }
    }

    /// Whether the body has left for good, its end included.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Sink::H1(writer) => writer.is_done(),
            Sink::H2(sender) => sender.is_over(),
            Sink::Nowhere | Sink::Kept(_) => true,
            Sink::InProcess(answering) => answering.is_over(),
        }
    }

    pub(crate) async fn finish(&mut self, trailers: &Fields) -> Result<(), BodyError> {
        match self {
            Sink::H1(writer) => {
                writer.end(trailers);
                writer.flush().await.map_err(BodyError::Write)
            }
            Sink::H2(sender) => Ok(sender.finish(trailers)?),
            Sink::Nowhere | Sink::Kept(_) => Ok(()),
            Sink::InProcess(answering) => answering.finish(trailers).await,
        }
    }
}

/// Waits for more at the source, or for the sink's peer to give the stream up.
fn wait(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Broken>> {
    let is_given_up = match sink {
        Sink::H2(sender) => sender.poll_reset(cx).is_ready(),
        Sink::InProcess(answering) => answering.poll_gone(cx).is_ready(),
        Sink::H1(_) | Sink::Nowhere | Sink::Kept(_) => false,
    };
    if is_given_up {
        return Poll::Ready(Err(Broken::Sink));
    }
    source.poll_more(cx).map_err(Broken::Source)
}

/// At which end a body broke.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The source failed.
    Source(BodyError),
    /// The sink failed: whoever reads there is gone or takes no more.
    Sink,
}

/// Tells of the pieces of a body that pass.
pub(crate) trait Watch {
    /// These bytes were passed on.
    fn data(&mut self, bytes: &[u8]);
    /// The body is over.
    fn end(&mut self, trailers: &Fields);
    /// Whether [`Watch::is_whole`] has to be told.
    fn waits_for_whole(&self) -> bool {
        false
    }
    /// All of the body has come, though not all was passed on.
    fn is_whole(&mut self) {}
    /// How long nothing may come; for ever if `None`.
    fn patience(&self) -> Option<Duration> {
        None
    }
}

/// Passes a body on to its end. What is there goes out together; while nothing comes, nothing is held back. May be
/// dropped at any await and called again: no byte is lost or doubled.
pub(crate) async fn pump(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    watch: &mut impl Watch,
) -> Result<(), Broken> {
    loop {
        let waiting = match source.piece().map_err(Broken::Source)? {
            Piece::Data(bytes) => bytes.len(),
            Piece::End(trailers) => {
                watch.end(trailers);
                return sink.finish(trailers).await.map_err(|_| Broken::Sink);
            }
            Piece::Nothing => {
                let more = poll_fn(|cx| Poll::Ready(source.poll_more(cx))).await;
                match more {
                    Poll::Ready(more) => more.map_err(Broken::Source)?,
                    Poll::Pending => pause(source, sink, watch.patience()).await?,
                }
                continue;
            }
        };
        if watch.waits_for_whole() && source.is_here() {
            watch.is_whole();
        }
        pass(source, sink, waiting, watch).await.map_err(|_| Broken::Sink)?;
    }
}

/// Passes on what waits, as much as the sink takes.
async fn pass(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    waiting: usize,
    watch: &mut impl Watch,
) -> Result<(), BodyError> {
    if let Sink::H2(sender) = sink {
        sender.room(waiting).await?;
        if let Some(bytes) = source.take_bytes() {
            watch.data(&bytes);
            return Ok(sender.queue(bytes)?);
        }
    }
    if let Piece::Data(bytes) = source.piece()? {
        let taken = sink.write(bytes).await?;
        watch.data(&bytes[..taken]);
        source.consume(taken);
    }
    Ok(())
}

/// Sends what is held back, and waits for more.
async fn pause(
    source: &mut Source<'_>,
    sink: &mut Sink<'_>,
    patience: Option<Duration>,
) -> Result<(), Broken> {
    sink.flush().await.map_err(|_| Broken::Sink)?;
    if let Source::H1(reader) = source {
        reader.hurry();
    }
    if let Sink::H2(sender) = sink {
        sender.give_back();
    }
    let waiting = poll_fn(|cx| wait(source, sink, cx));
    match patience {
        None => waiting.await,
        Some(limit) => tokio::time::timeout(limit, waiting)
            .await
            .unwrap_or_else(|_| Err(Broken::Source(BodyError::Stalled))),
    }
}
