//! Who may use the API: the holder of the local token, or, in the demo, whoever is on this machine.

use std::io;

use http::header::{HOST, HeaderName, ORIGIN};
use http::request::Parts;
use meltemi_apiserver::{Authenticator, Failure, Principal};
use meltemi_identity::is_private;

use crate::error::ControlError;
use crate::state_dir::{StateDir, write_private};

/// The header in which a browser says which site has a request sent.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The token of the API, made on the first start: 256 random bits as hex. It outlives restarts, so that a kubeconfig does.
pub(crate) fn open_token(state_dir: &StateDir) -> Result<String, ControlError> {
    let path = state_dir.admin_token();
    let failed = |source| ControlError::StateDir { path: path.clone(), source };
    match std::fs::read(&path).map(|bytes| token_of(&bytes)) {
        Ok(Some(token)) if is_private(&path).unwrap_or(false) => return Ok(token),
        Ok(_) => tracing::warn!(
            path = %path.display(),
            "others could read the API's token, or it is none: a new one is made; make kubeconfigs anew"
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(ControlError::Unreadable { path, source }),
    }
    let token: String =
        rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(&path, token.as_bytes()).map_err(failed)?;
    Ok(token)
}

/// The token in the file, if it is one: it is sent in headers, so that nothing but hex will do.
fn token_of(bytes: &[u8]) -> Option<String> {
    let token = bytes.trim_ascii();
    let is_token = token.len() == 64 && token.iter().all(u8::is_ascii_hexdigit);
    is_token.then(|| String::from_utf8_lossy(token).into_owned())
}

/// Lets in without a token, but for browsers that another site has sent here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThisMachine;

impl Authenticator for ThisMachine {
    fn authenticate(&self, request: &Parts) -> Result<Principal, Failure> {
        let text =
            |name| request.headers.get(name).map(|value: &http::HeaderValue| value.as_bytes());
        // A browser says so of every request, also of those that have no origin (Fetch Metadata, section 2.2); nobody else
        // says anything.
        let is_sent_by_another =
            text(SEC_FETCH_SITE).is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
        let is_own = match text(ORIGIN) {
            _ if is_sent_by_another => false,
            None => true,
            Some(origin) => text(HOST)
                .is_some_and(|host| origin.strip_prefix(b"http://").is_some_and(|it| it == host)),
        };
        if !is_own {
            return Err(Failure::forbidden("pages of other sites may not use the API"));
        }
        Ok(Principal::master("anonymous", ""))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn pages_of_other_sites_are_turned_away() {
        let ask = |origin: Option<&str>| {
            let mut request = http::Request::builder().header(HOST, "127.0.0.1:15080");
            if let Some(origin) = origin {
                request = request.header(ORIGIN, origin);
            }
            ThisMachine.authenticate(&request.body(()).unwrap().into_parts().0).is_ok()
        };
        assert!(ask(None));
        assert!(ask(Some("http://127.0.0.1:15080")));
        for origin in
            ["http://evil.example.com", "null", "http://127.0.0.1:8080", "https://127.0.0.1:15080"]
        {
            assert!(!ask(Some(origin)), "{origin}");
        }
    }

    #[test]
    fn requests_that_another_site_has_sent_without_an_origin_are_turned_away() {
        for (site, is_let_in) in
            [("none", true), ("same-origin", true), ("same-site", false), ("cross-site", false)]
        {
            let request = http::Request::builder().header(HOST, "127.0.0.1:15080");
            let request = request.header(SEC_FETCH_SITE, site).body(()).unwrap().into_parts().0;
            assert_eq!(ThisMachine.authenticate(&request).is_ok(), is_let_in, "{site}");
        }
    }

    #[test]
    fn the_token_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = open_token(&StateDir::open(&path).unwrap()).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(open_token(&StateDir::open(&path).unwrap()).unwrap(), first);
        let seen = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(path.join("admin.token"), seen).unwrap();
        let second = open_token(&StateDir::open(&path).unwrap()).unwrap();
        assert_ne!(second, first);
        for garbage in [&[0xff; 64][..], b"", "\u{e4}".repeat(32).as_bytes()] {
            std::fs::write(path.join("admin.token"), garbage).unwrap();
            let made = open_token(&StateDir::open(&path).unwrap()).unwrap();
            assert!(made.len() == 64 && made.is_ascii(), "a new one: {made}");
        }
        std::fs::remove_file(path.join("admin.token")).unwrap();
        std::fs::create_dir(path.join("admin.token")).unwrap();
        let refused = open_token(&StateDir::open(&path).unwrap()).unwrap_err().to_string();
        assert!(refused.contains("cannot read") && !refused.contains("space"), "{refused}");
    }
}
