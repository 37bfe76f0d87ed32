//! Chapter 7: trackers and peers in all three languages, chunks from several peers at once, and a peer that lies.
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use socket2::SockRef;
use tempfile::TempDir;

use crate::support::{PATIENCE, Program, Running, c, eventually, fails, python, run, rust, serve, start};

const CHUNK: usize = 64 * 1024;
/// Twelve chunks, the last of 1,000 octets.
const SIZE: usize = 11 * CHUNK + 1000;

fn ours() -> Command {
    rust("peers")
}

fn in_c() -> Command {
    c("7-peers")
}

fn in_python() -> Command {
    python("7-peers")
}

const ALL: [Program; 3] = [ours, in_c, in_python];

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
        serve(in_c(), &["serve", tracker, &self.id, path(file), &size, &chunk]).0
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Starts a tracker; its port.
fn track(program: Program) -> (Running, String) {
    // The C program knows only ::1.
    match program().get_program() == in_c().get_program() {
        true => serve(program(), &["tracker", "0"]),
        false => serve(program(), &["tracker", "::1", "0"]),
    }
}

/// Starts a peer; returns how many chunks it has at the beginning.
fn join(mode: &str, tracker: &str, sidecar: &Path) -> (Running, String) {
    join_with(ours, mode, tracker, sidecar)
}

fn join_with(program: Program, mode: &str, tracker: &str, sidecar: &Path) -> (Running, String) {
    let (peer, _) = serve(program(), &[mode, "::1", tracker, path(sidecar)]);
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
    for tracker in ALL {
        let (_tracker, port) = track(tracker);
        let name = port.as_str();
        let seed = fixture.peer(&format!("{name}-seed"), Some(&fixture.octets));
        let (_seed, here) = join("share", &port, &seed);
        assert_eq!(here, "12 of 12 chunks are here");
        let sidecars = [1, 2, 3].map(|i| fixture.peer(&format!("{name}-{i}"), None));
        let programs = [ours as Program, in_python, ours];
        let mut peers: Vec<_> = programs
            .iter()
            .zip(&sidecars)
            .map(|(&program, sidecar)| join_with(program, "fetch", &port, sidecar))
            .collect();
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
    // Both have only a part of the sixth chunk, so it is nowhere until a third peer has it.
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
    for tracker in ALL {
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
        let printed = run(in_c(), &["fetch", &port, &fixture.id, path(&copy), &size, &chunk]);
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
        assert!(said.ends_with("wrong.chunks is not a sidecar\n"), "{said}");
    }
    // A file that is longer than described was changed since, and is left as it is.
    let changed = fixture.peer("changed", Some(&[1; 11]));
    let (code, said) = fails(ours(), &["fetch", "::1", "9", path(&changed)]);
    assert_eq!((code, said.as_str()), (1, "peers: the file has 11 octets, the sidecar says 10\n"));
    assert_eq!(fails(ours(), &["fetch"]).0, 2);
}

#[test]
fn python_and_rust_fetch_from_each_other() {
    let fixture = Fixture::new(SIZE);
    for (tracker, seed, peer) in
        [(in_python as Program, ours as Program, in_python as Program), (ours, in_python, ours)]
    {
        let (_tracker, port) = track(tracker);
        let sidecar = fixture.peer(&format!("{port}-seed"), Some(&fixture.octets));
        let (_seed, here) = join_with(seed, "share", &port, &sidecar);
        assert_eq!(here, "12 of 12 chunks are here");
        let sidecar = fixture.peer(&format!("{port}-peer"), Some(&fixture.octets[..3 * CHUNK]));
        let (mut peer, here) = join_with(peer, "fetch", &port, &sidecar);
        assert_eq!(here, "3 of 12 chunks are here");
        let (printed, status) = peer.finish();
        assert!(status.success() && printed.lines().count() == 10, "{printed}");
        assert!(fixture.is_in(&sidecar));
    }
    // Both describe a file alike.
    let file = fixture.folder.path().join("file");
    assert_eq!(run(in_python(), &["describe", path(&file)]).trim_end(), fixture.id);
    assert_eq!(fs::read(fixture.folder.path().join("file.chunks")).expect("a sidecar"), fixture.sidecar);
}

#[test]
fn python_does_not_take_what_a_liar_sends() {
    let fixture = Fixture::new(SIZE);
    let (_tracker, port) = track(in_python);
    let lies = fixture.folder.path().join("lies");
    fs::write(&lies, fixture.octets.iter().map(|octet| !octet).collect::<Vec<u8>>()).expect("a file written");
    let _liar = fixture.c_seed(&port, &lies);
    let sidecar = fixture.peer("honest", None);
    let (mut peer, _) = join_with(in_python, "fetch", &port, &sidecar);
    assert!(peer.line().ends_with("is not what the sidecar says: no more from there"));
    let seed = fixture.peer("seed", Some(&fixture.octets));
    let _seed = join("share", &port, &seed);
    assert!(peer.finish().1.success());
    assert!(fixture.is_in(&sidecar));
}

/// C goes from peer to peer once: one that has ended must not end the whole.
#[test]
fn a_dead_peer_is_skipped() {
    let fixture = Fixture::new(SIZE);
    let (_tracker, port) = track(ours);
    let dead = fixture.c_seed(&port, &fixture.folder.path().join("file"));
    drop(dead);
    let sidecar = fixture.peer("seed", Some(&fixture.octets));
    let _seed = join("share", &port, &sidecar);
    let copy = fixture.folder.path().join("copy");
    let (size, chunk) = (SIZE.to_string(), CHUNK.to_string());
    // The order of the list is the tracker's choice; a second dead peer makes it likelier that one comes first.
    drop(fixture.c_seed(&port, &fixture.folder.path().join("file")));
    assert_eq!(run(in_c(), &["fetch", &port, &fixture.id, path(&copy), &size, &chunk]), "complete\n");
    assert!(fs::read(&copy).is_ok_and(|octets| octets == fixture.octets));
}

#[test]
fn one_client_cannot_end_the_c_programs() {
    let fixture = Fixture::new(SIZE);
    let (_tracker, tracker) = track(in_c);
    let (seed, size, chunk) = (fixture.folder.path().join("file"), SIZE.to_string(), CHUNK.to_string());
    let (_seed, seed_port) = serve(in_c(), &["serve", &tracker, &fixture.id, path(&seed), &size, &chunk]);
    for port in [&tracker, &seed_port] {
        for octets in [&b""[..], b"li", b"list\n", format!("get {} -1\nget {0} 999\n", fixture.id).as_bytes()] {
            let mut stream = TcpStream::connect(format!("[::1]:{port}")).expect("a connection");
            stream.write_all(octets).expect("octets sent");
        }
        let mut stream = TcpStream::connect(format!("[::1]:{port}")).expect("a connection");
        stream.write_all(format!("have {}\n", fixture.id).repeat(100).as_bytes()).expect("octets sent");
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
    }
    let copy = fixture.folder.path().join("copy");
    assert_eq!(run(in_c(), &["fetch", &tracker, &fixture.id, path(&copy), &size, &chunk]), "complete\n");
}

#[test]
fn a_tracker_lists_who_has_registered() {
    let fixture = Fixture::new(10);
    for tracker in ALL {
        let (_tracker, port) = track(tracker);
        let ask = |request: &str| {
            let mut stream = TcpStream::connect(format!("[::1]:{port}")).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream.write_all(format!("{request}\n").as_bytes()).expect("a request");
            let mut answer = String::new();
            // A tracker that has not read all of a long line may reset the connection.
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        assert_eq!(ask(&format!("list {}", fixture.id)), "");
        assert_eq!(ask(&format!("register {} 4000", fixture.id)), "registered [::1]:4000\n");
        assert_eq!(ask(&format!("register {} 4000", fixture.id)), "registered [::1]:4000\n");
        assert_eq!(ask(&format!("list {}", fixture.id)), "[::1]:4000\n");
        for wrong in
            ["", "list", "list x", "register x 1", &format!("register {} 65536", fixture.id), &"x".repeat(1000)]
        {
            let answer = ask(wrong);
            assert!(answer.is_empty() || answer == "error\n", "{answer}");
        }
        // Whoever asks with its port is enrolled at the same time.
        let list = ask(&format!("list {} 4001", fixture.id));
        let mut list: Vec<&str> = list.lines().collect();
        list.sort_unstable();
        assert_eq!(list, ["[::1]:4000", "[::1]:4001"]);
    }
}

#[test]
fn wrong_arguments_are_explained() {
    for program in ALL {
        for wrong in [&[][..], &["tracker"], &["fetch"], &["dance", "::1", "1"]] {
            let (code, said) = fails(program(), wrong);
            assert!(code == 2 && said.starts_with("usage: "), "{wrong:?}: {said}");
        }
    }
}

/// The skeleton is the Python program without three functions; with these filled in, it works.
#[test]
fn the_skeleton_lacks_three_functions_and_nothing_else() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect(name);
    let (solution, skeleton) = (read("tests/tour/7-peers.py"), read("docs/tour/7-skeleton.py"));
    let solution: Vec<&str> = solution.split("\n\n\n").collect();
    let mut missing = Vec::new();
    let mut filled = Vec::new();
    for block in skeleton.split("\n\n\n") {
        let head = block.split('(').next().expect("a first word");
        match solution.iter().find(|other| block.contains("    to_do(") && other.split('(').next() == Some(head)) {
            Some(other) => {
                missing.push(head);
                filled.push(*other);
            }
            None => {
                let known = solution.contains(&block) || block.starts_with("\"\"\"") || head == "def to_do";
                assert!(known, "not in 7-peers.py:\n{block}");
                filled.push(block);
            }
        }
    }
    assert_eq!(missing, ["def answer", "def fetch_chunk", "def fetch_from"]);

    let fixture = Fixture::new(SIZE);
    let program = fixture.folder.path().join("peer.py");
    let start_it = |sidecar: &Path, port: &str| {
        let mut command = Command::new("python3");
        command.arg(&program);
        start(command, &["fetch", "::1", port, path(sidecar)])
    };
    let (_tracker, port) = track(ours);
    let seed = fixture.peer("seed", Some(&fixture.octets));
    let _seed = join("share", &port, &seed);
    fs::write(&program, &skeleton).expect("a program written");
    let sidecar = fixture.peer("unwritten", None);
    let mut unwritten = start_it(&sidecar, &port);
    assert_eq!(unwritten.finish().1.code(), Some(1));
    assert!(unwritten.errors().contains("peer.py: fetch_from is not written yet\n"));
    fs::write(&program, filled.join("\n\n\n")).expect("a program written");
    let sidecar = fixture.peer("written", None);
    assert!(start_it(&sidecar, &port).finish().1.success());
    assert!(fixture.is_in(&sidecar));
}
