//! The log in one SQLite file: a row a batch, no secondary index, WAL, synced at every commit.

use std::{
    fs::File,
    mem,
    path::{Path, PathBuf},
};

use kuota_domain::time::UnixMillis;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, config::DbConfig, params};

use super::{AppendError, EventLog, ReadError, Row, WalReport, read_ahead::ReadAhead, wal};

/// Marks the file as ours: "Kuot".
const APPLICATION_ID: i32 = 0x4B75_6F74;
const SCHEMA_VERSION: i32 = 1;
/// Versions before it can corrupt a database when the WAL is reset: <https://sqlite.org/wal.html#walresetbug>.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// Bytes of a page: a batch of a hundred grants takes few, each a frame of the WAL.
const PAGE_BYTES: u32 = 16_384;
/// Pages in the WAL before they are moved to the file.
const CHECKPOINT_PAGES: u32 = 1_024;
const BUSY_TIMEOUT_MS: u32 = 5_000;

const SCHEMA: &str = "
    CREATE TABLE batches (
        first_seq   INTEGER PRIMARY KEY,
        last_seq    INTEGER NOT NULL,
        batch_id    BLOB NOT NULL,
        prev_digest BLOB NOT NULL,
        digest      BLOB NOT NULL,
        format      INTEGER NOT NULL,
        writer      BLOB NOT NULL,
        now_ms      INTEGER NOT NULL,
        payload     BLOB NOT NULL
    ) STRICT;";
const INSERT: &str = "INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const SELECT: &str =
    "SELECT first_seq, last_seq, batch_id, prev_digest, digest, format, writer, now_ms, payload
    FROM batches WHERE first_seq > ?1 ORDER BY first_seq LIMIT ?2";
const LAST_SEQ: &str = "SELECT coalesce((SELECT last_seq FROM batches ORDER BY first_seq DESC LIMIT 1), 0)";
/// The first event of the row that holds an event, or 1.
const SEEK: &str = "SELECT coalesce((SELECT first_seq FROM batches WHERE first_seq <= ?1 ORDER BY first_seq DESC LIMIT 1), 1)";
/// First event and time of the first row that begins with an event or later.
const ROW_AT: &str = "SELECT first_seq, now_ms FROM batches WHERE first_seq >= ?1 ORDER BY first_seq LIMIT 1";
/// Rows read in one transaction: a long read would keep the WAL from being reset.
const ROWS_PER_READ: u32 = 256;

/// How a log is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes the file may grow to; then it is full. `None`: as far as the disk goes.
    pub size_max_bytes: Option<u64>,
}

/// A log in a file, with its one writer.
#[derive(Debug)]
pub struct SqliteLog {
    connection: Connection,
    path: PathBuf,
    /// The same file, to be read ahead. Never closed before the connection: whoever closes a file gives up all locks that
    /// its process has on it, and SQLite does not learn of it: <https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>.
    file: File,
}

impl SqliteLog {
    /// Opens the log, or makes an empty one, and says what of an unfinished write was dropped.
    ///
    /// # Errors
    /// When the file cannot be read, is no log, or is damaged.
    pub fn open(path: &Path, options: LogOptions) -> Result<(Self, WalReport), ReadError> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            let version = rusqlite::version();
            return Err(ReadError::NotUnderstood(format!(
                "SQLite {version} can corrupt logs; build with a newer one"
            )));
        }
        let report = wal::inspect(path).map_err(|error| ReadError::Storage(error.to_string()))?;
        if let Some(damage) = report.damage() {
            return Err(ReadError::Damaged(damage));
        }
        let connection = Connection::open(path).map_err(|error| unreadable(&error))?;
        let is_new = prepare(&connection).map_err(|error| unreadable(&error))?;
        recognise(&connection)?;
        if is_new || report.tail_frames > 0 {
            // The file says by itself what it is, and a tail that was dropped is not met again.
            empty_wal(&connection).map_err(|error| unreadable(&error))?;
        }
        if let Some(bytes) = options.size_max_bytes {
            // A log keeps the pages it was made with.
            let page_bytes: u32 = connection
                .pragma_query_value(None, "page_size", |row| row.get(0))
                .map_err(|error| unreadable(&error))?;
            let pages = i64::try_from(bytes / u64::from(page_bytes.max(1))).unwrap_or(i64::MAX).max(1);
            connection.pragma_update(None, "max_page_count", pages).map_err(|error| unreadable(&error))?;
        }
        let file = File::open(path).map_err(|error| ReadError::Storage(error.to_string()))?;
        Ok((Self { connection, path: path.to_owned(), file }, report))
    }

    fn insert(&self, row: &Row) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(INSERT)?;
        insert.execute(params![
            row.first_seq.cast_signed(),
            row.last_seq.cast_signed(),
            row.batch_id.to_be_bytes(),
            row.prev_digest,
            row.digest,
            row.format,
            row.writer.to_be_bytes(),
            row.now_ms,
            row.payload,
        ])?;
        Ok(())
    }

    fn classify(&self, error: &rusqlite::Error) -> AppendError {
        let full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        // The statement was its own transaction: with autocommit on again, it is rolled back.
        if full && self.connection.is_autocommit() {
            AppendError::Full
        } else {
            AppendError::Broken(error.to_string())
        }
    }
}

impl EventLog for SqliteLog {
    fn append(&mut self, row: &Row) -> Result<(), AppendError> {
        // A single statement commits by itself: WAL with synchronous=FULL syncs before `execute` returns (INV-4).
        self.insert(row).map_err(|error| self.classify(&error))?;
        if row.first_seq == 1 {
            // Whose log it is stands in the file itself from the start, whatever becomes of the WAL.
            empty_wal(&self.connection).map_err(|error| AppendError::Broken(error.to_string()))?;
        }
        Ok(())
    }

    fn read(&mut self, visit: &mut dyn FnMut(&Row) -> Result<(), ReadError>) -> Result<(), ReadError> {
        let last_seq = self.last_seq()?;
        let mut ahead = ReadAhead::of(&self.file);
        ahead.reached(0, last_seq);
        read_all(&self.connection, &mut |row| {
            ahead.reached(row.last_seq, last_seq);
            visit(row)
        })
    }

    fn last_seq(&mut self) -> Result<u64, ReadError> {
        let last = self.connection.query_row(LAST_SEQ, [], |row| row.get::<_, i64>(0));
        Ok(last.map_err(|error| unreadable(&error))?.cast_unsigned())
    }

    fn size_bytes(&self) -> u64 {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        size(&self.path) + size(&wal::path_of(&self.path))
    }
}

/// Reads a log that may have a writer at the same time. Without one (`is_idle`), what SQLite would drop in silence is
/// looked at first; and nothing is changed, so that damage can still be examined afterwards.
///
/// # Errors
/// When the file cannot be read, is no log, is damaged, or `visit` fails.
pub fn read_rows(
    path: &Path,
    is_idle: bool,
    visit: &mut dyn FnMut(&Row) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    if is_idle {
        check_wal(path)?;
    }
    read_all(&open_to_read(path)?, visit)
}

/// Looks at what SQLite would drop in silence, in a log nobody writes.
///
/// # Errors
/// When it is more than an unfinished write.
pub fn check_wal(path: &Path) -> Result<(), ReadError> {
    let report = wal::inspect(path).map_err(|error| ReadError::Storage(error.to_string()))?;
    report.damage().map_or(Ok(()), |damage| Err(ReadError::Damaged(damage)))
}

/// Reads a log back in pieces while its writer goes on.
#[derive(Clone, Debug)]
pub struct LogReader {
    path: PathBuf,
}

impl LogReader {
    /// Of the log in a file.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Visits rows that end after event `after` and are not older than `from`, in order, until `visit` says that it is
    /// enough or `rows_max` were read. Says whether there may be more.
    ///
    /// # Errors
    /// When the file cannot be read, or `visit` fails.
    pub fn read_after(
        &self,
        after: u64,
        from: UnixMillis,
        rows_max: usize,
        visit: &mut dyn FnMut(&Row) -> Result<bool, ReadError>,
    ) -> Result<bool, ReadError> {
        let connection = open_to_read(&self.path)?;
        let sql = |error: rusqlite::Error| unreadable(&error);
        let from_seq = first_seq_from(&connection, from).map_err(sql)?;
        let mut seek = connection.prepare(SEEK).map_err(sql)?;
        // The row that holds the next event may have begun before it.
        let next = i64::try_from(after).unwrap_or(i64::MAX).saturating_add(1);
        let begins: i64 = seek.query_row([next], |row| row.get(0)).map_err(sql)?;
        let mut select = connection.prepare(SELECT).map_err(sql)?;
        let (mut last, mut read) = (begins.max(from_seq) - 1, Row::default());
        // In pieces: a long read would keep the WAL from being reset.
        for _ in 0..rows_max.div_ceil(ROWS_PER_READ as usize) {
            let mut rows = select.query(params![last, ROWS_PER_READ]).map_err(sql)?;
            let mut found = 0;
            while let Some(row) = rows.next().map_err(sql)? {
                read_into(&mut read, row).map_err(sql)?;
                (last, found) = (read.first_seq.cast_signed(), found + 1);
                if !visit(&read)? {
                    return Ok(false);
                }
            }
            if found < ROWS_PER_READ {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl LogReader {
    /// Writes everything committed by now into a new file, in one transaction of the reader's own: the writer goes on.
    /// The file is not synced.
    ///
    /// # Errors
    /// When the log cannot be read, or the file not be written.
    pub fn copy_to(&self, path: &Path) -> Result<(), ReadError> {
        let connection = connect(&self.path)?;
        let path = path.to_str().ok_or_else(|| ReadError::Storage("the path is no text".into()))?;
        connection.execute("VACUUM INTO ?1", [path]).map_err(|error| unreadable(&error))?;
        Ok(())
    }
}

/// The first event of the first row that is not older than an instant; times grow with the numbers.
fn first_seq_from(connection: &Connection, from: UnixMillis) -> rusqlite::Result<i64> {
    let last: i64 = connection.query_row(LAST_SEQ, [], |row| row.get(0))?;
    let mut at = connection.prepare(ROW_AT)?;
    let (mut low, mut high) = (1, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let row =
            at.query_row([middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
        match row {
            Some((first, now_ms)) if now_ms < from.0 => low = first.max(middle) + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

fn open_to_read(path: &Path) -> Result<Connection, ReadError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| unreadable(&error))?;
    Ok(connection)
}

/// A connection beside the writer's.
fn connect(path: &Path) -> Result<Connection, ReadError> {
    // A reader of a WAL database needs its shared memory, and so write access to the directory.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| unreadable(&error))?;
    connection
        .busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS.into()))
        .map_err(|error| unreadable(&error))?;
    // The last connection to close would move the WAL into the file and delete it.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(|error| unreadable(&error))?;
    recognise(&connection)?;
    Ok(connection)
}

fn empty_wal(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Sets the connection up, and makes the table in an empty file; says whether it did.
fn prepare(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS.into()))?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    let application_id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = application_id == 0 && tables == 0;
    if is_new {
        connection.execute_batch(&format!(
            "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        ))?;
    }
    Ok(is_new)
}

fn recognise(connection: &Connection) -> Result<(), ReadError> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application_id = value("application_id").map_err(|error| unreadable(&error))?;
    let version = value("user_version").map_err(|error| unreadable(&error))?;
    if application_id != APPLICATION_ID {
        return Err(ReadError::NotUnderstood("the file is an SQLite database, but no log of Kuota".into()));
    }
    if version != SCHEMA_VERSION {
        return Err(ReadError::NotUnderstood(format!(
            "the log has layout {version}; this server knows layout {SCHEMA_VERSION}: start a newer one"
        )));
    }
    Ok(())
}

fn read_all(
    connection: &Connection,
    visit: &mut dyn FnMut(&Row) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut select = connection.prepare(SELECT).map_err(|error| unreadable(&error))?;
    let (mut after, mut read) = (i64::MIN, Row::default());
    loop {
        let mut rows = select.query(params![after, ROWS_PER_READ]).map_err(|error| unreadable(&error))?;
        let mut found = false;
        while let Some(row) = rows.next().map_err(|error| unreadable(&error))? {
            read_into(&mut read, row).map_err(|error| unreadable(&error))?;
            after = read.first_seq.cast_signed();
            found = true;
            visit(&read)?;
        }
        if !found {
            return Ok(());
        }
    }
}

/// Reads a row into the place of the one before: a payload is large, and new memory for each costs more than its bytes.
fn read_into(read: &mut Row, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
    let mut payload = mem::take(&mut read.payload);
    payload.clear();
    payload.extend_from_slice(row.get_ref(8)?.as_blob()?);
    *read = Row {
        first_seq: row.get::<_, i64>(0)?.cast_unsigned(),
        last_seq: row.get::<_, i64>(1)?.cast_unsigned(),
        batch_id: u128::from_be_bytes(row.get(2)?),
        prev_digest: row.get(3)?,
        digest: row.get(4)?,
        format: row.get(5)?,
        writer: u128::from_be_bytes(row.get(6)?),
        now_ms: row.get(7)?,
        payload,
    };
    Ok(())
}

fn unreadable(error: &rusqlite::Error) -> ReadError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => ReadError::Damaged(error.to_string()),
        Some(ErrorCode::NotADatabase) => ReadError::NotUnderstood("the file is no log of Kuota".into()),
        _ => ReadError::Storage(error.to_string()),
    }
}
