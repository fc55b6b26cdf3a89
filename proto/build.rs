//! Compiles the `.proto` files with protox, so that no machine needs `protoc`.

use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: [&str; 4] = ["proto/ring.proto", "proto/replica.proto", "proto/kv.proto", "proto/admin.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let descriptor_path = PathBuf::from(env::var("OUT_DIR")?).join("shoal_descriptor.bin");
    fs::write(&descriptor_path, descriptors.encode_to_vec())?;
    tonic_build::configure()
        .bytes(["."])
        .file_descriptor_set_path(descriptor_path)
        .skip_protoc_run()
        .compile_protos(&PROTOS, &["proto"])?;
    // What real builds include, once more with a codec of our own, which madsim's generator cannot be told.
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::codec::BoundedCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
