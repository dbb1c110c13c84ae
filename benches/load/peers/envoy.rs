//! Envoy, with and without its AWS request signer: the one peer that does what we do, if only with a credential from its
//! configuration and for whoever comes.

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Ground, write};
use crate::certificates;
use crate::stage::{HOST, REGION, SECRET, SIGNER, TOKEN};

/// The kinds of what is configured, as the configuration has them.
const KIND: &str = "type.googleapis.com/envoy.extensions";

/// Writes its configuration, and tells it so. One worker, nothing logged, no header of its own added.
pub(super) fn prepare(command: &mut Command, ground: &Ground<'_>, (port, signs): (u16, bool)) -> anyhow::Result<()> {
    certificates::leaf(&ground.folder, HOST)?;
    let config = json!({ "static_resources": {
        "listeners": [{
            "address": address(port),
            "filter_chains": [{
                "transport_socket": programs(ground),
                "filters": [kind("envoy.filters.network.http_connection_manager", "filters.network.http_connection_manager.v3.HttpConnectionManager", json!({
                    "stat_prefix": "bench", "codec_type": "HTTP1", "generate_request_id": false,
                    "server_header_transformation": "PASS_THROUGH",
                    "http_filters": filters(signs),
                    "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
                        { "match": { "prefix": "/" }, "route": { "cluster": "origin", "timeout": "0s" } },
                    ]}]},
                }))],
            }],
        }],
        "clusters": [{
            "name": "origin", "type": "STATIC", "transport_socket": origin(ground),
            "load_assignment": { "cluster_name": "origin", "endpoints": [
                { "lb_endpoints": [{ "endpoint": { "address": address(ground.origin.0) } }] },
            ]},
        }],
    }});
    let file = ground.folder.join("envoy.json");
    write(&file, &config.to_string())?;
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c"]).arg(file);
    Ok(())
}

/// The signer leaves bodies out of its signature, as ours does where the program did; else it would hold them.
fn filters(signs: bool) -> Vec<Value> {
    let signer = kind(
        "envoy.filters.http.aws_request_signing",
        "filters.http.aws_request_signing.v3.AwsRequestSigning",
        json!({
            "service_name": "s3", "region": REGION, "use_unsigned_payload": true,
            "credential_provider": { "inline_credential": {
                "access_key_id": SIGNER, "secret_access_key": SECRET, "session_token": TOKEN.trim(),
            }},
        }),
    );
    let router =
        kind("envoy.filters.http.router", "filters.http.router.v3.Router", json!({ "suppress_envoy_headers": true }));
    signs.then_some(signer).into_iter().chain([router]).collect()
}

fn programs(ground: &Ground<'_>) -> Value {
    let [certificate, key] = ["leaf.pem", "leaf.key"].map(|name| ground.folder.join(name));
    tls(
        "Downstream",
        json!({ "common_tls_context": {
            "tls_params": newest(),
            "tls_certificates": [{ "certificate_chain": { "filename": certificate }, "private_key": { "filename": key } }],
        }}),
    )
}

fn origin(ground: &Ground<'_>) -> Value {
    tls(
        "Upstream",
        json!({ "sni": HOST, "common_tls_context": {
            "tls_params": newest(),
            "validation_context": {
                "trusted_ca": { "filename": ground.origin.1 },
                "match_typed_subject_alt_names": [{ "san_type": "DNS", "matcher": { "exact": HOST } }],
            },
        }}),
    )
}

/// TLS 1.3, as all others.
fn newest() -> Value {
    json!({ "tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3" })
}

fn tls(side: &str, config: Value) -> Value {
    kind("envoy.transport_sockets.tls", &format!("transport_sockets.tls.v3.{side}TlsContext"), config)
}

fn kind(name: &str, of: &str, mut config: Value) -> Value {
    config["@type"] = format!("{KIND}.{of}").into();
    json!({ "name": name, "typed_config": config })
}

fn address(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}
