//! What a demo leaves: processes are known by the directory for temporary files in their environment.

use std::path::Path;

use rustix::process::Pid;

/// The command lines of the processes that were told to use this directory for temporary files.
pub(super) fn processes(temporary: &Path) -> Vec<String> {
    found(temporary).into_iter().map(|(_, line)| line).collect()
}

/// The process of this program with this argument.
pub(super) fn pid(temporary: &Path, program: &str, argument: &str) -> Pid {
    let all = found(temporary);
    let is_meant = |line: &str| {
        let (first, rest) = line.split_once(' ').unwrap_or_default();
        let name = first.rsplit('/').next().unwrap_or_default();
        format!("{name} {rest}").starts_with(program) && rest.contains(argument)
    };
    let pid = all.iter().find(|(_, line)| is_meant(line)).map(|(pid, _)| *pid);
    pid.and_then(Pid::from_raw).unwrap_or_else(|| panic!("no {program} {argument} in {all:?}"))
}

fn found(temporary: &Path) -> Vec<(i32, String)> {
    let wanted = format!("TMPDIR={}", temporary.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // One that ends meanwhile, or is another user's, cannot be read.
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            found.extend(pid.map(|pid| (pid, String::from_utf8_lossy(&line).replace('\0', " "))));
        }
    }
    found
}

/// Nothing is left: no process, and so no socket, and no file.
#[track_caller]
pub(super) fn nothing(temporary: &Path) {
    assert_eq!(processes(temporary), Vec::<String>::new());
    let files: Vec<_> =
        std::fs::read_dir(temporary).unwrap().flatten().map(|it| it.path()).collect();
    assert_eq!(files, Vec::<std::path::PathBuf>::new());
}
