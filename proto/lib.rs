//! The API of Kuota as Rust types: what `proto/` says, and nothing else.

/// Package `kuota.v1`: the services other systems call.
#[expect(clippy::all, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("kuota.v1");
}

/// Package `kuota.log.v1`: the events as the log stores them.
pub mod log {
    /// Version 1 of the stored events.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/kuota.log.v1.rs"));
    }
}

/// The descriptors of `kuota.v1`, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
