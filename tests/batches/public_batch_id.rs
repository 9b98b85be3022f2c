//! The name of a batch in public.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::orders::inbox::{count, execute, row};
use crate::support::{
    Database,
    shelf::{Batch, message, product, rows},
};

async fn database_hmac(db: &Database, message: &[u8], key: &[u8]) -> Vec<u8> {
    sqlx::query_scalar("select raw_ops.hmac_sha256($1, $2)").bind(message).bind(key).fetch_one(db.pool()).await.expect("a digest")
}

fn hmac(message: &[u8], key: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

#[tokio::test]
async fn the_databases_hmac_is_the_standards() {
    let db = Database::new().await;
    // RFC 4231, test cases 2 and 6.
    let known = database_hmac(&db, b"what do ya want for nothing?", b"Jefe").await;
    assert_eq!(hex(&known), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let known = database_hmac(&db, b"Test Using Larger Than Block-Size Key - Hash Key First", &[0xaa; 131]).await;
    assert_eq!(hex(&known), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    for length in [0, 1, 31, 32, 63, 64, 65, 200] {
        let (message, key) = (vec![7; length], vec![9; length]);
        assert_eq!(database_hmac(&db, &message, &key).await, hmac(&message, &key), "{length} bytes");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn a_batch_gets_an_id_under_the_servers_key_that_no_digest_of_its_code_gives() {
    let db = Database::new().await;
    let beef = product(db.pool(), "BEEF").await;
    Batch::default().put(db.pool(), "PR-260115-001", beef).await;
    let made: String = sqlx::query_scalar("select public_batch_id from raw_ops.batches").fetch_one(db.pool()).await.expect("an id");
    let key: Vec<u8> = sqlx::query_scalar("select key from raw_ops.server_key").fetch_one(db.pool()).await.expect("a key");
    assert_eq!(key.len(), 32);
    assert_eq!(made, hex(&hmac(b"PR-260115-001", &key))[..24], "96 bits");
    assert_ne!(made, hex(&Sha256::digest(b"PR-260115-001"))[..24]);
    let again: String =
        sqlx::query_scalar("select raw_ops.generate_public_batch_id('PR-260115-001')").fetch_one(db.pool()).await.expect("an id");
    assert_eq!(made, again);
}

#[tokio::test]
async fn an_id_that_was_made_before_is_kept_whatever_happens_to_the_key() {
    let db = Database::new().await;
    execute(db.pool(), "insert into raw_ops.batches (batch_code, produced_at, public_batch_id) values ('b1', '2026-01-15', 'made before')")
        .await;
    execute(db.pool(), "insert into raw_ops.batches (batch_code, produced_at) values ('b2', '2026-01-15')").await;
    let ids = rows(db.pool(), "select batch_code, public_batch_id from raw_ops.batches order by 1").await;
    execute(db.pool(), "update raw_ops.server_key set key = sha256('another')").await;
    execute(db.pool(), "update raw_ops.batches set notes = 'touched'").await;
    assert_eq!(rows(db.pool(), "select batch_code, public_batch_id from raw_ops.batches order by 1").await, ids);
    assert_eq!(ids[0][1], json!("made before"));
    let under_another = row(db.pool(), "select raw_ops.generate_public_batch_id('b2') as id").await;
    assert_ne!(under_another["id"], ids[1][1], "the key matters");
}

#[tokio::test]
async fn without_a_key_no_batch_is_named_and_the_error_says_what_to_do() {
    let db = Database::new().await;
    execute(db.pool(), "delete from raw_ops.server_key").await;
    let made = sqlx::query("insert into raw_ops.batches (batch_code, produced_at) values ('b1', '2026-01-15')").execute(db.pool()).await;
    assert_eq!(
        message(&made.expect_err("no key")),
        "the key of public batch ids is missing: restore the row public_batch_id of raw_ops.server_key, or insert one with 32 random bytes"
    );
    assert_eq!(count(db.pool(), "raw_ops.batches").await, 0);
    let short = sqlx::query("insert into raw_ops.server_key (name, key) values ('public_batch_id', 'short')").execute(db.pool()).await;
    assert!(message(&short.expect_err("a short key")).contains("check constraint"));
}
