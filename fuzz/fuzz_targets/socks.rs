//! SOCKS: any bytes end in an answer, and a message that is whole stays the same whatever follows it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use proxy::socks::{read_login, read_methods, read_wish};

fuzz_target!(|bytes: &[u8]| {
    let more = [bytes, b"\x05\x01\x00"].concat();
    if let Ok(Some((methods, length))) = read_methods(bytes) {
        assert_eq!(read_methods(&more), Ok(Some((methods, length))));
        assert!(length <= bytes.len());
        assert_eq!(read_methods(&bytes[..length - 1]), Ok(None));
    }
    if let Ok(Some((login, length))) = read_login(bytes) {
        assert_eq!(read_login(&more), Ok(Some((login, length))));
        assert!(length <= bytes.len());
        assert_eq!(read_login(&bytes[..length - 1]), Ok(None));
    }
    if let Ok(Some((wish, length))) = read_wish(bytes) {
        assert_eq!(read_wish(&more), Ok(Some((wish, length))));
        assert!(length <= bytes.len());
    }
});
