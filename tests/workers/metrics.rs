//! `/metrics`, METRICS.md, the dashboard and the alerts speak of the same figures.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use crate::cli::program::{command, free_port, signal};
use crate::support::{Database, wait::until};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every word of a text that names a metric; a histogram's series count as the histogram.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let whole = |word: &str| ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_string();
    words.filter(|word| word.starts_with("rawops_")).map(whole).collect()
}

/// The names that `/metrics` of a web process explains: its own, the engine's, and the database's.
async fn shown() -> BTreeSet<String> {
    let db = Database::new().await;
    let port = free_port();
    let mut web = command(&["web"]);
    web.env("DATABASE_URL", db.url()).env("BIND", format!("127.0.0.1:{port}")).env("RAWOPS_LOG", "error");
    web.env("SHOPIFY_WEBHOOK_SECRET", "hush").env("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com");
    let web = web.spawn().expect("the program can be run");
    let url = format!("http://127.0.0.1:{port}/metrics");
    let read = async || reqwest::get(&url).await.ok()?.text().await.ok();
    until("it has the database's figures", Duration::from_secs(30), async || {
        read().await.is_some_and(|text| text.contains("rawops_database_up 1\n"))
    })
    .await;
    let text = read().await.expect("it answers");
    signal(&web, "TERM");
    web.wait_with_output().await.expect("the process ends");
    text.lines().filter_map(|line| line.strip_prefix("# HELP ")).filter_map(|rest| rest.split(' ').next()).map(String::from).collect()
}

#[tokio::test]
async fn every_figure_is_documented_and_no_other() {
    let documented: BTreeSet<String> = file("METRICS.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| named(line.split('|').nth(1).unwrap_or_default()))
        .collect();
    assert_eq!(shown().await, documented);
}

#[test]
fn the_dashboard_is_json_and_shows_figures_that_exist() {
    let dashboard: serde_json::Value = serde_json::from_str(&file("ops/grafana.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("a list");
    let known = named(&file("METRICS.md"));
    for panel in panels {
        let exprs: Vec<&str> = panel["targets"].as_array().into_iter().flatten().filter_map(|target| target["expr"].as_str()).collect();
        assert!(!exprs.is_empty(), "{panel}");
        for expr in exprs {
            let names = named(expr);
            assert!(!names.is_empty() && names.is_subset(&known), "{}: {expr}", panel["title"]);
        }
    }
    assert!(panels.len() > 10);
}

#[test]
fn the_alerts_are_yaml_and_ask_figures_that_exist() {
    let alerts: serde_json::Value = serde_norway::from_str(&file("ops/alerts.yml")).expect("it is YAML");
    let known = named(&file("METRICS.md"));
    let rules: Vec<_> = alerts["groups"].as_array().into_iter().flatten().filter_map(|group| group["rules"].as_array()).flatten().collect();
    assert!(rules.len() >= 7);
    for rule in rules {
        let expr = rule["expr"].as_str().unwrap_or_else(|| panic!("{rule}"));
        let names = named(expr);
        assert!(!names.is_empty() && names.is_subset(&known), "{rule}");
        assert!(
            rule["alert"].is_string() && rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(),
            "{rule}"
        );
    }
}
