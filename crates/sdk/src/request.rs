//! What is wrong with a request, told before anything of it goes anywhere; and the one form of a URI that goes on.

use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Uri};

use crate::error::Error;

/// The request as the data path takes it.
pub(crate) fn checked<B>(mut request: Request<B>) -> Result<Request<B>, Error> {
    if request.method() == Method::CONNECT {
        return wrong(request.uri(), "CONNECT is not carried by a program's calls");
    }
    check_uri(request.uri())?;
    check_host(&request)?;
    if let Some(whole) = with_path(request.uri()) {
        *request.uri_mut() = whole?;
    }
    Ok(request)
}

fn wrong<T>(uri: &Uri, why: &str) -> Result<T, Error> {
    Err(Error::Request(format!("{uri}: {why}")))
}

fn check_uri(uri: &Uri) -> Result<(), Error> {
    match uri.scheme_str() {
        Some("http") | None => {}
        Some("https") => {
            return wrong(uri, "write http://: the mesh itself encrypts what it carries");
        }
        Some(_) => return wrong(uri, "only http:// is carried"),
    }
    let Some(authority) = uri.authority() else { return Ok(()) };
    if authority.as_str().contains('@') {
        return wrong(uri, "a user goes into the field `authorization`, not into the URL");
    }
    match has_port_or_none(authority) {
        true => Ok(()),
        false => wrong(uri, "the port is no number from 1 to 65535"),
    }
}

/// Whether what stands behind the host is nothing or a port.
fn has_port_or_none(authority: &Authority) -> bool {
    let rest = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let is_port = |port: &str| {
        port.bytes().all(|it| it.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|it| it > 0)
    };
    rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)
}

/// The URI says who is called (RFC 9110, section 7.2: `host` is made of it); a field that says another host is refused, not
/// followed and not passed over.
fn check_host<B>(request: &Request<B>) -> Result<(), Error> {
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    let is_same =
        |it: &HeaderValue| it.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
    match request.headers().get_all(HOST).iter().find(|it| !is_same(it)) {
        None => Ok(()),
        Some(said) => wrong(
            request.uri(),
            &format!(
                "the URL says who is called, and the field `host` says {}: leave it out",
                String::from_utf8_lossy(said.as_bytes())
            ),
        ),
    }
}

/// `http://HOST?QUERY` is `http://HOST/?QUERY` (RFC 9110, section 4.2.3: an empty path is `/`).
fn with_path(uri: &Uri) -> Option<Result<Uri, Error>> {
    let target = uri.path_and_query().filter(|it| it.as_str().starts_with('?'))?;
    // It is shown with the slash that it lacks.
    let target = PathAndQuery::try_from(target.to_string());
    let whole = target.map_err(http::Error::from).and_then(|target| {
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(target);
        Ok(Uri::from_parts(parts)?)
    });
    Some(whole.map_err(|error| Error::Request(format!("{uri}: {error}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str, host: Option<&str>) -> Result<String, String> {
        let mut request = Request::get(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let checked = checked(request.body(()).unwrap());
        checked.map(|it| it.uri().to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_can_go_goes_with_a_path() {
        for (uri, host, expected) in [
            ("http://echo", None, "http://echo/"),
            ("http://echo:8001?q=1", None, "http://echo:8001/?q=1"),
            ("http://echo:8001/a?q=1", Some("ECHO:8001"), "http://echo:8001/a?q=1"),
            ("http://[::1]:65535/", None, "http://[::1]:65535/"),
            ("http://[::1]/", None, "http://[::1]/"),
            ("/path", Some("echo"), "/path"),
        ] {
            assert_eq!(asked(uri, host).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_cannot_is_told_by_what_is_wrong_with_it() {
        for (uri, host, part) in [
            ("https://echo/", None, "encrypts"),
            ("ftp://echo/", None, "http://"),
            ("http://echo:99999/", None, "port"),
            ("http://echo:0/", None, "port"),
            ("http://echo:/", None, "port"),
            ("http://echo:abc/", None, "port"),
            ("http://echo:+80/", None, "port"),
            ("http://[::1]:x/", None, "port"),
            ("http://me@echo/", None, "authorization"),
            ("http://echo/", Some("other"), "`host` says other"),
        ] {
            let told = asked(uri, host).unwrap_err();
            assert!(told.contains(part) && told.contains(uri), "{uri}: {told}");
        }
        let connect = Request::builder().method(Method::CONNECT).uri("echo:80").body(()).unwrap();
        assert!(checked(connect).is_err());
    }
}
