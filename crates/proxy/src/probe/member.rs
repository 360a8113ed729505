//! A member of a group: asked by the group's probe, else on its ports.

use std::future::pending;
use std::time::Duration;

use meltemi_wire::proto::meltemi::v1::Group;
use meltemi_wire::registration::GroupNews;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::attempt::Attempts;
use super::plan::Plan;
use super::tally::Tally;
use super::{AppHealth, State};
use crate::config::At;

/// Follows the group, for ever.
pub(super) async fn run(
    health: &AppHealth,
    mut news: watch::Receiver<GroupNews>,
    attempts: Attempts,
    find: &impl Fn(u16) -> At,
) {
    let started = Instant::now();
    loop {
        let now = news.borrow_and_update().clone();
        let is_over = tokio::select! {
            () = ask(health, now, attempts, started, find) => true,
            changed = news.changed() => changed.is_err(),
        };
        if is_over {
            return pending().await;
        }
    }
}

/// Asks as the group says.
async fn ask(
    health: &AppHealth,
    news: GroupNews,
    attempts: Attempts,
    started: Instant,
    find: &impl Fn(u16) -> At,
) {
    let Group { ports, probe } = match news {
        Ok(group) => group,
        Err(reason) => {
            health.shared.set(State { ready: false, reason });
            return pending().await;
        }
    };
    let Some(probe) = probe else {
        health.shared.set_ports(ports.into_iter().filter_map(|port| u16::try_from(port).ok()));
        return health.run(find).await;
    };
    // Connections that are refused are the probe's affair too.
    health.shared.set_ports([]);
    match Plan::new(&probe) {
        Ok(plan) => {
            let begin = started + plan.delay;
            probe_with(health, &plan, begin, || attempts.make(&plan)).await;
        }
        Err(reason) => {
            let reason = format!("the probe of its group cannot be run: {reason}");
            tracing::warn!(reason, "the workload counts as not ready");
            health.shared.set(State { ready: false, reason });
            pending().await
        }
    }
}

/// Makes attempts and counts them. A verdict of before a change of the plan stands until the new one has its own.
async fn probe_with<F>(health: &AppHealth, plan: &Plan, begin: Instant, attempt: impl Fn() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let was_ready = health.shared.state.borrow().ready;
    if !was_ready {
        let reason = "the probe of its group has not succeeded yet".to_owned();
        health.shared.set(State { ready: false, reason });
    }
    let mut tally = Tally::new(plan.thresholds, was_ready);
    let mut told = String::new();
    // As the kubelet: no two attempts at once, and none to make up for one that was late.
    let mut ticks = interval_at(begin, plan.period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let outcome = attempt().await;
        let ready = tally.count(outcome.is_ok());
        let reason = outcome.err().unwrap_or_default();
        if reason != told {
            match reason.is_empty() {
                true => tracing::info!(ready, "the probe succeeds"),
                false => tracing::warn!(reason, ready, "the probe fails"),
            }
            told.clone_from(&reason);
        }
        match ready {
            true => health.shared.set(State { ready, reason: String::new() }),
            false if !reason.is_empty() => health.shared.set(State { ready, reason }),
            // It succeeds, not often enough yet.
            false => {}
        }
    }
}

#[cfg(test)]
mod tests;
