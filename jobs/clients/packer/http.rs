//! The packer's drop over HTTP.
//!
//! ```text
//! PUT /orders/{name}           a file; Idempotency-Key is the SHA-256 of its bytes
//!                              201 taken · 200 the same file is there already · 409 another file of this name is there
//! GET /orders/{name}/receipt   {"sha256": "…", "state": "read"} · {"state": "refused", "reason": "…"} · 404 not read yet
//! GET /dispatches              {"files": [{"name": "…", "sha256": "…"}]}, of the last days
//! GET /dispatches/{name}       such a file
//! ```

use std::time::Duration;

use engine::{Category, Run};
use serde::Deserialize;

use super::{
    super::{
        Secret,
        http::{Call, CallError, Client, ClientError, Method, Reached, Target},
    },
    Listed, Receipt,
};
use crate::export::manifest::{File, sha256};

/// What the file is.
const CONTENT_TYPE: &str = "text/csv; charset=utf-8";

/// Where it is, and the key to it.
pub(super) struct Drop {
    client: Client,
    token: Secret,
    timeout: Option<Duration>,
}

#[derive(Deserialize)]
struct Files {
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct Answer {
    sha256: String,
    state: State,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Read,
    Refused,
}

impl Drop {
    /// The drop at this address; a call takes so long at most, and as long as calls do unless it is said.
    pub(super) fn new(target: Target, token: Secret, timeout: Option<Duration>) -> Result<Self, ClientError> {
        Ok(Self { client: Client::new(target, [token.text().to_owned()])?, token, timeout })
    }

    pub(super) async fn put(&self, file: &File, run: &Run) -> Result<(), CallError> {
        let call = self.call(Method::Put, &["orders", &file.name], run).body(CONTENT_TYPE, file.bytes.clone());
        match self.client.send(&call.idempotency_key(&file.sha256)).await {
            Ok(_) => Ok(()),
            Err(error) if error.reached == Reached::Answered(409) => Err(CallError { category: Category::BusinessRule, ..error }),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn receipt(&self, file: &File, run: &Run) -> Result<Receipt, CallError> {
        let answer = match self.client.send(&self.call(Method::Get, &["orders", &file.name, "receipt"], run)).await {
            Err(error) if error.reached == Reached::Answered(404) => return Ok(Receipt::NotYet),
            answer => answer?,
        };
        let status = Reached::Answered(answer.status);
        let Answer { sha256, state, reason } = answer.json().map_err(|error| {
            self.client.error(status, Category::Upstream, format!("its receipt of {} cannot be read: {error}", file.name))
        })?;
        if sha256 != file.sha256 {
            let words = format!("it has read another {}, of the hash {}", file.name, self.client.clean(&sha256));
            return Err(self.client.error(status, Category::BusinessRule, words));
        }
        Ok(match state {
            State::Read => Receipt::Read,
            State::Refused => Receipt::Refused(self.client.clean(reason.as_deref().unwrap_or("no reason given"))),
        })
    }

    pub(super) async fn dispatches(&self, run: &Run) -> Result<Vec<Listed>, CallError> {
        let answer = self.client.send(&self.call(Method::Get, &["dispatches"], run)).await?;
        let unreadable = |words: String| {
            self.client.error(Reached::Answered(answer.status), Category::Upstream, format!("its list of files cannot be read: {words}"))
        };
        let Files { files } = answer.json().map_err(|error| unreadable(error.to_string()))?;
        match files.iter().find(|file| !file.is_sound()) {
            Some(file) => Err(unreadable(format!("{:?} is no file's name with its hash", self.client.clean(&file.name)))),
            None => Ok(files),
        }
    }

    pub(super) async fn dispatch(&self, file: &Listed, run: &Run) -> Result<Vec<u8>, CallError> {
        let answer = self.client.send(&self.call(Method::Get, &["dispatches", &file.name], run)).await?;
        if sha256(&answer.body) == file.sha256 {
            return Ok(answer.body);
        }
        let words = format!("{} does not have the hash that its list says", file.name);
        Err(self.client.error(Reached::Answered(answer.status), Category::Upstream, words))
    }

    fn call(&self, method: Method, path: &[&str], run: &Run) -> Call {
        let call = Call::new(method, path.iter().copied()).bearer(self.token.text()).on_behalf_of(run);
        match self.timeout {
            Some(timeout) => call.timeout(timeout),
            None => call,
        }
    }
}
