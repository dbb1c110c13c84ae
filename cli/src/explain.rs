//! `countersign explain`: what a request is, which grant decides about it, and why.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufWriter, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr as _;
use std::sync::Arc;

use access::{
    Assurance, Call, Caller, Context, Deed, Denial, Otherwise, Permit, Reason, SourceName, TargetName, decide,
    otherwise,
};
use cloud::aws::recognise::{Head, recognise, refine_with_body};
use cloud::aws::vending::{Vends, vends};
use config::{Settings, Source};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::args::{Explain, Output};
use crate::failure::{Exit, Failure};
use crate::output::{Printer, closed};

/// A line longer than this is no request head.
const MAX_LINE: u64 = 1024 * 1024;

/// One request, as a line of stdin says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    /// The body, which may tell action or resources.
    #[serde(default)]
    body: String,
}

/// A header may come once or more.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

/// The answer to one request.
#[derive(Debug, Serialize)]
struct Answer {
    call: Option<Explained>,
    decision: Decision,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<TargetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    /// Which rule of the grant, as the config counts them: `allow[1]`, `deny[0]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Each of these, by itself, would let it be allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    otherwise: Vec<Otherwise>,
}

/// What the request is.
#[derive(Debug, Serialize)]
struct Explained {
    cloud: access::Cloud,
    service: String,
    region: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    also: Vec<Deed>,
    method: String,
    /// As the service reads it; nothing where readers differ.
    path: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Decision {
    Allowed,
    Refused,
    /// There is no call to decide about, or no config to decide by.
    Undecided,
}

/// For whom, where, and when it is decided.
struct Judge<'s> {
    settings: Option<&'s Settings>,
    from: Option<SourceName>,
    to: Option<TargetName>,
    context: Context,
}

/// Explains the request on the command line, or those on stdin.
pub(crate) fn run(
    explain: Explain,
    settings: Option<&Settings>,
    now: Timestamp,
    printer: &Printer,
) -> Result<(), Failure> {
    let from = Some(explain.ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let context = Context { now: explain.at.unwrap_or(now), from };
    let judge = Judge { settings, from: explain.from, to: explain.to, context };
    judge.knows_its_names()?;
    let (Some(method), Some(url)) = (explain.method, explain.url) else { return lines(&judge) };
    let headers = explain.headers.iter().map(|header| header_of(header)).collect::<Result<_, _>>()?;
    let answer = judge.answer(&Question { method, url, headers, body: explain.body });
    match printer.output() {
        Output::Json => printer.json(&answer),
        Output::Human => printer.line(&answer.to_string()),
    }
}

/// A line of JSON for each line of JSON, in order.
fn lines(judge: &Judge<'_>) -> Result<(), Failure> {
    let (mut input, mut output) = (io::stdin().lock(), BufWriter::new(io::stdout().lock()));
    let failed = |error: io::Error| Failure::from_error(Exit::Other, &error);
    let mut line = Vec::new();
    while next_line(&mut input, &mut line).map_err(failed)? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let question = match serde_json::from_slice(&line) {
            _ if line.len() as u64 > MAX_LINE => Err(format!("the line is longer than {MAX_LINE} bytes")),
            read => read.map_err(|error| format!("the line is not a request: {error}")),
        };
        let answer = question.map_or_else(Answer::undecided, |question| judge.answer(&question));
        let written = serde_json::to_writer(&mut output, &answer).map_err(io::Error::from);
        written.and_then(|()| output.write_all(b"\n")).map_err(|error| closed(&error))?;
    }
    output.flush().map_err(|error| closed(&error))
}

/// Reads the next line into `line`; of one that is too long a byte more than [`MAX_LINE`], and past the rest. Says
/// whether there was one.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    input.take(MAX_LINE + 1).read_until(b'\n', line)?;
    if line.len() as u64 > MAX_LINE && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(!line.is_empty())
}

fn header_of(text: &str) -> Result<(String, Values), Failure> {
    let wrong = || {
        Failure::new(Exit::Other, format!("{text:?} is not a header"))
            .help("-H 'X-Amz-Target: DynamoDB_20120810.GetItem' -H 'Content-Type: application/x-amz-json-1.0'")
    };
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    Ok((name.trim().to_owned(), Values::One(value.trim().to_owned())))
}

impl Judge<'_> {
    /// A name that the config does not have is an error before anything is read.
    fn knows_its_names(&self) -> Result<(), Failure> {
        let Some(settings) = self.settings else {
            return match self.from.is_some() || self.to.is_some() {
                true => Err(Failure::new(Exit::Config, "--from and --to need a config").help("add --config FILE")),
                false => Ok(()),
            };
        };
        let unknown =
            |what, name: &str| Failure::new(Exit::NotFound, format!("there is no {what} {name:?} in the config"));
        if let Some(from) =
            self.from.as_ref().filter(|from| !settings.sources.iter().any(|source| source.name == **from))
        {
            return Err(unknown("source", from.as_str()));
        }
        match self.to.as_ref().filter(|to| settings.rules.target(to).is_none()) {
            Some(to) => Err(unknown("target", to.as_str())),
            None => Ok(()),
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        match call_of(question) {
            Ok(call) => self.decide(call),
            Err(reason) => Answer::undecided(reason),
        }
    }

    /// The first source and target for which a grant covers the call; otherwise what came nearest.
    fn decide(&self, call: Call) -> Answer {
        let Some(settings) = self.settings else {
            return Answer { call: Some(call.into()), ..Answer::undecided("there is no config to decide by".into()) };
        };
        let sources =
            settings.sources.iter().filter(|source| self.from.as_ref().is_none_or(|from| *from == source.name));
        let callers: Vec<_> = sources.map(|source| Arc::new(caller_from(source))).collect();
        let mut targets: Vec<_> = settings.rules.targets().map(|target| &target.name).collect();
        targets.retain(|name| self.to.as_ref().is_none_or(|to| to == *name));
        targets.sort_unstable();
        let mut nearest: Option<(Denial, &TargetName, &Arc<Caller>)> = None;
        for (target, caller) in targets.iter().flat_map(|target| callers.iter().map(move |caller| (*target, caller))) {
            match decide(caller, (target, &call), &settings.rules, &self.context) {
                Ok(permit) => {
                    return match withheld(&call, &permit) {
                        Some(reason) => Answer::withheld(call, &permit, &reason),
                        None => Answer::allowed(call, &permit, &self.context),
                    };
                }
                Err(denial) => {
                    let far = denial.reason.nearness();
                    nearest =
                        nearest.filter(|(known, ..)| known.reason.nearness() >= far).or(Some((denial, target, caller)));
                }
            }
        }
        let otherwise = nearest
            .as_ref()
            .map(|(_, target, caller)| otherwise(caller, (target, &call), &settings.rules, &self.context));
        let nearest = nearest.map(|(denial, ..)| denial);
        let (grant, rule) = match nearest.as_ref().map(|denial| &denial.reason) {
            Some(Reason::Denied { grant, rule, .. }) => (Some(grant.to_string()), Some(format!("deny[{rule}]"))),
            _ => (None, None),
        };
        let reason =
            nearest.map_or_else(|| "the config has no source or no target".to_owned(), |denial| denial.to_string());
        let otherwise = otherwise.unwrap_or_default();
        Answer { call: Some(call.into()), decision: Decision::Refused, reason, target: None, grant, rule, otherwise }
    }
}

/// Why the proxy refuses a call although a grant covers it: its answer would hold what programs do not get.
fn withheld(call: &Call, permit: &Permit) -> Option<String> {
    let what = match vends(call) {
        Vends::Nothing | Vends::Hardly | Vends::Keys { .. } => return None,
        Vends::Token if permit.names(call) => return None,
        Vends::Token => {
            "a token that the program would hold itself; the grant has to name its action in full".to_owned()
        }
        Vends::Lasting => "a key without an end".to_owned(),
        Vends::Unclear => {
            return Some(format!(
                "{} hands out credentials, and the request does not say clearly which operation it is; where its body says it, give \
             the body",
                call.service
            ));
        }
    };
    Some(format!("the answer to {} holds {what}", call.action.as_deref().unwrap_or_default()))
}

/// Somebody who fulfils the source's `match`.
fn caller_from(source: &Source) -> Caller {
    Caller {
        subject: format!("a caller from source {}", source.name),
        issuer: source.kind.issuer().to_owned(),
        sources: vec![source.name.clone()],
        groups: source.groups.clone(),
        roles: source.roles.clone(),
        attributes: BTreeMap::new(),
        assurance: Assurance::default(),
        principal: None,
        actor: None,
        until: Timestamp::MAX,
    }
}

fn call_of(question: &Question) -> Result<Call, String> {
    let method =
        Method::from_str(&question.method).map_err(|_| format!("{:?} is not an HTTP method", question.method))?;
    let uri = Uri::from_str(&question.url).map_err(|error| format!("the URL cannot be read: {error}"))?;
    let host = uri.host().ok_or("the URL names no host")?.to_ascii_lowercase();
    let mut headers = HeaderMap::new();
    for (name, values) in &question.headers {
        let name = HeaderName::from_str(name).map_err(|_| format!("{name:?} is not a header's name"))?;
        let values = match values {
            Values::One(value) => std::slice::from_ref(value),
            Values::Many(values) => values,
        };
        for value in values {
            let value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name} is not one"))?;
            headers.append(&name, value);
        }
    }
    let head = Head { method: &method, uri: &uri, headers: &headers, host: &host };
    let mut recognised = recognise(head).map_err(|error| error.to_string())?;
    if let Some(reading) = recognised.body
        && !question.body.is_empty()
    {
        refine_with_body(&mut recognised.call, reading, question.body.as_bytes());
    }
    Ok(recognised.call)
}

impl From<Call> for Explained {
    fn from(call: Call) -> Self {
        let path = call.read_path().map(|path| path.into_owned());
        let Call { cloud, service, region, action, resource, also, method, .. } = call;
        Self { cloud, service, region, action, resource, also, method, path }
    }
}

impl Answer {
    fn undecided(reason: String) -> Self {
        let otherwise = Vec::new();
        Self { call: None, decision: Decision::Undecided, reason, target: None, grant: None, rule: None, otherwise }
    }

    /// What a grant covers, and no program gets.
    fn withheld(mut call: Call, permit: &Permit, why: &str) -> Self {
        call.settle(permit.target().account());
        Self {
            call: Some(call.into()),
            decision: Decision::Refused,
            reason: format!("credential-withheld: {why}"),
            target: Some(permit.target().name.clone()),
            grant: Some(permit.grant().name.to_string()),
            rule: None,
            otherwise: Vec::new(),
        }
    }

    fn allowed(mut call: Call, permit: &Permit, context: &Context) -> Self {
        let (grant, target, caller) = (permit.grant(), permit.target(), permit.caller());
        let rule = permit.allowing(&call, context).ok();
        let text = rule.and_then(|rule| grant.allow.get(rule)).map(ToString::to_string).unwrap_or_default();
        call.settle(target.account());
        let reason = format!(
            "grant {:?} covers it ({text}) for {}, as {} for {:#}",
            grant.name,
            caller.subject,
            target.role,
            permit.session()
        );
        Self {
            call: Some(call.into()),
            decision: Decision::Allowed,
            reason,
            target: Some(target.name.clone()),
            grant: Some(grant.name.to_string()),
            rule: rule.map(|rule| format!("allow[{rule}]")),
            otherwise: Vec::new(),
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unknown = || "the wire does not tell".to_owned();
        if let Some(call) = &self.call {
            writeln!(f, "cloud     {}", call.cloud)?;
            writeln!(f, "service   {}", call.service)?;
            writeln!(f, "region    {}", call.region.clone().unwrap_or_else(unknown))?;
            writeln!(f, "action    {}", call.action.clone().unwrap_or_else(unknown))?;
            writeln!(f, "resource  {}", call.resource.clone().unwrap_or_else(unknown))?;
            for deed in &call.also {
                let action = deed.action.clone().unwrap_or_else(unknown);
                writeln!(f, "besides   {action} on {}", deed.resource.clone().unwrap_or_else(unknown))?;
            }
            writeln!(
                f,
                "request   {} {}",
                call.method,
                call.path.as_deref().unwrap_or("(a path that readers take differently)")
            )?;
        } else {
            writeln!(f, "call      none that could be countersigned")?;
        }
        let decision = match self.decision {
            Decision::Allowed => "allowed",
            Decision::Refused => "refused",
            Decision::Undecided => "undecided",
        };
        if let (Some(grant), Some(rule)) = (&self.grant, &self.rule) {
            writeln!(f, "rule      {grant} {rule}")?;
        }
        write!(f, "decision  {decision}: {}", self.reason)?;
        self.otherwise.iter().try_for_each(|otherwise| write!(f, "\nunless    {otherwise}"))
    }
}
