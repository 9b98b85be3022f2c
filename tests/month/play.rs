//! The month as it goes, day by day: what the shop, its customers, the packer, the courier and the kitchen do.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, Weekday};
use reqwest::Method;
use sandbox::Fault;
use serde_json::json;
use uuid::Uuid;
use web::api::{Scope, tokens};
use web::functions::import_temperature_log;

use super::course::{self, Fate, LAST_DAY, Order, PRODUCTS};
use super::house::House;
use super::papers;
use crate::dispatch::file;
use crate::orders::inbox::execute;
use crate::support::shelf::{self, Batch};

/// A Monday; orders are packed before Easter and after it, when clocks have changed.
const FIRST_DAY: (i32, u32, u32) = (2027, 3, 15);
/// Days on which a batch of each product is released, and its share of what will be ordered, in percent: too little until the last.
const RELEASES: [(i64, i64); 3] = [(0, 45), (9, 25), (16, 30)];
/// What is made beyond what will be ordered.
const SURPLUS: i64 = 40;
/// When people move who have a subscription.
const MOVES: [i64; 4] = [5, 10, 11, 18];
/// When somebody drops some units.
const DROPS: [i64; 2] = [12, 19];
/// Parcels with a logger; the last of them became too warm.
const LOGGERS: usize = 4;

/// The month, and what the world knows of it.
pub struct Month {
    pub house: House,
    pub orders: Vec<Order>,
    /// Orders whose parcel has left, and when.
    pub left: BTreeMap<i64, i64>,
    /// Orders whose parcel has arrived.
    pub arrived: BTreeSet<i64>,
    /// Orders whose parcel was held up.
    pub held_up: BTreeSet<i64>,
    /// Rows of the packer that name no order.
    pub unmatched: i64,
    /// Rows of the packer that cannot be read.
    pub faulty: i64,
    /// Units made, and units lost, of each product.
    pub made: [i64; 3],
    pub lost: [i64; 3],
    /// Who moved where.
    pub moved: BTreeMap<usize, String>,
    pub logs: usize,
    products: Vec<Uuid>,
    settlers: Vec<usize>,
    token: String,
}

/// Plays the month of this seed.
pub async fn play(seed: u64, orders: usize) -> Month {
    let mut month = Month::begin(seed, orders).await;
    for day in 0..=LAST_DAY {
        month.day(day).await;
    }
    // What waits for its next try has hours for it.
    for time in ["20:00", "21:00", "22:00", "23:00"] {
        month.house.go_on_to(LAST_DAY, time).await;
    }
    month.house.assert_no_fault_is_left();
    month
}

impl Month {
    async fn begin(seed: u64, orders: usize) -> Self {
        let (year, month, day) = FIRST_DAY;
        let house = House::open(NaiveDate::from_ymd_opt(year, month, day).expect("a date")).await;
        let orders = course::draw(seed, orders);
        let mut products = Vec::new();
        for (sku, _) in PRODUCTS {
            products.push(shelf::product(house.pool(), sku).await);
        }
        for statement in [
            "insert into raw_ops.allowed_delivery_areas (postcode_prefix, area_name, phase, typical_transit_hours)
             values ('SW', 'London', '1', 24), ('E', 'London', '1', 24), ('LS', 'Leeds', '1', 24), ('YO', 'York', '1', 48),
                 ('BS', 'Bristol', '1', 24), ('CB', 'Cambridge', '1', 48)",
            "insert into raw_ops.courier_event_mapping (courier_name, event_code, event_type, requires_customer_notification,
                 notification_template_id, customer_message_short, internal_priority)
             values ('DPD', 'CARD', 'EXCEPTION', true, 'delivery_exception', 'We could not deliver your box', 'high')",
        ] {
            execute(house.pool(), statement).await;
        }
        for person in orders.iter().map(|order| order.person) {
            house.outside.shopify.put_customer(papers::customer_id(person), Some(papers::home(person)));
        }
        // Somebody who has ordered by then, and no two the same.
        let mut settlers: Vec<usize> = Vec::new();
        for order in orders.iter().filter(|order| order.day < 4 && order.fate != Fate::Missed) {
            if !settlers.contains(&order.person) && settlers.len() < MOVES.len() {
                settlers.push(order.person);
            }
        }
        assert_eq!(settlers.len(), MOVES.len());
        let token = tokens::create(house.pool(), "month", &[Scope::Functions], "ada", None).await.expect("a token");
        Self {
            house,
            orders,
            left: BTreeMap::new(),
            arrived: BTreeSet::new(),
            held_up: BTreeSet::new(),
            unmatched: 0,
            faulty: 0,
            made: [0; 3],
            lost: [0; 3],
            moved: BTreeMap::new(),
            logs: 0,
            products,
            settlers,
            token,
        }
    }

    async fn day(&mut self, day: i64) {
        let weekday = self.house.at(day, "12:00").weekday();
        let is_weekend = matches!(weekday, Weekday::Sat | Weekday::Sun);
        self.outages(day, "morning");
        if !is_weekend {
            self.house.go_on_to(day, "05:46").await;
            self.house.go_on_to(day, "06:01").await;
        }
        self.outages(day, "noon");
        self.house.go_on_to(day, "12:00").await;
        self.kitchen(day).await;
        self.courier(day, weekday).await;
        self.shop(day).await;
        self.people(day).await;
        self.house.settle().await;
        if !is_weekend {
            self.outages(day, "afternoon");
            self.packer(day, weekday).await;
            self.house.go_on_to(day, "16:34").await;
        }
    }

    /// Each outside system is down once, is asked meanwhile, and comes back.
    fn outages(&self, day: i64, part: &str) {
        let (down, outside, forecast) = (Some(Fault::Status(503)), &self.house.outside, &self.house.forecast);
        let refused = match (day, part) {
            (2, "noon") => Some(forecast.faults_given()),
            (4, "noon") => Some(outside.customerio.faults_given()),
            (8, "noon") => Some(outside.slack.faults_given()),
            (9, "noon") => Some(outside.packer.faults_given()),
            (11, "morning") => Some(outside.shopify.faults_given()),
            (12, "noon") => Some(outside.seal.faults_given()),
            _ => None,
        };
        assert_ne!(refused, Some(0), "nobody asked the system that was down until day {day}, {part}");
        match (day, part) {
            (2, "morning") => forecast.always(down),
            (2, "noon") => forecast.always(None),
            (3, "afternoon") => outside.customerio.always(down),
            (4, "noon") => outside.customerio.always(None),
            (7, "morning") => outside.slack.always(down),
            (8, "noon") => outside.slack.always(None),
            (9, "morning") => outside.packer.always(down),
            (9, "noon") => outside.packer.always(None),
            (10, "noon") => outside.shopify.always(down),
            (11, "morning") => outside.shopify.always(None),
            (11, "noon") => outside.seal.always(down),
            (12, "noon") => outside.seal.always(None),
            // Nobody knows of some mails whether they went out, until they are reported.
            (17, "afternoon") => outside.customerio.ask([Fault::LostReply, Fault::Garbage]),
            _ => (),
        }
    }

    /// Batches come from the laboratory; now and then something is dropped.
    async fn kitchen(&mut self, day: i64) {
        for (place, product) in self.products.clone().into_iter().enumerate() {
            // Lines that grow are of the first product of their order.
            let wanted: i64 = self.orders.iter().map(|order| order.units(Some(place)) + 1).sum();
            if let Some((_, percent)) = RELEASES.iter().find(|(release, _)| *release == day) {
                let units = wanted * percent / 100 + if day == RELEASES[2].0 { SURPLUS } else { 0 };
                let batch = Batch::of(units as i32, 60 + day as i32).status("QA_HOLD");
                let batch = batch.put(self.house.pool(), &format!("{}-{day}", PRODUCTS[place].0), product).await;
                shelf::pass(self.house.pool(), batch).await;
                shelf::release(self.house.pool(), batch).await.expect("it has passed");
                self.made[place] += units;
            }
        }
        if let Some(place) = DROPS.iter().position(|drop| *drop == day) {
            let drop = "select raw_ops.execute_manual_inventory_adjustment(b.id, -3, 'dropped', 'ann') from raw_ops.batches b
                where b.product_id = $1 and b.status = 'RELEASED' and b.qty_on_hand - coalesce(b.qty_reserved, 0) >= 3 limit 1";
            let dropped = sqlx::query(drop).bind(self.products[place]).fetch_optional(self.house.pool()).await.expect("it can be dropped");
            self.lost[place] += if dropped.is_some() { 3 } else { 0 };
        }
    }

    /// Parcels arrive on the day after, but for one that is held up.
    async fn courier(&mut self, day: i64, weekday: Weekday) {
        if matches!(weekday, Weekday::Sun | Weekday::Mon) {
            return;
        }
        let on_their_way: Vec<i64> =
            self.left.iter().filter(|(n, left)| **left < day && !self.arrived.contains(n)).map(|(n, _)| *n).collect();
        for n in on_their_way {
            let order = self.order(n);
            let is_held_up = order.fate == Fate::HeldUp && !self.held_up.contains(&n);
            let codes: &[(&str, &str)] =
                if is_held_up { &[("009", "02:00"), ("CARD", "10:30")] } else { &[("001", "11:00"), ("015", "08:00"), ("009", "03:00")] };
            for (code, time) in codes {
                let at = self.house.at(day, time).format("%Y-%m-%dT%H:%M:%SZ").to_string();
                self.house.scan(&json!({ "tracking_no": order.parcel(), "event_code": code, "event_time": at })).await;
            }
            if is_held_up {
                self.held_up.insert(n);
                continue;
            }
            self.arrived.insert(n);
            if self.logs < LOGGERS {
                self.log(n, day).await;
            }
        }
    }

    /// Somebody reads the logger of a parcel.
    async fn log(&mut self, n: i64, day: i64) {
        self.logs += 1;
        let warmest = if self.logs == LOGGERS { 9.5 } else { -14.0 };
        let readings: Vec<f64> = (0..40).map(|place| if place > 8 { warmest } else { -18.0 }).collect();
        let text = papers::log(self.house.at(self.left[&n], "15:30"), &readings);
        let path = format!("{}?tracking_no={}&logger_id=LOG-{day}-{n}", import_temperature_log::PATH, self.order(n).parcel());
        let request = reqwest::Client::new().request(Method::POST, self.house.edge.url(&path)).bearer_auth(&self.token);
        let answer = request.header("content-type", "text/csv").body(text).send().await.expect("the process answers");
        assert_eq!(answer.status(), 202);
    }

    /// The packer sends what he has, and writes down what has left, and some nonsense.
    async fn packer(&mut self, day: i64, weekday: Weekday) {
        let time = self.house.at(day, "15:30").format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let has: BTreeSet<String> = self.house.outside.packer.orders().into_iter().collect();
        let (mut rows, mut stopped): (Vec<[String; 3]>, Vec<String>) = (Vec::new(), Vec::new());
        for order in self.orders.iter().filter(|order| has.contains(&order.at_packer()) && !self.left.contains_key(&order.n)) {
            if order.fate == Fate::Stopped {
                stopped.extend(order.is_cancelled.then(|| order.at_packer()));
                continue;
            }
            // Some boxes he does not get to on the first day.
            if order.n % 13 != 0 || weekday == Weekday::Fri || self.left.values().any(|left| *left == day) && order.n % 2 == 0 {
                rows.push([order.at_packer(), order.parcel(), time.clone()]);
            }
        }
        let sent: Vec<i64> =
            self.orders.iter().filter(|order| rows.iter().any(|row| row[0] == order.at_packer())).map(|order| order.n).collect();
        if weekday == Weekday::Tue {
            // One that was told before, one of nobody, one without a number.
            rows.extend(self.left.keys().next().map(|n| [self.order(*n).at_packer(), self.order(*n).parcel(), time.clone()]));
            rows.push([format!("PR#99{day}"), format!("9990{day}"), time.clone()]);
            rows.push(["PR#5001".into(), String::new(), time.clone()]);
            self.unmatched += 1;
            self.faulty += 1;
        }
        // He says it every day, and it is heard once.
        for name in stopped {
            self.house.file(&format!("order_ref,tracking_no,dispatched_at,status\r\n{name},,,not sent\r\n")).await;
        }
        self.left.extend(sent.into_iter().map(|n| (n, day)));
        let lines: Vec<[&str; 3]> = rows.iter().map(|row| row.each_ref().map(String::as_str)).collect();
        if lines.is_empty() {
            return;
        }
        if day % 2 == 0 {
            self.house.outside.packer.lay_out(&format!("left {day}.csv"), file(&lines));
        } else {
            self.house.file(&file(&lines)).await;
        }
    }

    /// People with a subscription move.
    async fn people(&mut self, day: i64) {
        let now = self.house.at(day, "12:00");
        if day == 4 {
            for person in self.settlers.clone() {
                let subscription = papers::subscription(person, now);
                self.house.outside.seal.put(subscription.clone());
                self.house.of_seal("subscription/created", &subscription).await;
            }
        }
        let settler = MOVES.iter().position(|move_day| *move_day == day).and_then(|place| self.settlers.get(place).copied());
        if let Some(person) = settler {
            let door = format!("{} New Road", person + 1);
            let update =
                format!("update raw_ops.customers set address1 = '{door}' where shopify_customer_id = '{}'", papers::customer_id(person));
            execute(self.house.pool(), &update).await;
            self.moved.insert(person, door);
        }
    }

    pub fn order(&self, n: i64) -> &Order {
        self.orders.iter().find(|order| order.n == n).expect("it is of this month")
    }
}
