//! The arithmetic of a cart, in pence, VAT of 20 % included in every price.
//!
//! Shares are cut at the running sum, so that the parts always add up to the
//! whole: discounts over the lines, and the VAT over lines and shipping.

/// What is charged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// Price of one and quantity, for each line.
    pub lines: Vec<(i64, i64)>,
    /// Taken off the lines together; at most their sum.
    pub discount: i64,
    /// Delivery.
    pub shipping: i64,
}

/// What it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Each line's share of the discount.
    pub line_discounts: Vec<i64>,
    /// VAT inside each line after its discount.
    pub line_taxes: Vec<i64>,
    /// VAT inside the delivery.
    pub shipping_tax: i64,
    /// All lines before the discount.
    pub items: i64,
    /// All lines after the discount.
    pub subtotal: i64,
    /// VAT inside the total.
    pub tax: i64,
    /// What the customer pays.
    pub total: i64,
}

impl Cart {
    /// Adds everything up.
    pub fn totals(&self) -> Totals {
        let gross: Vec<i64> = self.lines.iter().map(|(price, count)| price * count).collect();
        let items: i64 = gross.iter().sum();
        let line_discounts = shares(&gross, |sum| match items {
            0 => 0,
            _ => sum * self.discount / items,
        });
        let mut net: Vec<i64> = gross.iter().zip(&line_discounts).map(|(gross, discount)| gross - discount).collect();
        net.push(self.shipping);
        let mut line_taxes = shares(&net, vat_inside);
        let shipping_tax = line_taxes.pop().expect("the delivery was pushed");
        let subtotal = items - self.discount;
        Totals {
            tax: line_taxes.iter().sum::<i64>() + shipping_tax,
            line_discounts,
            line_taxes,
            shipping_tax,
            items,
            subtotal,
            total: subtotal + self.shipping,
        }
    }

    /// The same cart in another currency, at `rate_percent` of its prices.
    pub fn converted(&self, rate_percent: i64) -> Self {
        let convert = |amount: i64| (amount * rate_percent + 50) / 100;
        let lines: Vec<_> = self.lines.iter().map(|(price, count)| (convert(*price), *count)).collect();
        let before: i64 = self.lines.iter().map(|(price, count)| price * count).sum();
        let items: i64 = lines.iter().map(|(price, count)| price * count).sum();
        let discount = if self.discount == before { items } else { convert(self.discount).min(items) };
        Self { lines, discount, shipping: convert(self.shipping) }
    }
}

/// The sixth part, rounded half up: 20 % of what is left without it.
fn vat_inside(amount: i64) -> i64 {
    (amount + 3) / 6
}

fn shares(parts: &[i64], share_of: impl Fn(i64) -> i64) -> Vec<i64> {
    let mut sum = 0;
    parts
        .iter()
        .map(|part| {
            let before = share_of(sum);
            sum += part;
            share_of(sum) - before
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_adds_up_to_the_penny() {
        let cart = Cart { lines: vec![(495, 3), (3_299, 1), (349, 2)], discount: 549, shipping: 595 };
        let totals = cart.totals();
        assert_eq!(totals.items, 5_482);
        assert_eq!(totals.line_discounts, [148, 331, 70]);
        assert_eq!(totals.subtotal, 4_933);
        assert_eq!(totals.total, 5_528);
        assert_eq!(totals.tax, 921);
        assert_eq!(totals.line_taxes, [223, 495, 104]);
        assert_eq!(totals.shipping_tax, 99);
    }

    #[test]
    fn a_full_discount_leaves_nothing() {
        let cart = Cart { lines: vec![(333, 1), (1, 1)], discount: 334, shipping: 0 };
        for cart in [cart.converted(117), cart] {
            let totals = cart.totals();
            assert_eq!((totals.total, totals.tax), (0, 0));
            assert_eq!(totals.line_discounts, [cart.lines[0].0, cart.lines[1].0]);
        }
    }
}
