//! `rawops breakers`: listed, held by a person, let go, and told when to open.

use engine::{Client, NewJob, store::breaker};

use super::program::rawops;
use crate::support::{Database, outside_call::Call};

#[tokio::test]
async fn a_breaker_is_listed_held_explained_and_let_go() {
    let db = Database::new().await;
    let url = db.url();
    let none = rawops(&url, &["breakers", "list"]).await.ok().out;
    assert_eq!(none, "no breakers: no kind of job that a worker knows says which outside system it calls\n");
    let mut connection = db.pool().acquire().await.expect("a connection");
    breaker::declare(&mut connection, &[("test.call", Some("mail"))]).await.expect("declared");
    let table = rawops(&url, &["breakers", "list"]).await.ok().out;
    assert!(table.contains("opens when 50 % of 10 or more attempts within 1m fail (network, timeout, upstream, rate_limited)"), "{table}");
    let job = NewJob::of(&Call { ms: 0 }).expect("the arguments are JSON");
    let id = Client::new(db.pool().clone()).enqueue(&job).await.expect("enqueued").id.to_string();
    let said = rawops(&url, &["breakers", "open", "mail", "--reason", "they move"]).await.ok().out;
    assert_eq!(said, "the jobs that call mail are held until `rawops breakers auto mail`; what runs goes on\n");
    let why = rawops(&url, &["why", &id]).await.ok().out;
    assert!(why.contains("breaker mail is open since ") && why.contains("held by ada on the command line"), "{why}");
    let json = rawops(&url, &["breakers", "list", "--json"]).await.ok().json();
    let mail = &json["breakers"][0];
    assert_eq!((mail["system"].as_str(), mail["state"].as_str(), mail["reason"].as_str()), (Some("mail"), Some("open"), Some("they move")));
    let said = rawops(&url, &["breakers", "close", "mail"]).await.ok().out;
    assert_eq!(said, "the jobs that call mail run until `rawops breakers auto mail`, whatever fails\n");
    assert_eq!(rawops(&url, &["breakers", "auto", "mail"]).await.ok().out, "what is counted decides about mail again\n");
    let refused = rawops(&url, &["breakers", "open", "fax"]).await.refusal(1);
    assert_eq!(refused, "there is no breaker fax: `rawops breakers list` shows those that there are");
}

#[tokio::test]
async fn the_rule_of_a_breaker_is_changed_and_nonsense_refused() {
    let db = Database::new().await;
    let url = db.url();
    let mut connection = db.pool().acquire().await.expect("a connection");
    breaker::declare(&mut connection, &[("test.call", Some("mail"))]).await.expect("declared");
    let words = ["breakers", "set", "mail", "--share", "80", "--at-least", "3", "--window", "30s", "--categories", "network,auth"];
    let said = rawops(&url, &words).await.ok().out;
    assert_eq!(said, "breaker mail opens when 80 % of 3 or more attempts within 30s fail (network, auth), for 10s to 10m from now on\n");
    let refused = rawops(&url, &["breakers", "set", "mail", "--cooldown", "20m"]).await.refusal(1);
    assert!(refused.contains("violates check constraint"), "longer than its longest: {refused}");
    let refused = rawops(&url, &["breakers", "set", "mail", "--categories", "network,netwrok"]).await.refusal(1);
    assert!(refused.starts_with("there is no error category netwrok: there are auth, bug, business_rule, "), "{refused}");
    assert_eq!(rawops(&url, &["breakers", "set", "mail"]).await.code, 2, "nothing to change");
}
