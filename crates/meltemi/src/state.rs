//! The state directory that all commands of one user on one machine share, and what is read from it.

use std::path::{Path, PathBuf};

use meltemi_control::ControlFile;

use crate::exit::Failure;

/// The flag that names the state directory.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(skip)]
pub struct Args {
    /// Directory of the control plane's state; $XDG_STATE_HOME/meltemi if not given
    #[arg(long, env = "MELTEMI_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Args {
    /// The state directory that was named, or the user's default one.
    pub fn path(&self) -> Result<PathBuf, Failure> {
        match self.state_dir.clone().filter(|given| !given.as_os_str().is_empty()) {
            Some(given) => Ok(given),
            None => default_dir(|name| std::env::var_os(name).map(PathBuf::from)).ok_or_else(|| {
                Failure::Failed(
                    "there is no state directory, as neither XDG_STATE_HOME nor HOME is set: name one with --state-dir"
                        .to_owned(),
                )
            }),
        }
    }

    /// Whether it is another than the default one.
    pub fn is_named(&self) -> bool {
        self.state_dir.is_some()
    }
}

/// `$XDG_STATE_HOME/meltemi`, else `~/.local/state/meltemi`. A relative path in either variable does not count, as the
/// XDG base directory specification has it.
fn default_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let base = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("meltemi"))
}

/// Reads where the control plane of a state directory is.
pub fn control_file(state_dir: &Path) -> Result<ControlFile, Failure> {
    ControlFile::read(state_dir).map_err(|error| Failure::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_where_the_desktop_keeps_state() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, Option<&str>); 5] = [
            (&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], Some("/s/meltemi")),
            (&[("HOME", "/h")], Some("/h/.local/state/meltemi")),
            (&[("XDG_STATE_HOME", "s"), ("HOME", "/h")], Some("/h/.local/state/meltemi")),
            (&[("XDG_STATE_HOME", "")], None),
            (&[], None),
        ];
        for (variables, expected) in cases {
            let variable = |name: &str| {
                variables.iter().find(|(it, _)| *it == name).map(|(_, value)| PathBuf::from(value))
            };
            assert_eq!(default_dir(variable).as_deref(), expected.map(Path::new), "{variables:?}");
        }
    }

    #[test]
    fn a_named_directory_is_taken_as_it_is() {
        let args = Args { state_dir: Some("relative".into()) };
        assert_eq!(args.path().unwrap(), Path::new("relative"));
        assert!(args.is_named());
    }

    #[test]
    fn a_control_plane_that_does_not_run_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        match control_file(dir.path()) {
            Err(Failure::Failed(message)) => assert!(message.contains("meltemi control")),
            other => panic!("{other:?}"),
        }
    }
}
