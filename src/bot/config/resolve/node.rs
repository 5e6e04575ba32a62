//! `node`: where the bot publishes.

use std::net::IpAddr;

use super::report::Report;
use crate::bot::config::NodeAddress;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::spanned::Text;

/// Reads `built-in`, `local`, `grpc://HOST:PORT` or `grpcs://HOST:PORT`.
pub(super) fn resolve(report: &mut Report<'_>, text: &Text) -> Option<NodeAddress> {
    let node = match text.value.as_str() {
        "built-in" => Some(NodeAddress::BuiltIn),
        "local" => Some(NodeAddress::Local),
        other => parse_remote(other),
    };
    match &node {
        None => {
            let message = format!(
                "expected `built-in`, `local`, `grpc://HOST:PORT` or `grpcs://HOST:PORT`, found {}",
                quote(&text.value)
            );
            let hint = Report::meant(&text.value, ["built-in", "local"]).or_else(|| spelling(&text.value));
            report.wrong(text, Code::Node, message, hint);
        }
        Some(NodeAddress::Remote { host, tls: false, .. }) if !is_loopback(host) => {
            let message = format!("`{}` is reached without encryption", text.value);
            report.wrong(
                text,
                Code::PlainNode,
                message,
                Some("write `grpcs://` where the node has TLS".to_owned()),
            );
        }
        Some(_) => {}
    }
    node
}

fn parse_remote(text: &str) -> Option<NodeAddress> {
    let (scheme, authority) = text.split_once("://")?;
    let tls = match scheme {
        "grpc" => false,
        "grpcs" => true,
        _ => return None,
    };
    let (host, port) = authority.rsplit_once(':')?;
    let port = port
        .parse()
        .ok()
        .filter(|port| *port > 0 && authority.ends_with(|c: char| c.is_ascii_digit()))?;
    is_host(host).then(|| NodeAddress::Remote {
        host: host.to_owned(),
        port,
        tls,
    })
}

fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return matches!(inside.parse(), Ok(IpAddr::V6(_)));
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The address that was meant, where only the scheme or the port is not right.
fn spelling(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://").unwrap_or(("grpc", text));
    let scheme = if scheme.ends_with('s') { "grpcs" } else { "grpc" };
    let authority = authority.trim_end_matches('/');
    [
        format!("{scheme}://{authority}"),
        format!("{scheme}://{authority}:5556"),
    ]
    .into_iter()
    .find(|right| authority.contains(['.', ':']) && parse_remote(right).is_some())
    .map(|right| format!("write `{right}`"))
}
