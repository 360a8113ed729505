//! The windows of one endpoint and caller: seconds of the last minute, minutes of the last hour.

use std::collections::VecDeque;

use meltemi_policy::outcome::Tally;

use super::HOUR;

/// The bytes of a tally's code at most.
pub const CODE: usize = 160;
/// The bytes of a window at most: its code, and where and when that is.
pub const WINDOW: usize = CODE + size_of::<Window>();
const MINUTE: u32 = 60;

/// What happened from one moment on, for a second or for a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    /// When it began, seconds since 1970.
    pub(super) at: u32,
    pub(super) code: Box<[u8]>,
}

impl Window {
    fn new(at: u32, tally: &Tally) -> Window {
        Window { at, code: written(tally) }
    }

    /// Codes are written here alone, or checked when they are read from a file.
    fn tally(&self) -> Tally {
        Tally::decode(&self.code).unwrap_or_default()
    }

    fn add(&mut self, tally: &Tally) {
        let mut sum = self.tally();
        sum.merge(tally);
        self.code = written(&sum);
    }
}

/// A code in memory of just its size: a vector that is cut to it would leave holes that nothing fits into.
fn written(tally: &Tally) -> Box<[u8]> {
    Box::from(&*tally.encode(CODE))
}

/// The windows of one endpoint and caller, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Series {
    pub(super) seconds: VecDeque<Window>,
    pub(super) minutes: VecDeque<Window>,
}

impl Series {
    pub(super) fn record(&mut self, tally: &Tally, now: u32) {
        self.age(now);
        add(&mut self.seconds, now, tally);
    }

    pub(super) fn age(&mut self, now: u32) {
        while let Some(window) =
            self.seconds.pop_front_if(|window| window.at.saturating_add(MINUTE) <= now)
        {
            add(&mut self.minutes, window.at - window.at % MINUTE, &window.tally());
        }
        while self.minutes.pop_front_if(|it| it.at.saturating_add(HOUR) <= now).is_some() {}
    }

    /// The sum of the windows that began within the last `seconds`.
    pub(super) fn sum(&self, seconds: u32, now: u32) -> Tally {
        let since = now.saturating_sub(seconds);
        let mut sum = Tally::default();
        let windows = self.minutes.iter().chain(&self.seconds);
        windows.filter(|it| it.at > since).for_each(|it| sum.merge(&it.tally()));
        sum
    }

    pub(super) fn is_empty(&self) -> bool {
        self.windows() == 0
    }

    pub(super) fn windows(&self) -> usize {
        self.seconds.len() + self.minutes.len()
    }
}

/// Adds to the last window if it began at that time; clocks that went back do not open an older one.
fn add(windows: &mut VecDeque<Window>, at: u32, tally: &Tally) {
    match windows.back_mut() {
        Some(last) if last.at >= at => last.add(tally),
        _ => windows.push_back(Window::new(at, tally)),
    }
}
