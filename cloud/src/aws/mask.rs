//! A credential in what a cloud answers: AWS repeats tokens and access key ids where it refuses them.

use access::AwsCredential;

use super::uri;

/// Overwrites what must not be seen, in the spellings that AWS has for it, each with as many bytes: the answer's length
/// was said already.
pub fn mask(body: &mut [u8], credential: &AwsCredential, placeholder: &str) {
    let AwsCredential { access_key_id, session_token, .. } = credential;
    mask_text(body, session_token.expose());
    if access_key_id.len() == placeholder.len() {
        overwrite(body, access_key_id.as_bytes(), placeholder.as_bytes());
    }
}

/// The same for another secret: a token of AWS's sign-in, or what of a form's policy holds the session token.
pub fn mask_text(body: &mut [u8], secret: &str) {
    let mut escaped = Vec::new();
    uri::encode_all(secret, &mut escaped);
    for text in [secret, &String::from_utf8_lossy(&escaped)] {
        overwrite(body, text.as_bytes(), b"*");
        overwrite(body, in_hex(text).as_bytes(), b"2a ");
    }
}

/// `49 51 6f`, as S3 writes bytes.
fn in_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Every `found` in `body` becomes `with`, over and over; letter case of ASCII aside.
fn overwrite(body: &mut [u8], found: &[u8], with: &[u8]) {
    if found.is_empty() || with.is_empty() {
        return;
    }
    let mut at = 0;
    while at + found.len() <= body.len() {
        if body[at..at + found.len()].eq_ignore_ascii_case(found) {
            body[at..at + found.len()].iter_mut().zip(with.iter().cycle()).for_each(|(old, new)| *old = *new);
            at += found.len();
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use access::Secret;

    use super::*;

    #[test]
    fn every_spelling_of_the_token_is_masked_and_no_length_changes() {
        let credential = AwsCredential {
            access_key_id: "ASIAREALREALREALREAL".to_owned(),
            secret_access_key: Secret::new("secret".to_owned()),
            session_token: Secret::new("IQoJ+b/3=".to_owned()),
            expires: jiff::Timestamp::UNIX_EPOCH,
        };
        let text = "<AWSAccessKeyId>ASIAREALREALREALREAL</AWSAccessKeyId><Token-0>IQoJ+b/3=</Token-0>X=IQoJ%2Bb%2F3%3D&y \
            <Bytes>47 49 51 6F 4A 2B 62 2F 33 3D 0A</Bytes>";
        let mut body = text.as_bytes().to_vec();
        mask(&mut body, &credential, "AKIAPLACEHOLDERPLACE");
        let masked = String::from_utf8(body).unwrap();
        let expected = "<AWSAccessKeyId>AKIAPLACEHOLDERPLACE</AWSAccessKeyId><Token-0>*********</Token-0>X=***************&y \
            <Bytes>47 2a 2a 2a 2a 2a 2a 2a 2a 2a 0A</Bytes>";
        assert_eq!(masked, expected);
    }
}
