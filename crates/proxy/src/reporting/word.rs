//! A word on the load of an endpoint, in the form of ORCA (`xds.data.orca.v3.OrcaLoadReport`): how a proxy writes its own, and how
//! any is read.
//!
//! As Envoy reads them (`source/common/orca/orca_parser.h`): a field `endpoint-load-metrics` with `TEXT`, `JSON` or `BIN` before the
//! report, or `endpoint-load-metrics-bin` with the message in base64, which servers of gRPC send in trailers (gRFC A51).

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use meltemi_policy::balance::Report;
use prost::Message;

use crate::http::head::Fields;
use crate::http::known::Known;

/// What our own words begin with.
const OWN: &[u8] = b"TEXT named_metrics.meltemi.";
const IN_FLIGHT: &str = "named_metrics.meltemi.requests_in_flight";
const LATENCY: &str = "named_metrics.meltemi.latency";
/// 1 where the proxy answers probes itself.
const PROBES: &str = "named_metrics.meltemi.probes";
const CPU: &str = "cpu_utilization";
const APPLICATION: &str = "application_utilization";
/// Room for our names, numbers of twenty places, and what [`Usage`](super::usage::Usage) adds.
pub(crate) const LONGEST: usize = 256;
/// A longer word of an application's is not read: a report of a few names has some hundred bytes.
const MAX: usize = 4096;
/// Servers of gRPC leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is read of a word.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Word {
    /// A proxy's own.
    pub(crate) report: Option<Report>,
    /// How much of what it can do the endpoint does: the application's measure where it has one, else that of the processor, as
    /// gRPC's weighted round robin takes them. Above 1 is more than it should do.
    pub(crate) utilization: Option<f32>,
}

/// The fields of the standard's message that count here.
#[derive(Clone, PartialEq, Message)]
struct LoadReport {
    #[prost(double, tag = "1")]
    cpu: f64,
    #[prost(double, tag = "9")]
    application: f64,
}

/// Writes our own word; `usage` is what changes slowly, as it is to be read.
pub(super) fn write<'t>(report: Report, usage: &str, text: &'t mut [u8; LONGEST]) -> &'t [u8] {
    let mut rest = &mut text[..];
    let Report { in_flight, latency, answers_probes } = report;
    let (latency, probes) = (latency.as_secs_f32(), u8::from(answers_probes));
    // What is longer than the room cannot be: a `u32`, a time below the age of the process, and three numbers.
    let _ = write!(
        rest,
        "TEXT {IN_FLIGHT}={in_flight},{LATENCY}={latency:.6},{PROBES}={probes}{usage}"
    );
    let length = LONGEST - rest.len();
    &text[..length]
}

/// Reads all words of an answer's fields, and takes a proxy's out of them; an application's stay for its caller. What the
/// application says of itself goes before what its proxy says.
pub(crate) fn take(fields: &mut Fields) -> Word {
    let mut word = Word::default();
    let mut is_own = false;
    for value in fields.find_all(Known::EndpointLoadMetrics) {
        let read = read(value);
        if value.starts_with(OWN) {
            is_own = true;
            word.report = read.report.or(word.report);
            word.utilization = word.utilization.or(read.utilization);
        } else {
            word.utilization = read.utilization.or(word.utilization);
        }
    }
    if is_own {
        let own = |value: &[u8]| value.starts_with(OWN);
        fields.retain(|known, _, value| known != Known::EndpointLoadMetrics || !own(value));
    }
    word.utilization = of_message(fields).or(word.utilization);
    word
}

/// What fields or trailers say in the binary form.
pub(crate) fn of_message(fields: &Fields) -> Option<f32> {
    read_message(fields.find(Known::EndpointLoadMetricsBin)?)
}

/// Reads the value of a field `endpoint-load-metrics`. Of what cannot be read nothing is there.
pub(crate) fn read(value: &[u8]) -> Word {
    if value.len() > MAX {
        return Word::default();
    }
    let json = |rest| Word { report: None, utilization: read_json(rest) };
    let message = |rest: &[u8]| Word { report: None, utilization: read_message(rest.trim_ascii()) };
    if let Some(rest) = value.strip_prefix(b"TEXT ") {
        return read_text(rest).unwrap_or_default();
    }
    let as_json = value.strip_prefix(b"JSON ").map(json);
    as_json.or_else(|| value.strip_prefix(b"BIN ").map(message)).unwrap_or_default()
}

fn read_text(text: &[u8]) -> Option<Word> {
    let text = std::str::from_utf8(text).ok()?;
    let (mut in_flight, mut latency, mut answers_probes) = (None, Duration::ZERO, false);
    let (mut cpu, mut application) = (0.0, 0.0);
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=')?;
        let value: f32 = value.trim().parse().ok().filter(is_measure)?;
        match name.trim() {
            IN_FLIGHT => in_flight = Some(value),
            LATENCY => latency = Duration::try_from_secs_f32(value).ok()?,
            PROBES => answers_probes = value > 0.0,
            CPU => cpu = value,
            APPLICATION => application = value,
            _ => {}
        }
    }
    let report = in_flight.map(|in_flight| Report { in_flight, latency, answers_probes });
    Some(Word { report, utilization: utilization(cpu, application) })
}

fn read_json(text: &[u8]) -> Option<f32> {
    let json: serde_json::Value = serde_json::from_slice(text).ok()?;
    // Both spellings are protobuf's JSON.
    let find = |names: [&str; 2]| names.iter().find_map(|name| json.get(name)?.as_f64());
    let number = |names| find(names).map_or(0.0, |number| number as f32);
    utilization(number([CPU, "cpuUtilization"]), number([APPLICATION, "applicationUtilization"]))
}

fn read_message(base64: &[u8]) -> Option<f32> {
    if base64.len() > MAX {
        return None;
    }
    let message = LoadReport::decode(&*BASE64.decode(base64).ok()?).ok()?;
    utilization(message.cpu as f32, message.application as f32)
}

/// 0 is what a message has that does not say anything.
fn utilization(cpu: f32, application: f32) -> Option<f32> {
    [application, cpu].into_iter().find(|it| is_measure(it) && *it > 0.0)
}

fn is_measure(number: &f32) -> bool {
    number.is_finite() && *number >= 0.0
}

#[cfg(test)]
mod tests;
