//! Installed files: man pages, completions, the folders of `make install`, the crate's own dependencies.

#![cfg(feature = "programs")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SOURCE: &str = env!("CARGO_MANIFEST_DIR");

/// A folder of the test, removed when this is dropped.
fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Runs a command that the tests need; `tests/need` installs it.
fn run(program: &str, words: &[&str]) -> Output {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}; run tests/need"))
}

#[track_caller]
fn printed(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{:?}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The output of `make docs`.
fn write_manual(folder: &Path) {
    for program in [env!("CARGO_BIN_EXE_server"), env!("CARGO_BIN_EXE_client"), env!("CARGO_BIN_EXE_lab")] {
        printed(run(program, &["--generate", folder.to_str().unwrap()]));
    }
}

/// The long options that the client's help lists.
fn client_options() -> BTreeSet<String> {
    let help = printed(run(env!("CARGO_BIN_EXE_client"), &["--help"]));
    let words = help.split(|c: char| c.is_whitespace() || ",;:.()".contains(c));
    let options: BTreeSet<String> = words.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
    assert!(options.len() > 15, "{options:?}");
    options
}

#[test]
fn man_pages_name_every_option_and_groff_accepts_them() {
    let folder = folder();
    write_manual(folder.path());
    let pages = names(&folder.path().join("man1"));
    for page in ["calc6-server.1", "calc6-client.1", "calc6-lab.1", "calc6-lab-explain.1", "calc6-lab-relay.1"] {
        assert!(pages.contains(page), "{page} is not among {pages:?}");
    }
    for page in &pages {
        let path = folder.path().join("man1").join(page);
        // -ww: every warning; the formatted page is discarded.
        let faults = run("groff", &["-man", "-Tutf8", "-ww", "-z", path.to_str().unwrap()]);
        assert_eq!(String::from_utf8_lossy(&faults.stderr), "", "{page}");
        let narrow = printed(run("groff", &["-man", "-Tascii", "-P-cbou", "-rLL=50n", path.to_str().unwrap()]));
        let last_words = narrow.lines().filter_map(|line| line.split_whitespace().last());
        let cut: Vec<&str> = last_words.filter(|word| word.starts_with("--") && word.ends_with('-')).collect();
        assert!(cut.iter().all(|word| *word == "--"), "{page}: cut at the end of a line: {cut:?}");
    }
    let shown = |page: &str| {
        let path = folder.path().join("man1").join(page);
        printed(run("groff", &["-man", "-Tascii", "-P-cbou", path.to_str().unwrap()]))
    };
    let client = shown("calc6-client.1");
    for option in client_options() {
        assert!(client.contains(&option), "{option}");
    }
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"] {
        assert!(client.contains(&format!("\n{section}\n")), "{section}");
    }
    assert!(client.contains("calc6-client -op + ::1 10000 1 3 5 7 9 "), "{client}");
    let server = shown("calc6-server.1");
    assert!(server.contains("--max-reply") && server.contains("calc6-server :: 10000 "), "{server}");
    assert!(!client.contains("\n       client ") && !server.contains("\n       server "), "plain names");
}

#[test]
fn shells_complete_options_and_operators() {
    let folder = folder();
    write_manual(folder.path());
    let folder = folder.path().to_str().unwrap();
    for name in ["server", "client", "lab", "calc6-server", "calc6-client", "calc6-lab"] {
        printed(run("bash", &["-n", &format!("{folder}/bash/{name}.bash")]));
        printed(run("zsh", &["-n", &format!("{folder}/zsh/_{name}")]));
        printed(run("fish", &["--no-config", "-n", &format!("{folder}/fish/{name}.fish")]));
    }
    for (words, expected) in [
        ("-op gc", "gcd"),
        ("--op gc", "gcd"),
        ("--extend", "--extended"),
        ("--base 1", "10 16"),
        ("--timeout 1", "100ms 1s 10s"),
    ] {
        let line = format!("calc6-client {words}");
        let before = line.rsplit_once(' ').unwrap();
        let previous = before.0.rsplit_once(' ').map_or(before.0, |(_, word)| word);
        let count = line.matches(' ').count();
        let script = format!(
            "source {folder}/bash/calc6-client.bash; COMP_WORDS=({line}); COMP_CWORD={count}; \
             _calc6__client calc6-client '{}' '{previous}'; echo ${{COMPREPLY[*]}}",
            before.1
        );
        assert_eq!(printed(run("bash", &["--norc", "-c", &script])).trim(), expected, "bash: {line}");
        let script = format!("source {folder}/fish/calc6-client.fish; complete -C '{line}'");
        let offered = printed(run("fish", &["--no-config", "-c", &script]));
        let offered: BTreeSet<&str> = offered.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(offered, expected.split(' ').collect(), "fish: {line}");
    }
    let script = fs::read_to_string(format!("{folder}/zsh/_calc6-client")).unwrap();
    // Before an option zsh lists those that cannot be combined with it.
    let option = |name: &str| script.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}"));
    assert!(option("--op=[").contains("-e --expression"), "{script}");
    assert!(option(")-op[").contains("-e --expression") && option("--classic[").contains("--extended"), "{script}");
}

/// Everything except the build, which `make install` leaves to cargo if cargo is installed.
#[test]
fn make_install_puts_everything_below_its_prefix() {
    let folder = folder();
    let built = folder.path().join("target/release");
    fs::create_dir_all(&built).unwrap();
    let programs =
        [env!("CARGO_BIN_EXE_server"), env!("CARGO_BIN_EXE_client"), env!("CARGO_BIN_EXE_lab")].map(Path::new);
    for program in programs {
        std::os::unix::fs::symlink(program, built.join(program.file_name().unwrap())).unwrap();
    }
    write_manual(&folder.path().join("target/manual"));
    let install = |more: &[&str]| {
        let mut make = Command::new("make");
        make.args(["-s", "-C", SOURCE, "install", "CARGO=/none", "PREFIX=/opt/calc6"]).args(more);
        make.env("CARGO_TARGET_DIR", folder.path().join("target")).env_remove("MAKEFLAGS").env_remove("DESTDIR");
        make.env("DESTDIR", folder.path().join("root")).stdin(Stdio::null());
        printed(make.output().expect("make is installed"))
    };
    install(&[]);
    let root = folder.path().join("root/opt/calc6");
    assert_eq!(names(&root.join("bin")), ["calc6-client", "calc6-lab", "calc6-server"].map(str::to_owned).into());
    let asked = run(root.join("bin/calc6-client").to_str().unwrap(), &["--local", "-op", "+", "1", "3", "5", "7", "9"]);
    assert_eq!(printed(asked), "Result: 25\n");
    let unit = fs::read_to_string(root.join("lib/systemd/system/calc6.service")).unwrap();
    assert!(unit.contains("\nExecStart=/opt/calc6/bin/calc6-server\n"), "{unit}");
    for path in [
        "lib/systemd/system/calc6.socket",
        "share/bash-completion/completions/calc6-client",
        "share/calc6/calc6.lua",
        "share/doc/calc6/docs/protocol.md",
        "share/fish/vendor_completions.d/calc6-lab.fish",
        "share/man/man1/calc6-lab-explain.1",
        "share/zsh/site-functions/_calc6-server",
    ] {
        assert!(root.join(path).is_file(), "{path}");
    }
    links_hold(&root.join("share/doc/calc6"));
    install(&["LINKS=1"]);
    assert_eq!(fs::read_link(root.join("bin/client")).unwrap(), Path::new("calc6-client"));
    assert!(root.join("share/man/man1/server.1").is_file());
    assert!(root.join("share/bash-completion/completions/lab").is_file());
    assert_eq!(names(&folder.path().join("root")), ["opt".to_owned()].into(), "nothing beside the prefix");
}

/// Checks the relative links of every installed page; links to the sources are checked only if the sources are there.
fn links_hold(folder: &Path) {
    let mut pages = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => folders.push(entry),
                false if entry.extension().is_some_and(|extension| extension == "md") => pages.push(entry),
                false => {}
            }
        }
    }
    assert!(pages.len() > 15, "{pages:?}");
    let mut checked = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
            let source = target.trim_start_matches("../");
            if source.ends_with(".rs") || source.starts_with("src/") && !source.ends_with(".h") {
                continue;
            }
            assert!(page.parent().unwrap().join(target).exists(), "{}: {target}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked} links");
}

/// On a registry's page relative links lead nowhere.
#[test]
fn the_crates_page_has_no_relative_links() {
    let page = fs::read_to_string(Path::new(SOURCE).join("docs/crate.md")).unwrap();
    for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(target.starts_with("https://"), "{target}");
    }
}

/// docs/architecture.md says what the library alone depends on.
#[test]
fn without_default_features_only_the_librarys_dependencies_are_left() {
    // Quiet: cargo prints a note when another cargo holds its lock.
    let tree =
        "tree --quiet --offline --locked --edges normal --depth 1 --no-default-features --prefix none --format {p}";
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(tree.split(' ')).current_dir(SOURCE).stdin(Stdio::null());
    let tree = printed(cargo.output().unwrap());
    let crates: BTreeSet<&str> = tree.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    let architecture = fs::read_to_string(Path::new(SOURCE).join("docs/architecture.md")).unwrap();
    let (_, sentence) = architecture.split_once("Without any feature the library depends on").expect("the sentence");
    let (sentence, _) = sentence.split_once(';').expect("its end");
    let said: BTreeSet<&str> = sentence.split('`').skip(1).step_by(2).collect();
    assert_eq!(crates, said);
}

#[test]
fn the_published_crate_builds_from_its_own_files() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["package", "--quiet", "--list", "--allow-dirty", "--offline"]).current_dir(SOURCE).stdin(Stdio::null());
    let output = cargo.output().unwrap();
    if !Path::new(SOURCE).join("fuzz").exists() {
        return; // this is the published crate already
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8(output.stdout).unwrap();
    let files: BTreeSet<&str> = list.lines().collect();
    for file in ["Makefile", "LICENSE-APACHE", "LICENSE-MIT", "docs/protocol.md", "tests/need"] {
        assert!(files.contains(file), "{file}");
    }
    assert!(!files.iter().any(|file| file.starts_with("fuzz/") || file.starts_with(".ci/")), "{list}");
}
