//! What programs need to come through here: variables, trust, placeholder credentials.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use access::{Cloud, Secret, Target, TargetName};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use ca::{Bundle, BundleError, TrustError, TrustFiles};
use cloud::aws::placeholder::{Placeholder, Placeholders, Seed};
use config::Settings;
use rustls::pki_types::CertificateDer;

/// Hosts that are never reached through a proxy: this machine, and the metadata services of clouds. Names and addresses
/// only, no spaces, wildcards or networks: that is the form which every client understands.
const NO_PROXY: &str = "localhost,127.0.0.1,::1,169.254.169.254,169.254.170.2,fd00:ec2::254,metadata.google.internal";

/// Where the seed of the placeholders is kept, so that programs keep theirs when the sidecar starts again.
const SEED_FILE: &str = "placeholder.seed";

/// What Node programs read before anything else, so that agents of their own find the proxy.
const NODE: (&str, &str) = ("node.cjs", include_str!("program/node.cjs"));

/// The files for programs, and what the proxy itself has to know of them.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) placeholders: Placeholders,
    pub(crate) environment: Vec<(String, String)>,
}

/// What programs need could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The files by which programs come to trust our root.
    #[error("programs could not come to trust this proxy")]
    Trust(#[from] TrustError),
    /// A variable that programs have points at roots that they would lose.
    #[error("cannot keep the roots that {0} names")]
    Inherited(&'static str, #[source] BundleError),
    /// The default target is none.
    #[error("there is no AWS target {0:?} to be the default one")]
    NoTarget(TargetName),
    /// The operating system has no randomness.
    #[error("this system gives no random numbers")]
    Random,
    /// The seed is there and is none.
    #[error("{} is not a seed of 32 bytes; remove it to get new placeholders", .0.display())]
    Seed(PathBuf),
    /// A file could not be read or written.
    #[error("cannot read or write {}", .0.display())]
    File(PathBuf, #[source] io::Error),
}

/// Where programs find the proxy, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) address: SocketAddr,
    pub(crate) targets: &'a [&'a Target],
    pub(crate) default_target: Option<&'a TargetName>,
    pub(crate) inherited: Inherited,
}

/// The variables that programs have already, such as `|name| std::env::var_os(name)`; `|_| None` where they are not known.
pub type Inherited = fn(&str) -> Option<OsString>;

impl Programs {
    /// Writes `ca.pem`, `bundle.pem` and their kin, `program.env` and `aws/credentials` into the directory, which is
    /// made (mode 0700) if it is missing. What holds placeholders has mode 0600: they are no secrets of a cloud, but
    /// whoever has one may act as the program.
    pub(crate) fn prepare(
        offer: &Offer<'_>,
        ours: &[CertificateDer<'static>],
        mut others: Bundle,
    ) -> Result<Self, ProgramError> {
        for (name, path) in ca::inherited(offer.inherited) {
            others.add_path(&path).map_err(|error| ProgramError::Inherited(name, error))?;
        }
        let wgetrc = std::fs::read_to_string("/etc/wgetrc").unwrap_or_default();
        let trust = TrustFiles::write(offer.directory, ours, &others, &wgetrc)?;
        let seed = seed(&offer.directory.join(SEED_FILE))?;
        let aws: Vec<&TargetName> = offer.targets.iter().filter(|t| t.cloud == Cloud::Aws).map(|t| &t.name).collect();
        if let Some(missing) = offer.default_target.filter(|name| !aws.contains(name)) {
            return Err(ProgramError::NoTarget(missing.clone()));
        }
        let derived: Vec<Placeholder> = aws.iter().map(|name| Placeholder::derive(&seed, (*name).clone())).collect();
        let default = derived.iter().find(|placeholder| Some(&placeholder.target) == offer.default_target);

        let credentials = offer.directory.join("aws").join("credentials");
        write(&credentials, &profiles(&derived, default))?;
        let mut environment = environment(offer, &trust, &credentials, default);
        let node = offer.directory.join(NODE.0);
        write(&node, NODE.1)?;
        let appended = appended(offer.address, &trust, &node);
        let mut lines = exports(&environment, &appended);
        lines.extend(ca::where_set(&trust).map(|(name, path)| where_set(name, &path.to_string_lossy())));
        write(&offer.directory.join("program.env"), &lines)?;
        environment.extend(appended.map(|(name, ours)| (name.to_owned(), behind(offer.inherited, name, &ours))));
        let placeholders = Placeholders::derive(&seed, aws.into_iter().cloned());
        Ok(Self { placeholders, environment })
    }
}

/// The target that was named, or the only one.
pub(crate) fn default_target(settings: &Settings) -> Option<&TargetName> {
    let mut targets = settings.rules.targets();
    match (&settings.proxy.default_target, targets.next(), targets.next()) {
        (Some(named), ..) => Some(named),
        (None, Some(only), None) => Some(&only.name),
        (None, ..) => None,
    }
}

fn environment(
    offer: &Offer<'_>,
    trust: &TrustFiles,
    credentials: &Path,
    default: Option<&Placeholder>,
) -> Vec<(String, String)> {
    let proxy = format!("http://{}", reachable(offer.address));
    let mut set = Vec::new();
    let mut add = |name: &str, value: &str| set.push((name.to_owned(), value.to_owned()));
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        add(name, &proxy);
    }
    for name in ["NO_PROXY", "no_proxy"] {
        add(name, NO_PROXY);
    }
    add("NODE_USE_ENV_PROXY", "1");
    for (name, path) in ca::variables(trust, offer.inherited) {
        add(name, &path.to_string_lossy());
    }
    add("AWS_EC2_METADATA_DISABLED", "true");
    add("AWS_SHARED_CREDENTIALS_FILE", &credentials.to_string_lossy());
    if let Some(placeholder) = default {
        add("AWS_ACCESS_KEY_ID", &placeholder.access_key_id);
        add("AWS_SECRET_ACCESS_KEY", placeholder.secret_access_key.expose());
    }
    set
}

/// What goes behind the program's own value of a variable that many programs set themselves, for PHP, Node and Java. The JVM
/// reads no variable of a proxy's, so it gets that with the trust; of equal settings its last one wins. The paths need no
/// quotes: `TrustFiles` takes no directory that would.
fn appended(address: SocketAddr, trust: &TrustFiles, node: &Path) -> [(&'static str, String); 3] {
    let address = reachable(address);
    let (host, port) = (address.ip(), address.port());
    let proxy =
        format!("-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port}");
    let past = NO_PROXY.split(',').map(|host| if host.contains(':') { format!("[{host}]") } else { host.to_owned() });
    let past = past.collect::<Vec<_>>().join("|");
    let java = format!(" {} {proxy} -Dhttp.nonProxyHosts={past}", trust.java_options());
    let node = format!(" --require={}", node.display());
    [("PHP_INI_SCAN_DIR", trust.php_scan_dir()), ("NODE_OPTIONS", node), ("JAVA_TOOL_OPTIONS", java)]
}

/// The value that the program has already, as far as it is known here, and ours behind it. What is not UTF-8 is kept as
/// well as text can.
fn behind(inherited: Inherited, name: &str, ours: &str) -> String {
    let users = inherited(name).unwrap_or_default().to_string_lossy().into_owned();
    users + ours
}

/// An address that is listened on, as one that can be dialled.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        SocketAddr::V4(_) | SocketAddr::V6(_) => address,
    }
}

/// Lines for a shell; what is appended goes behind what the shell has.
fn exports(environment: &[(String, String)], appended: &[(&str, String)]) -> String {
    let set = environment.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value)));
    let more = appended.iter().map(|(name, ours)| format!("export {name}=\"${{{name}:-}}\"{}\n", quoted(ours)));
    set.chain(more).collect()
}

/// A line that replaces what the shell has in a variable, if it has anything.
fn where_set(name: &str, value: &str) -> String {
    format!("[ -z \"${{{name}:-}}\" ] || export {name}={}\n", quoted(value))
}

/// In single quotes a shell takes everything literally; a single quote is written outside of them.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A profile per target, named like it, and `default`.
fn profiles(derived: &[Placeholder], default: Option<&Placeholder>) -> String {
    let all = default.map(|placeholder| ("default", placeholder)).into_iter();
    let all = all.chain(derived.iter().map(|placeholder| (placeholder.target.as_str(), placeholder)));
    let head = "# Placeholders of Countersign: worth nothing but through its proxy on this machine.\n".to_owned();
    all.fold(head, |text, (name, Placeholder { access_key_id, secret_access_key, .. })| {
        let secret = secret_access_key.expose();
        text + &format!("\n[{name}]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {secret}\n")
    })
}

/// The seed that is kept, or a new one.
fn seed(path: &Path) -> Result<Seed, ProgramError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let bytes = Secret::new(bytes);
            let seed = bytes.expose().as_slice().try_into().map_err(|_| ProgramError::Seed(path.to_owned()))?;
            Ok(Secret::new(seed))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            SystemRandom::new().fill(&mut seed).map_err(|_| ProgramError::Random)?;
            let seed = Secret::new(seed);
            write_bytes(path, seed.expose())?;
            Ok(seed)
        }
        Err(error) => Err(ProgramError::File(path.to_owned(), error)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), ProgramError> {
    write_bytes(path, text.as_bytes())
}

/// Whole or not at all, mode 0600.
fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), ProgramError> {
    let failed = |error| ProgramError::File(path.to_owned(), error);
    let directory = path.parent().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    // A temporary file has mode 0600, and keeps it when it is renamed.
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use ca::{Host, Root, Scope};
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn target(name: &str) -> Target {
        Target {
            name: TargetName::new(name).unwrap(),
            cloud: Cloud::Aws,
            role: "arn:aws:iam::123456789012:role/x".into(),
            service: None,
            resources: Vec::new(),
            region: "eu-west-1".into(),
            session: SignedDuration::from_hours(1),
        }
    }

    fn prepare(directory: &Path, default: Option<&str>) -> Result<Programs, ProgramError> {
        let scope = Scope::of([Host::parse("amazonaws.com").unwrap()]).unwrap();
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24);
        let root = Root::generate(&scope, now, SignedDuration::from_hours(1)).unwrap();
        let (receipts, billing) = (target("receipts"), target("billing"));
        let default = default.map(|name| TargetName::new(name).unwrap());
        let address = "0.0.0.0:8080".parse().unwrap();
        let offer = Offer {
            directory,
            address,
            targets: &[&receipts, &billing],
            default_target: default.as_ref(),
            inherited: |_| None,
        };
        Programs::prepare(&offer, &[root.certificate().clone()], Bundle::default())
    }

    fn value<'a>(programs: &'a Programs, wanted: &str) -> Option<&'a str> {
        programs.environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    #[test]
    fn programs_get_proxy_trust_and_the_default_placeholder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let programs = prepare(&path, Some("receipts")).unwrap();
        assert_eq!(value(&programs, "https_proxy"), Some("http://127.0.0.1:8080"));
        assert_eq!(value(&programs, "SSL_CERT_FILE"), Some(path.join("bundle.pem").to_str().unwrap()));
        let key = value(&programs, "AWS_ACCESS_KEY_ID").unwrap();
        assert_eq!(programs.placeholders.find(key).unwrap().target.as_str(), "receipts");

        let text = std::fs::read_to_string(path.join("program.env")).unwrap();
        assert!(text.contains(&format!("export AWS_ACCESS_KEY_ID='{key}'\n")), "{text}");
        let credentials = std::fs::read_to_string(path.join("aws/credentials")).unwrap();
        let sections: Vec<&str> = credentials.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(sections, ["[default]", "[receipts]", "[billing]"]);
        for file in ["program.env", "aws/credentials", SEED_FILE] {
            assert_eq!(std::fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
        }
    }

    #[test]
    fn placeholders_outlive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let first = prepare(directory.path(), Some("billing")).unwrap();
        let second = prepare(directory.path(), Some("billing")).unwrap();
        assert_eq!(value(&first, "AWS_SECRET_ACCESS_KEY"), value(&second, "AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn broken_seed_and_unknown_default_stop_the_start() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(prepare(directory.path(), Some("other")), Err(ProgramError::NoTarget(_))));
        std::fs::write(directory.path().join(SEED_FILE), "short").unwrap();
        assert!(matches!(prepare(directory.path(), None), Err(ProgramError::Seed(_))));
    }

    /// What a shell has in `name` after reading these lines; it had `users` in it before.
    fn in_a_shell(lines: &str, name: &str, users: Option<&str>) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-euc", &format!("{lines}printf %s \"${{{name}-}}\"")]).env_remove(name);
        let output = shell.envs(users.map(|value| (name, value))).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn quotes_in_a_value_do_not_end_it() {
        let lines = exports(&[("A".into(), "it's $HOME".into())], &[]);
        assert_eq!(lines, "export A='it'\\''s $HOME'\n");
        assert_eq!(in_a_shell(&lines, "A", None), "it's $HOME");
    }

    #[test]
    fn bundle_of_aws_is_replaced_only_in_a_shell_that_has_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        prepare(&path, None).unwrap();
        let lines = std::fs::read_to_string(path.join("program.env")).unwrap();
        let ours = path.join("bundle.pem").display().to_string();
        assert_eq!(in_a_shell(&lines, "AWS_CA_BUNDLE", Some("/home/alice/acme.pem")), ours);
        assert_eq!(in_a_shell(&lines, "AWS_CA_BUNDLE", None), "");
    }

    #[test]
    fn java_node_and_php_get_ours_behind_what_the_program_has() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let programs = prepare(&path, None).unwrap();
        let ours = value(&programs, "JAVA_TOOL_OPTIONS").unwrap();
        for option in [
            &format!(" -Djavax.net.ssl.trustStore={}/trust.p12 ", path.display()),
            " -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8080 ",
            " -Dhttp.nonProxyHosts=localhost|127.0.0.1|[::1]|169.254.169.254|",
        ] {
            assert!(ours.contains(option), "{option} is not in {ours}");
        }
        let lines = std::fs::read_to_string(path.join("program.env")).unwrap();
        assert_eq!(in_a_shell(&lines, "JAVA_TOOL_OPTIONS", None), ours);
        assert_eq!(in_a_shell(&lines, "JAVA_TOOL_OPTIONS", Some("-Xmx1g")), format!("-Xmx1g{ours}"));
        let required = format!("--max-old-space-size=512 --require={}/node.cjs", path.display());
        assert_eq!(in_a_shell(&lines, "NODE_OPTIONS", Some("--max-old-space-size=512")), required);
        assert!(path.join("node.cjs").is_file());
        let scanned = format!("/opt/php.d:{}/php", path.display());
        assert_eq!(in_a_shell(&lines, "PHP_INI_SCAN_DIR", Some("/opt/php.d")), scanned);
        assert_eq!(behind(|_| Some("-Xmx1g".into()), "JAVA_TOOL_OPTIONS", ours), format!("-Xmx1g{ours}"));
    }
}
