//! "Did you mean …?"

/// The one of `known` that `word` most likely means, if it is near any.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// Longer than any name of ours; comparing costs the product of both lengths.
    const LONGEST: usize = 100;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let near = |known: &'k str| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known);
    let best = known.into_iter().filter(|known| known.len() <= LONGEST).map(near).min_by_key(|(away, _)| *away);
    best.filter(|(away, known)| *away <= (word.len().max(known.len()) / 3).max(1)).map(|(_, known)| known)
}

/// A hint: the nearest, or all that there are.
pub(crate) fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    /// More than this and the list helps nobody.
    const MOST: usize = 16;
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(nearest) = nearest(word, known.iter().copied()) {
        return format!("did you mean {}?", crate::document::shown(nearest));
    }
    let more = if known.len() > MOST { ", …" } else { "" };
    match known.len() {
        0 => "there are none yet".to_owned(),
        _ => format!("there are: {}{more}", known[..known.len().min(MOST)].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_and_what_is_far_is_not() {
        let known = ["receipts", "ledger", "everything"];
        assert_eq!(nearest("recipts", known), Some("receipts"));
        assert_eq!(nearest("Ledger", known), Some("ledger"));
        assert_eq!(nearest("warehouse", known), None);
        assert_eq!(nearest(&"r".repeat(1000), known), None);
        assert_eq!(did_you_mean("x", known), "there are: receipts, ledger, everything");
    }
}
