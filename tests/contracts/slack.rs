//! What Slack answers, and what follows.

use std::{collections::BTreeMap, net::SocketAddr};

use engine::{Category, Job, JobResult, Kinds, NewJob, Outcome, Run};
use jobs::clients::{self, Outside, Secret, slack};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fixture;
use crate::support::{Database, run_all};

/// Posts once, and says how it went.
#[derive(Serialize, Deserialize)]
struct Post {}

impl Job for Post {
    const KIND: &'static str = "test.post_to_slack";

    async fn run(&self, run: &mut Run) -> JobResult {
        let alert = slack::Alert { severity: slack::Severity::Info, title: "x", message: "", fields: &[], footer: "" };
        let posted = run.shared::<Outside>()?.slack.post(slack::Channel::OpsAlerts, &alert, run).await;
        Ok(Outcome::Done(match posted {
            Ok(()) => json!("ok"),
            Err(error) => json!({ "category": error.category.as_str(), "wait": error.retry_after.map(|wait| wait.as_secs()) }),
        }))
    }
}

/// Answers every request with this.
async fn answering(status: u64, headers: &BTreeMap<String, String>, body: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let headers = headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
    let answer = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let mut length = 0;
            while !request[..length].ends_with(b"}") {
                match stream.read(&mut request[length..]).await {
                    Ok(0) | Err(_) => break,
                    Ok(more) => length += more,
                }
            }
            // Whoever asked may have gone.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

async fn post(db: &Database, address: SocketAddr) -> Value {
    let settings = clients::Settings {
        slack: slack::Settings {
            webhooks: [Some(Secret::new(format!("http://{address}/services/T/B/x"))), None, None],
            ..slack::Settings::default()
        },
        ..clients::Settings::default()
    };
    let outside = Outside::new(&settings).expect("the settings are right");
    let id = engine::Client::new(db.pool().clone()).enqueue(&NewJob::of(&Post {}).expect("it serialises")).await.expect("enqueued").id;
    run_all(db, Kinds::new().with::<Post>().sharing(outside)).await;
    let ending = engine::Client::new(db.pool().clone()).ending(id).await.expect("known").expect("ended");
    ending.output().expect("JSON").expect("completed")
}

#[tokio::test]
async fn each_answer_of_an_incoming_webhook_is_final_or_passes_as_slack_says() {
    let Some(document) = fixture("slack/responses.json") else { return };
    let db = Database::new().await;
    let answers = document["incoming_webhook"].as_array().expect("answers").clone();
    assert!(answers.len() > 10);
    for answer in answers {
        let headers = serde_json::from_value(answer["headers"].clone()).unwrap_or_default();
        let address = answering(answer["status"].as_u64().expect("a status"), &headers, answer["body"].as_str().expect("a text")).await;
        let outcome = post(&db, address).await;
        match answer["retry"].as_bool() {
            None => assert_eq!(outcome, json!("ok"), "{answer}"),
            Some(false) => assert_eq!(outcome["category"], Category::Validation.as_str(), "{answer}"),
            Some(true) => {
                assert!(["rate_limited", "upstream"].contains(&outcome["category"].as_str().expect("it failed")), "{answer}: {outcome}");
                let wait = headers.get("Retry-After").and_then(|wait| wait.parse::<u64>().ok());
                assert_eq!(outcome["wait"].as_u64(), wait, "{answer}");
            }
        }
    }
}
