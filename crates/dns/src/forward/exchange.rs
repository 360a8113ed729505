//! One question to one resolver: UDP, and TCP where the answer is too long for that.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::Outgoing;
use crate::message::HEADER;

/// Larger than what is asked for by EDNS, for resolvers that do not keep to it.
const MAX_UDP: usize = 4096;

/// A datagram may be lost: after so long without a reply another is sent.
const RESEND: Duration = Duration::from_secs(1);

/// The reply of a resolver. The caller bounds the time.
pub(super) async fn ask(resolver: SocketAddr, outgoing: &Outgoing) -> io::Result<Vec<u8>> {
    let reply = ask_udp(resolver, outgoing).await?;
    let is_truncated = reply[2] & 0x02 != 0;
    let mut reply = if is_truncated { ask_tcp(resolver, outgoing).await? } else { reply };
    outgoing.restore_case(&mut reply);
    Ok(reply)
}

async fn ask_udp(resolver: SocketAddr, outgoing: &Outgoing) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match resolver {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A new socket for each question has a port that others cannot guess; a connected one hears nobody else.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(resolver).await?;
    socket.send(&outgoing.bytes).await?;
    let mut buffer = vec![0; MAX_UDP];
    let mut resend = std::pin::pin!(tokio::time::sleep(RESEND));
    loop {
        let length = tokio::select! {
            length = socket.recv(&mut buffer) => length?,
            () = &mut resend => {
                socket.send(&outgoing.bytes).await?;
                resend.as_mut().reset(tokio::time::Instant::now() + RESEND);
                continue;
            }
        };
        if outgoing.is_answered_by(&buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
        tracing::debug!(%resolver, "a datagram that answers another question is dropped");
    }
}

async fn ask_tcp(resolver: SocketAddr, outgoing: &Outgoing) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(resolver).await?;
    let length = u16::try_from(outgoing.bytes.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&outgoing.bytes);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await?;
    match outgoing.is_answered_by(&reply) {
        true => Ok(reply),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to another question")),
    }
}

impl Outgoing {
    /// Whether a message is a reply to this question. The address of its sender is checked already.
    fn is_answered_by(&self, reply: &[u8]) -> bool {
        let Some(header) = reply.get(..HEADER) else { return false };
        let is_reply = header[2] & 0xf8 == 0x80;
        let has_one_question = header[4..6] == [0, 1];
        if !is_reply || !has_one_question || header[..2] != self.id.to_be_bytes() {
            return false;
        }
        let question = HEADER..self.question_end;
        match reply.get(question.clone()) {
            // Neither lengths of labels (at most 63) nor, compared by the second line, type and class have a case.
            Some(repeated) => {
                repeated.eq_ignore_ascii_case(&self.bytes[question])
                    && repeated.ends_with(&self.bytes[self.question_end - 4..self.question_end])
            }
            None => false,
        }
    }

    /// Makes the reply repeat the question letter by letter, as clients that vary the case (0x20) insist on.
    pub(super) fn restore_case(&self, reply: &mut [u8]) {
        let question = HEADER..self.question_end;
        reply[question.clone()].copy_from_slice(&self.bytes[question]);
    }
}
