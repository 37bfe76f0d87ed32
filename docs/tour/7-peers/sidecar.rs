//! The sidecar: a small text file that describes a file without containing any of it.
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

const TITLE: &str = "chunks 1";
const CHUNK_SIZE: usize = 64 * 1024;
/// A whole chunk is held in memory, so its size is limited.
const MAX_CHUNK_SIZE: usize = 1024 * 1024;

/// A file's size and the SHA-256 of each of its chunks.
pub struct Sidecar {
    /// The SHA-256 of the sidecar itself: the name of the file for trackers and peers.
    pub id: String,
    pub size: u64,
    chunk_size: usize,
    hashes: Vec<String>,
}

/// Writes FILE.chunks beside FILE and returns the file's id.
pub fn describe(file: &Path) -> io::Result<String> {
    let mut input = File::open(file)?;
    let size = input.metadata()?.len();
    let mut text = format!("{TITLE}\nsize {size}\nchunk-size {CHUNK_SIZE}\n");
    let mut chunk = Vec::new();
    while input.by_ref().take(CHUNK_SIZE as u64).read_to_end(&mut chunk)? > 0 {
        text += &format!("{}\n", sha256(&chunk));
        chunk.clear();
    }
    let mut sidecar = file.as_os_str().to_owned();
    sidecar.push(".chunks");
    fs::write(sidecar, &text)?;
    Ok(sha256(text.as_bytes()))
}

impl Sidecar {
    pub fn read(path: &Path) -> io::Result<Sidecar> {
        let text = fs::read_to_string(path)?;
        parse(&text).ok_or_else(|| io::Error::other(format!("{} is not a sidecar", path.display())))
    }

    pub fn chunks(&self) -> usize {
        self.hashes.len()
    }

    /// A chunk's offset and length: all chunks have the same size but the last.
    pub fn place(&self, index: usize) -> (u64, usize) {
        let offset = index as u64 * self.chunk_size as u64;
        (offset, (self.size - offset).min(self.chunk_size as u64) as usize)
    }

    /// Whether these octets are the chunk. So the sender need not be trusted.
    pub fn verifies(&self, index: usize, octets: &[u8]) -> bool {
        octets.len() == self.place(index).1 && sha256(octets) == self.hashes[index]
    }
}

fn parse(text: &str) -> Option<Sidecar> {
    let mut lines = text.lines();
    if lines.next()? != TITLE {
        return None;
    }
    let size: u64 = lines.next()?.strip_prefix("size ")?.parse().ok()?;
    let chunk_size: usize = lines.next()?.strip_prefix("chunk-size ")?.parse().ok()?;
    let hashes: Vec<String> = lines.map(str::to_owned).collect();
    let right = (1..=MAX_CHUNK_SIZE).contains(&chunk_size)
        && hashes.len() as u64 == size.div_ceil(chunk_size as u64)
        && hashes.iter().all(|hash| hash.len() == 64);
    right.then(|| Sidecar { id: sha256(text.as_bytes()), size, chunk_size, hashes })
}

/// In hexadecimal, as sha256sum(1) prints it.
fn sha256(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}
