//! Running tshark and sharkd, away from the user's settings and plugins.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The dissector.
pub fn dissector() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wireshark/calc6.lua")
}

/// A file of this test's folder.
pub fn helper(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wireshark").join(name)
}

/// A folder for a test's files that is also the home of the programs it runs.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    pub fn new() -> Desk {
        Desk { folder: tempfile::tempdir().unwrap() }
    }

    /// The path of a file of that name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Copies the dissector to the place that docs/wireshark/README.md names, the personal folder of Lua plugins.
    pub fn install_plugin(&self) {
        let folder = self.path(".local/lib/wireshark/plugins");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(dissector(), folder.join("calc6.lua")).unwrap();
    }

    /// A program with this home.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", self.folder.path()).env("XDG_CONFIG_HOME", self.path(".config")).env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null());
        command
    }

    /// Runs tshark with the dissector and these arguments, and returns what it printed.
    ///
    /// # Panics
    /// If it fails, or prints a warning, as it does if the script cannot be loaded.
    pub fn tshark(&self, arguments: &[&str]) -> String {
        let mut command = self.command("tshark");
        command.arg("-X").arg(format!("lua_script:{}", dissector().display())).args(arguments);
        run(command)
    }

    /// The given fields of every packet of a capture that passes the filter, in one pass or two.
    ///
    /// # Panics
    /// If the dissector failed on any of them: tshark reports this only as an expert item.
    pub fn fields(&self, capture: &Path, options: &[&str], fields: &[&str]) -> Vec<Vec<String>> {
        let mut arguments = vec!["-r", capture.to_str().unwrap(), "-T", "fields", "-E", "separator=/t"];
        arguments.extend_from_slice(options);
        for field in fields.iter().chain(&["_ws.lua.error"]) {
            arguments.extend(["-e", field]);
        }
        let text = self.tshark(&arguments);
        let rows = text.lines().map(|line| {
            let mut row: Vec<String> = line.split('\t').map(str::to_owned).collect();
            assert_eq!(row.pop().as_deref(), Some(""), "a Lua error: {line}");
            assert_eq!(row.len(), fields.len(), "{line}");
            row
        });
        rows.collect()
    }

    /// The Info column of every packet of a capture.
    pub fn info(&self, capture: &Path, options: &[&str]) -> Vec<String> {
        let mut arguments = vec!["-r", capture.to_str().unwrap(), "-o", "gui.column.format:\"Info\",\"%i\""];
        arguments.extend_from_slice(options);
        self.tshark(&arguments).lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Loads a capture into sharkd, with the dissector installed as a plugin. Returns the tree of each of these frames,
    /// in that order, as Wireshark does when packets are clicked on.
    pub fn click(&self, capture: &Path, frames: &[usize]) -> Vec<Value> {
        self.install_plugin();
        let mut command = self.command("sharkd");
        command.arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("sharkd, of Debian's package wireshark-common");
        let mut requests = vec![json!({"jsonrpc": "2.0", "id": 1, "method": "load", "params": {"file": capture}})];
        requests.extend(frames.iter().map(
            |frame| json!({"jsonrpc": "2.0", "id": 2, "method": "frame", "params": {"frame": frame, "proto": true}}),
        ));
        let text: String = requests.iter().map(|request| format!("{request}\n")).collect();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !stderr.contains("Lua"), "{stderr}");
        let answers = String::from_utf8(output.stdout).unwrap();
        let mut answers = answers.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(answers.next().unwrap()["result"]["status"], "OK");
        let trees: Vec<Value> = answers.map(|answer| answer["result"]["tree"].clone()).collect();
        assert_eq!(trees.len(), frames.len());
        trees
    }
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
/// If it fails, or prints anything on stderr except that root runs it.
pub fn run(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; tests/need installs it"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("Running as user \"root\"")).collect();
    assert!(output.status.success() && complaints.is_empty(), "{command:?}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
