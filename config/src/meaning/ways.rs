//! The ways in and out of the proxy.

use access::Networks;

use super::check::Check;
use super::entrances;
use crate::at::At;
use crate::defaults;
use crate::flaw::Wrong;
use crate::raw;
use crate::settings::Endpoints;
use crate::values::{address, place};
use crate::ways::{Egress, Otherwise, Places, Via, Ways};

pub(super) fn ways(check: &mut Check<'_>, raw: &raw::Proxy) -> Option<Ways> {
    let upstream = raw.upstream.as_ref().and_then(At::get);
    let allowed =
        check.each(upstream.and_then(|upstream| upstream.allow_addresses.as_ref()), |text| address::network(text));
    let egress = match &raw.egress {
        Some(at) => egress(check, at.get()?),
        None => Some(Egress::default()),
    };
    let via = match upstream.and_then(|upstream| upstream.proxy.as_ref()) {
        Some(at) => Some(via(check, at.get()?)),
        None => None,
    };
    let transparent = entrances::transparent(check, raw);
    let shared = raw.shared.as_ref().map(|at| entrances::shared(check, at));
    Some(Ways {
        transparent,
        shared: match shared {
            Some(shared) => Some(shared?),
            None => None,
        },
        egress: egress?,
        allowed_addresses: Networks::new(allowed),
        via: match via {
            Some(via) => Some(via?),
            None => None,
        },
    })
}

fn via(check: &mut Check<'_>, raw: &raw::Via) -> Option<Via> {
    let url = check.take(&raw.url, |text| address::proxy(text));
    let credentials = raw.credentials.as_ref().map(|credentials| check.secret(credentials));
    let past = check.each(raw.no_proxy.as_ref(), |text| place::past_proxy(text));
    Some(Via {
        url: url?,
        credentials: match credentials {
            Some(credentials) => Some(credentials?),
            None => None,
        },
        past: Places::new(past.into_iter().flatten().collect()),
    })
}

fn egress(check: &mut Check<'_>, raw: &raw::Egress) -> Option<Egress> {
    let otherwise = check.or_default(raw.default.as_ref(), defaults::EGRESS, otherwise);
    let (allow, deny) = (places(check, raw.allow.as_ref()), places(check, raw.deny.as_ref()));
    Some(Egress { otherwise: otherwise?, allow, deny })
}

fn otherwise(text: &str) -> Result<Otherwise, Wrong> {
    match text {
        "tunnel" => Ok(Otherwise::Tunnel),
        "deny" => Ok(Otherwise::Deny),
        _ => Err(Wrong::value("it is neither `tunnel` nor `deny`")),
    }
}

fn places(check: &mut Check<'_>, raw: Option<&At<Vec<At<String>>>>) -> Places {
    Places::new(check.each(raw, |text| place::place(text)))
}

/// The endpoints without the cloud hosts that are left alone.
pub(super) fn leaving_alone(check: &mut Check<'_>, raw: Option<&At<raw::Proxy>>, endpoints: Endpoints) -> Endpoints {
    let egress = raw.and_then(At::get).and_then(|proxy| proxy.egress.as_ref()).and_then(At::get);
    let alone = places(check, egress.and_then(|egress| egress.tunnel.as_ref()));
    endpoints.leaving_alone(alone)
}
