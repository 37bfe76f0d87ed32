//! The dissector uses the same names and octets for fields as `view` does for `client -v` and `lab explain`.

use std::collections::BTreeSet;

use calc6::view::{Direction, View};
use serde_json::Value;

use crate::capture::Traffic;
use crate::fields;
use crate::tools::{Desk, dissector, run};

/// Where the dissector and `view` may differ: fields that are computed from the octets, and shown in brackets.
const GENERATED: [&str; 1] = ["Operation"];

/// (label, first octet, octets) of every field, as `view` has them. A reply is read with the request before it.
fn of_view(traffic: &Traffic, frame: usize) -> Vec<(String, usize, usize)> {
    let datagram = &traffic.datagrams[frame];
    let view = if datagram.from.port() == crate::capture::SERVER {
        let asked = &traffic.datagrams[frame - 1];
        let request = (asked.from == datagram.to).then_some(asked.octets.as_slice());
        View::reply(&datagram.octets, request)
    } else {
        View::request(&datagram.octets)
    };
    assert!(matches!(view.direction(), Direction::Request | Direction::Reply));
    view.fields().iter().map(|field| (field.label(), field.octets().start, field.octets().len())).collect()
}

/// The same, as sharkd shows them: `.... ...0 = Format: integer (0)` is the field `Format`.
fn of_tree(tree: &Value) -> Vec<(String, usize, usize)> {
    let marks = fields::marks(tree).into_iter().map(|(label, start, length)| {
        let name = label.rsplit(" = ").next().unwrap().split(':').next().unwrap();
        (name.to_owned(), start as usize, length as usize)
    });
    marks.filter(|(name, ..)| !GENERATED.contains(&name.as_str())).collect()
}

#[test]
fn fields_have_the_names_and_places_of_view() {
    let desk = Desk::new();
    let capture = desk.path("names.pcapng");
    let traffic = fields::conversation();
    traffic.write(&capture);
    let frames: Vec<usize> = (1..=traffic.datagrams.len()).collect();
    for (frame, tree) in frames.iter().zip(desk.click(&capture, &frames)) {
        assert_eq!(of_tree(&tree), of_view(&traffic, frame - 1), "frame {frame}");
    }
}

/// docs/wireshark/README.md lists every field and expert item, and no others.
#[test]
fn the_readme_lists_every_field() {
    let readme = std::fs::read_to_string(dissector().with_file_name("README.md")).unwrap();
    let listed: BTreeSet<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `calc6."))
        .filter_map(|line| line.split_once("` |"))
        .map(|(name, _)| name)
        .collect();
    let desk = Desk::new();
    desk.install_plugin();
    let mut tshark = desk.command("tshark");
    tshark.args(["-G", "fields"]);
    let registered = run(tshark);
    let registered: BTreeSet<&str> = registered
        .lines()
        .filter(|line| line.starts_with("F\t"))
        .filter_map(|line| line.split('\t').nth(2)?.strip_prefix("calc6."))
        .collect();
    assert_eq!(listed, registered);
}
