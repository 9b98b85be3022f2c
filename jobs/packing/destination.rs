//! Where a parcel goes: whether we deliver there, how long it takes, whether it needs care.

use chrono::NaiveDate;

use super::postcode::Postcode;

/// A row of `allowed_delivery_areas` that is in force.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Area {
    /// Upper case, a whole part of a postcode.
    pub postcode_prefix: String,
    /// From when on we deliver there.
    pub enabled_from_date: Option<NaiveDate>,
    /// Hours on the way.
    pub typical_transit_hours: i32,
}

/// A row of `high_risk_postcodes` that is in force.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct HighRisk {
    /// Upper case, a whole part of a postcode.
    pub postcode_prefix: String,
    /// Its name.
    pub region_name: String,
    /// Hours on the way.
    pub typical_transit_hours: i32,
    /// What we do there: `no delivery`, or anything else, which is told to the packer.
    pub delivery_policy: String,
}

/// What the tables say of a postcode.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Whether there is any area in force: without one every place is delivered to.
    pub restricted: bool,
    /// Areas that may mean it.
    pub areas: Vec<Area>,
    /// High risks that may mean it.
    pub high_risks: Vec<HighRisk>,
}

/// A place that we deliver to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Hours on the way; none where no table says them.
    pub transit_hours: Option<u16>,
    /// Region and policy of a place that needs care.
    pub care: Option<(String, String)>,
}

/// Finds out whether we deliver to a postcode on a day, and how. Of rows that mean it the one with the longest prefix holds.
///
/// # Errors
/// Why we do not deliver there.
pub fn destination(postcode: &Postcode, places: &Places, day: NaiveDate) -> Result<Destination, String> {
    let prefixes = postcode.prefixes();
    let area = longest(&prefixes, &places.areas, |area| &area.postcode_prefix);
    if places.restricted {
        let area = area.ok_or_else(|| format!("we do not deliver to {} yet", prefixes[1]))?;
        if let Some(from) = area.enabled_from_date.filter(|from| *from > day) {
            return Err(format!("we deliver to {} from {from} on", area.postcode_prefix));
        }
    }
    let risk = longest(&prefixes, &places.high_risks, |risk| &risk.postcode_prefix);
    if let Some(risk) = risk.filter(|risk| refuses(&risk.delivery_policy)) {
        return Err(format!("we do not deliver to {} ({})", risk.region_name, risk.postcode_prefix));
    }
    // The longer way is the safer guess where two tables know it.
    let hours = [area.map(|area| area.typical_transit_hours), risk.map(|risk| risk.typical_transit_hours)].into_iter().flatten().max();
    Ok(Destination {
        transit_hours: hours.map(|hours| u16::try_from(hours.max(1)).unwrap_or(u16::MAX)),
        care: risk.map(|risk| (risk.region_name.clone(), risk.delivery_policy.clone())),
    })
}

fn longest<'a, T>(prefixes: &[String], rows: &'a [T], prefix: impl Fn(&T) -> &String) -> Option<&'a T> {
    prefixes.iter().find_map(|wanted| rows.iter().find(|row| prefix(row) == wanted))
}

/// However it is spelled.
fn refuses(policy: &str) -> bool {
    let words: String = policy.to_lowercase().replace(['_', '-'], " ");
    matches!(words.trim(), "no delivery" | "none" | "blocked" | "do not deliver")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(prefix: &str, hours: i32) -> Area {
        Area { postcode_prefix: prefix.into(), enabled_from_date: None, typical_transit_hours: hours }
    }

    fn risk(prefix: &str, hours: i32, policy: &str) -> HighRisk {
        HighRisk { postcode_prefix: prefix.into(), region_name: "far".into(), typical_transit_hours: hours, delivery_policy: policy.into() }
    }

    fn find(postcode: &str, places: &Places) -> Result<Destination, String> {
        let day = "2026-03-02".parse().expect("a date");
        destination(&Postcode::parse(postcode).expect("a postcode"), places, day)
    }

    fn hours(postcode: &str, places: &Places) -> Option<u16> {
        find(postcode, places).unwrap_or_else(|error| panic!("{postcode}: {error}")).transit_hours
    }

    #[test]
    fn the_longest_prefix_holds_and_po1_is_not_po10() {
        let places = Places {
            restricted: true,
            areas: vec![area("PO", 24), area("PO1", 36), area("PO10", 48), area("PO10 8", 72)],
            ..Places::default()
        };
        for (postcode, wanted) in [("PO10 8AB", 72), ("PO10 9AB", 48), ("PO1 8AB", 36), ("PO11 8AB", 24), ("PO9 1AA", 24)] {
            assert_eq!(hours(postcode, &places), Some(wanted), "{postcode}");
        }
    }

    #[test]
    fn we_deliver_where_an_area_is_allowed_from_its_day_on() {
        let mut places = Places { restricted: true, areas: vec![area("E", 24)], ..Places::default() };
        assert_eq!(hours("E1 6AN", &places), Some(24));
        assert!(find("EC1A 1BB", &places).is_err_and(|words| words == "we do not deliver to EC1A yet"));
        places.areas[0].enabled_from_date = "2026-03-02".parse().ok();
        assert!(find("E1 6AN", &places).is_ok());
        places.areas[0].enabled_from_date = "2026-03-03".parse().ok();
        assert!(find("E1 6AN", &places).is_err_and(|words| words == "we deliver to E from 2026-03-03 on"));
        let free = Places::default();
        assert_eq!(hours("EC1A 1BB", &free), None, "no area is configured, so none is refused");
    }

    #[test]
    fn a_place_of_high_risk_is_slower_is_told_or_is_not_delivered_to() {
        let places = Places {
            areas: vec![area("IV", 24), area("ZE", 24)],
            high_risks: vec![risk("IV", 48, "extra coolant"), risk("IV51", 72, "No_Delivery"), risk("ZE", 12, "by ferry")],
            ..Places::default()
        };
        assert_eq!(
            find("IV1 1AA", &places),
            Ok(Destination { transit_hours: Some(48), care: Some(("far".into(), "extra coolant".into())) })
        );
        assert!(find("IV51 9AA", &places).is_err_and(|words| words == "we do not deliver to far (IV51)"));
        assert_eq!(hours("ZE1 0AA", &places), Some(24), "the slower of the two");
        assert_eq!(find("SW1A 1AA", &places).map(|found| found.care), Ok(None));
    }
}
