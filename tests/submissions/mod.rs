//! Folders of submissions for `lab grade`, made of the programs of tests/wrong.

use std::fs;
use std::path::Path;

/// Builds such a submission.
pub const BUILD: &str = "gcc -O1 -o server server.c && gcc -O1 -o client client.c";

/// A submission with these mistakes; its sources are those of tests/wrong.
pub fn submission(folder: &Path, name: &str, server: &str, client: &str) {
    let folder = folder.join(name);
    fs::create_dir(&folder).unwrap();
    let source = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong").join(file);
        fs::read_to_string(path).unwrap()
    };
    let server = source("server.c").replace("fault = \"\";", &format!("fault = \"{server}\";"));
    let client = source("client.c").replace("fault = argv[1];", &format!("fault = \"{client}\";"));
    fs::write(folder.join("server.c"), server).unwrap();
    fs::write(folder.join("client.c"), client).unwrap();
}
