//! What keeps a job from running, over HTTP.

use serde_json::{Value, json};
use web::api::Scope;

use super::{Api, refusal};
use crate::cli::program::rawops;

fn prune_with(options: &Value) -> Value {
    let mut job = json!({ "kind": "health.prune_enqueue_keys", "args": {} });
    job.as_object_mut().expect("an object").extend(options.as_object().expect("an object").clone());
    job
}

#[tokio::test]
async fn what_keeps_a_job_is_said_as_on_the_command_line() {
    let api = Api::start(&[Scope::JobsRead, Scope::JobsWrite]).await;
    let mut ids = Vec::new();
    for options in [json!({}), json!({ "run_at": "2100-01-01T00:00:00Z" }), json!({ "limit_key": "shop:42" }), json!({ "queue": "slow" })] {
        let (_, body) = api.post("/v1/jobs", &prune_with(&options)).await;
        ids.push(body["id"].as_str().expect("an id").to_string());
    }
    assert_eq!(api.post(&format!("/v1/jobs/{}/cancel", ids[3]), &json!({})).await.0, 200);
    let mut told = Vec::new();
    for id in &ids {
        let (status, mut why) = api.get(&format!("/v1/jobs/{id}/why")).await;
        assert_eq!(status, 200, "{why}");
        let mut said = rawops(&api.edge.database_url(), &["why", id, "--json"]).await.ok().json();
        for one in [&mut why, &mut said] {
            assert!(one["at"].take().is_string(), "when it was so");
        }
        assert_eq!(why, said);
        let reasons = why["reasons"].as_array().expect("a list");
        told.push(reasons.iter().map(|reason| reason["because"].as_str().expect("a word").to_string()).collect::<Vec<_>>());
    }
    assert_eq!(told, [vec!["no_worker"], vec!["no_worker", "not_due"], vec!["no_worker", "limit"], vec!["ended"]]);

    for (missing, words) in [("4711", "there is no job 4711"), ("x", "x is no job's id")] {
        let why = refusal(api.get(&format!("/v1/jobs/{missing}/why")).await, 404);
        assert!(why.starts_with(words), "{why}");
    }
}
