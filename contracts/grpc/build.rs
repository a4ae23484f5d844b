//! Compiles `contracts/proto` with a compiler written in Rust, so that no machine needs `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs, io};

use prost::Message as _;

const ROOT: &str = "../proto";
const FOLDER: &str = "../proto/millrace/v1";

fn main() -> Result<(), Box<dyn Error>> {
    // The folder, so that a new file is seen too.
    println!("cargo::rerun-if-changed={FOLDER}");

    let descriptors = protox::compile(proto_files()?, [ROOT])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    fs::write(out.join("millrace_descriptor.bin"), descriptors.encode_to_vec())?;

    tonic_prost_build::configure()
        // An order is much larger than a problem; boxed, a batch of refusals stays small.
        .boxed(".millrace.v1.PlaceOrderOutcome.outcome.order")
        .compile_fds(descriptors)?;
    Ok(())
}

/// Every contract, sorted so that the same sources give the same bytes on every machine.
fn proto_files() -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(FOLDER)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
