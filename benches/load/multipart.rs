//! Large objects through ours: a `PUT` of a gibibyte, and a multipart upload of five. They are made while they are sent and
//! dropped where they arrive, so that the proxy is the only one that could hold them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::lane::Lane;
use crate::stage::{CHUNKED, HOST, UNSIGNED, framed_length};
use crate::work::{CHUNK, Figure, PIECE};

/// Bytes of the object that is sent at once.
const OBJECT: u64 = 1 << 30;

/// Parts of [`CHUNKED`] bytes: 5 GiB. The least that S3 takes is 5 MiB, the most 5 GiB.
const PARTS: usize = 80;

/// Parts under way at once; the SDKs have from four to ten.
const AT_ONCE: usize = 4;

/// Every fourth is in signed chunks, the others leave their bodies unsigned, as SDKs do over TLS.
const ONE_IN: usize = 4;

/// The query that begins an upload, in canonical form, and the answer to it.
pub(crate) const BEGIN: &str = "uploads=";
pub(crate) const BEGUN: &str = concat!(
    r#"<?xml version="1.0" encoding="UTF-8"?><InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">"#,
    "<Bucket>bench</Bucket><Key>large</Key><UploadId>VXBsb2FkIElEIGZvciBlbHZpbmcncyBtdWx0aXBhcnQ</UploadId>",
    "</InitiateMultipartUploadResult>"
);

/// Measures both, each with a peak of its own; nothing on a lane whose client does not sign.
pub(crate) async fn measure(lane: &Lane) -> anyhow::Result<Vec<Figure>> {
    let (Some(server), Some(_)) = (&lane.server, &lane.placeholder) else { return Ok(Vec::new()) };
    let client = Arc::new(lane.resigned());
    let mebibytes = |bytes: f64| bytes / f64::from(1 << 20);

    let mut connection = client.route.connect(HOST).await?;
    let head = client.request("PUT", (HOST, "/object"), (UNSIGNED, Some(OBJECT))).0;
    server.forget_peak()?;
    let took = connection.upload(&head, &[b'x'; PIECE], OBJECT).await?;
    ensure!(connection.text().ends_with(&OBJECT.to_string()), "not all of it has arrived: {}", connection.text());
    let (put, put_peak) = (OBJECT as f64 / 1e6 / took.as_secs_f64(), server.peak_rss()?);

    let bytes = (PARTS * CHUNKED) as f64;
    server.forget_peak()?;
    let (before, begun) = (server.cpu_seconds()?, Instant::now());
    upload(&client, &mut connection).await?;
    let took = begun.elapsed().as_secs_f64();
    Ok(vec![
        ("1 GiB PUT: MB/s", put),
        ("peak RSS MiB", mebibytes(put_peak)),
        ("5 GiB multipart: MB/s", bytes / 1e6 / took),
        ("CPU s/GB", (server.cpu_seconds()? - before) / bytes * 1e9),
        ("peak RSS MiB", mebibytes(server.peak_rss()?)),
    ])
}

/// Begins, sends all parts, completes.
async fn upload(client: &Arc<Lane>, connection: &mut Connection) -> anyhow::Result<()> {
    let begin = client.request("POST", (HOST, &format!("/large?{BEGIN}")), (UNSIGNED, Some(0))).0;
    connection.exchange(&begin).await?;
    let answer = connection.text().into_owned();
    let id = answer.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once('<'));
    let id: Arc<str> = id.with_context(|| format!("no upload was begun: {answer}"))?.0.into();

    let (next, mut workers) = (Arc::new(AtomicUsize::new(1)), JoinSet::new());
    for _ in 0..AT_ONCE {
        let (client, id, next) = (client.clone(), id.clone(), next.clone());
        workers.spawn(async move {
            let mut connection = client.route.connect(HOST).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > PARTS {
                    return anyhow::Ok(());
                }
                part(&client, &mut connection, (number, &id)).await.with_context(|| format!("part {number}"))?;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }

    let parts: String =
        (1..=PARTS).map(|n| format!("<Part><ETag>x</ETag><PartNumber>{n}</PartNumber></Part>")).collect();
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let (hash, length) = (hex::encode(digest(&SHA256, document.as_bytes())), Some(document.len() as u64));
    let complete = client.request("POST", (HOST, &format!("/large?uploadId={id}")), (&hash, length)).0;
    connection.upload_pieces(&complete, [document]).await
}

/// One part; what has arrived of it is what was sent.
async fn part(client: &Lane, connection: &mut Connection, (number, id): (usize, &str)) -> anyhow::Result<()> {
    let path = format!("/large?partNumber={number}&uploadId={id}");
    let length = if number % ONE_IN == 0 {
        let (head, body) = client.put_chunks(&path, CHUNK).context("a placeholder")?;
        connection.upload_pieces(&head, body).await?;
        framed_length(CHUNKED, CHUNK) as u64
    } else {
        let length = CHUNKED as u64;
        let head = client.request("PUT", (HOST, &path), (UNSIGNED, Some(length))).0;
        connection.upload(&head, &[b'x'; PIECE], length).await?;
        length
    };
    ensure!(connection.text().ends_with(&length.to_string()), "not all of it has arrived: {}", connection.text());
    Ok(())
}
