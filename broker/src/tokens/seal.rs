//! Private keys at rest: AES-256-GCM under a key that is not in the store.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use access::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use config::BrokerSettings;

use crate::store::directory_of;

/// Bytes of the key that encrypts keys.
const KEY_LENGTH: usize = 32;
/// Stands in front of the key id in the authenticated data: a sealed text is good for this one use and this one key.
const PURPOSE: &str = "countersign signing key v1:";
/// Whoever is neither owner nor group. The group is let in because Kubernetes opens volumes to it (`fsGroup`).
const OTHERS: u32 = 0o007;

/// The key that encrypts keys cannot be had, or is not the one that they were encrypted with.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The configured key is not one.
    #[error("`encryption_key` must be {KEY_LENGTH} bytes in base64; `openssl rand -base64 {KEY_LENGTH}` makes one")]
    Malformed,
    /// The key file is not one.
    #[error("{0} must hold {KEY_LENGTH} bytes in base64; restore it from a backup")]
    MalformedFile(PathBuf),
    /// Everybody can read the key file.
    #[error("{0} can be read by others; run `chmod 600` on it")]
    Open(PathBuf),
    /// Brokers that share a database share the key, which no machine of theirs can make for all.
    #[error("a broker with a PostgreSQL store needs `encryption_key`")]
    Needed,
    /// The key file is gone, and the store needs it.
    #[error(
        "{0} is missing, and the store holds keys that were encrypted with it; restore it, or set `encryption_key`"
    )]
    Lost(PathBuf),
    /// The key file cannot be read or made.
    #[error("{path} cannot be read or made")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The random generator failed.
    #[error("an encryption key cannot be made")]
    Random(#[source] aws_lc_rs::error::Unspecified),
    /// Encryption failed.
    #[error("signing key {kid} cannot be encrypted")]
    Encrypt {
        /// Its id.
        kid: String,
        /// Why.
        #[source]
        cause: aws_lc_rs::error::Unspecified,
    },
    /// The store was written with another key, or tampered with.
    #[error("signing key {kid} cannot be decrypted; is this the encryption key that the store was written with?")]
    Decrypt {
        /// Its id.
        kid: String,
    },
}

/// Encrypts and decrypts private keys.
pub(crate) struct Seal(RandomizedNonceKey);

impl Seal {
    /// Takes the configured key, or the one beside the store. That one is made unless the store `has_keys` already:
    /// a new one could not read them.
    pub(crate) fn open(settings: &BrokerSettings, has_keys: bool) -> Result<Self, SealError> {
        let key = match &settings.encryption_key {
            Some(key) => decode(key.expose()).ok_or(SealError::Malformed)?,
            None => match &settings.store {
                config::Store::File(store) => beside(store, has_keys)?,
                config::Store::Server(_) => return Err(SealError::Needed),
            },
        };
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.expose()).expect("AES-256 takes any 32 bytes");
        Ok(Self(key))
    }

    /// `base64(nonce ‖ ciphertext ‖ tag)`, bound to the key id.
    pub(crate) fn close(&self, kid: &str, plain: &Secret<Vec<u8>>) -> Result<String, SealError> {
        let mut text = plain.expose().clone();
        let nonce = self
            .0
            .seal_in_place_append_tag(bound_to(kid), &mut text)
            .map_err(|cause| SealError::Encrypt { kid: kid.to_owned(), cause })?;
        Ok(STANDARD.encode([nonce.as_ref(), text.as_slice()].concat()))
    }

    /// What [`Seal::close`] was given, if the key id is the same and nothing was changed.
    pub(crate) fn open_sealed(&self, kid: &str, sealed: &str) -> Result<Secret<Vec<u8>>, SealError> {
        self.try_open(kid, sealed).ok_or_else(|| SealError::Decrypt { kid: kid.to_owned() })
    }

    fn try_open(&self, kid: &str, sealed: &str) -> Option<Secret<Vec<u8>>> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        // Decrypts in place, so that the plain text stands in one buffer, which is wiped.
        let mut text = text.to_vec();
        let length = self.0.open_in_place(nonce, bound_to(kid), &mut text).ok()?.len();
        text.truncate(length);
        Some(text.into())
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}

fn bound_to(kid: &str) -> Aad<String> {
    Aad::from(format!("{PURPOSE}{kid}"))
}

fn decode(text: &str) -> Option<Secret<Vec<u8>>> {
    STANDARD.decode(text.trim()).ok().filter(|key| key.len() == KEY_LENGTH).map(Secret::new)
}

/// `store.db` → `store.db.key`.
fn path_beside(store: &Path) -> PathBuf {
    let mut path = OsString::from(store);
    path.push(".key");
    path.into()
}

fn beside(store: &Path, has_keys: bool) -> Result<Secret<Vec<u8>>, SealError> {
    let path = path_beside(store);
    match read(&path)? {
        Some(key) => Ok(key),
        None if has_keys => Err(SealError::Lost(path)),
        None => {
            make(&path)?;
            // Another process may have made it in the same moment: what stands there is what counts.
            read(&path)?.ok_or(SealError::Lost(path))
        }
    }
}

fn read(path: &Path) -> Result<Option<Secret<Vec<u8>>>, SealError> {
    let failed = |cause| SealError::File { path: path.to_owned(), cause };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Secret::new(text),
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed(cause)),
    };
    if path.metadata().map_err(failed)?.permissions().mode() & OTHERS != 0 {
        return Err(SealError::Open(path.to_owned()));
    }
    decode(text.expose()).map(Some).ok_or_else(|| SealError::MalformedFile(path.to_owned()))
}

/// Writes a new key, whole or not at all, mode 0600, and never over one that is there.
fn make(path: &Path) -> Result<(), SealError> {
    let failed = |cause| SealError::File { path: path.to_owned(), cause };
    let mut key = vec![0; KEY_LENGTH];
    aws_lc_rs::rand::fill(&mut key).map_err(SealError::Random)?;
    let text = Secret::new(STANDARD.encode(Secret::new(key).expose()));
    let mut file = tempfile::NamedTempFile::new_in(directory_of(path)).map_err(failed)?;
    file.write_all(text.expose().as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(there) if there.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(other) => Err(failed(other.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(byte: u8) -> Seal {
        Seal(RandomizedNonceKey::new(&AES_256_GCM, &[byte; KEY_LENGTH]).unwrap())
    }

    #[test]
    fn a_sealed_key_opens_under_the_same_key_and_id_only() {
        let plain = Secret::new(b"-----BEGIN PRIVATE KEY-----".to_vec());
        let sealed = seal(1).close("a", &plain).unwrap();
        assert_eq!(seal(1).open_sealed("a", &sealed).unwrap().expose(), plain.expose());
        assert!(matches!(seal(1).open_sealed("b", &sealed), Err(SealError::Decrypt { .. })), "another id");
        assert!(matches!(seal(2).open_sealed("a", &sealed), Err(SealError::Decrypt { .. })), "another key");
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let sealed = seal(1).close("a", &Secret::new(vec![7; 20])).unwrap();
        let bytes = STANDARD.decode(&sealed).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(seal(1).open_sealed("a", &STANDARD.encode(changed)).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(seal(1).open_sealed("a", &STANDARD.encode(&bytes[..length])).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way_twice() {
        let plain = Secret::new(vec![7; 20]);
        assert_ne!(seal(1).close("a", &plain).unwrap(), seal(1).close("a", &plain).unwrap());
    }

    #[test]
    fn the_key_beside_the_store_is_made_once_and_for_its_owner_only() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store.db");
        let first = beside(&store, false).unwrap();
        assert_eq!(beside(&store, true).unwrap().expose(), first.expose());
        let path = path_beside(&store);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(beside(&store, true), Err(SealError::Open(_))));
    }

    #[test]
    fn a_lost_key_is_told_and_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store.db");
        assert!(matches!(beside(&store, true), Err(SealError::Lost(_))));
        assert!(!path_beside(&store).exists());
    }

    #[test]
    fn a_key_that_is_not_32_bytes_of_base64_is_refused() {
        for text in ["", "secret", &STANDARD.encode([0; 31]), &STANDARD.encode([0; 33])] {
            assert!(decode(text).is_none(), "{text:?}");
        }
        assert!(decode(&format!("{}\n", STANDARD.encode([0; 32]))).is_some(), "a file may end in a newline");
    }
}
