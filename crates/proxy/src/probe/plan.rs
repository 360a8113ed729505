//! A probe as the control plane tells it, checked and with Kubernetes' defaults.

use std::num::NonZeroU32;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use meltemi_wire::proto::meltemi::v1::probe::Way as Told;
use meltemi_wire::proto::meltemi::v1::{HttpProbe, Probe};

use super::tally::Thresholds;

/// Seconds until an attempt fails, where nothing is said (Kubernetes).
const TIMEOUT: u32 = 1;
/// Seconds between attempts, where nothing is said (Kubernetes).
const PERIOD: u32 = 10;
/// Successes until it is ready, where nothing is said (Kubernetes).
const SUCCESSES: NonZeroU32 = NonZeroU32::MIN;
/// Failures until it is not, where nothing is said (Kubernetes).
const FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

/// What to do, and when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// The wait before the first attempt.
    pub(super) delay: Duration,
    /// How long an attempt may take.
    pub(super) timeout: Duration,
    /// From one attempt to the next.
    pub(super) period: Duration,
    /// How outcomes are counted.
    pub(super) thresholds: Thresholds,
    /// How an attempt is made.
    pub(super) way: Way,
}

/// How an attempt is made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Way {
    /// A GET request.
    Http(HttpGet),
    /// A connection.
    Tcp(Place),
    /// A command and its arguments; there is at least the command.
    Exec(Vec<String>),
    /// `grpc.health.v1.Health/Check` of this service.
    Grpc(u16, String),
}

/// A GET request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HttpGet {
    pub(super) place: Place,
    pub(super) tls: bool,
    pub(super) path: PathAndQuery,
    /// What the user adds; a `Host` among it goes before the place's.
    pub(super) headers: HeaderMap,
}

/// Where an attempt connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Empty for the application beside the sidecar.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Plan {
    /// Checks a probe.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub(super) fn new(probe: &Probe) -> Result<Plan, String> {
        let seconds = |told: u32, default: u32| match told {
            0 => Duration::from_secs(default.into()),
            told => Duration::from_secs(told.into()),
        };
        let number = |told: u32, default| NonZeroU32::new(told).unwrap_or(default);
        Ok(Plan {
            delay: seconds(probe.initial_delay_seconds, 0),
            timeout: seconds(probe.timeout_seconds, TIMEOUT),
            period: seconds(probe.period_seconds, PERIOD),
            thresholds: Thresholds {
                success: number(probe.success_threshold, SUCCESSES),
                failure: number(probe.failure_threshold, FAILURES),
            },
            way: Way::new(probe.way.as_ref())?,
        })
    }
}

impl Way {
    fn new(told: Option<&Told>) -> Result<Way, String> {
        Ok(match told {
            Some(Told::HttpGet(http)) => Way::Http(HttpGet::new(http)?),
            Some(Told::TcpSocket(tcp)) => {
                Way::Tcp(Place { host: tcp.host.clone(), port: port(tcp.port)? })
            }
            Some(Told::Exec(exec)) if !exec.command.is_empty() => Way::Exec(exec.command.clone()),
            Some(Told::Exec(_)) => return Err("exec: there is no command".into()),
            Some(Told::Grpc(grpc)) => Way::Grpc(port(grpc.port)?, grpc.service.clone()),
            None => return Err("it is of a way that this version does not know".into()),
        })
    }
}

impl HttpGet {
    fn new(told: &HttpProbe) -> Result<HttpGet, String> {
        let path = match told.path.strip_prefix('/') {
            Some(_) => told.path.parse(),
            None => format!("/{}", told.path).parse(),
        };
        let path = path.map_err(|_| format!("httpGet: `{}` is not a path", told.path))?;
        let mut headers = HeaderMap::new();
        for header in &told.headers {
            let name: Result<HeaderName, _> = header.name.parse();
            let value: Result<HeaderValue, _> = header.value.parse();
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(format!("httpGet: `{}` is not a header", header.name));
            };
            headers.append(name, value);
        }
        let place = Place { host: told.host.clone(), port: port(told.port)? };
        Ok(HttpGet { place, tls: told.tls, path, headers })
    }
}

fn port(told: u32) -> Result<u16, String> {
    match u16::try_from(told) {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{told} is not a port")),
    }
}

#[cfg(test)]
mod tests {
    use meltemi_wire::proto::meltemi::v1::{ExecProbe, GrpcProbe, ProbeHeader, TcpProbe};

    use super::*;

    fn plan(way: Told) -> Result<Plan, String> {
        Plan::new(&Probe { way: Some(way), ..Probe::default() })
    }

    #[test]
    fn what_is_left_out_is_as_in_kubernetes() {
        let tcp = Told::TcpSocket(TcpProbe { host: String::new(), port: 80 });
        let found = plan(tcp.clone()).unwrap();
        let seconds = [found.delay, found.timeout, found.period].map(|it| it.as_secs());
        assert_eq!(seconds, [0, 1, 10]);
        let Thresholds { success, failure } = found.thresholds;
        assert_eq!((success.get(), failure.get()), (1, 3));
        let found = Plan::new(&Probe {
            initial_delay_seconds: 4,
            timeout_seconds: 5,
            period_seconds: 6,
            success_threshold: 7,
            failure_threshold: 8,
            way: Some(tcp),
        });
        let found = found.unwrap();
        let seconds = [found.delay, found.timeout, found.period].map(|it| it.as_secs());
        assert_eq!(seconds, [4, 5, 6]);
        let Thresholds { success, failure } = found.thresholds;
        assert_eq!((success.get(), failure.get()), (7, 8));
    }

    #[test]
    fn a_request_has_a_path_and_the_headers_that_are_given() {
        let http = HttpProbe { port: 80, ..HttpProbe::default() };
        let read = |http: HttpProbe| -> Result<HttpGet, String> {
            match plan(Told::HttpGet(http))?.way {
                Way::Http(http) => Ok(http),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(read(http.clone()).unwrap().path, "/");
        let with = |path: &str| HttpProbe { path: path.into(), ..http.clone() };
        assert_eq!(read(with("healthz?deep=1")).unwrap().path, "/healthz?deep=1");
        assert_eq!(read(with("/a")).unwrap().path, "/a");
        let header =
            |name: &str, value: &str| ProbeHeader { name: name.into(), value: value.into() };
        let twice = vec![header("X-A", "1"), header("x-a", "2")];
        let found = read(HttpProbe { headers: twice, ..http.clone() }).unwrap();
        assert_eq!(found.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        for (wrong, part) in [
            (with("/a b"), "`/a b`"),
            (HttpProbe { headers: vec![header("a b", "")], ..http.clone() }, "`a b`"),
            (HttpProbe { headers: vec![header("a", "x\ny")], ..http.clone() }, "`a`"),
            (HttpProbe { port: 70_000, ..http.clone() }, "70000"),
        ] {
            assert!(read(wrong).unwrap_err().contains(part), "{part}");
        }
    }

    #[test]
    fn what_cannot_be_probed_is_told() {
        for (way, part) in [
            (Told::Exec(ExecProbe::default()), "no command"),
            (Told::Grpc(GrpcProbe::default()), "0 is not a port"),
            (Told::TcpSocket(TcpProbe { host: "a".into(), port: 0 }), "0 is not a port"),
        ] {
            assert!(plan(way).unwrap_err().contains(part), "{part}");
        }
        assert!(Plan::new(&Probe::default()).unwrap_err().contains("does not know"));
        let exec = Told::Exec(ExecProbe { command: vec!["true".into()] });
        assert_eq!(plan(exec).unwrap().way, Way::Exec(vec!["true".into()]));
        let grpc = Told::Grpc(GrpcProbe { port: 9, service: "s".into() });
        assert_eq!(plan(grpc).unwrap().way, Way::Grpc(9, "s".into()));
    }
}
