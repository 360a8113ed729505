//! What an attempt tells of its endpoint to balancing, where a rule goes by that. What stands in trailers `finish/pass_back.rs` tells.

use std::time::Instant;

use meltemi_policy::balance::Told;
use meltemi_policy::outlier::Outcome;

use crate::config::Cluster;
use crate::http::forward;
use crate::http::head::{Fields, RequestHead};
use crate::reporting;
use crate::worker::Worker;

/// An attempt is made: when, if that is wanted. The called proxy is asked for its load where somebody goes by it.
pub(super) fn begin(cluster: &Cluster, is_proxy: bool, head: &mut RequestHead) -> Option<Instant> {
    if !cluster.observes() {
        return None;
    }
    forward::ask_for_load(head, is_proxy && cluster.wants_reports());
    Some(Instant::now())
}

/// The attempt that was begun then has ended; `fields` are those of its answer.
pub(super) fn end(
    worker: &Worker,
    cluster: &Cluster,
    index: usize,
    begun: Option<Instant>,
    outcome: Option<Outcome>,
    fields: &mut Fields,
) {
    let (Some(begun), Some(outcome)) = (begun, outcome) else { return };
    let is_answer = matches!(outcome, Outcome::Answered(_) | Outcome::Overloaded);
    let is_answer = is_answer && cluster.wants_reports();
    let word = if is_answer { reporting::take(fields) } else { Default::default() };
    if let Some(share) = word.utilization {
        cluster.hear(index, share);
    }
    let report = word.report;
    let told = Told { took: begun.elapsed(), is_failure: outcome.is_failure(), report };
    cluster.learn(index, &told, worker.random());
}
