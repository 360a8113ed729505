//! The pages: which path is answered with what, on which listener.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use meltemi_telemetry::Format;

use super::{Panel, Role, dump, figures};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const INDEX: &str = "\
/                   this page
/config_dump        services, endpoints and inbound ports as they are in effect (JSON)
/certs              the certificate and the roots: ids and validity (JSON)
/ready              200 while the proxy serves, else 503 and why
/healthz/ready      the same
/healthz/live       200 while the process runs
/stats/prometheus   metrics, also as /metrics
/quitquitquit       POST: drain, then end
";

const WEB_PAGE: &str =
    "asked by a web page: use a command-line client and an IP address or localhost\n";

/// Answers a request; its body is not looked at.
pub(super) fn answer<B>(panel: &Panel, role: Role, request: &Request<B>) -> Response<Body> {
    let is_admin = role == Role::Admin;
    let page = match request.uri().path() {
        "/stats/prometheus" | "/metrics" if role != Role::Health => metrics,
        "/healthz/ready" if role != Role::Metrics => ready,
        "/healthz/live" if role != Role::Metrics => live,
        "/ready" if is_admin => ready,
        "/" if is_admin => index,
        "/config_dump" if is_admin => config_dump,
        "/certs" if is_admin => certs,
        "/quitquitquit" if is_admin => return quit(panel, request),
        path => {
            return text(StatusCode::NOT_FOUND, format!("{path} is not a page of this listener\n"));
        }
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_allowed("GET, HEAD");
    }
    page(panel, request.headers())
}

fn index(_: &Panel, _: &HeaderMap) -> Response<Body> {
    text(StatusCode::OK, INDEX.into())
}

fn metrics(panel: &Panel, headers: &HeaderMap) -> Response<Body> {
    let format = Format::of_accept(headers.get(ACCEPT).and_then(|it| it.to_str().ok()));
    let figures = panel.shared.get().map(|shared| figures::of(&shared.mesh.current()));
    let parts = panel.metrics.rendering_with(format, figures.unwrap_or_default());
    let frames = parts.map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
    let body = StreamBody::new(stream::iter(frames)).boxed_unsync();
    respond(StatusCode::OK, &[(CONTENT_TYPE, format.content_type())], body)
}

fn ready(panel: &Panel, _: &HeaderMap) -> Response<Body> {
    match panel.ready() {
        Ok(()) => text(StatusCode::OK, "LIVE\n".into()),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn live(_: &Panel, _: &HeaderMap) -> Response<Body> {
    text(StatusCode::OK, "LIVE\n".into())
}

fn config_dump(panel: &Panel, headers: &HeaderMap) -> Response<Body> {
    shared_page(panel, headers, dump::config)
}

fn certs(panel: &Panel, headers: &HeaderMap) -> Response<Body> {
    shared_page(panel, headers, dump::certificates)
}

/// What the mesh looks like from here is nothing for a page of the open web, which would ask by a name of its own (DNS rebinding).
fn shared_page(
    panel: &Panel,
    headers: &HeaderMap,
    page: fn(&crate::shared::Shared) -> serde_json::Value,
) -> Response<Body> {
    if !host_of(headers).is_none_or(is_plain_host) {
        return text(StatusCode::FORBIDDEN, WEB_PAGE.into());
    }
    match panel.shared.get() {
        Some(shared) => {
            let body = Full::new(Bytes::from(format!("{:#}\n", page(shared))));
            respond(StatusCode::OK, &[(CONTENT_TYPE, JSON)], body.boxed_unsync())
        }
        None => ready(panel, &HeaderMap::new()),
    }
}

/// A page of the open web must not end a proxy through the browser of its user: browsers send an origin with such a
/// request, and a host that is no loopback name after DNS rebinding.
fn quit<B>(panel: &Panel, request: &Request<B>) -> Response<Body> {
    if *request.method() != Method::POST {
        return not_allowed("POST");
    }
    if request.headers().contains_key(ORIGIN)
        || !host_of(request.headers()).is_some_and(is_plain_host)
    {
        return text(StatusCode::FORBIDDEN, WEB_PAGE.into());
    }
    panel.quit.notify_one();
    text(StatusCode::OK, "draining\n".into())
}

/// What the client calls us; as no text at all it is an empty name.
fn host_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).map(|host| host.to_str().unwrap_or_default())
}

/// `localhost` or an IP address, with or without a port.
fn is_plain_host(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn not_allowed(methods: &str) -> Response<Body> {
    let message = format!("use {methods}\n");
    let headers = [(ALLOW, methods), (CONTENT_TYPE, TEXT)];
    respond(StatusCode::METHOD_NOT_ALLOWED, &headers, Full::from(message).boxed_unsync())
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    respond(status, &[(CONTENT_TYPE, TEXT)], Full::from(text).boxed_unsync())
}

fn respond(status: StatusCode, headers: &[(HeaderName, &str)], body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        // Every value here is a constant of visible ASCII.
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
