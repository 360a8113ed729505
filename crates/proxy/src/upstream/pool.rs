//! Connections that wait for their next request, grouped by whom they lead to. One pool a worker, so no lock.
//!
//! The keep-alive race: a server may close an idle connection just as it is used again. So a connection is not used
//! after its peer was seen to close it, nor when it has been idle for nearly as long as the peer was ever seen to wait
//! (or said that it waits, `keep-alive: timeout=`); what still goes wrong is sent anew where that is safe (see
//! [`super::attempt`]).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::admit::Queue;
use super::h1::Connection;
use super::h2::Shared;
use super::route::{Key, Route};
use crate::config::{AppPlace, Endpoint, Origination};
use crate::hash::BuildQuick;

/// How long a connection to another proxy of ours may idle: it waits an hour itself.
const IDLE_MESH: Duration = Duration::from_secs(600);
/// How long a connection to anything else may idle before its habit is known: the common servers wait 5 s or longer
/// (Node.js 5 s, uvicorn 5 s, Apache 5 s, nginx 75 s).
const IDLE_UNKNOWN: Duration = Duration::from_secs(4);
/// So many early closes alike are the peer's habit.
const HABIT: u32 = 3;
/// For how long a habit is taken for one.
const REMEMBERED: Duration = Duration::from_secs(600);
/// How many connections of a group may idle.
const MAX_IDLE: usize = 1024;

/// The pools of one worker.
#[derive(Default)]
pub(crate) struct Pool {
    groups: RefCell<HashMap<Key, Group, BuildQuick>>,
}

#[allow(clippy::vec_box, reason = "a connection is boxed once for its life, not per request")]
struct Group {
    /// Whom it leads to; `None` for the application.
    endpoint: Option<Arc<Endpoint>>,
    /// The application's place. With it the group goes.
    place: Option<Weak<AppPlace>>,
    /// How it is reached, where a rule says it. With the rule the group goes.
    origination: Option<Weak<Origination>>,
    /// Boxed as they are carried, so that a request moves a pointer.
    idle: Vec<Box<Connection>>,
    /// The longest that a connection of this group may idle.
    limit: Duration,
    /// The same, before anything was learnt.
    usual: Duration,
    /// How often in a row the peer was seen to close after about the same time.
    lessons: u32,
    /// After which time it closed last, and when that was seen.
    lesson: Option<(Duration, Instant)>,
    http2: Vec<Shared>,
    opening: Rc<Opening>,
    queue: Rc<Queue>,
}

/// The opening of an HTTP/2 connection: one opens, others wait and share what comes of it.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    /// Held by the one who opens.
    pub(crate) lock: tokio::sync::Mutex<()>,
    /// How often it failed: who waited while it did has failed too.
    pub(crate) failures: Cell<u64>,
}

impl Group {
    fn new(route: &Route) -> Group {
        let (endpoint, origination) = (route.endpoint(), route.origination());
        let is_mesh = endpoint.is_some_and(|endpoint| match origination {
            Some(origination) => origination.is_mutual_with(endpoint),
            None => endpoint.tls.is_some() && !endpoint.is_plaintext,
        });
        let usual = if is_mesh { IDLE_MESH } else { IDLE_UNKNOWN };
        let told = origination.and_then(|it| it.limits.idle);
        let usual = told.map_or(usual, |told| told.min(usual));
        Group {
            endpoint: endpoint.cloned(),
            place: route.app().map(|app| Arc::downgrade(&app.place)),
            origination: origination.map(Arc::downgrade),
            idle: Vec::new(),
            limit: usual,
            usual,
            lessons: 0,
            lesson: None,
            http2: Vec::new(),
            opening: Rc::default(),
            queue: Rc::default(),
        }
    }

    fn is_gone(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.is_gone())
            || self.place.as_ref().is_some_and(|it| it.strong_count() == 0)
            || self.origination.as_ref().is_some_and(|it| it.strong_count() == 0)
    }

    /// Whether nobody has anything of it.
    fn is_unused(&self) -> bool {
        let is_held = Rc::strong_count(&self.queue) > 1 || Rc::strong_count(&self.opening) > 1;
        self.idle.is_empty() && self.http2.is_empty() && !is_held
    }

    /// The peer closed connections, the longest idle of which was so for this time: others are not kept as long. Seen
    /// several times alike it is the peer's habit; else it was a restart, say.
    fn learn(&mut self, idled: Option<Duration>, now: Instant) {
        let Some(idled) = idled else { return };
        let is_alike = self.lesson.is_some_and(|(before, _)| idled.abs_diff(before) < before / 4);
        self.lessons = if is_alike { self.lessons.saturating_add(1) } else { 1 };
        self.lesson = Some((idled, now));
        self.limit = self.limit.min(idled.mul_f64(0.8));
    }

    /// Lets the limit grow again, by a tenth a second, unless it is the peer's habit; that is put to the test again after
    /// a while.
    fn forgive(&mut self, now: Instant) {
        let is_old = |(_, seen)| now.saturating_duration_since(seen) > REMEMBERED;
        if self.lesson.is_some_and(is_old) {
            (self.lessons, self.lesson) = (0, None);
        }
        if self.lessons < HABIT {
            self.limit = (self.limit.mul_f64(1.1) + Duration::from_millis(1)).min(self.usual);
        }
    }
}

impl Pool {
    /// A connection of HTTP/1.1 that idles, the one used last. `is_careful`: for a request that cannot be sent again; the
    /// kernel is asked whether the peer has closed just now.
    pub(crate) fn take(&self, key: Key, now: Instant, is_careful: bool) -> Option<Box<Connection>> {
        let mut groups = self.groups.borrow_mut();
        let group = groups.get_mut(&key)?;
        let mut longest = None;
        while let Some(mut connection) = group.idle.pop() {
            if let Some(closed) = connection.closed_after(now) {
                longest = longest.max(Some(closed));
            } else if connection.idle_for(now) <= group.limit
                && !connection.is_over(now)
                && (!is_careful || connection.is_silent())
            {
                group.learn(longest, now);
                return Some(connection);
            }
        }
        group.learn(longest, now);
        None
    }

    /// Takes a connection back for the next request.
    pub(crate) fn put(&self, route: &Route, mut connection: Box<Connection>, now: Instant) {
        let Some(key) = route.key() else { return };
        let is_gone = route.endpoint().is_some_and(|endpoint| endpoint.is_gone());
        if is_gone || !connection.rest(now) {
            return;
        }
        let mut groups = self.groups.borrow_mut();
        let group = groups.entry(key).or_insert_with(|| Group::new(route));
        if let Some(told) = connection.told_limit() {
            group.limit = group.limit.min(told);
        }
        if group.idle.len() < MAX_IDLE
            && let Some(connection) = group.queue.hand_over(connection)
        {
            group.idle.push(connection);
        }
    }

    /// Whether a request to there would find a connection that stands.
    pub(crate) fn stands(&self, key: Key) -> bool {
        let groups = self.groups.borrow();
        let Some(group) = groups.get(&key) else { return false };
        let takes_more = |it: &Shared| it.is_alive() && it.has_room();
        !group.idle.is_empty() || group.http2.iter().any(takes_more)
    }

    /// A connection of HTTP/2 with room for one more stream.
    pub(crate) fn share(&self, key: Key) -> Option<Shared> {
        let mut groups = self.groups.borrow_mut();
        let group = groups.get_mut(&key)?;
        group.http2.retain(Shared::is_alive);
        group.http2.iter().find(|connection| connection.has_room()).cloned()
    }

    /// Keeps a new connection of HTTP/2.
    pub(crate) fn keep(&self, key: Key, route: &Route, connection: &Shared) {
        if route.endpoint().is_some_and(|endpoint| endpoint.is_gone()) {
            return;
        }
        self.with(key, route, |group| group.http2.push(connection.clone()));
    }

    /// The opening of HTTP/2 connections of a group.
    pub(crate) fn opening(&self, key: Key, route: &Route) -> Rc<Opening> {
        self.with(key, route, |group| group.opening.clone())
    }

    /// Who waits for connections of a group.
    pub(crate) fn queue(&self, key: Key, route: &Route) -> Rc<Queue> {
        self.with(key, route, |group| group.queue.clone())
    }

    fn with<T>(&self, key: Key, route: &Route, then: impl FnOnce(&mut Group) -> T) -> T {
        then(self.groups.borrow_mut().entry(key).or_insert_with(|| Group::new(route)))
    }

    /// Closes what may not be used any longer: of endpoints that are gone, of peers that closed, idle for too long. To
    /// be called once a second.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut groups = self.groups.borrow_mut();
        groups.retain(|key, group| {
            if group.is_gone() {
                return false;
            }
            let (mut at, mut longest) = (0, None);
            while at < group.idle.len() {
                if let Some(closed) = group.idle[at].closed_after(now) {
                    longest = longest.max(Some(closed));
                    group.idle.swap_remove(at);
                } else if group.idle[at].idle_for(now) > group.limit || group.idle[at].is_over(now)
                {
                    group.idle.swap_remove(at);
                } else {
                    at += 1;
                }
            }
            // The oldest goes to the front again, as the one used last is taken first.
            group.idle.sort_by_key(|connection| connection.idle_since());
            group.http2.retain(|connection| connection.is_alive() && !connection.is_over(now));
            group.learn(longest, now);
            group.forgive(now);
            // There is no end of hosts below a wildcard.
            !(matches!(key, Key::Host(..)) && group.is_unused())
        });
    }

    /// Drops the groups of endpoints that are gone.
    pub(crate) fn drop_gone(&self) {
        self.groups.borrow_mut().retain(|_, group| !group.is_gone());
    }
}
