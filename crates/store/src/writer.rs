//! The one thread that writes for a backend with a disk, so that no async thread ever waits for a sync.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use crate::error::{Result, StoreError};
use crate::key::Key;
use crate::store::Expect;

/// Writes that may wait for the thread before writers are made to wait themselves.
const QUEUE: usize = 1024;

/// A write on its way to the thread; no value means a deletion.
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) value: Option<Bytes>,
    pub(crate) expect: Expect,
    /// Told once the change is durable and visible, or refused.
    pub(crate) reply: oneshot::Sender<Result<u64>>,
}

/// What the thread is woken for.
pub(crate) enum Message {
    /// A write by a caller.
    Write(Write),
    /// Something changed on the disk that this process did not write.
    Look,
}

/// The callers' end. Dropping it lets the thread finish what is queued, and waits for that.
#[derive(Debug)]
pub(crate) struct Writer {
    sender: Option<Arc<Sender<Message>>>,
    /// Bounds the queue: the channel itself never blocks an async thread.
    room: Semaphore,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which runs until the channel's senders are gone.
    pub(crate) fn start(
        sender: Arc<Sender<Message>>,
        receiver: Receiver<Message>,
        run: impl FnOnce(Receiver<Message>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let builder = std::thread::Builder::new().name("meltemi-store".to_owned());
        let thread = builder.spawn(move || run(receiver))?;
        Ok(Self { sender: Some(sender), room: Semaphore::new(QUEUE), thread: Some(thread) })
    }

    /// Has the change made, and waits until it is durable.
    pub(crate) async fn write(
        &self,
        key: Key,
        value: Option<Bytes>,
        expect: Expect,
    ) -> Result<u64> {
        key.check()?;
        let _room = self.room.acquire().await.map_err(|_| StoreError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let sender = self.sender.as_ref().ok_or(StoreError::Closed)?;
        let write = Write { key, value, expect, reply };
        sender.send(Message::Write(write)).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already reported by the panic hook.
            let _ = thread.join();
        }
    }
}
