//! Writing files that others read at any moment: whole or not at all.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// Certificates are public, and the program that reads them may run as another user.
const FILE_MODE: u32 = 0o644;

/// A directory of ours is nobody else's to look into.
const DIRECTORY_MODE: u32 = 0o700;

/// The permission bits by which others than the owner could exchange the files.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Makes the directory, with its parents, if it is missing. One that is there is left as it is, but refused if
/// others could write to it: they could put a root of theirs in the place of ours.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & WRITABLE_BY_OTHERS == 0 {
        return Ok(());
    }
    let message = format!("others may write to it (mode {:04o}); run `chmod go-w` on it", mode & 0o7777);
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// Puts `contents` at `path`, mode 0644. A reader sees the old file or the new one, after a power cut too: written
/// beside it, flushed to disk, renamed into place, and the rename flushed.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(directory)?;
    file.write_all(contents)?;
    file.as_file().set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn new_directory_is_ours_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run/42");
        private_directory(&path).unwrap();
        assert_eq!((mode(&path), mode(&parent.path().join("run"))), (DIRECTORY_MODE, DIRECTORY_MODE));
        private_directory(&path).expect("a second run finds it there");
    }

    #[test]
    fn directory_that_others_may_write_to_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
        let refusal = private_directory(directory.path()).unwrap_err();
        assert!(refusal.to_string().contains("mode 1777"), "{refusal}");
        assert_eq!(mode(directory.path()), 0o1777);
    }

    #[test]
    fn file_is_replaced_whole_and_readable_by_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        replace(&path, b"old, and longer").unwrap();
        let held = fs::read_to_string(&path).unwrap();
        let mut reader = File::open(&path).unwrap();

        replace(&path, b"new").unwrap();

        let mut seen = String::new();
        io::Read::read_to_string(&mut reader, &mut seen).unwrap();
        assert_eq!(seen, held, "who has the old file open keeps all of it");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), FILE_MODE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn write_that_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        replace(&path, b"new").unwrap_err();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
