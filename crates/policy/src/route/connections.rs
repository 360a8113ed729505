//! The rules for connections of one host in their compiled form. They are few, and are looked at once a
//! connection, in order.

use std::net::IpAddr;
use std::sync::Arc;

use super::error::Flaw;
use super::rule::{Destination, RouteDestination, VirtualService};
use super::split;
use super::table::Scope;

mod subnet;

pub use subnet::{Subnet, SubnetError};

/// The rules for connections of one host.
#[derive(Debug)]
pub struct Connections {
    tls: Box<[Entry]>,
    tcp: Box<[Entry]>,
    routes: Box<[Route]>,
}

/// One match of a route.
#[derive(Debug)]
struct Entry {
    route: usize,
    /// Names for TLS, each perhaps with `*.` before it; in lower case.
    names: Box<[Box<str>]>,
    subnets: Box<[Subnet]>,
    port: Option<u16>,
}

/// Where connections go, each with the end of its share.
type Route = Box<[(Destination, u64)]>;

impl Connections {
    /// Where a connection of TLS goes that asks for this name: by the first rule that matches. `address` is the
    /// one that was called, if it is known; without it no rule that names subnets matches.
    pub fn find_tls(
        &self,
        name: &str,
        address: Option<IpAddr>,
        port: u16,
        random: u64,
    ) -> Option<&Destination> {
        let name = name.to_ascii_lowercase();
        let entry = self.tls.iter().find(|entry| {
            entry.names.iter().any(|it| covers(it, &name)) && entry.is_for(address, port)
        })?;
        pick(&self.routes[entry.route], random)
    }

    /// Where another connection goes: by the first rule that matches.
    pub fn find_tcp(
        &self,
        address: Option<IpAddr>,
        port: u16,
        random: u64,
    ) -> Option<&Destination> {
        let entry = self.tcp.iter().find(|entry| entry.is_for(address, port))?;
        pick(&self.routes[entry.route], random)
    }

    /// Whether there are rules for TLS, so that its name has to be looked at.
    pub fn has_tls(&self) -> bool {
        !self.tls.is_empty()
    }

    /// Whether there are rules for connections that are not TLS, or whose TLS is not looked at.
    pub fn has_tcp(&self) -> bool {
        !self.tcp.is_empty()
    }

    /// Compiles rules for connections, of several virtual services one after the other.
    pub(super) fn compile(
        services: &[&Arc<VirtualService>],
        scope: Scope<'_>,
    ) -> Result<Connections, (Arc<VirtualService>, Flaw)> {
        let mut compiler = Compiler::default();
        for service in services {
            compiler.add(service, scope).map_err(|flaw| ((*service).clone(), flaw))?;
        }
        Ok(Connections {
            tls: compiler.tls.into(),
            tcp: compiler.tcp.into(),
            routes: compiler.routes.into(),
        })
    }
}

impl Entry {
    fn is_for(&self, address: Option<IpAddr>, port: u16) -> bool {
        let is_in = |address: IpAddr| self.subnets.iter().any(|subnet| subnet.contains(address));
        self.port.is_none_or(|own| own == port)
            && (self.subnets.is_empty() || address.is_some_and(is_in))
    }
}

fn pick(route: &Route, random: u64) -> Option<&Destination> {
    split::pick(route, |(_, end)| *end, random).map(|(_, (destination, _))| destination)
}

/// Whether a name, perhaps with `*.` before it, stands for a plain one.
fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        None => pattern == name,
        Some(end) => name.len() > end.len() && name.ends_with(end),
    }
}

#[derive(Default)]
struct Compiler {
    tls: Vec<Entry>,
    tcp: Vec<Entry>,
    routes: Vec<Route>,
}

impl Compiler {
    fn add(&mut self, service: &Arc<VirtualService>, scope: Scope<'_>) -> Result<(), Flaw> {
        for (index, rule) in service.tls.iter().enumerate() {
            let at = format!("tls[{index}]");
            let route = self.route(&rule.route, &at)?;
            for (index, one) in rule.matches.iter().enumerate() {
                if !scope.fits(&one.gateways, &one.source_labels, one.source_namespace.as_deref()) {
                    continue;
                }
                let at = format!("{at}.match[{index}]");
                let subnets = subnets(&one.destination_subnets, &at)?;
                let names = one.sni_hosts.iter().map(|it| it.to_ascii_lowercase().into()).collect();
                self.tls.push(Entry { route, names, subnets, port: one.port });
            }
        }
        for (index, rule) in service.tcp.iter().enumerate() {
            let at = format!("tcp[{index}]");
            let route = self.route(&rule.route, &at)?;
            let entry = |subnets, port| Entry { route, names: Box::default(), subnets, port };
            if rule.matches.is_empty() {
                self.tcp.push(entry(Box::default(), None));
            }
            for (index, one) in rule.matches.iter().enumerate() {
                if !scope.fits(&one.gateways, &one.source_labels, one.source_namespace.as_deref()) {
                    continue;
                }
                let at = format!("{at}.match[{index}]");
                self.tcp.push(entry(subnets(&one.destination_subnets, &at)?, one.port));
            }
        }
        Ok(())
    }

    fn route(&mut self, destinations: &[RouteDestination], at: &str) -> Result<usize, Flaw> {
        let ends = split::ends(destinations.iter().map(|it| it.weight))
            .map_err(|problem| Flaw::new(format!("{at}.route"), problem))?;
        self.routes.push(destinations.iter().map(|it| it.destination.clone()).zip(ends).collect());
        Ok(self.routes.len() - 1)
    }
}

fn subnets(texts: &[String], at: &str) -> Result<Box<[Subnet]>, Flaw> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|error: SubnetError| Flaw::new(format!("{at}.destinationSubnets"), error))
    };
    texts.iter().map(parse).collect()
}
