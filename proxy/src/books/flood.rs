//! Refusals of strangers, folded: anybody who reaches the port can cause them by the hundred thousand, and each would be an
//! event on a disk. The first few of a second are told one by one; of the rest one is told, and how many there were.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use access::{Outcome, Record, RefusalCode};
use tokio::time::Instant;

/// Told one by one, of each peer, kind of refusal and second.
const ONE_BY_ONE: u32 = 5;

/// A second, more or less: batches are gathered for a tenth of it.
const WINDOW: Duration = Duration::from_secs(1);

/// Peers and kinds told apart. Beyond them, peers are not.
const MAX_FLOODS: usize = 1024;

type Key = (Option<IpAddr>, RefusalCode);

/// Refusals on their way to the book.
#[derive(Debug, Default)]
pub(crate) struct Floods(HashMap<Key, Flood>);

#[derive(Debug)]
struct Flood {
    began: Instant,
    told: u32,
    /// The last that was folded, with the number of all.
    folded: Option<Record>,
}

impl Floods {
    /// Takes out of `batch` what is folded, and puts in what was and whose second is over.
    pub(crate) fn fold(&mut self, batch: &mut Vec<Record>, now: Instant) {
        let mut told: Vec<Record> = Vec::with_capacity(batch.len());
        told.extend(batch.drain(..).filter_map(|record| self.tell(record, now)));
        self.0.retain(|_, flood| {
            let is_over = now.duration_since(flood.began) >= WINDOW;
            if is_over {
                told.extend(flood.folded.take());
            }
            !is_over
        });
        *batch = told;
    }

    /// Everything that is folded.
    pub(crate) fn rest(&mut self) -> impl Iterator<Item = Record> {
        self.0.drain().filter_map(|(_, flood)| flood.folded)
    }

    /// Whether anything waits to be told.
    pub(crate) fn holds(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether the second of one that is folded is over.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.0.values().any(|flood| now.duration_since(flood.began) >= WINDOW)
    }

    fn tell(&mut self, record: Record, now: Instant) -> Option<Record> {
        let (true, Outcome::Refused { code, .. }) = (record.is_a_strangers(), &record.outcome) else {
            return Some(record);
        };
        let key = (record.from, *code);
        let key = if self.0.len() < MAX_FLOODS || self.0.contains_key(&key) { key } else { (None, *code) };
        let flood = self.0.entry(key).or_insert_with(|| Flood { began: now, told: 0, folded: None });
        if flood.told < ONE_BY_ONE {
            flood.told += 1;
            return Some(record);
        }
        let before = flood.folded.as_ref().map_or(0, |folded| folded.times);
        flood.folded = Some(Record { times: before + 1, ..record });
        None
    }
}

#[cfg(test)]
mod tests {
    use access::RequestId;
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn refused(from: u8, caller: Option<&str>) -> Record {
        Record {
            id: RequestId::new(uuid::Uuid::nil()),
            at: Timestamp::UNIX_EPOCH,
            from: Some([10, 0, 0, from].into()),
            caller: caller.map(str::to_owned),
            target: None,
            role: None,
            derived: None,
            grant: None,
            lease: None,
            call: None,
            outcome: Outcome::Refused { code: RefusalCode::PlaceholderUnknown, message: "no".into() },
            bytes_up: 0,
            bytes_down: 0,
            took: SignedDuration::ZERO,
            upstream: None,
            times: 1,
            app: None,
            destination: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_refusal_is_told_or_counted() {
        let (mut floods, mut told) = (Floods::default(), Vec::new());
        for _ in 0..20 {
            let mut batch = vec![refused(1, None); 500];
            floods.fold(&mut batch, Instant::now());
            told.append(&mut batch);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        told.extend(floods.rest());
        assert_eq!(told.iter().map(|record| record.times).sum::<u64>(), 10_000);
        assert!(told.len() <= 3 * (ONE_BY_ONE as usize + 1), "{}", told.len());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_and_other_peers_are_not_folded_into_a_flood() {
        let mut floods = Floods::default();
        let mut batch = vec![refused(1, None); 100];
        batch.extend(vec![refused(1, Some("shop:billing")); 100]);
        batch.push(refused(2, None));
        floods.fold(&mut batch, Instant::now());
        assert_eq!(batch.len(), ONE_BY_ONE as usize + 100 + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn peers_without_end_do_not_fill_the_memory() {
        let mut floods = Floods::default();
        let mut batch: Vec<_> = (0..100_000_u32)
            .map(|number| Record { from: Some(std::net::Ipv4Addr::from(number).into()), ..refused(1, None) })
            .collect();
        floods.fold(&mut batch, Instant::now());
        assert!(floods.0.len() <= MAX_FLOODS + 1);
        batch.extend(floods.rest());
        assert_eq!(batch.iter().map(|record| record.times).sum::<u64>(), 100_000);
    }
}
