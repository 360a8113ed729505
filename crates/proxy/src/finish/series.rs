//! The series that a worker counts in, found once for each set of labels.

use std::collections::HashMap;
use std::sync::Arc;

use crate::hash::BuildQuick;
use meltemi_telemetry::{
    HttpLabels, HttpSeries, Metrics, PeerLabels, Reporter, RequestProtocol, ResponseFlags,
};

/// Label sets that a worker remembers; beyond that it starts over.
const REMEMBERED: usize = 8192;

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Http,
    Grpc,
}

impl Kind {
    pub(crate) fn protocol(self) -> RequestProtocol {
        match self {
            Kind::Http => RequestProtocol::Http,
            Kind::Grpc => RequestProtocol::Grpc,
        }
    }
}

/// What tells series apart within one cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SeriesKey {
    pub(crate) reporter: Reporter,
    /// Who is at the other end; `None` is never remembered.
    pub(crate) party: Option<u64>,
    pub(crate) kind: Kind,
    pub(crate) status: u16,
    pub(crate) grpc_status: Option<u8>,
    pub(crate) flags: ResponseFlags,
}

/// Series by what tells them apart within this worker.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    http: HashMap<SeriesKey, Arc<HttpSeries>, BuildQuick>,
    last: Option<(SeriesKey, Arc<HttpSeries>)>,
}

impl SeriesCache {
    /// The series; `base` makes the labels when it is not known yet.
    pub(crate) fn http(
        &mut self,
        metrics: &Metrics,
        key: SeriesKey,
        base: impl FnOnce() -> Arc<PeerLabels>,
    ) -> Arc<HttpSeries> {
        if let Some((last, series)) = &self.last
            && *last == key
        {
            return series.clone();
        }
        let find = || {
            metrics.http(&HttpLabels {
                base: base(),
                reporter: key.reporter,
                response_code: key.status,
                grpc_status: key.grpc_status,
                flags: key.flags,
            })
        };
        if key.party.is_none() {
            return find();
        }
        if self.http.len() >= REMEMBERED {
            self.http.clear();
        }
        let series = self.http.entry(key).or_insert_with(find).clone();
        self.last = Some((key, series.clone()));
        series
    }
}
