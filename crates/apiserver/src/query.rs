//! The parameters after the question mark, as Kubernetes names them.

use std::time::Duration;

use axum::extract::Query;
use http::Uri;
use serde::Deserialize;

use crate::selector::Matcher;
use crate::status::Failure;

/// Everything that a request may say after the question mark; what is not known is passed over, as in Kubernetes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Parameters {
    label_selector: String,
    field_selector: String,
    limit: String,
    #[serde(rename = "continue")]
    pub(crate) continuation: String,
    watch: String,
    resource_version: String,
    resource_version_match: String,
    allow_watch_bookmarks: String,
    send_initial_events: String,
    timeout_seconds: String,
    dry_run: String,
    pub(crate) field_manager: String,
    force: String,
    pub(crate) include_object: String,
}

impl Parameters {
    pub(crate) fn parse(uri: &Uri) -> Result<Self, Failure> {
        let Query(parameters) = Query::try_from_uri(uri).map_err(|error| {
            Failure::bad_request(format!("the query is not understood: {error}"))
        })?;
        Ok(parameters)
    }

    /// What objects are wanted.
    pub(crate) fn matcher(&self) -> Result<Matcher, Failure> {
        Matcher::parse(&self.label_selector, &self.field_selector)
    }

    pub(crate) fn is_watch(&self) -> bool {
        truth(&self.watch)
    }

    pub(crate) fn bookmarks(&self) -> bool {
        truth(&self.allow_watch_bookmarks)
    }

    /// Whether a watch is to begin with what is there, ended by a bookmark.
    pub(crate) fn initial_events(&self) -> bool {
        truth(&self.send_initial_events)
    }

    /// Objects per page; none means all.
    pub(crate) fn limit(&self) -> Result<Option<usize>, Failure> {
        Ok(number("limit", &self.limit)?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0))
    }

    /// The version to watch from; none, and `0`, mean: what is there now, then what comes.
    pub(crate) fn from(&self) -> Result<Option<u64>, Failure> {
        Ok(number("resourceVersion", &self.resource_version)?.filter(|version| *version > 0))
    }

    /// The one version that a list has to show, if it was asked for.
    pub(crate) fn exact(&self) -> Result<Option<u64>, Failure> {
        if self.resource_version_match == "Exact" { self.from() } else { Ok(None) }
    }

    /// When a watch is to end.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Failure> {
        Ok(number("timeoutSeconds", &self.timeout_seconds)?
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs))
    }

    /// Whether an apply takes over the fields that other managers applied.
    pub(crate) fn force(&self) -> bool {
        truth(&self.force)
    }

    /// Whether nothing is to be kept.
    pub(crate) fn dry_run(&self) -> Result<bool, Failure> {
        is_dry_run(&self.dry_run)
    }
}

/// `All` is the only stage of a dry run.
pub(crate) fn is_dry_run(text: &str) -> Result<bool, Failure> {
    match text {
        "" => Ok(false),
        "All" => Ok(true),
        other => Err(Failure::bad_request(format!("dryRun: {other:?} is not known: use \"All\""))),
    }
}

fn truth(text: &str) -> bool {
    matches!(text, "1" | "true" | "True" | "t")
}

fn number(name: &str, text: &str) -> Result<Option<u64>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| Failure::bad_request(format!("{name}: {text:?} is not a whole number")))
}
