//! Postcodes, and the prefixes by which places are looked up.

use super::areas;

/// Letters that no inward code has.
const NOT_INWARD: &[u8] = b"CIKMOV";

/// A postcode of an area that exists. Nobody has asked whether somebody lives there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postcode {
    outward: String,
    inward: String,
}

impl Postcode {
    /// Reads one however it is spaced and cased; none when it is no postcode.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect();
        if !letters.is_ascii() || !(5..=7).contains(&letters.len()) {
            return None;
        }
        let (outward, inward) = letters.split_at(letters.len() - 3);
        let [digit, one, two] = inward.as_bytes() else { return None };
        let ends = |letter: &u8| letter.is_ascii_uppercase() && !NOT_INWARD.contains(letter);
        let postcode = Self { outward: outward.into(), inward: inward.into() };
        let fits = digit.is_ascii_digit() && ends(one) && ends(two) && is_outward(outward.as_bytes());
        (fits && areas::place(postcode.area()).is_some()).then_some(postcode)
    }

    /// Its area: `SW` of SW1A 1AA.
    pub fn area(&self) -> &str {
        let end = self.outward.find(|c: char| c.is_ascii_digit()).unwrap_or(self.outward.len());
        &self.outward[..end]
    }

    /// The prefixes that mean it, the longest first: sector, outward code, district without its letter, area. PO1 is none of
    /// PO10 8AB's.
    pub fn prefixes(&self) -> Vec<String> {
        let mut prefixes = vec![format!("{} {}", self.outward, &self.inward[..1]), self.outward.clone()];
        if self.outward.ends_with(|c: char| c.is_ascii_uppercase()) {
            prefixes.push(self.outward[..self.outward.len() - 1].into());
        }
        prefixes.push(self.area().into());
        prefixes
    }
}

impl std::fmt::Display for Postcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.outward, self.inward)
    }
}

/// A9, A99, A9A, AA9, AA99, AA9A.
fn is_outward(code: &[u8]) -> bool {
    let letters = code.iter().take_while(|c| c.is_ascii_uppercase()).count();
    let district = &code[letters..];
    let ends = |c: &u8| c.is_ascii_digit() || c.is_ascii_uppercase();
    (1..=2).contains(&letters)
        && match district {
            [digit] => digit.is_ascii_digit(),
            [digit, last] => digit.is_ascii_digit() && ends(last),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(text: &str) -> Vec<String> {
        Postcode::parse(text).unwrap_or_else(|| panic!("{text} is a postcode")).prefixes()
    }

    #[test]
    fn postcodes_are_read_however_they_are_written() {
        for (written, read) in [
            ("sw1a1aa", "SW1A 1AA"),
            (" SW1A  1AA ", "SW1A 1AA"),
            ("m1\u{a0}1ae", "M1 1AE"),
            ("B33 8TH", "B33 8TH"),
            ("CR2 6XH", "CR2 6XH"),
            ("DN55 1PT", "DN55 1PT"),
            ("W1A 0AX", "W1A 0AX"),
            ("EC1A 1BB", "EC1A 1BB"),
            ("BT9 5AB", "BT9 5AB"),
        ] {
            assert_eq!(Postcode::parse(written).map(|postcode| postcode.to_string()).as_deref(), Some(read), "{written:?}");
        }
    }

    #[test]
    fn what_is_no_postcode_is_none() {
        for text in [
            "",
            " ",
            "SW1A",
            "1AA",
            "SW1A 1A",
            "SW1A 1AAA",
            "SW1A-1AA",
            "XX1 1AA",
            "75008",
            "D02 AF30",
            "SW 1AA",
            "SW1A 1AC",
            "SW1A IAA",
            "SWA1 1AA",
            "S1WA 1AA",
            "ＳＷ１ 1AA",
            "SW123 1AA",
            "1SW 1AA",
            "null",
            "BFPO 61",
            "GIR 0AA",
            "M1 1A\0",
        ] {
            assert_eq!(Postcode::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn prefixes_are_whole_parts_of_the_code_the_longest_first() {
        assert_eq!(prefixes("PO10 8AB"), ["PO10 8", "PO10", "PO"], "PO1 is another district");
        assert_eq!(prefixes("PO1 0AB"), ["PO1 0", "PO1", "PO"]);
        assert_eq!(prefixes("SW1A 1AA"), ["SW1A 1", "SW1A", "SW1", "SW"]);
        assert_eq!(prefixes("E1 6AN"), ["E1 6", "E1", "E"], "EC is another area");
    }
}
