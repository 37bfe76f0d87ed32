//! The file on disk, and the state of each chunk. Threads that serve and threads that fetch share it.
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sidecar::Sidecar;

pub struct Store {
    sidecar: Sidecar,
    file: File,
    chunks: Mutex<Vec<State>>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Missing,
    /// A thread is fetching it.
    Coming,
    /// It is in the file, and its hash has been checked.
    Here,
}

impl Store {
    /// Opens or creates FILE beside FILE.chunks, and checks which chunks are already there.
    pub fn open(path: &Path) -> io::Result<Store> {
        let sidecar = Sidecar::read(path)?;
        if path.extension().is_none_or(|extension| extension != "chunks") {
            return Err(io::Error::other("the name of a sidecar ends in .chunks"));
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.with_extension(""))?;
        let length = file.metadata()?.len();
        if length > sidecar.size {
            // It is not the file that was described, and truncating it would lose data.
            return Err(io::Error::other(format!("the file has {length} octets, the sidecar says {}", sidecar.size)));
        }
        file.set_len(sidecar.size)?;
        let state = |index| match read_chunk(&file, &sidecar, index) {
            Ok(octets) if sidecar.verifies(index, &octets) => State::Here,
            _ => State::Missing,
        };
        let chunks = Mutex::new((0..sidecar.chunks()).map(state).collect());
        Ok(Store { sidecar, file, chunks })
    }

    pub fn id(&self) -> &str {
        &self.sidecar.id
    }

    /// How many chunks are here, and how many there are.
    pub fn count(&self) -> (usize, usize) {
        let chunks = self.chunks();
        (chunks.iter().filter(|&&state| state == State::Here).count(), chunks.len())
    }

    /// A `1` for every chunk that is here, a `0` for every other.
    pub fn bitmap(&self) -> String {
        self.chunks().iter().map(|&state| if state == State::Here { '1' } else { '0' }).collect()
    }

    /// A chunk's octets, if it is here.
    pub fn read(&self, index: usize) -> Option<io::Result<Vec<u8>>> {
        let here = self.chunks().get(index) == Some(&State::Here);
        here.then(|| read_chunk(&self.file, &self.sidecar, index))
    }

    /// Chooses a chunk that is missing here, offered by a peer's bitmap, and fetched by no other thread.
    pub fn claim(&self, offered: &str) -> Option<Claim<'_>> {
        let mut chunks = self.chunks();
        let wanted = |(state, offered)| state == State::Missing && offered == b'1';
        let index = chunks.iter().copied().zip(offered.bytes()).position(wanted)?;
        chunks[index] = State::Coming;
        Some(Claim { store: self, index })
    }

    fn chunks(&self) -> MutexGuard<'_, Vec<State>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One chunk that one thread fetches. If it is dropped without the chunk, another thread may claim the chunk.
pub struct Claim<'a> {
    store: &'a Store,
    pub index: usize,
}

impl Claim<'_> {
    /// The chunk's length in octets.
    pub fn length(&self) -> usize {
        self.store.sidecar.place(self.index).1
    }

    /// Writes the octets if they are the chunk; false if they are not.
    pub fn fulfil(self, octets: &[u8]) -> io::Result<bool> {
        let right = self.store.sidecar.verifies(self.index, octets);
        if right {
            self.store.file.write_all_at(octets, self.store.sidecar.place(self.index).0)?;
            self.store.chunks()[self.index] = State::Here;
        }
        Ok(right)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let state = &mut self.store.chunks()[self.index];
        if *state == State::Coming {
            *state = State::Missing;
        }
    }
}

fn read_chunk(file: &File, sidecar: &Sidecar, index: usize) -> io::Result<Vec<u8>> {
    let (offset, length) = sidecar.place(index);
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, offset)?;
    Ok(octets)
}
