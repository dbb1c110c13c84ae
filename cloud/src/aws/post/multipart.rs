//! The beginning of a form with a file (RFC 7578, RFC 2046 §5.1): its fields, up to the bytes of the file.
//!
//! S3 reads the fields and acts on them, so there must be one way to read them: what two readers could read in two ways is
//! refused.

use std::ops::Range;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use memchr::memmem;

use super::parameters::{Charset, charset, parameters};

/// RFC 2046 §5.1.1.
const MAX_BOUNDARY: usize = 70;

/// Fields before the file. S3 takes 20 KB of them, in which no more than this have room.
const MAX_FIELDS: usize = 256;

/// Bytes of the lines before a value. Those of a file hold its name, which few systems let be longer than 255 bytes.
const MAX_HEAD: usize = 2048;

/// The field that S3 ends its reading with.
const FILE: &str = "file";

/// The field that says what letters the others are in, to those who ask it (RFC 7578 §4.6).
const CHARSET: &str = "_charset_";

/// Why a form cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// The head of the request.
    #[error(
        "the form's Content-Type does not name one boundary of 1 to {MAX_BOUNDARY} characters and nothing else but charset=utf-8"
    )]
    Boundary,
    /// Something else stands where a boundary has to be.
    #[error("the form does not begin with its boundary, or a part of it does not")]
    Delimiter,
    /// The lines before a value.
    #[error(
        "a part of the form has no Content-Disposition that is `form-data; name=\"…\"`, or other lines than those of its type"
    )]
    Part,
    /// Readers differ on whether that ends the value.
    #[error("the form's field `{0}` holds the form's boundary; take one that stands nowhere else")]
    Bounded(String),
    /// A part of parts, or one that has to be decoded.
    #[error("a part of the form is encoded, or holds parts itself; S3 takes values as they are")]
    Nested,
    /// What says that letters are others.
    #[error("the form names another character set than UTF-8 for its fields, or one in the field `{CHARSET}`")]
    Charset,
    /// Letters that are others in another character set.
    #[error("the form's field `{0}` is not in UTF-8")]
    Text(String),
    /// Readers differ on which of two counts.
    #[error("the form has the field `{0}` more than once")]
    Repeated(String),
    /// More than any form has.
    #[error("the form has more than {MAX_FIELDS} fields, or more than {0} bytes of them, before its file")]
    TooLong(usize),
    /// It ends, and nothing was to be uploaded.
    #[error("the form has no field `file`, which has to be its last")]
    NoFile,
    /// A field that a signed form needs.
    #[error("the form is signed, and has no field `{0}` before its file")]
    Missing(&'static str),
    /// A field with a value that S3 would not take.
    #[error("the form's field `{0}` cannot be read")]
    Field(&'static str),
    /// More than S3 lets a key have.
    #[error("the form's key has more than {0} bytes")]
    LongKey(usize),
    /// Signed with version 4 and version 2.
    #[error("the form is signed twice; send the fields of one version")]
    Twice,
    /// A hash in the head covers a body that is written anew.
    #[error("the head of a signed form declares a hash of its body or has a query; S3 takes neither")]
    Head,
    /// What S3 does not do with forms.
    #[error("the form names an object to be copied; S3 takes no copies in forms")]
    Copies,
    /// The bucket that the form names is not the one that it is sent to.
    #[error("the form is for another bucket than the one that it is sent to")]
    Bucket,
}

/// What stands between the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary {
    /// With the line break that belongs to it: `\r\n--…`.
    delimiter: Bytes,
}

impl Boundary {
    /// Reads the head of a request; `None` where its body is no form of parts.
    ///
    /// # Errors
    /// [`BadForm::Boundary`]: it is one, and how to read it is not clear.
    pub fn declared(headers: &HeaderMap) -> Result<Option<Self>, BadForm> {
        let is_form = |value: &http::HeaderValue| {
            let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data")
        };
        if !headers.get_all(CONTENT_TYPE).iter().any(is_form) {
            return Ok(None);
        }
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let (Some(only), None) = (values.next(), values.next()) else { return Err(BadForm::Boundary) };
        let text = only.to_str().map_err(|_| BadForm::Boundary)?;
        let (_, parameters) = parameters(text).ok_or(BadForm::Boundary)?;
        // `boundary*` and `boundary*0` are boundaries as well, to those who read RFC 2231.
        let (charsets, others): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(name, _)| name == "charset");
        let [(name, boundary)] = &*others else { return Err(BadForm::Boundary) };
        if name != "boundary" {
            return Err(BadForm::Boundary);
        }
        if charset(&charsets)? == Charset::LikeAscii {
            return Err(BadForm::Charset);
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
        let fits = (1..=MAX_BOUNDARY).contains(&boundary.len()) && !boundary.ends_with(' ');
        if !fits || !boundary.bytes().all(allowed) {
            return Err(BadForm::Boundary);
        }
        Ok(Some(Self { delimiter: format!("\r\n--{boundary}").into() }))
    }

    /// Without the line break that belongs to it, as it stands at the beginning of the form.
    pub(super) fn dashed(&self) -> &[u8] {
        &self.delimiter[2..]
    }
}

/// A field before the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    /// Lower case: S3 makes no difference.
    name: String,
    value: Range<usize>,
    /// All of it, from its boundary to the next one.
    part: Range<usize>,
}

/// Reads a form as it arrives.
#[derive(Debug)]
pub struct Reader {
    boundary: Boundary,
    fields: Vec<Field>,
    /// Where the part begins that is being read.
    at: usize,
    /// What its lines say, once they are there.
    part: Option<PartHead>,
    /// Up to where its end was looked for.
    searched: usize,
    /// Where the file begins, once that is known.
    content: Option<usize>,
}

impl Reader {
    /// Nothing is read yet.
    pub const fn new(boundary: Boundary) -> Self {
        Self { boundary, fields: Vec::new(), at: 0, part: None, searched: 0, content: None }
    }

    /// Goes on in `body`, which is what of it has arrived; whether the file has begun.
    ///
    /// # Errors
    /// [`BadForm`]: no more of it need be read.
    pub fn read(&mut self, body: &[u8]) -> Result<bool, BadForm> {
        while let Some(part) = self.part_head(body)? {
            if part.name == FILE {
                self.content = Some(part.value);
                return Ok(true);
            }
            let from = self.searched.max(part.value);
            let Some(found) = memmem::find(&body[from..], &self.boundary.delimiter) else {
                // A delimiter may have begun to come.
                self.searched = (body.len() + 1).saturating_sub(self.boundary.delimiter.len()).max(part.value);
                self.part = Some(part);
                return Ok(false);
            };
            let end = from + found;
            self.take(part, body, end)?;
            (self.at, self.searched) = (end + 2, 0);
        }
        Ok(false)
    }

    /// The fields, if the file has begun in `body`, which is what was read.
    pub fn into_fields(self, body: &Bytes) -> Option<Fields> {
        let Self { boundary, fields, at: file, content, .. } = self;
        Some(Fields { body: body.slice(..content?), boundary, fields, file })
    }

    /// What the lines at the beginning of the part say. They are read once, in however many pieces the value comes.
    fn part_head(&mut self, body: &[u8]) -> Result<Option<PartHead>, BadForm> {
        if self.part.is_some() {
            return Ok(self.part.take());
        }
        let (dashed, here) = (self.boundary.dashed(), &body[self.at..]);
        let length = dashed.len();
        if !dashed.starts_with(&here[..here.len().min(length)]) {
            return Err(BadForm::Delimiter);
        }
        match here.get(length..length + 2) {
            None => return Ok(None),
            Some(b"\r\n") => {}
            Some(b"--") => return Err(BadForm::NoFile),
            Some(_) => return Err(BadForm::Delimiter),
        }
        let blank_line = b"\r\n\r\n";
        let within = &here[length..here.len().min(length + MAX_HEAD + blank_line.len())];
        let Some(blank) = memmem::find(within, blank_line) else {
            let is_full = within.len() == MAX_HEAD + blank_line.len();
            return if is_full { Err(BadForm::Part) } else { Ok(None) };
        };
        // Without a line there is no line break of its own before the blank one.
        let lines = within.get(2..blank).unwrap_or_default();
        if memmem::find(lines, dashed).is_some() {
            return Err(BadForm::Part);
        }
        PartHead::read(lines, self.at + length + blank + blank_line.len()).map(Some)
    }

    fn take(&mut self, part: PartHead, body: &[u8], end: usize) -> Result<(), BadForm> {
        let PartHead { name, value, length, is_ascii_only } = part;
        let text = &body[value..end];
        if is_ascii_only && !text.is_ascii() {
            return Err(BadForm::Charset);
        }
        // At the beginning of a value it ends the part by RFC 2046's grammar, and behind half a line break to many.
        if memmem::find(text, self.boundary.dashed()).is_some() {
            return Err(BadForm::Bounded(name));
        }
        if length.is_some_and(|length| length != text.len()) {
            return Err(BadForm::Part);
        }
        if name == CHARSET {
            return Err(BadForm::Charset);
        }
        if std::str::from_utf8(text).is_err() {
            return Err(BadForm::Text(name));
        }
        if self.fields.iter().any(|field| field.name == name) {
            return Err(BadForm::Repeated(name));
        }
        if self.fields.len() == MAX_FIELDS {
            return Err(BadForm::TooLong(body.len()));
        }
        self.fields.push(Field { name, value: value..end, part: self.at..end + 2 });
        Ok(())
    }
}

/// The fields of a form, and where its file begins.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields {
    /// Up to the first byte of the file.
    body: Bytes,
    boundary: Boundary,
    fields: Vec<Field>,
    /// Where the boundary before the file stands.
    file: usize,
}

impl Fields {
    /// Where the part with the file begins.
    pub const fn file(&self) -> usize {
        self.file
    }

    /// How many bytes of the part stand before the file itself.
    pub(super) fn before_content(&self) -> usize {
        self.body.len() - self.file
    }

    /// What stands between the parts.
    pub(super) const fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// A field by its name in lower case.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        Some(self.text(field))
    }

    /// All fields, names in lower case.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (field.name.as_str(), self.text(field)))
    }

    fn text(&self, field: &Field) -> &str {
        std::str::from_utf8(&self.body[field.value.clone()]).expect("a field is taken in UTF-8 only")
    }

    /// The form's beginning, up to the part with the file, without some fields and with others behind the rest.
    pub(super) fn rewritten(&self, without: &[&str], with: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 4096);
        for field in self.fields.iter().filter(|field| !without.contains(&field.name.as_str())) {
            out.extend_from_slice(&self.body[field.part.clone()]);
        }
        for (name, value) in with {
            out.extend_from_slice(self.boundary.dashed());
            let part = format!("\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|field| &field.name)).finish()
    }
}

/// What the lines before a value say of it.
#[derive(Debug)]
struct PartHead {
    name: String,
    /// Where the value begins.
    value: usize,
    /// How long it is, where the lines say it.
    length: Option<usize>,
    /// The lines name another character set, in which ASCII is what it is in UTF-8.
    is_ascii_only: bool,
}

impl PartHead {
    fn read(lines: &[u8], value: usize) -> Result<Self, BadForm> {
        let lines = std::str::from_utf8(lines).map_err(|_| BadForm::Part)?;
        let lines = lines.split("\r\n").map(header).collect::<Result<Vec<_>, _>>()?;
        let once = |name: &str| {
            let mut found = lines.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
            match (found.next(), found.next()) {
                (first, None) => Ok(first.map(|(_, value)| *value)),
                _ => Err(BadForm::Part),
            }
        };
        let (name, is_plain) = field_name(once("content-disposition")?.ok_or(BadForm::Part)?)?;
        let kind = once("content-type")?.unwrap_or_default();
        let length = once("content-length")?;
        let encoding = once("content-transfer-encoding")?.unwrap_or("binary").to_ascii_lowercase();
        let begins = |of: &str| kind.get(..of.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(of));
        if begins("multipart/") || !["7bit", "8bit", "binary"].contains(&encoding.as_str()) {
            return Err(BadForm::Nested);
        }
        if name == FILE {
            return Ok(Self { name, value, length: None, is_ascii_only: false });
        }
        if begins("message/") {
            return Err(BadForm::Nested);
        }
        // To many readers a field with a file's name is none.
        let is_known = |(name, _): &(&str, &str)| FIELD_HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known));
        if !is_plain || !lines.iter().all(is_known) {
            return Err(BadForm::Part);
        }
        let (_, parameters) = parameters(kind).ok_or(BadForm::Part)?;
        let is_ascii_only = charset(&parameters)? == Charset::LikeAscii;
        let length = length.map(|text| text.parse().map_err(|_| BadForm::Part)).transpose()?;
        Ok(Self { name, value, length, is_ascii_only })
    }
}

/// What may stand before the value of a field. Some clients say how long it is (OkHttp).
const FIELD_HEADERS: [&str; 4] = ["content-disposition", "content-type", "content-transfer-encoding", "content-length"];

/// A line before a value. One that is folded begins with a blank, which no name does.
fn header(line: &str) -> Result<(&str, &str), BadForm> {
    let (name, value) = line.split_once(':').ok_or(BadForm::Part)?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || !name.bytes().all(is_plain) || value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(BadForm::Part);
    }
    Ok((name, value.trim()))
}

/// `form-data; name="key"; filename="…"` → `key`, and whether nothing else stands there. The name comes first, so that
/// nothing in a file's name can pass for it.
fn field_name(disposition: &str) -> Result<(String, bool), BadForm> {
    let (kind, parameters) = parameters(disposition).ok_or(BadForm::Part)?;
    let mut named = parameters.iter().filter(|(name, _)| name.starts_with("name"));
    let is_first = parameters.first().is_some_and(|(name, _)| name == "name");
    let (Some((_, name)), None, true) = (named.next(), named.next(), is_first) else { return Err(BadForm::Part) };
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'%');
    if !kind.eq_ignore_ascii_case("form-data") || name.is_empty() || !name.bytes().all(plain) {
        return Err(BadForm::Part);
    }
    Ok((name.to_ascii_lowercase(), parameters.len() == 1))
}

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
