//! A JSON number and the range of PostgreSQL's `numeric`.

/// Most digits that `numeric` keeps before the decimal point.
const WHOLE_DIGITS: i64 = 131_072;

/// Most digits that `numeric` keeps after the decimal point.
const SCALE: i64 = 16_383;

/// Exponents from here on are refused by `numeric_in` whatever the digits are.
const EXPONENT_LIMIT: i64 = i32::MAX as i64 / 2;

/// One number as written.
pub struct Number {
    /// Length in bytes.
    pub len: usize,
    /// Place of the first digit that is not zero, counted from the point
    /// leftwards, before the exponent applies; `None` for a zero.
    first_place: Option<i64>,
    /// Digits written after the point.
    fraction_len: i64,
    exponent: i64,
}

impl Number {
    /// Reads the number that `text` begins with; `None` when it is malformed.
    pub fn read(text: &[u8]) -> Option<Self> {
        let minus = usize::from(text.first() == Some(&b'-'));
        let whole = digits(&text[minus..]);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let mut len = minus + whole.len();
        let mut fraction: &[u8] = &[];
        if text.get(len) == Some(&b'.') {
            fraction = digits(&text[len + 1..]);
            if fraction.is_empty() {
                return None;
            }
            len += 1 + fraction.len();
        }
        let (exponent, exponent_len) = exponent(&text[len..])?;
        Some(Self { len: len + exponent_len, first_place: first_place(whole, fraction), fraction_len: fraction.len() as i64, exponent })
    }

    /// Whether `numeric` can hold it.
    pub fn fits_numeric(&self) -> bool {
        self.exponent.abs() < EXPONENT_LIMIT
            && self.fraction_len - self.exponent <= SCALE
            && self.first_place.is_none_or(|place| place + self.exponent <= WHOLE_DIGITS)
    }
}

fn first_place(whole: &[u8], fraction: &[u8]) -> Option<i64> {
    let all = whole.iter().chain(fraction);
    let zeros = all.take_while(|digit| **digit == b'0').count();
    (zeros < whole.len() + fraction.len()).then(|| whole.len() as i64 - zeros as i64)
}

/// The exponent and its length in bytes; `(0, 0)` when there is none.
fn exponent(text: &[u8]) -> Option<(i64, usize)> {
    if !matches!(text.first(), Some(b'e' | b'E')) {
        return Some((0, 0));
    }
    let sign = usize::from(matches!(text.get(1), Some(b'+' | b'-')));
    let digits = digits(&text[1 + sign..]);
    if digits.is_empty() {
        return None;
    }
    let size = digits.iter().fold(0_i64, |size, digit| size.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let signed = if text.get(1) == Some(&b'-') { -size } else { size };
    Some((signed, 1 + sign + digits.len()))
}

fn digits(text: &[u8]) -> &[u8] {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    &text[..len]
}
