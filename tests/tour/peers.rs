//! Chapter 7: trackers and peers in both languages, chunks from several at once, and a peer that lies.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Program, Running, c, eventually, fails, run, rust, serve, start};

const CHUNK: usize = 64 * 1024;
/// Twelve chunks, the last of 1,000 octets.
const SIZE: usize = 11 * CHUNK + 1000;

fn ours() -> Command {
    rust("peers")
}

fn theirs() -> Command {
    c("7-peers")
}

/// A file's octets, its sidecar and its id.
struct Fixture {
    octets: Vec<u8>,
    sidecar: Vec<u8>,
    id: String,
    folder: TempDir,
}

impl Fixture {
    fn new(size: usize) -> Fixture {
        let folder = TempDir::new().expect("a folder");
        let octets: Vec<u8> = (0..size as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let file = folder.path().join("file");
        fs::write(&file, &octets).expect("a file written");
        let id = run(ours(), &["describe", path(&file)]).trim_end().to_owned();
        let sidecar = fs::read(folder.path().join("file.chunks")).expect("a sidecar");
        Fixture { octets, sidecar, id, folder }
    }

    /// A folder with the sidecar and such a file, or none; returns the sidecar's path.
    fn peer(&self, name: &str, file: Option<&[u8]>) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("file.chunks"), &self.sidecar).expect("a sidecar written");
        if let Some(octets) = file {
            fs::write(folder.join("file"), octets).expect("a file written");
        }
        folder.join("file.chunks")
    }

    fn is_in(&self, sidecar: &Path) -> bool {
        fs::read(sidecar.with_extension("")).is_ok_and(|octets| octets == self.octets)
    }

    /// Starts the C peer that serves such a file.
    fn c_seed(&self, tracker: &str, file: &Path) -> Running {
        let (size, chunk) = (self.octets.len().to_string(), CHUNK.to_string());
        serve(theirs(), &["serve", tracker, &self.id, path(file), &size, &chunk]).0
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Starts a tracker; its port.
fn track(program: Program) -> (Running, String) {
    match program().get_program() == ours().get_program() {
        true => serve(program(), &["tracker", "::1", "0"]),
        false => serve(program(), &["tracker", "0"]),
    }
}

/// Starts a peer; how many chunks it has at the beginning.
fn join(mode: &str, tracker: &str, sidecar: &Path) -> (Running, String) {
    let (peer, _) = serve(ours(), &[mode, "::1", tracker, path(sidecar)]);
    let here = peer.error();
    (peer, here)
}

fn wait_for(peer: &Running, what: &str) -> Vec<String> {
    let mut lines = vec![peer.line()];
    while !lines.last().expect("a line").contains(what) {
        lines.push(peer.line());
    }
    lines
}

#[test]
fn a_sidecar_says_what_sha256sum_says() {
    let fixture = Fixture::new(CHUNK + 1);
    let sidecar = String::from_utf8(fixture.sidecar.clone()).expect("text");
    let sum = |octets: &[u8]| {
        let file = fixture.folder.path().join("part");
        fs::write(&file, octets).expect("a file written");
        let printed = Command::new("sha256sum").arg(&file).output().expect("sha256sum, of package coreutils").stdout;
        String::from_utf8_lossy(&printed[..64]).into_owned()
    };
    let (first, second) = (sum(&fixture.octets[..CHUNK]), sum(&fixture.octets[CHUNK..]));
    assert_eq!(sidecar, format!("chunks 1\nsize 65537\nchunk-size 65536\n{first}\n{second}\n"));
    assert_eq!(fixture.id, sum(sidecar.as_bytes()));
}

#[test]
fn several_fetch_from_one_at_once() {
    let fixture = Fixture::new(SIZE);
    for tracker in [ours as Program, theirs] {
        let (_tracker, port) = track(tracker);
        let name = port.as_str();
        let seed = fixture.peer(&format!("{name}-seed"), Some(&fixture.octets));
        let (_seed, here) = join("share", &port, &seed);
        assert_eq!(here, "12 of 12 chunks are here");
        let sidecars = [1, 2, 3].map(|i| fixture.peer(&format!("{name}-{i}"), None));
        let mut peers = sidecars.each_ref().map(|sidecar| join("fetch", &port, sidecar));
        for ((peer, here), sidecar) in peers.iter_mut().zip(&sidecars) {
            assert_eq!(here, "0 of 12 chunks are here");
            let (printed, status) = peer.finish();
            assert!(status.success() && printed.ends_with("complete\n"), "{printed}");
            assert!(fixture.is_in(sidecar));
        }
    }
}

#[test]
fn peers_complete_each_other() {
    let fixture = Fixture::new(SIZE);
    let (_tracker, port) = track(ours);
    let half = SIZE / 2;
    let first = fixture.peer("first", Some(&fixture.octets[..half]));
    let second = fixture.peer("second", Some(&[&vec![0; half], &fixture.octets[half..]].concat()));
    let (first_peer, here) = join("share", &port, &first);
    assert_eq!(here, "5 of 12 chunks are here");
    let (second_peer, here) = join("share", &port, &second);
    assert_eq!(here, "6 of 12 chunks are here");
    // The sixth chunk, which both have only in part, is nowhere until somebody brings it.
    let third = fixture.peer("third", Some(&[&vec![0; 5 * CHUNK], &fixture.octets[5 * CHUNK..6 * CHUNK]].concat()));
    let (third_peer, here) = join("share", &port, &third);
    assert_eq!(here, "1 of 12 chunks are here");
    let peers = [(first_peer, &first, 7), (second_peer, &second, 6), (third_peer, &third, 11)];
    for (peer, sidecar, missing) in &peers {
        let lines = wait_for(peer, "complete");
        assert_eq!(lines.len(), *missing + 1, "{lines:?}");
        assert!(fixture.is_in(sidecar));
    }
}

#[test]
fn c_and_rust_fetch_from_each_other() {
    let fixture = Fixture::new(SIZE);
    for tracker in [ours as Program, theirs] {
        let (_tracker, port) = track(tracker);
        let seed = fixture.c_seed(&port, &fixture.folder.path().join("file"));
        let sidecar = fixture.peer(&port, None);
        let (ours, _) = join("share", &port, &sidecar);
        wait_for(&ours, "complete");
        assert!(fixture.is_in(&sidecar));
        drop(seed);

        // To a tracker of its own, where only ours is registered.
        let (_tracker, port) = track(tracker);
        let (_ours, _) = join("share", &port, &sidecar);
        let copy = fixture.folder.path().join(&port).with_extension("c");
        let (size, chunk) = (SIZE.to_string(), CHUNK.to_string());
        let printed = run(theirs(), &["fetch", &port, &fixture.id, path(&copy), &size, &chunk]);
        assert_eq!(printed, "complete\n");
        assert!(fs::read(&copy).is_ok_and(|octets| octets == fixture.octets));
    }
}

#[test]
fn what_a_liar_sends_is_not_taken() {
    let fixture = Fixture::new(SIZE);
    let (_tracker, port) = track(ours);
    let wrong: Vec<u8> = fixture.octets.iter().map(|octet| !octet).collect();
    let lies = fixture.folder.path().join("lies");
    fs::write(&lies, wrong).expect("a file written");
    let _liar = fixture.c_seed(&port, &lies);
    let sidecar = fixture.peer("honest", None);
    let (mut peer, _) = join("fetch", &port, &sidecar);
    assert!(peer.line().ends_with("is not what the sidecar says: no more from there"));
    let seed = fixture.peer("seed", Some(&fixture.octets));
    let _seed = join("share", &port, &seed);
    let (printed, status) = peer.finish();
    assert!(status.success() && printed.lines().count() == 13, "{printed}");
    assert!(fixture.is_in(&sidecar));
}

#[test]
fn a_peer_goes_on_where_it_was_stopped() {
    let fixture = Fixture::new(SIZE);
    let (_tracker, port) = track(ours);
    let sidecar = fixture.peer("seed", Some(&fixture.octets));
    let _seed = join("share", &port, &sidecar);
    let mut damaged = fixture.octets.clone();
    damaged[3 * CHUNK] ^= 1;
    damaged[SIZE - 1] ^= 1;
    let sidecar = fixture.peer("damaged", Some(&damaged));
    let (mut peer, here) = join("fetch", &port, &sidecar);
    assert_eq!(here, "10 of 12 chunks are here");
    let (printed, _) = peer.finish();
    assert!(printed.starts_with("chunk 3 ") && printed.contains("chunk 11 "), "{printed}");
    assert!(fixture.is_in(&sidecar));
}

#[test]
fn a_peer_that_has_gone_is_replaced() {
    let fixture = Fixture::new(SIZE);
    let (_tracker, port) = track(ours);
    let empty = fixture.peer("empty", None);
    let (gone, _) = join("share", &port, &empty);
    drop(gone);
    let sidecar = fixture.peer("late", None);
    let (mut peer, _) = join("fetch", &port, &sidecar);
    assert!(peer.error().contains("Connection refused"));
    let full = fixture.peer("full", Some(&fixture.octets));
    let _seed = join("share", &port, &full);
    assert!(peer.finish().1.success());
    eventually("the whole file", || fixture.is_in(&sidecar));
}

#[test]
fn an_empty_file_is_complete_at_once() {
    let fixture = Fixture::new(0);
    let (_tracker, port) = track(ours);
    let sidecar = fixture.peer("empty", None);
    assert_eq!(run(ours(), &["fetch", "::1", &port, path(&sidecar)]), "complete\n");
    assert!(fixture.is_in(&sidecar));
}

#[test]
fn what_is_no_sidecar_is_refused() {
    let fixture = Fixture::new(10);
    let hash = "0".repeat(64);
    for text in
        ["", "chunks 1\nsize 1\nchunk-size 0\n", "chunks 1\nsize 9\nchunk-size 4\n", &format!("chunks 2\n{hash}")]
    {
        let sidecar = fixture.folder.path().join("wrong.chunks");
        fs::write(&sidecar, text).expect("a file written");
        let (code, said) = fails(ours(), &["fetch", "::1", "9", path(&sidecar)]);
        assert_eq!(code, 1);
        assert!(said.ends_with("wrong.chunks is no sidecar\n"), "{said}");
    }
    // A file that is longer than described was changed since, and is left as it is.
    let changed = fixture.peer("changed", Some(&[1; 11]));
    let (code, said) = fails(ours(), &["fetch", "::1", "9", path(&changed)]);
    assert_eq!((code, said.as_str()), (1, "peers: the file has 11 octets, and its sidecar 10\n"));
    assert_eq!(fails(ours(), &["fetch"]).0, 2);
}

#[test]
fn a_tracker_lists_who_has_registered() {
    let fixture = Fixture::new(10);
    let (_tracker, port) = track(ours);
    let ask = |request: &str| {
        let address = format!("TCP6:[::1]:{port}");
        let mut socat = start(Command::new("socat"), &["-t", "5", "-", &address]);
        socat.type_line(request);
        socat.close_stdin();
        socat.finish().0
    };
    assert_eq!(ask(&format!("list {}", fixture.id)), "");
    assert_eq!(ask(&format!("register {} 4000", fixture.id)), "registered [::1]:4000\n");
    assert_eq!(ask(&format!("register {} 4000", fixture.id)), "registered [::1]:4000\n");
    assert_eq!(ask(&format!("list {}", fixture.id)), "[::1]:4000\n");
    for wrong in ["", "list", "register x 1", &format!("register {} 65536", fixture.id), &"x".repeat(1000)] {
        let answer = ask(wrong);
        assert!(answer.is_empty() || answer == "error\n", "{answer}");
    }
    assert_eq!(ask(&format!("list {}", fixture.id)), "[::1]:4000\n");
}
