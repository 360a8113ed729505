//! The directory of a demo, with the janitor that removes it.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::DemoError;
use super::janitor::AT_ONCE;

/// How directories of demos are named.
pub(super) const PREFIX: &str = "meltemi-demo-";

/// The directory, and the janitor that waits for the end of the demo.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    program: PathBuf,
    janitor: Child,
    group: i32,
}

impl Home {
    /// Makes a directory of its own, which only this user can read.
    pub(super) async fn make() -> Result<Home, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::system("find this program"))?;
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        let directory = made.map_err(DemoError::system(format!(
            "make a directory in {} (TMPDIR names another)",
            std::env::temp_dir().display()
        )))?;
        for part in ["state", "logs", "ready"] {
            let path = directory.path().join(part);
            std::fs::create_dir(&path)
                .map_err(DemoError::system(format!("make {}", path.display())))?;
        }
        let janitor = Command::new(&program)
            .arg("demo")
            .arg("--clear")
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(DemoError::system(format!("start {}", program.display())))?;
        let group = janitor.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        // From here on the janitor removes it.
        Ok(Home { directory: directory.keep(), program, janitor, group })
    }

    /// A command of this program, in the process group that the janitor clears up, and without the user's own settings of
    /// Meltemi: the demo touches no mesh but its own.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let is_setting = name.to_string_lossy().starts_with("MELTEMI_");
            if is_setting && name != "MELTEMI_LOG" {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).process_group(self.group);
        command
    }

    /// This program.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// The state directory of the demo's control plane and sidecars.
    pub(super) fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The directory of the ready files.
    pub(super) fn ready(&self) -> PathBuf {
        self.directory.join("ready")
    }

    /// Where a process' output goes.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(format!("{name}.log"))
    }

    /// A file of the demo.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Has everything cleared up, and waits for that. `at_once` gives no process time to end by itself.
    pub(super) async fn close(mut self, at_once: bool) -> Result<(), DemoError> {
        if let Some(mut pipe) = self.janitor.stdin.take()
            && at_once
        {
            // A janitor that is gone cannot be told; whether the directory is left shows below.
            let _ = pipe.write_all(&[AT_ONCE]).await;
        }
        let ended = self.janitor.wait().await.map_err(DemoError::system("wait for the janitor"))?;
        if !ended.success() && self.directory.exists() {
            // Somebody has ended the janitor. The demo's own processes have ended by now.
            let _ = std::fs::remove_dir_all(&self.directory);
        }
        if self.directory.exists() { Err(DemoError::Left(self.directory)) } else { Ok(()) }
    }
}
