//! Streams of signed events, for both ends of the stage: written from AWS's documentation ("Event stream encoding", and
//! "Signing the stream" of Amazon Transcribe).

use jiff::Timestamp;

use super::payload::{By, Chain, crc32_of};
use super::program::{Ask, Keys, Signed};
use super::sigv4::{Authorization, Scope, Signable, amz_date, canonical, hmac, sha256_hex, signature};

/// What a head declares whose body is such a stream.
pub(crate) const DECLARED: &str = "STREAMING-AWS4-HMAC-SHA256-EVENTS";

const DATE: &[u8] = b"\x05:date\x08";
const SIGNATURE: &[u8] = b"\x10:chunk-signature\x06\x00\x20";

/// The next signature of a chain: over the header with the date, and the payload.
fn next(chain: &Chain, (at, date): (Timestamp, &[u8]), payload: &[u8]) -> String {
    let (scope, last) = (chain.scope.text(), &chain.last);
    let (date, payload) = (sha256_hex(date), sha256_hex(payload));
    let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{scope}\n{last}\n{date}\n{payload}", amz_date(at));
    let By::Hmac(key) = &chain.by else { panic!("events are signed for one region") };
    hex::encode(hmac(key, &text))
}

/// An event around a payload; the chain goes on with its signature.
fn sealed(chain: &mut Chain, at: Timestamp, payload: &[u8]) -> Vec<u8> {
    let date = [DATE, &at.as_millisecond().to_be_bytes()].concat();
    chain.last = next(chain, (at, &date), payload);
    let signature = hex::decode(&chain.last).expect("hex");
    let headers = [&date[..], SIGNATURE, &signature].concat();
    let length = |length: usize| u32::try_from(length).expect("short").to_be_bytes();
    let mut event = [length(headers.len() + payload.len() + 16), length(headers.len())].concat();
    event.extend(crc32_of(&event).to_be_bytes());
    event.extend([&headers[..], payload].concat());
    event.extend(crc32_of(&event).to_be_bytes());
    event
}

/// The payloads of a stream whose every event is signed, and whose last is empty.
pub(crate) fn opened(mut chain: Chain, mut stream: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    while !stream.is_empty() {
        let number = |at: usize| Some(u32::from_be_bytes(stream.get(at..at + 4)?.try_into().ok()?));
        let (length, headers) = (number(0).ok_or("a length")?, number(4).ok_or("a length")?);
        let (length, headers) = (length as usize, 12 + headers as usize);
        let event = stream.get(..length).filter(|event| event.len() >= headers + 4).ok_or("the event is cut")?;
        if number(8) != Some(crc32_of(&event[..8])) || number(length - 4) != Some(crc32_of(&event[..length - 4])) {
            return Err("a checksum is wrong");
        }
        let (head, payload) = (&event[12..headers], &event[headers..length - 4]);
        let date = head.get(..15).filter(|date| date.starts_with(DATE)).ok_or("no date comes first")?;
        let claimed = head.get(15..).and_then(|rest| rest.strip_prefix(SIGNATURE)).ok_or("no signature")?;
        let at = i64::from_be_bytes(date[7..].try_into().expect("eight octets"));
        let at = Timestamp::from_millisecond(at).map_err(|_| "no time")?;
        chain.last = next(&chain, (at, date), payload);
        if hex::encode(claimed) != chain.last {
            return Err("the signature of an event is wrong");
        }
        payloads.push(payload.to_vec());
        stream = &stream[length..];
    }
    if payloads.pop().is_some_and(|last| last.is_empty()) { Ok(payloads) } else { Err("the stream has no end") }
}

impl Ask {
    /// Signed as a conversation is, with these payloads in it and the empty one that ends it.
    pub(crate) fn with_events(self, keys: &Keys, at: Timestamp, payloads: &[&[u8]]) -> Signed {
        let (date, scope) = (amz_date(at), Scope::new(at, &self.region, &self.service));
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        let own = [
            ("Content-Type", "application/vnd.amazon.eventstream"),
            ("X-Amz-Content-SHA256", DECLARED),
            ("X-Amz-Date", &date),
        ];
        headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let mut signed: Vec<String> = headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        signed.sort();
        let (method, target) = (&self.method, &self.target);
        let request = Signable { method, target, headers: &headers, signed: &signed, payload: DECLARED };
        let canonical = canonical(request, &self.service, self.reading);
        let key = scope.key(&keys.secret);
        let seed = signature(&key, (&date, &scope), &canonical);
        let mut chain = Chain { by: By::Hmac(key), date, scope: scope.clone(), last: seed.clone() };
        let body = payloads.iter().chain(&[&b""[..]]).flat_map(|payload| sealed(&mut chain, at, payload)).collect();
        let authorization = Authorization { key_id: keys.id.clone(), scope, signed, signature: seed };
        headers.push(("Authorization".to_owned(), authorization.header()));
        Signed { method: self.method, host: self.host, target: self.target, headers, body, chunked: true }
    }
}
