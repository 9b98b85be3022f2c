//! Who may call: nobody without a token, and nobody for what the token does not say.

use reqwest::{Method, header};
use serde_json::json;
use web::api::{Scope, tokens};

use super::{Api, answer, refusal};
use crate::{
    cli::program::{answer as run, command},
    support::ledger::count,
};

#[tokio::test]
async fn without_a_live_token_nothing_is_done() {
    let api = Api::start(&[Scope::JobsWrite]).await;
    let url = api.edge.url("/v1/jobs");
    let job = json!({ "kind": "health.prune_enqueue_keys", "args": {} });
    let post = || reqwest::Client::new().post(&url).json(&job);
    for request in [
        post(),
        post().bearer_auth(""),
        post().bearer_auth("rawops_"),
        post().bearer_auth("rawops_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        post().basic_auth("rawops_", Some("x")),
        api.request(Method::POST, "/v1/jobs").json(&job).header(header::AUTHORIZATION, "Bearer another"),
    ] {
        let response = request.send().await.expect("the process answers");
        assert_eq!((response.status().as_u16(), response.headers()[header::WWW_AUTHENTICATE].as_bytes()), (401, b"Bearer".as_slice()));
    }
    tokens::revoke(api.edge.pool(), "test").await.expect("revoked");
    assert!(refusal(api.post("/v1/jobs", &job).await, 401).starts_with("send a live token"));
    assert_eq!(count(api.edge.pool(), "select count(*) from engine.job").await, 0);
}

#[tokio::test]
async fn a_token_serves_for_its_scopes_and_until_its_day() {
    let api = Api::start(&[Scope::JobsRead]).await;
    assert_eq!(api.get("/v1/kinds").await.0, 200);
    let refused = api.post("/v1/jobs", &json!({ "kind": "health.prune_enqueue_keys", "args": {} })).await;
    assert_eq!(refusal(refused, 403), "the token test lacks the scope jobs:write");
    let used = "select count(*) from raw_ops.api_tokens where last_used_at is not null";
    assert_eq!(count(api.edge.pool(), used).await, 1, "its use is noted");
    sqlx::query("update raw_ops.api_tokens set expires_at = now() - interval '1 second'").execute(api.edge.pool()).await.expect("expired");
    refusal(api.get("/v1/kinds").await, 401);
}

#[tokio::test]
async fn operators_make_list_and_revoke_tokens_that_are_never_kept() {
    let api = Api::start(&[Scope::JobsRead]).await;
    let rawops = async |words: &[&str]| {
        let mut command = command(words);
        command.env("DATABASE_URL", api.edge.database_url());
        run(command).await
    };
    let token = rawops(&["tokens", "create", "shop", "--scope", "jobs:read", "--days", "30"]).await.ok().out.trim().to_string();
    assert_eq!(token.len(), "rawops_".len() + 43, "{token}");
    let kinds = reqwest::Client::new().get(api.edge.url("/v1/kinds")).bearer_auth(&token);
    assert_eq!(answer(kinds).await.0, 200);
    let kept = "select count(*) from raw_ops.api_tokens t where t::text like '%' || right($1, 43) || '%'";
    let kept: i64 = sqlx::query_scalar(kept).bind(&token).fetch_one(api.edge.pool()).await.expect("a count");
    assert_eq!(kept, 0);

    let refused = rawops(&["tokens", "create", "shop", "--scope", "jobs:read"]).await.refusal(1);
    assert_eq!(refused, "a token called shop exists: revoke it first, or choose another name");
    let listed = rawops(&["tokens", "list", "--json"]).await.ok().json();
    assert_eq!((&listed[0]["name"], &listed[0]["scopes"]), (&json!("shop"), &json!(["jobs:read"])));
    assert_eq!(rawops(&["tokens", "revoke", "shop"]).await.ok().out, "the token shop is revoked\n");
    assert!(rawops(&["tokens", "revoke", "shop"]).await.refusal(1).starts_with("there is no live token called shop"));
    assert!(rawops(&["tokens", "list"]).await.ok().out.contains("revoked"));
    rawops(&["tokens", "create", "shop", "--scope", "jobs:read"]).await.ok();
    rawops(&["tokens", "create", "ci", "--scope", "jobs:read", "--days", "1"]).await.ok();
    sqlx::query("update raw_ops.api_tokens set expires_at = now() where name = 'ci'")
        .execute(api.edge.pool())
        .await
        .expect("its day is over");
    let listed = rawops(&["tokens", "list"]).await.ok().out;
    let state = |name: &str| listed.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_whitespace().nth(1));
    assert_eq!((state("ci"), state("shop")), (Some("expired"), Some("live")), "{listed}");
}
