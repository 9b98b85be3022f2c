//! Where the database differs from the registry on purpose: `tests/registry_exceptions.txt`.

use std::collections::BTreeMap;

/// Items, each with its reason. An item is a table (its primary key), or a table and a foreign key's column or an index.
pub fn read() -> BTreeMap<String, String> {
    parse(include_str!("../registry_exceptions.txt")).unwrap_or_else(|error| panic!("tests/registry_exceptions.txt: {error}"))
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut exceptions = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (item, reason) = line.split_once(": ").ok_or_else(|| format!("'{line}' gives no reason"))?;
        if reason.trim().is_empty() {
            return Err(format!("'{line}' gives no reason"));
        }
        if exceptions.insert(item.to_owned(), reason.to_owned()).is_some() {
            return Err(format!("{item} stands there twice"));
        }
    }
    Ok(exceptions)
}

#[test]
fn an_exception_without_a_reason_is_refused() {
    assert!(parse("orders.idx_orders_created_at_desc:").is_err());
    assert!(parse("orders.idx_orders_created_at_desc:   ").is_err());
    assert!(parse("a.b: because\na.b: again").is_err());
    assert_eq!(parse("# a comment\n\na.b: because").map(|found| found.len()), Ok(1));
}
