//! The registry's HTTP function.

use serde_json::json;
use web::{api::Scope, functions::ops_alerter::PATH};

use crate::api::{Api, answer, refusal};
use crate::support::shelf::rows;

#[tokio::test]
async fn the_registrys_body_raises_an_alert_in_the_channel_of_its_severity() {
    let api = Api::start(&[Scope::Functions]).await;
    let body = json!({
        "channel": "daily-ops", "severity": "warning", "title": "Alert Title", "message": "Description",
        "fields": [{ "label": "Field", "value": "Value", "inline": true }],
    });
    let (status, answered) = api.post(PATH, &body).await;
    assert_eq!((status, &answered["outcome"]), (200, &json!("queued")));
    assert_eq!(
        rows(api.edge.pool(), "select id::text, channel, severity, title, payload_json, delivery_status from raw_ops.alert_log").await,
        json!([[answered["id"], "ops-alerts", "warning", "Alert Title", { "message": "Description", "fields": body["fields"] }, "pending"]]),
        "the caller's channel is not asked"
    );
    assert_eq!(rows(api.edge.pool(), "select kind from engine.job_state").await, json!([["alerts.post_alert"]]));
}

#[tokio::test]
async fn alerts_of_one_key_are_one_and_are_over_once() {
    let api = Api::start(&[Scope::Functions]).await;
    let body = json!({ "severity": "critical", "title": "Stock", "idempotency_key": "stock" });
    let mut outcomes = Vec::new();
    for more in [json!({}), json!({}), json!({ "resolved": true }), json!({ "resolved": true })] {
        let mut body = body.clone();
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        outcomes.push(api.post(PATH, &body).await.1["outcome"].clone());
    }
    assert_eq!(outcomes, ["queued", "joined", "queued", "nothing"]);
}

#[tokio::test]
async fn callers_need_a_token_of_the_scope_and_a_body_that_is_an_alert() {
    let api = Api::start(&[Scope::JobsWrite]).await;
    let fine = json!({ "severity": "info", "title": "x" });
    assert!(refusal(api.post(PATH, &fine).await, 403).contains("lacks the scope functions"));
    let nobody = reqwest::Client::new().post(api.edge.url(PATH)).json(&fine);
    assert!(refusal(answer(nobody).await, 401).contains("live token"));
    let api = Api::start(&[Scope::Functions]).await;
    for (body, why) in [
        (json!({ "severity": "loud", "title": "x" }), "unknown variant `loud`"),
        (json!({ "title": "x" }), "missing field `severity`"),
        (json!({ "severity": "info", "title": " " }), "title must have"),
        (json!({ "severity": "info", "title": "x\u{0}" }), "U+0000"),
        (json!({ "severity": "info", "title": "x", "resolved": true }), "resolved needs"),
        (json!({ "severity": "info", "title": "x", "fields": [{ "label": 1 }] }), "the body is no alert"),
    ] {
        let refusal = refusal(api.post(PATH, &body).await, 422);
        assert!(refusal.contains(why), "{refusal}");
    }
    assert_eq!(rows(api.edge.pool(), "select count(*) from raw_ops.alert_log").await, json!([[0]]));
}
