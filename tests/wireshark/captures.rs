//! The captures of docs/wireshark: every field of every packet, and the same again with new traffic.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fields::{CONTENT, EXPERTS, summary};
use crate::tools::{Desk, run};

const SCENES: [&str; 6] = ["classic", "extended", "errors", "loss", "malformed", "loop"];

/// The fields that link datagrams; times differ from run to run.
const LINKS: [&str; 9] = [
    "calc6.reply_in",
    "calc6.request_in",
    "calc6.repeat_of",
    "calc6.repeated_in",
    "calc6.copy_of",
    "calc6.sent",
    "calc6.replies",
    "calc6.duplicate_of",
    "calc6.answers",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/wireshark")
}

fn capture(folder: &Path, scene: &str) -> PathBuf {
    folder.join(scene).with_extension("pcapng")
}

/// One paragraph per packet: the Info column, then its fields. Values that differ from run to run are a `*`.
fn transcript(desk: &Desk, capture: &Path) -> String {
    let columns: Vec<&str> = CONTENT.iter().chain(&LINKS).chain(EXPERTS).copied().collect();
    let rows = desk.fields(capture, &["-2"], &columns);
    let mut text = String::new();
    for (number, (info, row)) in desk.info(capture, &["-2"]).iter().zip(&rows).enumerate() {
        let summary = summary(info);
        let description = summary.starts_with("Description");
        let summary = if description { "Description *".to_owned() } else { summary };
        text += &format!("{} {} {summary}\n", number + 1, ports(info));
        for (name, value) in columns.iter().zip(row).filter(|(_, value)| !value.is_empty()) {
            let varies = *name == "calc6.id" || (description && *name == "calc6.result.text");
            let value = match value.as_str() {
                _ if varies => "*",
                "True" => "1",
                "False" => "0",
                value => value,
            };
            text += &format!("    {name} {value}\n");
        }
    }
    text
}

/// The ports at the start of the Info column; those that the kernel chose are a `*`.
fn ports(info: &str) -> String {
    let shown = |port: &str| if ["10000", "10001"].contains(&port) { port.to_owned() } else { "*".to_owned() };
    let words: Vec<&str> = info.split(' ').collect();
    format!("{} → {}", shown(words[0]), shown(words[2]))
}

/// The transcript that a scene must have.
fn expected(scene: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wireshark/captures").join(scene).with_extension("txt")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// With CALC6_BLESS set, the transcripts are written again; read them before you commit them.
#[test]
fn every_packet_of_every_capture() {
    let desk = Desk::new();
    for scene in SCENES {
        let transcript = transcript(&desk, &capture(&folder(), scene));
        if std::env::var_os("CALC6_BLESS").is_some() {
            fs::write(expected(scene), &transcript).unwrap();
        }
        assert_eq!(transcript, read(&expected(scene)), "{scene}");
    }
}

#[test]
fn there_are_no_other_captures_and_all_are_small() {
    let mut scenes = Vec::new();
    for entry in fs::read_dir(folder()).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "pcapng") {
            assert!(entry.metadata().unwrap().len() < 8192, "{}", path.display());
            scenes.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    scenes.sort_unstable();
    let mut wanted = SCENES;
    wanted.sort_unstable();
    assert_eq!(scenes, wanted);
}

/// make-captures makes them again. On a busy machine a datagram may be late; then the scene is captured again.
#[test]
fn captures_made_today_are_the_same() {
    const TAKES: usize = 3;
    let desk = Desk::new();
    let programs = Path::new(env!("CARGO_BIN_EXE_server")).parent().unwrap();
    let mut scenes: Vec<&str> = SCENES.to_vec();
    for take in 1.. {
        let mut script = Command::new(folder().join("make-captures"));
        script.env("BIN", programs).arg(desk.path("")).args(&scenes);
        run(script);
        scenes.retain(|scene| {
            let transcript = transcript(&desk, &capture(&desk.path(""), scene));
            let expected = read(&expected(scene));
            if take == TAKES {
                assert_eq!(transcript, expected, "{scene}; if that is right, run docs/wireshark/make-captures");
            }
            transcript != expected
        });
        if scenes.is_empty() {
            break;
        }
    }
}

/// The commands of README.md, under "Daily use", while tshark watches lo.
#[test]
fn the_commands_of_the_readme_are_seen_live() {
    let desk = Desk::new();
    let folder = desk.path("programs");
    fs::create_dir(&folder).unwrap();
    for (name, program) in [("server", env!("CARGO_BIN_EXE_server")), ("client", env!("CARGO_BIN_EXE_client"))] {
        std::os::unix::fs::symlink(program, folder.join(name)).unwrap();
    }
    let mut unshare = desk.command("unshare");
    unshare.args(["--net", "--pid", "--fork", "--kill-child", "timeout", "60", "bash", "-ec", &live_script()]);
    let seen = run({
        unshare.current_dir(&folder).env("DISSECTOR", crate::tools::dissector()).env("FILM", desk.path("film.pcapng"));
        unshare
    });
    // The number of repeats and their answers depends on how busy the machine is.
    let seen: Vec<String> = seen.lines().map(|line| summary(line.trim_end())).collect();
    let seen: Vec<&str> = seen
        .iter()
        .map(String::as_str)
        .filter(|line| !line.contains("Retransmission") && !line.contains("Duplicate"))
        .collect();
    let expected = [
        "sum 1, 3, 5, 7, 9 (5 operands)",
        "Result 25 in T",
        "product 1, 3, 5, 7, 9 (5 operands) as text",
        "Result 945 in T",
        "sum 1, 3, 5 (3 operands)",
        "Result 9 in T",
    ];
    assert_eq!(seen, expected);
}

/// tshark prints the Info column of what it captures, while the README's block runs as it is pasted. The test waits
/// only for the server, so that no request is refused.
fn live_script() -> String {
    const START: &str = "./server :: 10000";
    let readme = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let (_, block) = readme.split_once(&format!("    {START} &\n")).expect("README.md starts a server");
    let lines = block.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let clients: Vec<&str> = lines.filter(|line| line.starts_with("./client ")).collect();
    format!(
        r#"ip link set lo up
tshark -q -l -P -i lo -f udp -w $FILM -X lua_script:$DISSECTOR -o 'gui.column.format:"Info","%i"' 2>../tshark &
until [ -s $FILM ]; do sleep 0.05; done
sleep 0.3
: >../server
{START} 2>../server &
until grep -q listening ../server; do sleep 0.05; done
{}
sleep 0.5
kill -TERM %1
wait %1
"#,
        clients.iter().map(|line| format!("{line} >>../results 2>>../notes\n")).collect::<String>()
    )
}
