//! Who is calling: the pod's own token, from the file that the cluster keeps fresh.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::{Evidence, Refusal, RefusalCode, Secret};
use arc_swap::ArcSwapOption;
use tokio::time::Instant;

/// Longest token. Those of Kubernetes have about 1 KiB; projected volumes hold at most 1 MiB.
const MAX_TOKEN: u64 = 16 * 1024;

/// How often the file is looked at. The kubelet renews a token when 80 % of its life is over, minutes before it ends.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file with a token that changes now and then.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    seen: ArcSwapOption<Seen>,
    began: Instant,
    /// When to look next, in milliseconds since `began`.
    look_at: AtomicU64,
}

/// What was in it.
#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    evidence: Arc<Evidence>,
}

/// What changes when the file does. The kubelet replaces a symbolic link, so the inode changes even within one tick of
/// the file system's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
enum BadToken {
    #[error("cannot read it")]
    Read(#[from] io::Error),
    #[error("it is longer than {MAX_TOKEN} bytes")]
    TooLong,
    #[error("it does not hold one line of text")]
    NotText,
}

impl TokenFile {
    /// Nothing is read until the first request.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, seen: ArcSwapOption::empty(), began: Instant::now(), look_at: AtomicU64::new(0) }
    }

    /// Whether it is the file at `path`.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.path == path
    }

    /// The token as it stands in the file, the same `Arc` as long as it is the same token. The file is looked at once a
    /// second at most, which takes microseconds: it lies in memory.
    pub(crate) fn evidence(&self) -> Result<Arc<Evidence>, Refusal> {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now < self.look_at.load(Ordering::Relaxed)
            && let Some(seen) = &*self.seen.load()
        {
            return Ok(seen.evidence.clone());
        }
        let looked = self.look();
        if looked.is_ok() {
            let every = u64::try_from(LOOK_EVERY.as_millis()).unwrap_or(u64::MAX);
            self.look_at.store(now.saturating_add(every), Ordering::Relaxed);
        }
        looked.map_err(|bad| self.refusal(&bad))
    }

    fn look(&self) -> Result<Arc<Evidence>, BadToken> {
        let mut file = File::open(&self.path)?;
        let stamp = Stamp::of(&file)?;
        let seen = self.seen.load_full();
        if let Some(seen) = &seen
            && seen.stamp == stamp
        {
            return Ok(seen.evidence.clone());
        }
        let token = read(&mut file)?;
        let evidence = match seen {
            Some(seen) if seen.evidence.expose() == token.expose() => seen.evidence.clone(),
            Some(_) | None => Arc::new(Evidence::token(token)),
        };
        self.seen.store(Some(Arc::new(Seen { stamp, evidence: evidence.clone() })));
        Ok(evidence)
    }

    fn refusal(&self, bad: &BadToken) -> Refusal {
        let cause = crate::answers::refuse::with_causes(bad);
        tracing::warn!(file = %self.path.display(), cause, "no pod token");
        Refusal::new(RefusalCode::EvidenceMissing, format!("no pod token in {}: {cause}", self.path.display()))
            .help("mount a projected service-account token there, or set `proxy.token_file`")
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { inode: metadata.ino(), modified: (metadata.mtime(), metadata.mtime_nsec()), size: metadata.len() })
    }
}

fn read(file: &mut File) -> Result<Secret<String>, BadToken> {
    let mut bytes = Vec::new();
    file.take(MAX_TOKEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TOKEN {
        return Err(BadToken::TooLong);
    }
    let bytes = Secret::new(bytes);
    let text = std::str::from_utf8(bytes.expose()).map_err(|_| BadToken::NotText)?.trim_ascii();
    if text.is_empty() || text.bytes().any(|b| !b.is_ascii_graphic()) {
        return Err(BadToken::NotText);
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> (tempfile::TempDir, PathBuf, TokenFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        (directory, path.clone(), TokenFile::new(path))
    }

    #[tokio::test(start_paused = true)]
    async fn renewed_token_is_seen_within_a_second_and_an_unchanged_one_stays_the_same_value() {
        let (_directory, path, file) = stage();
        std::fs::write(&path, "one\n").unwrap();
        let one = file.evidence().unwrap();
        assert_eq!(one.expose(), "one");
        tokio::time::advance(LOOK_EVERY).await;
        assert!(Arc::ptr_eq(&one, &file.evidence().unwrap()));

        let next = path.with_extension("next");
        std::fs::write(&next, "two").unwrap();
        std::fs::rename(&next, &path).unwrap();
        assert!(Arc::ptr_eq(&one, &file.evidence().unwrap()), "looked at again within the second");
        tokio::time::advance(LOOK_EVERY).await;
        assert_eq!(file.evidence().unwrap().expose(), "two");
    }

    #[tokio::test]
    async fn without_a_token_there_is_a_refusal_and_the_next_request_looks_again() {
        let (_directory, path, file) = stage();
        assert_eq!(file.evidence().unwrap_err().code, RefusalCode::EvidenceMissing);
        std::fs::write(&path, "late").unwrap();
        assert_eq!(file.evidence().unwrap().expose(), "late");
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused() {
        let long = "a".repeat(20_000);
        for content in ["", " \n", "two tokens", "a\nb", "\u{e9}", &long] {
            let (_directory, path, file) = stage();
            std::fs::write(&path, content).unwrap();
            assert_eq!(file.evidence().unwrap_err().code, RefusalCode::EvidenceMissing, "{:.10}", content);
        }
    }
}
