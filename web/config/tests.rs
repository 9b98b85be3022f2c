//! Settings: defaults, precedence, and what is said about wrong ones.

use super::*;

fn read(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let complete = [("SHOPIFY_WEBHOOK_SECRET", "hush"), ("SHOPIFY_SHOP_DOMAIN", "raw.myshopify.com")];
    Config::read(|name| settings.iter().chain(&complete).find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn bind(settings: &[(&str, &str)]) -> String {
    match read(settings) {
        Ok(config) => config.bind.to_string(),
        Err(error) => error.to_string(),
    }
}

fn problems(settings: &[(&str, &str)]) -> Vec<String> {
    read(settings).err().map(|error| error.problems).unwrap_or_default()
}

#[test]
fn it_listens_on_this_machine_unless_told_otherwise() {
    assert_eq!(bind(&[]), "127.0.0.1:8080");
    assert_eq!(bind(&[("BIND", "")]), "127.0.0.1:8080");
    assert_eq!(bind(&[("BIND", "[::1]:9000")]), "[::1]:9000");
}

#[test]
fn port_overrides_the_address_as_procfiles_expect() {
    assert_eq!(bind(&[("PORT", "5000"), ("BIND", "127.0.0.1:1")]), "0.0.0.0:5000");
}

#[test]
fn an_address_that_cannot_be_read_is_named_with_an_example() {
    let shown = bind(&[("BIND", "localhost")]);
    assert!(shown.contains("BIND is \"localhost\""), "{shown}");
    assert!(shown.contains("127.0.0.1:8080"), "{shown}");
    assert!(bind(&[("PORT", "70000")]).contains("PORT is \"70000\""));
}

#[test]
fn everything_that_is_missing_is_reported_at_once() {
    let missing = problems(&[("SHOPIFY_WEBHOOK_SECRET", ""), ("SHOPIFY_SHOP_DOMAIN", "")]);
    assert_eq!(missing.len(), 2);
    assert!(missing[0].starts_with("SHOPIFY_WEBHOOK_SECRET is not set"));
    assert!(missing[1].starts_with("SHOPIFY_SHOP_DOMAIN is not set"));
}

#[test]
fn a_shop_is_a_bare_name() {
    let shown = problems(&[("SHOPIFY_SHOP_DOMAIN", "https://raw.myshopify.com/")]);
    assert!(shown[0].contains("expected the bare name"), "{shown:?}");
}

#[test]
fn a_secret_with_a_line_break_is_refused_without_being_shown() {
    let shown = problems(&[("SHOPIFY_WEBHOOK_SECRET", "hidden\n")]);
    assert_eq!(shown.len(), 1);
    assert!(!shown[0].contains("hidden"), "{shown:?}");
}

#[test]
fn the_previous_secret_is_taken_while_a_rotation_lasts() {
    let config = read(&[("SHOPIFY_WEBHOOK_SECRET_PREVIOUS", "old")]).ok();
    let previous = config.and_then(|config| config.shopify_secret_previous);
    assert_eq!(previous.map(|secret| secret.expose().to_vec()), Some(b"old".to_vec()));
}
