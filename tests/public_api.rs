//! The library's public items, held against tests/public-api.txt: a change of them is seen in review, and
//! `CALC6_BLESS=1 cargo test --test public_api` writes the list anew.
//!
//! The list is made from the sources: public modules, public items that a `pub use` takes out of a private module,
//! their public fields and methods, and the traits that are implemented for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Fields, ImplItem, Item, ItemImpl, ItemUse, TraitItem, Type, UseTree, Visibility};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/public-api.txt");

#[test]
fn the_public_items_are_those_of_the_list() {
    let listed = Library::read().list();
    assert!(listed.len() > 200, "{} items", listed.len());
    let listed: String = listed.into_iter().map(|line| line + "\n").collect();
    if std::env::var_os("CALC6_BLESS").is_some() {
        fs::write(GOLDEN, &listed).unwrap();
    }
    let golden = fs::read_to_string(GOLDEN).unwrap_or_default();
    let (now, then): (BTreeSet<&str>, BTreeSet<&str>) = (listed.lines().collect(), golden.lines().collect());
    let new: Vec<&str> = now.difference(&then).copied().collect();
    let gone: Vec<&str> = then.difference(&now).copied().collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "the public items have changed.\nnew:\n{}\ngone:\n{}\nIf that is meant: CALC6_BLESS=1 cargo test --test public_api",
        new.join("\n"),
        gone.join("\n")
    );
}

/// Public enums and structs with public fields that cannot grow: an addition would be another protocol, or another
/// question. Users may match them without a wildcard and build them field by field.
const COMPLETE: [&str; 18] = [
    "Form",
    "Format",
    "Reply",
    "Verdict",
    "PortSharing",
    "Direction",
    "Severity",
    "Style",
    "Setting",
    "Arrival",
    "Contradiction",
    "ReplyLimitError",
    "Peer",
    "Destination",
    "DropCounter",
    "Local",
    "Wait",
    "Instruction",
];

#[test]
fn what_may_grow_is_non_exhaustive() {
    let listed: Vec<String> = Library::read().list().into_iter().collect();
    let exhaustive = listed.iter().filter_map(|line| {
        let (path, kind) = line.split_once(": ")?;
        let has_fields = || listed.iter().any(|other| other.starts_with(&format!("{path}.")));
        let visible = kind.starts_with("enum") || kind.starts_with("struct") && has_fields();
        (visible && !kind.contains("non_exhaustive")).then(|| path.rsplit("::").next().unwrap_or_default())
    });
    assert_eq!(exhaustive.collect::<BTreeSet<_>>(), BTreeSet::from(COMPLETE));
}

/// What a reader of the documentation begins with: each has an example, of its own or on the first page of its module.
const WITH_EXAMPLES: [(&str, &str); 46] = [
    ("wire::classic", "Request"),
    ("wire::classic", "Reply"),
    ("wire::extended", "Request"),
    ("wire::extended", "Reply"),
    ("wire", "Kind"),
    ("wire", "Status"),
    ("wire::operator", "Operator"),
    ("arithmetic", "evaluate"),
    ("arithmetic::number", "Number"),
    ("arithmetic::octets", "Operands"),
    ("responder", "respond"),
    ("responder", "Limits"),
    ("responder", "ReplyLimit"),
    ("exchange", "Exchange"),
    ("exchange::question", "Question"),
    ("exchange::outcome", "Outcome"),
    ("exchange::plan", "Plan"),
    ("exchange::retransmission", "Retransmission"),
    ("expression", "Expression"),
    ("expression::plan", "Evaluator"),
    ("limit::access", "Prefix"),
    ("limit::access", "Rules"),
    ("limit::access", "Access"),
    ("limit::rate", "Setting"),
    ("limit::rate", "RateLimit"),
    ("limit::loops", "LoopGuard"),
    ("limit::steering", "Steering"),
    ("view", "View"),
    ("view::ladder", "Ladder"),
    ("view::diagram", "diagram"),
    ("view::dump", "dump"),
    ("net", "ReceiveBatch"),
    ("net", "SendBatch"),
    ("net", "DropCounter"),
    ("net::wait", "Waker"),
    ("client", "Client"),
    ("client::config", "Config"),
    ("client::cancel", "Canceller"),
    ("client::error", "Error"),
    ("client::text", "IntegerReader"),
    ("client::tokio", "Client"),
    ("server", "Server"),
    ("server", "Handle"),
    ("server::config", "Config"),
    ("server::counters", "Totals"),
    ("capi", "create_and_send_message"),
];

#[test]
fn what_one_begins_with_has_an_example() {
    let library = Library::read();
    for (module, name) in WITH_EXAMPLES {
        let path: ModulePath = module.split("::").map(str::to_owned).collect();
        let page = ["src/MODULE.rs", "src/MODULE/mod.rs"].map(|file| file.replace("MODULE", &path.join("/")));
        let page =
            page.iter().find_map(|file| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).ok());
        let mut first_page = page.into_iter().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        let on_page = first_page.any(|line| line.starts_with("//! ```"));
        let item = library.modules[&path].items.iter().find(|item| name_of(item).as_deref() == Some(name));
        let own = item.is_some_and(|item| item.to_token_stream().to_string().contains("```"));
        assert!(on_page || own, "{module}::{name} has no example");
    }
}

/// A module's path: `["client", "tokio"]`.
type ModulePath = Vec<String>;

struct Module {
    public: bool,
    items: Vec<Item>,
}

struct Library {
    modules: BTreeMap<ModulePath, Module>,
}

impl Library {
    fn read() -> Library {
        let mut library = Library { modules: BTreeMap::new() };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        library.read_file(Vec::new(), &source.join("lib.rs"), &source, true);
        library
    }

    fn read_file(&mut self, path: ModulePath, file: &Path, folder: &Path, public: bool) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let items = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())).items;
        self.read_items(path, items, folder, public);
    }

    fn read_items(&mut self, path: ModulePath, items: Vec<Item>, folder: &Path, public: bool) {
        for item in &items {
            let Item::Mod(module) = item else { continue };
            if is_hidden(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let below = [path.clone(), vec![name.clone()]].concat();
            let public = public && is_public(&module.vis);
            let folder = folder.join(&name);
            match &module.content {
                Some((_, items)) => self.read_items(below, items.clone(), &folder, public),
                None => {
                    let candidates = [folder.with_extension("rs"), folder.join("mod.rs")];
                    let file: &PathBuf = candidates.iter().find(|file| file.exists()).expect("a module has a file");
                    self.read_file(below, file, &folder, public);
                }
            }
        }
        self.modules.insert(path, Module { public, items });
    }

    /// Every public item, under the path by which users name it.
    fn list(&self) -> BTreeSet<String> {
        let mut lines = BTreeSet::new();
        // The names that users see of each type, for its methods.
        let mut types: BTreeMap<(ModulePath, String), String> = BTreeMap::new();
        for (path, module) in self.modules.iter().filter(|(_, module)| module.public) {
            for item in &module.items {
                match item {
                    Item::Use(item) if is_public(&item.vis) && !is_hidden(&item.attrs) => {
                        for (from, name) in self.reexported(path, item) {
                            self.list_named(&from, &name, path, &mut lines, &mut types);
                        }
                    }
                    item => list_item(item, path, path, &mut lines, &mut types),
                }
            }
        }
        for (path, module) in &self.modules {
            for item in &module.items {
                if let Item::Impl(item) = item {
                    list_impl(item, path, &types, &mut lines);
                }
            }
        }
        lines
    }

    /// The modules and names that a `pub use` names.
    fn reexported(&self, at: &[String], item: &ItemUse) -> Vec<(ModulePath, String)> {
        fn walk(tree: &UseTree, mut path: Vec<String>, found: &mut Vec<Vec<String>>) {
            match tree {
                UseTree::Path(tree) => {
                    path.push(tree.ident.to_string());
                    walk(&tree.tree, path, found);
                }
                UseTree::Name(tree) => found.push([path, vec![tree.ident.to_string()]].concat()),
                UseTree::Rename(tree) => found.push([path, vec![tree.ident.to_string()]].concat()),
                UseTree::Glob(_) => found.push([path, vec!["*".to_owned()]].concat()),
                UseTree::Group(tree) => tree.items.iter().for_each(|tree| walk(tree, path.clone(), found)),
            }
        }
        let mut found = Vec::new();
        walk(&item.tree, Vec::new(), &mut found);
        let absolute = |mut path: Vec<String>| {
            let name = path.pop()?;
            let mut base = at.to_vec();
            for part in path {
                match part.as_str() {
                    "crate" => base.clear(),
                    "self" => {}
                    "super" => drop(base.pop()),
                    _ => base.push(part),
                }
            }
            Some((base, name))
        };
        found.into_iter().filter_map(absolute).collect()
    }

    fn list_named(
        &self,
        from: &[String],
        name: &str,
        at: &[String],
        lines: &mut BTreeSet<String>,
        types: &mut BTreeMap<(ModulePath, String), String>,
    ) {
        let from = &self.without_alias(from);
        let Some(module) = self.modules.get(from) else { return };
        for item in &module.items {
            if name == "*" || name_of(item).is_some_and(|found| found == name) {
                list_item(item, from, at, lines, types);
            }
            if let Item::Use(item) = item
                && is_public(&item.vis)
            {
                for (deeper, found) in self.reexported(from, item).into_iter().filter(|(_, found)| found == name) {
                    self.list_named(&deeper, &found, at, lines, types);
                }
            }
        }
    }
}

impl Library {
    /// The path of a module, parts of which may be other names: `use linux as system`.
    fn without_alias(&self, path: &[String]) -> ModulePath {
        let mut found = ModulePath::new();
        for part in path {
            let items = self.modules.get(&found).into_iter().flat_map(|module| &module.items);
            let named = items.into_iter().find_map(|item| match item {
                Item::Use(ItemUse { tree: UseTree::Rename(tree), .. }) if tree.rename == part => Some(&tree.ident),
                _ => None,
            });
            found.push(named.map_or_else(|| part.clone(), ToString::to_string));
        }
        found
    }
}

/// Lists an item of the module `from` under the path `at`.
fn list_item(
    item: &Item,
    from: &[String],
    at: &[String],
    lines: &mut BTreeSet<String>,
    types: &mut BTreeMap<(ModulePath, String), String>,
) {
    let Some(name) = name_of(item) else { return };
    let full = [at, std::slice::from_ref(&name)].concat().join("::");
    let mut add = |line: String| {
        lines.insert(line);
    };
    match item {
        Item::Fn(item) if is_public(&item.vis) => add(format!("{full}: {}", text(&item.sig))),
        Item::Const(item) if is_public(&item.vis) => add(format!("{full}: const {}", text(&item.ty))),
        Item::Static(item) if is_public(&item.vis) => add(format!("{full}: static {}", text(&item.ty))),
        Item::Type(item) if is_public(&item.vis) => add(format!("{full}: type = {}", text(&item.ty))),
        Item::Struct(item) if is_public(&item.vis) => {
            types.insert((from.to_vec(), name), full.clone());
            add(format!("{full}: struct{}{}", text(&item.generics), open_ended(&item.attrs)));
            if let Fields::Named(fields) = &item.fields {
                for field in fields.named.iter().filter(|field| is_public(&field.vis)) {
                    let name = field.ident.as_ref().expect("it is named");
                    add(format!("{full}.{name}: {}", text(&field.ty)));
                }
            }
            if let Fields::Unnamed(fields) = &item.fields {
                for (place, field) in fields.unnamed.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
                    add(format!("{full}.{place}: {}", text(&field.ty)));
                }
            }
        }
        Item::Enum(item) if is_public(&item.vis) => {
            types.insert((from.to_vec(), name), full.clone());
            add(format!("{full}: enum{}{}", text(&item.generics), open_ended(&item.attrs)));
            for variant in &item.variants {
                add(format!("{full}::{}{}", variant.ident, text(&variant.fields)));
            }
        }
        Item::Trait(item) if is_public(&item.vis) => {
            add(format!("{full}: trait{}", text(&item.generics)));
            for item in &item.items {
                if let TraitItem::Fn(item) = item {
                    add(format!("{full}::{}", text(&item.sig)));
                }
            }
        }
        _ => {}
    }
}

fn list_impl(
    item: &ItemImpl,
    path: &[String],
    types: &BTreeMap<(ModulePath, String), String>,
    lines: &mut BTreeSet<String>,
) {
    let Type::Path(of) = &*item.self_ty else { return };
    let Some(name) = of.path.segments.last().map(|segment| segment.ident.to_string()) else { return };
    // Beside the type, or in a module above or below it.
    let near = |(module, known): &&(ModulePath, String)| {
        *known == name && (path.starts_with(module) || module.starts_with(path) || path.first() == module.first())
    };
    let Some(full) = types.keys().find(near).and_then(|key| types.get(key)) else { return };
    if is_hidden(&item.attrs) {
        return;
    }
    match &item.trait_ {
        Some((of, _)) => {
            lines.insert(format!("{full}: {}", text(of)));
        }
        None => {
            for item in &item.items {
                match item {
                    ImplItem::Fn(item) if is_public(&item.vis) => {
                        lines.insert(format!("{full}::{}", text(&item.sig)));
                    }
                    ImplItem::Const(item) if is_public(&item.vis) => {
                        lines.insert(format!("{full}::{}: const {}", item.ident, text(&item.ty)));
                    }
                    _ => {}
                }
            }
        }
    }
}

fn name_of(item: &Item) -> Option<String> {
    let (name, attributes) = match item {
        Item::Fn(item) => (&item.sig.ident, &item.attrs),
        Item::Const(item) => (&item.ident, &item.attrs),
        Item::Static(item) => (&item.ident, &item.attrs),
        Item::Type(item) => (&item.ident, &item.attrs),
        Item::Struct(item) => (&item.ident, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.attrs),
        Item::Trait(item) => (&item.ident, &item.attrs),
        _ => return None,
    };
    (!is_hidden(attributes)).then(|| name.to_string())
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Items of tests, and those that the documentation leaves out.
fn is_hidden(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = text(attribute);
        text.starts_with("#[cfg") && (text.contains("test") || text.contains("fuzzing")) || text.contains("doc(hidden")
    })
}

fn open_ended(attributes: &[syn::Attribute]) -> &'static str {
    if attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive")) { ", non_exhaustive" } else { "" }
}

/// Tokens as people write them, nearly.
fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" : ", ": "),
        ("& ", "&"),
        (" ;", ";"),
        ("( ", "("),
        (" )", ")"),
        (" (", "("),
        ("[ ", "["),
        (" ]", "]"),
        ("# [", "#["),
        (" !", "!"),
    ] {
        text = text.replace(from, to);
    }
    // Only documentation comes with attributes of fields and variants.
    while let Some(start) = text.find("#[doc")
        && let Some(length) = text[start..].find("\"]")
    {
        text.replace_range(start..start + length + 2, "");
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
