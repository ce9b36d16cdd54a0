//! The data directory: the log, the NIK key, and the lock that keeps a second server out.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use kuota_domain::nik::NikKey;
use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use crate::hex;

const LOCK: &str = "lock";
const LOG: &str = "log.sqlite";
const KEY: &str = "nik.key";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another server has it.
    #[error(
        "{}: another kuota-server{holder} uses this data directory; stop it, or name another directory with --data",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Its process id, if it left one.
        holder: String,
    },
    /// It cannot be made or opened.
    #[error("data = {}: cannot be used: {error}", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The key's file cannot be read.
    #[error("nik_key = {}: cannot be read: {error}", path.display())]
    KeyUnreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file system failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// The key is not one.
    #[error("{}: a NIK key is 64 hexadecimal digits on one line; found {found}", path.display())]
    BadKey {
        /// Where.
        path: PathBuf,
        /// What was there instead; never the text.
        found: &'static str,
    },
    /// The log needs a key that is gone.
    #[error(
        "{}: the NIK key of this log is missing; restore it from the backup of the data directory, or name it with \
         --nik-key", path.display()
    )]
    KeyLost {
        /// Where it should be.
        path: PathBuf,
    },
}

/// A data directory that nobody else uses while this lives.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens it, or makes it, and locks it.
    ///
    /// # Errors
    /// When another server has it, or the file system fails.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let unusable = |error| DataError::Unusable { path: path.to_owned(), error };
        if !path.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        }
        let lock_path = path.join(LOCK);
        let open = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&lock_path);
        let mut lock = open.map_err(unusable)?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(DataError::Io { path: lock_path, error: error.into() });
            }
            let mut pid = String::new();
            // The process id is a courtesy: without it the message is as true.
            let _ = lock.read_to_string(&mut pid);
            let holder =
                if pid.trim().is_empty() { String::new() } else { format!(" (process {})", pid.trim()) };
            return Err(DataError::InUse { path: path.to_owned(), holder });
        }
        // A full disk must not keep a server from starting to serve what it has.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where the log is.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_path(&self.path)
    }

    /// The NIK key: from `file`, or the directory's own, made if there is no log yet.
    ///
    /// # Errors
    /// When it cannot be read, is no key, or is lost.
    pub fn nik_key(&self, file: Option<&Path>) -> Result<NikKey, DataError> {
        if let Some(path) = file {
            return read_key(path);
        }
        let path = key_path(&self.path);
        if path.exists() {
            return read_key(&path);
        }
        if self.log().exists() {
            return Err(DataError::KeyLost { path });
        }
        make_key(&path).map_err(|error| DataError::Io { path: path.clone(), error })?;
        read_key(&path)
    }
}

/// Where the key of a data directory is, unless it is named elsewhere.
#[must_use]
pub fn key_path(data: &Path) -> PathBuf {
    data.join(KEY)
}

/// Where the log of a data directory is.
#[must_use]
pub fn log_path(data: &Path) -> PathBuf {
    data.join(LOG)
}

/// Whether a server uses a data directory now.
#[must_use]
pub fn is_in_use(data: &Path) -> bool {
    let lock = OpenOptions::new().read(true).open(data.join(LOCK));
    lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
}

/// Reads a key's file.
///
/// # Errors
/// When it cannot be read, or holds no key.
pub fn read_key(path: &Path) -> Result<NikKey, DataError> {
    let io = |error| DataError::KeyUnreadable { path: path.to_owned(), error };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), mode = format!("{:o}", mode & 0o777), "the NIK key is readable by others");
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
    let bad = |found| DataError::BadKey { path: path.to_owned(), found };
    let digits = text.trim_end_matches('\n');
    if digits.len() != 2 * NikKey::BYTES {
        return Err(bad("another length"));
    }
    let mut secret = Zeroizing::new([0; NikKey::BYTES]);
    if !hex::decode_into(digits, &mut *secret) {
        return Err(bad("other characters"));
    }
    Ok(NikKey::new(&secret))
}

/// Written whole under another name, then moved: a crash leaves a key or none, never half of one.
fn make_key(path: &Path) -> io::Result<()> {
    let mut secret = Zeroizing::new([0_u8; NikKey::BYTES]);
    getrandom::fill(&mut *secret).map_err(|error| io::Error::other(error.to_string()))?;
    let text = Zeroizing::new(hex::encode(&*secret));
    let unfinished = path.with_extension("key.new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let data = DataDir::open(&path).unwrap();
        let first = data.nik_key(None).unwrap();
        let again = data.nik_key(None).unwrap();
        assert_eq!(first.check_value(1), again.check_value(1));
        assert_eq!(fs::metadata(path.join(KEY)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_second_server_is_told_who_has_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDir::open(directory.path()).unwrap();
        let error = DataDir::open(directory.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        assert!(DataDir::open(directory.path()).is_ok());
    }

    #[test]
    fn a_key_that_is_none_is_refused_without_being_shown() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        let path = directory.path().join("other.key");
        for (text, found) in [("abc", "another length"), (&*"g".repeat(64), "other characters")] {
            fs::write(&path, text).unwrap();
            let error = data.nik_key(Some(&path)).unwrap_err().to_string();
            assert!(error.ends_with(found) && !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_log_without_its_key_is_not_given_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        fs::write(data.log(), "").unwrap();
        assert!(matches!(data.nik_key(None), Err(DataError::KeyLost { .. })));
    }
}
