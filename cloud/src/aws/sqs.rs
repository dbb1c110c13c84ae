//! Amazon SQS: queue URL → ARN.

use access::OWN_ACCOUNT;

/// `/123456789012/orders` → `arn:aws:sqs:eu-west-1:123456789012:orders`; `None` for any other path.
pub(super) fn queue_arn(path: &str, region: &str, partition: &str) -> Option<String> {
    let (account, queue) = path.strip_prefix('/')?.split_once('/')?;
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    (is_account && is_name(queue)).then(|| format!("arn:{partition}:sqs:{region}:{account}:{queue}"))
}

/// The same for a name, whose account is the caller's own.
pub(super) fn own_queue_arn(queue: &str, region: &str, partition: &str) -> Option<String> {
    is_name(queue).then(|| format!("arn:{partition}:sqs:{region}:{OWN_ACCOUNT}:{queue}"))
}

/// SQS, "Queue name": 80 characters, alphanumeric, `-` and `_`; `.fifo` at the end.
fn is_name(queue: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !queue.is_empty() && queue.len() <= 80 && queue.bytes().all(fits)
}

/// The path of a queue URL.
pub(super) fn path_of(queue_url: &str) -> Option<&str> {
    let (_, after_scheme) = queue_url.split_once("://")?;
    after_scheme.find('/').map(|slash| &after_scheme[slash..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_url_names_its_queue() {
        let arn = queue_arn("/123456789012/orders.fifo", "eu-west-1", "aws");
        assert_eq!(arn.as_deref(), Some("arn:aws:sqs:eu-west-1:123456789012:orders.fifo"));
        for path in
            ["/", "/123456789012", "/123456789012/", "/12345/orders", "/123456789012/a/b", "/123456789012/a%2Fb"]
        {
            assert_eq!(queue_arn(path, "eu-west-1", "aws"), None, "{path}");
        }
        assert_eq!(path_of("https://sqs.eu-west-1.amazonaws.com/123456789012/orders"), Some("/123456789012/orders"));
        assert_eq!(path_of("orders"), None);
    }
}
