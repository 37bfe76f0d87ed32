use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;

const REQUEST: &[u8] = &[0x00, 0, 0, 0, 1];
const CLIENT: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SERVER: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

fn udp6(payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv6(CLIENT, SERVER, 64).udp(4000, 10000).write(&mut packet, payload).unwrap();
    packet
}

fn udp4(payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 2], 64).udp(10000, 4000).write(&mut packet, payload).unwrap();
    packet
}

/// A pcap file in network byte order, timestamps in microseconds.
fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0x0004_0000, link] {
        file.extend(u32::to_be_bytes(word));
    }
    for (number, packet) in packets.iter().enumerate() {
        for word in [number as u32, 500_000, packet.len() as u32, packet.len() as u32] {
            file.extend(word.to_be_bytes());
        }
        file.extend(packet);
    }
    file
}

fn read(file: Vec<u8>) -> (Vec<Result<CapturedDatagram, String>>, LeftOut) {
    let mut capture = match Capture::new(Box::new(Cursor::new(file)), 10000) {
        Ok(capture) => capture,
        Err(error) => return (vec![Err(error)], LeftOut::default()),
    };
    let mut read = Vec::new();
    while let Some(datagram) = capture.next_datagram() {
        let failed = datagram.is_err();
        read.push(datagram);
        if failed {
            break;
        }
    }
    (read, capture.left_out)
}

#[test]
fn every_link_type() {
    let after = |header: &[u8], packet: Vec<u8>| [header, &packet].concat();
    let mut cooked = [0; 16];
    cooked[14..].copy_from_slice(&[0x86, 0xdd]);
    let mut cooked2 = [0; 20];
    cooked2[..2].copy_from_slice(&[0x86, 0xdd]);
    let ethernet = [&[0; 12][..], &[0x86, 0xdd]].concat();
    let vlan = [&[0; 12][..], &[0x81, 0x00, 0, 7, 0x86, 0xdd]].concat();
    for (link, packet) in [
        (0, after(&[30, 0, 0, 0], udp6(REQUEST))),
        (1, after(&ethernet, udp6(REQUEST))),
        (1, after(&vlan, udp6(REQUEST))),
        (101, udp6(REQUEST)),
        (108, after(&[0, 0, 0, 24], udp6(REQUEST))),
        (113, after(&cooked, udp6(REQUEST))),
        (229, udp6(REQUEST)),
        (276, after(&cooked2, udp6(REQUEST))),
    ] {
        let (read, _) = read(pcap(link, &[packet]));
        let [Ok(captured)] = &read[..] else { panic!("link type {link}: {read:?}") };
        assert_eq!((&captured.octets[..], captured.message), (REQUEST, Some(Direction::Request)), "link type {link}");
        assert_eq!(captured.to.to_string(), "[fe80::2]:10000");
    }
    let (read, left_out) = read(pcap(147, &[udp6(REQUEST)]));
    assert_eq!((read, left_out), (vec![], LeftOut { link_types: 1, ..LeftOut::default() }));
}

#[test]
fn payloads_of_pasted_packets() {
    let ethernet = [&[0; 12][..], &[0x86, 0xdd], &udp6(REQUEST)].concat();
    assert_eq!(payload(&udp6(REQUEST)).as_deref(), Some(REQUEST));
    assert_eq!(payload(&udp4(REQUEST)).as_deref(), Some(REQUEST));
    assert_eq!(payload(&ethernet).as_deref(), Some(REQUEST));
    assert_eq!(payload(&[udp6(REQUEST), vec![0]].concat()), None);
    for octets in [&[][..], REQUEST, &[0x60; 60], &[0; 300]] {
        assert_eq!(payload(octets), None);
    }
}

#[test]
fn the_likeliest_port_of_the_server_comes_first() {
    let file = pcap(101, &[udp6(REQUEST), udp4(b"\xff\0\0\0\x01"), udp6(REQUEST)]);
    assert_eq!(ports(&file), Ok(vec![10000, 4000]));
    assert_eq!(ports(&pcap(101, &[])), Ok(vec![]));
    assert!(ports(b"no capture").is_err());
}

#[test]
fn extension_headers_fragments_and_other_protocols() {
    // Hop-by-hop options (RFC 8200, section 4.3): next header UDP, length 0, a PadN of four octets.
    let with = |next: u8, extension: &[u8]| {
        let mut packet = udp6(REQUEST);
        packet[6] = next;
        packet[5] += extension.len() as u8;
        packet.splice(40..40, extension.iter().copied());
        packet
    };
    let options = with(0, &[17, 0, 1, 4, 0, 0, 0, 0]);
    // A fragment header (section 4.5): offset 0, more to follow.
    let fragment = with(44, &[17, 0, 0, 1, 0, 0, 0, 9]);
    let mut tcp = Vec::new();
    PacketBuilder::ipv6(CLIENT, SERVER, 64).tcp(4000, 10000, 0, 0).write(&mut tcp, &[]).unwrap();
    let mut other_port = Vec::new();
    PacketBuilder::ipv6(CLIENT, SERVER, 64).udp(1, 2).write(&mut other_port, REQUEST).unwrap();
    let packets = [options, udp4(b"\xff\0\0\0\x01"), fragment, tcp, other_port, vec![0x60], vec![]];
    let (read, left_out) = read(pcap(101, &packets));
    let messages: Vec<_> = read.iter().map(|read| read.as_ref().unwrap().message).collect();
    assert_eq!(messages, [Some(Direction::Request), Some(Direction::Reply)]);
    assert_eq!(left_out, LeftOut { other: 2, fragments: 1, unreadable: 2, ..LeftOut::default() });
}

#[test]
fn what_the_capture_cut_off_is_counted() {
    let mut packet = udp6(&[0; 65]);
    packet.truncate(packet.len() - 60);
    let (read, _) = read(pcap(101, &[packet]));
    let captured = read[0].as_ref().unwrap();
    assert_eq!((captured.octets.len(), captured.missing), (5, 60));
}

#[test]
fn times_count_from_the_first_datagram() {
    let (read, _) = read(pcap(101, &[vec![], udp6(REQUEST), udp6(REQUEST)]));
    let times: Vec<_> = read.into_iter().map(|read| read.unwrap().time).collect();
    assert_eq!(times, [Duration::ZERO, Duration::from_secs(1)]);
}

#[test]
fn the_units_of_pcapng() {
    let since =
        |units, options| since_1970(units, &InterfaceDescriptionBlock { linktype: DataLink::RAW, snaplen: 0, options });
    let resolution = |octet| vec![InterfaceDescriptionOption::IfTsResol(octet)];
    assert_eq!(since(1_500_000, vec![]), Duration::from_millis(1500));
    assert_eq!(since(1_500_000_000, resolution(9)), Duration::from_millis(1500));
    assert_eq!(since(3 << 9, resolution(0x80 | 10)), Duration::from_millis(1500));
    assert_eq!(since(u64::MAX, resolution(0)), Duration::from_secs(u64::MAX));
    assert_eq!(since(u64::MAX, resolution(0xff)), Duration::ZERO);
    assert_eq!(since(u64::MAX, resolution(39)), Duration::ZERO);
}

#[test]
fn damaged_captures() {
    let whole = pcap(101, &[udp6(REQUEST), udp6(REQUEST)]);
    let (read_part, _) = read(whole[..whole.len() - 1].to_vec());
    assert_eq!(read_part[1], Err("the capture is damaged: it ends early".to_owned()));
    let (none, _) = read(b"#!/bin/sh\n".to_vec());
    assert!(none[0].as_ref().unwrap_err().starts_with("neither pcap nor pcapng"));
    assert!(read(vec![]).0[0].is_err());
}

proptest! {
    #[test]
    fn no_capture_makes_it_panic(octets in prop::collection::vec(any::<u8>(), 0..200), place: usize, ng: bool, link in 0..300u32) {
        let mut file = if ng {
            let mut file = Vec::new();
            let mut capture = crate::pcap::CaptureWriter::new(&mut file, &[("a", "b")]).unwrap();
            let (from, to) = ("[::1]:4000".parse().unwrap(), "[::1]:10000".parse().unwrap());
            let record = crate::pcap::Record {
                interface: 0,
                time: std::time::UNIX_EPOCH,
                direction: crate::pcap::PacketDirection::In,
                from,
                to,
                payload: REQUEST,
                comment: "c",
            };
            capture.record(record).unwrap();
            drop(capture);
            file
        } else {
            pcap(link, &[udp6(REQUEST), octets.clone()])
        };
        let start = place % (file.len() + 1);
        for (octet, other) in file[start..].iter_mut().zip(octets.iter().take(6)) {
            *octet ^= other;
        }
        read(file);
        read(octets);
    }
}
