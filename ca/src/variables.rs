//! The environment variables that point programs at trusted roots, measured one by one.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::TrustFiles;

/// Variables whose file takes the place of what a program trusts otherwise: it gets the whole bundle.
///
/// `SSL_CERT_DIR` is not here and must stay as the user has it: set together with `SSL_CERT_FILE` it would leave
/// OpenSSL, Go and rustls without the system's roots.
const REPLACING: [&str; 13] = [
    // Python's ssl and all that stands on it, httpx, curl, Go on Linux, Ruby, PHP, cargo, rustls-native-certs
    "SSL_CERT_FILE",
    // requests, and so google-auth, azure-storage-blob, the OCI SDK, gcloud; botocore, and so boto3 and the AWS CLI
    "REQUESTS_CA_BUNDLE",
    // the curl tool, the requests family
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "HTTPLIB2_CA_CERTS",
    // gRPC in Python and Node
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    // gcloud
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
    "WEBSOCKET_CLIENT_CA_BUNDLE",
    // programs built by Nix
    "NIX_SSL_CERT_FILE",
    "OCI_CLI_CERT_BUNDLE",
];

/// Variables whose file is trusted besides what is trusted anyway: it gets only our root, unless the user's own file
/// stood there, which only the bundle contains as well.
const ADDING: [&str; 2] = ["NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// What comes before `REQUESTS_CA_BUNDLE` in botocore and before `SSL_CERT_FILE` in the AWS SDKs for Go. Whoever has set it
/// must get the bundle in its place. To others it would only do harm: the SDK for Go v1 ends every program that brings
/// an HTTP client of its own (measured: rclone 1.60), because it does not know how to add the roots to that.
const WHERE_SET: &str = "AWS_CA_BUNDLE";

/// The variables to set only for a program that has set them itself, each to the bundle; as [`variables`] does for a
/// program whose environment is known.
pub fn where_set(files: &TrustFiles) -> [(&'static str, PathBuf); 1] {
    [(WHERE_SET, files.bundle())]
}

/// The variables to set for a child program whose value is a path. Two more go behind what the user has:
/// [`TrustFiles::php_scan_dir`] and [`TrustFiles::java_options`].
///
/// `lookup`: the user's environment, such as `std::env::var_os`.
pub fn variables(files: &TrustFiles, lookup: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, PathBuf)> {
    let replacing = REPLACING.map(|name| (name, files.bundle()));
    let where_set = where_set(files).into_iter().filter(|(name, _)| set(&lookup, name).is_some());
    let adding = ADDING.map(|name| match set(&lookup, name) {
        Some(_) => (name, files.bundle()),
        None => (name, files.root()),
    });
    replacing.into_iter().chain(adding).chain(where_set).chain([("SYSTEM_WGETRC", files.wgetrc())]).collect()
}

/// The files (or directories) that the user has already pointed these variables at, each path once, with the first
/// variable that names it. They belong into our bundle ([`Bundle::add_path`](crate::Bundle::add_path)): otherwise
/// the program would lose them when we set the variable. `SSL_CERT_FILE` is left out, since
/// [`Bundle::system`](crate::Bundle::system) has read it in place of the system's.
///
/// `lookup`: the user's environment, such as `std::env::var_os`.
pub fn inherited(lookup: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, PathBuf)> {
    let mut found: Vec<(&'static str, PathBuf)> = Vec::new();
    for name in REPLACING.into_iter().chain([WHERE_SET]).chain(ADDING).filter(|name| *name != "SSL_CERT_FILE") {
        let Some(path) = set(&lookup, name) else { continue };
        if found.iter().all(|(_, known)| *known != path) {
            found.push((name, path));
        }
    }
    found
}

/// The path in a variable; an empty value counts as none, as the programs themselves take it.
fn set(lookup: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    lookup(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::*;
    use crate::stage;
    use crate::{Bundle, TrustFiles};

    fn value(set: &[(&'static str, PathBuf)], wanted: &str) -> PathBuf {
        set.iter().find(|(name, _)| *name == wanted).unwrap().1.clone()
    }

    #[test]
    fn each_variable_is_set_once_and_to_a_file_that_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let files =
            TrustFiles::write(&path, &[stage::root(&["amazonaws.com"]).certificate().clone()], &Bundle::default(), "")
                .unwrap();
        let set = variables(&files, |_| None);
        assert_eq!(set.iter().map(|(name, _)| name).collect::<HashSet<_>>().len(), set.len());
        assert!(set.iter().all(|(name, path)| path.is_file() && *name != "SSL_CERT_DIR"));
        assert_eq!(value(&set, "REQUESTS_CA_BUNDLE"), files.bundle());
        assert_eq!(value(&set, "NODE_EXTRA_CA_CERTS"), files.root());
    }

    #[test]
    fn bundle_of_aws_is_replaced_where_it_is_set_and_left_alone_where_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let files =
            TrustFiles::write(&path, &[stage::root(&["amazonaws.com"]).certificate().clone()], &Bundle::default(), "")
                .unwrap();
        let hers = |name: &str| (name == "AWS_CA_BUNDLE").then(|| "/home/alice/acme.pem".into());
        assert_eq!(value(&variables(&files, hers), "AWS_CA_BUNDLE"), files.bundle());
        assert!(variables(&files, |_| None).iter().all(|(name, _)| *name != "AWS_CA_BUNDLE"));
    }

    #[test]
    fn authority_that_alice_added_for_node_is_not_lost_when_ours_is_added() {
        let directory = tempfile::tempdir().unwrap();
        let hers = directory.path().join("acme.pem");
        let acme = stage::root(&["acme.com"]);
        fs::write(&hers, acme.pem()).unwrap();
        let environment = |name: &str| (name == "NODE_EXTRA_CA_CERTS").then(|| hers.clone().into_os_string());

        let mut others = Bundle::default();
        for (_, path) in inherited(environment) {
            others.add_path(&path).unwrap();
        }
        let run = directory.path().join("run");
        let files =
            TrustFiles::write(&run, &[stage::root(&["amazonaws.com"]).certificate().clone()], &others, "").unwrap();
        let set = variables(&files, environment);

        let read = fs::read_to_string(value(&set, "NODE_EXTRA_CA_CERTS")).unwrap();
        assert!(read.contains(acme.pem()));
        assert_eq!(value(&set, "DENO_CERT"), files.root());
    }

    #[test]
    fn bundles_of_the_user_are_found_once_each_and_empty_values_do_not_count() {
        let environment = |name: &str| match name {
            "SSL_CERT_FILE" => Some("/etc/read-by-system.pem".into()),
            "REQUESTS_CA_BUNDLE" | "AWS_CA_BUNDLE" => Some("/home/alice/acme.pem".into()),
            "CURL_CA_BUNDLE" => Some(OsString::new()),
            "NODE_EXTRA_CA_CERTS" => Some("/home/alice/node.pem".into()),
            _ => None,
        };
        let expected =
            [("REQUESTS_CA_BUNDLE", "/home/alice/acme.pem"), ("NODE_EXTRA_CA_CERTS", "/home/alice/node.pem")];
        assert_eq!(inherited(environment), expected.map(|(name, path)| (name, path.into())));
    }
}
