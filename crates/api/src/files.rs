//! Input from the disk: files, directories with all that is below them, and standard input as `-`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::parse::{Source, TEXT_LIMIT};

/// The name of standard input.
pub const STDIN: &str = "-";
/// Endings of the files in a directory that are read.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// An input that cannot be read.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The file or directory cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory has nothing to read.
    #[error("{path}: no file ending in .yaml, .yml or .json is in this directory", path = path.display())]
    Empty {
        /// Which one.
        path: PathBuf,
    },
    /// The file is no text.
    #[error("{path}: is not UTF-8 text", path = path.display())]
    NotText {
        /// Which one.
        path: PathBuf,
    },
    /// The file is too long.
    #[error("{path}: is longer than {TEXT_LIMIT} bytes, the most that is read", path = path.display())]
    TooLong {
        /// Which one.
        path: PathBuf,
    },
}

/// Reads the files that the paths name: a file itself whatever its ending, a directory's `.yaml`, `.yml` and `.json`
/// files and those below it, sorted; `-` is standard input. Hidden files and directories are passed over.
///
/// # Errors
/// The first path that cannot be read.
pub fn read(paths: &[impl AsRef<Path>]) -> Result<Vec<Source>, FilesError> {
    let mut sources = Vec::new();
    for path in paths {
        let path = path.as_ref();
        if path.as_os_str() == STDIN {
            sources.push(source(path, io::stdin().lock())?);
            continue;
        }
        let before = sources.len();
        if is_directory(path)? {
            read_directory(path, &mut sources)?;
            if sources.len() == before {
                return Err(FilesError::Empty { path: path.to_owned() });
            }
        } else {
            sources.push(open(path)?);
        }
    }
    Ok(sources)
}

fn read_directory(directory: &Path, sources: &mut Vec<Source>) -> Result<(), FilesError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable(directory))? {
        paths.push(entry.map_err(unreadable(directory))?.path());
    }
    paths.sort();
    for path in paths {
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        // A link to a directory is not followed: it may lead back up.
        let kind = std::fs::symlink_metadata(&path).map_err(unreadable(&path))?.file_type();
        let is_wanted =
            path.extension().is_some_and(|ending| ENDINGS.iter().any(|it| ending == *it));
        if kind.is_dir() {
            read_directory(&path, sources)?;
        } else if is_wanted && !is_directory(&path)? {
            sources.push(open(&path)?);
        }
    }
    Ok(())
}

fn is_directory(path: &Path) -> Result<bool, FilesError> {
    std::fs::metadata(path).map(|it| it.is_dir()).map_err(unreadable(path))
}

fn open(path: &Path) -> Result<Source, FilesError> {
    source(path, std::fs::File::open(path).map_err(unreadable(path))?)
}

fn source(path: &Path, reader: impl Read) -> Result<Source, FilesError> {
    let mut bytes = Vec::new();
    let most = TEXT_LIMIT as u64 + 1;
    reader.take(most).read_to_end(&mut bytes).map_err(unreadable(path))?;
    if bytes.len() > TEXT_LIMIT {
        return Err(FilesError::TooLong { path: path.to_owned() });
    }
    let text =
        String::from_utf8(bytes).map_err(|_| FilesError::NotText { path: path.to_owned() })?;
    Ok(Source { file: path.display().to_string(), text })
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> FilesError {
    move |source| FilesError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_read_sorted_with_all_below() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("b/c")).unwrap();
        std::fs::create_dir_all(root.join(".git")).unwrap();
        for file in ["z.yaml", "a.yml", "b/c/x.json", "b/notes.txt", ".hidden.yaml", ".git/y.yaml"]
        {
            std::fs::write(root.join(file), file).unwrap();
        }
        let sources = read(&[root, &root.join("b/notes.txt")]).unwrap();
        let texts: Vec<_> = sources.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["a.yml", "b/c/x.json", "z.yaml", "b/notes.txt"]);
        assert_eq!(sources[0].file, root.join("a.yml").display().to_string());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let message = |path: &Path| read(&[path]).unwrap_err().to_string();
        assert!(message(&root.join("missing.yaml")).contains("missing.yaml: cannot be read"));
        assert!(message(root).contains("no file ending in"));
        std::fs::write(root.join("x.yaml"), b"\xff\xfe").unwrap();
        assert!(message(root).contains("x.yaml: is not UTF-8"));
        let long = std::fs::File::create(root.join("x.yaml")).unwrap();
        long.set_len(TEXT_LIMIT as u64 + 1).unwrap();
        assert!(message(root).contains("x.yaml: is longer"));
    }
}
