//! Every Lua version that Wireshark is built with reads and runs the dissector, all with the same result.

use std::fs;
use std::process::Command;

use crate::fuzz;
use crate::tools::{Desk, dissector, helper, run};
use crate::{fields, tracking};

const VERSIONS: [&str; 4] = ["5.1", "5.2", "5.3", "5.4"];

#[test]
fn every_lua_accepts_the_syntax() {
    for version in VERSIONS {
        let mut luac = Command::new(format!("luac{version}"));
        luac.arg("-p").arg(dissector());
        run(luac);
    }
}

/// Bit operators and integer division are new in Lua 5.3, goto and bit32 in 5.2; luac5.1 finds syntax, not calls.
#[test]
fn no_library_of_one_version_is_used() {
    let text = fs::read_to_string(dissector()).unwrap();
    for word in ["bit32", "bit.", "utf8.", "string.pack", "math.tointeger", "require", "setfenv", "loadstring"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn every_lua_has_the_same_outcome() {
    let desk = Desk::new();
    let traffic = [fields::conversation(), tracking::conversation(), fuzz::conversation(400)];
    for (number, traffic) in traffic.iter().enumerate() {
        for way in ["port", "heuristic"] {
            let input = desk.path(&format!("{number}-{way}"));
            fs::write(&input, traffic.for_stub(way)).unwrap();
            let outcomes = VERSIONS.map(|version| {
                let mut lua = Command::new(format!("lua{version}"));
                lua.arg(helper("stub.lua")).arg(dissector()).arg(&input);
                run(lua)
            });
            assert!(outcomes[0].lines().count() > traffic.datagrams.len());
            for (version, outcome) in VERSIONS.iter().zip(&outcomes) {
                assert_eq!(outcome, &outcomes[1], "Lua {version} differs from 5.2 on {number}, {way}");
            }
        }
    }
}

/// The stand-in for Wireshark is useful only if Wireshark shows the same.
#[test]
fn tshark_shows_what_the_stub_shows() {
    let desk = Desk::new();
    let traffic = fields::conversation();
    let (input, capture) = (desk.path("stub"), desk.path("capture.pcapng"));
    fs::write(&input, traffic.for_stub("port")).unwrap();
    traffic.write(&capture);
    let mut lua = Command::new("lua5.4");
    lua.arg(helper("stub.lua")).arg(dissector()).arg(&input);
    let stub = run(lua);
    let stub: Vec<&str> = stub.lines().take(traffic.datagrams.len()).collect();
    for (frame, (info, stub)) in desk.info(&capture, &[]).iter().zip(stub).enumerate() {
        if !traffic.datagrams[frame].octets.is_empty() {
            assert_eq!(format!("{} calc6 {info}", frame + 1), stub);
        }
    }
}

/// All scripts of Wireshark share one table of globals: this script adds none.
#[test]
fn no_global_is_defined() {
    let mut luac = Command::new("luac5.1");
    luac.args(["-l", "-p"]).arg(dissector());
    let listing = run(luac);
    assert!(listing.contains("GETGLOBAL") && !listing.contains("SETGLOBAL"));
}
