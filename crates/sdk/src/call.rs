//! From a request of the program to its answer, or to the one error that says why there is none.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use meltemi_proxy::in_process::{Body, Ours, RequestBody};
use meltemi_telemetry::ResponseFlags;

use crate::BoxError;
use crate::error::Error;
use crate::member::Member;
use crate::request;

/// How much of what the data path says of a failed call is passed on, bytes.
const TOLD: usize = 1024;

/// Makes a call as a workload.
pub(crate) async fn call<B>(member: &Member, request: Request<B>) -> Result<Response<Body>, Error>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let request = request::checked(request)?;
    let caller = member.caller()?;
    let response = caller.call(request.map(body)).await?;
    let Some(Ours(flags)) = response.extensions().get().copied() else { return Ok(response) };
    let is_unavailable = response.status() == 503;
    if is_unavailable && flags.contains(ResponseFlags::NR) {
        let text = text(response).await;
        return Err(match member.is_connected() {
            true => Error::UnknownService(text),
            false => Error::ControlPlane(text),
        });
    }
    match is_unavailable && flags.contains(ResponseFlags::UH) {
        true => Err(Error::NoInstance(text(response).await)),
        false => Ok(response),
    }
}

/// Reads a body, up to so many bytes.
pub(crate) async fn whole(
    response: Response<Body>,
    limit: usize,
) -> Result<Response<Bytes>, Error> {
    let (parts, mut body) = response.into_parts();
    let bytes = match body.take_whole() {
        Some(bytes) if bytes.len() <= limit => bytes,
        Some(_) => return Err(Error::TooLarge(limit)),
        None => match Limited::new(body, limit).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Error::TooLarge(limit)),
            Err(_) => return Err(Error::BrokenOff),
        },
    };
    Ok(Response::from_parts(parts, bytes))
}

async fn text(response: Response<Body>) -> String {
    match whole(response, TOLD).await {
        Ok(response) => String::from_utf8_lossy(response.body()).into_owned(),
        Err(_) => "no reason given".into(),
    }
}

/// The body as the data path takes it. What is known to be empty costs nothing.
fn body<B>(body: B) -> RequestBody
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return RequestBody::Whole(Bytes::new());
    }
    RequestBody::Stream(Box::pin(Plain(Box::pin(body))))
}

/// A body with plain bytes and a plain error, which says as much of its length as before.
struct Plain<B>(Pin<Box<B>>);

impl<B> http_body::Body for Plain<B>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        let plain = |frame: http_body::Frame<B::Data>| {
            frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
        };
        self.0.as_mut().poll_frame(cx).map(|it| it.map(|it| it.map(plain).map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}
