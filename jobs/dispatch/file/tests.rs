//! What is read out of files as packers write them, and out of what is none.

use super::*;

const ROW: &str = "PR#1001,15501234567890,2026-03-29 14:05:00";

fn csv(rows: &str) -> Result<Vec<Row>, Refusal> {
    parse(format!("order_ref,tracking_no,dispatched_at\n{rows}").as_bytes())
}

fn faults(rows: &str) -> Vec<Option<String>> {
    csv(rows).expect("it is a file").into_iter().map(|row| row.fault).collect()
}

#[test]
fn a_row_is_read_by_the_names_of_its_columns() {
    let with_header = |header: &str, row: &str| parse(format!("{header}\r\n{row}\r\n").as_bytes()).expect("it is a file").remove(0);
    let plain = with_header("order_ref,tracking_no,dispatched_at,temperature_c", &format!("{ROW},-18.5"));
    assert_eq!((plain.order_ref.as_str(), &plain.fault, plain.said["temperature_c"].as_str()), ("PR#1001", &None, "-18.5"));
    for (header, row) in [
        ("Tracking No,Temperature-C,DISPATCHED_AT,Order Ref", "15501234567890,-18.5,2026-03-29 14:05:00,PR#1001"),
        ("\u{feff}order_ref;tracking_no;dispatched_at;temperature_c", "PR#1001;15501234567890;2026-03-29 14:05:00;-18.5"),
        ("order_ref,tracking_no,dispatched_at,temperature_c,courier", "\"PR#1001\", 15501234567890 ,2026-03-29 14:05:00,-18.5,"),
    ] {
        assert_eq!(with_header(header, row), plain, "{header}");
    }
    let json = r#"{"rows":[{"order_ref":" PR#1001 ","tracking_no":15501234567890,"dispatched_at":"2026-03-29 14:05:00","temperature_c":-18.5,"courier":null}]}"#;
    assert_eq!(parse(json.as_bytes()), Ok(vec![plain.clone()]));
    let list = json.trim_start_matches("{\"rows\":").trim_end_matches('}');
    assert_eq!(parse(list.as_bytes()), Ok(vec![plain]));
}

#[test]
fn a_row_that_is_wrong_says_why_and_stops_no_other() {
    let wrong = [
        (",1,2026-03-29 14:05:00", "order_ref is missing"),
        ("PR#1,,2026-03-29 14:05:00", "tracking_no is missing"),
        ("PR#1,1", "dispatched_at is missing"),
        ("PR#1,1,soon", "dispatched_at: expected a time, such as 2026-03-29 14:05:00"),
        ("PR#1,1,2026-02-30 14:05:00", "dispatched_at: expected a time, such as 2026-03-29 14:05:00"),
        ("PR#1,1,2026-03-29 14:05:00,4", "it has 4 fields, and the header has 3"),
        ("PR#1,\"1\n2\",2026-03-29 14:05:00", "tracking_no: a line break or another control character"),
        ("PR#1\0,1,2026-03-29 14:05:00", "order_ref: a line break or another control character"),
    ];
    for (row, why) in wrong {
        assert_eq!(faults(&format!("{ROW}\n{row}\n{ROW}\n")), [None, Some(why.to_owned()), None], "{row:?}");
    }
    assert_eq!(faults(&format!("{},1,2026-03-29 14:05:00", "x".repeat(201))), [Some("order_ref: more than 200 bytes".to_owned())]);
    for (temperature, coolant, why) in [
        ("warm", "1", "temperature_c: expected a number from -90 to 60"),
        ("NaN", "1", "temperature_c: expected a number from -90 to 60"),
        ("1e1", "1", "temperature_c: expected a number from -90 to 60"),
        ("-300", "1", "temperature_c: expected a number from -90 to 60"),
        ("-18", "-1", "coolant_units: expected a number from 0 to 1000"),
        ("-18", "1.5", "coolant_units: expected a whole number"),
    ] {
        let file = format!("order_ref,tracking_no,dispatched_at,temperature_c,coolant_units\n{ROW},{temperature},{coolant}");
        assert_eq!(parse(file.as_bytes()).expect("a file")[0].fault.as_deref(), Some(why));
    }
    let json = r#"[1, null, "x", {"order_ref": {"a": 1}}, {"order_ref": "a\u0000b", "tracking_no": 1, "dispatched_at": "x"}]"#;
    let read = parse(json.as_bytes()).expect("a list");
    assert!(read.iter().all(|row| row.fault.is_some()) && read[4].order_ref == "a\u{fffd}b", "{read:?}");
}

#[test]
fn a_row_may_say_that_an_order_did_not_leave() {
    let read = |status: &str, rest: &str| {
        let file = format!("order_ref,tracking_no,dispatched_at,status\nPR#1,{rest},{status}\n");
        parse(file.as_bytes()).expect("a file").remove(0)
    };
    for written in ["not_sent", "Not sent", "NOT-SENT"] {
        let row = read(written, ",");
        assert_eq!((row.fault, row.said["status"].as_str(), row.order_ref.as_str()), (None, "not_sent", "PR#1"), "{written}");
    }
    assert_eq!(read("not_sent", "1,").fault.as_deref(), Some("status: not_sent, and tracking_no says that it left"));
    assert_eq!(read("cancelled", ",").fault.as_deref(), Some("tracking_no is missing"), "another word says nothing");
    assert_eq!(read("sent", "1,2026-03-29 14:05:00").fault, None);
    let nameless = parse(b"order_ref,tracking_no,dispatched_at,status\n,,,not_sent\n").expect("a file").remove(0);
    assert_eq!(nameless.fault.as_deref(), Some("order_ref is missing"));
}

#[test]
fn times_have_a_zone_or_are_londons() {
    for time in
        ["2026-03-29T14:05:00Z", "2026-03-29T14:05:00.123+01:00", "2026-03-29 14:05", "2026-03-29T14:05:59", "2026-03-29 14:05:00+01:00"]
    {
        assert_eq!(faults(&format!("PR#1,1,{time}")), [None], "{time}");
    }
}

#[test]
fn what_is_no_such_file_is_refused_whole() {
    let refused = |bytes: &[u8]| parse(bytes).expect_err("it is none").0;
    assert_eq!(refused(b"order_ref\xff"), "the file is not UTF-8 from byte 9 on");
    assert_eq!(refused(b""), "the file has no column order_ref");
    assert_eq!(refused(b"order_ref,tracking_no\n1,2"), "the file has no column dispatched_at");
    assert_eq!(refused(b"order_ref,tracking_no,dispatched_at,Order Ref\n"), "the file has two columns \"order_ref\"");
    assert!(refused(b"{\"rows\": 1}").starts_with("the file has no rows"));
    assert!(refused(b"[{]").starts_with("the file is no JSON"));
    assert!(refused(b"PK\x03\x04 a spreadsheet").starts_with("the file has no column"));
    let long = format!("{ROW}\n").repeat(10_001);
    assert_eq!(csv(&long), Err(Refusal("the file has 10001 rows, and 10000 are taken: divide it".into())));
    assert_eq!(csv(""), Ok(Vec::new()));
    assert_eq!(csv("\n,,\n\n"), Ok(Vec::new()), "rows of nothing, as spreadsheets leave them");
}

/// Nothing that anybody can send makes the reader panic, and what it gives can be stored.
#[test]
fn a_damaged_file_is_read_or_refused() {
    let whole = format!("order_ref,tracking_no,dispatched_at,courier\r\n{ROW},\"D\"\"PD\"\r\nPR#2,2,2026-03-29T14:05:00Z,é\r\n");
    for at in 0..whole.len() {
        for byte in [0, b'"', b',', b'\n', b'\r', b'[', 0xff, b';'] {
            let mut damaged = whole.clone().into_bytes();
            damaged[at] = byte;
            for bytes in [&damaged[..], &damaged[..at]] {
                let Ok(rows) = parse(bytes) else { continue };
                let texts = || rows.iter().flat_map(|row| row.said.iter()).flat_map(|(name, value)| [name, value]);
                assert!(texts().all(|text| !text.contains(char::is_control)), "{at} {byte}");
                assert!(rows.iter().all(|row| {
                    let is_not_sent = row.said.get("status").is_some_and(|status| status == NOT_SENT);
                    row.fault.is_some() || is_not_sent || REQUIRED.iter().all(|name| row.said.contains_key(*name))
                }));
            }
        }
    }
}
