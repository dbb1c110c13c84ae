//! Requests in whose heads nothing is signed: a form may be, or says what the call is; all others pass as they are.

use cloud::aws::recognise::{BodyReading, refine_with_body};
use cloud::aws::vending::vends_to_anybody;
use http::request::Parts;
use lease::Lessor;

use super::{Conversation, Outbound, pass_on};
use crate::answers::trouble::Stop;
use crate::books::record::Entry;
use crate::calls::classify::{FormClass, Unsigned};
use crate::calls::derive::Expected;
use crate::calls::form::open_signed;
use crate::calls::sign::Brought;
use crate::calls::skews::Moment;
use crate::client::Client;
use crate::places::aim::Aim;
use crate::wire::body::{RequestBody, Upload};

impl<L: Lessor> Conversation<L> {
    /// Nothing is signed in the head. A form may be, in its body.
    pub(super) async fn unsigned(
        &self,
        (mut head, mut body): (Parts, Upload),
        (unsigned, aim): (Option<Box<Unsigned>>, &Aim),
        with: (Moment, &Client),
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let (classifier, call) = (&self.app.classifier, unsigned.as_ref().map(|unsigned| &unsigned.call));
        let room = (&*self.app.holding, self.client.address);
        if let Some(form) = open_signed(classifier, room, (&mut head, &mut body), call).await? {
            let placeheld = classifier.classify_post((&head, &aim.destination.host), &form, with.0)?;
            return self.countersign((head, Brought::Posted(Box::new(form), body)), placeheld, with, entry).await;
        }
        match unsigned {
            Some(unsigned) if unsigned.body.is_some_and(BodyReading::is_form) => {
                self.read_form((head, body), *unsigned, with, entry).await
            }
            Some(unsigned) => self.pass_call_on((head, body.streamed()), *unsigned, entry),
            None => Ok(self.pass_on_to_stand_in(head, body)),
        }
    }

    /// A form says what the call is, that may ask for keys, and may carry its signature.
    async fn read_form(
        &self,
        (mut head, body): (Parts, Upload),
        unsigned: Unsigned,
        with: (Moment, &Client),
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let held = self.app.holding.of(self.client.address).whole(&mut head, body).await?;
        match self.app.classifier.classify_form((&head, &held), unsigned, with.0)? {
            FormClass::Placeheld(call) => self.countersign((head, Brought::Here(held)), *call, with, entry).await,
            FormClass::Unsigned(unsigned) => self.pass_call_on((head, RequestBody::Held(Some(held))), *unsigned, entry),
        }
    }

    /// A call that nobody signed goes on as it is.
    fn pass_call_on(
        &self,
        (mut head, body): (Parts, RequestBody),
        Unsigned { call, body: said }: Unsigned,
        entry: &mut Entry,
    ) -> Result<Outbound, Stop> {
        let call = entry.call(call);
        if let (Some(said), RequestBody::Held(Some(held))) = (said, &body) {
            refine_with_body(call, said, held);
        }
        let expected = Expected::of_unsigned(call, vends_to_anybody(call), self.app.default_target.as_ref())?;
        if expected.is_some() {
            Expected::announce(&mut head);
        }
        Ok(Outbound { expected, ..pass_on(head, body) })
    }

    /// A request to a host that stands in for a cloud, and that nothing is known of, goes on as it is; its answer may hold
    /// keys like any other of a cloud.
    fn pass_on_to_stand_in(&self, mut head: Parts, body: Upload) -> Outbound {
        let expected = Expected::of_stranger(self.app.default_target.as_ref());
        Expected::announce(&mut head);
        Outbound { expected: Some(expected), ..pass_on(head, body.streamed()) }
    }
}
