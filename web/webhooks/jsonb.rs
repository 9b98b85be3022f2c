//! Whether PostgreSQL's `jsonb` can hold a text, decided before it is asked.
//!
//! A cast that fails aborts its transaction, and the row that should have kept
//! the evidence with it. The rules are those of `jsonb_in` in a UTF-8
//! database: strict JSON, no NUL character, paired surrogates, numbers within
//! `numeric`. Depth is the one rule of our own: the server's limit is its
//! stack, which is not known here.

mod number;

/// Deepest nesting that is stored; a server's own limit is several times more.
pub const DEPTH_LIMIT: usize = 1_000;

/// Why a text cannot be stored as `jsonb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON; the offset is in bytes.
    #[error("the body is not JSON (byte {0})")]
    Malformed(usize),
    /// The escape for the NUL character, which text in PostgreSQL cannot hold.
    #[error("the body contains the escape \\u0000 (byte {0})")]
    Nul(usize),
    /// Half of a surrogate pair.
    #[error("the body contains half of a surrogate pair (byte {0})")]
    LoneSurrogate(usize),
    /// Nested deeper than [`DEPTH_LIMIT`].
    #[error("the body is nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep,
    /// A number outside `numeric`.
    #[error("the body contains a number that numeric cannot hold (byte {0})")]
    NumberRange(usize),
}

/// The text of `body`, when `jsonb` can hold it.
///
/// # Errors
/// The first reason against it.
pub fn check(body: &[u8]) -> Result<&str, Unfit> {
    let text = std::str::from_utf8(body).map_err(|_| Unfit::NotUtf8)?;
    Scanner { bytes: body, at: 0 }.document()?;
    Ok(text)
}

#[derive(Clone, Copy)]
enum Level {
    Array,
    Object,
}

/// Walks the text once; nesting is a list, so that depth costs no stack.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn document(&mut self) -> Result<(), Unfit> {
        let mut levels = Vec::new();
        loop {
            if self.opens_or_reads_a_value(&mut levels)? && self.closes_to_the_end(&mut levels)? {
                return Ok(());
            }
            if levels.len() > DEPTH_LIMIT {
                return Err(Unfit::TooDeep);
            }
        }
    }

    /// Reads one value or the opening of one; true when a value is complete.
    fn opens_or_reads_a_value(&mut self, levels: &mut Vec<Level>) -> Result<bool, Unfit> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.skip_space();
                if self.takes(b'}') {
                    return Ok(true);
                }
                levels.push(Level::Object);
                self.key()?;
                return Ok(false);
            }
            Some(b'[') => {
                self.at += 1;
                self.skip_space();
                if self.takes(b']') {
                    return Ok(true);
                }
                levels.push(Level::Array);
                return Ok(false);
            }
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        }
        Ok(true)
    }

    /// After a value: closes levels up to the next comma; true at the end.
    fn closes_to_the_end(&mut self, levels: &mut Vec<Level>) -> Result<bool, Unfit> {
        loop {
            self.skip_space();
            let Some(level) = levels.last() else {
                return if self.at == self.bytes.len() { Ok(true) } else { Err(self.malformed()) };
            };
            let close = match level {
                Level::Array => b']',
                Level::Object => b'}',
            };
            if self.takes(close) {
                levels.pop();
                continue;
            }
            self.expect(b',')?;
            if matches!(level, Level::Object) {
                self.key()?;
            }
            return Ok(false);
        }
    }

    fn key(&mut self) -> Result<(), Unfit> {
        self.skip_space();
        if self.peek() != Some(b'"') {
            return Err(self.malformed());
        }
        self.string()?;
        self.skip_space();
        self.expect(b':')
    }

    fn string(&mut self) -> Result<(), Unfit> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x20..) => self.at += 1,
                _ => return Err(self.malformed()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Unfit> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                return Ok(());
            }
            Some(b'u') => self.at += 1,
            _ => return Err(self.malformed()),
        }
        match self.four_hex()? {
            0 => Err(Unfit::Nul(start)),
            0xd800..=0xdbff => {
                let paired = self.takes(b'\\') && self.takes(b'u') && matches!(self.four_hex()?, 0xdc00..=0xdfff);
                paired.then_some(()).ok_or(Unfit::LoneSurrogate(start))
            }
            0xdc00..=0xdfff => Err(Unfit::LoneSurrogate(start)),
            _ => Ok(()),
        }
    }

    fn four_hex(&mut self) -> Result<u32, Unfit> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.malformed())?;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<(), Unfit> {
        let start = self.at;
        let rest = &self.bytes[start..];
        let number = number::Number::read(rest).ok_or_else(|| self.malformed())?;
        if !number.fits_numeric() {
            return Err(Unfit::NumberRange(start));
        }
        self.at += number.len;
        Ok(())
    }

    fn word(&mut self) -> Result<(), Unfit> {
        for word in ["true", "false", "null"] {
            if self.bytes[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(());
            }
        }
        Err(self.malformed())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unfit> {
        if self.takes(byte) { Ok(()) } else { Err(self.malformed()) }
    }

    fn malformed(&self) -> Unfit {
        Unfit::Malformed(self.at)
    }
}

#[cfg(test)]
mod tests;
