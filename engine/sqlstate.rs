//! What an SQLSTATE says, by its class as PostgreSQL's appendix A has them: the one place where classes are named.
//!
//! Whoever asks has a question of its own, and some classes are an answer to one and not to another; each question has a name here.

use std::borrow::Cow;

use crate::Category;

/// A value that is none, that a constraint or a view forbids, or that is beyond what the database holds: whoever sends it again is told
/// the same. The function `engine.requeue_letters` names them a second time.
pub const OF_VALUE: [&str; 4] = ["22", "23", "44", "54"];

/// The SQLSTATE of what the server refused; none when it did not answer.
pub fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// Whether it is of what was sent, and no fault of the service.
pub fn is_of_value(error: &sqlx::Error) -> bool {
    is_in(error, &OF_VALUE)
}

/// Whether it was rolled back because it and others waited for each other: at once again, it may do.
pub fn is_deadlock(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "40P01")
}

/// Whether somebody held a lock for longer than it waits for one: the next try may have it.
pub fn is_lock_timeout(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "55P03")
}

/// Whether a queue has as many jobs as it may: the same job may do later, one of another queue at once.
pub fn is_queue_full(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == "RW020")
}

/// Whether the server is there and says no; when it is away, shuts down or has no room, waiting is the cure.
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    code(error).is_some() && !is_in(error, &["08", "53", "57"])
}

/// Whether it says no, and would say so at once again: other than after a deadlock or a lock that was not to be had, or while a server
/// is read-only since another leads.
pub(crate) fn is_lasting_refusal(error: &sqlx::Error) -> bool {
    is_refusal(error) && !is_in(error, &["25", "40", "55"])
}

/// Whether the connection is still good for other statements: one that ran too long (57014) ends none, a server that shuts down does.
pub(crate) fn leaves_connection(error: &sqlx::Error) -> bool {
    code(error).is_some() && !is_in(error, &["08", "57P"])
}

/// Whether the server itself says that a commit did not happen. What stands between may say that it lost the server.
pub(crate) fn is_rolled_back(error: &sqlx::Error) -> bool {
    code(error).is_some() && !is_in(error, &["08", "57", "40003"])
}

/// The category of what a job fails with. What stays unknown says nothing by itself: a broken table, a broken extension.
pub(crate) fn category(code: &str) -> Category {
    match code {
        // A lock that somebody holds, an object in use, and a prepared statement that a pooler has mislaid.
        "55P03" | "55006" | "26000" | "42P05" => Category::Conflict,
        // Limits of time: of a statement, of a transaction, of one that did nothing.
        "57014" | "25P03" | "25P04" => Category::Timeout,
        // A server that has become a standby writes nothing; the next connection may find the other one.
        "25006" => Category::Network,
        // The right is missing, not the table.
        "42501" => Category::Auth,
        "P0004" => Category::Bug,
        // A queue is full, and will not be for ever.
        "RW020" => Category::NotReady,
        _ if OF_VALUE.iter().any(|class| code.starts_with(class)) => Category::Validation,
        _ => match code.get(..2).unwrap_or("") {
            // The connection, the server's resources, its operator, its disk.
            "08" | "53" | "57" | "58" => Category::Network,
            // Rolled back for another's sake, and a snapshot that is too old.
            "40" | "72" => Category::Conflict,
            "28" => Category::Auth,
            "P0" | "RW" => Category::BusinessRule,
            // The statement is wrong, or comes where it must not: a mistake in the program, or in its schema.
            "03" | "09" | "0A" | "0B" | "0F" | "0L" | "0P" | "0Z" | "10" | "20" | "21" | "24" | "25" | "26" | "27" | "2B" | "2D" | "2F"
            | "34" | "38" | "39" | "3B" | "3D" | "3F" | "42" | "55" => Category::Bug,
            _ => Category::Unknown,
        },
    }
}

fn is_in(error: &sqlx::Error, beginnings: &[&str]) -> bool {
    code(error).is_some_and(|code| beginnings.iter().any(|beginning| code.starts_with(beginning)))
}

#[cfg(test)]
mod tests {
    use std::{error::Error, fmt};

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    #[test]
    fn every_class_of_the_databases_errors_has_its_category() {
        for (codes, of) in [
            ("40001 40P01 40003 55P03 55006 72000 26000 42P05", Category::Conflict),
            ("57014 25P03 25P04", Category::Timeout),
            ("08006 53300 53100 57P01 58030 25006", Category::Network),
            ("22003 23505 44000 54000 54001 54023", Category::Validation),
            ("28P01 42501", Category::Auth),
            ("P0001 RW002", Category::BusinessRule),
            ("RW020", Category::NotReady),
            ("42601 42P01 42703 55000 55P02 P0004 0A000 03000 09000 0B000 0F000 0L000 0P000 0Z000 10608 20000 21000 24000", Category::Bug),
            ("25P02 25001 27000 2B000 2D000 2F000 34000 38000 39000 3B000 3D000 3F000", Category::Bug),
            ("XX000 HV000 F0000 99999 5 ", Category::Unknown),
        ] {
            for code in codes.split(' ') {
                assert_eq!(category(code), of, "{code}");
            }
        }
    }

    /// What a server says.
    #[derive(Debug)]
    struct Says(&'static str);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Says {}

    impl DatabaseError for Says {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn each_question_has_its_own_answer() {
        type Question = fn(&sqlx::Error) -> bool;
        let questions: [(&str, Question); 6] = [
            ("22P02 23505 44000 54000", is_of_value),
            ("40P01", is_deadlock),
            ("22P02 23505 44000 54000 40P01 40001 40003 25006 55P03 42501 42P01 58030 RW001", is_refusal),
            ("22P02 23505 44000 54000 42501 42P01 58030 RW001", is_lasting_refusal),
            ("22P02 23505 44000 54000 40P01 40001 40003 25006 55P03 42501 42P01 58030 RW001 53100 57014", leaves_connection),
            ("22P02 23505 44000 54000 40P01 40001 25006 55P03 42501 42P01 58030 RW001 53100", is_rolled_back),
        ];
        let codes = "22P02 23505 44000 54000 40P01 40001 40003 25006 55P03 42501 42P01 58030 RW001 53100 57014 57P01 08006";
        for (n, (yes, question)) in questions.into_iter().enumerate() {
            let said: Vec<_> = codes.split(' ').filter(|code| question(&sqlx::Error::Database(Box::new(Says(code))))).collect();
            assert_eq!(said.join(" "), yes, "question {n}");
            assert!(!question(&sqlx::Error::PoolTimedOut), "a server that did not answer said nothing");
        }
    }
}
