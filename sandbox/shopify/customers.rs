//! Customers of the sandbox's shop as the Admin API shows and changes them: their default address.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

/// The countries that the shop sends to.
const COUNTRIES: [&str; 2] = ["GB", "IE"];
/// The longest line of an address.
const LINE_LIMIT: usize = 255;

/// Customers by Shopify's id, and how often an address of theirs was written.
#[derive(Default)]
pub(super) struct Customers {
    known: Mutex<BTreeMap<String, Customer>>,
}

#[derive(Default)]
struct Customer {
    addresses: Vec<(String, Value)>,
    default: Option<usize>,
    writes: u64,
}

impl Customers {
    /// The shop has this customer now, perhaps with a default address: with the names of the API's input.
    pub fn put(&self, id: i64, address: Option<Value>) {
        let mut customer = Customer::default();
        if let Some(address) = address {
            customer.addresses.push((address_id(id, 0), address));
            customer.default = Some(0);
        }
        self.known.lock().expect("no holder of this lock panics").insert(gid(id), customer);
    }

    /// The shop has this customer, at an address as documents have it, unless it knew the customer before.
    pub fn meet(&self, id: i64, home: &Value) {
        let is_known = self.known.lock().expect("no holder of this lock panics").contains_key(&gid(id));
        if !is_known {
            let address = home.is_object().then(|| {
                json!({ "address1": home["address1"], "address2": home["address2"], "city": home["city"], "zip": home["zip"],
                        "countryCode": home["country_code"] })
            });
            self.put(id, address);
        }
    }

    /// The default address, with the names of the API's input; and how often an address was written.
    pub fn address(&self, id: i64) -> (Option<Value>, u64) {
        let known = self.known.lock().expect("no holder of this lock panics");
        known
            .get(&gid(id))
            .map_or((None, 0), |customer| (customer.default.map(|place| customer.addresses[place].1.clone()), customer.writes))
    }

    /// What the API says to a document about customers; none when it is about something else.
    pub fn answer(&self, document: &str, variables: &Value) -> Option<Value> {
        let id = variables["customerId"].as_str().unwrap_or_default();
        let mut known = self.known.lock().expect("no holder of this lock panics");
        let customer = known.get_mut(id);
        if document.contains("customerAddressUpdate(") {
            let written = match customer {
                None => Err(("customerId", "Customer does not exist")),
                Some(customer) => customer.update(&variables["addressId"], &variables["address"]),
            };
            Some(json!({ "customerAddressUpdate": payload(written) }))
        } else if document.contains("customerAddressCreate(") {
            let written = match customer {
                None => Err(("customerId", "Customer does not exist")),
                Some(customer) => customer.create(id, &variables["address"]),
            };
            Some(json!({ "customerAddressCreate": payload(written) }))
        } else if document.contains("defaultAddress") {
            Some(json!({ "customer": customer.map(|customer| customer.shown()) }))
        } else {
            None
        }
    }
}

impl Customer {
    fn shown(&self) -> Value {
        let address = self.default.map(|place| {
            let (id, address) = &self.addresses[place];
            let text = |name: &str| address[name].as_str().filter(|text| !text.is_empty());
            json!({
                "id": id, "address1": text("address1"), "address2": text("address2"), "city": text("city"),
                "province": text("provinceCode"), "zip": text("zip"), "countryCodeV2": text("countryCode"),
            })
        });
        json!({ "defaultAddress": address })
    }

    fn update(&mut self, address_id: &Value, input: &Value) -> Result<String, (&'static str, &'static str)> {
        let place = self.addresses.iter().position(|(id, _)| address_id == id).ok_or(("addressId", "Address does not exist"))?;
        let mut merged = self.addresses[place].1.clone();
        merged.as_object_mut().expect("an address is an object").extend(input.as_object().cloned().unwrap_or_default());
        refuse(&merged)?;
        self.addresses[place].1 = merged;
        self.default = Some(place);
        self.writes += 1;
        Ok(self.addresses[place].0.clone())
    }

    fn create(&mut self, customer: &str, input: &Value) -> Result<String, (&'static str, &'static str)> {
        refuse(input)?;
        let number = customer.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or_default();
        let id = address_id(number, self.addresses.len());
        self.addresses.push((id.clone(), input.clone()));
        self.default = Some(self.addresses.len() - 1);
        self.writes += 1;
        Ok(id)
    }
}

/// What Shopify does not take, in its words.
fn refuse(address: &Value) -> Result<(), (&'static str, &'static str)> {
    let text = |name: &str| address[name].as_str().unwrap_or_default();
    match () {
        () if text("address1").is_empty() => Err(("address1", "Address1 can't be blank")),
        () if text("address1").chars().count() > LINE_LIMIT => Err(("address1", "Address1 is too long (maximum is 255 characters)")),
        () if !COUNTRIES.contains(&text("countryCode")) => Err(("countryCode", "Country is not supported")),
        () if text("countryCode") == "GB" && !(5..=8).contains(&text("zip").len()) => Err(("zip", "Zip is not valid for United Kingdom")),
        () => Ok(()),
    }
}

fn payload(written: Result<String, (&str, &str)>) -> Value {
    match written {
        Ok(id) => json!({ "address": { "id": id }, "userErrors": [] }),
        Err((field, message)) => json!({ "address": null, "userErrors": [{ "field": ["address", field], "message": message }] }),
    }
}

fn gid(id: i64) -> String {
    format!("gid://shopify/Customer/{id}")
}

fn address_id(customer: i64, place: usize) -> String {
    format!("gid://shopify/MailingAddress/{customer}{place:02}?model_name=CustomerAddress")
}
