//! Orders, their lines, and the stock they got.

use chrono::Duration;
use rand::RngExt;
use serde_json::{Value, json};

use super::book::{Book, order_label, shopify_order};
use super::dogs;
use super::draws::Theme;
use super::placed::Placed;
use super::sale::Sale;
use super::sheet::{Pounds, row};
use super::stock::place_of;
use crate::shopify::people::{Person, pick};

impl Book<'_> {
    /// The order and its lines.
    pub fn order(&mut self, sale: &Sale<'_>, person: &Person) {
        let placed = sale.placed;
        let totals = &sale.totals;
        let goods = Pounds(totals.subtotal - totals.line_taxes.iter().sum::<i64>());
        let (tax, total) = (Pounds(totals.tax), Pounds(totals.total));
        let exported = sale.journey.map(|journey| journey.exported).and_then(|at| self.past(at));
        let acked = exported.map(|at| at + Duration::minutes(6)).and_then(|at| self.past(at));
        let is_dispatched = sale.dispatched(self.until).is_some();
        let updated = [sale.refunded, sale.cancelled, sale.dispatched(self.until).map(|journey| journey.dispatched)];
        let utm = self.utm(placed);
        row!(self.sheets, "orders", {
            id: sale.id,
            shopify_order_id: shopify_order(placed.number).to_string(),
            customer_id: sale.customer,
            subtotal_ex_vat: goods,
            vat: tax,
            total_inc_vat: total,
            currency: "GBP",
            status: if sale.status == "PAID" { "PENDING" } else { sale.status },
            is_subscription: placed.subscription.is_some(),
            utm: utm,
            ordered_at: placed.at,
            created_at: self.until.min(placed.at + Duration::seconds(1)),
            order_number_label: format!("#{}", order_label(placed.number)),
            created_at_shopify: placed.at,
            updated_at_shopify: updated.into_iter().flatten().next().unwrap_or(placed.at),
            fulfillment_status: is_dispatched.then_some("fulfilled"),
            subtotal_gbp: goods,
            tax_gbp: tax,
            discount_gbp: Pounds(placed.discount.map_or(0, |(_, pence)| pence)),
            total_gbp: total,
            ship_name: format!("{} {}", person.first, person.last),
            ship_phone: person.phone,
            ship_address1: person.address.line1,
            ship_address2: person.address.line2,
            ship_city: person.address.city,
            ship_postcode: person.address.zip,
            ship_country: "GB",
            notes_json: notes(sale),
            tags: tags(placed),
            utm_json: utm,
            export_state: exported.map(|_| if acked.is_some() { "acked" } else { "exported" }),
            exported_at: exported,
            external_order_ref: exported.map(|_| reference(placed.number)),
            acked_at: acked,
            manifest_version: "v1",
            referral_slug: placed.friend.map(|friend| self.slug(friend)),
            referral_id: placed.friend.map(|_| self.id("referrals", placed.number)),
            discount_codes: discount_codes(placed),
            referral_processed_at: placed.friend.map(|_| placed.at + Duration::seconds(20)).and_then(|at| self.past(at)),
            credit_checked_at: self.past(placed.at + Duration::seconds(10)),
            credit_applied_pence: placed.credit.map_or(0, |(_, pence)| pence),
        });
        if sale.status == "PAID" {
            self.late.paid.push(sale.id);
        }
        self.items(sale, is_dispatched);
        self.note(sale);
    }

    fn items(&mut self, sale: &Sale<'_>, is_dispatched: bool) {
        let placed = sale.placed;
        let dog = dogs::name(placed.customer);
        let known = self.known;
        for (place, line) in placed.lines.iter().enumerate() {
            let price = Pounds((line.price * 5 + 3) / 6);
            let has_dog = placed.subscription.is_some() && line.product.is_some();
            row!(self.sheets, "order_items", {
                id: self.id("order_items", sale.item_place(place)),
                order_id: sale.id,
                product_id: line.product.and_then(place_of).map(|place| known.products[place]),
                qty: line.quantity,
                unit_price_ex_vat: price,
                shopify_line_item_id: (shopify_order(placed.number) * 8 + place as i64).to_string(),
                shopify_product_id: line.product.map(|product| product.product_id.to_string()),
                sku: line.product.map(|product| product.sku),
                product_name: line.product.map_or("Birthday card, handwritten", |product| product.name),
                quantity: line.quantity,
                unit_price_gbp: price,
                fulfilled_qty: if is_dispatched { line.quantity } else { 0 },
                pet_number: has_dog.then_some(1),
                pet_name: has_dog.then_some(dog),
            });
        }
    }

    fn note(&mut self, sale: &Sale<'_>) {
        let number = sale.placed.number;
        let text = match number % 97 {
            0 => "Customer asks to leave the box with the neighbour at no. 4",
            1 => "Card payment checked by hand: genuine",
            _ => return,
        };
        row!(self.sheets, "order_notes", {
            id: self.id("order_notes", number),
            created_at: self.until.min(sale.placed.at + Duration::minutes(50)),
            order_id: sale.id,
            author: "ops@protocolraw.example",
            note: text,
            note_type: "general",
        });
    }

    /// Which batches the lines got, and the request for them.
    pub fn allocations(&mut self, sale: &Sale<'_>) {
        let placed = sale.placed;
        let at = placed.allocated(self.until);
        for (place, taken) in sale.taken.iter().enumerate() {
            row!(self.sheets, "allocations", {
                id: self.id("allocations", placed.number * 64 + place as u64),
                order_item_id: self.id("order_items", sale.item_place(taken.line)),
                batch_id: self.id("batches", self.first + taken.batch as u64),
                qty_allocated: taken.units,
                created_at: at,
                is_partial: taken.left > 0,
                allocation_group_id: self.id("allocation_groups", placed.number),
                remaining_qty: taken.left,
            });
        }
        let waits = placed.is_sold() && sale.journey.is_none();
        // Requests are put away after a week; those that wait stay.
        if !waits && (!placed.is_sold() || !self.is_recent(placed.at, 7)) {
            return;
        }
        row!(self.sheets, "allocation_queue", {
            id: self.id("allocation_queue", placed.number),
            order_id: sale.id,
            priority: 100,
            state: if waits { "pending" } else { "completed" },
            attempts: 1,
            last_error: waits.then_some("not enough released stock"),
            created_at: self.until.min(placed.at + Duration::seconds(2)),
            started_at: at,
            completed_at: (!waits).then_some(at),
        });
    }

    fn utm(&self, placed: &Placed) -> Option<Value> {
        let mut random = self.stream(Theme::Marketing, placed.number);
        if placed.subscription.is_some_and(|billed| billed.cycle > 0) || random.random_bool(0.3) {
            return None;
        }
        let (source, medium) =
            pick(&mut random, &[("google", "cpc"), ("meta", "paid_social"), ("newsletter", "email"), ("instagram", "social")]);
        Some(json!({"utm_source": source, "utm_medium": medium}))
    }
}

/// An order's name at the packer.
pub fn reference(number: u64) -> String {
    format!("PR{}", order_label(number))
}

fn tags(placed: &Placed) -> Option<Vec<String>> {
    let billed = placed.subscription?;
    Some(match billed.cycle {
        0 => vec!["Subscription".into(), "Subscription First Order".into()],
        _ => vec!["Subscription".into(), "Subscription Recurring Order".into(), format!("every-{}-weeks", billed.weeks)],
    })
}

fn notes(sale: &Sale<'_>) -> Value {
    let is_recurring = sale.placed.subscription.is_some_and(|billed| billed.cycle > 0);
    json!({
        "financial_status": financial_status(sale),
        "source_name": if is_recurring { "subscription_contract_checkout_one" } else { "web" },
        "test": false,
    })
}

/// Shopify's word for where the money is.
pub fn financial_status(sale: &Sale<'_>) -> &'static str {
    match (sale.paid(), sale.cancelled, sale.refunded) {
        (None, None, _) => "pending",
        (None, Some(_), _) => "voided",
        (Some(_), None, None) => "paid",
        _ => "refunded",
    }
}

fn discount_codes(placed: &Placed) -> Value {
    match placed.discount {
        None => json!([]),
        Some((code, pence)) => json!([{"code": code, "amount": format!("{}.{:02}", pence / 100, pence % 100), "type": "fixed_amount"}]),
    }
}
