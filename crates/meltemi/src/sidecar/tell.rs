//! Tells where a sidecar listens: to the log, to standard output, and to a file once it is ready.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use meltemi_proxy::start::{Addresses, Ready, Running, Upstream, WorkloadOptions};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::Form;
use crate::exit::Failure;
use crate::output;

/// Tells where a sidecar listens.
#[derive(Debug)]
pub struct Teller {
    /// `NAMESPACE/NAME`.
    workload: String,
    upstreams: Vec<String>,
    ready_file: Option<PathBuf>,
    form: Form,
}

impl Teller {
    /// Removes a ready file of before: it would be taken for this run's.
    pub(super) fn new(
        workload: &WorkloadOptions,
        upstreams: &[Upstream],
        ready_file: Option<PathBuf>,
        form: Form,
    ) -> Result<Self, Failure> {
        if let Some(path) = &ready_file {
            clear(path).map_err(|error| unwritable(path, &error))?;
        }
        Ok(Teller {
            workload: format!("{}/{}", workload.namespace, workload.name),
            upstreams: upstreams.iter().map(|it| format!("{}:{}", it.host, it.port)).collect(),
            ready_file,
            form,
        })
    }

    /// `NAMESPACE/NAME` of the workload.
    pub fn workload(&self) -> &str {
        &self.workload
    }

    /// The sidecar is up.
    pub fn up(&self, running: &Running) -> Result<(), Failure> {
        let Addresses { outbound, inbound, admin, metrics, health, upstreams } =
            running.addresses();
        tracing::info!(
            workload = self.workload, %outbound, %inbound, %admin, %metrics, %health,
            "the sidecar is up"
        );
        for (service, listen) in self.upstreams.iter().zip(upstreams) {
            tracing::info!(%service, %listen, "upstream");
        }
        match self.form {
            Form::Text => Ok(()),
            Form::Json => output::line(&self.json(running.addresses()).to_string()),
        }
    }

    /// Waits until the sidecar is ready, and writes the ready file then. Stays for ever after that.
    pub async fn when_ready(&self, running: &Running) -> Failure {
        if wait(running.ready()).await {
            if let Some(path) = &self.ready_file
                && let Err(error) = write(path, &self.json(running.addresses()).to_string())
            {
                return unwritable(path, &error);
            }
            tracing::info!(workload = self.workload, "the sidecar is ready");
        }
        std::future::pending().await
    }

    fn json(&self, addresses: &Addresses) -> Value {
        let Addresses { outbound, inbound, admin, metrics, health, upstreams } = addresses;
        let mut object = json!({
            "workload": self.workload,
            "outbound": outbound,
            "inbound": inbound,
            "admin": admin,
            "metrics": metrics,
            "health": health,
        });
        if !upstreams.is_empty() {
            let upstreams = self.upstreams.iter().zip(upstreams);
            let upstreams: Map<String, Value> =
                upstreams.map(|(service, listen)| (service.clone(), json!(listen))).collect();
            object["upstreams"] = upstreams.into();
        }
        object
    }
}

/// True when the sidecar is ready, false when nobody will say so any more. Each reason why it is not is logged.
async fn wait(mut ready: watch::Receiver<Ready>) -> bool {
    loop {
        match &*ready.borrow_and_update() {
            Ok(()) => return true,
            Err(reason) => tracing::info!(%reason, "not ready yet"),
        }
        if ready.changed().await.is_err() {
            return false;
        }
    }
}

fn clear(path: &Path) -> std::io::Result<()> {
    directory(path).metadata()?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Whole or not at all: written beside its place, and renamed.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(directory(path))?;
    writeln!(file, "{text}")?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!(
        "cannot write --ready-file {}: {error}; name a file in a directory that can be written",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        write(&path, "{}").unwrap();
        write(&path, "{\"a\":1}").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"a\":1}\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write(&dir.path().join("none/x"), "").is_err());
    }

    #[tokio::test]
    async fn readiness_is_awaited_and_its_absence_noticed() {
        let (tell, ready) = watch::channel(Err("starting".to_owned()));
        let waiting = tokio::spawn(wait(ready.clone()));
        tell.send_replace(Ok(())).unwrap_err();
        assert!(waiting.await.unwrap());
        tell.send_replace(Err("draining".into())).unwrap();
        let waiting = tokio::spawn(wait(ready));
        drop(tell);
        assert!(!waiting.await.unwrap());
    }
}
