//! Buckets, as far as tests need them.

use std::collections::BTreeMap;

/// Objects by bucket and key, and uploads in parts.
#[derive(Debug, Default)]
pub(super) struct Objects {
    kept: BTreeMap<(String, Vec<u8>), Vec<u8>>,
    uploads: Vec<BTreeMap<u32, Vec<u8>>>,
}

impl Objects {
    pub(super) fn put(&mut self, bucket: &str, key: &[u8], content: Vec<u8>) {
        self.kept.insert((bucket.to_owned(), key.to_vec()), content);
    }

    pub(super) fn get(&self, bucket: &str, key: &[u8]) -> Option<Vec<u8>> {
        self.kept.get(&(bucket.to_owned(), key.to_vec())).cloned()
    }

    pub(super) fn remove(&mut self, bucket: &str, key: &[u8]) {
        self.kept.remove(&(bucket.to_owned(), key.to_vec()));
    }

    /// Keys of a bucket, in order, with their sizes.
    pub(super) fn list<'a>(&'a self, bucket: &'a str) -> impl Iterator<Item = (&'a [u8], usize)> {
        let here = self.kept.iter().filter(move |((b, _), _)| b == bucket);
        here.map(|((_, key), content)| (key.as_slice(), content.len()))
    }

    pub(super) fn begin_upload(&mut self) -> usize {
        self.uploads.push(BTreeMap::new());
        self.uploads.len()
    }

    pub(super) fn part(&mut self, upload: usize, number: u32, content: Vec<u8>) -> Option<()> {
        self.uploads.get_mut(upload.checked_sub(1)?)?.insert(number, content);
        Some(())
    }

    /// Joins the parts of an upload, in the order of their numbers.
    pub(super) fn joined(&self, upload: usize) -> Option<Vec<u8>> {
        let parts = self.uploads.get(upload.checked_sub(1)?)?;
        Some(parts.values().flatten().copied().collect())
    }
}
