//! A probe by gRPC's health checking protocol (`grpc.health.v1.Health/Check`), in plaintext as the kubelet does it.

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use prost::Message;

use super::super::plan::Place;

/// The length of what stands before a message: a flag and a 32 bit length.
const PREFIX: usize = 5;
/// The longest answer that is read: it holds one number.
const LONGEST: usize = 1024;
/// `SERVING` of `HealthCheckResponse.ServingStatus`.
const SERVING: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

pub(super) async fn check(port: u16, service: &str) -> Result<(), String> {
    let place = Place::local(port);
    let stream = place.connect().await.map_err(|error| error.to_string())?;
    let (sender, connection) =
        h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
    let authority = place.authority();
    let mut outcome = std::pin::pin!(call(sender, &authority, service));
    // The connection ends with this future. One that ends first has left its answer, or the reason why there is none.
    tokio::select! {
        outcome = &mut outcome => outcome,
        _ = connection => outcome.await,
    }
}

async fn call(sender: SendRequest<Bytes>, authority: &str, service: &str) -> Result<(), String> {
    let failed = |error: h2::Error| error.to_string();
    let mut sender = sender.ready().await.map_err(failed)?;
    let request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(())
        .map_err(|error| error.to_string())?;
    let (answer, mut body) = sender.send_request(request, false).map_err(failed)?;
    body.send_data(question(service), true).map_err(failed)?;
    let answer = answer.await.map_err(failed)?;
    if answer.status() != StatusCode::OK {
        return Err(format!("answered {}", answer.status()));
    }
    refusal(answer.headers())?;
    let mut body = answer.into_body();
    let mut read = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece.map_err(failed)?;
        if read.len() + piece.len() > LONGEST {
            return Err("the answer is too long for one of the health service".into());
        }
        read.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).map_err(failed)?;
    }
    if let Some(trailers) = body.trailers().await.map_err(failed)? {
        refusal(&trailers)?;
    }
    match status(&read)? {
        SERVING => Ok(()),
        status => Err(format!("status {status} rather than SERVING")),
    }
}

fn question(service: &str) -> Bytes {
    let message = HealthCheckRequest { service: service.to_owned() }.encode_to_vec();
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // A service's name came in a message of at most some megabytes.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

/// The status that a framed answer tells.
pub(crate) fn status(framed: &[u8]) -> Result<i32, String> {
    let wrong = || "the answer is not one of the health service".to_owned();
    let (prefix, message) = framed.split_at_checked(PREFIX).ok_or_else(wrong)?;
    if prefix[0] != 0 {
        return Err(wrong());
    }
    HealthCheckResponse::decode(message).map(|it| it.status).map_err(|_| wrong())
}

/// A gRPC status that is not `OK`, as in `NOT_FOUND` for a service that the server does not know.
fn refusal(headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|it: &HeaderValue| it.to_str().ok());
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some(code) => {
            Err(format!("gRPC status {code} {}", text("grpc-message").unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_the_health_service_is_read_as_one() {
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 1]), Ok(SERVING));
        assert_eq!(status(&[0, 0, 0, 0, 2, 8, 2]), Ok(2));
        assert_eq!(status(&[0, 0, 0, 0, 0]), Ok(0), "UNKNOWN is not written out");
        assert!(status(b"").is_err());
        assert!(status(&[1, 0, 0, 0, 2, 8, 1]).is_err(), "compressed, which nobody has offered");
        assert!(status(&[0, 0, 0, 0, 1, 255]).is_err());
        assert_eq!(question("a")[..], [0, 0, 0, 0, 3, 10, 1, b'a']);
    }
}
