//! The signals that end a demo: the first one in order, the second one at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::DemoError;

/// Counts SIGINT, SIGTERM and SIGHUP.
#[derive(Debug, Clone)]
pub(super) struct Interrupts {
    count: watch::Receiver<u32>,
}

impl Interrupts {
    /// Takes the signals from here on.
    pub(super) fn listen() -> Result<Interrupts, DemoError> {
        let (sender, count) = watch::channel(0);
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let mut signal = signal(kind).map_err(DemoError::system("receive signals"))?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    sender.send_modify(|count| *count += 1);
                }
            });
        }
        Ok(Interrupts { count })
    }

    /// Waits until one has come.
    pub(super) async fn first(&mut self) {
        self.reach(1).await;
    }

    /// Waits until two have come.
    pub(super) async fn second(&mut self) {
        self.reach(2).await;
    }

    async fn reach(&mut self, wanted: u32) {
        if self.count.wait_for(|count| *count >= wanted).await.is_err() {
            // The senders live as long as the runtime: nothing can come any more.
            std::future::pending::<()>().await;
        }
    }
}
