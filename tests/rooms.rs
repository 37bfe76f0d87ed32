//! Checks the architecture: which room may call which (docs/architecture.md), what pure rooms may use, and where
//! `unsafe` is allowed. It reads the tokens of every source file, so comments and strings do not count, but macros do.

#[path = "rooms/reading.rs"]
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use reading::{
    calls, identifiers, module_depth, modules, named_modules, room_files, root, root_name, source_files, systems,
    tokens, types, without_tests,
};

/// Each room and the rooms directly below it; it may call these and all rooms below them.
const ROOMS: [(&str, &[&str]); 13] = [
    ("server", &["responder", "limit", "net"]),
    ("client", &["exchange", "expression", "view", "arithmetic", "net"]),
    ("capi", &["wire", "arithmetic"]),
    ("responder", &["wire", "arithmetic"]),
    ("exchange", &["wire", "arithmetic", "abridge"]),
    ("expression", &["arithmetic", "wire", "abridge"]),
    ("limit", &[]),
    ("view", &["arithmetic", "wire", "abridge"]),
    ("arithmetic", &["wire"]),
    ("wire", &[]),
    ("net", &[]),
    ("abridge", &[]),
    ("bin", &["server", "client", "responder", "limit", "view"]),
];

/// Rooms that open no socket, read no clock, draw no random number, start no thread and print nothing.
const PURE: [&str; 8] = ["wire", "arithmetic", "responder", "exchange", "expression", "limit", "view", "abridge"];

/// Names that a pure room may not use.
const IMPURE: [&str; 25] = [
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixDatagram",
    "Instant",
    "SystemTime",
    "RandomState",
    "File",
    "Command",
    "libc",
    "socket2",
    "rustix",
    "tokio",
    "nix",
    "getrandom",
    "rand",
    "fs",
    "args_os",
    "var_os",
    "process",
    "thread",
    "println",
    "eprintln",
    "print",
    "eprint",
];

/// The rooms that may contain `unsafe`.
/// The playground has no unsafe block: `#[unsafe(no_mangle)]` names the functions that a page calls.
const UNSAFE: [&str; 3] = ["src/net/linux/", "src/capi/", "bin/playground/lib.rs"];

/// Names of types that may stand in several modules, each an idiom of its module. All other names stand once.
const IDIOMS: [&str; 12] = [
    // A program, or a subcommand, has a command line and ways to fail.
    "Arguments",
    "Failure",
    // How a client or a server is set up; what can go wrong in a room.
    "Config",
    "Error",
    // The two forms of the wire.
    "Request",
    "RequestError",
    "Reply",
    "ReplyError",
    // The blocking client and the one on Tokio.
    "Client",
    "Answers",
    // What net shows, and what a system has behind it.
    "Waker",
    "Input",
];

/// What other systems have in place of Linux's: the same types behind the same face.
const COUNTERPARTS: [&str; 5] = [
    "src/net/portable",
    "bin/server/hardening/plain.rs",
    "bin/server/hardening/linux/sandbox/no_filter.rs",
    "bin/lab/process/system/windows.rs",
    "bin/lab/process/system/other.rs",
];

/// The most lines of a file, with the files that have a reason to be longer.
const MOST_LINES: usize = 500;
const LONG_FILES: [(&str, &str); 2] = [
    ("docs/tour/pictures.rs", "one function for each picture of the tour"),
    ("tests/wireshark/fields.rs", "the fields of the dissector, each with its datagram"),
];

#[test]
fn rooms_call_downwards_only() {
    let mut wrong = Vec::new();
    for (room, path) in room_files() {
        let allowed = below(&room);
        for called in calls(&tokens(&path), module_depth(&path), root_name(&room)) {
            if called != room && !allowed.contains(called.as_str()) {
                wrong.push(format!("{} calls {called}, which is not below {room}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Modules beside each other, at every depth, of the library and of each program.
#[test]
fn modules_call_in_one_direction() {
    let mut wrong = Vec::new();
    for krate in ["src", "bin/server", "bin/client", "bin/lab"] {
        let modules = modules(krate);
        let mut calls: BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (from, path) in &modules {
            for to in named_modules(&without_tests(tokens(path)), from, &modules) {
                let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                    let siblings = calls.entry(from[..common].to_vec()).or_default();
                    siblings.entry(a.clone()).or_default().insert(b.clone());
                }
            }
        }
        for (parent, siblings) in calls {
            if let Some(circle) = circle(&siblings) {
                wrong.push(format!("{krate} {}: {}", parent.join("::"), circle.join(" -> ")));
            }
        }
    }
    assert!(wrong.is_empty(), "modules that call each other in a circle:\n{}", wrong.join("\n"));
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (a, b) in edges {
            graph.entry((*a).to_owned()).or_default().insert((*b).to_owned());
        }
        graph
    };
    assert_eq!(circle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap(), ["b", "c", "b"]);
}

#[test]
fn every_room_is_known() {
    for (room, path) in room_files() {
        assert!(ROOMS.iter().any(|(name, _)| *name == room), "{}: no room {room} in the table", path.display());
    }
    for (room, _) in ROOMS {
        assert!(!below(room).contains(room), "{room} is below itself");
    }
}

/// "Main type: ... May call `wire` and `arithmetic`."
#[test]
fn the_first_page_of_a_room_names_its_main_type_and_the_rooms_below() {
    for (room, below) in ROOMS.iter().filter(|(room, _)| *room != "bin") {
        let page = ["src/ROOM/mod.rs", "src/ROOM.rs"].map(|path| root().join(path.replace("ROOM", room)));
        let page = page.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap();
        let page: Vec<&str> = page.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        let page = page.join(" ");
        let (_, sentence) = page.split_once("Main ").unwrap_or_else(|| panic!("{room} names no main type"));
        let (_, sentence) = sentence.split_once(" May call ").unwrap_or_else(|| panic!("{room} names no rooms"));
        let sentence = sentence.split_once('.').unwrap().0;
        let named: BTreeSet<&str> = sentence.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, below.iter().copied().collect(), "{room}: {sentence}");
    }
}

#[test]
fn pure_rooms_do_no_io() {
    let mut wrong = Vec::new();
    for (room, path) in room_files() {
        if PURE.contains(&room.as_str()) {
            let found = identifiers(without_tests(tokens(&path)));
            wrong.extend(IMPURE.iter().filter(|name| found.contains(**name)).map(|name| format!("{path:?}: {name}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_is_only_in_its_rooms() {
    for path in source_files() {
        let found = identifiers(tokens(&path));
        let allowed = UNSAFE.iter().any(|room| path.starts_with(room));
        for word in ["unsafe", "unsafe_code"] {
            assert!(allowed || !found.contains(word), "{}: {word}", path.display());
        }
    }
}

/// Where code may be for one system only: sockets, what hardens the server, the terminal of the client, the programs that
/// lab starts. Everything else asks for capabilities by name.
const SYSTEMS: [&str; 5] =
    ["src/net/", "bin/server/hardening/", "bin/client/terminal.rs", "bin/client/terminal/", "bin/lab/process/system/"];

#[test]
fn systems_are_told_apart_in_few_places() {
    let mut wrong = Vec::new();
    for path in source_files().into_iter().filter(|path| path.starts_with("src") || path.starts_with("bin")) {
        if !SYSTEMS.iter().any(|place| path.to_str().unwrap().starts_with(place)) {
            wrong.extend(systems(tokens(&path)).map(|name| format!("{}: cfg({name})", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn conditions_on_the_system_are_found() {
    let found = |source: &str| systems(source.parse().unwrap()).collect::<Vec<_>>();
    assert_eq!(found("#[cfg(all(test, unix))] mod a { fn b() {} }"), ["unix"]);
    assert_eq!(found("mod a { fn b() { if cfg!(target_os = \"linux\") {} } }"), ["target_os"]);
    assert_eq!(found("#![cfg_attr(windows, allow(dead_code))]"), ["windows"]);
    assert_eq!(found("#[cfg(feature = \"net\")] use std::os::unix; fn windows() {}"), [""; 0]);
}

#[test]
fn types_have_names_of_their_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in source_files().into_iter().filter(|path| path.starts_with("src") || path.starts_with("bin")) {
        let counterpart = COUNTERPARTS.iter().any(|other| path.starts_with(other));
        if !path.ends_with("tests.rs") && !counterpart {
            for name in types(&without_tests(tokens(&path))) {
                places.entry(name).or_default().push(path.display().to_string());
            }
        }
    }
    let several = places.iter().filter(|(name, paths)| paths.len() > 1 && !IDIOMS.contains(&name.as_str()));
    let several: Vec<String> = several.map(|(name, paths)| format!("{name}: {}", paths.join(", "))).collect();
    assert!(several.is_empty(), "names of several types:\n{}", several.join("\n"));
    for name in IDIOMS {
        assert!(places.get(name).is_some_and(|paths| paths.len() > 1), "{name} stands once: it is no exception");
    }
}

#[test]
fn types_are_found() {
    let source = "pub struct A<T>(T); enum B { C } type D = A<u8>; impl E for F { type G = u8; }
        pub(crate) trait H { type I; } mod inside { union J { k: u8 } } fn f() { struct L; }";
    assert_eq!(types(&source.parse().unwrap()), ["A", "B", "D", "H", "J"]);
}

#[test]
fn no_file_is_too_long() {
    for path in source_files() {
        let lines = fs::read_to_string(root().join(&path)).unwrap().lines().count();
        let has_reason = LONG_FILES.iter().any(|(long, _)| Path::new(long) == path);
        let path = path.display();
        assert!(lines <= MOST_LINES || has_reason, "{path}: {lines} lines, more than {MOST_LINES}");
        assert!(lines > MOST_LINES || !has_reason, "{path}: {lines} lines need no reason any more");
    }
}

#[test]
fn calls_are_found() {
    let source = "use crate::{net::{self, x}, wire::Form as F, view};
        // crate::comment
        fn f() { assert!(crate::limit::y()); super::super::server::z(); let s = \"crate::text\"; }
        mod tests { use super::super::super::lab; use super::super::inside; }
        pub(crate) fn g() {} pub(in crate::capi) fn h() {}";
    let found = calls(&source.parse().unwrap(), 2, "crate");
    assert_eq!(found, ["capi", "lab", "limit", "net", "server", "view", "wire"].map(str::to_owned).into());
}

/// A path from a node back to itself.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        node: &str,
        graph: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|passed| passed == node) {
            return Some([&way[start..], &[node.to_owned()]].concat());
        }
        if !done.contains(node) {
            way.push(node.to_owned());
            for next in graph.get(node).into_iter().flatten() {
                if let Some(circle) = visit(next, graph, way, done) {
                    return Some(circle);
                }
            }
            way.pop();
            done.insert(node.to_owned());
        }
        None
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|node| visit(node, graph, &mut Vec::new(), &mut done))
}

/// Everything below a room.
fn below(room: &str) -> BTreeSet<&'static str> {
    let (_, direct) = ROOMS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("no room {room}"));
    direct.iter().flat_map(|room| below(room).into_iter().chain([*room])).collect()
}
