//! `service-config.json`: what it says must fit the API and the defaults of this client.

use std::{collections::BTreeSet, fs};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;

fn config() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/service-config.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Every RPC of the API, and whether it streams.
fn rpcs() -> Vec<(String, bool)> {
    let files = FileDescriptorSet::decode(kuota_api::FILE_DESCRIPTOR_SET).unwrap().file;
    let mut rpcs = Vec::new();
    for file in files.iter().filter(|file| file.package() == "kuota.v1") {
        for service in &file.service {
            for method in &service.method {
                let name = format!("kuota.v1.{}/{}", service.name(), method.name());
                rpcs.push((name, method.server_streaming() || method.client_streaming()));
            }
        }
    }
    rpcs
}

fn methods(entry: &Value) -> Vec<String> {
    let name =
        |name: &Value| format!("{}/{}", name["service"].as_str().unwrap(), name["method"].as_str().unwrap());
    entry["name"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn every_rpc_is_named_once_and_nothing_else() {
    let config = config();
    let named: Vec<String> = config["methodConfig"].as_array().unwrap().iter().flat_map(methods).collect();
    let once: BTreeSet<&String> = named.iter().collect();
    assert_eq!(once.len(), named.len(), "{named:?}");
    let rpcs = rpcs();
    assert_eq!(rpcs.iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), once);
}

#[test]
fn unary_calls_are_retried_streams_are_not_and_only_reads_wait_for_a_connection() {
    let streaming: BTreeSet<String> =
        rpcs().into_iter().filter(|(_, streams)| *streams).map(|(name, _)| name).collect();
    for entry in config()["methodConfig"].as_array().unwrap() {
        for method in methods(entry) {
            let is_stream = streaming.contains(&method);
            assert_eq!(entry["retryPolicy"].is_null(), is_stream, "{method}");
            assert_eq!(entry["timeout"].is_null(), is_stream, "{method}");
            let is_read = ["/Get", "/List"].iter().any(|read| method.contains(read));
            assert_eq!(entry["waitForReady"].as_bool().unwrap_or(false), is_read, "{method}");
        }
        let policy = &entry["retryPolicy"];
        if !policy.is_null() {
            // gRPC libraries cap it at five.
            assert_eq!(
                (policy["maxAttempts"].as_u64(), &policy["retryableStatusCodes"]),
                (Some(5), &serde_json::json!(["UNAVAILABLE"]))
            );
            assert_eq!(
                (policy["initialBackoff"].as_str(), policy["maxBackoff"].as_str()),
                (Some("0.05s"), Some("2s"))
            );
        }
    }
    assert_eq!(config()["retryThrottling"], serde_json::json!({ "maxTokens": 100, "tokenRatio": 0.1 }));
}
