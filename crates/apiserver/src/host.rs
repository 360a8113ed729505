//! The guard against DNS rebinding: a browser that was lured to us under a foreign name is turned away.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;

use crate::status::Failure;

/// The names under which the API may be asked; loopback names and addresses always count.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    names: BTreeSet<String>,
}

impl Hosts {
    /// These names and addresses (without port) beside the loopback ones.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { names: names.into_iter().map(|name| name.into().to_ascii_lowercase()).collect() }
    }

    /// Checks the host that the request names.
    ///
    /// # Errors
    /// 403 for a foreign name, 400 for none.
    pub fn check(&self, request: &Parts) -> Result<(), Failure> {
        // HTTP/2 puts it into the target, HTTP/1.1 into a header.
        let named = match request.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => request.headers.get(HOST).and_then(|value| value.to_str().ok()),
        };
        let Some(named) = named else {
            return Err(Failure::bad_request("the request names no host"));
        };
        let host = without_port(named).to_ascii_lowercase();
        if is_loopback(&host) || self.names.contains(&host) {
            return Ok(());
        }
        Err(Failure::forbidden(format!(
            "{host:?} is not a name of this server: ask by a loopback address, or add the name to the control plane's"
        )))
    }
}

/// `[::1]:80` -> `::1`, `localhost:80` -> `localhost`.
fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(host: &str) -> bool {
        let request = http::Request::builder().header(HOST, host).body(()).unwrap();
        Hosts::new(["mesh.example.com", "10.0.0.7"]).check(&request.into_parts().0).is_ok()
    }

    #[test]
    fn foreign_names_are_refused() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:15080",
            "127.9.9.9",
            "[::1]:1",
            "a.localhost",
            "mesh.example.com:443",
            "10.0.0.7",
        ] {
            assert!(ask(host), "{host}");
        }
        for host in
            ["evil.example.com", "127.0.0.1.nip.io", "localhost.evil.com", "10.0.0.8", "", "[::2]"]
        {
            assert!(!ask(host), "{host}");
        }
    }
}
