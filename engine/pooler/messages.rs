//! PostgreSQL's protocol, version 3: messages as they stand on the wire.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a client asks before the startup message when it wants TLS, or Kerberos.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
/// Larger than PostgreSQL takes.
const LONGEST: usize = 1 << 30;
/// Parameters of a session that a pooler refuses or would keep for the next client.
const DROPPED: [&str; 2] = ["extra_float_digits", "options"];

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The next message; `None` when the other side has closed.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Self>> {
        let kind = match from.read_u8().await {
            Ok(kind) => kind,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Self { kind, body: body(from).await? }))
    }

    pub(super) async fn write(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        to.write_u8(self.kind).await?;
        to.write_u32(self.body.len() as u32 + 4).await?;
        to.write_all(&self.body).await
    }
}

/// What follows a length, which counts itself.
async fn body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await? as usize;
    if !(4..=LONGEST).contains(&length) {
        return Err(malformed("a message of an impossible length"));
    }
    let mut bytes = vec![0; length - 4];
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// The client's startup message as the pooler takes it; whoever asks for TLS on this machine's own wire is told no.
pub(super) async fn startup(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<Vec<u8>> {
    loop {
        let body = body(from).await?;
        let version = u32::from_be_bytes(
            body.get(..4).ok_or_else(|| malformed("a startup message without a version"))?.try_into().expect("four bytes"),
        );
        if matches!(version, SSL_REQUEST | GSS_REQUEST) {
            to.write_all(b"N").await?;
            to.flush().await?;
            continue;
        }
        let kept = parameters(&body[4..]);
        let mut message = ((kept.len() + 8) as u32).to_be_bytes().to_vec();
        message.extend_from_slice(&body[..4]);
        message.extend_from_slice(&kept);
        return Ok(message);
    }
}

/// Names and values, each ended by a zero, without those that a pooler cannot serve.
fn parameters(given: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(given.len());
    let words: Vec<&[u8]> = given.split(|byte| *byte == 0).collect();
    for pair in words.chunks_exact(2).take_while(|pair| !pair[0].is_empty()) {
        if !DROPPED.iter().any(|dropped| dropped.as_bytes() == pair[0]) {
            for word in pair {
                kept.extend_from_slice(word);
                kept.push(0);
            }
        }
    }
    kept.push(0);
    kept
}

pub(super) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pooler_refuses_is_left_out_of_the_startup() {
        let given = b"user\0ada\0extra_float_digits\x002\0database\0raw\0\0";
        assert_eq!(parameters(given), b"user\0ada\0database\0raw\0\0");
    }
}
