//! What a request is: a call to countersign, something to pass on as it is, or something to refuse.

use access::{Call, Refusal, RefusalCode, Secret, TargetName};
use cloud::aws::claim::Claim;
use cloud::aws::cluster::{self, BadBearer};
use cloud::aws::key::{AccessKey, SigningKeys};
use cloud::aws::placeholder::{Mentioned, Placeholders};
use cloud::aws::post::{self, BadPolicy, NoPost, PostForm};
use cloud::aws::recognise::{BodyReading, Head, Recognised, Unrecognised, recognise};
use cloud::aws::sign_in;
use cloud::aws::v2::BadV2;
use cloud::aws::v2_call::CallV2;
use cloud::aws::verify::{Check, VerifyError};
use http::request::Parts;

use crate::calls::skews::Moment;
use crate::calls::standing::{self, Standing};

/// The signing name of AWS's sign-in.
const SIGN_IN: &str = "signin";

/// What a request is.
#[derive(Debug)]
pub(crate) enum Class {
    /// Signed with a placeholder of ours.
    Placeheld(Box<Placeheld>),
    /// Its bearer is a request that is signed with a placeholder of ours.
    Bearing(Box<Bearing>),
    /// It carries no credential of ours, nor needs one from us. The call is here where the wire tells it.
    Unsigned(Option<Box<Unsigned>>),
    /// To AWS's sign-in: keys may stand among its parameters, or a token.
    SignIn(Box<Call>),
    /// No cloud's business at all.
    Elsewhere,
}

/// What a call is whose form was read.
#[derive(Debug)]
pub(crate) enum FormClass {
    /// Signed in the form, with a placeholder of ours.
    Placeheld(Box<Placeheld>),
    /// Not signed there either.
    Unsigned(Box<Unsigned>),
}

/// A call that nobody signed, as far as the wire tells it.
#[derive(Debug)]
pub(crate) struct Unsigned {
    pub(crate) call: Call,
    /// What the body says of the call.
    pub(crate) body: Option<BodyReading>,
}

/// A call that is to be countersigned.
#[derive(Debug)]
pub(crate) struct Placeheld {
    pub(crate) call: Call,
    /// What its placeholder stands for.
    pub(crate) standing: Standing,
    /// How far its own signature is verified: wholly, or but for the body's hash.
    pub(crate) check: Check,
    /// What the body says of the call.
    pub(crate) body: Option<BodyReading>,
}

/// A request to a cluster whose bearer is to be countersigned.
#[derive(Debug)]
pub(crate) struct Bearing {
    /// The request in the bearer.
    pub(crate) request: Parts,
    pub(crate) placeheld: Placeheld,
}

/// Tells what requests to clouds are.
#[derive(Debug)]
pub(crate) struct Classifier {
    placeholders: Placeholders,
    keys: SigningKeys,
}

impl Classifier {
    /// `placeholders`: all that were given to programs.
    pub(crate) fn new(placeholders: Placeholders) -> Self {
        Self { placeholders, keys: SigningKeys::new() }
    }

    /// Reads the head of a request to `host`, which is a cloud's or stands in for one.
    ///
    /// What looks signed and cannot be read is refused, never taken for unsigned.
    pub(crate) fn classify(&self, head: &Parts, host: &str, now: Moment) -> Result<Class, Refusal> {
        let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
        let recognised = match recognise(Head { method, uri, headers, host }) {
            Ok(recognised) => recognised,
            Err(Unrecognised::Host(_)) => return self.unsigned(head, None),
            Err(error @ (Unrecognised::Proof(_) | Unrecognised::OtherService { .. })) => {
                return Err(Refusal::new(RefusalCode::RequestMalformed, error.to_string()));
            }
        };
        let Recognised { call, credentialing, body, .. } = recognised;
        let Some(claim) = Claim::of(credentialing) else {
            if sign_in::is_federation(&call) {
                return Ok(Class::SignIn(Box::new(call)));
            }
            return self.unsigned(head, Some(Unsigned { call, body }));
        };
        let found = standing::find(&self.placeholders, (claim.access_key_id(), claim.token()), head);
        if let Err(Refusal { code: RefusalCode::PlaceholderUnknown, .. }) = found
            && claim.is_in_query()
        {
            // Somebody else's presigned URL admits to one request, and AWS hands such URLs out: layers of images, code
            // of functions, results of queries. It is the URL that is believed, and not its bearer.
            return self.unsigned(head, Some(Unsigned { call, body }));
        }
        let (secret, standing) = found?;
        let check = self.verify(head, &claim, &secret, now)?;
        Ok(Class::Placeheld(Box::new(Placeheld { call, standing, check, body })))
    }

    /// Reads the form of a call whose head is not signed: the signature may be one of its parameters.
    pub(crate) fn classify_form(
        &self,
        (head, form): (&Parts, &[u8]),
        Unsigned { call, body }: Unsigned,
        now: Moment,
    ) -> Result<FormClass, Refusal> {
        let malformed = |error: BadV2| Refusal::new(RefusalCode::RequestMalformed, error.to_string());
        let Some(claim) = CallV2::in_form(form).map_err(malformed)?.map(Claim::CallV2) else {
            return Ok(FormClass::Unsigned(Box::new(Unsigned { call, body })));
        };
        let (secret, standing) = standing::find(&self.placeholders, (claim.access_key_id(), claim.token()), head)?;
        let check = self.verify(head, &claim, &secret, now)?;
        Ok(FormClass::Placeheld(Box::new(Placeheld { call, standing, check, body })))
    }

    /// Reads the form of an upload that is signed with a placeholder. The head said what it would be without its form.
    pub(crate) fn classify_post(
        &self,
        (head, host): (&Parts, &str),
        form: &PostForm,
        now: Moment,
    ) -> Result<Placeheld, Refusal> {
        let malformed = |error: NoPost| Refusal::new(RefusalCode::RequestMalformed, error.to_string());
        let (method, uri, headers) = (&head.method, &head.uri, &head.headers);
        let call = post::recognise(Head { method, uri, headers, host }, form).map_err(malformed)?;
        let claim = Claim::Post(form);
        let (secret, standing) = standing::find(&self.placeholders, (claim.access_key_id(), claim.token()), head)?;
        let check = self.verify(head, &claim, &secret, now)?;
        Ok(Placeheld { call, standing, check, body: None })
    }

    /// All placeholders.
    pub(crate) const fn placeholders(&self) -> &Placeholders {
        &self.placeholders
    }

    /// Reads the head of a request to the API server of an EKS cluster. A bearer of its own kind proves who calls, and
    /// nothing else is in it: a URL for another operation is not signed, whoever would get it.
    pub(crate) fn classify_bearer(&self, head: &Parts, cluster: &str, now: Moment) -> Result<Class, Refusal> {
        let malformed = |error: BadBearer| Refusal::new(RefusalCode::RequestMalformed, error.to_string());
        let Some(request) = cluster::open(&head.headers, cluster).map_err(malformed)? else {
            return self.refuse_astray(head).map(|()| Class::Elsewhere);
        };
        let host = request.uri.host().unwrap_or_default().to_ascii_lowercase();
        let Class::Placeheld(placeheld) = self.classify(&request, &host, now)? else { return Ok(Class::Elsewhere) };
        if placeheld.call.action.as_deref() != Some("sts:GetCallerIdentity") {
            return Err(malformed(BadBearer));
        }
        Ok(Class::Bearing(Box::new(Bearing { request, placeheld: *placeheld })))
    }

    /// The access key id that stands for `target`.
    pub(crate) fn placeholder_of(&self, target: &TargetName) -> Option<&str> {
        self.placeholders.of(target).map(|placeholder| placeholder.access_key_id.as_str())
    }

    /// The signing keys in use.
    pub(crate) const fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    /// Refuses a request that carries a placeholder to where none is exchanged: whoever got it could come back with it.
    pub(crate) fn refuse_astray(&self, head: &Parts) -> Result<(), Refusal> {
        let message = match self.placeholders.mentioned_in_head(head) {
            None => return Ok(()),
            Some(Mentioned::Target(target)) => {
                format!("a placeholder for target {target:?} was on its way to another host")
            }
            Some(Mentioned::Derived) => "a placeholder for temporary keys was on its way to another host".to_owned(),
        };
        Err(Refusal::new(RefusalCode::PlaceholderAstray, message).help(
            "placeholders stand for credentials at their own cloud only; if this host is one, name it in `endpoints`, and an EKS cluster in `eks_clusters`",
        ))
    }

    /// Whether bytes carry a placeholder in plain sight.
    pub(crate) fn is_mentioned(&self, bytes: &[u8]) -> bool {
        self.placeholders.mentioned_in(bytes).is_some()
    }

    /// Whether this is the access key id of a placeholder, whatever it stands for.
    pub(crate) fn is_placeholder(&self, access_key_id: &str) -> bool {
        self.placeholders.find(access_key_id).is_some() || self.placeholders.find_derived(access_key_id).is_some()
    }

    fn unsigned(&self, head: &Parts, unsigned: Option<Unsigned>) -> Result<Class, Refusal> {
        let signs_in = unsigned.as_ref().is_some_and(|unsigned| unsigned.call.service == SIGN_IN);
        self.refuse_astray(head).map_err(|astray| if signs_in { no_sign_in() } else { astray })?;
        Ok(Class::Unsigned(unsigned.map(Box::new)))
    }

    fn verify(&self, head: &Parts, claim: &Claim<'_>, secret: &Secret<String>, now: Moment) -> Result<Check, Refusal> {
        let access_key = AccessKey { id: claim.access_key_id(), secret };
        let with = (access_key, &self.keys);
        // A program that has corrected its clock by the destination's signs by that one.
        let checked = match claim.check(head, with, now.ours) {
            Err(VerifyError::Stale(_)) if now.theirs != now.ours => claim.check(head, with, now.theirs),
            checked => checked,
        };
        checked.map_err(|error| unverified(&error))
    }
}

/// A placeholder on its way to AWS's sign-in, where nobody exchanges it.
pub(crate) fn no_sign_in() -> Refusal {
    let message = "a placeholder was on its way to AWS's sign-in in a request that is neither getSigninToken nor login";
    Refusal::new(RefusalCode::CredentialWithheld, message)
        .help("ask /federation for Action=getSigninToken with sessionId, sessionKey and sessionToken in Session")
}

/// Why a signature proves nothing, as a refusal.
pub(crate) fn unverified(error: &VerifyError) -> Refusal {
    use cloud::aws::payload::PayloadError;
    let code = match error {
        VerifyError::Payload(PayloadError::Repeated | PayloadError::Malformed | PayloadError::OtherAlgorithm)
        | VerifyError::NoDate
        | VerifyError::Endless
        | VerifyError::Policy(BadPolicy::Encoding | BadPolicy::Shape | BadPolicy::Expiration | BadPolicy::Condition)
        | VerifyError::Host(_)
        | VerifyError::Escape(_) => RefusalCode::RequestMalformed,
        VerifyError::Stale(_)
        | VerifyError::Expired(_)
        | VerifyError::Scope
        | VerifyError::Uncovered(_)
        | VerifyError::Absent(_)
        | VerifyError::Policy(BadPolicy::Unmet(_))
        | VerifyError::Mismatch => RefusalCode::PlaceholderInvalid,
    };
    Refusal::new(code, error.to_string())
}
