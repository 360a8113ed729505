//! Where a sidecar finds the control plane: in the state directory, or where the flags say.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use meltemi_control::{ControlFile, local_join_token};
use meltemi_identity::TrustBundle;
use meltemi_names::TrustDomain;
use meltemi_proxy::start::{ControlPlane, Located};
use meltemi_wire::transport::Target;

use super::Args;
use crate::exit::Failure;

/// How long a token that we make for ourselves is good: it is used at once.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// What the flags say, each part of which is looked up when it is needed: files are replaced, and a control plane that
/// was started again may listen elsewhere.
#[derive(Debug)]
struct Source {
    state_dir: PathBuf,
    namespace: String,
    service_account: String,
    trust_domain: TrustDomain,
    target: Option<Target>,
    bundle: Option<PathBuf>,
    token: Option<PathBuf>,
}

/// Finds out where to look for the control plane. Files that are named must be there now.
pub(super) fn find(args: &Args, state_dir: &Path) -> Result<Arc<dyn ControlPlane>, Failure> {
    let source = Source {
        state_dir: state_dir.to_owned(),
        namespace: args.namespace.clone(),
        service_account: args.service_account.clone(),
        trust_domain: args.trust_domain.clone(),
        target: args.control.clone(),
        bundle: args.trust_bundle.clone(),
        token: args.token_file.clone(),
    };
    if let Some(path) = &source.bundle {
        load_bundle(path).map_err(Failure::Failed)?;
    }
    if let Some(path) = &source.token {
        load_token(path).map_err(Failure::Failed)?;
    }
    if source.target.is_some() && source.bundle.is_none() && source.local().is_err() {
        let message = "--control needs --trust-bundle FILE: the mesh's root certificates, which `meltemi token create \
                       --trust-bundle-out FILE` writes on the control plane's machine";
        return Err(Failure::Usage(message.into()));
    }
    let needs_token = source.target.is_some() && args.spiffe_endpoint_socket.is_none();
    if needs_token && source.token.is_none() && source.local().is_err() {
        let message = "--control needs --token-file FILE: make one with `meltemi token create` on the control plane's \
                       machine, or take the certificate from --spiffe-endpoint-socket";
        return Err(Failure::Usage(message.into()));
    }
    Ok(Arc::new(source))
}

impl Source {
    fn local(&self) -> Result<ControlFile, String> {
        ControlFile::read(&self.state_dir).map_err(|error| error.to_string())
    }
}

impl ControlPlane for Source {
    fn locate(&self) -> Result<Located, String> {
        let (target, bundle, trust_domain) = match (&self.target, &self.bundle) {
            (Some(target), Some(bundle)) => {
                (target.clone(), load_bundle(bundle)?, self.trust_domain.clone())
            }
            (target, bundle) => {
                let local = self.local()?;
                let wrong = |error: &dyn ToString| error.to_string();
                let found = match target {
                    Some(target) => target.clone(),
                    None => local.secure_xds.to_string().parse().map_err(|it| wrong(&it))?,
                };
                let bundle = match bundle {
                    Some(path) => load_bundle(path)?,
                    None => TrustBundle::from_pem(&local.trust_bundle).map_err(|it| wrong(&it))?,
                };
                let domain = local.trust_domain.parse();
                (found, bundle, domain.map_err(|it: meltemi_names::SpiffeIdError| wrong(&it))?)
            }
        };
        Ok(Located { target, bundle, trust_domain })
    }

    fn token(&self) -> Result<String, String> {
        let Source { state_dir, namespace, service_account, .. } = self;
        match &self.token {
            Some(path) => load_token(path),
            None => local_join_token(state_dir, namespace, service_account, TOKEN_LIFE)
                .map_err(|error| error.to_string()),
        }
    }
}

fn load_bundle(path: &Path) -> Result<TrustBundle, String> {
    TrustBundle::load(path).map_err(|error| format!("--trust-bundle {}: {error}", path.display()))
}

fn load_token(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read --token-file {}: {error}", path.display()))?;
    match text.trim() {
        "" => Err(format!(
            "--token-file {} is empty: make a token with `meltemi token create`",
            path.display()
        )),
        token => Ok(token.into()),
    }
}
