//! Looks at SQLite's write-ahead log before SQLite does: it drops an unfinished tail without a word, and we report it;
//! it also drops good commits behind a damaged one, and we refuse.
//!
//! Every commit is synced before the next begins, so a crash can leave at most one unfinished transaction at the
//! end. Commits behind a frame that does not match its checksum are damage in the middle.
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const MAGIC: u32 = 0x377F_0682;

/// What the WAL held when the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalReport {
    /// Frames of committed transactions.
    pub committed_frames: u64,
    /// Frames behind the last good commit that belong to this generation of the WAL: never acknowledged.
    pub tail_frames: u64,
    /// Commits among those frames.
    pub tail_commits: u64,
}

impl WalReport {
    /// What is broken, if a tail is more than one unfinished transaction.
    pub(super) fn damage(&self) -> Option<String> {
        (self.tail_commits > 1).then(|| {
            format!(
                "frame {} of the write-ahead log does not match its checksum, and {} commits follow it",
                self.committed_frames + 1,
                self.tail_commits
            )
        })
    }
}

pub(super) fn path_of(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Reads the WAL of a log; an absent one is empty.
pub(super) fn inspect(log: &Path) -> io::Result<WalReport> {
    let mut report = WalReport::default();
    let file = match File::open(path_of(log)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(report),
        Err(error) => return Err(error),
    };
    let mut file = io::BufReader::with_capacity(1 << 20, file);
    let mut header = [0; HEADER_BYTES];
    if !read_whole(&mut file, &mut header)? {
        return Ok(report);
    }
    let big_endian = word(&header, 0) == MAGIC | 1;
    let mut sum = checksum((0, 0), &header[..24], big_endian);
    if word(&header, 0) & !1 != MAGIC || sum != (word(&header, 24), word(&header, 28)) {
        return Ok(report);
    }
    let salts = header[16..24].to_owned();
    let mut frame = vec![0; FRAME_HEADER_BYTES + word(&header, 8) as usize];
    let (mut intact, mut since_commit) = (true, 0);
    while read_whole(&mut file, &mut frame)? {
        // Other salts: left over from an earlier generation, not part of this one.
        if frame[8..16] != salts {
            break;
        }
        if intact {
            let next = checksum(sum, &frame[..8], big_endian);
            let next = checksum(next, &frame[FRAME_HEADER_BYTES..], big_endian);
            intact = next == (word(&frame, 16), word(&frame, 20));
            sum = next;
        }
        since_commit += 1;
        let is_commit = word(&frame, 4) != 0;
        if is_commit && intact {
            report.committed_frames += since_commit;
            since_commit = 0;
        } else if is_commit {
            report.tail_commits += 1;
        }
    }
    report.tail_frames = since_commit;
    Ok(report)
}

fn read_whole(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn checksum((mut s0, mut s1): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let read =
        |word: &[u8; 4]| if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
    let (words, _) = bytes.as_chunks::<4>();
    for pair in words.chunks_exact(2) {
        s0 = s0.wrapping_add(read(&pair[0])).wrapping_add(s1);
        s1 = s1.wrapping_add(read(&pair[1])).wrapping_add(s0);
    }
    (s0, s1)
}
