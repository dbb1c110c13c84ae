//! Parameters behind a type (RFC 2045 §5.1), as all who read them read them.

use super::multipart::BadForm;

/// `kind; name=value; name="value"` → names in lower case, values as they stand between their quotes.
pub(super) fn parameters(text: &str) -> Option<(&str, Vec<(String, &str)>)> {
    let (kind, mut rest) = text.split_once(';').map_or((text, None), |(kind, rest)| (kind, Some(rest)));
    let mut found = Vec::new();
    while let Some(text) = rest {
        let (name, value) = text.trim_start().split_once('=')?;
        let is_token = |text: &str| {
            let plain = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b);
            !text.is_empty() && text.bytes().all(plain)
        };
        if !is_token(name) {
            return None;
        }
        let is_quoted = value.starts_with('"');
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => {
                quoted.split_at_checked(end_of_quoted(quoted)?).map(|(value, after)| (value, &after[1..]))?
            }
            None => {
                let (value, after) = value.split_at(value.find(';').unwrap_or(value.len()));
                (value.trim_end(), after)
            }
        };
        if !is_quoted && !is_token(value) {
            return None;
        }
        found.push((name.to_ascii_lowercase(), value));
        let after = after.trim_start();
        rest = if after.is_empty() { None } else { Some(after.strip_prefix(';')?) };
    }
    Some((kind.trim(), found))
}

/// Where the quotes end, past those that are escaped.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
    None
}

/// What the parameters of a type say of its letters.
#[derive(PartialEq, Eq)]
pub(super) enum Charset {
    /// UTF-8, of which US-ASCII is a part.
    Utf8,
    /// One whose first 128 letters are those of ASCII, each a byte. Apache's HttpClient names it for every field.
    LikeAscii,
}

/// Reads the parameters of a type, which may say nothing else.
pub(super) fn charset(parameters: &[(String, &str)]) -> Result<Charset, BadForm> {
    let is_one_of = |charset: &str, known: &[&str]| known.iter().any(|known| charset.eq_ignore_ascii_case(known));
    match parameters {
        [] => Ok(Charset::Utf8),
        [(name, charset)] if name == "charset" && is_one_of(charset, &["utf-8", "utf8", "us-ascii"]) => {
            Ok(Charset::Utf8)
        }
        [(name, charset)] if name == "charset" && is_one_of(charset, &["iso-8859-1", "windows-1252"]) => {
            Ok(Charset::LikeAscii)
        }
        _ => Err(BadForm::Charset),
    }
}
