//! The file that tells the packer what to pack: a line for each batch of each product of an order.
//!
//! RFC 4180, in UTF-8 without a byte order mark, a line break of CR LF, quotes only where they are needed. The same lines give
//! the same bytes, whenever and wherever they are written: their hash is how the drop knows a repetition. So a version of the
//! file never changes; another form is another version beside it.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::field::{address, fault_of, phone};

/// The version that new files have.
pub const VERSION: &str = "v1";

/// The columns of version `v1`.
const COLUMNS: [&str; 16] = [
    "order_ref",
    "ship_name",
    "ship_phone",
    "ship_address1",
    "ship_address2",
    "ship_city",
    "ship_postcode",
    "ship_country",
    "sku",
    "batch_code",
    "quantity",
    "box_size",
    "insulation",
    "pcm_packs",
    "logger",
    "deliver_on",
];
/// Where the product stands among them.
const SKU: usize = 8;
/// Those without which nothing can be packed or sent.
const REQUIRED: [&str; 7] = ["order_ref", "ship_name", "ship_address1", "ship_postcode", "sku", "batch_code", "quantity"];

/// A line as the database gives it: what is to be packed of one batch for one order.
#[derive(Debug, Clone, Default, sqlx::FromRow)]
pub struct Line {
    /// The order.
    pub order_id: Uuid,
    /// The order's name at the packer.
    pub order_ref: String,
    /// Who gets it.
    pub ship_name: Option<String>,
    /// His telephone, for the courier.
    pub ship_phone: Option<String>,
    /// Where it goes.
    pub ship_address1: Option<String>,
    /// The second line of it.
    pub ship_address2: Option<String>,
    /// The town.
    pub ship_city: Option<String>,
    /// The postcode.
    pub ship_postcode: Option<String>,
    /// The country.
    pub ship_country: Option<String>,
    /// The product; none when nothing of the order is allocated.
    pub sku: Option<String>,
    /// The batch that is to be taken; none when it may not be sent.
    pub batch_code: Option<String>,
    /// Units of it.
    pub quantity: Option<i64>,
    /// The box, as its packing was calculated.
    pub box_size: Option<String>,
    /// What keeps it cold.
    pub insulation: Option<String>,
    /// Packs of coolant.
    pub pcm_packs: Option<i16>,
    /// Whether a temperature logger goes with it.
    pub logger_required: Option<bool>,
    /// When it is to arrive.
    pub deliver_on: Option<NaiveDate>,
}

impl Line {
    /// Its fields, in the order of [`COLUMNS`].
    fn fields(&self) -> [String; COLUMNS.len()] {
        let text = |field: &Option<String>| field.as_deref().unwrap_or_default().trim().to_owned();
        [
            self.order_ref.clone(),
            text(&self.ship_name),
            phone(self.ship_phone.as_deref().unwrap_or_default()),
            address(self.ship_address1.as_deref().unwrap_or_default()),
            address(self.ship_address2.as_deref().unwrap_or_default()),
            text(&self.ship_city),
            text(&self.ship_postcode),
            text(&self.ship_country),
            text(&self.sku),
            text(&self.batch_code),
            self.quantity.map(|units| units.to_string()).unwrap_or_default(),
            text(&self.box_size),
            text(&self.insulation),
            self.pcm_packs.map(|packs| packs.to_string()).unwrap_or_default(),
            self.logger_required.map(|wanted| if wanted { "yes" } else { "no" }.to_owned()).unwrap_or_default(),
            self.deliver_on.map(|day| day.to_string()).unwrap_or_default(),
        ]
    }
}

/// Said of food whose batch the database does not name.
const BARRED: &str = "is set aside from a batch that is not released or expires before the parcel arrives";

/// Why the line may not be written, if so.
fn refusal(fields: &[String; COLUMNS.len()]) -> Option<String> {
    COLUMNS.iter().zip(fields).find_map(|(column, field)| match field.is_empty() && REQUIRED.contains(column) {
        true if *column == "batch_code" => Some(format!("sku {} {BARRED}", fields[SKU])),
        true => Some(format!("{column} is missing")),
        false => fault_of(field).map(|fault| format!("{column} {fault}")),
    })
}

/// The lines of a file, as `export_outbox.csv_data` keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The fields of each line.
    pub rows: Vec<Vec<String>>,
}

/// What of some lines can be written, and whose orders a person must look at.
#[derive(Debug, Default)]
pub struct Sorted {
    /// The fields of each line that is sound.
    pub rows: Vec<Vec<String>>,
    /// The orders of the file, by id, each with its name there.
    pub orders: BTreeMap<Uuid, String>,
    /// Orders that stay out of it, and why. An order is in the file whole or not at all.
    pub held: BTreeMap<Uuid, String>,
}

impl Sorted {
    /// Sorts lines; those that are sound stay in their order.
    pub fn of(lines: &[Line]) -> Self {
        let mut sorted = Self::default();
        for line in lines {
            if let Some(why) = refusal(&line.fields()) {
                sorted.held.entry(line.order_id).or_insert(why);
            }
        }
        for line in lines.iter().filter(|line| !sorted.held.contains_key(&line.order_id)) {
            sorted.orders.insert(line.order_id, line.order_ref.clone());
            sorted.rows.push(line.fields().into());
        }
        sorted
    }

    /// Its lines as a document of [`VERSION`].
    pub fn document(&self) -> Document {
        Document { columns: COLUMNS.map(str::to_owned).into(), rows: self.rows.clone() }
    }
}

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, which follows from its batch and version.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// This program does not write the version.
    #[error("this program does not write version {0} of the file")]
    Version(String),
    /// The lines do not all have as many fields.
    #[error("the file cannot be written: {0}")]
    Csv(#[from] csv::Error),
    /// The bytes are not those that were announced.
    #[error("the file would have the hash {found} and not {expected}, which it was made with")]
    Hash {
        /// What was announced.
        expected: String,
        /// What they are.
        found: String,
    },
}

/// The hash of a file, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

impl File {
    /// Writes a batch's file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn write(batch_id: &str, version: &str, document: &Document) -> Result<Self, FileError> {
        if version != VERSION {
            return Err(FileError::Version(version.to_owned()));
        }
        let mut writer =
            WriterBuilder::new().terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary).flexible(false).from_writer(Vec::new());
        writer.write_record(&document.columns)?;
        for row in &document.rows {
            writer.write_record(row)?;
        }
        let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
        let sha256 = sha256(&bytes);
        Ok(Self { name: format!("{batch_id}_{version}.csv"), bytes, sha256 })
    }

    /// The same file, if it has this hash.
    ///
    /// # Errors
    /// [`FileError::Hash`].
    pub fn with_hash(self, expected: &str) -> Result<Self, FileError> {
        if self.sha256 == expected { Ok(self) } else { Err(FileError::Hash { expected: expected.to_owned(), found: self.sha256 }) }
    }
}

#[cfg(test)]
mod tests;
