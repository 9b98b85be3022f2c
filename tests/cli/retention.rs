//! `rawops retention`: how long what has ended is kept.

use super::program::rawops;
use crate::support::Database;

#[tokio::test]
async fn it_is_listed_and_changed_and_nonsense_is_refused() {
    let db = Database::new().await;
    let url = db.url();
    let listed = rawops(&url, &["retention", "list"]).await.ok().out;
    assert!(
        listed.contains("completed") && listed.contains("7days") && listed.contains("open_letters") && listed.contains("forever"),
        "{listed}"
    );
    let set = rawops(&url, &["retention", "set", "completed", "24h", "--json"]).await.ok().json();
    assert_eq!((&set[0]["what"], &set[0]["kept_s"]), (&"completed".into(), &86_400.into()));
    assert!(set[0]["changed_by"].as_str().is_some_and(|who| who.contains("command line")), "{set}");
    let set = rawops(&url, &["retention", "set", "completed", "forever", "--json"]).await.ok().json();
    assert!(set[0]["kept_s"].is_null(), "{set}");

    let refusal = rawops(&url, &["retention", "set", "everything", "24h"]).await.refusal(1);
    assert_eq!(refusal, "nothing called everything is kept: `rawops retention list` shows what is");
    for kept in ["30s", "101years"] {
        let refusal = rawops(&url, &["retention", "set", "dead", kept]).await.refusal(1);
        assert_eq!(refusal, "what has ended is kept from an hour to a hundred years, or for ever");
    }
}
