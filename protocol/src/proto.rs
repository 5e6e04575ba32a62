//! Generated protobuf types, wire-identical to the published XMTP definitions (`proto/`).
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::clone_on_ref_ptr,
    unused_qualifications,
    reason = "generated code"
)]

/// Package `xmtp`.
pub mod xmtp {
    /// What is inside envelopes.
    pub mod message_contents {
        include!(concat!(env!("OUT_DIR"), "/xmtp.message_contents.rs"));
    }
    /// The API between clients and nodes.
    pub mod message_api {
        /// Version 1, the one spoken by XMTP V1/V2 clients.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/xmtp.message_api.v1.rs"));

            /// The encoded `FileDescriptorSet` of the service and what it imports: what server reflection tells.
            #[cfg(feature = "grpc")]
            pub const FILE_DESCRIPTOR_SET: &[u8] =
                include_bytes!(concat!(env!("OUT_DIR"), "/message_api.descriptors"));
        }
    }
    /// What clients hand to other programs.
    pub mod keystore_api {
        /// Version 1.
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/xmtp.keystore_api.v1.rs"));
        }
    }
}

pub use xmtp::{keystore_api::v1 as keystore, message_api::v1 as api, message_contents as contents};
