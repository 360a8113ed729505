//! Outcomes as bytes, to be kept over a restart.

use std::collections::VecDeque;
use std::sync::Arc;

use meltemi_policy::outcome::Tally;

use super::series::{CODE, Series, Window};
use super::{Endpoint, EndpointId, MAX_SERIES, Outcomes};

/// The first bytes; another form has another number.
const HEAD: &[u8] = b"meltemi outcomes 1\n";
/// Names are not longer.
const MAX_NAME: usize = 1024;
/// Windows of one resolution: an hour's minutes, with one that has begun.
const MAX_WINDOWS: usize = 64;

impl Outcomes {
    /// All of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        for (id, endpoint) in &self.endpoints {
            for (caller, series) in &endpoint.callers {
                for name in [&id.host, &endpoint.namespace, &id.workload, caller] {
                    put(&mut bytes, name.as_bytes());
                }
                bytes.extend_from_slice(&id.port.to_le_bytes());
                for windows in [&series.seconds, &series.minutes] {
                    bytes.push(windows.len().min(MAX_WINDOWS) as u8);
                    // The newest, should there ever be more.
                    for window in windows.iter().skip(windows.len().saturating_sub(MAX_WINDOWS)) {
                        bytes.extend_from_slice(&window.at.to_le_bytes());
                        put(&mut bytes, &window.code);
                    }
                }
            }
        }
        bytes
    }

    /// What [`Outcomes::to_bytes`] has written; `None` if it was not.
    pub fn from_bytes(bytes: &[u8]) -> Option<Outcomes> {
        let mut rest = bytes.strip_prefix(HEAD)?;
        let mut outcomes = Outcomes::default();
        while !rest.is_empty() {
            let [host, namespace, workload, caller] =
                [name(&mut rest)?, name(&mut rest)?, name(&mut rest)?, name(&mut rest)?];
            let port = u16::from_le_bytes(array(&mut rest)?);
            let series = Series { seconds: windows(&mut rest)?, minutes: windows(&mut rest)? };
            if outcomes.series >= MAX_SERIES {
                return None;
            }
            let id = EndpointId { host, port, workload };
            let fresh = || Endpoint::new(&namespace);
            let endpoint = outcomes.endpoints.entry(id).or_insert_with(fresh);
            if let Err(at) = endpoint.find(&caller) {
                endpoint.insert(at, &caller, series);
                outcomes.series += 1;
            }
        }
        Some(outcomes)
    }
}

/// Two bytes of length, then the bytes: none of these is longer than that tells.
fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = part.len().min(usize::from(u16::MAX));
    bytes.extend_from_slice(&(length as u16).to_le_bytes());
    bytes.extend_from_slice(&part[..length]);
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn part<'a>(rest: &mut &'a [u8], most: usize) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_le_bytes(array(rest)?));
    let (head, tail) = rest.split_at_checked(length).filter(|_| length <= most)?;
    *rest = tail;
    Some(head)
}

fn name(rest: &mut &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(part(rest, MAX_NAME)?).ok().map(Arc::from)
}

fn windows(rest: &mut &[u8]) -> Option<VecDeque<Window>> {
    let [count] = array(rest)?;
    let read = |_| {
        let at = u32::from_le_bytes(array(rest)?);
        let code = part(rest, CODE)?;
        Tally::decode(code)?;
        Some(Window { at, code: code.into() })
    };
    let windows: VecDeque<Window> = (0..count).map(read).collect::<Option<_>>()?;
    let is_ordered = windows.iter().zip(windows.iter().skip(1)).all(|(a, b)| a.at < b.at);
    (windows.len() <= MAX_WINDOWS && is_ordered).then_some(windows)
}
