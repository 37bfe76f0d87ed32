//! How the sources are read: files, modules, and what their tokens name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file, by its path in the package.
pub fn source_files() -> Vec<PathBuf> {
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
pub fn room_files() -> Vec<(String, PathBuf)> {
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
pub fn modules(krate: &str) -> BTreeMap<Vec<String>, PathBuf> {
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
pub fn named_modules(
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

/// How the library is named in a room's files: the programs are crates of their own.
pub fn root_name(room: &str) -> &'static str {
    if room == "bin" { "calc6" } else { "crate" }
}

/// How many modules a file's own is below the crate's root: src/a.rs and src/a/mod.rs are at 1.
pub fn module_depth(path: &Path) -> usize {
    let below_src = path.iter().count() - 1;
    if path.ends_with("mod.rs") { below_src - 1 } else { below_src }
}

pub fn tokens(path: &Path) -> TokenStream {
    let source = fs::read_to_string(root().join(path)).unwrap();
    source.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rooms that the tokens name: by the root's name, or by as many `super` as lead to the root.
pub fn calls(tokens: &TokenStream, depth: usize, root: &str) -> BTreeSet<String> {
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
pub fn types(tokens: &TokenStream) -> Vec<String> {
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

/// The systems that the conditions of these tokens name, at every depth.
pub fn systems(tokens: TokenStream) -> impl Iterator<Item = String> {
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

fn starts_lowercase(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
}

pub fn word(trees: &[TokenTree], at: usize) -> Option<String> {
    match trees.get(at) {
        Some(TokenTree::Ident(name)) => Some(name.to_string()),
        _ => None,
    }
}

pub fn is_path_separator(trees: &[TokenTree], at: usize) -> bool {
    matches!(trees.get(at..at + 2), Some([first, second]) if is_punctuation(first, ':') && is_punctuation(second, ':'))
}

pub fn is_punctuation(tree: &TokenTree, wanted: char) -> bool {
    matches!(tree, TokenTree::Punct(found) if found.as_char() == wanted)
}

/// Every identifier, at every depth.
pub fn identifiers(tokens: TokenStream) -> BTreeSet<String> {
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
pub fn without_tests(tokens: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let end = (0..trees.len())
        .find(|&at| word(&trees, at).as_deref() == Some("mod") && word(&trees, at + 1).as_deref() == Some("tests"));
    trees.into_iter().take(end.unwrap_or(usize::MAX)).collect()
}
