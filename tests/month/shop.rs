//! What the shop tells: orders as they are placed, and what becomes of them.

use super::course::{Fate, PRODUCTS};
use super::papers;
use super::play::Month;

impl Month {
    /// What happens in the shop on a day.
    pub(super) async fn shop(&mut self, day: i64) {
        let of_today: Vec<usize> = (0..self.orders.len()).filter(|place| self.orders[*place].day == day).collect();
        for place in &of_today {
            self.place(*place, day).await;
        }
        self.house.settle().await;
        for place in of_today {
            self.follow_up(place, day).await;
        }
        for place in 0..self.orders.len() {
            if self.orders[place].day < day && !self.orders[place].is_over {
                self.later(place, day).await;
            }
        }
        self.house.settle().await;
    }

    /// Shopify has a new version of an order, and sends these webhooks of it.
    async fn tell(&mut self, place: usize, day: i64, topics: &[&str]) {
        self.orders[place].changes += 1;
        let order = &self.orders[place];
        let (home, _) = self.house.outside.shopify.address(papers::customer_id(order.person));
        let home = home.unwrap_or_else(|| papers::home(order.person));
        let document = papers::order(order, &home, self.house.at(order.day, "12:00"), self.house.at(day, "12:00"));
        self.house.outside.shopify.put(document.clone());
        for topic in topics {
            self.house.webhook(topic, &document).await;
        }
    }

    /// Gives money back: so many pence, for so many units of each line that are not sent any more.
    async fn refund(&mut self, place: usize, day: i64, pence: i64, units: &[i64]) {
        self.orders[place].refunds.push(pence);
        let document = papers::refund(&self.orders[place], units, self.house.at(day, "12:00"));
        self.house.webhook("refunds/create", &document).await;
    }

    async fn place(&mut self, place: usize, day: i64) {
        match self.orders[place].fate {
            Fate::PaidLater | Fate::NeverPaid | Fate::EditedUnpaid => self.tell(place, day, &["orders/create"]).await,
            Fate::Missed => {
                self.orders[place].is_paid = true;
                self.tell(place, day, &[]).await;
            }
            _ => {
                self.orders[place].is_paid = true;
                // Webhooks of one version come in any order.
                let topics: &[&str] = if place.is_multiple_of(3) {
                    &["orders/paid", "orders/create"]
                } else {
                    &["orders/create", "orders/updated", "orders/paid"]
                };
                self.tell(place, day, topics).await;
            }
        }
    }

    /// What becomes of an order on its first day.
    async fn follow_up(&mut self, place: usize, day: i64) {
        match self.orders[place].fate {
            Fate::CancelledAtOnce => self.cancel(place, day).await,
            Fate::LessOfIt => {
                let line = &mut self.orders[place].lines[0];
                (line.current, line.packed) = (line.current - 1, line.packed - 1);
                let pence = PRODUCTS[line.product].1;
                let first = place.is_multiple_of(2);
                if first {
                    self.refund(place, day, pence, &[1]).await;
                    self.tell(place, day, &["orders/updated"]).await;
                } else {
                    // The order's own news may come before those of the refund.
                    self.orders[place].refunds.push(pence);
                    self.tell(place, day, &["orders/updated"]).await;
                    self.orders[place].refunds.pop();
                    self.refund(place, day, pence, &[1]).await;
                }
            }
            Fate::Moved => {
                self.orders[place].door += 1_000;
                self.tell(place, day, &["orders/updated"]).await;
            }
            _ => return,
        }
        self.orders[place].is_over = true;
    }

    /// What becomes of an order on a later day.
    async fn later(&mut self, place: usize, day: i64) {
        let order = &self.orders[place];
        let is_at_packer = self.house.outside.packer.orders().contains(&order.at_packer()) && !self.left.contains_key(&order.n);
        match order.fate {
            Fate::PaidLater => {
                self.orders[place].is_paid = true;
                self.tell(place, day, &["orders/paid", "orders/updated"]).await;
            }
            Fate::EditedUnpaid => {
                let line = &mut self.orders[place].lines[0];
                (line.sold, line.current, line.packed) = (line.sold + 1, line.current + 1, line.packed + 1);
                self.tell(place, day, &["orders/updated"]).await;
                self.orders[place].is_paid = true;
                self.tell(place, day, &["orders/paid"]).await;
            }
            Fate::CancelledLate | Fate::Stopped if is_at_packer => self.cancel(place, day).await,
            Fate::EditedLate if is_at_packer => {
                self.orders[place].lines[0].sold += 2;
                self.orders[place].lines[0].current += 2;
                self.tell(place, day, &["orders/updated"]).await;
                self.tell(place, day, &["orders/updated"]).await;
            }
            Fate::MovedLate if is_at_packer => {
                self.orders[place].door += 1_000;
                self.tell(place, day, &["orders/updated"]).await;
            }
            Fate::Goodwill if self.arrived.contains(&order.n) => {
                self.refund(place, day, 300, &[]).await;
                self.tell(place, day, &["orders/updated"]).await;
            }
            _ => return,
        }
        self.orders[place].is_over = true;
    }

    async fn cancel(&mut self, place: usize, day: i64) {
        let order = &mut self.orders[place];
        order.is_cancelled = true;
        let units: Vec<i64> = order.lines.iter().map(|line| line.sold).collect();
        let total = order.total();
        for line in &mut order.lines {
            line.current = 0;
        }
        self.orders[place].refunds.push(total);
        self.tell(place, day, &["orders/cancelled"]).await;
        self.orders[place].refunds.pop();
        self.refund(place, day, total, &units).await;
        self.tell(place, day, &["orders/updated"]).await;
    }
}
