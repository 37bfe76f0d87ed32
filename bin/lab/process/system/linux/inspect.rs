//! What the kernel knows of a started program: its descendants, and their sockets and descriptors (proc(5)).

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::process::Pid;

use super::super::{KernelSocket, Transport, Usage};

/// A started program and its descendants.
#[derive(Clone, Debug)]
pub struct Family {
    leader: Pid,
    /// `NAME=VALUE` in the environment of all of them.
    mark: String,
}

impl Family {
    /// The descendants of `leader` are in its process group, or have `mark` in their environment.
    pub fn new(leader: Pid, mark: String) -> Self {
        Self { leader, mark }
    }

    /// The running members that have left the leader's process group.
    pub fn outside_group(&self) -> Vec<Pid> {
        let members = processes().into_iter().filter(|process| self.has(process) && process.group != self.leader_id());
        members.filter_map(|process| Pid::from_raw(process.id)).collect()
    }

    /// The resources that they use now.
    pub fn usage(&self) -> Usage {
        let all = processes();
        let members: Vec<&Process> = all.iter().filter(|process| self.has(process)).collect();
        // A zombie has no environment any more, so it is identified by its parent.
        let parents: HashSet<i32> = members.iter().map(|member| member.id).collect();
        let zombies = all.iter().filter(|process| process.zombie && parents.contains(&process.parent)).count();
        let entries = |member: &&Process, folder| {
            fs::read_dir(format!("/proc/{}/{folder}", member.id)).map_or(0, Iterator::count)
        };
        Usage {
            processes: members.len(),
            zombies,
            threads: members.iter().map(|member| entries(member, "task")).sum(),
            descriptors: members.iter().map(|member| entries(member, "fd")).max().unwrap_or(0),
        }
    }

    /// Whether any member runs.
    pub fn runs(&self) -> bool {
        processes().iter().any(|process| self.has(process))
    }

    /// Their sockets in the tables of a transport.
    pub fn sockets(&self, transport: Transport) -> Vec<KernelSocket> {
        let inodes = self.socket_inodes();
        sockets(transport).into_iter().filter(|socket| inodes.contains(&socket.identity())).collect()
    }

    /// Whether they have a socket of any kind, bound or not.
    pub fn has_sockets(&self) -> bool {
        !self.socket_inodes().is_empty()
    }

    fn socket_inodes(&self) -> HashSet<u64> {
        let members = processes().into_iter().filter(|process| self.has(process));
        let descriptors = members.flat_map(|member| fs::read_dir(format!("/proc/{}/fd", member.id))).flatten();
        let targets = descriptors.flatten().filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
        let inode = |target: std::path::PathBuf| {
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        };
        targets.filter_map(inode).collect()
    }

    fn leader_id(&self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    fn has(&self, process: &Process) -> bool {
        if process.zombie {
            return false;
        }
        let marked = || {
            let environment = fs::read(format!("/proc/{}/environ", process.id)).unwrap_or_default();
            environment.split(|octet| *octet == 0).any(|variable| variable == self.mark.as_bytes())
        };
        process.group == self.leader_id() || marked()
    }
}

/// One line of a table: the sockets of this thread's network namespace.
pub fn sockets(transport: Transport) -> Vec<KernelSocket> {
    let files = match transport {
        Transport::Udp => ["udp6", "udp"],
        Transport::Tcp => ["tcp6", "tcp"],
    };
    let tables = files.map(|file| fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines.filter_map(|line| socket(line, transport)).collect()
}

/// The UDP socket that receives datagrams for `address`, if there is one.
pub fn socket_at(address: SocketAddr) -> Option<KernelSocket> {
    sockets(Transport::Udp).into_iter().find(|socket| socket.serves(address))
}

/// `sl local remote state tx:rx … uid timeout inode …`: proc_net(5).
fn socket(line: &str, transport: Transport) -> Option<KernelSocket> {
    const LISTEN: &str = "0A";
    let words: Vec<&str> = line.split_whitespace().collect();
    if transport == Transport::Tcp && words.get(3) != Some(&LISTEN) {
        return None;
    }
    let (_, waiting) = words.get(4)?.split_once(':')?;
    Some(KernelSocket {
        local: address(words.get(1)?)?,
        remote: address(words.get(2)?)?,
        waiting: u64::from_str_radix(waiting, 16).ok()?,
        identity: words.get(9)?.parse().ok()?,
    })
}

/// An address in hexadecimal: 32-bit words in the machine's order, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words = ip.as_bytes().chunks(8).map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok());
    let octets: Vec<u8> = words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip = match <[u8; 4]>::try_from(&octets[..]) {
        Ok(four) => IpAddr::from(Ipv4Addr::from(four)),
        Err(_) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

struct Process {
    id: i32,
    parent: i32,
    group: i32,
    zombie: bool,
}

fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// `pid (name) state parent group …`: proc_pid_stat(5). A name may hold any character, so the last parenthesis counts.
fn process(id: i32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    Some(Process { id, zombie, parent: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_bound_socket_is_seen() {
        let socket = UdpSocket::bind("[::1]:0").unwrap();
        let address = socket.local_addr().unwrap();
        let seen = socket_at(address).unwrap();
        assert_eq!((seen.local, seen.remote.port(), seen.waiting), (address, 0, 0));
        socket.send_to(b"x", address).unwrap();
        assert!(socket_at(address).unwrap().waiting > 0);
        drop(socket);
        assert_eq!(socket_at(address), None);
    }

    #[test]
    fn this_process_is_seen() {
        let id = std::process::id() as i32;
        let this = process(id).unwrap();
        assert!(!this.zombie && this.group > 0 && this.parent > 0);
        let family = Family::new(Pid::from_raw(this.group).unwrap(), "NO=mark".into());
        let usage = family.usage();
        assert!(usage.processes >= 1 && usage.threads >= 1 && usage.descriptors >= 3, "{usage:?}");
    }
}
