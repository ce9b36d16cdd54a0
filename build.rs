//! Compiles `proto/` with protox: no protoc is needed on the machine.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const API: [&str; 9] = [
    "kuota/v1/lane.proto",
    "kuota/v1/passport.proto",
    "kuota/v1/payment.proto",
    "kuota/v1/refusal.proto",
    "kuota/v1/registration.proto",
    "kuota/v1/registration_service.proto",
    "kuota/v1/office_service.proto",
    "kuota/v1/availability_service.proto",
    "kuota/v1/admin_service.proto",
];
const STORED: [&str; 1] = ["kuota/log/v1/event.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let api = protox::compile(API, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), api.encode_to_vec())?;
    tonic_prost_build::configure().extern_path(".google.rpc", "::tonic_types::pb").compile_fds(api)?;
    tonic_prost_build::configure().compile_fds(protox::compile(STORED, ["proto"])?)?;
    Ok(())
}
