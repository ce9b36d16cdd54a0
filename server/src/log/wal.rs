//! Looks at SQLite's write-ahead log before SQLite does: it drops an unfinished tail without a word, and we report it;
//! it also drops good commits behind a damaged frame, and we refuse.
//!
//! Every commit is synced before the next begins, so a crash can leave at most one unfinished transaction at the
//! end. More commits behind the first frame that does not fit are damage in the middle.
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The smallest page a log of ours was made with.
const PAGE_BYTES_MIN: usize = 4_096;
const MAGIC: u32 = 0x377F_0682;
/// Generations of a WAL whose frames may still lie behind the current ones.
const GENERATIONS_BACK_MAX: u32 = 1 << 16;

/// What the WAL held when the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalReport {
    /// Frames of committed transactions.
    pub committed_frames: u64,
    /// Frames behind the last good commit that belong to this generation of the WAL: never acknowledged.
    pub tail_frames: u64,
    /// Commits among those frames.
    pub tail_commits: u64,
    /// The header does not match its checksum although frames follow it.
    header_is_damaged: bool,
}

impl WalReport {
    /// What is broken, if it is more than one unfinished transaction.
    pub(super) fn damage(&self) -> Option<String> {
        if self.header_is_damaged {
            return Some(
                "the header of the write-ahead log does not match its checksum, and frames follow it".into(),
            );
        }
        (self.tail_commits > 1).then(|| {
            format!(
                "frame {} of the write-ahead log does not match its checksum, and {} commits follow it",
                self.committed_frames + 1,
                self.tail_commits
            )
        })
    }
}

/// Whose a frame is, by its salts.
enum Owner {
    /// Of this generation.
    Ours,
    /// Of an earlier generation, or never written.
    Stale,
    /// Of none that ever was: damaged.
    Nobody,
}

pub(super) fn path_of(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Reads the WAL of a log; an absent one is empty.
pub(super) fn inspect(log: &Path) -> io::Result<WalReport> {
    let file = match File::open(path_of(log)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WalReport::default()),
        Err(error) => return Err(error),
    };
    inspect_wal(&mut io::BufReader::with_capacity(1 << 20, file))
}

fn inspect_wal(file: &mut impl Read) -> io::Result<WalReport> {
    let mut report = WalReport::default();
    let mut header = [0; HEADER_BYTES];
    if !read_whole(file, &mut header)? {
        return Ok(report);
    }
    let big_endian = word(&header, 0) == MAGIC | 1;
    let mut sum = checksum((0, 0), &header[..24], big_endian);
    if word(&header, 0) & !1 != MAGIC || sum != (word(&header, 24), word(&header, 28)) {
        // A header is synced before its first frame: no crash leaves one without the other.
        report.header_is_damaged = read_whole(file, &mut vec![0; FRAME_HEADER_BYTES + PAGE_BYTES_MIN])?;
        return Ok(report);
    }
    let salts = (word(&header, 16), word(&header, 20));
    let mut frame = vec![0; FRAME_HEADER_BYTES + word(&header, 8) as usize];
    let (mut intact, mut since_commit) = (true, 0);
    while read_whole(file, &mut frame)? {
        match owner((word(&frame, 8), word(&frame, 12)), salts) {
            Owner::Stale => {
                intact = false;
                continue;
            }
            Owner::Nobody => intact = false,
            Owner::Ours if intact => {
                sum = checksum(sum, &frame[..8], big_endian);
                sum = checksum(sum, &frame[FRAME_HEADER_BYTES..], big_endian);
                intact = sum == (word(&frame, 16), word(&frame, 20));
            }
            Owner::Ours => {}
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

/// The first salt counts generations, the second is random.
fn owner(found: (u32, u32), ours: (u32, u32)) -> Owner {
    let back = ours.0.wrapping_sub(found.0);
    if found == ours {
        Owner::Ours
    } else if found == (0, 0) || ((1..=GENERATIONS_BACK_MAX).contains(&back) && found.1 != ours.1) {
        Owner::Stale
    } else {
        Owner::Nobody
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_BYTES: usize = FRAME_HEADER_BYTES + 4_096;

    /// A WAL of SQLite's own making: eight commits of one page each, and the schema before them.
    fn wal() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let database = rusqlite::Connection::open(&path).unwrap();
        database.pragma_update(None, "journal_mode", "WAL").unwrap();
        database.execute_batch("CREATE TABLE t (a)").unwrap();
        for a in 0..8 {
            database.execute("INSERT INTO t VALUES (?1)", [a]).unwrap();
        }
        std::fs::read(path_of(&path)).unwrap()
    }

    fn look(wal: &[u8]) -> WalReport {
        inspect_wal(&mut &*wal).unwrap()
    }

    #[test]
    fn an_untouched_wal_is_all_commits() {
        let wal = wal();
        let frames = ((wal.len() - HEADER_BYTES) / FRAME_BYTES) as u64;
        assert_eq!(look(&wal), WalReport { committed_frames: frames, ..WalReport::default() });
        assert_eq!(look(&[]), WalReport::default());
        assert_eq!(look(&wal[..20]), WalReport::default());
    }

    #[test]
    fn a_torn_last_commit_is_a_tail_and_not_damage() {
        let mut wal = wal();
        let end = wal.len();
        wal[end - 600..end - 90].fill(0xAA);
        assert_eq!((look(&wal).tail_frames, look(&wal).tail_commits, look(&wal).damage()), (1, 1, None));
        wal.truncate(end - 600);
        assert_eq!((look(&wal).tail_frames, look(&wal).damage()), (0, None), "half a frame was never one");
    }

    #[test]
    fn damage_with_commits_behind_it_is_found_wherever_it_hits() {
        let good = wal();
        // Header fields, salts, checksums, and pages of every frame but the last.
        let last = good.len() - FRAME_BYTES;
        let frame_heads = (HEADER_BYTES..last).step_by(FRAME_BYTES);
        let places =
            (0..HEADER_BYTES).chain(frame_heads.flat_map(|at| [8, 11, 12, 15, 16, 23, 100].map(|n| at + n)));
        for place in places {
            for bit in [1, 0x80] {
                let mut wal = good.clone();
                wal[place] ^= bit;
                assert!(look(&wal).damage().is_some(), "byte {place}: {:?}", look(&wal));
            }
        }
    }

    #[test]
    fn frames_of_an_earlier_generation_are_left_alone() {
        let (mut new, old) = (wal(), wal());
        let salt = word(&new, 16).wrapping_sub(1).to_be_bytes();
        let mut stale = old[HEADER_BYTES..].to_vec();
        for frame in stale.chunks_mut(FRAME_BYTES) {
            frame[8..12].copy_from_slice(&salt);
        }
        let before = look(&new);
        new.extend(stale);
        assert_eq!(look(&new), before);
    }
}
