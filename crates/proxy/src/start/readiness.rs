//! Whether the proxy serves, in one value: what `/healthz/ready` says and what the ready file waits for.

use meltemi_wire::delta::Connection;
use tokio::sync::watch;

use crate::config::{Mesh, Snapshot};
use crate::probe::State;

/// Whether the proxy serves; the error says why it does not, for people.
pub type Ready = Result<(), String>;

/// Why a proxy that has its certificate does not serve at first.
pub(super) const NOT_CONNECTED: &str = "not connected to the control plane yet";

/// What the judgement rests on.
#[derive(Debug)]
pub(super) struct Signs {
    /// Whether the application answers.
    pub(super) app: watch::Receiver<State>,
    /// Whether the control plane has confirmed the workload, with the application answering.
    pub(super) registered: watch::Receiver<bool>,
    /// What is known of the mesh.
    pub(super) mesh: Mesh,
    /// Whether the workload serves a port, and so must be found by others.
    pub(super) is_service: bool,
}

/// What was once true and need not be so again: a proxy whose control plane has gone goes on serving.
#[derive(Debug, Default)]
struct Milestones {
    has_registered: bool,
    has_connected: bool,
}

impl Signs {
    /// Judges again after each change, for ever.
    pub(super) async fn follow(mut self, ready: watch::Sender<Ready>) {
        let mut connection = self.mesh.connection();
        let mut changes = self.mesh.changes();
        // What is known before anything was said was kept on disk.
        let was_kept = knows_something(&self.mesh.current());
        let mut milestones = Milestones::default();
        loop {
            let now = {
                let connection = connection.borrow_and_update();
                let app = self.app.borrow_and_update();
                milestones.has_registered |= *self.registered.borrow_and_update();
                milestones.has_connected |= connection.is_connected();
                let has_inbound = !self.mesh.current().inbound().ports.is_empty();
                match self.is_service {
                    true => service(&app, &milestones, &connection, was_kept, has_inbound),
                    false => client(&milestones, &connection, was_kept),
                }
            };
            ready.send_if_modified(|told| {
                let changed = *told != now;
                *told = now;
                changed
            });
            let alive = tokio::select! {
                changed = self.app.changed() => changed.is_ok(),
                changed = self.registered.changed() => changed.is_ok(),
                changed = connection.changed() => changed.is_ok(),
                changed = changes.changed() => changed.is_ok(),
            };
            if !alive {
                return;
            }
        }
    }
}

fn knows_something(snapshot: &Snapshot) -> bool {
    !snapshot.inbound().ports.is_empty() || snapshot.services().next().is_some()
}

fn service(
    app: &State,
    milestones: &Milestones,
    connection: &Connection,
    was_kept: bool,
    has_inbound: bool,
) -> Ready {
    if !app.ready {
        return Err(app.reason.clone());
    }
    if !milestones.has_registered {
        // With what was kept it serves those who know it, once it is clear that nobody else can be told.
        return match connection {
            Connection::Disconnected { reason, .. } if !reason.is_empty() => match was_kept {
                true => Ok(()),
                false => Err(format!("not registered: the control plane is away: {reason}")),
            },
            _ => Err("not registered yet".into()),
        };
    }
    if !has_inbound {
        return Err("no service selects this workload: compare its labels with the selectors \
                    (`meltemi get services -o yaml`)"
            .into());
    }
    Ok(())
}

fn client(milestones: &Milestones, connection: &Connection, was_kept: bool) -> Ready {
    match connection {
        _ if milestones.has_connected || was_kept => Ok(()),
        Connection::Disconnected { reason, .. } if !reason.is_empty() => {
            Err(format!("the control plane is away: {reason}"))
        }
        _ => Err(NOT_CONNECTED.into()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn away(reason: &str) -> Connection {
        Connection::Disconnected { since: Instant::now(), reason: reason.into() }
    }

    #[tokio::test]
    async fn a_service_serves_when_it_can_be_found_and_answers() {
        let connected = Connection::Connected { since: Instant::now() };
        let up = State { ready: true, reason: String::new() };
        let down = State { ready: false, reason: "port 1".into() };
        let fresh = Milestones::default();
        let known = Milestones { has_registered: true, has_connected: true };
        for (app, milestones, connection, was_kept, has_inbound, expected) in [
            (&down, &known, &connected, false, true, Err("port 1")),
            (&up, &fresh, &connected, false, true, Err("not registered yet")),
            (&up, &known, &connected, false, false, Err("no service selects")),
            (&up, &known, &connected, false, true, Ok(())),
            (&up, &known, &away("gone"), false, true, Ok(())),
            (&up, &fresh, &away("gone"), false, true, Err("gone")),
            (&up, &fresh, &away("gone"), true, true, Ok(())),
            (&up, &fresh, &away(""), true, true, Err("not registered yet")),
        ] {
            let found = service(app, milestones, connection, was_kept, has_inbound);
            match (&found, expected) {
                (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
                _ => assert_eq!(found.is_ok(), expected.is_ok(), "{found:?} {expected:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_client_serves_when_the_mesh_is_known() {
        let fresh = Milestones::default();
        let connected = Milestones { has_connected: true, ..Milestones::default() };
        assert!(client(&fresh, &away(""), false).is_err());
        assert!(client(&fresh, &away("refused"), false).unwrap_err().contains("refused"));
        assert!(client(&fresh, &away("refused"), true).is_ok());
        assert!(client(&connected, &away("refused"), false).is_ok());
    }
}
