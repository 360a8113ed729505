//! One line a finished request, in Envoy's or Istio's default format or as JSON. Off by default:
//! without a [`LogFormat`] nothing here runs and nothing is formatted.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::ResponseFlags;

/// The layout of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Envoy's default text.
    Envoy,
    /// Istio's default text: Envoy's with response details and addresses.
    Istio,
    /// One JSON object, with Istio's keys.
    Json,
}

/// What is known of a finished request or connection; what there was not stays `None` and prints as
/// `-` (`null` in JSON). Borrowed, so that building one costs nothing. The fields are in the order
/// of the JSON, their names are Istio's keys.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the fields that only carry a word of Istio's format through")]
pub struct Entry<'a> {
    /// When the first byte of the request came.
    #[serde(serialize_with = "rfc3339")]
    pub start_time: SystemTime,
    pub method: Option<&'a str>,
    pub path: Option<&'a str>,
    /// `HTTP/1.1`, `HTTP/2`.
    pub protocol: Option<&'a str>,
    /// Status sent to the caller; 0 if none was.
    pub response_code: u16,
    #[serde(serialize_with = "display")]
    pub response_flags: ResponseFlags,
    /// Why the response has this status: `via_upstream`, `no_route`, ...
    pub response_code_details: Option<&'a str>,
    pub connection_termination_details: Option<&'a str>,
    pub upstream_transport_failure_reason: Option<&'a str>,
    /// Body bytes of the request.
    pub bytes_received: u64,
    /// Body bytes of the response.
    pub bytes_sent: u64,
    /// From the first byte of the request to the last of the response; whole milliseconds in the
    /// line.
    #[serde(serialize_with = "millis")]
    pub duration: Duration,
    /// How long the upstream took to answer.
    #[serde(serialize_with = "optional_millis")]
    pub upstream_service_time: Option<Duration>,
    pub x_forwarded_for: Option<&'a str>,
    pub user_agent: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub authority: Option<&'a str>,
    /// Address of the endpoint.
    pub upstream_host: Option<&'a str>,
    /// `outbound|80||hello.default.svc.cluster.local` or the like.
    pub upstream_cluster: Option<&'a str>,
    pub upstream_local_address: Option<&'a str>,
    pub downstream_local_address: Option<&'a str>,
    pub downstream_remote_address: Option<&'a str>,
    /// Server name of the caller's TLS hello.
    pub requested_server_name: Option<&'a str>,
    pub route_name: Option<&'a str>,
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Entry {
            start_time: UNIX_EPOCH,
            method: None,
            path: None,
            protocol: None,
            response_code: 0,
            response_flags: ResponseFlags::NONE,
            response_code_details: None,
            connection_termination_details: None,
            upstream_transport_failure_reason: None,
            bytes_received: 0,
            bytes_sent: 0,
            duration: Duration::ZERO,
            upstream_service_time: None,
            x_forwarded_for: None,
            user_agent: None,
            request_id: None,
            authority: None,
            upstream_host: None,
            upstream_cluster: None,
            upstream_local_address: None,
            downstream_local_address: None,
            downstream_remote_address: None,
            requested_server_name: None,
            route_name: None,
        }
    }
}

impl Entry<'_> {
    /// Writes the line with its newline. The caller buffers: the text formats make many small
    /// writes.
    pub fn write(&self, format: LogFormat, out: &mut impl io::Write) -> io::Result<()> {
        match format {
            LogFormat::Envoy => self.write_envoy(out),
            LogFormat::Istio => self.write_istio(out),
            LogFormat::Json => {
                serde_json::to_writer(&mut *out, self)?;
                out.write_all(b"\n")
            }
        }
    }

    fn write_envoy(&self, out: &mut impl io::Write) -> io::Result<()> {
        self.write_request(out)?;
        write!(out, " {} {} ", self.response_code, self.response_flags)?;
        self.write_figures(out)?;
        out.write_all(b"\n")
    }

    fn write_istio(&self, out: &mut impl io::Write) -> io::Result<()> {
        self.write_request(out)?;
        write!(
            out,
            " {} {} {} {} \"{}\" ",
            self.response_code,
            self.response_flags,
            Text(self.response_code_details),
            Text(self.connection_termination_details),
            Text(self.upstream_transport_failure_reason),
        )?;
        self.write_figures(out)?;
        for word in [
            self.upstream_cluster,
            self.upstream_local_address,
            self.downstream_local_address,
            self.downstream_remote_address,
            self.requested_server_name,
            self.route_name,
        ] {
            write!(out, " {}", Text(word))?;
        }
        out.write_all(b"\n")
    }

    /// The time and the request line, with which both texts begin.
    fn write_request(&self, out: &mut impl io::Write) -> io::Result<()> {
        write!(
            out,
            "[{}] \"{} {} {}\"",
            Timestamp(self.start_time),
            Text(self.method),
            Text(self.path),
            Text(self.protocol),
        )
    }

    /// Sizes, times and the headers, the middle of both texts.
    fn write_figures(&self, out: &mut impl io::Write) -> io::Result<()> {
        write!(out, "{} {} ", self.bytes_received, self.bytes_sent)?;
        write!(out, "{} ", self.duration.as_millis())?;
        match self.upstream_service_time {
            Some(time) => write!(out, "{}", time.as_millis())?,
            None => out.write_all(b"-")?,
        }
        for word in [
            self.x_forwarded_for,
            self.user_agent,
            self.request_id,
            self.authority,
            self.upstream_host,
        ] {
            write!(out, " \"{}\"", Text(word))?;
        }
        Ok(())
    }
}

/// A word that a caller may have chosen: quotes, backslashes and control characters are escaped, so
/// that no header can forge a line or a field.
struct Text<'a>(Option<&'a str>);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(text) = self.0 else {
            return f.write_str("-");
        };
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c.is_control()) {
            f.write_str(&rest[..at])?;
            let Some(odd) = rest[at..].chars().next() else {
                break;
            };
            write!(f, "{}", odd.escape_default())?;
            rest = &rest[at + odd.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// A time as `2026-11-24T14:44:00.123Z`.
struct Timestamp(SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (year, month, day) = civil_date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = since.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar: counted in
/// eras of 400 years (146,097 days) that begin on the first of March, so that a leap day is a year's
/// last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Timestamp(*time))
}

fn display<S: Serializer>(flags: &ResponseFlags, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(flags)
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn optional_millis<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(duration) => millis(duration, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
