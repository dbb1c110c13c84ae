//! What a program hears, and whether it can tell that it is all.

use std::io::{self, ErrorKind};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What came of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// All of it, as its framing says.
    Whole(u16, String),
    /// A head, and then less than it promised.
    Half(u16),
    /// No head.
    Nothing,
}

/// Hears one answer over HTTP/1.1, and looks how its framing ends.
pub(crate) async fn hear<I: AsyncRead + Unpin>(io: &mut I) -> Heard {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Heard::Nothing,
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let header = |name: &str| head.split("\r\n").find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let body = match (header("content-length: "), header("transfer-encoding: ")) {
        (Some(length), _) => exactly(io, length.parse().unwrap()).await,
        (None, Some(_)) => chunks(io).await,
        (None, None) if status == 204 => Ok(Vec::new()),
        (None, None) => {
            let mut body = Vec::new();
            io.read_to_end(&mut body).await.map(|_| body)
        }
    };
    match body {
        Ok(body) => Heard::Whole(status, String::from_utf8(body).unwrap()),
        Err(_) => Heard::Half(status),
    }
}

async fn exactly<I: AsyncRead + Unpin>(io: &mut I, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok(body)
}

async fn line<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(io.read_u8().await?);
    }
    String::from_utf8(line).map(|line| line.trim_end().to_owned()).map_err(|_| ErrorKind::InvalidData.into())
}

async fn chunks<I: AsyncRead + Unpin>(io: &mut I) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = line(io).await?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        if size == 0 {
            while !line(io).await?.is_empty() {}
            return Ok(body);
        }
        body.extend(exactly(io, size).await?);
        line(io).await?;
    }
}
