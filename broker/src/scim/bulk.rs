//! Many operations in one request, some of which need what others create (RFC 7644 §3.7).
//!
//! [`Bulk::read`] reads the request, [`Run`] says what to do next and hears what became of it. Whoever refers to
//! `bulkId:ann` gets the id of what the operation called `ann` has created, whichever of the two stands first.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::document::key;
use super::error::{Error, Wrong};
use super::member::ResourceId;
use super::resource::Version;
use super::schema::{RESOURCE_TYPES, ResourceType};

/// The schema of requests.
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The schema of answers.
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// Most operations in one request: each is a transaction of its own.
pub const MAX_OPERATIONS: usize = 1_000;
/// Most bytes of one request.
pub const MAX_BYTES: usize = 1024 * 1024;
/// What stands before the name of an operation where its resource's id will stand.
const PREFIX: &str = "bulkId:";

/// What is to be done.
#[derive(Debug)]
pub struct Bulk {
    operations: Vec<Operation>,
    fail_on_errors: Option<usize>,
}

/// What a client calls an operation.
type BulkId = Box<str>;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Creates a resource.
    Post,
    /// Replaces one.
    Put,
    /// Changes one.
    Patch,
    /// Deletes one.
    Delete,
}

#[derive(Debug)]
struct Operation {
    method: Method,
    bulk_id: Option<BulkId>,
    version: Option<String>,
    of: &'static ResourceType,
    /// As the path has it; perhaps a reference.
    id: Option<String>,
    data: Value,
}

/// An operation whose references stand for something.
#[derive(Debug, Clone, PartialEq)]
pub struct Ready {
    /// Which one; [`Run::done`] wants it back.
    pub number: usize,
    /// What it does.
    pub method: Method,
    /// To which kind of resource.
    pub of: &'static ResourceType,
    /// To which resource; none is created by it if there is one.
    pub id: Option<ResourceId>,
    /// Only if the resource has this version, as an ETag.
    pub version: Option<String>,
    /// With what.
    pub data: Value,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was done.
    Done {
        /// `201`, `200` or `204`.
        status: u16,
        /// The resource.
        id: ResourceId,
        /// Where the resource is.
        location: String,
        /// Its version; `None` if it is no more.
        version: Option<Version>,
    },
    /// It was not.
    Failed(Error),
}

impl Bulk {
    /// Reads the body of a request. What is wrong with one operation fails that one, when its turn comes.
    pub fn read(body: Value) -> Result<Self, Error> {
        let Value::Object(mut body) = body else { return Err(syntax("the body must be an object")) };
        let schemas = take(&mut body, "schemas");
        let names_it = |schemas: Value| {
            let mut schemas = schemas.as_array().into_iter().flatten().filter_map(Value::as_str);
            schemas.any(|schema| schema.eq_ignore_ascii_case(BULK_REQUEST))
        };
        if schemas.is_some_and(|schemas| !names_it(schemas)) {
            return Err(syntax(&format!("`schemas` must name {BULK_REQUEST}")));
        }
        let fail_on_errors = match take(&mut body, "failOnErrors") {
            None | Some(Value::Null) => None,
            Some(count) => {
                let count = count.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
                Some(count.ok_or_else(|| syntax("`failOnErrors` must be a number above zero"))?)
            }
        };
        let Some(Value::Array(operations)) = take(&mut body, "Operations") else {
            return Err(syntax("`Operations` must be a list"));
        };
        if operations.len() > MAX_OPERATIONS {
            return Err(Error::new(Wrong::TooLarge, format!("one request may have {MAX_OPERATIONS} operations")));
        }
        let read =
            |(n, operation)| Operation::read(operation).map_err(|e: Error| e.within(&format!("operation {}", n + 1)));
        let operations = operations.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut names = BTreeSet::new();
        for name in operations.iter().filter_map(|operation| operation.bulk_id.as_deref()) {
            if !names.insert(name) {
                return Err(syntax("two operations have the same `bulkId`"));
            }
        }
        Ok(Self { operations, fail_on_errors })
    }
}

impl Operation {
    fn read(operation: Value) -> Result<Self, Error> {
        let Value::Object(mut operation) = operation else { return Err(syntax("it must be an object")) };
        let mut text = |name: &str| match take(&mut operation, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(syntax(&format!("`{name}` must be a text"))),
        };
        let named =
            [("POST", Method::Post), ("PUT", Method::Put), ("PATCH", Method::Patch), ("DELETE", Method::Delete)];
        let method = text("method")?.unwrap_or_default();
        let method = named.into_iter().find(|(name, _)| method.eq_ignore_ascii_case(name)).map(|(_, method)| method);
        let method = method.ok_or_else(|| syntax("`method` must be POST, PUT, PATCH or DELETE"))?;
        let path = text("path")?.ok_or_else(|| syntax("`path` is missing"))?;
        let (of, id) = target(&path).ok_or_else(|| syntax("`path` must be /Users, /Groups or one of theirs"))?;
        if (method == Method::Post) == id.is_some() {
            return Err(syntax("POST goes to /Users or /Groups, and everything else to one of theirs"));
        }
        let (bulk_id, version) = (text("bulkId")?, text("version")?);
        let data = take(&mut operation, "data").unwrap_or_default();
        Ok(Self { method, bulk_id: bulk_id.map(Into::into), version, of, id: id.map(str::to_owned), data })
    }

    /// The names of operations that must be done before.
    fn needs(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        names.extend(self.id.as_deref().and_then(|id| id.strip_prefix(PREFIX)));
        references(&self.data, &mut names);
        names
    }
}

/// `/Users`, `/Groups/2819`.
fn target(path: &str) -> Option<(&'static ResourceType, Option<&str>)> {
    RESOURCE_TYPES.into_iter().find_map(|of| {
        let rest = path.strip_prefix(of.endpoint)?;
        match rest.strip_prefix('/') {
            None => rest.is_empty().then_some((of, None)),
            Some(id) => (!id.is_empty() && !id.contains('/')).then_some((of, Some(id))),
        }
    })
}

/// A request that is being done.
#[derive(Debug)]
pub struct Run {
    operations: Vec<Operation>,
    /// What is to be done, the last first.
    order: Vec<usize>,
    outcomes: Vec<Option<Outcome>>,
    created: HashMap<BulkId, ResourceId>,
    failures: usize,
    fail_on_errors: Option<usize>,
}

impl Run {
    /// Finds an order: the client's, but for what must wait. What waits for itself fails at once (RFC 7644 §3.7.1).
    pub fn new(bulk: Bulk) -> Self {
        let (mut order, circular) = order(&bulk.operations);
        order.reverse();
        let mut run = Self {
            outcomes: (0..bulk.operations.len()).map(|_| None).collect(),
            operations: bulk.operations,
            order,
            created: HashMap::new(),
            failures: 0,
            fail_on_errors: bulk.fail_on_errors,
        };
        for number in circular {
            run.fail(number, Error::new(Wrong::Conflict, "operations that refer to one another wait for ever"));
        }
        run
    }

    /// What to do next. None is left, or too many have failed, if there is none.
    pub fn take(&mut self) -> Option<Ready> {
        while self.fail_on_errors.is_none_or(|most| self.failures < most) {
            let number = self.order.pop()?;
            match self.ready(number) {
                Ok(ready) => return Some(ready),
                Err(error) => self.fail(number, error),
            }
        }
        None
    }

    /// Hears what became of an operation.
    pub fn done(&mut self, number: usize, outcome: Outcome) {
        match (&outcome, self.operations.get(number).and_then(|operation| operation.bulk_id.clone())) {
            (Outcome::Failed(_), _) => self.failures += 1,
            (Outcome::Done { id, .. }, Some(name)) => drop(self.created.insert(name, id.clone())),
            (Outcome::Done { .. }, None) => {}
        }
        if let Some(place) = self.outcomes.get_mut(number) {
            *place = Some(outcome);
        }
    }

    /// The answer: what became of each that was tried, in the client's order.
    pub fn into_json(self) -> Value {
        let tried = self.operations.iter().zip(self.outcomes);
        let tried = tried.filter_map(|(operation, outcome)| outcome.map(|outcome| operation.told(outcome)));
        json!({ "schemas": [BULK_RESPONSE], "Operations": tried.collect::<Vec<_>>() })
    }

    fn fail(&mut self, number: usize, error: Error) {
        self.done(number, Outcome::Failed(error));
    }

    /// Puts ids in the place of references.
    fn ready(&mut self, number: usize) -> Result<Ready, Error> {
        let operation = &mut self.operations[number];
        let (id, mut data) = (operation.id.clone(), std::mem::take(&mut operation.data));
        let created = |name: &str| {
            let why = || format!("`{PREFIX}{name}` stands for nothing: no operation is called so, or it has failed");
            self.created.get(name).ok_or_else(|| Error::new(Wrong::Conflict, why()))
        };
        resolve(&mut data, &created)?;
        let id = match id.as_deref().map(|id| (id, id.strip_prefix(PREFIX))) {
            None => None,
            Some((_, Some(name))) => Some(created(name)?.clone()),
            Some((id, None)) => {
                Some(ResourceId::new(id).ok_or_else(|| Error::new(Wrong::NotFound, "there is no such resource"))?)
            }
        };
        let operation = &self.operations[number];
        Ok(Ready { number, method: operation.method, of: operation.of, id, version: operation.version.clone(), data })
    }
}

impl Operation {
    fn told(&self, outcome: Outcome) -> Value {
        let mut told = Map::new();
        told.insert("method".to_owned(), self.method.as_str().into());
        if let Some(name) = &self.bulk_id {
            told.insert("bulkId".to_owned(), (**name).into());
        }
        match outcome {
            Outcome::Done { status, location, version, .. } => {
                told.insert("location".to_owned(), location.into());
                if let Some(version) = version {
                    told.insert("version".to_owned(), version.to_string().into());
                }
                told.insert("status".to_owned(), status.to_string().into());
            }
            Outcome::Failed(error) => {
                told.insert("status".to_owned(), error.wrong.status().to_string().into());
                told.insert("response".to_owned(), error.to_json());
            }
        }
        Value::Object(told)
    }
}

impl Method {
    /// As HTTP has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// An order in which what is needed comes first, and those that have none.
fn order(operations: &[Operation]) -> (Vec<usize>, Vec<usize>) {
    let named: HashMap<&str, usize> =
        operations.iter().enumerate().filter_map(|(n, o)| Some((o.bulk_id.as_deref()?, n))).collect();
    let mut waits = vec![0usize; operations.len()];
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); operations.len()];
    for (n, operation) in operations.iter().enumerate() {
        // What nobody is called fails when its turn comes.
        for needed in operation.needs().iter().filter_map(|name| named.get(name)) {
            waits[n] += 1;
            waiting[*needed].push(n);
        }
    }
    let mut free: BTreeSet<usize> = (0..operations.len()).filter(|n| waits[*n] == 0).collect();
    let mut order = Vec::with_capacity(operations.len());
    while let Some(n) = free.pop_first() {
        order.push(n);
        for waiting in &waiting[n] {
            waits[*waiting] -= 1;
            if waits[*waiting] == 0 {
                free.insert(*waiting);
            }
        }
    }
    let circular = (0..operations.len()).filter(|n| waits[*n] > 0).collect();
    (order, circular)
}

fn references<'a>(data: &'a Value, names: &mut BTreeSet<&'a str>) {
    match data {
        Value::String(text) => names.extend(text.strip_prefix(PREFIX)),
        Value::Array(elements) => elements.iter().for_each(|element| references(element, names)),
        Value::Object(parts) => parts.values().for_each(|part| references(part, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn resolve<'a>(data: &mut Value, created: &impl Fn(&str) -> Result<&'a ResourceId, Error>) -> Result<(), Error> {
    match data {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix(PREFIX) {
                *text = created(name)?.as_str().to_owned();
            }
            Ok(())
        }
        Value::Array(elements) => elements.iter_mut().try_for_each(|element| resolve(element, created)),
        Value::Object(parts) => parts.values_mut().try_for_each(|part| resolve(part, created)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = key(object, name)?;
    object.remove(&key)
}

fn syntax(what: &str) -> Error {
    Error::new(Wrong::InvalidSyntax, what)
}

#[cfg(test)]
#[path = "bulk_tests.rs"]
mod tests;
