//! Where parcels go, and whether two systems mean the same place.

use serde::{Deserialize, Serialize};

/// An address with Shopify's names; what is empty is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// House and street.
    pub address1: Option<String>,
    /// What else finds the door.
    pub address2: Option<String>,
    /// The town.
    pub city: Option<String>,
    /// The region, by name or code: each system has its own words for it.
    pub province: Option<String>,
    /// The postcode.
    pub zip: Option<String>,
    /// The country, as ISO 3166's two letters.
    pub country_code: Option<String>,
}

/// The countries of the United Kingdom, as people write them and as Shopify's codes are.
const PROVINCES: [(&str, &str); 4] = [("england", "ENG"), ("scotland", "SCT"), ("wales", "WLS"), ("northern ireland", "NIR")];

impl Address {
    /// Whether both are one place, however they are written. Regions are not compared: a postcode says more, and systems
    /// disagree about them.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let texts = |address: &Self| [&address.address1, &address.address2, &address.city].map(|text| words(text.as_deref()));
        let countries = (words(self.country_code.as_deref()), words(other.country_code.as_deref()));
        let one_country = countries.0 == countries.1 || countries.0.is_empty() || countries.1.is_empty();
        texts(self) == texts(other) && self.outward_and_inward() == other.outward_and_inward() && one_country
    }

    /// Whether a parcel with one of them goes to the street of the other: the house and the postcode agree.
    pub fn is_same_door(&self, other: &Self) -> bool {
        words(self.address1.as_deref()) == words(other.address1.as_deref()) && self.outward_and_inward() == other.outward_and_inward()
    }

    /// Whether there is nothing to go by.
    pub fn is_empty(&self) -> bool {
        words(self.address1.as_deref()).is_empty() && self.outward_and_inward().is_empty()
    }

    /// Shopify's code of the region; none where it is not known.
    pub fn province_code(&self) -> Option<String> {
        let province = self.province.as_deref()?.trim();
        if (2..=3).contains(&province.len()) && province.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Some(province.into());
        }
        let name = words(Some(province));
        PROVINCES.iter().find(|(known, _)| *known == name).map(|(_, code)| (*code).into())
    }

    fn outward_and_inward(&self) -> String {
        self.zip.iter().flat_map(|zip| zip.chars()).filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    }
}

/// A text without what writers differ in: case, spaces, commas and full stops.
fn words(text: Option<&str>) -> String {
    let plain = text.unwrap_or_default().to_lowercase().replace([',', '.'], " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(line1: &str, line2: &str, zip: &str, country: &str) -> Address {
        let text = |text: &str| Some(text.to_owned());
        Address {
            address1: text(line1),
            address2: text(line2),
            city: text("York"),
            province: None,
            zip: text(zip),
            country_code: text(country),
        }
    }

    #[test]
    fn one_place_is_written_in_many_ways() {
        let home = address("1 High Street", "", "YO1 7EP", "GB");
        for same in [
            address(" 1  high street. ", "", "yo17ep", "gb"),
            Address { address2: None, ..home.clone() },
            Address { country_code: None, ..home.clone() },
            Address { province: Some("England".into()), ..home.clone() },
        ] {
            assert!(home.is_same_place(&same), "{same:?}");
        }
        for other in [
            address("11 High Street", "", "YO1 7EP", "GB"),
            address("1 High Street", "Flat 2", "YO1 7EP", "GB"),
            address("1 High Street", "", "YO17 7EP", "GB"),
            address("1 High Street", "", "YO1 7EP", "IE"),
            Address::default(),
        ] {
            assert!(!home.is_same_place(&other), "{other:?}");
        }
    }

    #[test]
    fn a_door_is_a_house_and_a_postcode() {
        let home = address("1 High Street", "", "YO1 7EP", "GB");
        assert!(home.is_same_door(&address("1 HIGH STREET", "Flat 2", "yo1  7ep", "")));
        assert!(!home.is_same_door(&address("1 High Street", "", "YO1 7EQ", "GB")));
        assert!(!home.is_empty() && address(" ", "Flat 2", "", "GB").is_empty());
    }

    #[test]
    fn regions_have_codes_only_where_they_are_known() {
        let code = |province: &str| Address { province: Some(province.into()), ..Address::default() }.province_code();
        assert_eq!(code("Scotland").as_deref(), Some("SCT"));
        assert_eq!(code("NIR").as_deref(), Some("NIR"));
        assert_eq!(code("Yorkshire"), None);
        assert_eq!(Address::default().province_code(), None);
    }
}
