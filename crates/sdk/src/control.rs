//! Where the control plane is, whom it must prove to be, and what lets a workload in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meltemi_identity::TrustBundle;
use meltemi_names::{DEFAULT_TRUST_DOMAIN, TrustDomain};
use meltemi_proxy::start::{ControlPlane, Located};
use meltemi_wire::transport::Target;

use crate::claims::{self, Claims};
use crate::error::Error;

/// How long a token that is made for ourselves is good: it is used at once.
#[cfg(feature = "embedded")]
const TOKEN_LIFE: std::time::Duration = std::time::Duration::from_secs(60);

/// A control plane.
#[derive(Debug, Clone)]
pub struct Control(Place);

#[derive(Debug, Clone)]
enum Place {
    At(Located),
    /// The one of this state directory, on this machine and of this user.
    #[cfg(feature = "embedded")]
    Local(PathBuf),
}

impl Control {
    /// The control plane at an address (`https://HOST:15012`), with the mesh's root certificates, PEM, as
    /// `meltemi token create --trust-bundle-out FILE` writes them. The trust domain is `cluster.local`.
    ///
    /// # Errors
    /// When one of the two cannot be read.
    pub fn at(address: &str, trust_bundle: &str) -> Result<Control, Error> {
        let wrong = |what: String| Error::Settings(what);
        let target: Target = address
            .parse()
            .map_err(|error| wrong(format!("the control plane's address `{address}`: {error}")))?;
        let bundle = TrustBundle::from_pem(trust_bundle)
            .map_err(|error| wrong(format!("the mesh's root certificates: {error}")))?;
        let trust_domain = DEFAULT_TRUST_DOMAIN
            .parse()
            .map_err(|error| wrong(format!("the trust domain: {error}")))?;
        Ok(Control(Place::At(Located { target, bundle, trust_domain })))
    }

    /// The same mesh, of another trust domain.
    ///
    /// # Errors
    /// When it is none.
    pub fn trust_domain(mut self, name: &str) -> Result<Control, Error> {
        let domain: TrustDomain = name
            .parse()
            .map_err(|error| Error::Settings(format!("the trust domain `{name}`: {error}")))?;
        match &mut self.0 {
            Place::At(located) => located.trust_domain = domain,
            #[cfg(feature = "embedded")]
            Place::Local(_) => {}
        }
        Ok(self)
    }

    /// The control plane that this user runs on this machine with a state directory. It needs no token.
    #[cfg(feature = "embedded")]
    pub fn local(state_dir: impl Into<PathBuf>) -> Control {
        Control(Place::Local(state_dir.into()))
    }

    /// The state directory, where the control plane is one of this machine.
    pub(crate) fn state_dir(&self) -> Option<&Path> {
        match &self.0 {
            Place::At(_) => None,
            #[cfg(feature = "embedded")]
            Place::Local(path) => Some(path),
        }
    }

    fn locate(&self) -> Result<Located, String> {
        match &self.0 {
            Place::At(located) => Ok(located.clone()),
            #[cfg(feature = "embedded")]
            Place::Local(path) => located(path),
        }
    }
}

#[cfg(feature = "embedded")]
fn located(state_dir: &Path) -> Result<Located, String> {
    let file = meltemi_control::ControlFile::read(state_dir).map_err(|error| error.to_string())?;
    let target: Target = file
        .secure_xds
        .to_string()
        .parse()
        .map_err(|error| format!("{}: {error}", file.secure_xds))?;
    let bundle = TrustBundle::from_pem(&file.trust_bundle).map_err(|error| error.to_string())?;
    let domain: Result<TrustDomain, _> = file.trust_domain.parse();
    let trust_domain =
        domain.map_err(|error| format!("the trust domain `{}`: {error}", file.trust_domain))?;
    Ok(Located { target, bundle, trust_domain })
}

/// What lets a workload into the mesh.
#[derive(Clone, Default)]
pub enum Token {
    /// None: the control plane is of this machine and user, and a token is made when one is needed.
    #[default]
    Own,
    /// This join token (`meltemi token create`).
    Text(String),
    /// The join token in this file, which is read anew each time.
    File(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Own => f.write_str("Own"),
            Token::Text(_) => f.write_str("Text(..)"),
            Token::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Token {
        Token::Text(text.to_owned())
    }
}

impl From<String> for Token {
    fn from(text: String) -> Token {
        Token::Text(text)
    }
}

impl From<PathBuf> for Token {
    fn from(path: PathBuf) -> Token {
        Token::File(path)
    }
}

impl Token {
    /// The workload that it is for, where it says so.
    pub(crate) fn claims(&self) -> Option<Claims> {
        claims::read(&self.read().ok()??)
    }

    fn read(&self) -> Result<Option<String>, String> {
        match self {
            Token::Own => Ok(None),
            Token::Text(text) => Ok(Some(text.clone())),
            Token::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(Some(text.trim().to_owned())),
                Err(error) => Err(format!("the token file {}: {error}", path.display())),
            },
        }
    }
}

/// How one workload finds the control plane and proves itself to it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) control: Control,
    pub(crate) token: Token,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
}

impl Entry {
    pub(crate) fn shared(self) -> Arc<dyn ControlPlane> {
        Arc::new(self)
    }
}

impl ControlPlane for Entry {
    fn locate(&self) -> Result<Located, String> {
        self.control.locate()
    }

    fn token(&self) -> Result<String, String> {
        if let Some(token) = self.token.read()? {
            return Ok(token);
        }
        match &self.control.0 {
            Place::At(_) => {
                Err("a join token is needed: make one with `meltemi token create`".into())
            }
            #[cfg(feature = "embedded")]
            Place::Local(path) => meltemi_control::local_join_token(
                path,
                &self.namespace,
                &self.service_account,
                TOKEN_LIFE,
            )
            .map_err(|error| error.to_string()),
        }
    }
}
