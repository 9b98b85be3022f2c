//! What the shop sells: invented, priced in pence with VAT.

use rust_decimal::Decimal;

/// One product of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Stock keeping unit, as orders name it.
    pub sku: &'static str,
    /// Name as customers see it.
    pub name: &'static str,
    /// Net weight in grams.
    pub grams: u32,
    /// Price of one, in pence, with 20 % VAT.
    pub price_pence: i64,
    /// Shopify's id of the product; its variant has the next number.
    pub product_id: i64,
}

impl Product {
    /// Net weight in kilograms.
    pub fn kg(&self) -> Decimal {
        Decimal::new(self.grams.into(), 3)
    }

    /// Shopify's id of the product's only variant.
    pub fn variant_id(&self) -> i64 {
        self.product_id + 1
    }
}

/// Every product, in the order in which the shop lists them.
pub fn catalogue() -> &'static [Product] {
    &PRODUCTS
}

const PRODUCTS: [Product; 12] = [
    product(0, "RAW-BEEF-500", "Beef & Ox Heart Complete 500 g", 500, 495),
    product(1, "RAW-CHICKEN-500", "Free-Range Chicken Complete 500 g", 500, 425),
    product(2, "RAW-LAMB-500", "Welsh Lamb & Liver Complete 500 g", 500, 565),
    product(3, "RAW-DUCK-500", "Gressingham-Style Duck Complete 500 g", 500, 595),
    product(4, "RAW-TURKEY-1000", "Turkey & Root Vegetables Complete 1 kg", 1_000, 789),
    product(5, "RAW-SALMON-500", "Scottish Salmon & Cod Complete 500 g", 500, 645),
    product(6, "RAW-VENISON-500", "Wild Venison Complete 500 g", 500, 699),
    product(7, "RAW-TRIPE-500", "Green Tripe Mince 500 g", 500, 349),
    product(8, "RAW-PUPPY-500", "Puppy Chicken & Egg Complete 500 g", 500, 475),
    product(9, "RAW-SENIOR-500", "Senior Rabbit & Pumpkin 500 g", 500, 629),
    product(10, "RAW-BONES-750", "Lamb Ribs 750 g", 750, 515),
    product(11, "RAW-STARTER-4000", "Starter Box 8 × 500 g", 4_000, 3_299),
];

const fn product(place: i64, sku: &'static str, name: &'static str, grams: u32, price_pence: i64) -> Product {
    Product { sku, name, grams, price_pence, product_id: 8_412_300_000_000 + place * 32_768 }
}
