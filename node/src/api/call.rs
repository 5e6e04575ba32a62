//! One call from the moment it comes in until it is answered: counted, and told in one line of the log.
//!
//! Neither says anything of topics, tokens or addresses.

use std::time::Instant;

use http::{HeaderMap, HeaderValue};
use tonic::Code;

use super::status::code_name;
use crate::metrics;

/// A call that is not answered yet.
#[derive(Debug)]
pub(crate) struct Call {
    method: &'static str,
    transport: &'static str,
    started: Instant,
    client: Option<HeaderValue>,
    app: Option<HeaderValue>,
}

impl Call {
    /// `method` and `transport` are labels of metrics: from fixed sets.
    pub(crate) fn begin(method: &'static str, transport: &'static str, headers: &HeaderMap) -> Self {
        Self {
            method,
            transport,
            started: Instant::now(),
            client: headers.get(CLIENT_VERSION).cloned(),
            app: headers.get(APP_VERSION).cloned(),
        }
    }

    /// A stream is answered when it is open.
    pub(crate) fn answered(&self, code: Code) {
        let took = self.started.elapsed();
        metrics::answered(self.method, self.transport, code_name(code), took);
        // Nobody but the node is to blame for these.
        if matches!(code, Code::Unknown | Code::Internal | Code::DataLoss) {
            if tracing::enabled!(tracing::Level::INFO) {
                self.say_as_info(code, took.as_secs_f64() * 1_000.0);
            }
        } else if tracing::enabled!(tracing::Level::DEBUG) {
            self.say_as_debug(code, took.as_secs_f64() * 1_000.0);
        }
    }
}

/// The same line at either level: a level is part of a line's static description.
macro_rules! say {
    ($name:ident, $level:ident) => {
        impl Call {
            fn $name(&self, code: Code, ms: f64) {
                let (client, client_version) = version(self.client.as_ref());
                let (app, app_version) = version(self.app.as_ref());
                tracing::event!(
                    tracing::Level::$level,
                    method = self.method,
                    transport = self.transport,
                    code = code_name(code),
                    ms,
                    client,
                    client_version,
                    app,
                    app_version,
                    "answered"
                );
            }
        }
    };
}

say!(say_as_info, INFO);
say!(say_as_debug, DEBUG);

/// Name and version of a `name/version` header, each where it is said. Strangers write it: it is escaped and cut.
fn version(header: Option<&HeaderValue>) -> (Option<String>, Option<String>) {
    let text = header.map(|header| String::from_utf8_lossy(header.as_bytes()));
    let text = text.as_deref().unwrap_or_default();
    let (name, version) = text.split_once('/').unwrap_or((text, ""));
    (shown(name), shown(version))
}

fn shown(text: &str) -> Option<String> {
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    (!shown.is_empty()).then_some(shown)
}

const CLIENT_VERSION: &str = "x-client-version";
const APP_VERSION: &str = "x-app-version";
/// Letters of a name or a version that are shown.
const SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Conformance line 41.
    #[test]
    fn a_version_header_is_split_at_its_first_slash() {
        for (header, name, number) in [
            ("", None, None),
            ("test/0.0.0", Some("test"), Some("0.0.0")),
            ("test/", Some("test"), None),
            ("test", Some("test"), None),
            ("/0.0.0", None, Some("0.0.0")),
            ("a/b/c", Some("a"), Some("b/c")),
        ] {
            let header = HeaderValue::from_static(header);
            let (found, found_number) = version(Some(&header));
            assert_eq!((found.as_deref(), found_number.as_deref()), (name, number));
        }
        assert_eq!(version(None), (None, None));
    }

    /// Conformance line 41.
    #[test]
    fn of_several_version_headers_the_first_counts() {
        let mut headers = HeaderMap::new();
        headers.append(CLIENT_VERSION, HeaderValue::from_static("first/1"));
        headers.append(CLIENT_VERSION, HeaderValue::from_static("second/2"));
        let call = Call::begin("query", "http", &headers);
        assert_eq!(version(call.client.as_ref()).0.as_deref(), Some("first"));
    }

    #[test]
    fn what_strangers_say_of_themselves_is_escaped_and_cut() {
        let hostile = HeaderValue::from_bytes("\u{9b}31m\t\u{202e}/2".as_bytes()).unwrap();
        assert_eq!(
            version(Some(&hostile)).0.as_deref(),
            Some("\\u{9b}31m\\t\\u{202e}")
        );
        let long = HeaderValue::from_str(&"n".repeat(10_000)).unwrap();
        assert_eq!(version(Some(&long)).0.map(|name| name.len()), Some(SHOWN));
    }
}
