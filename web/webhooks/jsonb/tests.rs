//! The check against cases that PostgreSQL 15 has judged.

use super::*;

/// Texts and whether `select $1::jsonb` takes them, as PostgreSQL 15 says.
const CASES: [(&str, bool); 128] = [
    ("null", true),
    ("true", true),
    ("false", true),
    ("0", true),
    ("-0", true),
    ("1", true),
    ("-1", true),
    ("12", true),
    ("0.5", true),
    ("-0.5", true),
    ("1.0e5", true),
    ("1E+5", true),
    ("1e-5", true),
    ("123456789012345678901234567890", true),
    ("820982911946154508", true),
    ("1e400", true),
    ("-1e400", true),
    ("1e131071", true),
    ("1e131072", false),
    ("1e-16383", true),
    ("1e-16384", false),
    ("0e999999999", true),
    ("0e-16383", true),
    ("0e-16384", false),
    ("0e1073741822", true),
    ("0e1073741823", false),
    ("0.1e131072", true),
    ("0.1e131073", false),
    ("0.00001e131076", true),
    ("0.00001e131077", false),
    ("100e131069", true),
    ("100e131070", false),
    ("1.5e-16382", true),
    ("1.5e-16383", false),
    ("01", false),
    ("-", false),
    ("+1", false),
    (".5", false),
    ("1.", false),
    ("1.e5", false),
    ("1e", false),
    ("1e+", false),
    ("0x10", false),
    ("1_000", false),
    ("NaN", false),
    ("Infinity", false),
    ("-Infinity", false),
    ("1a", false),
    (r#""""#, true),
    (r#""a""#, true),
    (r#""\"""#, true),
    (r#""\/""#, true),
    (r#""\a""#, false),
    (r#""\u00e9""#, true),
    (r#""\u00E9""#, true),
    (r#""\u00""#, false),
    (r#""\u00zz""#, false),
    (r#""\u0000""#, false),
    (r#""a\u0000b""#, false),
    (r#""\\u0000""#, true),
    (r#""\ud83d\ude00""#, true),
    (r#""\uD83D\uDE00""#, true),
    (r#""\ud83d""#, false),
    (r#""\ude00""#, false),
    (r#""\ud83d\ud83d""#, false),
    (r#""\ud83dx""#, false),
    (r#""\ud83d\n""#, false),
    (r#""\ude00\ud83d""#, false),
    ("\"a\tb\"", false),
    ("\"a\nb\"", false),
    ("\"a\x1fb\"", false),
    ("\"a\x7fb\"", true),
    (r#""é 😀 O’Brien""#, true),
    ("'a'", false),
    (r#""a"#, false),
    (r#"a""#, false),
    (r#"""#, false),
    ("[]", true),
    ("[ ]", true),
    ("[1]", true),
    ("[1,2]", true),
    ("[1 2]", false),
    ("[1,]", false),
    ("[,1]", false),
    ("[", false),
    ("[1", false),
    ("]", false),
    ("[]]", false),
    ("[[]]", true),
    ("[[],{}]", true),
    ("[}", false),
    ("{}", true),
    ("{ }", true),
    (r#"{"a":1}"#, true),
    (r#"{"a":1,"a":2}"#, true),
    (r#"{"a" : 1 , "b" : [ ] }"#, true),
    (r#"{"a"}"#, false),
    (r#"{"a":}"#, false),
    (r#"{"a":1,}"#, false),
    ("{a:1}", false),
    ("{1:1}", false),
    ("{null:1}", false),
    (r#"{"a":1"#, false),
    (r#"{"\u0000":1}"#, false),
    ("{", false),
    ("}", false),
    ("{]", false),
    (r#"{"a":1]"#, false),
    ("[1}", false),
    ("", false),
    ("  ", false),
    (" 1 ", true),
    ("\t\r\n1", true),
    ("\x0b1", false),
    ("\x0c1", false),
    ("\u{a0}1", false),
    ("\u{feff}{}", false),
    ("1 2", false),
    ("{}{}", false),
    ("{} x", false),
    ("nul", false),
    ("nulll", false),
    ("True", false),
    ("TRUE", false),
    ("truefalse", false),
    ("// c", false),
    ("/* */1", false),
    ("undefined", false),
];

#[test]
fn the_check_agrees_with_postgres() {
    for (text, fits) in CASES {
        assert_eq!(check(text.as_bytes()).is_ok(), fits, "{text}");
    }
}

#[test]
fn numbers_end_where_numeric_ends() {
    let long = |len: usize| "9".repeat(len);
    let cases = [
        (long(131_072), true),
        (long(131_073), false),
        (format!("0.{}", long(16_383)), true),
        (format!("0.{}", long(16_384)), false),
        (format!("-{}e-16383", long(10)), true),
        (format!("-{}e-16384", long(10)), false),
        (format!("{}.5e1", long(131_071)), true),
        (format!("{}.5e2", long(131_071)), false),
        (format!("0.{}1e131072", "0".repeat(100)), true),
        (format!("1e{}", long(40)), false),
        (format!("1e-{}", long(40)), false),
    ];
    for (text, fits) in cases {
        let head: String = text.chars().take(20).collect();
        assert_eq!(check(text.as_bytes()).is_ok(), fits, "{head} of {}", text.len());
    }
}

#[test]
fn reasons_name_what_is_wrong_and_where() {
    let reason = |text: &[u8]| check(text).expect_err("it does not fit");
    assert_eq!(reason(b"\xff"), Unfit::NotUtf8);
    assert_eq!(reason(b""), Unfit::Malformed(0));
    assert_eq!(reason(b"[1,]"), Unfit::Malformed(3));
    assert_eq!(reason(br#"{"a":"\u0000"}"#), Unfit::Nul(6));
    assert_eq!(reason(br#"["\ud83d"]"#), Unfit::LoneSurrogate(2));
    assert_eq!(reason(b"[1e999999]"), Unfit::NumberRange(1));
    assert_eq!(reason(br#""\u0000""#).to_string(), r"the body contains the escape \u0000 (byte 1)");
}

#[test]
fn depth_is_bounded_without_recursion() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + &close.repeat(depth);
    assert!(check(nested("[", "]", DEPTH_LIMIT).as_bytes()).is_ok());
    let deep = nested("[", "]", DEPTH_LIMIT + 2);
    assert_eq!(check(deep.as_bytes()), Err(Unfit::TooDeep));
    let objects = "{\"a\":".repeat(200_000);
    assert_eq!(check(objects.as_bytes()), Err(Unfit::TooDeep));
}

/// What serde takes and jsonb does not is exactly what this module is for.
#[test]
fn text_that_fits_is_returned_unchanged() {
    let text = "{\"name\": \"Siân\",  \"total\": 1.10}";
    assert_eq!(check(text.as_bytes()), Ok(text));
}
