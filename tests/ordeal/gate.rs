//! The gate: short runs of the ordeal with every change, on fixed seeds and a fresh one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ordeal::{
    coverage::Coverage,
    faults::Class,
    inputs, namespace,
    report::Report,
    run::{self, Settings},
    seeds,
    server::Server,
    sizes::{GATE_SEEDS, GATE_TIME, gate_classes},
    tables,
};

fn fresh_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Runs of these seeds, one after the other, on a server of their own.
async fn runs(root: PathBuf, seeds: Vec<u64>) -> Vec<Report> {
    std::fs::create_dir_all(&root).expect("a folder can be made");
    let server = Arc::new(Server::start(&root.join("server"), &gate_classes()).await.unwrap_or_else(|error| panic!("{error:#}")));
    let mut reports = Vec::new();
    for seed in seeds {
        let settings =
            Settings { time: GATE_TIME, classes: gate_classes(), ..Settings::new(seed, env!("CARGO_BIN_EXE_ordeal").into(), root.clone()) };
        let report = run::run(&settings, &server).await.unwrap_or_else(|error| {
            seeds::keep(&here().join("seeds"), seed, &format!("{error:#}\n")).expect("a seed that came to nothing can be kept");
            panic!("seed {seed}: {error:#}")
        });
        println!("{report}");
        reports.push(report);
    }
    reports
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_under_every_fault_end_as_the_model_says() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gate");
    println!("{}", namespace::notice());
    let (mut coverage, mut failed) = (Coverage::default(), BTreeSet::new());
    // Much of a run is waiting: for leases to run out, for retries, for a suspect's turn.
    let (some, others) = tokio::join!(runs(root.join("0"), vec![GATE_SEEDS[0], fresh_seed()]), runs(root.join("1"), vec![GATE_SEEDS[1]]));
    for report in some.iter().chain(&others) {
        let seed = report.seed;
        if !report.is_clean() {
            failed.insert(seed);
            seeds::keep(&here().join("seeds"), seed, &report.to_string()).expect("a seed that failed can be kept");
        }
        assert!(report.faults() > 5, "seed {seed}: hardly anything struck");
        for finding in &report.findings {
            assert!(finding.looked_at > 0, "seed {seed}: the checker of {} looked at nothing", finding.id);
        }
        coverage.add(&report.coverage);
    }
    println!("{}", coverage.table());
    let partitions = |report: &Report| report.faults.get(Class::Partition.as_str()).copied().unwrap_or(0);
    let of_fixed: usize = some.iter().chain(&others).filter(|report| GATE_SEEDS.contains(&report.seed)).map(partitions).sum();
    assert!(of_fixed > 0 || namespace::absence().is_some(), "no fixed seed was partitioned, though workers could be");
    assert!(failed.is_empty(), "seeds {failed:?} failed: their reports are above, their folders in {}", root.display());
    let missing = coverage.missing_in_short();
    assert!(missing.is_empty(), "the runs prove nothing of what they have not touched: {missing:#?}");
}

#[test]
fn a_webhook_is_accepted_if_and_only_if_it_is_byte_for_byte_as_signed() {
    let times = 20_000;
    let counts = ordeal::inputs::webhooks::mutate(fresh_seed(), times).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(counts.tried, times);
    assert!(counts.taken > times / 10 && counts.taken < times / 2, "{counts:?}: the draw is not what it should be");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_inputs_are_taken_as_they_are_or_refused_in_words() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inputs");
    std::fs::create_dir_all(&root).expect("a folder can be made");
    let server = Arc::new(Server::start(&root.join("server"), &[]).await.unwrap_or_else(|error| panic!("{error:#}")));
    let (seed, many, few) = (fresh_seed(), 400, 100);
    for (what, times, counts) in [
        ("values", many, inputs::values::try_all(&server, seed, many).await),
        ("calls by SQL", many, inputs::sql::try_all(&server, seed, many).await),
        ("requests", many, inputs::api::try_all(&server, seed, many).await),
        ("rows edited by hand", few, inputs::rows::try_all(&server, seed, few).await),
    ] {
        let counts = counts.unwrap_or_else(|wrong| panic!("{what} of seed {seed}: {wrong}"));
        assert!(counts.taken > times / 50 && counts.refused > times / 50, "{what} of seed {seed}: {counts:?}");
        assert_eq!(counts.tried, times, "{what} of seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_run_leaves_in_its_tables_can_be_read_afterwards() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tables");
    let _ = std::fs::remove_dir_all(root.join("left"));
    std::fs::create_dir_all(&root).expect("a folder can be made");
    let server = Server::start(&root.join("server"), &[]).await.unwrap_or_else(|error| panic!("{error:#}"));
    let database = server.database().await.unwrap_or_else(|error| panic!("{error:#}"));
    let pool = sqlx::PgPool::connect(&database.url).await.expect("it can be reached");
    let row = "insert into ordeal.effect (program, act, job_id, attempt, last) values ('p0-1', 2, 3, 4, true)";
    sqlx::query(row).execute(&pool).await.expect("a row can be written");
    tables::write(&pool, &root.join("left")).await.unwrap_or_else(|error| panic!("{error:#}"));
    let read = |name: &str| std::fs::read_to_string(root.join("left").join(name));
    let effects = read("ordeal.effect.csv").expect("the table has a file");
    assert!(effects.starts_with("program,act,job_id,attempt,last,at\np0-1,2,3,4,t,"), "{effects}");
    assert!(read("engine.retry_config.csv").is_err() && read("raw_ops.retry_config.csv").is_ok(), "views are no tables of their own");
    assert!(read("engine.job.csv").is_err(), "what is empty has no file");
    pool.close().await;
    server.drop_database(&database.name).await.unwrap_or_else(|error| panic!("{error:#}"));
}

/// The features of the engine that are compiled into a package of the workspace when it is built for use.
fn engine_features(package: &str) -> String {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-p", package, "-e", "normal,features"])
        .current_dir(here())
        .output()
        .expect("cargo can be run");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    String::from_utf8(tree.stdout).expect("cargo writes text")
}

#[test]
fn no_product_has_places_for_faults_or_planted_bugs() {
    for package in ["rawops", "workers", "web", "jobs", "schedules", "bench"] {
        let tree = engine_features(package);
        assert!(tree.contains("engine"), "{package} does not use the engine: the test looks at nothing");
        for feature in ["failpoints", "planted"] {
            assert!(!tree.contains(&format!("feature \"{feature}\"")), "{package} is built with {feature}");
        }
    }
    let ordeal = engine_features("ordeal");
    assert!(ordeal.contains("engine feature \"failpoints\""), "the tree would show it");
    assert!(!ordeal.contains("feature \"planted\""), "planted bugs are asked for by name");
}
