//! `meltemi kubeconfig`: what `kubectl` and client libraries need to use a control plane.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::connection::{self, Known};
use crate::exit::Failure;
use crate::output;
use crate::selection::Namespace;

const EXAMPLE: &str = "\
Example:
  meltemi kubeconfig --output meltemi.kubeconfig
  kubectl --kubeconfig meltemi.kubeconfig get virtualservices";

/// The first line: a file that begins with it may be written anew.
const HEAD: &str =
    "# Written by `meltemi kubeconfig`. It holds the token of the API: keep it to yourself.\n";
/// Cluster, user and context.
const NAME: &str = "meltemi";

/// Flags of `meltemi kubeconfig`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// File to write, readable by its owner alone; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    namespace: Namespace,
    #[command(flatten)]
    connection: connection::Args,
}

/// Prints or writes the configuration.
pub async fn run(args: Args) -> Result<(), Failure> {
    args.namespace.check()?;
    let known = args.connection.find_to_tell()?;
    if !known.api.is_secure() {
        output::complain(&format!(
            "warning: the token stands in the URL of the server, which kubectl prints (`cluster-info`, `-v=6`); ask by https: --api {} --trust-bundle FILE",
            known.api.clone().secured()
        ));
    }
    let text =
        format!("{HEAD}{}", meltemi_api::yaml::write(&config(&known, args.namespace.name())));
    if args.output == Path::new("-") {
        return output::print(&text);
    }
    write(&args.output, &text)
}

/// Over TLS the token is a bearer token, which kubectl masks where it prints requests. Over plain HTTP kubectl sends none, but does send
/// the user and password of a URL; libraries send the token.
fn config(known: &Known, namespace: &str) -> Value {
    let mut user = json!({});
    let mut cluster = json!({"server": known.api.to_string()});
    if let Some(token) = &known.token {
        user = json!({"token": token});
    }
    if let Some(trust) = &known.trust {
        let pem = base64::prelude::BASE64_STANDARD.encode(trust.pem());
        cluster["certificate-authority-data"] = json!(pem);
    } else if let Some(token) = &known.token {
        cluster["server"] = json!(format!(
            "http://admin:{}@{}",
            crate::client::escape(token),
            known.api.authority()
        ));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": user}],
        "contexts": [{
            "name": NAME,
            "context": {"cluster": NAME, "user": NAME, "namespace": namespace},
        }],
    })
}

/// Writes the file, unless that would destroy one that was not made by this command.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::Failed(format!("{} cannot be written: {error}", path.display()))
    };
    if std::fs::read_to_string(path).is_ok_and(|there| !there.starts_with(HEAD)) {
        return Err(Failure::Failed(format!(
            "{} exists and was not written by `meltemi kubeconfig`: name another file with --output",
            path.display()
        )));
    }
    // A new file and a rename: the token is at no moment in a file that others can read.
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = tempfile::Builder::new()
        .prefix(".meltemi-kubeconfig")
        .make_in(directory, |path| options.open(path))
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_stands_in_the_url_of_plaintext_and_beside_it() {
        let api = "127.0.0.1:15080".parse().unwrap();
        let token = Some("a+b/c".to_owned());
        let mut known = Known { api, monitoring: None, token, trust: None };
        let value = config(&known, "shop");
        assert_eq!(
            value["clusters"][0]["cluster"]["server"],
            "http://admin:a%2Bb%2Fc@127.0.0.1:15080"
        );
        assert_eq!(value["users"][0]["user"]["token"], "a+b/c");
        assert_eq!(value["contexts"][0]["context"]["namespace"], "shop");
        known.token = None;
        assert_eq!(
            config(&known, "shop")["clusters"][0]["cluster"]["server"],
            "http://127.0.0.1:15080"
        );
    }

    #[test]
    fn only_its_own_files_are_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        write(&path, &format!("{HEAD}one")).unwrap();
        write(&path, &format!("{HEAD}two")).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("two"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "clusters: []").unwrap();
        assert!(
            matches!(write(&path, HEAD), Err(Failure::Failed(message)) if message.contains("exists"))
        );
        assert!(write(&dir.path().join("no/such"), HEAD).is_err());
    }
}
