//! Temporary keys that a program is given for a call of its own, and calls that are made with them.

use super::program::{Ask, Keys, Program, Reply};
use super::world::World;

pub(crate) const STS: &str = "sts.us-east-1.amazonaws.com";

/// What a program makes of an answer: keys with a token, to sign with.
pub(crate) struct Temporary {
    pub(crate) program: Program,
    pub(crate) token: String,
    pub(crate) expiration: String,
}

impl Temporary {
    fn of(world: &World, [id, secret, token, expiration]: [&str; 4]) -> Self {
        let real = world.cloud.sessions();
        assert!(id.starts_with("ASIA") && id.len() == 20 && secret.len() == 40, "{id} {secret}");
        assert!(!real.iter().any(|session| session.key_id == id), "{id} is real");
        let program = world.program.with_keys(Keys { id: id.to_owned(), secret: secret.to_owned() });
        Self { program, token: token.to_owned(), expiration: expiration.to_owned() }
    }

    /// In the words of STS, or of S3 Express.
    pub(crate) fn in_xml(world: &World, reply: &Reply) -> Self {
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let text = reply.text();
        let value = |name: &str| between(&text, &format!("<{name}>"), &format!("</{name}>"));
        Self::of(world, ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"].map(value))
    }

    /// In those of a JSON service: where the keys stand, and under which names.
    pub(crate) fn in_json(world: &World, reply: &Reply, pointer: &str, names: [&str; 3]) -> Self {
        let body: serde_json::Value =
            serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("{}", reply.text()));
        let keys = body.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {body}"));
        let [id, secret, token] = names.map(|name| keys[name].as_str().expect("a text"));
        Self::of(world, [id, secret, token, ""])
    }

    /// A call that is signed with them.
    pub(crate) async fn call(&self, ask: Ask) -> Reply {
        self.program.call(ask.header("X-Amz-Security-Token", &self.token)).await
    }

    /// The same in a session of S3 Express.
    pub(crate) async fn call_express(&self, ask: Ask) -> Reply {
        self.program.call(ask.header("X-Amz-S3session-Token", &self.token)).await
    }
}

/// A call to STS.
pub(crate) fn form(body: &str) -> Ask {
    let ask = Ask::to(("sts", "us-east-1"), "POST", STS, "/");
    ask.header("Content-Type", "application/x-www-form-urlencoded").body(body)
}

/// Without a signature, and on a connection of its own.
pub(crate) async fn unsigned(
    world: &World,
    (method, host, target): (&str, &str, &str),
    headers: &str,
    body: &str,
) -> Reply {
    let mut connection = world.program.secure(host).await;
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    connection.send(head.as_bytes()).await.expect("the proxy reads");
    connection.answer(method).await.expect("an answer")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let inside = text.split_once(start).and_then(|(_, rest)| rest.split_once(end));
    inside.unwrap_or_else(|| panic!("no {start} in {text}")).0
}
