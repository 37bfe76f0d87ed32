//! The C interface, as `make capi` builds it: every call that it makes, and real exchanges on ::1.
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// target/release, with what `make capi` left there.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("the path of this test");
        let target = test.ancestors().nth(3).expect("target/PROFILE/deps").to_owned();
        let make = Command::new("make")
            .args(["--no-print-directory", "capi", &format!("CARGO={}", env!("CARGO"))])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .output()
            .expect("make: apt-get install make");
        assert!(make.status.success(), "{}", String::from_utf8_lossy(&make.stderr));
        target.join("release")
    })
}

/// Compiles tests/capi/NAME.c with these arguments.
fn compile(name: &str, args: &[String]) -> PathBuf {
    compile_as(name, name, args)
}

fn compile_as(name: &str, program: &str, args: &[String]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("capi-{program}"));
    let gcc = Command::new("gcc")
        .args(["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/capi").join(name).with_extension("c"))
        .arg("-I")
        .arg(built())
        .args(args)
        .output()
        .expect("gcc: apt-get install gcc");
    assert!(gcc.status.success(), "{}", String::from_utf8_lossy(&gcc.stderr));
    program
}

#[test]
fn every_call_is_that_of_the_exercise() {
    run_wrapped(compile("wrapped", &wrapped()));
    for exercise in ["1", "2", "3"] {
        let define = format!("-DCALC6_EXERCISE={exercise}");
        let mut args = wrapped();
        // One header for both tests: not every test needs every call of it.
        args.extend([define, "-Wno-unused-function".to_owned()]);
        run_wrapped(compile_as("first", &format!("first-{exercise}"), &args));
    }
}

/// The static library, with libc's socket calls replaced by those of tests/capi/wrap.h.
fn wrapped() -> Vec<String> {
    let calls = ["socket", "connect", "bind", "send", "recv", "recvfrom", "sendto", "close"];
    let mut args = vec![built().join("libcalc6.a").to_str().expect("a path in UTF-8").to_owned()];
    args.extend(calls.map(|call| format!("-Wl,--wrap={call}")));
    args
}

fn run_wrapped(program: PathBuf) {
    let output = Command::new(program).output().expect("the test program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_shared_library_exports_the_five_functions() {
    let library = built().join("libcalc6.so");
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output().expect("nm, of package binutils");
    let listing = String::from_utf8(nm.stdout).expect("names");
    let mut names: Vec<&str> = listing.lines().filter_map(|line| line.split(' ').next_back()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "calc6_exercise1_create_and_send_message",
            "calc6_exercise2_recv_and_handle_message",
            "calc6_exercise3_recv_and_handle_message",
            "create_and_send_message",
            "recv_and_handle_message"
        ]
    );
}

#[test]
fn the_header_is_cpp_too() {
    for (define, accepted) in [
        ("-DANYTHING", true),
        ("-DCALC6_EXERCISE=1", true),
        ("-DCALC6_EXERCISE=3", true),
        ("-DCALC6_EXERCISE=6", false),
    ] {
        let check = Command::new("g++")
            .args(["-x", "c++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", define])
            .arg(built().join("calc6.h"))
            .output()
            .expect("g++: apt-get install g++");
        assert_eq!(check.status.success(), accepted, "{define}: {}", String::from_utf8_lossy(&check.stderr));
    }
}

#[test]
fn the_server_function_answers_the_client_function() {
    let live = live();
    let port = free_port();
    let mut server = Command::new(&live).args(["server", &port, "4"]).spawn().expect("the server");
    for (args, result) in [
        (["+", "d", "1", "3", "5", "7", "9"], "25\n"),
        (["*", "s", "1", "3", "5", "7", "9"], "945\n"),
        (["+", "s", "4294967295", "0", "0", "0", "0"], "-1\n"),
    ] {
        assert_eq!(String::from_utf8_lossy(&ask(&live, &port, &args).stdout), result, "{args:?}");
    }
    // Twice 2^32 - 1 does not fit 32 bits: an error.
    let refused = ask(&live, &port, &["+", "d", "-1", "-1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Operation not supported"));
    assert!(server.wait().expect("the server's end").success());
}

#[test]
fn the_server_function_answers_the_client() {
    let live = live();
    let port = free_port();
    let mut server = Command::new(&live).args(["server", &port, "1"]).spawn().expect("the server");
    // The client tries a port that refuses again; if the server starts even later, so do we.
    let deadline = Instant::now() + Duration::from_secs(20);
    let output = loop {
        let client = Command::new(env!("CARGO_BIN_EXE_client"))
            .args(["-op", "*", "-s", "::1", &port, "1", "3", "5", "7", "9"])
            .output()
            .expect("the client");
        if client.status.success() || Instant::now() > deadline {
            break client;
        }
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Result: 945\n");
    assert!(server.wait().expect("the server's end").success());
}

#[test]
fn the_client_function_asks_the_server() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_server"))
        .args(["::1", "0"])
        .stderr(Stdio::piped())
        .spawn()
        .map(Stopped)
        .expect("the server");
    let mut lines = BufReader::new(server.0.stderr.take().expect("stderr is piped")).lines();
    let listening =
        lines.find_map(|line| line.ok()?.split_once("listening on [::1]:").map(|(_, port)| port.to_owned()));
    let port = listening.expect("a server that listens");
    let live = live();
    for (args, result) in [
        (&["+", "d", "1", "3", "5", "7", "9"][..], "25\n"),
        (&["*", "s", "1", "3", "5", "7", "9"], "945\n"),
        (&["+", "d", "4294967294", "1"], "-1\n"),
    ] {
        assert_eq!(String::from_utf8_lossy(&ask(&live, &port, args).stdout), result, "{args:?}");
    }
    // 2^32 - 1 twice is over 32 bits: the server's error.
    assert_eq!(ask(&live, &port, &["+", "d", "-1", "-1"]).status.code(), Some(1));
}

/// A process that ends with the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_server_function_answers_a_socket() {
    let live = live();
    let port = free_port();
    let mut server = Command::new(&live).args(["server", &port, "1"]).spawn().expect("the server");
    let socket = UdpSocket::bind("[::1]:0").expect("a socket");
    socket.connect(format!("[::1]:{port}")).expect("a peer");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let mut reply = [0; 300];
    // Until the server is bound, the port refuses.
    let deadline = Instant::now() + Duration::from_secs(20);
    let len = loop {
        let received = socket.send(b"\x71\0\0\0\x04\0\0\0\x02\0\0\0\x03").and_then(|_| socket.recv(&mut reply));
        match received {
            Ok(len) => break len,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    assert_eq!(&reply[..len], b"\xff9");
    assert!(server.wait().expect("the server's end").success());
}

#[test]
fn the_first_three_functions_on_real_sockets() {
    let odd = [1u32, 3, 5, 7, 9].map(u32::to_be_bytes).concat();
    let live = live();
    let socket = UdpSocket::bind("[::1]:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let port = socket.local_addr().expect("its address").port().to_string();
    assert!(Command::new(&live).args(["exercise1", &port]).status().expect("the client").success());
    let mut received = [0; 100];
    let len = socket.recv(&mut received).expect("the odd digits");
    assert_eq!(received[..len], odd);

    for (exercise, sum) in [("exercise2", &b"\0\0\0\x19"[..]), ("exercise3", b"25")] {
        let port = free_port();
        let mut server = Command::new(&live).args([exercise, &port]).spawn().expect("the server");
        let socket = UdpSocket::bind("[::1]:0").expect("a socket");
        socket.connect(format!("[::1]:{port}")).expect("a peer");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        // Until the server is bound, the port refuses.
        let deadline = Instant::now() + Duration::from_secs(20);
        let len = loop {
            match socket.send(&odd).and_then(|_| socket.recv(&mut received)) {
                Ok(len) => break len,
                Err(error) => assert!(Instant::now() < deadline, "{exercise}: {error}"),
            }
        };
        assert_eq!(&received[..len], sum);
        assert!(server.wait().expect("the server's end").success());
    }
}

fn live() -> PathBuf {
    static LIVE: OnceLock<PathBuf> = OnceLock::new();
    let compiled = || {
        let folder = built().to_str().expect("a path in UTF-8");
        compile("live", &["-L".into(), folder.into(), "-lcalc6".into(), format!("-Wl,-rpath,{folder}")])
    };
    LIVE.get_or_init(compiled).clone()
}

/// A port that was free a moment ago. The functions take port 0, but do not say which one the kernel chose.
fn free_port() -> String {
    let socket = UdpSocket::bind("[::1]:0").expect("a socket");
    socket.local_addr().expect("its address").port().to_string()
}

/// Runs the client function; again while no server listens, and if its datagram reached a socket that was being closed.
fn ask(live: &Path, port: &str, args: &[&str]) -> Output {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let output = Command::new(live).args(["client", port]).args(args).output().expect("the client");
        let refused = String::from_utf8_lossy(&output.stderr).contains("Connection refused");
        if !refused && output.status.code().is_some() || Instant::now() > deadline {
            return output;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
