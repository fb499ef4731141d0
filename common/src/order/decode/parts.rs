//! Where an order goes, and how it was paid.

use super::place::Place;
use super::reader::NotJson;
use super::scalar::{Field, OBJECT};
use super::spelling::{DeliveryField, PaymentField};
use super::{Decoder, depth};
use crate::order::{Delivery, Payment};

impl Decoder<'_> {
    pub(super) fn delivery(&mut self, at: &Place<'_>) -> Result<Option<Delivery>, NotJson> {
        if self.enter(b'{', OBJECT, at)?.given().is_none() {
            return Ok(None);
        }
        let mut delivery = Delivery::default();
        let open = self.begin_attributes(depth::PART_ATTRIBUTES);
        self.members(at, open, |decoder, field, key| {
            let text = match field {
                DeliveryField::Name => &mut delivery.name,
                DeliveryField::Phone => &mut delivery.phone,
                DeliveryField::Zip => &mut delivery.zip,
                DeliveryField::City => &mut delivery.city,
                DeliveryField::Address => &mut delivery.address,
                DeliveryField::Region => &mut delivery.region,
                DeliveryField::Email => &mut delivery.email,
            };
            *text = decoder.text(&at.member(key))?.given();
            Ok(())
        })?;
        delivery.attributes = self.end_attributes(open, at);
        Ok(Some(delivery))
    }

    /// The payment, and whether an amount was sent in it, as far as that can be told.
    pub(super) fn payment(&mut self, at: &Place<'_>) -> Result<(Option<Payment>, bool), NotJson> {
        match self.enter(b'{', OBJECT, at)? {
            Field::Given(()) => {}
            Field::Absent => return Ok((None, false)),
            Field::Refused => return Ok((None, true)),
        }
        let mut payment = Payment::default();
        let mut amount = Field::Absent;
        let open = self.begin_attributes(depth::PART_ATTRIBUTES);
        self.members(at, open, |decoder, field, key| {
            let here = &at.member(key);
            match field {
                PaymentField::Transaction => {
                    payment.transaction = decoder.identifier(here)?.given()
                }
                PaymentField::RequestId => payment.request_id = decoder.identifier(here)?.given(),
                PaymentField::Currency => payment.currency = decoder.currency(here)?.given(),
                PaymentField::Provider => payment.provider = decoder.text(here)?.given(),
                PaymentField::Amount => amount = decoder.amount(here)?,
                PaymentField::PaymentDt => payment.payment_dt = decoder.unix_seconds(here)?.given(),
                PaymentField::Bank => payment.bank = decoder.text(here)?.given(),
                PaymentField::DeliveryCost => payment.delivery_cost = decoder.amount(here)?.given(),
                PaymentField::GoodsTotal => payment.goods_total = decoder.amount(here)?.given(),
                PaymentField::CustomFee => payment.custom_fee = decoder.amount(here)?.given(),
            }
            Ok(())
        })?;
        payment.attributes = self.end_attributes(open, at);
        let amount_sent = !amount.is_absent();
        payment.amount = amount.given();
        Ok((Some(payment), amount_sent))
    }
}
