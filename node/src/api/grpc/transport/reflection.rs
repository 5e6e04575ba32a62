//! Server reflection: tools like `grpcurl` ask a node what it can be asked.

#![expect(
    clippy::expect_used,
    reason = "the descriptors are part of the program, and every test starts a node"
)]

use herald_protocol::proto::api;
use tonic_reflection::server::{Builder, v1, v1alpha};

pub(super) fn v1() -> v1::ServerReflectionServer<impl v1::ServerReflection> {
    described().build_v1().expect("descriptors of the build decode")
}

/// The same under its older name, which many tools still ask for.
pub(super) fn v1alpha() -> v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection> {
    described()
        .build_v1alpha()
        .expect("descriptors of the build decode")
}

fn described() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(api::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
