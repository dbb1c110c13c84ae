//! HTTP/1.1 as bytes, read strictly: for both ends of the stage, and sharing no code with what is tested.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest line of a head; ours carry session tokens, nothing longer.
const MAX_LINE: usize = 64 * 1024;

/// Most bytes that one [`Body::piece`] returns.
const PIECE: usize = 64 * 1024;

/// The head of a request or an answer, as it stood on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// `PUT /key HTTP/1.1`, `HTTP/1.1 200 OK`.
    pub(crate) start: String,
    /// In order, names as written.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The n-th word of the first line.
    pub(crate) fn word(&self, n: usize) -> &str {
        self.start.split(' ').nth(n).unwrap_or_default()
    }

    /// Every value of a header, by its name in lower case.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub(crate) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The same with another value of a header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut head = self.clone();
        head.headers.iter_mut().filter(|(n, _)| n.eq_ignore_ascii_case(name)).for_each(|(_, v)| value.clone_into(v));
        head
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> Result<u16> {
        self.word(1).parse().map_err(|_| malformed("no status"))
    }
}

pub(crate) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what.to_owned())
}

fn cut_off() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "the other side went away in the middle")
}

/// Reads a head; `None` if the other side closed between messages.
pub(crate) async fn read_head<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<Option<Head>> {
    let Some(start) = read_line(reader).await? else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader).await?.ok_or_else(cut_off)?;
        if line.is_empty() {
            return Ok(Some(Head { start, headers }));
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("a header without a colon"))?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(malformed("white space in a header's name"));
        }
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

/// A line without its CRLF; `None` at the end of the stream.
async fn read_line<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<Option<String>> {
    let mut line = Vec::new();
    let read = (&mut *reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    let Some(line) = line.strip_suffix(b"\r\n") else {
        return Err(if line.ends_with(b"\n") { malformed("a bare line feed") } else { cut_off() });
    };
    String::from_utf8(line.to_vec()).map(Some).map_err(|_| malformed("a line that is not UTF-8"))
}

/// A body that is being read.
#[derive(Debug)]
pub(crate) struct Body {
    left: Left,
    /// Bytes of it that arrived, framing not counted.
    pub(crate) taken: u64,
}

#[derive(Debug)]
enum Left {
    Nothing,
    Bytes(u64),
    /// Bytes left of a chunk; at 0 a size line follows.
    Chunk(u64),
    UntilClose,
}

impl Body {
    /// The body that follows a request's head (RFC 9112 §6.3).
    pub(crate) fn of_request(head: &Head) -> Result<Self> {
        let left = Self::framed(head)?.unwrap_or(Left::Nothing);
        Ok(Self { left, taken: 0 })
    }

    /// The body that follows an answer's head.
    pub(crate) fn of_answer(head: &Head, method: &str) -> Result<Self> {
        let status = head.status()?;
        let none = method == "HEAD" || status < 200 || status == 204 || status == 304;
        let left = if none { Left::Nothing } else { Self::framed(head)?.unwrap_or(Left::UntilClose) };
        Ok(Self { left, taken: 0 })
    }

    fn framed(head: &Head) -> Result<Option<Left>> {
        let lengths: Vec<_> = head.all("content-length").collect();
        let encodings: Vec<_> = head.all("transfer-encoding").collect();
        match (lengths.as_slice(), encodings.as_slice()) {
            ([], []) => Ok(None),
            ([length], []) => length.parse().map(|n| Some(Left::Bytes(n))).map_err(|_| malformed("no length")),
            ([], [encoding]) if encoding.eq_ignore_ascii_case("chunked") => Ok(Some(Left::Chunk(0))),
            _ => Err(malformed("ambiguous framing")),
        }
    }

    /// The next bytes; `None` when it is whole. An end too early is an error.
    pub(crate) async fn piece<R: AsyncBufRead + Unpin>(&mut self, reader: &mut R) -> Result<Option<Vec<u8>>> {
        if let Left::Chunk(0) = self.left {
            let line = read_line(reader).await?.ok_or_else(cut_off)?;
            let size = u64::from_str_radix(&line, 16).map_err(|_| malformed("a chunk without a size"))?;
            if size == 0 {
                while !read_line(reader).await?.ok_or_else(cut_off)?.is_empty() {}
                self.left = Left::Nothing;
            } else {
                self.left = Left::Chunk(size);
            }
        }
        let (Left::Bytes(left) | Left::Chunk(left)) = self.left else {
            return if matches!(self.left, Left::UntilClose) { self.until_close(reader).await } else { Ok(None) };
        };
        if left == 0 {
            return Ok(None);
        }
        let piece = take(reader, usize::try_from(left).unwrap_or(PIECE).min(PIECE)).await?;
        if piece.is_empty() {
            return Err(cut_off());
        }
        self.taken += piece.len() as u64;
        let left = left - piece.len() as u64;
        if let Left::Bytes(bytes) = &mut self.left {
            *bytes = left;
        } else {
            if left == 0 && read_line(reader).await?.as_deref() != Some("") {
                return Err(malformed("a chunk that does not end where it said"));
            }
            self.left = Left::Chunk(left);
        }
        Ok(Some(piece))
    }

    async fn until_close<R: AsyncBufRead + Unpin>(&mut self, reader: &mut R) -> Result<Option<Vec<u8>>> {
        let piece = take(reader, PIECE).await?;
        self.taken += piece.len() as u64;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }

    /// All that is left of it.
    pub(crate) async fn rest<R: AsyncBufRead + Unpin>(&mut self, reader: &mut R) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(reader).await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}

/// What is there, up to `most` bytes; nothing at the end of the stream.
async fn take<R: AsyncBufRead + Unpin>(reader: &mut R, most: usize) -> Result<Vec<u8>> {
    let there = reader.fill_buf().await?;
    let piece = there[..there.len().min(most)].to_vec();
    reader.consume(piece.len());
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::{Body, read_head};

    async fn body(answer: &str) -> std::io::Result<Vec<u8>> {
        let mut bytes = answer.as_bytes();
        let head = read_head(&mut bytes).await?.expect("a head");
        Body::of_answer(&head, "GET")?.rest(&mut bytes).await
    }

    #[tokio::test]
    async fn bodies_are_read_whole_or_not_at_all() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(body(chunked).await.expect("whole"), b"abcde");
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").await.expect("whole"), b"abc");
        for cut in 1..24 {
            body(&chunked[..chunked.len() - cut]).await.expect_err("cut off");
        }
        body("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc").await.expect_err("cut off");
        body("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd").await.expect_err("ambiguous");
    }
}
