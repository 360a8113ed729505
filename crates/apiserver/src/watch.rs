//! Watch: one JSON object per line for every change, until the client, its time limit or the server ends it, or the
//! watcher may watch no more.

mod standing;

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use meltemi_store::{Event, Store, StoreError, Watch};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::caller::Caller;
use crate::object::{answer, answer_as};
use crate::query::Parameters;
use crate::selector::Matcher;
use crate::shape::Shape;
use crate::state::Closing;
use crate::status::Failure;
use crate::target::Target;

use standing::Standing;

/// A watch without a limit of its own ends after this long, so that dead clients do not pile up.
const LONGEST: Duration = Duration::from_secs(3600);
/// Between two bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(30);
/// Marks the bookmark after the last object that was there when the watch began.
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// Answers with a stream of events.
pub(crate) async fn serve(
    caller: &Caller,
    target: Target,
    parameters: Parameters,
    shape: Shape,
    closing: Closing,
) -> Result<Response, Failure> {
    let matcher = parameters.matcher()?;
    let deadline = Instant::now() + parameters.timeout()?.unwrap_or(LONGEST).min(LONGEST);
    let standing = Standing::begin(caller.clone(), target.clone()).await?;
    let mut session = Session {
        lines: VecDeque::new(),
        watch: None,
        standing,
        matcher,
        shape,
        closing,
        deadline,
        bookmarks: bookmark_interval(),
        told_head: false,
        ended: false,
        target,
        parameters,
    };
    session.begin(&*caller.store).await?;
    let lines = stream::unfold(session, |mut session| async move {
        session.line().await.map(|line| (Ok::<_, std::convert::Infallible>(line), session))
    });
    Ok(([(CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response())
}

fn bookmark_interval() -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + BOOKMARKS, BOOKMARKS);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// One watcher's state.
struct Session {
    lines: VecDeque<Bytes>,
    /// Set by [`Session::begin`].
    watch: Option<Watch>,
    standing: Standing,
    matcher: Matcher,
    shape: Shape,
    closing: Closing,
    deadline: Instant,
    bookmarks: Interval,
    /// Whether the head of a table was sent.
    told_head: bool,
    ended: bool,
    target: Target,
    parameters: Parameters,
}

impl Session {
    /// Starts the store's watch, after what is there already if the client does not name a version.
    async fn begin(&mut self, store: &dyn Store) -> Result<(), Failure> {
        let selector = self.target.selector();
        let initial = self.parameters.initial_events();
        let from = match self.parameters.from()?.filter(|_| !initial) {
            Some(from) => from,
            None => {
                let listing = store.list(&selector).await?;
                for entry in &listing.entries {
                    let object = answer(&self.target, entry)?;
                    if self.matcher.matches(&object) {
                        self.tell("ADDED", object);
                    }
                }
                if initial && self.parameters.bookmarks() {
                    self.bookmark(listing.version, true);
                }
                listing.version
            }
        };
        match store.watch(&selector, from).await {
            Ok(watch) => self.watch = Some(watch),
            Err(error @ StoreError::Expired { .. }) => self.fail(error),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The next line to send; `None` ends the answer.
    async fn line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            let watch = self.watch.as_mut()?;
            tokio::select! {
                event = watch.next() => match event {
                    // What came after the right was taken away is not told, whichever of the two is heard first.
                    Ok(event) => match self.standing.check().await {
                        Ok(()) => self.take(event),
                        Err(failure) => self.fail(failure),
                    },
                    Err(StoreError::Closed) => return None,
                    Err(error) => self.fail(error),
                },
                () = self.standing.doubted() => {
                    if let Err(failure) = self.standing.check().await {
                        self.fail(failure);
                    }
                }
                _ = self.bookmarks.tick(), if self.parameters.bookmarks() => {
                    let version = watch.progress();
                    self.bookmark(version, false);
                }
                () = tokio::time::sleep_until(self.deadline) => {
                    self.ended = true;
                    let version = watch.progress();
                    if self.parameters.bookmarks() {
                        self.bookmark(version, false);
                    }
                }
                () = self.closing.wait() => return None,
            }
        }
    }

    /// Turns a change in the store into what it is for this watcher: an object that begins to match its selector is
    /// added, one that no longer does is deleted.
    fn take(&mut self, event: Event) {
        let entry = event.entry();
        let read = |value: &[u8]| answer_as(&self.target, &entry.key, value, entry.version).ok();
        let matching = |object: &Value| self.matcher.matches(object);
        let (before, now) = match &event {
            Event::Put { entry, previous } => (
                previous.as_deref().and_then(read).filter(matching),
                read(&entry.value).filter(matching),
            ),
            Event::Deleted(entry) => (read(&entry.value).filter(matching), None),
        };
        match (before, now) {
            (None, Some(object)) => self.tell("ADDED", object),
            (Some(_), Some(object)) => self.tell("MODIFIED", object),
            (Some(object), None) => self.tell("DELETED", object),
            (None, None) => {}
        }
    }

    fn tell(&mut self, kind: &str, object: Value) {
        let object = self.shape.event(&self.target, &self.parameters, object, !self.told_head);
        self.told_head = true;
        self.push(kind, &object);
    }

    /// Tells how far the client has come, so that it can resume from there.
    fn bookmark(&mut self, version: u64, initial_end: bool) {
        let mut metadata =
            json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({INITIAL_END: "true"});
        }
        let object = json!({
            "kind": self.target.kind.kind(),
            "apiVersion": self.target.api_version(),
            "metadata": metadata,
        });
        self.push("BOOKMARK", &object);
    }

    fn fail(&mut self, why: impl Into<Failure>) {
        self.ended = true;
        self.push("ERROR", &why.into().to_value());
    }

    fn push(&mut self, kind: &str, object: &Value) {
        let mut line = json!({"type": kind, "object": object}).to_string();
        line.push('\n');
        self.lines.push_back(Bytes::from(line));
    }
}
