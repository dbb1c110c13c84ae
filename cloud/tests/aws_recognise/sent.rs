//! A request, and what is told of it.

use cloud::aws::recognise::{Head, Recognised, Unrecognised, recognise};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

impl Sent {
    pub(crate) fn new(method: &str, uri: &str) -> Self {
        let method = method.parse().expect("a method");
        Self { method, uri: uri.parse().expect("a URI"), headers: HeaderMap::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        self
    }

    pub(crate) fn signed(self, region: &str, service: &str) -> Self {
        let zeros = "0".repeat(64);
        let scope = format!("AKIAEXAMPLE/20260705/{region}/{service}/aws4_request");
        self.header(
            "authorization",
            &format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={zeros}"),
        )
    }

    pub(crate) fn recognise(&self) -> Result<Recognised<'_>, Unrecognised> {
        let host = self.uri.host().expect("a host");
        recognise(Head { method: &self.method, uri: &self.uri, headers: &self.headers, host })
    }

    /// service, region, action, resource; `-` for none.
    pub(crate) fn told(&self) -> String {
        let call = self.recognise().unwrap_or_else(|e| panic!("{} {}: {e}", self.method, self.uri)).call;
        let or_none = |part: Option<String>| part.unwrap_or_else(|| "-".into());
        format!("{} {} {} {}", call.service, or_none(call.region), or_none(call.action), or_none(call.resource))
    }
}
