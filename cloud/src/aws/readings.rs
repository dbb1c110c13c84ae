//! What a client may have hashed: the canonical requests that one request on the wire can stand for.

use http::request::Parts;

use super::authorization::Authorization;
use super::canonical::{Canonical, Headers, Line};
use super::host;
use super::uri::{self, Reading};
use super::verify::VerifyError;

/// The canonical requests that an honest client may have hashed: path, query and host each as they are meant, or as they
/// stand. Nearly always these are one; else there are at most eight. More readings are no way in: each takes the secret.
pub(super) fn readings(
    parts: &Parts,
    claim: &Authorization<'_>,
    meant: Line<'_>,
) -> Result<Vec<Canonical>, VerifyError> {
    let host = host::canonical(parts)?;
    let sent = host::on_wire(parts)?.unwrap_or(&host);
    let first = Canonical::new(meant, covered(parts, claim, host.as_bytes())?)?;

    let mut lines = vec![meant];
    let (mut path, mut verbatim) = (Vec::new(), Vec::new());
    uri::path(meant.path, meant.rule, Reading::Verbatim, &mut path)?;
    uri::query(meant.query, Reading::Verbatim, &mut verbatim)?;
    if path != first.path().0 {
        lines.push(Line { path_reading: Reading::Verbatim, ..meant });
    }
    if verbatim != first.query().0 {
        lines.extend_from_within(..);
        let half = lines.len() / 2;
        lines[half..].iter_mut().for_each(|line| line.query_reading = Reading::Verbatim);
    }
    let mut readings = vec![first];
    for line in &lines[1..] {
        readings.push(Canonical::new(*line, covered(parts, claim, host.as_bytes())?)?);
    }
    if *sent != host {
        for line in lines {
            readings.push(Canonical::new(line, covered(parts, claim, sent.as_bytes())?)?);
        }
    }
    Ok(readings)
}

fn covered<'a>(parts: &'a Parts, claim: &Authorization<'a>, host: &'a [u8]) -> Result<Headers<'a>, VerifyError> {
    let mut headers = Headers::with_capacity(parts.headers.len() + 1);
    for name in claim.signed_headers.names() {
        let before = headers.len();
        if name == "host" {
            headers.push((name, host));
        } else {
            headers.extend(parts.headers.get_all(name).iter().map(|value| (name, value.as_bytes())));
        }
        if headers.len() == before {
            return Err(VerifyError::Absent(name.to_owned()));
        }
    }
    Ok(headers)
}
