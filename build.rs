//! Links the unwinder of GCC into the programs, where it is at hand, instead of loading libgcc_s.so at their start:
//! that takes a tenth of the wall time of a client that asks one question (`cargo bench --bench client`).

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let glibc = env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "gnu");
    let native = env::var("HOST") == env::var("TARGET");
    if glibc && native && archive_exists() {
        // Found before the system's, this linker script stands in for the shared library.
        let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        if fs::write(folder.join("libgcc_s.so"), "INPUT ( -lgcc_eh )\n").is_ok() {
            println!("cargo::rustc-link-arg-bins=-L{}", folder.display());
        }
    }
}

/// Whether the C compiler has libgcc_eh.a; it prints the bare name where not.
fn archive_exists() -> bool {
    let asked = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    asked.is_ok_and(|answer| PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim()).is_absolute())
}
