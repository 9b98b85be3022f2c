//! How an input is divided: parts with a line of dashes between them, so that the corpus can be read and written by people.

/// Between two parts.
const BETWEEN: &[u8] = b"\n----\n";

/// The first parts of an input; those that it does not have are empty.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut rest = Some(input);
    std::array::from_fn(|place| {
        let Some(input) = rest else { return &b""[..] };
        let found = input.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        match found {
            Some(at) if place + 1 < N => {
                rest = Some(&input[at + BETWEEN.len()..]);
                &input[..at]
            }
            _ => {
                rest = None;
                input
            }
        }
    })
}

/// The same as text, in which what is not UTF-8 stands as U+FFFD.
pub fn texts<const N: usize>(input: &[u8]) -> [String; N] {
    parts::<N>(input).map(|part| String::from_utf8_lossy(part).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_not_there_are_empty_and_the_last_has_the_rest() {
        assert_eq!(parts::<3>(b"a\n----\nb"), [&b"a"[..], b"b", b""]);
        assert_eq!(parts::<2>(b"a\n----\nb\n----\nc"), [&b"a"[..], b"b\n----\nc"]);
        assert_eq!(parts::<2>(b""), [&b""[..], b""]);
        assert_eq!(parts::<2>(b"\n----\n"), [&b""[..], b""]);
    }
}
