//! SOCKS 5 (RFC 1928), and the user name and password of RFC 1929: what a client says, and what it is told.
//!
//! Nothing here reads or writes a socket. Each `read_…` takes what has come so far and gives a message and its length,
//! or `None` while it has not ended. No message is longer than some 500 bytes, so nothing can be made to grow.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The first byte of whatever a client of SOCKS 5 says first; no HTTP and no TLS begins with it.
pub const VERSION: u8 = 5;

/// The version of the exchange of user name and password (RFC 1929 §2).
const LOGIN_VERSION: u8 = 1;

/// The client has said something that cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not the version that this message has.
    #[error("a message of SOCKS has the wrong version")]
    Version,
    /// No method at all, or no name where a name should be.
    #[error("a message of SOCKS lacks what it must have")]
    Empty,
    /// RFC 1928 §4: reserved bytes are 0.
    #[error("a reserved byte of SOCKS is not 0")]
    Reserved,
    /// A host name that is not text.
    #[error("the host in a message of SOCKS is not text")]
    Host,
}

/// A message and its length, or `None` while it has not ended.
pub type Read<M> = Result<Option<(M, usize)>, Malformed>;

/// How the client may prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// Not at all.
    pub none: bool,
    /// By user name and password.
    pub login: bool,
}

/// A user name and a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// As it was sent.
    pub user: &'a [u8],
    /// As it was sent.
    pub password: &'a [u8],
}

/// Never with the password.
impl std::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// What the client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A connection to a host, as a name or an address in text, and a port.
    Connect(String, u16),
    /// `BIND`, `UDP ASSOCIATE` or a command that there is not. HTTP/3 would come as the second.
    OtherCommand,
    /// An address of a kind that there is not.
    OtherAddress,
}

/// How a wish is answered (RFC 1928 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reply {
    /// The connection stands.
    Succeeded = 0,
    /// Something else went wrong.
    Failed = 1,
    /// It must not be.
    NotAllowed = 2,
    /// The host is not there, or its name means nothing.
    Unreachable = 4,
    /// Nobody listens there.
    Refused = 5,
    /// The command is not `CONNECT`.
    OtherCommand = 7,
    /// The kind of address is not known.
    OtherAddress = 8,
}

impl Reply {
    /// The reply on the wire. Where our end of the connection is, nobody needs to know: it is said to be `0.0.0.0:0`.
    pub const fn bytes(self) -> [u8; 10] {
        [VERSION, self as u8, 0, 1, 0, 0, 0, 0, 0, 0]
    }
}

/// The method that is taken, as it is said to the client (RFC 1928 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Method {
    /// No proof.
    None = 0,
    /// User name and password.
    Login = 2,
    /// None of those that were offered; the client goes.
    Unacceptable = 0xff,
}

impl Method {
    /// The choice on the wire.
    pub const fn bytes(self) -> [u8; 2] {
        [VERSION, self as u8]
    }
}

/// Whether a login is good, on the wire (RFC 1929 §2). After a bad one the connection is closed.
pub const fn login_answer(is_good: bool) -> [u8; 2] {
    [LOGIN_VERSION, !is_good as u8]
}

/// Reads the methods that a client offers (RFC 1928 §3).
pub fn read_methods(bytes: &[u8]) -> Read<Methods> {
    let [version, rest @ ..] = bytes else { return Ok(None) };
    if *version != VERSION {
        return Err(Malformed::Version);
    }
    let Some((methods, _)) = counted(rest) else { return Ok(None) };
    if methods.is_empty() {
        return Err(Malformed::Empty);
    }
    let offers = |method: Method| methods.contains(&(method as u8));
    Ok(Some((Methods { none: offers(Method::None), login: offers(Method::Login) }, 2 + methods.len())))
}

/// Reads a user name and a password (RFC 1929 §2).
pub fn read_login(bytes: &[u8]) -> Read<Login<'_>> {
    let [version, rest @ ..] = bytes else { return Ok(None) };
    if *version != LOGIN_VERSION {
        return Err(Malformed::Version);
    }
    let Some((user, rest)) = counted(rest) else { return Ok(None) };
    let Some((password, _)) = counted(rest) else { return Ok(None) };
    Ok(Some((Login { user, password }, 3 + user.len() + password.len())))
}

/// Reads what a client wants (RFC 1928 §4).
pub fn read_wish(bytes: &[u8]) -> Read<Wish> {
    const CONNECT: u8 = 1;
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Err(Malformed::Version);
    }
    let [_, command, reserved, kind, rest @ ..] = bytes else { return Ok(None) };
    if *reserved != 0 {
        return Err(Malformed::Reserved);
    }
    let Some(host) = host(*kind, rest)? else { return Ok(None) };
    let Some((host, length)) = host else { return Ok(Some((Wish::OtherAddress, 4))) };
    let Some(&[high, low]) = rest.get(length..length + 2) else { return Ok(None) };
    let wish = match *command {
        CONNECT => Wish::Connect(host, u16::from_be_bytes([high, low])),
        _ => Wish::OtherCommand,
    };
    Ok(Some((wish, 4 + length + 2)))
}

/// A host and how many bytes it takes: `None` while it has not ended, `Some(None)` if there is no such kind.
#[expect(clippy::option_option, reason = "not yet, and never, are two answers")]
fn host(kind: u8, bytes: &[u8]) -> Result<Option<Option<(String, usize)>>, Malformed> {
    const V4: u8 = 1;
    const NAME: u8 = 3;
    const V6: u8 = 4;
    Ok(match kind {
        V4 => bytes.first_chunk::<4>().map(|octets| Some((Ipv4Addr::from(*octets).to_string(), 4))),
        V6 => bytes.first_chunk::<16>().map(|octets| Some((Ipv6Addr::from(*octets).to_string(), 16))),
        NAME => match counted(bytes) {
            Some(([], _)) => return Err(Malformed::Empty),
            Some((name, _)) => {
                let text = std::str::from_utf8(name).map_err(|_| Malformed::Host)?;
                Some(Some((text.to_owned(), 1 + name.len())))
            }
            None => None,
        },
        _ => Some(None),
    })
}

/// Bytes behind a byte that says how many, and what follows them.
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [count, rest @ ..] = bytes else { return None };
    rest.split_at_checked(usize::from(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(bytes: &[u8]) -> Result<Option<Wish>, Malformed> {
        read_wish(bytes).map(|read| {
            read.map(|(wish, length)| {
                assert_eq!(length, bytes.len(), "{bytes:?}");
                wish
            })
        })
    }

    #[test]
    fn names_and_addresses_are_read_with_their_port() {
        let connect = |host: &str, port| Ok(Some(Wish::Connect(host.to_owned(), port)));
        assert_eq!(wish(b"\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb"), connect("10.0.0.1", 443));
        assert_eq!(wish(b"\x05\x01\x00\x03\x08s3.test1\x00\x50"), connect("s3.test1", 80));
        let v6 = b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90";
        assert_eq!(wish(v6), connect("2001:db8::1", 8080));
    }

    #[test]
    fn every_message_waits_for_its_last_byte_and_leaves_what_follows() {
        let messages: [&[u8]; 4] = [
            b"\x05\x02\x00\x02",
            b"\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb",
            b"\x05\x01\x00\x03\x01a\x00\x50",
            b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90",
        ];
        for (index, message) in messages.into_iter().enumerate() {
            let length = |bytes: &[u8]| match index {
                0 => read_methods(bytes).unwrap().map(|(_, length)| length),
                _ => read_wish(bytes).unwrap().map(|(_, length)| length),
            };
            for end in 0..message.len() {
                assert_eq!(length(&message[..end]), None, "{message:?} up to {end}");
            }
            assert_eq!(length(&[message, b"\x16\x03\x01"].concat()), Some(message.len()));
        }
        let login = b"\x01\x07billing\x03key";
        for end in 0..login.len() {
            assert_eq!(read_login(&login[..end]), Ok(None));
        }
        let read = read_login(b"\x01\x07billing\x03key\x05");
        assert_eq!(read, Ok(Some((Login { user: b"billing", password: b"key" }, login.len()))));
    }

    #[test]
    fn what_is_not_offered_here_is_told_apart_from_what_is_broken() {
        assert_eq!(wish(b"\x05\x02\x00\x01\x0a\x00\x00\x01\x01\xbb"), Ok(Some(Wish::OtherCommand)), "BIND");
        assert_eq!(wish(b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"), Ok(Some(Wish::OtherCommand)), "UDP ASSOCIATE");
        assert_eq!(wish(b"\x05\x01\x00\x02"), Ok(Some(Wish::OtherAddress)));
        assert_eq!(wish(b"\x04\x01"), Err(Malformed::Version));
        assert_eq!(wish(b"\x05\x01\x07\x01\x0a\x00\x00\x01\x01\xbb"), Err(Malformed::Reserved));
        assert_eq!(wish(b"\x05\x01\x00\x03\x00\x00\x50"), Err(Malformed::Empty));
        assert_eq!(wish(b"\x05\x01\x00\x03\x01\xff\x00\x50"), Err(Malformed::Host));
        assert_eq!(read_methods(b"\x05\x00"), Err(Malformed::Empty));
        assert_eq!(read_methods(b"\x04\x01"), Err(Malformed::Version));
        assert_eq!(read_login(b"\x05\x01a\x01b"), Err(Malformed::Version));
    }

    #[test]
    fn answers_are_as_the_standard_has_them() {
        assert_eq!(Reply::Succeeded.bytes(), [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(Reply::OtherCommand.bytes()[1], 7);
        assert_eq!((Method::Login.bytes(), Method::Unacceptable.bytes()), ([5, 2], [5, 255]));
        assert_eq!((login_answer(true), login_answer(false)), ([1, 0], [1, 1]));
    }

    #[test]
    fn debug_of_a_login_shows_no_password() {
        assert!(!format!("{:?}", Login { user: b"u", password: b"hunter2" }).contains("hunter2"));
    }
}
