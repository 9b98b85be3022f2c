//! Inputs by the million against everything that reads what others wrote.
//!
//! corpus -> changed a little -> target -> a shape that is new joins the corpus of the run; a broken promise is made small and kept
//!
//! Each target states a promise that holds of every input, and not only that nothing panics. The corpus is committed: an input
//! that once broke a promise is tried in every run of the tests from then on.

pub mod chance;
pub mod corpus;
pub mod input;
pub mod session;
pub mod targets;

/// What a target made of an input that broke no promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whether it was taken; if not, it was refused in words.
    pub is_taken: bool,
    /// What kind of answer it was. Inputs of a shape that nobody has seen before are where others begin.
    pub shape: String,
}

/// What came of one input: a [`Seen`], or the promise that was broken.
pub type Verdict = Result<Seen, String>;

impl Seen {
    /// Taken, in this shape.
    pub fn taken(shape: impl std::fmt::Display) -> Self {
        Self { is_taken: true, shape: shape.to_string() }
    }

    /// Refused with these words. What is quoted of the input makes no new shape: only plain words count, and the first of them.
    pub fn refused(words: &str) -> Self {
        let is_plain = |word: &&str| word.len() < 20 && word.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.:,[]".contains(&byte));
        let without_digits: String = words.chars().filter(|letter| !letter.is_ascii_digit()).take(200).collect();
        let plain: Vec<&str> = without_digits.split_whitespace().filter(is_plain).take(7).collect();
        Self { is_taken: false, shape: plain.join(" ") }
    }
}

/// Something that reads what others wrote.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, which is its folder of the corpus.
    pub name: &'static str,
    /// What holds of every input.
    pub promise: &'static str,
    /// Words that its inputs are made of.
    pub words: &'static [&'static str],
    /// Tries one input.
    pub check: fn(&[u8]) -> Verdict,
}

/// Refuses to go on where a promise does not hold.
///
/// # Errors
/// The words, when it does not.
pub fn promise(holds: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(words()) }
}

/// Judges the words of a refusal: a sentence that fits a log line, and forges no other.
///
/// # Errors
/// What is wrong with them.
pub fn judge_words(words: &str) -> Result<(), String> {
    promise(!words.trim().is_empty(), || "refused without a word".into())?;
    promise(words.chars().count() <= 1_000, || format!("refused with {} characters", words.chars().count()))?;
    promise(!words.chars().any(char::is_control), || format!("the refusal holds a control character: {words:?}"))
}
