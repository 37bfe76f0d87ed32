//! Checks the architecture: which room may call which (docs/architecture.md), what pure rooms may use, and where
//! `unsafe` is allowed. It reads the tokens of every source file, so comments and strings do not count, but macros do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

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
const LONG_FILES: [(&str, &str); 6] = [
    ("docs/tour/pictures.rs", "one function for each picture of the tour"),
    ("tests/asynchronous.rs", "the cases of one client, which share its set-up"),
    ("tests/rooms.rs", "the checks of the architecture, which share how they read the sources"),
    ("tests/client.rs", "the cases of one program, which share its set-up"),
    ("tests/lab_check.rs", "the wrong programs, each with its finding"),
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

/// The systems that the conditions of these tokens name, at every depth.
fn systems(tokens: TokenStream) -> impl Iterator<Item = String> {
    const NAMES: [&str; 6] = ["target_os", "target_family", "target_vendor", "target_env", "unix", "windows"];
    fn walk(tokens: TokenStream, found: &mut Vec<String>) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, tree) in trees.iter().enumerate() {
            let TokenTree::Group(group) = tree else { continue };
            let before = |back: usize| at.checked_sub(back).and_then(|at| word(&trees, at));
            if [before(1), before(2)].iter().flatten().any(|word| word == "cfg" || word == "cfg_attr") {
                found.extend(identifiers(group.stream()).into_iter().filter(|name| NAMES.contains(&name.as_str())));
            } else {
                walk(group.stream(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(tokens, &mut found);
    found.into_iter()
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file, by its path in the package.
fn source_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "bin", "tests", "docs", "benches", "fuzz/fuzz_targets"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    assert!(found.len() > 30, "only {} files found", found.len());
    found
}

/// The files of rooms, with the room's name.
fn room_files() -> Vec<(String, PathBuf)> {
    let room = |path: &Path| {
        let mut parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
        match (parts.next().as_deref(), parts.next(), parts.next()) {
            (Some("bin"), ..) => Some("bin".to_owned()),
            (Some("src"), Some(room), Some(_)) => Some(room),
            (Some("src"), Some(file), None) if file != "lib.rs" => Some(file.trim_end_matches(".rs").to_owned()),
            _ => None,
        }
    };
    source_files().into_iter().filter_map(|path| Some((room(&path)?, path))).collect()
}

/// The modules of a crate, by their paths, with their files; without those of tests.
fn modules(krate: &str) -> BTreeMap<Vec<String>, PathBuf> {
    let files = source_files().into_iter().filter(|path| path.starts_with(krate));
    let modules = files.map(|path| {
        let below = path.strip_prefix(krate).unwrap().with_extension("");
        let mut module: Vec<String> = below.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "main" | "lib")) {
            module.pop();
        }
        (module, path)
    });
    modules.filter(|(module, _)| module.last().is_none_or(|name| name != "tests")).collect()
}

/// The modules that a module's tokens name by `crate::`, `self::` or `super::`.
fn named_modules(
    tokens: &TokenStream,
    from: &[String],
    modules: &BTreeMap<Vec<String>, PathBuf>,
) -> BTreeSet<Vec<String>> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut found = BTreeSet::new();
    for at in 0..trees.len() {
        if let TokenTree::Group(group) = &trees[at] {
            found.extend(named_modules(&group.stream(), from, modules));
        }
        let mut base = match word(&trees, at).as_deref() {
            Some("crate") => Vec::new(),
            Some("self") => from.to_vec(),
            Some("super") => from[..from.len().saturating_sub(1)].to_vec(),
            _ => continue,
        };
        let follows_path = at >= 2 && is_path_separator(&trees, at - 2);
        if follows_path || !is_path_separator(&trees, at + 1) {
            continue;
        }
        let mut next = at + 3;
        while word(&trees, next).as_deref() == Some("super") && is_path_separator(&trees, next + 1) {
            base.pop();
            next += 3;
        }
        for path in paths(&trees, next) {
            let full: Vec<String> = base.iter().cloned().chain(path).collect();
            let module = (0..=full.len()).rev().map(|length| &full[..length]).find(|part| modules.contains_key(*part));
            found.extend(module.map(<[String]>::to_vec));
        }
    }
    found
}

/// The paths of a use tree or an expression that begin here.
fn paths(trees: &[TokenTree], at: usize) -> Vec<Vec<String>> {
    match trees.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            inner.split(|tree| is_punctuation(tree, ',')).flat_map(|branch| paths(branch, 0)).collect()
        }
        Some(TokenTree::Ident(name)) => {
            let rest = if is_path_separator(trees, at + 1) { paths(trees, at + 3) } else { Vec::new() };
            let name = name.to_string();
            if rest.is_empty() {
                return vec![vec![name]];
            }
            rest.into_iter().map(|path| [vec![name.clone()], path].concat()).collect()
        }
        _ => Vec::new(),
    }
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

/// How the library is named in a room's files: the programs are crates of their own.
fn root_name(room: &str) -> &'static str {
    if room == "bin" { "calc6" } else { "crate" }
}

/// How many modules a file's own is below the crate's root: src/a.rs and src/a/mod.rs are at 1.
fn module_depth(path: &Path) -> usize {
    let below_src = path.iter().count() - 1;
    if path.ends_with("mod.rs") { below_src - 1 } else { below_src }
}

fn tokens(path: &Path) -> TokenStream {
    let source = fs::read_to_string(root().join(path)).unwrap();
    source.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rooms that the tokens name: by the root's name, or by as many `super` as lead to the root.
fn calls(tokens: &TokenStream, depth: usize, root: &str) -> BTreeSet<String> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < trees.len() {
        let mut end = at;
        while word(&trees, end).as_deref() == Some("super") && is_path_separator(&trees, end + 1) {
            end += 3;
        }
        let supers = (end - at) / 3;
        if supers > 0 && supers >= depth {
            found.extend(heads(&trees, end));
        } else if word(&trees, at).as_deref() == Some(root) && is_path_separator(&trees, at + 1) {
            found.extend(heads(&trees, at + 3));
        }
        if let TokenTree::Group(group) = &trees[at] {
            let inline_module = at >= 2 && word(&trees, at - 2).as_deref() == Some("mod");
            found.extend(calls(&group.stream(), depth + usize::from(inline_module), root));
        }
        at = end.max(at + 1);
    }
    found
}

/// The first words of what is named here: `a` of `a::b`, all of `{a::b, c}`.
fn heads(trees: &[TokenTree], at: usize) -> Vec<String> {
    match trees.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            inner.split(|tree| is_punctuation(tree, ',')).filter_map(|name| word(name, 0)).collect()
        }
        _ => word(trees, at)
            .filter(|name| is_path_separator(trees, at + 1) || starts_lowercase(name))
            .into_iter()
            .collect(),
    }
}

/// The names of the types of a module and of those inside it, without those of functions and associated types.
fn types(tokens: &TokenStream) -> Vec<String> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut found = Vec::new();
    for at in 0..trees.len() {
        match (word(&trees, at).as_deref(), word(&trees, at + 1), trees.get(at + 2)) {
            (Some("struct" | "enum" | "union" | "trait" | "type"), Some(name), _) => found.push(name),
            (Some("mod"), Some(_), Some(TokenTree::Group(inside))) => found.extend(types(&inside.stream())),
            _ => {}
        }
    }
    found
}

fn starts_lowercase(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
}

fn word(trees: &[TokenTree], at: usize) -> Option<String> {
    match trees.get(at) {
        Some(TokenTree::Ident(name)) => Some(name.to_string()),
        _ => None,
    }
}

fn is_path_separator(trees: &[TokenTree], at: usize) -> bool {
    matches!(trees.get(at..at + 2), Some([first, second]) if is_punctuation(first, ':') && is_punctuation(second, ':'))
}

fn is_punctuation(tree: &TokenTree, wanted: char) -> bool {
    matches!(tree, TokenTree::Punct(found) if found.as_char() == wanted)
}

/// Every identifier, at every depth.
fn identifiers(tokens: TokenStream) -> BTreeSet<String> {
    tokens
        .into_iter()
        .flat_map(|tree| match tree {
            TokenTree::Group(group) => identifiers(group.stream()),
            TokenTree::Ident(name) => BTreeSet::from([name.to_string()]),
            _ => BTreeSet::new(),
        })
        .collect()
}

/// The tokens up to an inline `mod tests`, which stands last in a file.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let end = (0..trees.len())
        .find(|&at| word(&trees, at).as_deref() == Some("mod") && word(&trees, at + 1).as_deref() == Some("tests"));
    trees.into_iter().take(end.unwrap_or(usize::MAX)).collect()
}
