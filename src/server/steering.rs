//! The program with which the kernel chooses a worker for each datagram, so that a source prefix has one rate in the
//! whole process (SO_ATTACH_REUSEPORT_CBPF, socket(7)): [`Steering::worker`] in instructions of the classic BPF machine
//! (Linux, Documentation/networking/filter.rst), which computes with an accumulator A and an index register X.

use crate::limit::Steering;
use crate::net::Instruction;

/// Classes, sizes, modes, operations and jumps of instructions, of linux/bpf_common.h and linux/filter.h.
const BPF_LD: u32 = 0x00;
const BPF_LDX: u32 = 0x01;
const BPF_ST: u32 = 0x02;
const BPF_ALU: u32 = 0x04;
const BPF_JMP: u32 = 0x05;
const BPF_RET: u32 = 0x06;
const BPF_MISC: u32 = 0x07;
const BPF_W: u32 = 0x00;
const BPF_H: u32 = 0x08;
const BPF_B: u32 = 0x10;
const BPF_ABS: u32 = 0x20;
const BPF_MEM: u32 = 0x60;
const BPF_MUL: u32 = 0x20;
const BPF_OR: u32 = 0x40;
const BPF_AND: u32 = 0x50;
const BPF_RSH: u32 = 0x70;
const BPF_MOD: u32 = 0x90;
const BPF_XOR: u32 = 0xa0;
const BPF_JEQ: u32 = 0x10;
const BPF_K: u32 = 0x00;
const BPF_X: u32 = 0x08;
const BPF_A: u32 = 0x10;
const BPF_TAX: u32 = 0x00;

/// SKF_NET_OFF of linux/filter.h: offsets from here on are those in the IP header.
const NETWORK: u32 = -0x10_0000_i32 as u32;

/// Sources by their offsets: the version of the IP header, the source address, and the source port after a header
/// without options or extensions, as loopback has it.
const VERSION: u32 = NETWORK;
const SOURCE_IPV4: u32 = NETWORK + 12;
const PORT_IPV4: u32 = NETWORK + 20;
const SOURCE_IPV6: u32 = NETWORK + 8;
const PORT_IPV6: u32 = NETWORK + 40;

/// The places in the machine's memory of the two words that choose the worker ([`Steering::words`]).
const A: u32 = 0;
const B: u32 = 1;

/// The program that returns [`Steering::worker`] of a UDP datagram.
pub(super) fn program(steering: &Steering) -> Vec<Instruction> {
    let (ipv4, ipv6) = (ipv4_words(), ipv6_words());
    let mut program = vec![
        load(BPF_B, VERSION),
        immediate(BPF_ALU | BPF_RSH, 4),
        // Each path stores both words; the first ends with a jump over the second.
        skip_unless(4, ipv4.len() as u8 + 1),
    ];
    program.extend(ipv4);
    program.push(immediate(BPF_JMP, ipv6.len() as u32));
    program.extend(ipv6);
    program.extend(choose(steering));
    program
}

fn ipv4_words() -> Vec<Instruction> {
    vec![
        load(BPF_W, SOURCE_IPV4),
        immediate(BPF_ALU | BPF_AND, 0xff00_0000),
        skip_unless(0x7f00_0000, 5),
        // 127.0.0.0/8
        load(BPF_H, PORT_IPV4),
        immediate(BPF_ST, A),
        immediate(BPF_LD, 1),
        immediate(BPF_ST, B),
        immediate(BPF_JMP, 5),
        // Any other.
        load(BPF_W, SOURCE_IPV4),
        immediate(BPF_ALU | BPF_AND, 0xffff_ff00),
        immediate(BPF_ST, A),
        immediate(BPF_LD, 0xffff),
        immediate(BPF_ST, B),
    ]
}

fn ipv6_words() -> Vec<Instruction> {
    vec![
        // ::1 is three words of 0 and one of 1.
        load(BPF_W, SOURCE_IPV6),
        plain(BPF_MISC | BPF_TAX),
        load(BPF_W, SOURCE_IPV6 + 4),
        plain(BPF_ALU | BPF_OR | BPF_X),
        plain(BPF_MISC | BPF_TAX),
        load(BPF_W, SOURCE_IPV6 + 8),
        plain(BPF_ALU | BPF_OR | BPF_X),
        plain(BPF_MISC | BPF_TAX),
        load(BPF_W, SOURCE_IPV6 + 12),
        immediate(BPF_ALU | BPF_XOR, 1),
        plain(BPF_ALU | BPF_OR | BPF_X),
        skip_unless(0, 5),
        load(BPF_H, PORT_IPV6),
        immediate(BPF_ST, A),
        immediate(BPF_LD, 1),
        immediate(BPF_ST, B),
        immediate(BPF_JMP, 5),
        // Any other.
        load(BPF_W, SOURCE_IPV6),
        immediate(BPF_ST, A),
        load(BPF_W, SOURCE_IPV6 + 4),
        immediate(BPF_ALU | BPF_AND, 0xffff_0000),
        immediate(BPF_ST, B),
    ]
}

/// The hash of the two words, modulo the number of workers.
fn choose(steering: &Steering) -> Vec<Instruction> {
    let [first, second, third] = Steering::FACTORS;
    let [key_a, key_b] = steering.key();
    let mut program =
        vec![immediate(BPF_LD | BPF_MEM, A), immediate(BPF_ALU | BPF_XOR, key_a), immediate(BPF_ALU | BPF_MUL, first)];
    program.extend(fold(15));
    program.extend([
        immediate(BPF_LDX | BPF_MEM, B),
        plain(BPF_ALU | BPF_XOR | BPF_X),
        immediate(BPF_ALU | BPF_XOR, key_b),
        immediate(BPF_ALU | BPF_MUL, second),
    ]);
    program.extend(fold(13));
    program.push(immediate(BPF_ALU | BPF_MUL, third));
    program.extend(fold(16));
    program.push(immediate(BPF_ALU | BPF_MOD, steering.workers()));
    program.push(plain(BPF_RET | BPF_A));
    program
}

/// A ^ (A >> bits).
fn fold(bits: u32) -> [Instruction; 3] {
    [plain(BPF_MISC | BPF_TAX), immediate(BPF_ALU | BPF_RSH, bits), plain(BPF_ALU | BPF_XOR | BPF_X)]
}

/// Loads from the datagram.
fn load(size: u32, offset: u32) -> Instruction {
    immediate(BPF_LD | BPF_ABS | size, offset)
}

/// Continues if A is `value`, else skips some instructions.
fn skip_unless(value: u32, skipped: u8) -> Instruction {
    Instruction { jump_false: skipped, ..immediate(BPF_JMP | BPF_JEQ, value) }
}

fn plain(code: u32) -> Instruction {
    Instruction { code: code as u16, jump_true: 0, jump_false: 0, value: 0 }
}

/// An instruction whose operand is `value` (BPF_K and BPF_IMM are 0).
fn immediate(code: u32, value: u32) -> Instruction {
    Instruction { value, ..plain(code | BPF_K) }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use etherparse::PacketBuilder;

    use super::*;

    /// Runs a program on a packet that begins with its IP header, as the kernel does.
    fn run(program: &[Instruction], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut memory, mut at) = (0_u32, 0_u32, [0_u32; 16], 0);
        loop {
            let Instruction { code, jump_true, jump_false, value } = program[at];
            at += 1;
            let code = u32::from(code);
            let octets = |count: usize| {
                let start = value.wrapping_sub(NETWORK) as usize;
                packet[start..start + count].iter().fold(0, |word, octet| word << 8 | u32::from(*octet))
            };
            let operand = if code & BPF_X != 0 { x } else { value };
            match code & 7 {
                BPF_LD => {
                    a = match code & !7 {
                        mode if mode == BPF_ABS | BPF_W => octets(4),
                        mode if mode == BPF_ABS | BPF_H => octets(2),
                        mode if mode == BPF_ABS | BPF_B => octets(1),
                        BPF_MEM => memory[value as usize],
                        _ => value,
                    }
                }
                BPF_LDX => x = memory[value as usize],
                BPF_ST => memory[value as usize] = a,
                BPF_JMP if code & 0xf0 == BPF_JEQ => at += usize::from(if a == value { jump_true } else { jump_false }),
                BPF_JMP => at += value as usize,
                BPF_MISC => x = a,
                BPF_RET => return a,
                _ => {
                    a = match code & 0xf0 {
                        BPF_AND => a & operand,
                        BPF_OR => a | operand,
                        BPF_XOR => a ^ operand,
                        BPF_RSH => a >> operand,
                        BPF_MUL => a.wrapping_mul(operand),
                        BPF_MOD => a % operand,
                        other => panic!("operation {other:#x}"),
                    }
                }
            }
        }
    }

    #[test]
    fn the_program_computes_the_worker_of_every_kind_of_source() {
        let sources = ["::1", "::2", "0:0:0:1::1", "2001:db8:1:2::3", "::ffff:127.0.0.1", "::ffff:127.255.9.9"];
        let more = ["::ffff:192.0.2.7", "::ffff:126.1.2.3", "fe80::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"];
        for workers in [1, 2, 3, 64] {
            let steering = Steering::new([0x1234_5678, 0x9abc_def0], workers);
            let program = program(&steering);
            for (source, port) in sources.iter().chain(&more).flat_map(|text| [(text, 1024), (text, 65535)]) {
                let source: Ipv6Addr = source.parse().unwrap();
                let mut packet = Vec::new();
                match source.to_ipv4_mapped() {
                    Some(ipv4) => PacketBuilder::ipv4(ipv4.octets(), Ipv4Addr::LOCALHOST.octets(), 64)
                        .udp(port, 1)
                        .write(&mut packet, &[0]),
                    None => PacketBuilder::ipv6(source.octets(), Ipv6Addr::LOCALHOST.octets(), 64)
                        .udp(port, 1)
                        .write(&mut packet, &[0]),
                }
                .unwrap();
                assert_eq!(run(&program, &packet), steering.worker(source, port), "{source} {port}");
            }
        }
    }
}
