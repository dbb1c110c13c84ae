//! The one seam: whoever lends, in this process or far away.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use access::{Call, Evidence, Lease, Record, Refusal, RequestId, TargetName};

use crate::recalled::{Heard, Position};

/// A question for a lease.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What the caller shows.
    pub evidence: Arc<Evidence>,
    /// The target that its placeholder stands for.
    pub target: TargetName,
    /// What the first request would do.
    pub call: Call,
    /// Where the request comes from, if that is known.
    pub from: Option<IpAddr>,
    /// The request that asks, for the audit.
    pub request: RequestId,
}

/// What a request needs a lease for. Nearly always one is at hand; an [`Ask`] is made of it where none is.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// What the caller shows.
    pub evidence: &'a Arc<Evidence>,
    /// The target that its placeholder stands for.
    pub target: &'a TargetName,
    /// What the request would do.
    pub call: &'a Call,
    /// Where it comes from, if that is known.
    pub from: Option<IpAddr>,
    /// Its id.
    pub request: RequestId,
}

impl From<Need<'_>> for Ask {
    fn from(need: Need<'_>) -> Self {
        let Need { evidence, target, call, from, request } = need;
        Self { evidence: evidence.clone(), target: target.clone(), call: call.clone(), from, request }
    }
}

/// Records could not be handed over; they are still the sender's.
#[derive(Debug, Clone, thiserror::Error)]
#[error("access records could not be stored")]
pub struct ReportError(#[source] pub Arc<dyn std::error::Error + Send + Sync>);

/// Lends credentials and hears what was done with them.
pub trait Lessor: Send + Sync + 'static {
    /// Verifies, decides, exchanges, lends. A refusal has been written to the audit when it comes back.
    fn lease(&self, ask: Ask) -> impl Future<Output = Result<Lease, Refusal>> + Send;

    /// Says whose evidence it is, if it is good, whatever may be done with it: who shares a proxy must be known even where nothing is
    /// lent.
    fn recognise(&self, evidence: Arc<Evidence>) -> impl Future<Output = Result<String, Refusal>> + Send;

    /// Waits until something is taken back after a position, and tells what. It answers within some seconds in any case:
    /// that says that nothing was. Without a position it tells where a follower begins.
    fn recalls(&self, after: Option<Position>) -> impl Future<Output = Result<Heard, Refusal>> + Send;

    /// Takes access records into the audit; when it returns they are kept.
    fn report(&self, records: &[Record]) -> impl Future<Output = Result<(), ReportError>> + Send;
}
