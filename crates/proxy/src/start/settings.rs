//! How a proxy is to run: as its command says, else as the mesh's `ProxyConfig` says, else as by default.
//!
//! As with Istio's, a `ProxyConfig` counts when the proxy starts: its threads are made then. It is asked for before that,
//! and kept, so that a start without the control plane is as the one before.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use meltemi_names::variables;
use meltemi_telemetry::access_log::LogFormat;
use meltemi_wire::proto::meltemi::v1::{ProxyConfig, RegisteredWorkload};
use meltemi_wire::registration;
use prost::Message;
use tonic::transport::Channel;

/// The most threads that a `ProxyConfig` can ask for: each has a runtime, pools and counters of its own.
const MAX_WORKERS: usize = 256;
/// How long callers and requests have at the end, where nobody says another time.
const DRAIN: Duration = Duration::from_secs(30);

/// What the command of a proxy says of how it runs; what is left out is the mesh's to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choices {
    /// How many threads carry traffic.
    pub workers: Option<NonZeroUsize>,
    /// The layout of lines of the access log.
    pub access_log: Option<AccessLog>,
    /// How long callers have to let go of the workload, and then how long requests have to finish.
    pub drain_timeout: Option<Duration>,
}

/// Whether each request is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// In Istio's format.
    Text,
    /// As JSON.
    Json,
    /// Not at all.
    Off,
}

impl AccessLog {
    /// The one of this word.
    pub fn parse(word: &str) -> Option<AccessLog> {
        match word {
            "text" => Some(AccessLog::Text),
            "json" => Some(AccessLog::Json),
            "off" => Some(AccessLog::Off),
            _ => None,
        }
    }

    fn format(self) -> Option<LogFormat> {
        match self {
            AccessLog::Text => Some(LogFormat::Istio),
            AccessLog::Json => Some(LogFormat::Json),
            AccessLog::Off => None,
        }
    }
}

/// How a proxy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) workers: usize,
    pub(super) access_log: Option<LogFormat>,
    pub(super) drain_timeout: Duration,
    /// Whether callers whose requests are refused are told by which policy. The mesh alone says so: no command, and nobody who
    /// runs a workload.
    pub(super) tells_denied_by: bool,
}

/// How many threads a proxy has that nobody has told a number.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

impl Choices {
    /// With what the mesh says now, or has said before, where the command leaves something to it.
    pub(super) async fn complete(
        self,
        channel: Channel,
        workload: RegisteredWorkload,
        file: &Path,
    ) -> Settings {
        self.or(&fetch(channel, workload, file).await)
    }

    /// With what the mesh says where the command says nothing.
    fn or(self, config: &ProxyConfig) -> Settings {
        let workers = match (self.workers, config.concurrency) {
            (Some(workers), _) => workers.get(),
            // Istio: 0 stands for all processors.
            (None, None | Some(0)) => processors(),
            (None, Some(number)) => usize::try_from(number).unwrap_or(MAX_WORKERS).min(MAX_WORKERS),
        };
        let variable = |name: &str| config.environment_variables.get(name).map(String::as_str);
        let access_log = self.access_log.or_else(|| {
            variable(variables::ACCESS_LOG)
                .and_then(|word| read(variables::ACCESS_LOG, word, AccessLog::parse))
        });
        let drain_timeout = self.drain_timeout.or_else(|| {
            let ours = variable(variables::DRAIN_TIMEOUT)
                .and_then(|text| read(variables::DRAIN_TIMEOUT, text, |it| time(it).ok()));
            let seconds = |text: &str| text.parse().ok().map(Duration::from_secs);
            let istios = || {
                variable(variables::TERMINATION_DRAIN_DURATION_SECONDS)
                    .and_then(|it| read(variables::TERMINATION_DRAIN_DURATION_SECONDS, it, seconds))
            };
            ours.or_else(istios)
        });
        let tells_denied_by = variable(variables::DENIED_BY)
            .and_then(|word| read(variables::DENIED_BY, word, |it| it.parse().ok()));
        Settings {
            workers,
            access_log: access_log.and_then(AccessLog::format),
            drain_timeout: drain_timeout.unwrap_or(DRAIN),
            tells_denied_by: tells_denied_by.unwrap_or(false),
        }
    }
}

/// What a variable says; one that cannot be read is told of and does not count.
fn read<T>(name: &str, text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let found = parse(text);
    if found.is_none() {
        tracing::warn!(name, text, "a variable of the ProxyConfig cannot be read, and is left out");
    }
    found
}

/// Reads a number with `ms`, `s`, `m` or `h`.
///
/// # Errors
/// A text for people that says what is expected.
pub fn time(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is not a time: expected a number with ms, s, m or h, as in 30s");
    let unit = text.find(|it: char| !it.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).map(Duration::from_millis).ok_or_else(wrong)
}

/// Asks for the workload's `ProxyConfig`, and keeps it; without an answer gives the one that was kept before.
async fn fetch(channel: Channel, workload: RegisteredWorkload, file: &Path) -> ProxyConfig {
    match registration::proxy_config(channel, workload).await {
        Ok(config) => {
            if let Err(error) = keep(&config, file) {
                tracing::warn!(%error, "the ProxyConfig could not be kept for a restart");
            }
            config
        }
        Err(status) => {
            let kept = fs::read(file).ok().and_then(|bytes| ProxyConfig::decode(&*bytes).ok());
            let is_kept = kept.is_some();
            tracing::info!(reason = status.message(), is_kept, "the ProxyConfig is not known");
            kept.unwrap_or_default()
        }
    }
}

/// Written beside and moved, so that a crash leaves the old one or the new one.
fn keep(config: &ProxyConfig, file: &Path) -> std::io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, config.encode_to_vec())?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(concurrency: Option<u32>, variables: &[(&str, &str)]) -> ProxyConfig {
        let variables = variables.iter().map(|(name, it)| ((*name).into(), (*it).into()));
        ProxyConfig { concurrency, environment_variables: variables.collect() }
    }

    #[test]
    fn the_command_goes_before_the_mesh_and_that_before_what_is_built_in() {
        let said = config(
            Some(3),
            &[
                ("MELTEMI_ACCESS_LOG", "json"),
                ("TERMINATION_DRAIN_DURATION_SECONDS", "7"),
                ("MELTEMI_DENIED_BY", "true"),
            ],
        );
        let of_mesh = Choices::default().or(&said);
        let expected = Settings {
            workers: 3,
            access_log: Some(LogFormat::Json),
            drain_timeout: Duration::from_secs(7),
            tells_denied_by: true,
        };
        assert_eq!(of_mesh, expected);
        let own = Choices {
            workers: NonZeroUsize::new(2),
            access_log: Some(AccessLog::Off),
            drain_timeout: Some(Duration::from_secs(1)),
        };
        let expected = Settings {
            workers: 2,
            access_log: None,
            drain_timeout: Duration::from_secs(1),
            tells_denied_by: true,
        };
        assert_eq!(own.or(&said), expected);
        let expected = Settings {
            workers: processors(),
            access_log: None,
            drain_timeout: DRAIN,
            tells_denied_by: false,
        };
        assert_eq!(Choices::default().or(&ProxyConfig::default()), expected);
        assert_eq!(Choices::default().or(&config(Some(0), &[])), expected);
    }

    #[test]
    fn what_cannot_be_meant_does_not_count() {
        let said = config(
            Some(u32::MAX),
            &[
                ("MELTEMI_ACCESS_LOG", "loud"),
                ("MELTEMI_DRAIN_TIMEOUT", "5"),
                ("TERMINATION_DRAIN_DURATION_SECONDS", "9"),
                ("MELTEMI_SERVICE", "another"),
                ("MELTEMI_DENIED_BY", "yes, please"),
            ],
        );
        let expected = Settings {
            workers: MAX_WORKERS,
            access_log: None,
            drain_timeout: Duration::from_secs(9),
            tells_denied_by: false,
        };
        assert_eq!(Choices::default().or(&said), expected);
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert!(time("5").is_err() && time("s").is_err() && time("1d").is_err());
    }
}
