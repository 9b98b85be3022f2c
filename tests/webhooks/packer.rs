//! Files of the packer over HTTP: what is signed and dated now is stored once, with its job.

use serde_json::json;
use web::webhooks::packer::PATH;

use super::edge::{COURIER_SECRET, Edge, PACKER_SECRET, PACKER_SECRET_BEFORE};
use crate::orders::inbox::row;

const FILE: &str = "order_ref,tracking_no,dispatched_at\r\nPR#1,101,2026-01-14 16:05:00\r\n";
const ROWS: &str = r#"{"rows": []}"#;

#[tokio::test]
async fn only_what_is_signed_with_a_live_secret_and_dated_now_is_stored_once() {
    let edge = Edge::start().await;
    let now = chrono::Utc::now().timestamp();
    for (content_type, secret, at, file, status) in [
        ("text/csv", PACKER_SECRET, now - 400, FILE, 401),
        ("text/csv", COURIER_SECRET, now, FILE, 401),
        ("text/plain", PACKER_SECRET, now, FILE, 415),
        ("text/csv; charset=utf-8", PACKER_SECRET, now, FILE, 200),
        ("text/csv", PACKER_SECRET_BEFORE, now - 200, FILE, 200),
        ("application/json", PACKER_SECRET, now, ROWS, 200),
    ] {
        assert_eq!(edge.adapt(PATH, content_type, secret, at, file).await, status, "{content_type} {secret} {at}");
    }
    let stored = "select source, topic, processing_status, hmac_verified, raw_headers ->> 'file_name' as file,
        convert_from(raw_body, 'utf8') = e'order_ref,tracking_no,dispatched_at\\r\\nPR#1,101,2026-01-14 16:05:00\\r\\n' as whole
        from raw_ops.webhook_inbox order by received_at limit 1";
    let expected = json!({ "source": "packer", "topic": "dispatch/file", "processing_status": "pending", "hmac_verified": true,
        "file": "today.csv", "whole": true });
    assert_eq!(row(edge.pool(), stored).await, expected);
    let job = "select kind, queue, count(*) from engine.job_state group by 1, 2";
    assert_eq!(row(edge.pool(), job).await, json!({ "kind": "dispatch.read_file", "queue": "dispatch", "count": 2 }));
    assert_eq!(edge.take_jobs().await.len(), 2, "each file once");
}
