//! How commands find the control plane: `control.json` in the state directory, or flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use meltemi_identity::TrustBundle;
use meltemi_names::{DEFAULT_DOMAIN_SUFFIX, DEFAULT_TRUST_DOMAIN, SpiffeIdError, TrustDomain};
use meltemi_policy::authz::provider::Provider;
use meltemi_policy::path::Normalization;

use crate::client::{Address, Client, Trust};
use crate::exit::Failure;
use crate::state;

/// Flags that say where the control plane is.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Control plane")]
pub struct Args {
    #[command(flatten)]
    state: state::Args,
    /// The API of another control plane than the one of the state directory, as https://HOST:PORT
    #[arg(long, env = "MELTEMI_API", value_name = "URL")]
    api: Option<Address>,
    /// File with the token for the API; without it the one in the state directory is used
    #[arg(long, env = "MELTEMI_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the mesh's root certificates, PEM, for https
    #[arg(long, env = "MELTEMI_TRUST_BUNDLE", value_name = "FILE")]
    trust_bundle: Option<PathBuf>,
    /// Trust domain of that mesh
    #[arg(long, env = "MELTEMI_TRUST_DOMAIN", value_name = "DOMAIN")]
    trust_domain: Option<TrustDomain>,
}

/// A control plane, as far as it is known here.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its API.
    pub api: Address,
    /// Its metrics, if it is a local one.
    pub monitoring: Option<Address>,
    /// The token for its API.
    pub token: Option<String>,
    /// By what it is known over TLS.
    pub trust: Option<Trust>,
}

impl Known {
    /// A client of its API.
    pub fn client(&self) -> Client {
        Client::new(self.api.clone(), self.token.clone()).with_trust(self.trust.clone())
    }
}

/// The words of a mesh that its objects are read by.
#[derive(Debug, Clone)]
pub struct Words {
    /// Its trust domain.
    pub trust_domain: TrustDomain,
    /// Further names of it.
    pub trust_domain_aliases: Vec<TrustDomain>,
    /// The DNS suffix of its services.
    pub domain_suffix: String,
    /// How it normalises paths.
    pub path_normalization: Normalization,
    /// The authorizers that its policies may name.
    pub extension_providers: Vec<Arc<Provider>>,
}

impl Args {
    /// The words of the mesh: those of the state directory's control plane, else the usual ones. `--trust-domain` goes before.
    pub fn words(&self) -> Result<Words, Failure> {
        let file = state::control_file(&self.state.path()?).ok();
        let domain = file.as_ref().map_or(DEFAULT_TRUST_DOMAIN, |it| &it.trust_domain);
        let domain = domain.parse().map_err(|it: SpiffeIdError| wrong(&it))?;
        let aliases = file.iter().flat_map(|it| &it.trust_domain_aliases).map(|it| it.parse());
        let aliases = aliases.collect::<Result<_, _>>().map_err(|it: SpiffeIdError| wrong(&it))?;
        let suffix = file.as_ref().map_or(DEFAULT_DOMAIN_SUFFIX, |it| &it.domain_suffix);
        Ok(Words {
            trust_domain: self.trust_domain.clone().unwrap_or(domain),
            trust_domain_aliases: aliases,
            domain_suffix: suffix.to_owned(),
            path_normalization: file.as_ref().map(|it| it.path_normalization).unwrap_or_default(),
            extension_providers: file.map(|it| it.extension_providers).unwrap_or_default(),
        })
    }

    /// A client of the control plane that the flags, or the state directory, name.
    pub fn client(&self) -> Result<Client, Failure> {
        Ok(self.find()?.client())
    }

    /// The control plane that the flags, or the state directory, name.
    pub fn find(&self) -> Result<Known, Failure> {
        let given = self.token_file.as_deref().map(token).transpose()?;
        let Some(api) = &self.api else {
            let mut local = self.local()?;
            local.token = given.or(local.token);
            return Ok(local);
        };
        let trust = self.trust(api)?;
        // The local token is sent to nobody but the local control plane.
        let local = self.local().ok().filter(|local| local.api.is_place_of(api));
        let (monitoring, own) = local.map_or((None, None), |local| (local.monitoring, local.token));
        Ok(Known { api: api.clone(), monitoring, token: given.or(own), trust })
    }

    /// The same for a program that shows the API's URL: by TLS where that can be, as a token goes in a header there, and over
    /// plaintext `kubectl` sends none but by the URL.
    pub fn find_to_tell(&self) -> Result<Known, Failure> {
        let mut known = self.find()?;
        let is_local = self.local().is_ok_and(|local| local.api.is_place_of(&known.api));
        if is_local {
            known.api = known.api.secured();
            known.trust = self.trust(&known.api)?;
        }
        if known.token.is_none() && !is_local {
            return Err(Failure::Failed(format!(
                "there is no token for {}: name the file of one with --token-file",
                known.api
            )));
        }
        Ok(known)
    }

    /// What is trusted over TLS: the roots that were named, else those of the local control plane.
    fn trust(&self, api: &Address) -> Result<Option<Trust>, Failure> {
        if !api.is_secure() {
            return Ok(None);
        }
        if let Some(path) = &self.trust_bundle {
            let default = || DEFAULT_TRUST_DOMAIN.parse().map_err(|it| wrong(&it));
            let domain = self.trust_domain.clone().map_or_else(default, Ok)?;
            return Trust::load(path, &domain).map(Some);
        }
        let Ok(file) = state::control_file(&self.state.path()?) else { return Ok(None) };
        let bundle = TrustBundle::from_pem(&file.trust_bundle).map_err(|it| wrong(&it))?;
        let domain = file.trust_domain.parse().map_err(|it: SpiffeIdError| wrong(&it))?;
        Trust::new(&bundle, &domain).map(Some)
    }

    /// The control plane of the state directory.
    fn local(&self) -> Result<Known, Failure> {
        let file = state::control_file(&self.state.path()?)?;
        Ok(Known {
            api: file.api.into(),
            monitoring: file.monitoring.map(Address::from),
            token: Some(file.token).filter(|token| !token.is_empty()),
            trust: None,
        })
    }
}

fn wrong(error: &dyn std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

fn token(path: &Path) -> Result<String, Failure> {
    let read = std::fs::read_to_string(path).map_err(|error| {
        Failure::Failed(format!("the token file {} cannot be read: {error}", path.display()))
    })?;
    let token = read.trim();
    // A header holds nothing else.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let place = path.display();
        return Err(Failure::Failed(format!(
            "{place} holds no token: it is to hold one line of letters, digits and signs"
        )));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(dir: &Path, api: Option<&str>, token_file: Option<PathBuf>) -> Args {
        let mut line = vec!["x".into(), "--state-dir".into(), dir.as_os_str().to_owned()];
        line.extend(api.into_iter().flat_map(|api| ["--api".into(), api.into()]));
        line.extend(token_file.into_iter().flat_map(|file| ["--token-file".into(), file.into()]));
        Line::try_parse_from(line).unwrap().args
    }

    fn message(outcome: Result<Known, Failure>) -> String {
        match outcome {
            Err(Failure::Failed(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_local_control_plane_needs_no_flags_and_gets_its_token() {
        let dir = tempfile::tempdir().unwrap();
        let file = r#"{"api":"127.0.0.1:4000","xds":null,"secure_xds":"127.0.0.1:4012","dns":null,
            "monitoring":"127.0.0.1:4014","trust_bundle":"","trust_domain":"cluster.local",
            "domain_suffix":"svc.cluster.local","token":"t0","pid":1}"#;
        std::fs::write(dir.path().join("control.json"), file).unwrap();
        let known = args(dir.path(), None, None).find().unwrap();
        assert_eq!(known.api.to_string(), "http://127.0.0.1:4000");
        assert_eq!(known.monitoring.unwrap().to_string(), "http://127.0.0.1:4014");
        assert_eq!(known.token.as_deref(), Some("t0"));

        let same = args(dir.path(), Some("http://127.0.0.1:4000"), None).find().unwrap();
        assert_eq!(same.token.as_deref(), Some("t0"));
        let secure = args(dir.path(), Some("https://127.0.0.1:4000"), None);
        assert!(secure.find().is_err(), "there are no roots in this file");
        let other = args(dir.path(), Some("http://127.0.0.1:4001"), None).find().unwrap();
        assert_eq!((other.token, other.monitoring), (None, None));
        let untold = message(args(dir.path(), Some("http://127.0.0.1:4001"), None).find_to_tell());
        assert!(untold.contains("--token-file"), "{untold}");

        let token_file = dir.path().join("token");
        std::fs::write(&token_file, "t1\n").unwrap();
        for api in [None, Some("http://127.0.0.1:4001")] {
            let known = args(dir.path(), api, Some(token_file.clone())).find().unwrap();
            assert_eq!(known.token.as_deref(), Some("t1"));
        }
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = message(args(dir.path(), None, None).find());
        assert!(missing.contains("no control plane") && missing.contains("`meltemi control`"));
        let token = message(args(dir.path(), Some("a:1"), Some(dir.path().join("no"))).find());
        assert!(token.contains("token file"), "{token}");
        std::fs::write(dir.path().join("blank"), " \n").unwrap();
        let blank = message(args(dir.path(), Some("a:1"), Some(dir.path().join("blank"))).find());
        assert!(blank.contains("holds no token"), "{blank}");
        std::fs::write(dir.path().join("control.json"), "{").unwrap();
        let broken = message(args(dir.path(), None, None).find());
        assert!(broken.contains("control.json"), "{broken}");
    }
}
