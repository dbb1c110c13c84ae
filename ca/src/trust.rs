//! `TrustFiles`: the files through which a child program comes to trust our root.

use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::{Bundle, JavaStoreError, bundle, file, java};

/// Where the files lie. Keep them until the last program that was told of them has ended: requests raises an error
/// when its bundle is gone, and Go silently trusts nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustFiles {
    directory: PathBuf,
}

/// Why the files could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A path that cannot be repeated in the settings of wget, PHP and Java.
    #[error("cannot keep trust files in {}; give an absolute path of letters, digits and `/._+@,=-`", .0.display())]
    Path(PathBuf),
    /// The directory cannot be made, or is not safe.
    #[error("cannot keep trust files in {}", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    /// No trust store for Java.
    #[error("cannot make {}", .0.display())]
    Java(PathBuf, #[source] JavaStoreError),
    /// A file cannot be written.
    #[error("cannot write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

impl TrustFiles {
    /// Writes all of them into `directory`, each whole or not at all; it is made (mode 0700) if it is missing.
    ///
    /// `ours`: our root, and in front of or behind it those that it replaces or that will replace it; some programs read
    /// the first of a file only, so that must be the one in use. `others`: what the program trusts already. `wgetrc`: the text of `/etc/wgetrc`, or of what the
    /// user's `SYSTEM_WGETRC` names; ours takes its place. Empty if there is none.
    pub fn write(
        directory: &Path,
        ours: &[CertificateDer<'static>],
        others: &Bundle,
        wgetrc: &str,
    ) -> Result<Self, TrustError> {
        if !is_plain(directory) {
            return Err(TrustError::Path(directory.to_owned()));
        }
        let refused = |path: &Path, source| TrustError::Directory(path.to_owned(), source);
        let files = Self { directory: directory.to_owned() };
        for path in [directory, files.php().as_path()] {
            file::private_directory(path).map_err(|source| refused(path, source))?;
        }

        let mut all = others.clone();
        ours.iter().for_each(|root| all.add(root.clone()));
        let store = java::trust_store(others, ours).map_err(|source| TrustError::Java(files.java(), source))?;
        let roots: String = ours.iter().map(|root| bundle::pem_text(root)).collect();
        let bundle = files.bundle();
        let bundle = bundle.display();
        let php = format!("openssl.cafile=\"{bundle}\"\ncurl.cainfo=\"{bundle}\"\n");
        for (path, contents) in [
            (files.root(), roots.as_bytes()),
            (files.bundle(), all.to_pem().as_bytes()),
            (files.java(), &store),
            (files.wgetrc(), format!("{}\nca_certificate = {bundle}\n", wgetrc.trim_end()).as_bytes()),
            (files.php().join("countersign.ini"), php.as_bytes()),
        ] {
            file::replace(&path, contents).map_err(|source| TrustError::Write(path, source))?;
        }
        Ok(files)
    }

    /// Everything that is trusted, ours included; PEM. For variables that replace what a program trusts.
    pub fn bundle(&self) -> PathBuf {
        self.directory.join("bundle.pem")
    }

    /// Our root alone; PEM. For variables that add to what a program trusts.
    pub fn root(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The system's settings for wget, and our bundle.
    pub fn wgetrc(&self) -> PathBuf {
        self.directory.join("wgetrc")
    }

    /// A directory of settings for PHP.
    pub fn php(&self) -> PathBuf {
        self.directory.join("php")
    }

    /// The trust store for Java; PKCS #12, password `changeit`.
    pub fn java(&self) -> PathBuf {
        self.directory.join("trust.p12")
    }

    /// What to append to the user's `PHP_INI_SCAN_DIR`; where that is empty, PHP reads its built-in directory first.
    pub fn php_scan_dir(&self) -> String {
        format!(":{}", self.php().display())
    }

    /// What to append to the user's `JAVA_TOOL_OPTIONS`, behind a space. The last of two equal settings wins.
    pub fn java_options(&self) -> String {
        let store = self.java();
        let (store, password) = (store.display(), java::PASSWORD);
        let (store, password) =
            (format!("-Djavax.net.ssl.trustStore={store}"), format!("-Djavax.net.ssl.trustStorePassword={password}"));
        format!("{store} {password} -Djavax.net.ssl.trustStoreType=PKCS12")
    }
}

/// A path that needs no quotes in an ini file, in a wgetrc and between the words of `JAVA_TOOL_OPTIONS`, each of
/// which has rules of its own.
fn is_plain(path: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._+@,=-".contains(byte);
    path.is_absolute() && path.as_os_str().as_encoded_bytes().iter().all(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;
    use crate::stage;

    /// What alice's machine trusts: one root, of acme.
    fn acme() -> Bundle {
        let mut others = Bundle::default();
        others.add(stage::root(&["acme.com"]).certificate().clone());
        others
    }

    fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(path).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn bundle_holds_ours_and_the_others_and_the_root_file_ours_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (root, others) = (stage::root(&["amazonaws.com"]), acme());
        let files =
            TrustFiles::write(&directory.path().join("run"), &[root.certificate().clone()], &others, "").unwrap();

        assert_eq!(certificates(&files.root()), [root.certificate().clone()]);
        let bundle = certificates(&files.bundle());
        assert_eq!(bundle.len(), 2);
        assert!(bundle.contains(root.certificate()) && others.iter().all(|other| bundle.contains(other)));
    }

    #[test]
    fn java_store_marks_every_certificate_as_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let (root, others) = (stage::root(&["amazonaws.com"]), acme());
        let files =
            TrustFiles::write(&directory.path().join("run"), &[root.certificate().clone()], &others, "").unwrap();

        // The strict policy leaves out what is not marked.
        let bytes = fs::read(files.java()).unwrap();
        let store = KeyStore::from_pkcs12(&bytes, java::PASSWORD, Pkcs12ImportPolicy::Strict).unwrap();
        let trusted = |alias: &str| match store.entry(alias) {
            Some(KeyStoreEntry::Certificate(certificate)) => certificate.as_der().to_vec(),
            other => panic!("{alias}: {other:?}"),
        };
        assert_eq!(store.entries_len(), 2);
        assert_eq!(trusted("countersign"), root.certificate().as_ref());
        assert_eq!(trusted("root-0000"), others.iter().next().unwrap().as_ref());
    }

    #[test]
    fn settings_of_wget_keep_the_systems_and_point_at_the_bundle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        let root = stage::root(&["amazonaws.com"]);
        let files = TrustFiles::write(&path, &[root.certificate().clone()], &acme(), "passive_ftp = on\n\n").unwrap();
        let expected = format!("passive_ftp = on\nca_certificate = {}/bundle.pem\n", path.display());
        assert_eq!(fs::read_to_string(files.wgetrc()).unwrap(), expected);
        let ini = fs::read_to_string(files.php().join("countersign.ini")).unwrap();
        let bundle = files.bundle().display().to_string();
        assert_eq!(ini, format!("openssl.cafile=\"{bundle}\"\ncurl.cainfo=\"{bundle}\"\n"));
    }

    #[test]
    fn values_for_php_and_java_stand_behind_the_users() {
        let files = TrustFiles { directory: "/run/countersign/7".into() };
        assert_eq!(files.php_scan_dir(), ":/run/countersign/7/php");
        assert_eq!(
            files.java_options(),
            "-Djavax.net.ssl.trustStore=/run/countersign/7/trust.p12 \
             -Djavax.net.ssl.trustStorePassword=changeit -Djavax.net.ssl.trustStoreType=PKCS12"
        );
    }

    #[test]
    fn directory_whose_name_would_need_quotes_is_refused() {
        let root = stage::root(&["amazonaws.com"]);
        for name in ["/tmp/a b", "/tmp/a\nca_certificate=/evil.pem", "/tmp/a\"b", "/tmp/a:b", "relative"] {
            let refusal =
                TrustFiles::write(Path::new(name), &[root.certificate().clone()], &Bundle::default(), "").unwrap_err();
            assert!(matches!(refusal, TrustError::Path(_)), "{name}: {refusal}");
        }
    }

    #[test]
    fn second_run_replaces_the_files_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        TrustFiles::write(&path, &[stage::root(&["amazonaws.com"]).certificate().clone()], &acme(), "").unwrap();
        let second = stage::root(&["amazonaws.com"]);
        let files = TrustFiles::write(&path, &[second.certificate().clone()], &acme(), "").unwrap();
        assert_eq!(certificates(&files.root()), [second.certificate().clone()]);
    }

    #[test]
    fn while_one_root_replaces_another_programs_trust_both_and_meet_the_one_in_use_first() {
        let directory = tempfile::tempdir().unwrap();
        let ours =
            [stage::root(&["amazonaws.com"]), stage::root(&["amazonaws.com"])].map(|root| root.certificate().clone());
        let files = TrustFiles::write(&directory.path().join("run"), &ours, &acme(), "").unwrap();
        assert_eq!(certificates(&files.root()), ours);
        let bundle = certificates(&files.bundle());
        assert!(ours.iter().all(|root| bundle.contains(root)) && bundle.len() == 3);
        let store = fs::read(files.java()).unwrap();
        let store = KeyStore::from_pkcs12(&store, java::PASSWORD, Pkcs12ImportPolicy::Strict).unwrap();
        assert_eq!(store.entries().count(), 3);
    }
}
