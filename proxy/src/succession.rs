//! Which root certifies, which did before, and which will: programs trust all of them while one replaces another.

use std::sync::Arc;

use ca::{Host, Root};
use config::{CaSettings, Endpoints};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;

use crate::authority::{AuthorityError, authority};

/// A root that we made is followed by another when a third of its life is left: the new one is announced, so that programs
/// that start from now on trust it.
const ANNOUNCE_BEFORE: i32 = 3;

/// It takes over when a sixth is left. Who started before it was announced has met its end then, or reads its trust store
/// again, or is cut off when the old root ends; none of which can be seen from here.
const SWITCH_BEFORE: i32 = 6;

/// Roots that were in use and are still trusted. Who replaces his root more often within its life leaves programs behind.
const MAX_BEFORE: usize = 4;

/// A root that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trusted {
    certificate: CertificateDer<'static>,
    until: Timestamp,
}

/// The roots of a proxy. The one in use is elsewhere, where it signs.
#[derive(Debug, Clone)]
pub(crate) struct Succession {
    /// Whether the one in use is ours, and not the operator's.
    ours: bool,
    /// Programs may still trust nothing else.
    before: Vec<Trusted>,
    /// Made, announced, and not in use yet.
    coming: Option<Arc<Root>>,
}

/// What is to be done about the root.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing.
    Stays,
    /// Another is announced, and the old one goes on.
    Announced,
    /// Another takes over.
    Replaced(Arc<Root>),
}

impl Trusted {
    pub(crate) fn of(root: &Root) -> Self {
        Self { certificate: root.certificate().clone(), until: root.not_after() }
    }
}

impl Succession {
    /// Begins with the root that these settings gave.
    pub(crate) const fn new(settings: &CaSettings) -> Self {
        Self { ours: matches!(settings, CaSettings::Ephemeral { .. }), before: Vec::new(), coming: None }
    }

    /// What time does to the root in use. A root of the operator's is his to replace.
    pub(crate) fn tend(
        &mut self,
        root: &Root,
        (settings, endpoints): (&CaSettings, &Endpoints),
        now: Timestamp,
    ) -> Result<Turn, AuthorityError> {
        if matches!(settings, CaSettings::Given { .. }) || now < before_end(root, ANNOUNCE_BEFORE) {
            return Ok(Turn::Stays);
        }
        if self.coming.is_none() {
            self.coming = Some(Arc::new(authority(settings, stand_ins(endpoints), now)?));
            return Ok(Turn::Announced);
        }
        if now < before_end(root, SWITCH_BEFORE) {
            return Ok(Turn::Stays);
        }
        Ok(self.coming.take().map_or(Turn::Stays, |coming| self.replaced(root, coming, now)))
    }

    /// What other settings do to it: a given root that is another one by now takes over at once, and so does one that we
    /// make where the old one may not certify a host that is new in `endpoints`.
    pub(crate) fn review(
        &mut self,
        root: &Root,
        (settings, endpoints): (&CaSettings, &Endpoints),
        now: Timestamp,
    ) -> Result<Turn, AuthorityError> {
        let fits = stand_ins(endpoints).all(|host| root.permits(&host));
        let stays = match settings {
            CaSettings::Ephemeral { .. } => self.ours && fits,
            CaSettings::Given { .. } => false,
        };
        if stays {
            return Ok(Turn::Stays);
        }
        let next = authority(settings, stand_ins(endpoints), now)?;
        if next.certificate() == root.certificate() {
            return Ok(Turn::Stays);
        }
        self.coming = None;
        self.ours = matches!(settings, CaSettings::Ephemeral { .. });
        Ok(self.replaced(root, next.into(), now))
    }

    /// Forgets the one to come.
    pub(crate) fn withdraw(&mut self) {
        self.coming = None;
    }

    /// All that programs are to trust, the one in use first.
    pub(crate) fn trusted(&self, in_use: &CertificateDer<'static>) -> Vec<CertificateDer<'static>> {
        let others =
            self.coming.iter().map(|root| root.certificate()).chain(self.before.iter().map(|old| &old.certificate));
        let others = others.filter(|other| *other != in_use);
        std::iter::once(in_use).chain(others).cloned().collect()
    }

    fn replaced(&mut self, root: &Root, next: Arc<Root>, now: Timestamp) -> Turn {
        self.before.retain(|old| old.until > now && old.certificate != *root.certificate());
        self.before.insert(0, Trusted::of(root));
        self.before.truncate(MAX_BEFORE);
        Turn::Replaced(next)
    }
}

/// The hosts that stand in for clouds, by their own names.
pub fn stand_ins(endpoints: &Endpoints) -> impl Iterator<Item = Host> {
    endpoints.patterns().filter_map(|pattern| Host::parse(pattern.trim_start_matches("*.")).ok())
}

fn before_end(root: &Root, part: i32) -> Timestamp {
    let life: SignedDuration = root.not_after().duration_since(root.not_before());
    root.not_after().checked_sub(life / part).unwrap_or(root.not_after())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(lifetime_hours: i64) -> CaSettings {
        CaSettings::Ephemeral { lifetime: SignedDuration::from_hours(lifetime_hours) }
    }

    fn hour(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000 + hour)
    }

    #[test]
    fn root_that_we_made_is_announced_then_replaced_then_trusted_to_its_end() {
        let (settings, endpoints) = (made(60), Endpoints::default());
        let first = authority(&settings, [], hour(0)).unwrap();
        let mut roots = Succession::new(&settings);
        let mut tend = |root: &Root, at| roots.tend(root, (&settings, &endpoints), hour(at)).unwrap();
        assert!(matches!(tend(&first, 30), Turn::Stays));
        assert!(matches!(tend(&first, 41), Turn::Announced));
        assert!(matches!(tend(&first, 42), Turn::Stays));
        let Turn::Replaced(second) = tend(&first, 51) else { panic!("not replaced") };
        assert!(matches!(tend(&second, 52), Turn::Stays));
        assert_eq!(roots.trusted(second.certificate()), [second.certificate().clone(), first.certificate().clone()]);
    }

    #[test]
    fn host_that_the_root_may_not_certify_brings_another_at_once() {
        let settings = made(60);
        let first = authority(&settings, [], hour(0)).unwrap();
        let mut roots = Succession::new(&settings);
        let at = |host: &str| {
            Endpoints::new(vec![(access::Pattern::new(host).unwrap(), "http://127.0.0.1:1".parse().unwrap())])
        };
        let same = roots.review(&first, (&settings, &at("*.amazonaws.com")), hour(1)).unwrap();
        assert!(matches!(same, Turn::Stays));
        let Turn::Replaced(next) = roots.review(&first, (&settings, &at("minio.acme.test")), hour(1)).unwrap() else {
            panic!("not replaced")
        };
        assert!(next.permits(&Host::parse("minio.acme.test").unwrap()));
    }
}
