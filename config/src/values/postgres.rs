//! Where a PostgreSQL server is: a connection URI (PostgreSQL, §34.1.1.2), of which we take what we need.

use std::path::PathBuf;

use access::Secret;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::finding::Code;
use crate::flaw::Wrong;
use crate::settings::PostgresAt;

const PORT: u16 = 5432;
/// What `sslmode` may say: anything weaker would let whoever stands between read what is written.
const VERIFIED: &str = "verify-full";

/// What a connection URI says.
#[derive(Debug)]
pub(crate) struct PostgresUrl {
    pub(crate) at: PostgresAt,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<Secret<String>>,
    pub(crate) database: String,
}

/// `postgres://user:password@host:5432/database`, or `postgres:///database?host=/run/postgresql&user=user` for a socket.
/// Nothing of it is repeated in what is wrong: it carries a password.
pub(crate) fn postgres_url(text: &str) -> Result<PostgresUrl, Wrong> {
    let help = "write postgres://user:password@host:5432/database";
    let wrong = |message: &str| Wrong::value(format!("the connection URI {message}")).help(help);
    let url = Url::parse(text).map_err(|_| wrong("is no URI"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(wrong("begins with another scheme than postgres"));
    }
    if url.fragment().is_some() {
        return Err(wrong("has a fragment; is a `#` in the password not written as %23?"));
    }
    let (mut socket, mut user) = (None, None);
    for (name, value) in url.query_pairs() {
        match (&*name, &*value) {
            ("host", directory) if directory.starts_with('/') => socket = Some(PathBuf::from(directory)),
            ("user", name) if !url.has_host() => user = Some(name.to_owned()),
            ("sslmode", VERIFIED) => {}
            ("sslmode", _) => {
                let wrong = Wrong::new(Code::Unsafe, "the connection URI weakens `sslmode`");
                return Err(wrong.help("leave it out: the certificate of a server elsewhere is always verified"));
            }
            _ => {
                return Err(wrong(
                    "has a parameter that means nothing here; only `sslmode` and a socket's `host` and `user` do",
                ));
            }
        }
    }
    let text_of =
        |part: &str| percent_decode_str(part).decode_utf8().map(String::from).map_err(|_| wrong("is not text"));
    let database = text_of(url.path().trim_start_matches('/'))?;
    if database.is_empty() || database.contains('/') {
        return Err(wrong("names no database"));
    }
    let user = user.map_or_else(|| text_of(url.username()), Ok)?;
    if user.is_empty() {
        return Err(wrong("names no user"));
    }
    Ok(PostgresUrl {
        at: at(&url, socket).ok_or_else(|| wrong("names no host"))?,
        port: url.port().unwrap_or(PORT),
        user,
        password: url.password().map(text_of).transpose()?.map(Secret::new),
        database,
    })
}

fn at(url: &Url, socket: Option<PathBuf>) -> Option<PostgresAt> {
    if let Some(directory) = socket {
        return Some(PostgresAt::Socket(directory));
    }
    let host = url.host_str().filter(|host| !host.is_empty())?;
    // Of a scheme that it does not know, the library takes an address for a name.
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let is_loopback = match Host::parse(url.host_str()?) {
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Ok(Host::Domain(name)) => name == "localhost",
        Err(_) => return None,
    };
    Some(if is_loopback { PostgresAt::Loopback(host) } else { PostgresAt::Remote(host) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_elsewhere_is_told_from_one_on_this_machine() {
        for (text, at) in [
            ("postgres://c:p%40ss@db.acme.example/countersign", PostgresAt::Remote("db.acme.example".to_owned())),
            ("postgresql://c@10.0.0.7:6000/countersign", PostgresAt::Remote("10.0.0.7".to_owned())),
            ("postgres://c@[2001:db8::7]/countersign", PostgresAt::Remote("2001:db8::7".to_owned())),
            ("postgres://c@127.0.0.1/countersign", PostgresAt::Loopback("127.0.0.1".to_owned())),
            ("postgres://c@localhost/countersign", PostgresAt::Loopback("localhost".to_owned())),
            ("postgres:///countersign?host=/run/postgresql&user=c", PostgresAt::Socket("/run/postgresql".into())),
            ("postgres://c@db.example/countersign?sslmode=verify-full", PostgresAt::Remote("db.example".to_owned())),
        ] {
            let url = postgres_url(text).unwrap();
            assert_eq!((url.at, url.user.as_str(), url.database.as_str()), (at, "c", "countersign"), "{text}");
        }
        let url = postgres_url("postgres://c:p%40ss@db.acme.example:7/x").unwrap();
        assert_eq!((url.port, url.password.unwrap().expose().as_str()), (7, "p@ss"));
    }

    #[test]
    fn what_is_wrong_never_repeats_the_password() {
        for text in [
            "hunter2",
            "mysql://c:hunter2@db/x",
            "postgres://c:hunter2@db",
            "postgres://:hunter2@db/x",
            "postgres://c:hunter2@/x",
            "postgres://c:hunter2@db/x?sslmode=disable",
            "postgres://c:hunter2@db/x?password=hunter2",
            "postgres://c:hunter2@db/x/y",
            "postgres://c:hun#ter2@db/x",
        ] {
            let wrong = postgres_url(text).map(|_| text).unwrap_err();
            assert!(!format!("{wrong:?}").contains("hunter2"), "{wrong:?}");
        }
        assert_eq!(postgres_url("postgres://c@db/x?sslmode=require").unwrap_err().code, Code::Unsafe);
    }
}
