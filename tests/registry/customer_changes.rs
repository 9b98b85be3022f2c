//! Draws statements of every kind that change the tables behind `v_customer_context`.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use uuid::Uuid;

/// The customer with this number; the same in every run.
pub fn customer(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number) << 96)
}

/// So many customers there are to be.
pub const CUSTOMERS: u32 = 7;
const STATUSES: [&str; 7] = ["PENDING", "PAID", "ALLOCATED", "EXPORTED", "DELIVERED", "CANCELLED", "REFUNDED"];
const PARCELS: [&str; 4] = ["CREATED", "IN_TRANSIT", "DELIVERED", "RETURNED"];

/// Where the statements come from; ids are numbers, so that a run can be repeated.
pub struct Writer {
    pub random: StdRng,
    ids: u128,
}

impl Writer {
    /// One whose statements follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), ids: 0 }
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.choose(&mut self.random).expect("there is something to choose from")
    }

    fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    /// One of the customers, or none now and then.
    fn somebody(&mut self) -> String {
        match self.random.random_range(0..=CUSTOMERS) {
            0 => "null".into(),
            number => format!("'{}'", customer(number)),
        }
    }

    fn one_customer(&mut self) -> String {
        format!("'{}'", customer(self.random.random_range(1..=CUSTOMERS)))
    }

    /// A condition that some of the rows meet, or all.
    fn some(&mut self) -> String {
        format!("hashtext(t.id::text || '{}') % {} = 0", self.random.random::<u16>(), self.random.random_range(1..=6))
    }

    /// A moment; few, so that many rows have the same.
    fn moment(&mut self) -> String {
        format!("timestamptz '2026-01-01 10:00Z' + interval '{} hours'", self.random.random_range(0..12))
    }

    fn order(&mut self) -> String {
        // A paid one would ask for stock and stay where the request is.
        let status = self.pick(&["PENDING", "ALLOCATED", "DELIVERED", "CANCELLED", "REFUNDED"]);
        let money = self.random.random_range(0..9999);
        let money = if self.random.random_bool(0.8) { format!("{money} / 100.0, {money} / 100.0") } else { "0, null".into() };
        format!("('{}', {}, '{status}', {}, {money}, '#{}')", self.id(), self.somebody(), self.moment(), self.ids)
    }

    fn many(&mut self, row: impl Fn(&mut Self) -> String) -> String {
        let rows: Vec<String> = (0..self.random.random_range(1..=5)).map(|_| row(self)).collect();
        rows.join(", ")
    }

    /// New orders, many at once.
    pub fn orders(&mut self) -> String {
        let rows = self.many(Self::order);
        format!(
            "insert into raw_ops.orders as t (id, customer_id, status, ordered_at, total_inc_vat, total_gbp, order_number_label) values {rows}"
        )
    }

    fn change_orders(&mut self) -> String {
        let change = match self.random.random_range(0..7) {
            0 | 1 => format!("status = '{}'", self.pick(&STATUSES)),
            2 => "total_inc_vat = total_inc_vat + 1, total_gbp = total_gbp + 1".into(),
            3 => format!("customer_id = {}", self.somebody()),
            4 => format!("ordered_at = {}", self.moment()),
            5 => "order_number_label = order_number_label || '+'".into(),
            _ => "ship_name = 'Somebody else'".into(),
        };
        format!("update raw_ops.orders t set {change} where {}", self.some())
    }

    /// Orders by another way: some are there, some are new.
    fn save_orders(&mut self) -> String {
        let known = self.ids.max(1);
        let there = Uuid::from_u128(self.random.random_range(1..=known));
        let (new, somebody) = (self.orders(), self.somebody());
        let mended = format!("('{there}', {somebody}, 'DELIVERED', now(), 5, 5, 'again')");
        format!("{new}, {mended} on conflict (id) do update set status = excluded.status, customer_id = excluded.customer_id")
    }

    fn delete_orders(&mut self) -> String {
        let some = self.some();
        format!(
            "with gone as (delete from raw_ops.shipments s using raw_ops.orders t where s.order_id = t.id and {some})
             delete from raw_ops.orders t where {some}"
        )
    }

    fn rename_orders(&mut self) -> String {
        let some = self.some();
        format!(
            "update raw_ops.orders t set id = '{}' where id = (
                 select t.id from raw_ops.orders t where {some} and not exists (select from raw_ops.shipments s where s.order_id = t.id)
                 order by t.id limit 1)",
            self.id()
        )
    }

    /// New subscriptions, many at once.
    pub fn subscriptions(&mut self) -> String {
        let rows = self.many(|writer| {
            let (id, of, status) = (writer.id(), writer.one_customer(), writer.pick(&["active", "paused", "cancelled", "expired"]));
            format!("('{id}', '{id}', {of}, '{status}', 60, {})", writer.moment())
        });
        format!("insert into raw_ops.subscriptions (id, shopify_subscription_id, customer_id, status, price_gbp, created_at) values {rows}")
    }

    fn change_subscriptions(&mut self) -> String {
        let change = match self.random.random_range(0..6) {
            0 | 1 => format!("status = '{}'", self.pick(&["active", "paused", "cancelled"])),
            2 => format!("customer_id = {}", self.one_customer()),
            3 => format!("created_at = {}", self.moment()),
            4 => "box_size = '8kg', frequency_weeks = 2, next_billing_date = null, payment_status = 'failing'".into(),
            _ => "last_synced_at = now()".into(),
        };
        format!("update raw_ops.subscriptions t set {change} where {}", self.some())
    }

    /// New shipments, many at once.
    pub fn shipments(&mut self) -> String {
        let (some, status, moment) = (self.some(), self.pick(&PARCELS), self.moment());
        let left = if self.random.random_bool(0.6) { self.moment() } else { "null".into() };
        // Ids that follow from the orders' keep a run repeatable.
        format!(
            "insert into raw_ops.shipments (id, order_id, status, created_at, dispatched_at, courier)
             select md5(t.id::text || '{}')::uuid, t.id, '{status}', {moment}, {left}, 'DPD' from raw_ops.orders t where {some}",
            self.id()
        )
    }

    fn change_shipments(&mut self) -> String {
        let change = match self.random.random_range(0..5) {
            0 => format!("status = '{}'", self.pick(&PARCELS)),
            1 => format!("dispatched_at = {}", self.moment()),
            2 => "dispatched_at = null, delivered_at = now()".into(),
            3 => "order_id = (select id from raw_ops.orders order by id limit 1)".into(),
            _ => "service = 'next day'".into(),
        };
        format!("update raw_ops.shipments t set {change} where {}", self.some())
    }

    /// An order and its parcel in one statement.
    fn both(&mut self) -> String {
        let (order, of, parcel) = (self.id(), self.somebody(), self.id());
        format!(
            "with made as (insert into raw_ops.orders (id, customer_id, status) values ('{order}', {of}, 'DELIVERED') returning id)
             insert into raw_ops.shipments (id, order_id, status, courier) select '{parcel}', id, 'DELIVERED', 'DPD' from made"
        )
    }

    /// Any statement.
    pub fn statement(&mut self) -> String {
        match self.random.random_range(0..30) {
            0..4 => self.orders(),
            4..9 => self.change_orders(),
            9 => self.save_orders(),
            10 => self.delete_orders(),
            11 => self.rename_orders(),
            12..15 => self.subscriptions(),
            15..19 => self.change_subscriptions(),
            19 => format!("delete from raw_ops.subscriptions t where {}", self.some()),
            20..23 => self.shipments(),
            23..27 => self.change_shipments(),
            27 => format!("delete from raw_ops.shipments t where {}", self.some()),
            28 => self.both(),
            _ if self.random.random_bool(0.2) => {
                format!("truncate raw_ops.{} cascade", self.pick(&["subscriptions", "shipments", "orders"]))
            }
            _ => "update raw_ops.customers t set city = 'York'".into(),
        }
    }
}
