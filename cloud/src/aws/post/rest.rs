//! A form on its way: its new beginning, and then the program's own bytes from the file on.
//!
//! S3 ignores what stands behind the file; servers that stand in for it may not, and would act on fields that nobody has
//! decided about. So the file's end is looked for while it streams, and nothing behind it goes on.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use memchr::memmem::Finder;

use super::multipart::Boundary;

/// What may follow the last boundary.
const END: &[u8] = b"--\r\n";

/// Why such a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum PostError<E: Error + 'static> {
    /// The client's body failed.
    #[error("the client's body failed")]
    Client(#[source] E),
    /// Another field, or something that is no field.
    #[error("something stands behind the form's file, which has to be its last field")]
    AfterFile,
}

/// Gives the beginning, and then the client's body.
pub struct PostBody<B> {
    beginning: Option<Bytes>,
    client: B,
    watch: Watch,
    has_failed: bool,
}

impl<B> PostBody<B> {
    /// `client` begins with the part of the file, whose own lines take `before_content` bytes.
    pub(super) fn new(beginning: Bytes, client: B, (boundary, before_content): (&Boundary, usize)) -> Self {
        let watch = Watch::new(boundary, before_content);
        Self { beginning: Some(beginning), client, watch, has_failed: false }
    }
}

/// A session token stands in the beginning.
impl<B: fmt::Debug> fmt::Debug for PostBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning = self.beginning.as_ref().map(Bytes::len);
        f.debug_struct("PostBody").field("beginning", &beginning).field("client", &self.client).finish_non_exhaustive()
    }
}

impl<B> Body for PostBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Error + 'static,
{
    type Data = Bytes;
    type Error = PostError<B::Error>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Some(beginning) = this.beginning.take() {
            return Poll::Ready(Some(Ok(Frame::data(beginning))));
        }
        if this.has_failed {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut this.client).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(PostError::Client).and_then(|frame| match frame.data_ref() {
            Some(data) if !this.watch.is_good(data) => Err(PostError::AfterFile),
            Some(_) | None => Ok(frame),
        });
        this.has_failed = frame.is_err();
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.beginning.is_none() && (self.has_failed || self.client.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.beginning.as_ref().map_or(0, Bytes::len) as u64;
        let client = self.client.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(client.lower().saturating_add(held));
        if let Some(upper) = client.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}

/// Looks for the end of the file, which no half of a line break may stand before: many take that for one.
struct Watch {
    /// Without its line break.
    dashed: Finder<'static>,
    /// Bytes before the file that are still to come.
    before: usize,
    /// The last bytes of the file so far, among which its end may have begun; never as many as it has with its line break.
    last: Vec<u8>,
    /// How much of [`END`] has come; `None` within the file.
    ended: Option<usize>,
}

impl Watch {
    fn new(boundary: &Boundary, before: usize) -> Self {
        let dashed = Finder::new(boundary.dashed()).into_owned();
        Self { dashed, before, last: Vec::new(), ended: None }
    }

    /// Whether the next bytes of the form belong to its file, or end it.
    fn is_good(&mut self, data: &[u8]) -> bool {
        let skipped = self.before.min(data.len());
        self.before -= skipped;
        let mut data = &data[skipped..];
        if self.ended.is_none() {
            let Some((after, begins_line)) = self.end_in(data) else { return true };
            if !begins_line {
                return false;
            }
            data = &data[after..];
            self.ended = Some(0);
        }
        let come = self.ended.unwrap_or_default();
        self.ended = Some(come + data.len());
        END.get(come..come + data.len()) == Some(data)
    }

    /// Where in `data` the boundary ends behind the file, and whether it stands on a line of its own.
    fn end_in(&mut self, data: &[u8]) -> Option<(usize, bool)> {
        let (length, line_break) = (self.dashed.needle().len(), b"\r\n");
        let longest = length + line_break.len() - 1;
        let known = self.last.len();
        // One that has begun before, with its line break, ends within this many bytes.
        self.last.extend_from_slice(&data[..data.len().min(longest)]);
        if let Some(at) = self.dashed.find(&self.last) {
            return Some((at + length - known, self.last[..at].ends_with(line_break)));
        }
        if let Some(at) = self.dashed.find(data) {
            return Some((at + length, data[..at].ends_with(line_break)));
        }
        if data.len() >= longest {
            self.last.clear();
            self.last.extend_from_slice(&data[data.len() - longest..]);
        } else {
            let spare = self.last.len().saturating_sub(longest);
            self.last.drain(..spare);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::CONTENT_TYPE;
    use proptest::prelude::*;

    use super::*;

    fn watch(before: usize) -> Watch {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, "multipart/form-data; boundary=b-b".parse().unwrap())]);
        Watch::new(&Boundary::declared(&headers).unwrap().unwrap(), before)
    }

    #[test]
    fn file_may_hold_anything_but_its_end_and_nothing_follows_that() {
        for good in ["", "x", "\r\n--b-b--", "x\r\n--b-b--\r\n", "\r\n\r\n--b-b", "\r\n--b-\r\n--b-b-", "\n--b-\r"] {
            assert!(watch(0).is_good(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "\r\n--b-b\r\n",
            "x\r\n--b-bx",
            "\r\n--b-b--\r\n\r\n",
            "\r\n--b-b--x",
            "\r\n--b-b--\r\n--b-b--",
            "--b-b\r\nx",
            "--b-b--",
            "\n--b-b--",
            "x\r--b-b--",
            "x--b-b",
            "\r\n \n--b-b\r\n",
        ] {
            assert!(!watch(0).is_good(bad.as_bytes()), "{bad:?}");
        }
        assert!(watch(9).is_good(b"\r\n--b-b\r\nx"), "the lines before the file are its own");
    }

    proptest! {
        #[test]
        fn however_a_form_is_cut_its_end_is_found(
            text in "[\r\n\\-b]{0,24}", after in prop_oneof![Just("--\r\n"), Just("\r\nC"), Just("-"), Just("")],
            cuts in proptest::collection::vec(0usize..40, 0..8), before in 0usize..6,
        ) {
            let whole = format!("{text}\r\n--b-b{after}");
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([0, whole.len()]).collect();
            cuts.sort_unstable();
            let mut pieces = watch(before);
            let in_pieces = cuts.windows(2).all(|cut| pieces.is_good(&whole.as_bytes()[cut[0]..cut[1]]));
            let content = &whole[before.min(whole.len())..];
            let expected = content
                .split_once("--b-b")
                .is_none_or(|(file, after)| file.ends_with("\r\n") && "--\r\n".starts_with(after));
            prop_assert_eq!(watch(before).is_good(whole.as_bytes()), expected);
            prop_assert_eq!(in_pieces, expected);
        }
    }
}
