//! What may stand in a field of a file for machines: text that means the same to whoever opens it.
//!
//! A spreadsheet runs a field that begins like a formula. Escaping it would change what the packer's machine reads, so such a
//! field is refused instead, and a person looks at its order.

/// The longest field, in characters.
const LIMIT: usize = 200;
/// How a formula begins, as spreadsheets of the East write it too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// What is wrong with a field, as the end of a sentence that names it; none when it may be written.
pub(super) fn fault_of(text: &str) -> Option<&'static str> {
    if text.chars().count() > LIMIT {
        return Some("has more than 200 characters");
    }
    // A line break inside quotes is sound, and half of all readers break there all the same.
    if text.chars().any(char::is_control) {
        return Some("holds a line break or another control character");
    }
    // Where a semicolon divides fields, what follows one is a field too.
    text.split(';').any(is_formula).then_some("begins like a formula, which a spreadsheet would run")
}

/// Whether it begins a formula, after what a reader does not see.
fn is_formula(part: &str) -> bool {
    let unseen = |letter: char| letter.is_whitespace() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '"' | '\'');
    part.trim_start_matches(unseen).starts_with(FORMULA)
}

/// A telephone number without what begins like a formula: digits, with 00 for the plus. Anything else stays as it is.
pub(super) fn phone(written: &str) -> String {
    let written = written.trim();
    let (prefix, rest) = written.strip_prefix('+').map_or(("", written), |rest| ("00", rest));
    if rest.is_empty() || !rest.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, ' ' | '-' | '.' | '(' | ')')) {
        return written.to_owned();
    }
    prefix.chars().chain(rest.chars().filter(char::is_ascii_digit)).collect()
}

/// A line of an address; dashes alone, as people write them into a field that must not be empty, are nothing.
pub(super) fn address(written: &str) -> String {
    let is_dash = |letter: char| matches!(letter, '-' | '－' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let written = written.trim();
    if written.chars().all(|letter| is_dash(letter) || letter.is_whitespace()) { String::new() } else { written.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_refused() {
        let formulas = [
            "=1+1",
            "+44 7700",
            "-2",
            "@sum(A1)",
            " =1",
            "\u{feff}=1",
            "\u{200b}=1",
            "\u{a0}+1",
            "\"=1\"",
            "'=1",
            "＝1",
            "＠x",
            "Flat 1;=cmd|' /C calc'!A0",
            "a; @b",
        ];
        for text in formulas {
            assert!(fault_of(text).is_some_and(|fault| fault.contains("formula")), "{text:?}");
        }
        for text in ["a\tb", "\t=1", "a\r\n=1", "a\nb", "a\0b", "\u{85}", "\r"] {
            assert!(fault_of(text).is_some_and(|fault| fault.contains("control")), "{text:?}");
        }
        assert!(fault_of(&"é".repeat(201)).is_some_and(|fault| fault.contains("200")));
    }

    #[test]
    fn what_people_write_is_taken() {
        let texts = [
            "",
            "Ann O'Neill",
            "Flat 2, 1-3 High St",
            "a=b",
            "12 + 13 Mill Lane",
            "\"The Barn\"",
            "Łódź",
            "c/o Bob; Flat 2",
            "#1001",
            "犬",
        ];
        for text in texts {
            assert_eq!(fault_of(text), None, "{text:?}");
        }
        assert_eq!(fault_of(&"é".repeat(200)), None);
    }

    #[test]
    fn an_address_line_of_dashes_is_empty() {
        for written in ["", " ", "-", "--", " - - ", "–", "—", "－"] {
            assert_eq!(address(written), "", "{written:?}");
        }
        for (written, expected) in [(" 1-3 High St ", "1-3 High St"), ("-2", "-2"), ("- 1", "- 1")] {
            assert_eq!(address(written), expected);
        }
    }

    #[test]
    fn a_telephone_number_is_digits() {
        for (written, expected) in [
            ("+44 7700 900123", "00447700900123"),
            (" (020) 7946-0018 ", "02079460018"),
            ("07700.900.123", "07700900123"),
            ("", ""),
            ("+", "+"),
            ("07700 900123 ext 4", "07700 900123 ext 4"),
            ("=1+1", "=1+1"),
        ] {
            assert_eq!(phone(written), expected, "{written}");
        }
    }
}
