//! A connection of bytes through an HTTP proxy, as a DestinationRule's `tunnel` asks for.

use std::io;
use std::time::Duration;

use meltemi_policy::destination::rule::TunnelSettings;

use super::carry::Far;
use crate::http::h1::{Framing, ReadError};
use crate::http::head::ResponseHead;

/// How long the proxy may take over its answer, as a connection may.
const LIMIT: Duration = Duration::from_secs(10);

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    /// The proxy's answer is no success.
    #[error("the proxy refused the tunnel to {0} with status {1}")]
    Refused(String, u16),
    /// The proxy went away, or does not speak HTTP/1.1.
    #[error("the proxy was asked for a tunnel to {0}: {1}")]
    Broken(String, ReadError),
    /// No answer came.
    #[error("the proxy did not answer within 10 s when it was asked for a tunnel to {0}")]
    TimedOut(String),
}

/// Asks for the tunnel; what follows are the caller's bytes.
pub(super) async fn open(far: &mut Far, settings: &TunnelSettings) -> Result<(), TunnelError> {
    let target = match settings.target_host.contains(':') {
        true => format!("[{}]:{}", settings.target_host, settings.target_port),
        false => format!("{}:{}", settings.target_host, settings.target_port),
    };
    let asked = tokio::time::timeout(LIMIT, ask(far, settings.use_post, &target)).await;
    match asked {
        Ok(Ok(200..300)) => {}
        Ok(Ok(status)) => return Err(TunnelError::Refused(target, status)),
        Ok(Err(error)) => return Err(TunnelError::Broken(target, error)),
        Err(_) => return Err(TunnelError::TimedOut(target)),
    }
    match settings.use_post {
        true => far.writer.begin(Framing::Chunked),
        false => far.reader.leave_http(),
    }
    Ok(())
}

/// The status of the answer.
async fn ask(far: &mut Far, use_post: bool, target: &str) -> Result<u16, ReadError> {
    let head = match use_post {
        true => {
            format!("POST / HTTP/1.1\r\nhost: {target}\r\ntransfer-encoding: chunked\r\n\r\n")
        }
        false => format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n"),
    };
    far.writer.out().extend_from_slice(head.as_bytes());
    far.writer.flush().await?;
    let mut head = ResponseHead::default();
    loop {
        if !far.reader.response(false, &mut head).await? {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if head.status >= 200 {
            return Ok(head.status);
        }
    }
}
