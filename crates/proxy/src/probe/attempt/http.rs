//! A probe by an HTTP request, as the kubelet makes it: HTTP/1.1, certificates not looked at, 200 to 399 is success.

use std::sync::Arc;

use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use meltemi_identity::tls::OriginationSettings;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::super::plan::HttpGet;

/// The application protocol that is offered over TLS.
const HTTP_1: &[u8] = b"http/1.1";
/// Who asks.
const AGENT: HeaderValue = HeaderValue::from_static("meltemi-probe/1");

pub(super) async fn get(get: &HttpGet) -> Result<(), String> {
    let stream = get.place.connect().await.map_err(|error| error.to_string())?;
    let status = match get.tls {
        false => exchange(stream, get).await?,
        true => {
            let host = if get.place.host.is_empty() { "localhost" } else { &get.place.host };
            let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
            let connecting = TlsConnector::from(config()?).connect(name, stream);
            exchange(connecting.await.map_err(|error| format!("TLS: {error}"))?, get).await?
        }
    };
    match status {
        200..400 => Ok(()),
        status => Err(format!("answered {status}")),
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    get: &HttpGet,
) -> Result<u16, String> {
    let (mut sender, connection) = http1::handshake::<_, Empty<&[u8]>>(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let request = request(get)?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The connection ends with this future: nothing of the body is wanted. A connection that ends first has left its
    // answer, or the reason why there is none.
    let answer = tokio::select! {
        answer = &mut answer => answer,
        _ = connection => answer.await,
    };
    answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
}

fn request(get: &HttpGet) -> Result<Request<Empty<&'static [u8]>>, String> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = get.path.clone().into();
    let authority = get.place.authority();
    let host = HeaderValue::try_from(authority).map_err(|error| error.to_string())?;
    let defaults: [(HeaderName, HeaderValue); 4] = [
        (HOST, host),
        (USER_AGENT, AGENT),
        (ACCEPT, HeaderValue::from_static("*/*")),
        (CONNECTION, HeaderValue::from_static("close")),
    ];
    let headers = request.headers_mut();
    *headers = get.headers.clone();
    for (name, value) in defaults {
        headers.entry(name).or_insert(value);
    }
    Ok(request)
}

/// A client that believes every server.
fn config() -> Result<Arc<ClientConfig>, String> {
    let settings =
        OriginationSettings { insecure_skip_verify: true, ..OriginationSettings::default() };
    let configs =
        settings.client_configs(&[vec![HTTP_1.to_vec()]]).map_err(|error| error.to_string())?;
    configs.into_iter().next().ok_or_else(|| "no configuration for TLS".to_owned())
}
