//! Reads one HTTP/1.1 response strictly (RFC 9112): what does not fit is an error, not guessed at.

use std::io::{self, ErrorKind};

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// A response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// The status codes of the interim responses before it.
    pub interim: Vec<u16>,
    /// Its fields, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// Its body, without chunk framing.
    pub body: Vec<u8>,
    /// The lengths of its chunks, the last one of 0 left out.
    pub chunks: Vec<usize>,
    /// The fields after a chunked body.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// The value of a field, if it came.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The value of a trailer field, if it came.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        find(&self.trailers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: status {}: {}", self.status, self.text()))
    }

    /// The instance that answered.
    pub fn served_by(&self) -> &str {
        self.header("x-served-by").unwrap_or_default()
    }
}

fn find<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
}

/// Reads a final response and the interim ones before it.
pub(super) async fn read_response(
    stream: &mut (impl AsyncBufRead + Unpin),
    method: &str,
) -> io::Result<Response> {
    let mut response = Response::default();
    loop {
        response.status = read_status(stream).await?;
        response.headers = read_fields(stream).await?;
        if response.status >= 200 || response.status == 101 {
            break;
        }
        response.interim.push(response.status);
    }
    let has_no_body = method == "HEAD"
        || (method == "CONNECT" && response.status < 300)
        || matches!(response.status, 101 | 204 | 304);
    if !has_no_body {
        read_body(stream, &mut response).await?;
    }
    Ok(response)
}

async fn read_status(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<u16> {
    let line = read_line(stream).await?;
    line.strip_prefix("HTTP/1.1 ")
        .or_else(|| line.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| invalid(format!("no status line: {line:?}")))
}

async fn read_fields(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) =
            line.split_once(':').ok_or_else(|| invalid(format!("no field: {line:?}")))?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

async fn read_body(
    stream: &mut (impl AsyncBufRead + Unpin),
    response: &mut Response,
) -> io::Result<()> {
    let length = response.header("content-length").map(str::to_owned);
    match (response.header("transfer-encoding"), length) {
        (Some(_), Some(_)) => Err(invalid("both a length and an encoding".to_owned())),
        (Some("chunked"), None) => read_chunks(stream, response).await,
        (Some(other), None) => Err(invalid(format!("transfer-encoding {other}"))),
        (None, Some(length)) => {
            let length = length.parse().map_err(|_| invalid(format!("length {length}")))?;
            response.body = vec![0; length];
            stream.read_exact(&mut response.body).await.map(drop)
        }
        (None, None) => stream.read_to_end(&mut response.body).await.map(drop),
    }
}

async fn read_chunks(
    stream: &mut (impl AsyncBufRead + Unpin),
    response: &mut Response,
) -> io::Result<()> {
    loop {
        let line = read_line(stream).await?;
        let digits = line.split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(digits, 16)
            .map_err(|_| invalid(format!("chunk length {line:?}")))?;
        if length == 0 {
            response.trailers = read_fields(stream).await?;
            return Ok(());
        }
        let start = response.body.len();
        response.body.resize(start + length, 0);
        stream.read_exact(&mut response.body[start..]).await?;
        response.chunks.push(length);
        let end = read_line(stream).await?;
        if !end.is_empty() {
            return Err(invalid(format!("after a chunk: {end:?}")));
        }
    }
}

async fn read_line(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        None if !line.ends_with(b"\n") => Err(ErrorKind::UnexpectedEof.into()),
        None => Err(invalid(format!("a bare line feed: {line:?}"))),
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str) -> io::Result<Response> {
        read_response(&mut text.as_bytes(), "GET").await
    }

    #[tokio::test]
    async fn a_response_is_read_with_its_chunks_and_trailers() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                    2\r\nab\r\n1;x=y\r\nc\r\n0\r\nX-End: yes\r\n\r\n";
        let response = read(text).await.unwrap();
        assert_eq!((response.status, response.interim.as_slice()), (200, &[100][..]));
        assert_eq!((response.text().as_str(), response.chunks.as_slice()), ("abc", &[2, 1][..]));
        assert_eq!(response.trailer("x-end"), Some("yes"));
    }

    #[tokio::test]
    async fn what_is_no_response_is_an_error() {
        for (text, kind) in [
            ("", ErrorKind::UnexpectedEof),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", ErrorKind::UnexpectedEof),
            ("hello\r\n", ErrorKind::InvalidData),
            ("HTTP/1.1 200 OK\n\n", ErrorKind::InvalidData),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                ErrorKind::InvalidData,
            ),
        ] {
            assert_eq!(read(text).await.unwrap_err().kind(), kind, "{text:?}");
        }
    }
}
