//! Numbers of bytes: `16MiB`, or a plain number.

use crate::document::shown;
use crate::finding::Code;
use crate::flaw::Wrong;
use crate::raw::Size;

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// A number of bytes, from `least` to `most`.
pub(crate) fn bytes(size: &Size, (least, most): (u64, u64)) -> Result<usize, Wrong> {
    let bytes = match size {
        Size::Bytes(bytes) => *bytes,
        Size::Text(text) => parse(text).ok_or_else(|| {
            Wrong::value(format!("{} is no number of bytes", shown(text)))
                .help("write 16MiB, 512KiB, or a plain number")
        })?,
    };
    let within = (least..=most).contains(&bytes).then(|| usize::try_from(bytes).ok()).flatten();
    within.ok_or_else(|| Wrong::new(Code::OutOfBounds, format!("it must be from {least} to {most} bytes")))
}

fn parse(text: &str) -> Option<u64> {
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let number = number.strip_suffix(' ').unwrap_or(number);
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(parse("16MiB"), Some(16 << 20));
        assert_eq!(parse("512 KiB"), Some(512 << 10));
        assert_eq!(parse("7B"), Some(7));
        for text in
            ["", "MiB", "16", "16MB", "1.5MiB", "+1B", "-1B", "99999999999999999999B", "18446744073709551615GiB"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
