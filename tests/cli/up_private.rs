//! `rawops up` with a PostgreSQL of its own, and what is left when everything is killed.

use std::{path::PathBuf, time::Duration};

use sqlx::PgPool;
use tokio::{io::AsyncReadExt, process::Child};

use super::program::{code, command, rawops_in};
use crate::support::{ledger::count, wait::until};

const LIMIT: Duration = Duration::from_mins(5);

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("rawops-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Reads what a process prints until it has printed `words`; returns all of it.
async fn until_it_says(child: &mut Child, words: &str) -> String {
    let out = child.stdout.as_mut().expect("standard output is ours");
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(words) {
        let mut more = [0; 1024];
        let read = out.read(&mut more).await.expect("standard output can be read");
        assert!(read > 0, "it ended without {words:?}: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&more[..read]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

fn postmaster(folder: &Folder) -> Option<String> {
    let mut data = std::fs::read_dir(folder.0.join(".rawops")).ok()?.flatten().map(|entry| entry.path().join("postmaster.pid"));
    data.find_map(|file| Some(std::fs::read_to_string(file).ok()?.lines().next()?.to_string()))
}

fn kill(pid: &str) {
    assert!(std::process::Command::new("kill").args(["-KILL", pid]).status().expect("kill can be run").success());
}

#[tokio::test]
async fn without_a_database_it_brings_its_own_and_starts_it_again_when_it_dies() {
    let folder = Folder::new("server-dies");
    let mut up = command(&["up", "--until-orders", "60", "--rate", "30"]);
    up.current_dir(&folder.0).env("BIND", "127.0.0.1:0");
    let mut up = up.spawn().expect("the program can be run");
    until_it_says(&mut up, "Ctrl-C ends it.").await;

    let listed = rawops_in(&folder.0, &["jobs", "list"]).await.ok();
    assert!(listed.out.starts_with("ID ") || listed.out == "no jobs\n", "{listed:?}");
    let stop = rawops_in(&folder.0, &["db", "stop", "--json"]).await;
    assert_eq!((stop.code, stop.json()["server"].as_str()), (1, Some("in_use")));
    let url = rawops_in(&folder.0, &["db", "url"]).await.ok().out;
    assert!(url.starts_with("postgres://postgres@localhost:5432/rawops?host="), "{url}");

    let pid = postmaster(&folder).expect("the server runs");
    kill(&pid);
    let ended = up.wait_with_output().await.expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(code(ended.status), 0, "{out} {err}");
    assert!(err.contains("PostgreSQL had ended; it was started again"), "{err}");
    assert!(out.contains("all 60 orders of the shop are orders here"), "{out}");
    assert_eq!(postmaster(&folder), None, "the last one out stopped the server");

    let report = rawops_in(&folder.0, &["doctor"]).await.ok();
    assert!(report.out.starts_with("0 faults"), "{report:?}");
    let stop = rawops_in(&folder.0, &["db", "stop"]).await.ok();
    assert_eq!(stop.out, "the private server is down; what it stored is in .rawops\n");
}

/// Orders without a line, or that were handed to allocation more than once.
const UNSOUND: &str = "select count(*) from raw_ops.orders o
    where not exists (select from raw_ops.order_items i where i.order_id = o.id)
       or (select count(*) from raw_ops.allocation_queue q where q.order_id = o.id) > 1";

/// The place of the first order that the shop of this run sends, from the words of its start.
fn first_order(said: &str) -> i64 {
    let after = said.split("from its no. ").nth(1).expect("the sandbox says where it begins");
    after.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

fn start(folder: &Folder, words: &[&str]) -> Child {
    let mut up = command(words);
    up.current_dir(&folder.0).env("BIND", "127.0.0.1:0");
    up.spawn().expect("the program can be run")
}

#[tokio::test]
async fn after_a_kill_of_everything_no_order_is_lost_and_none_is_doubled() {
    let folder = Folder::new("all-die");
    let mut up = start(&folder, &["up", "--rate", "250", "--orders", "900"]);
    until_it_says(&mut up, "Ctrl-C ends it.").await;
    let url = rawops_in(&folder.0, &["db", "url"]).await.ok().out;
    let pool = PgPool::connect(url.trim()).await.expect("the private server runs");
    let orders = "select count(*) from raw_ops.orders";
    until("half of the orders are there", LIMIT, async || count(&pool, orders).await >= 500).await;
    kill(&up.id().expect("it runs").to_string());
    kill(&postmaster(&folder).expect("the server runs"));
    up.wait().await.expect("it ends");
    pool.close().await;

    let mut up = start(&folder, &["up", "--until-orders", "700", "--rate", "250"]);
    let said = until_it_says(&mut up, "Ctrl-C ends it.").await;
    let ended = up.wait_with_output().await.expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(code(ended.status), 0, "{out} {err}");
    assert!(out.contains("all 700 orders of the shop are orders here, and doctor found no fault"), "{out}");

    let options = embedded::Options::kept(folder.0.join(".rawops"));
    let server = tokio::task::spawn_blocking(move || embedded::ensure(&options, |_, _| ()));
    let server = server.await.expect("it does not panic").unwrap_or_else(|error| panic!("{error}"));
    let pool = PgPool::connect(&server.url("rawops")).await.expect("the private server runs again");
    assert_eq!(count(&pool, orders).await, first_order(&said) - 1 + 700, "every order of the shop, from its first on, once");
    assert_eq!(count(&pool, UNSOUND).await, 0);
    pool.close().await;
    tokio::task::spawn_blocking(move || server.stop()).await.expect("it does not panic").unwrap_or_else(|error| panic!("{error}"));
}
