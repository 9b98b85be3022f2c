//! Takes secrets and personal data out of words that go to logs, the ledger and dead letters.

use std::borrow::Cow;

/// The most of a foreign text that is kept, in characters.
const KEPT: usize = 300;
/// Runs of digits from here on may be telephone numbers or cards.
const LONG_NUMBER: usize = 9;

/// Knows the secrets of one system.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
}

impl Redactor {
    /// Takes these secrets out. Very short ones would take ordinary words with them and are left.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self { secrets: secrets.into_iter().filter(|secret| secret.len() >= 4).collect() }
    }

    /// The beginning of a text, on one line, without secrets, e-mail addresses and long numbers.
    pub fn clean(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for secret in &self.secrets {
            if text.contains(secret) {
                text = text.replace(secret, "‹secret›").into();
            }
        }
        redacted(&text)
    }
}

/// The beginning of a text, on one line, without e-mail addresses and long numbers.
pub fn redacted(text: &str) -> String {
    let mut clean = String::new();
    let mut letters = text.chars();
    let mut start: String = letters.by_ref().take(KEPT * 4).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    // Half of an address is not known for one, and long ones before it may leave little.
    if letters.next().is_some()
        && let Some(last) = start.rfind(char::is_whitespace)
    {
        start.truncate(last);
    }
    for (place, word) in start.split_whitespace().enumerate() {
        if place > 0 {
            clean.push(' ');
        }
        push_word(&mut clean, word);
    }
    let clean = without_long_numbers(&clean);
    match clean.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

/// Words that hold an address lose the address and keep what stands around it.
fn push_word(clean: &mut String, word: &str) {
    let of_address = |letter: char| letter.is_alphanumeric() || ".!#$%&*+-/=?^_`{|}~@".contains(letter);
    let mut rest = word;
    while let Some(at) = rest.find('@') {
        let begin =
            rest[..at].char_indices().rev().find(|(_, letter)| !of_address(*letter)).map_or(0, |(place, letter)| place + letter.len_utf8());
        let end = rest[at..].find(|letter: char| !of_address(letter)).map_or(rest.len(), |length| at + length);
        clean.push_str(&rest[..begin]);
        clean.push_str("‹email›");
        rest = &rest[end..];
    }
    clean.push_str(rest);
}

fn without_long_numbers(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut number = String::new();
    for letter in text.chars().map(Some).chain([None]) {
        let goes_on = |letter: char| letter.is_ascii_digit() || (!number.is_empty() && matches!(letter, ' ' | '-' | '(' | ')' | '.'));
        match letter {
            Some(letter) if goes_on(letter) || (letter == '+' && number.is_empty()) => number.push(letter),
            _ => {
                push_number(&mut clean, &number);
                number.clear();
                clean.extend(letter);
            }
        }
    }
    clean
}

fn push_number(clean: &mut String, number: &str) {
    if number.chars().filter(char::is_ascii_digit).count() < LONG_NUMBER {
        clean.push_str(number);
        return;
    }
    let after = number.trim_end_matches([' ', '-', '(', ')', '.']).len();
    clean.push_str("‹number›");
    clean.push_str(&number[after..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_numbers_go_and_the_rest_stays() {
        for (text, clean) in [
            ("no customer ann+tag@example.co.uk found", "no customer ‹email› found"),
            (r#"{"email":"a@b.de","x":1}"#, r#"{"email":"‹email›","x":1}"#),
            ("<ann@b.de>, bob@c.de!", "<‹email›>, ‹email›"),
            ("call +44 (0)20 7946-0958 now", "call ‹number› now"),
            ("order 1042 at 12:30, 2026-11-28", "order 1042 at 12:30, 2026-11-28"),
            ("card 4242424242424242.", "card ‹number›."),
            ("one\nline\u{0} only", "one line only"),
            ("", ""),
        ] {
            assert_eq!(redacted(text), clean, "{text}");
        }
    }

    #[test]
    fn secrets_go_wherever_they_stand() {
        let redactor = Redactor::new(["sk_live_1".into(), "ok".into()]);
        assert_eq!(redactor.clean("key sk_live_1 is ok; sk_live_1x"), "key ‹secret› is ok; ‹secret›x");
    }

    #[test]
    fn half_of_an_address_is_not_kept() {
        let long = format!("{}@example.com", "a".repeat(1170));
        for cut in 0..30 {
            let clean = redacted(&format!("{long}{} canary.7@birds.example and more", " ".repeat(cut)));
            assert!(!clean.contains("canary"), "{clean}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_letter() {
        let clean = redacted(&"ä".repeat(5000));
        assert_eq!(clean.chars().count(), KEPT + 1);
    }
}
