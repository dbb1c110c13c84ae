//! Every operation of every service that botocore knows, serialised by botocore: does the wire tell what it is?
//!
//! The figures stand in `docs/reference/aws-actions.md`. `COUNTERSIGN_PYTHON` names a Python that has botocore; `./test`
//! sets it.

#![expect(clippy::unwrap_used, reason = "clippy knows test functions, not the functions that they share")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use access::Call;
use cloud::aws::recognise::{Head, recognise, refine_with_body};
use cloud::aws::vending::{Vends, vends_to_anybody};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde::Deserialize;

/// Less than this and the tables are broken.
const FLOOR: f64 = 99.5;

#[derive(Deserialize)]
struct Sent {
    service: String,
    signs: String,
    operation: String,
    method: String,
    host: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: String,
    unsigned: bool,
}

/// IAM's names where they are not the operations', from the generated table: prefix and aliases by signing name.
type Names = HashMap<&'static str, (&'static str, HashMap<&'static str, &'static str>)>;

fn names() -> Names {
    let mut names = Names::new();
    let mut service = "";
    for line in include_str!("../data/aws_operations.tsv").lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["service", name, prefix, _] => {
                service = name;
                names.insert(name, (prefix, HashMap::new()));
            }
            ["alias", operation, action] => {
                names.get_mut(service).unwrap().1.insert(operation, action);
            }
            _ => {}
        }
    }
    names
}

/// All of them: botocore takes half a minute, so it is asked once.
fn sent() -> &'static [Sent] {
    static SENT: LazyLock<Vec<Sent>> = LazyLock::new(serialised);
    &SENT
}

fn serialised() -> Vec<Sent> {
    let python = std::env::var_os("COUNTERSIGN_PYTHON")
        .expect("COUNTERSIGN_PYTHON must name a Python 3 that has botocore; run ./test, which sets it");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracles/botocore_requests.py");
    let output = Command::new(python).arg(script).output().expect("Python with botocore; ./test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect()
}

impl Sent {
    /// As the proxy reads it, with a signature or without one.
    fn call(&self) -> Result<Call, String> {
        let uri: Uri = format!("https://{}{}", self.host, self.target).parse().map_err(|e| format!("{e}"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|e| format!("{e}"))?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|e| format!("{e}"))?);
        }
        if !self.unsigned {
            let scope = format!("AKIAEXAMPLE/20261122/us-east-1/{}/aws4_request", self.signs);
            let zeros = "0".repeat(64);
            let signed =
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={zeros}");
            headers.insert("authorization", HeaderValue::from_str(&signed).map_err(|e| format!("{e}"))?);
        }
        let method: Method = self.method.parse().map_err(|e| format!("{e}"))?;
        let host = self.host.to_lowercase();
        let head = Head { method: &method, uri: &uri, headers: &headers, host: &host };
        let mut recognised = recognise(head).map_err(|error| error.to_string())?;
        if let Some(reading) = recognised.body {
            refine_with_body(&mut recognised.call, reading, self.body.as_bytes());
        }
        Ok(recognised.call)
    }

    /// The action that IAM's reference has for it, as far as the tables know; S3's are held to their own table elsewhere.
    fn is_told(&self, call: &Call, names: &Names) -> bool {
        let Some(action) = &call.action else { return false };
        let (prefix, own) = action.split_once(':').unwrap();
        let by_method = ["apigateway", "execute-api", "s3"].contains(&&*self.signs);
        let Some((expected, aliases)) = names.get(&*self.signs) else { return by_method };
        by_method
            || prefix == *expected && own == *aliases.get(&*self.operation).unwrap_or(&&*self.operation)
            // An operation that needs several permissions is told by those.
            || !call.also.is_empty()
            || ["s3-outposts"].contains(&&*self.signs)
    }
}

#[test]
fn the_wire_tells_every_operation_of_every_service() {
    let (names, sent) = (names(), sent());
    let (mut signed, mut told, mut resources) = (0_u32, 0_u32, 0_u32);
    let mut missed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in sent.iter().filter(|one| !one.unsigned) {
        signed += 1;
        match one.call() {
            Ok(call) if one.is_told(&call, &names) => {
                told += 1;
                resources += u32::from(call.resource.is_some());
            }
            Ok(call) => {
                missed.entry(one.service.clone()).or_default().push(format!("{} ({:?})", one.operation, call.action))
            }
            Err(error) => missed.entry(one.service.clone()).or_default().push(format!("{} ({error})", one.operation)),
        }
    }
    let lines = include_str!("../data/aws_operations.tsv").lines();
    let unlisted: usize =
        lines.filter_map(|line| line.strip_prefix("unlisted\t")).map(|names| names.split(' ').count()).sum();
    let percent = |part: u32| 100.0 * f64::from(part) / f64::from(signed);
    println!("{told} of {signed} ({:.2} %); resources {resources} ({:.1} %)", percent(told), percent(resources));
    println!("{missed:#?}");
    assert!(percent(told) >= FLOOR, "{:.2} %: {missed:#?}", percent(told));
    assert!(percent(resources) >= 50.0, "{:.1} %", percent(resources));
    let mut figures = format!(
        "Of the {signed} signed operations of the {} services that botocore knows, {told} ({:.2} %) are told by their requests as botocore\n\
         writes them, and of {resources} ({:.0} %) the resource, or that there is none. A test serialises and reads them all, and holds these\n\
         figures. Of {unlisted} of them IAM's reference does not know the name. Not told, and so only allowed by the whole service:\n\n",
        sent.iter().map(|one| &one.service).collect::<std::collections::BTreeSet<_>>().len(),
        percent(told),
        percent(resources),
    );
    for (service, operations) in &missed {
        let names: Vec<_> = operations.iter().filter_map(|text| text.split(' ').next()).collect();
        writeln!(figures, "- {service}: {}", names.join(", ")).unwrap();
    }
    let mark = "<!-- UPDATE_GOLDEN=1 cargo test -p countersign-cloud --test aws_operations -->\n\n";
    in_a_page("aws-actions.md", (mark, ""), &figures);
}

/// What becomes of a call that nobody signed, by what its answer holds: as the proxy decides it.
#[test]
fn the_wire_tells_every_operation_that_nobody_signs_and_what_its_answer_holds() {
    let sent = sent();
    let unsigned: Vec<_> = sent.iter().filter(|one| one.unsigned).collect();
    let (mut free, mut replaced, mut refused) = (0_u32, Vec::new(), Vec::new());
    for one in &unsigned {
        let call = one.call().unwrap_or_else(|error| panic!("{} {}: {error}", one.service, one.operation));
        let action = call.action.clone().unwrap_or_else(|| panic!("{} {} is not told", one.service, one.operation));
        assert_eq!(action.split(':').next_back(), Some(&*one.operation));
        match vends_to_anybody(&call) {
            Vends::Nothing | Vends::Hardly => free += 1,
            Vends::Keys { .. } => replaced.push(format!("`{action}`")),
            Vends::Token | Vends::Lasting | Vends::Unclear => refused.push(format!("`{action}`")),
        }
    }
    assert!(free > 30 && !replaced.is_empty(), "{free} of {}: the models say nothing any more", unsigned.len());
    let text = format!(
        "Of the {} operations that the models leave unsigned, {free} pass as they are, most of them Cognito's. So do these, and the keys\n\
         in their answers stay here: {}.\nRefused is what answers with a token, since no grant can cover a call that nobody signed:\n{}.\n",
        unsigned.len(),
        replaced.join(", "),
        refused.join(", "),
    );
    in_a_page("aws.md", ("<!-- what is not signed -->\n", "<!-- end of what is not signed -->"), &text);
}

/// Holds what stands between two marks of a page, or up to its end.
fn in_a_page(page: &str, (begin, end): (&str, &str), expected: &str) {
    let page = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference")).join(page);
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(begin).expect("the page has the mark");
    let at = if end.is_empty() { rest.len() } else { rest.find(end).expect("the page has the end's mark") };
    let (now, after) = rest.split_at(at);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&page, format!("{before}{begin}{expected}{after}")).unwrap();
    } else {
        assert_eq!(now, expected, "{} is not current; run with UPDATE_GOLDEN=1", page.display());
    }
}
