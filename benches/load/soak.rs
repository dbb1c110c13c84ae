//! The soak: mixed work at a constant pace, through the real binary, for as long as is said. It fails if the process grows, if a
//! request fails, or if one is missing in the audit book.

mod book;
pub(crate) mod full;
pub(crate) mod origin;
mod watch;
mod work;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, ensure};

use crate::measure::{countersign, folder};
use crate::server::Server;
use book::Book;
use work::Shift;

/// The pod's token is good for an hour.
pub(crate) const LONGEST: u64 = 55;

/// How long caches and pools may take to fill, at most; of a short run a fifth.
const WARM: Duration = Duration::from_secs(180);

/// For what was sent last to be answered, once nothing new is sent.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

/// Works for `minutes`, and says what came of it.
pub(crate) async fn run(minutes: u64) -> anyhow::Result<()> {
    let folder = folder("soak")?;
    let root = folder.join("origin.pem");
    let origin = Server::role(&["soak-origin"], &root).await?;
    let mut lane = countersign(&folder, (&origin, &root)).await?;
    let mut server = lane.server.take().expect("the real binary is a process");
    let streams = Arc::new(lane.speaking(&folder.join("proxy/ca.pem"), b"h2")?);
    let (end, ends) = tokio::sync::watch::channel(false);
    let shift = Shift { lane: Arc::new(lane), streams, sent: Arc::new(AtomicU64::new(0)), ends };

    let (length, begun) = (Duration::from_secs(60 * minutes), Instant::now());
    let (mut samples, file) = (Vec::new(), folder.join("samples.csv"));
    let mut loops = shift.begin();
    let failed = tokio::select! {
        () = tokio::time::sleep(length) => None,
        Some(ended) = loops.join_next() => Some(ended?.err().unwrap_or_else(|| anyhow!("a loop ended"))),
        ended = watch::watch(&server, begun, (&file, &mut samples)) => ended.err(),
    };
    if let Some(error) = failed {
        return Err(error.context(format!("after {:.0} s", begun.elapsed().as_secs_f64())));
    }
    end.send(true)?;
    let all = async {
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LAST_ANSWERS, all).await??;

    let sent = shift.sent.load(Ordering::Relaxed);
    println!("{sent} requests in {minutes} minutes, {:.0} a second; none failed", sent as f64 / length.as_secs_f64());
    println!("{:.1} s of processor time", server.cpu_seconds()?);
    ensure!(
        server.end().await?.success(),
        "countersign did not end in order, see {}",
        folder.join("countersign.log").display()
    );
    let mut wrong = watch::growth(&samples, WARM.min(length / 5));
    wrong.extend(missing(&folder, sent).await?);
    if !wrong.is_empty() {
        bail!("{}; the samples are in {}", wrong.join("; "), file.display());
    }
    Ok(())
}

/// What the book lacks, in words.
async fn missing(folder: &Path, sent: u64) -> anyhow::Result<Option<String>> {
    let binary = std::env::current_exe()?.with_file_name("countersign");
    let book = Book { binary: &binary, config: &folder.join("countersign.yaml") };
    let told = book.requests().await?;
    println!("{told} requests in the audit book, whose chain is whole");
    Ok((told != sent).then(|| format!("{sent} requests were sent, {told} stand in the audit book")))
}
