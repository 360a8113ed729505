//! The signals that a command with a sidecar takes: those that ask for its end, and those that it passes on.

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::exit::Failure;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The end. The signal's number.
    Stop(i32),
    /// Something of the command's own.
    Pass(Signal),
    /// To look after the command: it has ended, or was stopped.
    Look,
}

/// The signals of this process, taken from the moment of [`Signals::listen`].
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    quit: unix::Signal,
    user_1: unix::Signal,
    user_2: unix::Signal,
    window: unix::Signal,
    child: unix::Signal,
}

impl Signals {
    /// Takes signals from now on.
    pub fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            unix::signal(kind)
                .map_err(|error| Failure::Failed(format!("signals cannot be received: {error}")))
        };
        Ok(Signals {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hang_up: on(SignalKind::hangup())?,
            quit: on(SignalKind::quit())?,
            user_1: on(SignalKind::user_defined1())?,
            user_2: on(SignalKind::user_defined2())?,
            window: on(SignalKind::window_change())?,
            child: on(SignalKind::child())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop(Signal::TERM.as_raw()),
            _ = self.interrupt.recv() => Asked::Stop(Signal::INT.as_raw()),
            _ = self.hang_up.recv() => Asked::Pass(Signal::HUP),
            _ = self.quit.recv() => Asked::Pass(Signal::QUIT),
            _ = self.user_1.recv() => Asked::Pass(Signal::USR1),
            _ = self.user_2.recv() => Asked::Pass(Signal::USR2),
            _ = self.window.recv() => Asked::Pass(Signal::WINCH),
            _ = self.child.recv() => Asked::Look,
        }
    }

    /// The number of the next signal that asks for the end; others are passed over.
    pub async fn stop(&mut self) -> i32 {
        loop {
            if let Asked::Stop(number) = self.next().await {
                return number;
            }
        }
    }
}
