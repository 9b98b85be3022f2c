//! Customer.io's own documents: recorded exchanges and the schema of its reports.

use serde_json::{Value, json};

use super::fixture;
use crate::outbox;
use crate::support::{Database, Outside, run_all};

#[tokio::test]
async fn an_events_request_and_answer_are_those_of_a_recorded_one() {
    let Some(recorded) = fixture("customerio/recorded/track__success.json") else { return };
    let mock = &recorded["mocks"][0];
    assert_eq!((&mock["method"], &mock["status"]), (&json!("POST"), &json!(200)));
    let path = mock["path"].as_str().expect("a path");
    let customer = path.strip_prefix("/api/v1/customers/").and_then(|rest| rest.strip_suffix("/events")).expect("the path that we call");
    // Their server's answer is what the sandbox gives, to the line's end.
    let outside = Outside::start().await;
    let answer = reqwest::Client::new()
        .post(format!("{}{path}", outside.customerio.url()))
        .basic_auth(crate::support::outside::SITE_ID, Some(crate::support::outside::TRACK_KEY))
        .json(&json!({ "name": recorded["sdkCall"]["args"][1]["name"] }))
        .send()
        .await
        .expect("the sandbox answers");
    assert_eq!(answer.headers()["content-type"].to_str().ok(), mock["headers"]["content-type"].as_str());
    assert_eq!(answer.headers()["content-length"].to_str().ok(), mock["headers"]["content-length"].as_str());
    assert_eq!(outside.customerio.events()[0].customer, customer);
}

#[test]
fn a_report_of_the_sandbox_has_what_the_schema_of_reports_requires() {
    let Some(document) = fixture("customerio/customer-io-reporting-webhooks-openapi.json") else { return };
    let schemas = &document["components"]["schemas"];
    let names = |value: &Value| -> Vec<String> { serde_json::from_value(value.clone()).expect("names") };
    assert_eq!(names(&schemas["email_event_common"]["required"]), ["event_id", "object_type", "timestamp"]);
    let single =
        schemas["event_common_data"]["oneOf"].as_array().expect("forms").iter().find(|form| form["title"] == "Transactional message");
    assert_eq!(names(&single.expect("single mails have a form")["required"]), ["transactional_message_id", "delivery_id", "identifiers"]);
    let sent = &schemas["email_sent"]["allOf"][1]["properties"];
    assert_eq!(names(&sent["metric"]["enum"]), ["sent"]);
    let data = &sent["data"]["allOf"][1];
    assert_eq!(names(&data["required"]), ["recipient", "subject"]);
    assert_eq!(data["properties"]["headers"]["example"], json!({ "Customheader1": ["customvalue1"] }), "how a header is told");
    let header = document["webhooks"]["reportingWebhook"]["post"]["parameters"].as_array().expect("headers");
    let header: Vec<&str> = header.iter().filter_map(|header| header["name"].as_str()).collect();
    assert_eq!(header, ["x-cio-timestamp", "x-cio-signature"]);
}

#[tokio::test]
async fn a_mail_goes_to_the_path_that_the_document_of_the_app_api_names() {
    let (db, outside) = (Database::new().await, Outside::start().await);
    outbox::put(db.pool(), "ann@example.com").await;
    run_all(&db, outside.kinds()).await;
    let [mail] = &outside.customerio.messages()[..] else { panic!("it is taken") };
    // What the vendor's schema calls required: the template, whom to, whose.
    assert!(mail.template.is_string() && mail.to == "ann@example.com" && mail.identifiers["email"] == "ann@example.com");
}
