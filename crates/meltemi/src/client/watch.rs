//! The events of a watch, one JSON object a line.

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use serde::Deserialize;
use serde_json::Value;

use super::{ClientError, Status};

/// One change.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Event {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object as it is now, or was last, or a table of it.
    pub object: Value,
}

/// An open watch.
#[derive(Debug)]
pub struct Watch {
    url: String,
    request: String,
    body: Incoming,
    rest: Vec<u8>,
    /// The connection ends when its sender goes.
    _sender: SendRequest<Full<Bytes>>,
}

impl Watch {
    pub(super) fn new(
        url: String,
        request: String,
        body: Incoming,
        sender: SendRequest<Full<Bytes>>,
    ) -> Self {
        Self { url, request, body, rest: Vec::new(), _sender: sender }
    }

    /// The next event; `None` when the server has ended the watch.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return self.read(&line).map(Some);
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    self.rest.extend(frame.into_data().unwrap_or_default());
                }
                Some(Err(error)) => {
                    return Err(ClientError::Broken {
                        url: self.url.clone(),
                        request: self.request.clone(),
                        why: error.to_string(),
                    });
                }
            }
        }
    }

    fn read(&self, line: &[u8]) -> Result<Event, ClientError> {
        let foreign = |_| ClientError::Foreign {
            url: self.url.clone(),
            request: self.request.clone(),
            what: "a line that is not an event".to_owned(),
        };
        let event: Event = serde_json::from_slice(line).map_err(foreign)?;
        match (event.kind.as_str(), Status::of(&event.object)) {
            ("ERROR", Some(status)) => Err(ClientError::Refused(status)),
            _ => Ok(event),
        }
    }
}
