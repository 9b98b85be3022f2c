//! The bytes of a file, and which orders are in it.

use super::*;

fn line(order: u128, order_ref: &str) -> Line {
    Line {
        order_id: Uuid::from_u128(order),
        order_ref: order_ref.into(),
        ship_name: Some("Ann \"Annie\" Łuczak".into()),
        ship_phone: Some("+44 7700 900123".into()),
        ship_address1: Some("Flat 2, 1 High St".into()),
        ship_postcode: Some("PO1 2AB".into()),
        ship_country: Some("GB".into()),
        sku: Some("BEEF-12".into()),
        batch_code: Some("PR-260301-001".into()),
        quantity: Some(4),
        pcm_packs: Some(3),
        logger_required: Some(false),
        deliver_on: NaiveDate::from_ymd_opt(2026, 3, 31),
        ..Line::default()
    }
}

/// Version 1, to the byte: a file that is sent again must have the hash that it had.
#[test]
fn the_bytes_of_version_1_never_change() {
    let sorted = Sorted::of(&[line(1, "PR#1001"), Line { sku: Some("LAMB".into()), ship_phone: None, ..line(1, "PR#1001") }]);
    let file = File::write("EXP-20260329", "v1", &sorted.document()).expect("the lines are sound");
    assert_eq!(
        String::from_utf8(file.bytes).as_deref(),
        Ok(concat!(
            "order_ref,ship_name,ship_phone,ship_address1,ship_address2,ship_city,ship_postcode,ship_country,sku,batch_code,",
            "quantity,box_size,insulation,pcm_packs,logger,deliver_on\r\n",
            "PR#1001,\"Ann \"\"Annie\"\" Łuczak\",00447700900123,\"Flat 2, 1 High St\",,,PO1 2AB,GB,BEEF-12,PR-260301-001,4,,,3,no,2026-03-31\r\n",
            "PR#1001,\"Ann \"\"Annie\"\" Łuczak\",,\"Flat 2, 1 High St\",,,PO1 2AB,GB,LAMB,PR-260301-001,4,,,3,no,2026-03-31\r\n",
        ))
    );
    assert_eq!(file.name, "EXP-20260329_v1.csv");
    assert_eq!(file.sha256, "2d7ef634b353145ac85437826a057f5ee8a468d2af514b78d898e61026140b2b");
}

#[test]
fn what_is_kept_as_json_gives_the_same_file() {
    let document = Sorted::of(&[line(1, "PR#1001"), line(2, "PR#1002")]).document();
    let kept: Document = serde_json::from_str(&serde_json::to_string(&document).expect("it is JSON")).expect("it is a document");
    let write = |document| File::write("EXP-20260329", VERSION, document).expect("the lines are sound");
    let file = write(&document);
    assert_eq!(write(&kept), file);
    assert_eq!(file.clone().with_hash(&file.sha256).ok(), Some(file.clone()));
    assert!(file.with_hash("ab").is_err_and(|error| error.to_string().contains("and not ab")));
}

/// Whatever a field holds, a reader gets the same fields back.
#[test]
fn every_field_is_read_back_as_it_was() {
    let hostile = ["", " ", "\"", "\"\"", ",", "a,b", "a\"b", "é犬\u{1f415}", "'", ";", "\\", "a\nb", "\r\n", "#1"];
    let columns = ["a", "b", "c"].map(str::to_owned).to_vec();
    for first in hostile {
        for second in hostile {
            let rows = vec![vec![first.to_owned(), second.to_owned(), "end".to_owned()]];
            let file = File::write("b", VERSION, &Document { columns: columns.clone(), rows: rows.clone() }).expect("it can be written");
            let mut reader = csv::Reader::from_reader(&file.bytes[..]);
            let read: Vec<Vec<String>> =
                reader.records().map(|row| row.expect("it can be read").iter().map(str::to_owned).collect()).collect();
            assert_eq!(read, rows);
        }
    }
}

#[test]
fn an_order_with_a_field_that_is_wrong_stays_out_whole_and_says_why() {
    let wrong: [(Line, &str); 7] = [
        (Line { ship_name: Some("=cmd()".into()), ..line(2, "PR#1002") }, "ship_name begins like a formula, which a spreadsheet would run"),
        (
            Line { ship_address2: Some("a\nb".into()), ..line(2, "PR#1002") },
            "ship_address2 holds a line break or another control character",
        ),
        (Line { ship_postcode: Some("  ".into()), ..line(2, "PR#1002") }, "ship_postcode is missing"),
        (Line { sku: None, batch_code: None, quantity: None, ..line(2, "PR#1002") }, "sku is missing"),
        (
            Line { batch_code: None, ..line(2, "PR#1002") },
            "sku BEEF-12 is set aside from a batch that is not released or expires before the parcel arrives",
        ),
        (Line { ship_city: Some("x".repeat(201)), ..line(2, "PR#1002") }, "ship_city has more than 200 characters"),
        (
            Line { ship_phone: Some("+call".into()), ..line(2, "PR#1002") },
            "ship_phone begins like a formula, which a spreadsheet would run",
        ),
    ];
    for (wrong, why) in wrong {
        let sorted = Sorted::of(&[line(1, "PR#1001"), line(2, "PR#1002"), wrong, line(3, "PR#1003")]);
        assert_eq!(sorted.held, BTreeMap::from([(Uuid::from_u128(2), why.to_owned())]));
        assert_eq!(sorted.orders.values().map(String::as_str).collect::<Vec<_>>(), ["PR#1001", "PR#1003"]);
        assert_eq!(sorted.rows.len(), 2);
    }
}

#[test]
fn another_version_is_not_guessed_at() {
    let document = Sorted::of(&[line(1, "PR#1001")]).document();
    assert!(File::write("b", "v2", &document).is_err_and(|error| error.to_string().contains("version v2")));
}
