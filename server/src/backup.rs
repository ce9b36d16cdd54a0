//! Backup and restore of a data directory: the log and its key together, whole or not at all. A copy is checked by the
//! oracle before it gets its name.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use kuota_domain::{event::Change, nik::NikKey, time::UnixMillis};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    data_dir::{DataError, is_in_use, key_path, log_path, read_key},
    exit::Exit,
    log::{LogReader, ReadError, check_wal, decode_events},
    verify::verify,
};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("{}: there is no log in this directory", .0.display())]
    NoLog(PathBuf),
    /// Something is there already.
    #[error("{}: is not empty; name a directory that does not exist yet", .0.display())]
    NotEmpty(PathBuf),
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] DataError),
    /// The key is another log's: repeats and live registrations would be missed.
    #[error("{}: is not the key of this log", .0.display())]
    WrongKey(PathBuf),
    /// The log cannot be read.
    #[error("{}: {error}", path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: ReadError,
    },
    /// The copy breaks an invariant, and so does what it was made from.
    #[error("the log breaks an invariant: {0}")]
    Invariant(String),
    /// The file system failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
}

impl BackupError {
    /// How the process ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::NoLog(_) | Self::NotEmpty(_) | Self::Key(_) | Self::WrongKey(_) => Exit::Usage,
            Self::Log { .. } | Self::Io { .. } => Exit::Log,
            Self::Invariant(_) => Exit::Invariant,
        }
    }
}

/// What a copy holds.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Where it is.
    pub directory: PathBuf,
    /// Events in its log.
    pub events: u64,
    /// Registrations granted.
    pub grants: u64,
    /// Registrations live at its end.
    pub live: u64,
    /// Digest of the last row, hexadecimal.
    pub digest: String,
    /// Bytes of the log.
    pub log_bytes: u64,
}

/// Copies a data directory, also while a server uses it. Everything acknowledged before the call is in the copy.
///
/// # Errors
/// When there is nothing to copy, something in the way, or the copy would not be whole.
pub fn backup(data: &Path, nik_key: Option<&Path>, to: &Path) -> Result<Copied, BackupError> {
    let own_key = key_path(data);
    copy(data, nik_key.unwrap_or(&own_key), to)
}

/// Makes a data directory of a copy.
///
/// # Errors
/// When it is no copy, something is in the way, or the data directory would not be whole.
pub fn restore(from: &Path, data: &Path) -> Result<Copied, BackupError> {
    copy(from, &key_path(from), data)
}

fn copy(from: &Path, key: &Path, to: &Path) -> Result<Copied, BackupError> {
    let log = log_path(from);
    if !log.exists() {
        return Err(BackupError::NoLog(from.to_owned()));
    }
    if !is_free(to)? {
        return Err(BackupError::NotEmpty(to.to_owned()));
    }
    let unreadable = |error| BackupError::Log { path: log.clone(), error };
    if !is_in_use(from) {
        check_wal(&log).map_err(unreadable)?;
    }
    let reader = LogReader::new(&log);
    let nik_key = read_key(key)?;
    if !belongs(&reader, &nik_key).map_err(unreadable)? {
        return Err(BackupError::WrongKey(key.to_owned()));
    }
    let unfinished = Unfinished::beside(to)?;
    let copied = log_path(&unfinished.path);
    reader.copy_to(&copied).map_err(unreadable)?;
    keep(&copied)?;
    copy_key(key, &key_path(&unfinished.path))?;
    let verdict = verify(&unfinished.path).map_err(unreadable)?;
    if let Some(fault) = verdict.faults.into_iter().next() {
        return Err(BackupError::Invariant(fault));
    }
    let log_bytes = fs::metadata(&copied).map_err(at(&copied))?.len();
    let directory = unfinished.finish(to)?;
    let (events, grants, live) = (verdict.events, verdict.grants, verdict.live);
    Ok(Copied { directory, events, grants, live, digest: verdict.digest, log_bytes })
}

fn at(path: &Path) -> impl Fn(io::Error) -> BackupError + '_ {
    |error| BackupError::Io { path: path.to_owned(), error }
}

/// Whether nothing stands there, or an empty directory.
fn is_free(path: &Path) -> Result<bool, BackupError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(at(path)(error)),
    }
}

/// Whether a log was written with a key.
fn belongs(reader: &LogReader, key: &NikKey) -> Result<bool, ReadError> {
    let mut belongs = false;
    reader.read_after(0, UnixMillis::MIN, 1, &mut |row| {
        let mut events = Vec::new();
        decode_events(&row.payload, UnixMillis(row.now_ms), &mut events)?;
        if let Some(Change::LogOpened { log_id, nik_key_check, .. }) =
            events.first().map(|event| &event.change)
        {
            belongs = *nik_key_check == key.check_value(*log_id);
        }
        Ok(false)
    })?;
    Ok(belongs)
}

fn copy_key(from: &Path, to: &Path) -> Result<(), BackupError> {
    let text = Zeroizing::new(fs::read(from).map_err(at(from))?);
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(to);
    let mut file = file.map_err(at(to))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(at(to))
}

/// Waits until a file is on the disk.
fn keep(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

/// A copy in the making. Dropped before its end, it is removed.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn beside(to: &Path) -> Result<Self, BackupError> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let path = to.with_file_name(name);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        // One that an earlier attempt left behind is in the way of every later one.
        if path.exists() {
            fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(at(&path))?;
        Ok(Self { path })
    }

    /// Gives it its name, once everything in it is on the disk.
    fn finish(self, to: &Path) -> Result<PathBuf, BackupError> {
        keep(&self.path)?;
        fs::rename(&self.path, to).map_err(at(to))?;
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        keep(parent.unwrap_or(Path::new(".")))?;
        Ok(to.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing is there any more when it was finished.
        let _ = fs::remove_dir_all(&self.path);
    }
}
