//! A client of the broker's routes, as plain as can be: what it sends and gets is what is on the wire.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::{Broker, api};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The API, being served.
pub(crate) struct Served {
    address: SocketAddr,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Served {
    pub(crate) async fn of(broker: &Arc<Broker>) -> Self {
        Self { address: super::serve(api::router(broker)).await }
    }

    /// Sends a request. `headers` are whole lines.
    pub(crate) async fn send(&self, (method, path): (&str, &str), headers: &[&str], body: Option<&Value>) -> Reply {
        let body = body.map(Value::to_string);
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: broker\r\nconnection: close\r\n");
        for line in headers {
            request.push_str(line);
            request.push_str("\r\n");
        }
        if let Some(body) = &body {
            request.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body.as_deref().unwrap_or_default());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Reply { status: head[9..12].parse().unwrap(), head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The stable end of a problem's type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let kind = self.json()["type"].as_str().unwrap().to_owned();
        kind.rsplit('/').next().unwrap().to_owned()
    }
}
