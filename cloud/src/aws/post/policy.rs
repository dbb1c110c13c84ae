//! The policy of a form (Amazon S3 API reference, "POST policy"): read as far as it is about the signature, and written
//! anew with another one; all other conditions keep their bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::super::object::Object;

/// Why a policy proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// The field.
    #[error("the policy is not JSON in base64")]
    Encoding,
    /// The document.
    #[error("the policy does not consist of one `expiration` and one list of `conditions`")]
    Shape,
    /// Its end.
    #[error("the policy's expiration is not like 2015-12-30T12:00:00.000Z")]
    Expiration,
    /// A condition.
    #[error(
        "a condition of the policy is neither an object nor [\"eq\" or \"starts-with\", \"$field\", \"value\"], nor a range of lengths"
    )]
    Condition,
    /// A field of the form that the policy does not mention, or of which it says something else.
    #[error("the form's field `{0}` is not what the policy says that it is signed with")]
    Unmet(String),
}

/// A policy, its conditions on what signs apart from the others.
#[derive(Debug)]
pub(super) struct Policy {
    expires: Timestamp,
    /// As it is written.
    expiration: String,
    /// As they are written.
    others: Vec<String>,
    signing: Vec<Condition>,
}

/// What a policy demands of a field that signs.
#[derive(Debug)]
struct Condition {
    /// Lower case: S3 makes no difference.
    field: String,
    begins_with: bool,
    value: String,
}

impl Policy {
    /// Reads the field of a form. `signs` tells the fields that sign by their names in lower case.
    pub(super) fn read(field: &str, signs: impl Fn(&str) -> bool) -> Result<Self, BadPolicy> {
        let text = STANDARD.decode(field).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or(BadPolicy::Encoding)?;
        let plain = plain_escapes(&text);
        let Object(members) = serde_json::from_str(&plain).map_err(|_| BadPolicy::Encoding)?;
        let (mut expiration, mut conditions) = (None, None);
        for (name, value) in members {
            let slot = match &*name {
                "expiration" => &mut expiration,
                "conditions" => &mut conditions,
                _ => return Err(BadPolicy::Shape),
            };
            if slot.replace(value).is_some() {
                return Err(BadPolicy::Shape);
            }
        }
        let (Some(expiration), Some(conditions)) = (expiration, conditions) else { return Err(BadPolicy::Shape) };
        let ends: String = serde_json::from_str(expiration.get()).map_err(|_| BadPolicy::Expiration)?;
        let expires = ends.parse().ok().filter(|_| ends.ends_with('Z')).ok_or(BadPolicy::Expiration)?;
        let mut policy =
            Self { expires, expiration: expiration.get().to_owned(), others: Vec::new(), signing: Vec::new() };
        let as_written = |raw: &RawValue| {
            // What was read is a copy of the same length.
            let from = raw.get().as_ptr() as usize - plain.as_ptr() as usize;
            text[from..from + raw.get().len()].to_owned()
        };
        let conditions: Vec<&RawValue> = serde_json::from_str(conditions.get()).map_err(|_| BadPolicy::Shape)?;
        for condition in conditions {
            policy.take(condition, (&signs, &as_written))?;
        }
        Ok(policy)
    }

    fn take(
        &mut self,
        condition: &RawValue,
        (signs, as_written): (impl Fn(&str) -> bool, impl Fn(&RawValue) -> String),
    ) -> Result<(), BadPolicy> {
        let malformed = |_| BadPolicy::Condition;
        if !condition.get().starts_with('{') {
            let parts: Vec<&RawValue> = serde_json::from_str(condition.get()).map_err(malformed)?;
            match matched(&parts)? {
                Some(condition) if signs(&condition.field) => self.signing.push(condition),
                Some(_) | None => self.others.push(as_written(condition)),
            }
            return Ok(());
        }
        let Object(members) = serde_json::from_str(condition.get()).map_err(malformed)?;
        let (signing, others): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(name, _)| signs(&name.to_ascii_lowercase()));
        for (name, value) in &signing {
            let value = serde_json::from_str(value.get()).map_err(malformed)?;
            self.signing.push(Condition { field: name.to_ascii_lowercase(), begins_with: false, value });
        }
        if signing.is_empty() {
            self.others.push(as_written(condition));
        } else if !others.is_empty() {
            let members = others.iter().map(|(name, value)| {
                let name = serde_json::to_string(name).expect("a text is JSON");
                format!("{name}:{}", as_written(value))
            });
            self.others.push(format!("{{{}}}", members.collect::<Vec<_>>().join(",")));
        }
        Ok(())
    }

    /// Until when it is good.
    pub(super) const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The first field that signs and is not what the policy says of it, by name: S3 wants a condition on each field, and
    /// each condition met.
    pub(super) fn unmet<'a>(&'a self, fields: &[(&'a str, &str)]) -> Option<&'a str> {
        let value = |name: &str| fields.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let is_met = |Condition { field, begins_with, value: wanted }: &&Condition| {
            value(field).is_some_and(|value| value == wanted || (*begins_with && value.starts_with(wanted.as_str())))
        };
        let unmet = self.signing.iter().find(|condition| !is_met(condition)).map(|condition| condition.field.as_str());
        let is_covered = |name: &str| self.signing.iter().any(|condition| condition.field == name);
        unmet.or_else(|| fields.iter().map(|(name, _)| *name).find(|name| !is_covered(name)))
    }

    /// The field of another form: the same policy with conditions on `signing` in the place of those on what signed. How
    /// much of it begins with the first of them comes back, too: that one is a secret.
    pub(super) fn rewritten(&self, signing: &[(&str, &str)]) -> (String, usize) {
        let text = |text: &str| serde_json::to_string(text).expect("a text is JSON");
        let ours: Vec<String> =
            signing.iter().map(|(name, value)| format!("{{{}:{}}}", text(name), text(value))).collect();
        let begin = "{\"conditions\":[";
        let secret = begin.len() + ours.first().map_or(0, String::len);
        let conditions: Vec<&str> = ours.iter().chain(&self.others).map(String::as_str).collect();
        let whole = format!("{begin}{}],\"expiration\":{}}}", conditions.join(","), self.expiration);
        (STANDARD.encode(whole), secret.div_ceil(3) * 4)
    }
}

/// `["starts-with", "$x-amz-date", "2026"]`; `None` for what is no condition on a field.
fn matched(parts: &[&RawValue]) -> Result<Option<Condition>, BadPolicy> {
    let [kind, name, value] = parts else { return Err(BadPolicy::Condition) };
    let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).map_err(|_| BadPolicy::Condition);
    let begins_with = match text(kind)?.to_ascii_lowercase().as_str() {
        "eq" => false,
        "starts-with" => true,
        "content-length-range" => return Ok(None),
        _ => return Err(BadPolicy::Condition),
    };
    let name = text(name)?;
    let field = name.strip_prefix('$').ok_or(BadPolicy::Condition)?.to_ascii_lowercase();
    Ok(Some(Condition { field, begins_with, value: text(value)? }))
}

/// JSON has no `\$` and no `\v`, and policies do ("Character escaping"). Neither stands in anything that is read here.
fn plain_escapes(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at + 1 < bytes.len() {
        if bytes[at] == b'\\' {
            if matches!(bytes[at + 1], b'$' | b'v') {
                bytes[at + 1] = b'/';
            }
            at += 1;
        }
        at += 1;
    }
    String::from_utf8(bytes).expect("one ASCII letter in the place of another")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, BadPolicy> {
        Policy::read(&STANDARD.encode(text), |name| name.starts_with("x-amz-d") || name == "x-amz-security-token")
    }

    fn rewritten(text: &str) -> String {
        let (field, secret) =
            read(text).unwrap().rewritten(&[("x-amz-security-token", "to\"ken"), ("x-amz-date", "d")]);
        let hidden = String::from_utf8(STANDARD.decode(&field[..secret]).unwrap()).unwrap();
        assert!(hidden.contains("{\"x-amz-security-token\":\"to\\\"ken\"}"), "{hidden}");
        String::from_utf8(STANDARD.decode(field).unwrap()).unwrap()
    }

    #[test]
    fn conditions_on_what_signs_are_replaced_and_all_others_keep_their_bytes() {
        let others = "[\"starts-with\", \"$key\",\n \"a\\$b\\v\\u00e9\"],{\"acl\" : \"private\"},[\"content-length-range\", 1, 10 ]";
        let signing = "{\"X-Amz-Date\": \"d\"}, [\"EQ\", \"$x-amz-date\", \"d\"], [\"Starts-With\", \"$X-amz-security-Token\", \"\"]";
        let text =
            format!("{{ \"expiration\": \"2015-12-30T12:00:00.000Z\", \"conditions\": [ {signing}, {others} ] }}");
        let ours = "{\"x-amz-security-token\":\"to\\\"ken\"},{\"x-amz-date\":\"d\"}";
        let expected = format!("{{\"conditions\":[{ours},{others}],\"expiration\":\"2015-12-30T12:00:00.000Z\"}}");
        assert_eq!(rewritten(&text), expected);
        let mixed = "{\"expiration\":\"2015-12-30T12:00:00Z\",\"conditions\":[{\"a\\\"\": \"\\$\", \"x-amz-date\":\"d\",\"acl\":\"x\"}]}";
        assert_eq!(
            rewritten(mixed),
            format!(
                "{{\"conditions\":[{ours},{{\"a\\\"\":\"\\$\",\"acl\":\"x\"}}],\"expiration\":\"2015-12-30T12:00:00Z\"}}"
            )
        );
    }

    #[test]
    fn each_field_that_signs_has_to_be_what_the_policy_says() {
        let policy = |conditions: &str| {
            read(&format!("{{\"expiration\":\"2015-12-30T12:00:00Z\",\"conditions\":[{conditions}]}}")).unwrap()
        };
        let date = [("x-amz-date", "2015")];
        for met in [
            "{\"x-amz-date\":\"2015\"}",
            "[\"starts-with\",\"$x-amz-date\",\"20\"]",
            "[\"eq\",\"$X-AMZ-DATE\",\"2015\"]",
        ] {
            assert_eq!(policy(met).unmet(&date), None, "{met}");
        }
        for unmet in [
            "{\"x-amz-date\":\"2016\"}",
            "[\"eq\",\"$x-amz-date\",\"20\"]",
            "{\"x-amz-date\":\"2015\"},{\"x-amz-date\":\"2016\"}",
            "",
        ] {
            assert_eq!(policy(unmet).unmet(&date), Some("x-amz-date"), "{unmet}");
        }
        assert_eq!(policy("{\"x-amz-date\":\"2015\"}").unmet(&[]), Some("x-amz-date"));
    }

    #[test]
    fn policies_that_cannot_be_read_are_refused() {
        let ends = "\"expiration\":\"2015-12-30T12:00:00Z\"";
        for (text, why) in [
            ("", BadPolicy::Encoding),
            ("[]", BadPolicy::Encoding),
            ("{}", BadPolicy::Shape),
            (&format!("{{{ends},{ends},\"conditions\":[]}}"), BadPolicy::Shape),
            (&format!("{{{ends},\"conditions\":[],\"conditions\":[]}}"), BadPolicy::Shape),
            (&format!("{{{ends},\"conditions\":[],\"more\":1}}"), BadPolicy::Shape),
            (&format!("{{{ends},\"conditions\":{{}}}}"), BadPolicy::Shape),
            ("{\"expiration\":1,\"conditions\":[]}", BadPolicy::Expiration),
            ("{\"expiration\":\"2015-12-30T12:00:00\",\"conditions\":[]}", BadPolicy::Expiration),
            ("{\"expiration\":\"2015-12-30T12:00:00+02:00\",\"conditions\":[]}", BadPolicy::Expiration),
            (&format!("{{{ends},\"conditions\":[1]}}"), BadPolicy::Condition),
            (&format!("{{{ends},\"conditions\":[[\"eq\",\"x-amz-date\",\"d\"]]}}"), BadPolicy::Condition),
            (&format!("{{{ends},\"conditions\":[[\"ne\",\"$key\",\"d\"]]}}"), BadPolicy::Condition),
            (&format!("{{{ends},\"conditions\":[{{\"x-amz-date\":1}}]}}"), BadPolicy::Condition),
            (&format!("{{{ends},\"conditions\":[[\"eq\",\"$key\"]]}}"), BadPolicy::Condition),
        ] {
            assert_eq!(read(text).unwrap_err(), why, "{text}");
        }
        assert_eq!(Policy::read("e30", |_| false).unwrap_err(), BadPolicy::Encoding, "base64 ends with its padding");
    }
}
