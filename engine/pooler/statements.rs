//! What a client has prepared, and how each use of it is made whole.

use std::{
    collections::{HashMap, VecDeque},
    io,
};

use super::messages::{Message, malformed};

/// The statements of one client. To the pooler each is sent without a name, along with what uses it.
#[derive(Debug, Default)]
pub(super) struct Statements {
    /// The text and the types of each name, as they stand in the message.
    known: HashMap<Vec<u8>, Vec<u8>>,
    /// What the server holds as its statement without a name, in this round trip.
    current: Option<Vec<u8>>,
    /// Of each round trip on its way: whether the client waits for the answers to its parses.
    awaited: VecDeque<VecDeque<bool>>,
    /// The server said that it is ready after the client logged in; nobody had asked.
    ready: bool,
}

impl Statements {
    /// What is sent for a message of the client.
    pub(super) fn request(&mut self, message: Message) -> io::Result<Vec<Message>> {
        match message.kind {
            b'P' => self.parse(&message.body).map(|parse| vec![parse]),
            b'B' => self.bind(&message.body),
            b'D' if message.body.first() == Some(&b'S') => self.describe(&message.body),
            b'C' if message.body.first() == Some(&b'S') => {
                // The server knows none of this name, and says that it is closed.
                let name = word(&message.body[1..])?.0.to_vec();
                self.known.remove(&name);
                Ok(vec![message])
            }
            // The answer comes when the server is ready again.
            b'S' | b'Q' => {
                self.current = None;
                // This round trip is whole, even one without a parse; what comes now is the next.
                self.round();
                self.awaited.push_back(VecDeque::new());
                Ok(vec![message])
            }
            _ => Ok(vec![message]),
        }
    }

    /// Whether an answer of the server is the client's to see.
    pub(super) fn is_for_the_client(&mut self, message: &Message) -> bool {
        match message.kind {
            b'1' => self.awaited.front_mut().and_then(VecDeque::pop_front).unwrap_or(true),
            b'Z' if !std::mem::replace(&mut self.ready, true) => true,
            b'Z' => {
                // After an error the rest of the round trip was passed over, answers to parses included.
                self.awaited.pop_front();
                true
            }
            _ => true,
        }
    }

    /// The round trip that is being put together.
    fn round(&mut self) -> &mut VecDeque<bool> {
        if self.awaited.is_empty() {
            self.awaited.push_back(VecDeque::new());
        }
        self.awaited.back_mut().expect("it was put there")
    }

    fn parse(&mut self, body: &[u8]) -> io::Result<Message> {
        let (name, rest) = word(body)?;
        self.known.insert(name.to_vec(), rest.to_vec());
        self.current = Some(name.to_vec());
        self.round().push_back(true);
        Ok(nameless(rest))
    }

    fn bind(&mut self, body: &[u8]) -> io::Result<Vec<Message>> {
        let (portal, rest) = word(body)?;
        let (name, rest) = word(rest)?;
        let mut bind = portal.to_vec();
        bind.extend_from_slice(&[0, 0]);
        bind.extend_from_slice(rest);
        self.along_with(name, Message { kind: b'B', body: bind })
    }

    fn describe(&mut self, body: &[u8]) -> io::Result<Vec<Message>> {
        let (name, _) = word(&body[1..])?;
        self.along_with(name, Message { kind: b'D', body: b"S\0".to_vec() })
    }

    /// A use of a statement, after its text unless that has been sent in this round trip.
    fn along_with(&mut self, name: &[u8], message: Message) -> io::Result<Vec<Message>> {
        if self.current.as_deref() == Some(name) {
            return Ok(vec![message]);
        }
        let text = self.known.get(name).ok_or_else(|| malformed("a statement is used that was never prepared"))?;
        let parse = nameless(text);
        self.current = Some(name.to_vec());
        self.round().push_back(false);
        Ok(vec![parse, message])
    }
}

fn nameless(text: &[u8]) -> Message {
    let mut body = Vec::with_capacity(text.len() + 1);
    body.push(0);
    body.extend_from_slice(text);
    Message { kind: b'P', body }
}

/// Up to the next zero, and what follows it.
fn word(body: &[u8]) -> io::Result<(&[u8], &[u8])> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(|| malformed("a message with a word that does not end"))?;
    Ok((&body[..end], &body[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Message {
        Message { kind, body: body.to_vec() }
    }

    #[test]
    fn a_statement_is_sent_along_with_each_use_and_its_answer_kept_back() {
        let mut statements = Statements::default();
        assert!(statements.is_for_the_client(&message(b'Z', b"I")), "the login ends");
        let asked = |statements: &mut Statements, kind, body: &[u8]| statements.request(message(kind, body)).expect("well formed");
        assert_eq!(asked(&mut statements, b'P', b"s1\0select 1\0\0\0"), [message(b'P', b"\0select 1\0\0\0")]);
        assert_eq!(asked(&mut statements, b'D', b"Ss1\0"), [message(b'D', b"S\0")], "it was sent a moment ago");
        asked(&mut statements, b'S', b"");
        assert!(statements.is_for_the_client(&message(b'1', b"")), "the client prepared it");
        assert!(statements.is_for_the_client(&message(b'Z', b"I")));

        for _ in 0..2 {
            let sent = asked(&mut statements, b'B', b"\0s1\0\0\0\0\0\0\0");
            assert_eq!(sent, [message(b'P', b"\0select 1\0\0\0"), message(b'B', b"\0\0\0\0\0\0\0\0")]);
            asked(&mut statements, b'S', b"");
            assert!(!statements.is_for_the_client(&message(b'1', b"")), "the client knows nothing of it");
            assert!(statements.is_for_the_client(&message(b'Z', b"I")));
        }
        assert!(statements.request(message(b'B', b"\0s2\0\0\0\0\0\0\0")).is_err());
    }

    #[test]
    fn after_an_error_the_next_round_trip_is_in_step() {
        let mut statements = Statements { ready: true, ..Statements::default() };
        statements.request(message(b'P', b"bad\0selec\0\0\0")).expect("well formed");
        statements.request(message(b'S', b"")).expect("well formed");
        statements.request(message(b'P', b"good\0select 1\0\0\0")).expect("well formed");
        statements.request(message(b'S', b"")).expect("well formed");
        assert!(statements.is_for_the_client(&message(b'E', b"")));
        assert!(statements.is_for_the_client(&message(b'Z', b"I")));
        assert!(statements.is_for_the_client(&message(b'1', b"")));
        assert!(statements.is_for_the_client(&message(b'Z', b"I")));
        statements.request(message(b'B', b"\0good\0\0\0\0\0\0\0")).expect("known");
        statements.request(message(b'S', b"")).expect("well formed");
        assert!(!statements.is_for_the_client(&message(b'1', b"")));
    }
}
