//! The supply chain: the bill is that of the lock, and nothing in the lock is known to be broken.

use std::{collections::BTreeSet, process::Command};

use sbom::{Metadata, PRODUCT, bans, bill, licences, lock};
use serde_json::Value;

const DENY: &str = include_str!("../../deny.toml");

fn made() -> Value {
    bill(&Metadata::of_workspace().expect("cargo answers"), &lock::of_workspace().expect("there is a lock")).expect("a bill can be made")
}

fn texts<'a>(components: &'a Value, name: &str) -> BTreeSet<&'a str> {
    components.as_array().expect("a list").iter().filter_map(|component| component[name].as_str()).collect()
}

#[test]
fn every_component_of_the_bill_is_locked_with_its_checksum() {
    let (bill, locked) = (made(), lock::of_workspace().expect("there is a lock"));
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert_eq!(bill["metadata"]["component"]["name"], PRODUCT);
    let components = bill["components"].as_array().expect("components");
    assert!(components.len() > 100, "{} components", components.len());
    for component in components {
        let (name, version) = (&component["name"], &component["version"]);
        let locked = locked.iter().find(|locked| locked.name == *name && locked.version == *version);
        let locked = locked.unwrap_or_else(|| panic!("{component} is not locked"));
        assert_eq!(component["hashes"][0]["content"].as_str(), locked.checksum.as_deref(), "{component}");
        assert_eq!(component["purl"].is_string(), locked.checksum.is_some(), "{component}");
        assert!(component["licenses"][0]["expression"].is_string(), "{component} has no licence");
    }
}

/// Cargo's own tree of the product, as it is built for use.
#[test]
fn whatever_cargo_builds_for_use_is_in_the_bill() {
    let bill = made();
    let listed: BTreeSet<String> = bill["components"]
        .as_array()
        .expect("components")
        .iter()
        .map(|component| {
            format!("{} v{}", component["name"].as_str().unwrap_or_default(), component["version"].as_str().unwrap_or_default())
        })
        .collect();
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", PRODUCT, "-e", "normal,build", "--prefix", "none", "--format", "{p}"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .expect("cargo can be run");
    let tree = String::from_utf8(tree.stdout).expect("cargo writes text");
    let built: BTreeSet<String> = tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    let missing: Vec<_> = built.iter().filter(|package| !package.starts_with("rawops ") && !listed.contains(*package)).collect();
    assert!(built.len() > 100 && missing.is_empty(), "of {} packages the bill lacks {missing:?}", built.len());
}

#[test]
fn every_dependency_of_the_bill_is_a_component() {
    let bill = made();
    let components = texts(&bill["components"], "bom-ref");
    let product = bill["metadata"]["component"]["bom-ref"].as_str().expect("a reference");
    let dependencies = bill["dependencies"].as_array().expect("dependencies");
    assert_eq!(dependencies.len(), components.len() + 1);
    for dependency in dependencies {
        let on = dependency["dependsOn"].as_array().expect("a list").iter().filter_map(Value::as_str);
        for reference in on.chain([dependency["ref"].as_str().expect("a reference")]) {
            assert!(reference == product || components.contains(reference), "{reference} is no component");
        }
    }
    assert_eq!(made(), bill, "the same lock gives the same bill");
}

#[test]
fn every_package_is_of_one_registry_and_under_a_licence_that_is_allowed() {
    let metadata = Metadata::of_workspace().expect("cargo answers");
    let allowed = licences::allowed(DENY).expect("licences");
    assert_eq!(metadata.unlicensed(&allowed), Vec::<String>::new(), "as deny.toml says");
    let sources = metadata.sources();
    assert!(sources.len() == 1 && sources.iter().all(|source| source.starts_with("registry+")), "from elsewhere: {sources:?}");
    assert!(metadata.unlicensed(&[]).len() > 100, "nothing is allowed where no licence is");
}

#[test]
fn no_version_with_a_known_hole_is_locked() {
    let bans = bans::read(DENY).expect("it is one");
    let found = bans::found(&lock::of_workspace().expect("there is a lock"), &bans).expect("versions");
    assert!(bans.len() > 20 && found.is_empty(), "of {} bans: {found:#?}", bans.len());
}
