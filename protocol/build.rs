//! Compiles `proto/` in pure Rust (no system `protoc`): messages, and the gRPC stubs and their descriptors
//! with feature `grpc`.

use std::{env, error::Error, fs, path::Path};

const FILES: [&str; 11] = [
    "xmtp/message_contents/signature.proto",
    "xmtp/message_contents/public_key.proto",
    "xmtp/message_contents/private_key.proto",
    "xmtp/message_contents/ciphertext.proto",
    "xmtp/message_contents/contact.proto",
    "xmtp/message_contents/invitation.proto",
    "xmtp/message_contents/content.proto",
    "xmtp/message_contents/message.proto",
    "xmtp/message_contents/private_preferences.proto",
    "xmtp/message_api/v1/authn.proto",
    "xmtp/keystore_api/v1/keystore.proto",
];
const SERVICE: &str = "xmtp/message_api/v1/message_api.proto";
const DESCRIPTORS: &str = "message_api.descriptors";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files: Vec<&str> = FILES.into_iter().chain([SERVICE]).collect();
    let descriptors = protox::compile(&files, ["proto"])?;
    let grpc = env::var_os("CARGO_FEATURE_GRPC").is_some();
    if grpc {
        let mut service = protox::Compiler::new(["proto"])?;
        service.include_imports(true).open_file(SERVICE)?;
        let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
        fs::write(
            Path::new(&out).join(DESCRIPTORS),
            service.encode_file_descriptor_set(),
        )?;
    }
    let mut messages = prost_build::Config::new();
    messages.bytes([".xmtp.message_api.v1.Envelope"]).btree_map(["."]);
    tonic_prost_build::configure()
        .build_client(grpc)
        .build_server(grpc)
        .build_transport(false)
        .codec_path("crate::codec::Codec")
        .compile_fds_with_config(descriptors, messages)?;
    Ok(())
}
