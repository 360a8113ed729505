//! `meltemi authz check`: one call, judged as the called sidecar would judge it.

use std::net::IpAddr;
use std::sync::Arc;

use clap::ValueEnum;
use meltemi_model::{InboundPort, Workload};
use meltemi_policy::authz::provider::{Protocol as ProviderProtocol, Provider};
use meltemi_policy::authz::{Connection, Denial, Explanation, Judgement, NoRequest, explain};
use serde_json::json;

use super::asked::{Asked, Source, Target};
use super::mesh::Mesh;
use super::tell::{as_json, tell};
use crate::exit::Failure;
use crate::selection::Namespace;
use crate::{connection, output};

const EXAMPLE: &str = "\
Examples:
  meltemi authz check storefront reviews --path /reviews/1
  meltemi authz check shop/storefront reviews.shop:9080 --method DELETE --header 'x-team: blue'
  meltemi authz check - reviews                  # a caller that has proved nothing
  meltemi authz check default/client shop/db-1 --port 5432   # one workload; its port carries bytes";

/// Flags of `meltemi authz check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Check {
    /// Who calls: a service account as [NAMESPACE/]NAME, a SPIFFE id, or - for nobody that is known
    #[arg(value_name = "SOURCE")]
    source: Source,
    /// What is called: a service as NAME[.NAMESPACE][:PORT], or a workload as NAMESPACE/NAME
    #[arg(value_name = "DESTINATION")]
    destination: Target,
    /// Method of the request
    #[arg(long, default_value = "GET", value_name = "METHOD")]
    method: String,
    /// Path of the request
    #[arg(long, default_value = "/", value_name = "PATH")]
    path: String,
    /// Host of the request; if left out DESTINATION as it is written, or a workload's service
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// A header of the request, as 'NAME: VALUE'; may be repeated
    #[arg(long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Port of a service where it has several; the same as :PORT of DESTINATION
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Address of the caller
    #[arg(long, value_name = "IP")]
    ip: Option<IpAddr>,
    /// Who bears the request's token, as ISSUER/SUBJECT
    #[arg(long, value_name = "ISSUER/SUBJECT")]
    request_principal: Option<String>,
    /// A claim of the token, as NAME=VALUE; dots lead into objects; may be repeated
    #[arg(long = "claim", value_name = "CLAIM", value_parser = claim, requires = "request_principal")]
    claims: Vec<(String, String)>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    connection: connection::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'NAME: VALUE'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What is decided of one workload.
pub(super) struct Verdict {
    /// `NAMESPACE/NAME`.
    pub(super) workload: String,
    pub(super) port: InboundPort,
    pub(super) explanation: Explanation,
    /// What becomes of the call. Of a connection of bytes an authorizer that is asked by HTTP is not asked.
    pub(super) judgement: Judgement,
    /// Whom CUSTOM policies have asked, or why there is nobody to ask.
    pub(super) authorizer: Result<Arc<Provider>, String>,
}

impl Verdict {
    fn new(workload: &Workload, port: &InboundPort, explanation: Explanation) -> Verdict {
        let policies = &explanation.policies;
        let mut known = workload.extension_providers.iter();
        let authorizer = match policies.authorizer() {
            None => {
                Err("its CUSTOM policies name several authorizers, so that none is asked".into())
            }
            Some(name) => known.find(|it| it.name == name).cloned().ok_or_else(|| {
                format!("there is no authorizer {name} to ask (`meltemi control --mesh-config`)")
            }),
        };
        let is_by_http = authorizer.as_ref().is_ok_and(|it| it.protocol != ProviderProtocol::Grpc);
        let judgement = match is_by_http && !is_request(port) {
            true => explanation.once_allowed,
            false => explanation.judgement,
        };
        let workload = format!("{}/{}", workload.namespace, workload.name);
        Verdict { workload, port: port.clone(), explanation, judgement, authorizer }
    }

    /// The authorizer on which the call depends.
    pub(super) fn asks(&self) -> Option<&Provider> {
        let is_custom = matches!(self.judgement.denial, Some(Denial::Custom(_)));
        self.authorizer.as_deref().ok().filter(|_| is_custom)
    }
}

/// Prints the decision, and fails if there is one that refuses.
pub async fn run(args: Check) -> Result<(), Failure> {
    args.namespace.check()?;
    let known = args.connection.words()?;
    let mesh = Mesh::fetch(&mut args.connection.client()?, &known).await?;
    let own = args.namespace.name();
    let peer = args.source.peer(own, &known.trust_domain).map_err(Failure::Usage)?;
    let workloads = mesh.workloads(&args.destination, own)?;
    let asked = args.asked(known.path_normalization)?;
    let mut verdicts = Vec::new();
    for workload in &workloads {
        let port = args.port_of(workload)?;
        let policies = workload.authorization_policies.iter().map(|it| &**it);
        let host = port.host.as_str();
        let meant = policies
            .filter(|it| it.services.is_empty() || it.services.iter().any(|own| own == host));
        let sni = format!("outbound_.{}_._.{host}", port.service_port);
        let connection = Connection {
            peer: peer.as_ref(),
            source_ip: args.ip,
            remote_ip: args.ip,
            destination_ip: workload.address.parse().ok(),
            destination_port: port.target_port,
            sni: peer.as_ref().map(|_| sni.as_str()),
        };
        let typed = args.destination.authority(args.port);
        let named = args.host.as_deref().or(typed.as_deref()).unwrap_or(host);
        let request = is_request(port).then(|| asked.to(named));
        let explained = match &request {
            Some(request) => explain(meant, &connection, Some(request)),
            None => explain(meant, &connection, None::<&NoRequest>),
        };
        let explanation = explained.map_err(|error| Failure::Failed(error.to_string()))?;
        verdicts.push(Verdict::new(workload, port, explanation));
    }
    let caller = peer.as_ref().map_or("nobody that is known", |it| it.principal());
    match args.output {
        Format::Text => output::print(&tell(caller, &asked, &verdicts))?,
        Format::Json => {
            let told: Vec<_> = verdicts.iter().map(as_json).collect();
            let is_allowed = is_allowed(&verdicts);
            let report = json!({
                "caller": caller, "method": asked.method, "path": asked.path,
                "allowed": is_allowed, "workloads": told,
            });
            output::print(&format!("{report:#}\n"))?;
        }
    }
    if is_allowed(&verdicts) { Ok(()) } else { Err(Failure::Code(1)) }
}

/// Whether requests are taken on a port one by one; one that does not say what it speaks takes them too.
pub(super) fn is_request(port: &InboundPort) -> bool {
    port.protocol.takes_requests()
}

fn is_allowed(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(|it| it.judgement.denial.is_none())
}

impl Check {
    fn asked(&self, how: meltemi_policy::path::Normalization) -> Result<Asked, Failure> {
        let target = meltemi_policy::path::normalize(self.path.as_bytes(), how);
        let normal = target.map_err(|why| Failure::Usage(format!("--path: {why}")))?;
        let path = match normal {
            Some(normal) => String::from_utf8_lossy(&normal).into_owned(),
            None => self.path.clone(),
        };
        Ok(Asked {
            method: self.method.clone(),
            path,
            host: String::new(),
            headers: self.headers.clone(),
            principal: self.request_principal.clone(),
            claims: self.claims.clone(),
        })
    }

    /// The service port of a workload that is meant.
    fn port_of<'w>(&self, workload: &'w Workload) -> Result<&'w InboundPort, Failure> {
        let number = self.port.or(self.destination.port());
        let is_meant = |it: &&InboundPort| {
            self.destination.is_for(it, self.namespace.name())
                && number.is_none_or(|number| it.service_port == number || it.target_port == number)
        };
        let meant: Vec<&InboundPort> = workload.inbound.iter().filter(is_meant).collect();
        let is_one = |port: &InboundPort| meant.iter().all(|it| it.target_port == port.target_port);
        let usual = meant.iter().find(|it| it.service_port == 80);
        match (meant.first(), usual) {
            (None, _) => Err(Failure::Failed(format!(
                "workload {}/{} serves no such port{}",
                workload.namespace,
                workload.name,
                number.map(|it| format!(" ({it})")).unwrap_or_default(),
            ))),
            (Some(first), _) if is_one(first) => Ok(first),
            (Some(_), Some(usual)) => Ok(usual),
            (Some(_), None) => {
                let ports: Vec<String> =
                    meant.iter().map(|it| it.service_port.to_string()).collect();
                Err(Failure::Usage(format!("which port? --port {}", ports.join(" or "))))
            }
        }
    }
}
