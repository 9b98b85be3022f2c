//! The bill of materials of rawops: what a build of it holds, as CycloneDX 1.6 in JSON.
//!
//! `cargo metadata` (what depends on what, under which licence) + `Cargo.lock` (checksums) -> components and dependencies
//!
//! The same lock gives the same bill, to the byte: it has no time, and its serial number follows from what it lists.

pub mod bans;
pub mod licences;
pub mod lock;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use lock::Locked;

/// The package that is built for use.
pub const PRODUCT: &str = "rawops";

/// What cargo says of the workspace, as far as it is read.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Use>,
}

#[derive(Debug, Deserialize)]
struct Use {
    /// None in the program itself, `build` while it is built, `dev` in tests.
    kind: Option<String>,
}

impl Metadata {
    /// Asks cargo, without a network and without changing the lock.
    ///
    /// # Errors
    /// When cargo cannot be run, or refuses.
    pub fn of_workspace() -> anyhow::Result<Self> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
        let asked = |more: &[&str]| {
            let mut asking = Command::new(&cargo);
            asking
                .args(["metadata", "--format-version", "1", "--locked"])
                .args(more)
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
            asking.output().context("cargo cannot be run")
        };
        // A build fetches what this machine needs, and the bill names what any does: cargo fetches the rest, once.
        let mut answer = asked(&["--offline"])?;
        if !answer.status.success() {
            answer = asked(&[])?;
        }
        if !answer.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&answer.stderr).trim());
        }
        serde_json::from_slice(&answer.stdout).context("what cargo metadata says cannot be read")
    }

    /// The packages that a build of the product holds or needs, for any machine; not those of tests alone.
    fn reached(&self) -> anyhow::Result<BTreeSet<&str>> {
        let product = self.packages.iter().find(|package| package.name == PRODUCT && package.source.is_none());
        let nodes: BTreeMap<&str, &Node> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut open = vec![product.with_context(|| format!("the workspace has no package {PRODUCT}"))?.id.as_str()];
        let mut reached = BTreeSet::new();
        while let Some(id) = open.pop() {
            if reached.insert(id) {
                open.extend(nodes.get(id).into_iter().flat_map(|node| node.needed()));
            }
        }
        Ok(reached)
    }
}

impl Node {
    /// What it needs, not counting its tests.
    fn needed(&self) -> impl Iterator<Item = &str> {
        let is_needed = |edge: &&Edge| edge.dep_kinds.iter().any(|used| used.kind.as_deref() != Some("dev"));
        self.deps.iter().filter(is_needed).map(|edge| edge.pkg.as_str())
    }
}

impl Package {
    /// Its name in a bill: a package URL, or name and version of what is ours.
    fn reference(&self) -> String {
        match self.source {
            Some(_) => format!("pkg:cargo/{}@{}", self.name, self.version),
            None => format!("{}@{}", self.name, self.version),
        }
    }

    fn component(&self, lock: &[Locked]) -> anyhow::Result<Value> {
        let mut component = json!({
            "type": if self.name == PRODUCT { "application" } else { "library" },
            "bom-ref": self.reference(),
            "name": self.name,
            "version": self.version,
        });
        if let Some(license) = &self.license {
            // A slash is how older packages write a choice.
            component["licenses"] = json!([{ "expression": license.replace(" / ", " OR ").replace('/', " OR ") }]);
        }
        if self.source.is_some() {
            let locked = lock.iter().find(|locked| locked.name == self.name && locked.version == self.version);
            let checksum = locked.and_then(|locked| locked.checksum.as_ref());
            let checksum = checksum.with_context(|| format!("Cargo.lock has no checksum of {} {}", self.name, self.version))?;
            component["purl"] = self.reference().into();
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        Ok(component)
    }
}

/// The bill of the product.
///
/// # Errors
/// When metadata and lock do not fit each other.
pub fn bill(metadata: &Metadata, lock: &[Locked]) -> anyhow::Result<Value> {
    let reached = metadata.reached()?;
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let reference = |id: &str| packages.get(id).map(|package| package.reference()).with_context(|| format!("{id} is no package"));
    let mut components = BTreeMap::new();
    let mut product = Value::Null;
    for package in metadata.packages.iter().filter(|package| reached.contains(package.id.as_str())) {
        let component = package.component(lock)?;
        if package.name == PRODUCT { product = component } else { drop(components.insert(package.reference(), component)) }
    }
    let mut dependencies = BTreeMap::new();
    for node in metadata.resolve.nodes.iter().filter(|node| reached.contains(node.id.as_str())) {
        let needed = node.needed().map(reference).collect::<anyhow::Result<BTreeSet<String>>>()?;
        dependencies.insert(reference(&node.id)?, needed);
    }
    let components: Vec<Value> = components.into_values().collect();
    let dependencies: Vec<Value> = dependencies.into_iter().map(|(of, on)| json!({ "ref": of, "dependsOn": on })).collect();
    let listed = json!([product, components, dependencies]).to_string();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, listed.as_bytes())),
        "version": 1,
        "metadata": { "component": product },
        "components": components,
        "dependencies": dependencies,
    }))
}
