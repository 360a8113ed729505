//! Whether a request or a connection of the mesh may pass to the application, by the `AuthorizationPolicy`s of our workload.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use meltemi_names::SpiffeId;
use meltemi_policy::authz::{
    Connection, Denial, Judgement, NoRequest, Peer, Policies, Request, RuleId, Settled, Token,
    provider, trusted_client,
};
use meltemi_policy::jwt::Authenticated;
use meltemi_telemetry::{Counter, Registry, ResponseFlags};

use crate::config::{Inbound, InboundPort};
use crate::exchange::Call;
use crate::finish::local::respond;
use crate::finish::outcome::Outcome;
use crate::http::head::RequestHead;
use crate::worker::Worker;

/// The time between two refusals of dry runs that are told.
const PAUSE: Duration = Duration::from_secs(1);
/// The body of a refusal, as Envoy has it.
const DENIED: &str = "RBAC: access denied";
/// Tells the caller which policy it was, where the mesh wants that.
pub(super) const DENIED_BY: &[u8] = b"x-meltemi-denied-by";

/// What of a connection its requests are judged by, and what it has decided for all of them.
pub(crate) struct Authorizer {
    peer: Option<Peer>,
    source: SocketAddr,
    destination: Option<SocketAddr>,
    sni: Option<Box<str>>,
    settled: RefCell<Option<Kept>>,
}

/// What was decided for a connection, by which policies and for which port.
struct Kept {
    policies: u64,
    port: u16,
    client: IpAddr,
    settled: Settled,
}

/// A request is refused, for this reason as Envoy's log has it.
#[derive(Debug)]
pub(crate) struct Denied(pub(crate) Arc<str>);

impl Denied {
    /// The rule, or `none`: what stands between the brackets.
    fn by(&self) -> &str {
        let within = self.0.split_once('[').and_then(|(_, it)| it.strip_suffix(']'));
        within.unwrap_or(&self.0)
    }
}

/// A request does not pass by our policies alone.
#[derive(Debug)]
pub(crate) enum Refused<'i> {
    /// In no case.
    Denied(Denied),
    /// Unless an authorizer allows it.
    Asks(Asking<'i>),
}

/// What an authorizer is asked about.
#[derive(Debug)]
pub(crate) struct Asking<'i> {
    by: By<'i>,
    /// The rule that has it asked.
    rule: RuleId,
    pub(crate) authorizer: &'i provider::Authorizer,
}

impl Asking<'_> {
    /// What the rule is called that has it asked.
    pub(crate) fn rule(&self) -> String {
        self.by.policies.name_of(self.rule)
    }
}

/// By what something is judged.
#[derive(Debug, Clone, Copy)]
struct By<'i> {
    policies: &'i Policies,
    /// The workload's port.
    port: u16,
    /// So many proxies before us are trusted to say who the client is.
    trusted_proxies: u32,
    /// Whether the port is declared to carry bytes. Whatever a caller makes of it, its rules are those for bytes: else the caller
    /// could choose by which it is judged.
    is_for_bytes: bool,
}

impl<'i> By<'i> {
    /// `None` where there are no policies.
    fn of(inbound: &'i Inbound, port: &InboundPort) -> Option<By<'i>> {
        let policies = inbound.authorization.of(&port.host)?;
        Some(By {
            policies,
            port: port.target_port,
            trusted_proxies: inbound.num_trusted_proxies,
            is_for_bytes: !port.protocol.takes_requests(),
        })
    }
}

impl Authorizer {
    /// For a connection from `source` to `destination` whose other end has proved to be `id`.
    pub(crate) fn new(
        id: Option<&SpiffeId>,
        source: SocketAddr,
        destination: Option<SocketAddr>,
        sni: Option<&str>,
    ) -> Authorizer {
        Authorizer {
            peer: id.map(Peer::of),
            source,
            destination,
            sni: sni.map(Into::into),
            settled: RefCell::default(),
        }
    }

    /// The address of the other end.
    pub(crate) fn source(&self) -> SocketAddr {
        self.source
    }

    /// The address that was called.
    pub(crate) fn destination(&self) -> Option<SocketAddr> {
        self.destination
    }

    /// The server name that the other end has called by TLS.
    pub(crate) fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// The SPIFFE id of the other end, if it has proved one.
    pub(crate) fn id(&self) -> Option<String> {
        self.peer.as_ref().map(|peer| format!("spiffe://{}", peer.principal()))
    }

    fn judge<R: Request>(&self, by: By<'_>, request: Option<&R>, is_allowed: bool) -> Judgement {
        let By { policies, port, trusted_proxies, is_for_bytes } = by;
        let request = request.filter(|_| !is_for_bytes);
        let ip = |address: SocketAddr| address.ip().to_canonical();
        let client = match (trusted_proxies, request) {
            (1.., Some(request)) => trusted_client(request, trusted_proxies),
            _ => None,
        };
        let client = client.unwrap_or_else(|| ip(self.source));
        let connection = Connection {
            peer: self.peer.as_ref(),
            source_ip: Some(ip(self.source)),
            remote_ip: Some(client),
            destination_ip: self.destination.map(ip),
            destination_port: port,
            sni: self.sni.as_deref(),
        };
        let mut kept = self.settled.borrow_mut();
        let kept = match &mut *kept {
            Some(kept)
                if kept.policies == policies.id() && kept.port == port && kept.client == client =>
            {
                kept
            }
            other => {
                let settled = policies.settle(&connection);
                other.insert(Kept { policies: policies.id(), port, client, settled })
            }
        };
        match is_allowed {
            false => policies.judge(&kept.settled, &connection, request),
            true => policies.judge_allowed(&kept.settled, &connection, request),
        }
    }

    fn principal(&self) -> &str {
        self.peer.as_ref().map_or("none", Peer::principal)
    }
}

/// Judges a request. `bearer` is who bears its token.
pub(crate) fn authorize_request<'i>(
    worker: &Worker,
    authorizer: &Authorizer,
    (inbound, port): (&'i Inbound, &InboundPort),
    head: &RequestHead,
    bearer: Option<&Authenticated<'_>>,
) -> Result<(), Refused<'i>> {
    let Some(by) = By::of(inbound, port) else { return Ok(()) };
    let asked = Asked { head, bearer: bearer.map(Bearer) };
    let judgement = authorizer.judge(by, Some(&asked), false);
    if let Some(asking) = asking(inbound, port, by, &judgement) {
        return Err(Refused::Asks(asking));
    }
    take_note(&worker.decisions.http, authorizer, by.policies, &judgement, || what(head))
        .map_err(Refused::Denied)
}

/// Whether a request would pass by our policies alone, without asking an authorizer. Nothing is counted and nothing said: it is
/// not made.
pub(crate) fn would_pass(
    authorizer: &Authorizer,
    (inbound, port): (&Inbound, &InboundPort),
    head: &RequestHead,
    bearer: Option<&Authenticated<'_>>,
) -> bool {
    let Some(by) = By::of(inbound, port) else { return true };
    let asked = Asked { head, bearer: bearer.map(Bearer) };
    authorizer.judge(by, Some(&asked), false).denial.is_none()
}

/// Judges a connection of bytes.
pub(crate) fn authorize_connection<'i>(
    worker: &Worker,
    authorizer: &Authorizer,
    (inbound, port): (&'i Inbound, &InboundPort),
) -> Result<(), Refused<'i>> {
    let Some(by) = By::of(inbound, port) else { return Ok(()) };
    let judgement = authorizer.judge(by, None::<&NoRequest>, false);
    if let Some(asking) = asking(inbound, port, by, &judgement) {
        return Err(Refused::Asks(asking));
    }
    take_note(&worker.decisions.tcp, authorizer, by.policies, &judgement, || what_of(port))
        .map_err(Refused::Denied)
}

/// Why a connection of bytes that stands would be refused now; `None` if it would not. An authorizer was asked when it began and
/// is not asked again.
pub(crate) fn denial_of_standing(
    authorizer: &Authorizer,
    (inbound, port): (&Inbound, &InboundPort),
) -> Option<String> {
    let by = By::of(inbound, port)?;
    let judge = |is_allowed| authorizer.judge(by, None::<&NoRequest>, is_allowed);
    let judgement = judge(false);
    let denial = match asking(inbound, port, by, &judgement) {
        None => judgement.denial,
        Some(_) => judge(true).denial,
    };
    denial.map(|denial| by.policies.details(denial).to_string())
}

/// Judges what an authorizer has let pass by the policies that come after CUSTOM: a request with the bearer of its token, or
/// a connection of bytes.
pub(crate) fn authorize_allowed(
    worker: &Worker,
    authorizer: &Authorizer,
    port: &InboundPort,
    asking: &Asking<'_>,
    request: Option<(&RequestHead, Option<&Authenticated<'_>>)>,
) -> Result<(), Denied> {
    let policies = asking.by.policies;
    let Some((head, bearer)) = request else {
        let judgement = authorizer.judge(asking.by, None::<&NoRequest>, true);
        let counters = &worker.decisions.tcp;
        return take_note(counters, authorizer, policies, &judgement, || what_of(port));
    };
    let asked = Asked { head, bearer: bearer.map(Bearer) };
    let judgement = authorizer.judge(asking.by, Some(&asked), true);
    take_note(&worker.decisions.http, authorizer, policies, &judgement, || what(head))
}

/// Who is to be asked, if a CUSTOM policy's rule matched and there is somebody to ask. An authorizer is not asked about
/// questions that are put to it: it would never be done.
fn asking<'i>(
    inbound: &'i Inbound,
    port: &InboundPort,
    by: By<'i>,
    judgement: &Judgement,
) -> Option<Asking<'i>> {
    let Some(Denial::Custom(rule)) = judgement.denial else { return None };
    let authorizer = inbound.authorization.authorizer(by.policies)?;
    let is_itself =
        *authorizer.said.service == *port.host && authorizer.said.port == port.service_port;
    (!is_itself).then_some(Asking { by, rule, authorizer })
}

/// A request as the log tells of it. Its query is left out: a secret may stand there.
fn what(head: &RequestHead) -> String {
    let path = head.target().split(|byte| *byte == b'?').next().unwrap_or_default();
    let words = [head.method(), b" ", path].concat();
    String::from_utf8_lossy(&words).into_owned()
}

fn what_of(port: &InboundPort) -> String {
    format!("a connection to port {}", port.target_port)
}

/// Counts a judgement, and says what is to be known of it.
fn take_note(
    counters: &Counters,
    authorizer: &Authorizer,
    policies: &Policies,
    judgement: &Judgement,
    what: impl Fn() -> String,
) -> Result<(), Denied> {
    if let Some(rule) = judgement.audited {
        counters.logged.add_one();
        let (rule, what) = (policies.name_of(rule), what());
        tracing::info!(target: "authorization", rule, caller = authorizer.principal(), what, "audited");
    }
    if let Some(dry_run) = judgement.dry_run {
        match dry_run.denial {
            None => counters.shadow_allowed.add_one(),
            Some(denial) => {
                counters.shadow_denied.add_one();
                if counters.told.may_tell() {
                    let (why, what) = (policies.details(denial), what());
                    tracing::info!(target: "authorization", %why, caller = authorizer.principal(), what, "would be refused (dry run)");
                }
            }
        }
    }
    let Some(denial) = judgement.denial else {
        counters.allowed.add_one();
        return Ok(());
    };
    counters.denied.add_one();
    let why = policies.details(denial).to_string();
    tracing::debug!(target: "authorization", why, caller = authorizer.principal(), what = what(), "refused");
    Err(Denied(why.into()))
}

/// Answers a request that is refused.
pub(crate) async fn refuse(worker: &Worker, call: &mut Call<'_>, denied: Denied) -> Outcome {
    let by = denied.by().as_bytes();
    let told: &[_] = if worker.shared.tells_denied_by { &[(DENIED_BY, by)] } else { &[] };
    let outcome = respond(call, 403, ResponseFlags::NONE, DENIED, told).await;
    Outcome { details: Some(denied.0), ..outcome }
}

/// A request as policies see it.
struct Asked<'a> {
    head: &'a RequestHead,
    bearer: Option<Bearer<'a>>,
}

impl Request for Asked<'_> {
    fn method(&self) -> &[u8] {
        self.head.method()
    }

    fn path(&self) -> &[u8] {
        self.head.target()
    }

    fn authority(&self) -> &[u8] {
        self.head.authority()
    }

    fn headers<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        let pseudo = match name {
            ":method" => Some(self.head.method()),
            ":path" => Some(self.head.target()),
            ":authority" => Some(self.head.authority()),
            name if name.eq_ignore_ascii_case("host") => Some(self.head.authority()),
            _ => None,
        };
        let fields = self.head.fields.iter();
        let named = fields.filter(move |(_, own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        pseudo.into_iter().chain(named.map(|(_, _, value)| value))
    }

    fn each_header_name(&self, show: &mut dyn FnMut(&[u8])) -> bool {
        self.head.fields.iter().for_each(|(_, name, _)| show(name));
        true
    }

    fn token(&self) -> Option<&dyn Token> {
        self.bearer.as_ref().map(|it| it as &dyn Token)
    }
}

/// A token that was verified, as policies see it.
struct Bearer<'a>(&'a Authenticated<'a>);

impl Token for Bearer<'_> {
    fn issuer(&self) -> &str {
        self.0.claims().issuer()
    }

    fn principal(&self) -> Option<&str> {
        self.0.claims().principal()
    }

    fn each_audience(&self, show: &mut dyn FnMut(&str)) {
        self.0.claims().audiences().iter().for_each(|it| show(it));
    }

    fn presenter(&self) -> Option<&str> {
        self.0.claims().presenter()
    }

    fn each_claim(&self, path: &[Box<str>], show: &mut dyn FnMut(&str)) {
        self.0.values(path.iter().map(|it| &**it)).for_each(show);
    }

    fn each_claim_name(&self, show: &mut dyn FnMut(&str)) -> bool {
        self.0.claims().each_name(show);
        true
    }
}

/// What one worker counts of decisions.
#[derive(Debug)]
pub(crate) struct Decisions {
    http: Counters,
    tcp: Counters,
    pub(crate) external_http: External,
    pub(crate) external_tcp: External,
}

/// What is counted of answers of authorizers.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) ok: Counter,
    pub(crate) denied: Counter,
    pub(crate) error: Counter,
    pub(crate) failure_mode_allowed: Counter,
    told: Told,
}

impl External {
    /// Whether it is told that an authorizer could not be asked.
    pub(crate) fn may_tell(&self) -> bool {
        self.told.may_tell()
    }
}

#[derive(Debug)]
struct Counters {
    allowed: Counter,
    denied: Counter,
    shadow_allowed: Counter,
    shadow_denied: Counter,
    logged: Counter,
    told: Told,
}

/// When something was told last of which there may be as much as there are requests.
#[derive(Debug, Default)]
struct Told(Cell<Option<Instant>>);

impl Told {
    /// Whether it is told: one a second.
    fn may_tell(&self) -> bool {
        let now = Instant::now();
        let may = self.0.get().is_none_or(|last| now.duration_since(last) >= PAUSE);
        if may {
            self.0.set(Some(now));
        }
        may
    }
}

impl Decisions {
    /// The counters of a further worker.
    pub(crate) fn new(registry: &Registry) -> Decisions {
        let of = |protocol: &str| {
            let counter = |result: &str| {
                registry.counter_shard(
                    "meltemi_authorization_decisions_total",
                    "Requests and connections judged by authorization policies, in the words of Envoy's RBAC.",
                    &[("protocol", protocol), ("result", result)],
                )
            };
            Counters {
                allowed: counter("allowed"),
                denied: counter("denied"),
                shadow_allowed: counter("shadow_allowed"),
                shadow_denied: counter("shadow_denied"),
                logged: counter("logged"),
                told: Told::default(),
            }
        };
        let external = |protocol: &str| {
            let counter = |result: &str| {
                registry.counter_shard(
                    "meltemi_external_authorization_total",
                    "Answers of authorizers outside, in the words of Envoy's ext_authz.",
                    &[("protocol", protocol), ("result", result)],
                )
            };
            External {
                ok: counter("ok"),
                denied: counter("denied"),
                error: counter("error"),
                failure_mode_allowed: counter("failure_mode_allowed"),
                told: Told::default(),
            }
        };
        Decisions {
            http: of("http"),
            tcp: of("tcp"),
            external_http: external("http"),
            external_tcp: external("tcp"),
        }
    }
}
