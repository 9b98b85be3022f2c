//! What hardly changes: recipes, products, the carrier's codes, where boxes go, what the agent knows.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::draws::Draws;
use super::knowledge::SECTIONS;
use super::sheet::{Sheets, Thousandths, row};
use super::shipments::SCANS;
use crate::shopify::catalogue;

/// Where boxes need more coolant: prefix, place, hours on the way.
const HIGH_RISK: [(&str, &str, i64); 5] = [
    ("IV", "Highlands", 48),
    ("ZE", "Shetland", 72),
    ("KW", "Caithness and Orkney", 72),
    ("BT", "Northern Ireland", 48),
    ("TR", "West Cornwall", 36),
];

/// Areas that boxes go to, and hours on the way.
const AREAS: [(&str, &str, i64); 12] = [
    ("SW", "South West London", 24),
    ("E", "East London", 24),
    ("BN", "Brighton", 24),
    ("BS", "Bristol", 24),
    ("LS", "Leeds", 24),
    ("M", "Manchester", 24),
    ("NE", "Newcastle", 24),
    ("CF", "Cardiff", 24),
    ("EH", "Edinburgh", 24),
    ("G", "Glasgow", 24),
    ("IV", "Highlands", 48),
    ("BT", "Northern Ireland", 48),
];

/// Rows of the tables that describe the company.
///
/// `founded` is when they were written.
pub fn reference(draws: Draws, founded: DateTime<Utc>) -> Sheets {
    let mut sheets = Sheets::default();
    products(draws, founded, &mut sheets);
    settings(draws, founded, &mut sheets);
    carrier(draws, founded, &mut sheets);
    support(draws, founded, &mut sheets);
    sheets
}

fn products(draws: Draws, founded: DateTime<Utc>, sheets: &mut Sheets) {
    for (place, product) in catalogue().iter().enumerate() {
        row!(sheets, "products", {
            id: draws.id("products", place as u64),
            sku: product.sku,
            name: product.name,
            kg: Thousandths(product.grams.into()),
            is_active: true,
            created_at: founded,
        });
    }
    let recipes =
        [("1.0", "Complete, first recipe", "2023-02-01", Some("2024-06-30")), ("1.1", "Complete, with sea vegetables", "2024-07-01", None)];
    for (place, (version, name, from, until)) in recipes.into_iter().enumerate() {
        row!(sheets, "formulations", {
            id: draws.id("formulations", place as u64),
            version: version,
            name: name,
            description: "80 % meat, 10 % bone, 10 % offal; complete for adult dogs",
            effective_from: from,
            effective_until: until,
            shopify_page_url: format!("https://protocolraw.example/pages/formulation-{place}"),
            lab_name: "Northgate Food Laboratories",
            certificate_reference: format!("NFL-{}", 20_230 + place),
            analysis_date: from,
            fediaf_verified: true,
            created_at: founded,
            updated_at: founded,
        });
    }
}

fn settings(draws: Draws, founded: DateTime<Utc>, sheets: &mut Sheets) {
    for (place, (key, value, words)) in [
        ("lead_time_days", 9, "Days from production to release"),
        ("batch_days", 14, "Days that one batch is to last"),
        ("safety_stock_units", 12, "Units kept beyond what is expected"),
        ("shelf_life_days", 365, "Days that frozen food is good for"),
    ]
    .into_iter()
    .enumerate()
    {
        row!(sheets, "inventory_planning_config", {
            id: draws.id("inventory_planning_config", place as u64),
            config_key: key,
            config_value: value,
            description: words,
            updated_at: founded,
            updated_by: "seed",
        });
    }
    for (place, (kind, threshold, words)) in
        [("low_stock", 10, "Units of a product that are released"), ("orders_waiting", 5, "Paid orders without stock")]
            .into_iter()
            .enumerate()
    {
        row!(sheets, "allocation_alert_config", {
            id: draws.id("allocation_alert_config", place as u64),
            alert_type: kind,
            threshold_value: threshold,
            enabled: true,
            description: words,
            created_at: founded,
            updated_at: founded,
        });
    }
    for (key, value, words) in [
        ("lock_hours", "48", "Hours before billing after which a delivery cannot be changed"),
        ("reminder_days", "7", "Days before billing on which the customer is reminded"),
        ("default_frequency_weeks", "4", "Weeks between boxes unless the customer says otherwise"),
    ] {
        row!(sheets, "subscription_config", { config_key: key, config_value: value, description: words, updated_at: founded, updated_by: "seed" });
    }
    for (target, name, email) in [
        ("co_packer", "Kitchen", "production@copacker.example"),
        ("laboratory", "Reports", "reports@northgate-lab.example"),
        ("3pl", "Despatch desk", "despatch@coldstore.example"),
        ("courier", "Account manager", "accounts@courier.example"),
    ] {
        row!(sheets, "partner_contacts", { target: target, contact_name: name, email: email, created_at: founded });
    }
    row!(sheets, "lab_pdf_patterns", {
        id: draws.id("lab_pdf_patterns", 0),
        lab_name: "Northgate Food Laboratories",
        batch_code_regex: r"PR-\d{6}-\d{3}",
        salmonella_pattern: r"(?i)salmonella\s*\(?/?\s*25\s*g\)?\s+(not detected|detected)",
        listeria_pattern: r"(?i)listeria (?:species|spp\.?)\s*\(?/?\s*25\s*g\)?\s+(not detected|detected)",
        enterobacteriaceae_pattern: r"(?i)enterobacteriaceae.*?\(cfu/g\)\s+([<>]?\s*[\d.,x^ ]+)",
        notes: "Columns: sample no., description, suite, result",
        created_at: founded,
        updated_at: founded,
    });
}

fn carrier(draws: Draws, founded: DateTime<Utc>, sheets: &mut Sheets) {
    for (place, (code, word, text, is_told)) in SCANS.into_iter().enumerate() {
        row!(sheets, "courier_event_mapping", {
            id: draws.id("courier_event_mapping", place as u64),
            courier_name: "DPD",
            event_code: code,
            event_type: word,
            requires_customer_notification: is_told,
            notification_template_id: is_told.then_some("delivery_exception"),
            customer_message_short: is_told.then_some(text),
            internal_priority: if is_told { "high" } else { "normal" },
            created_at: founded,
        });
    }
    for (prefix, place, hours) in HIGH_RISK {
        row!(sheets, "high_risk_postcodes", {
            postcode_prefix: prefix,
            region_name: place,
            typical_transit_hours: hours,
            courier_service_level: "Next Day by 12:00 where offered",
            delivery_policy: if hours > 48 { "no delivery" } else { "extra coolant" },
            checkout_message: if hours > 48 { "We cannot keep the food frozen on the way to you yet." } else { "Your box travels with more coolant." },
            is_active: true,
            created_at: founded,
            updated_at: founded,
        });
    }
    for (prefix, place, hours) in AREAS {
        row!(sheets, "allowed_delivery_areas", {
            postcode_prefix: prefix,
            area_name: place,
            phase: if hours > 24 { "2" } else { "1" },
            enabled_from_date: "2024-01-08",
            typical_transit_hours: hours,
            is_active: true,
            created_at: founded,
            updated_at: founded,
        });
    }
}

fn support(draws: Draws, founded: DateTime<Utc>, sheets: &mut Sheets) {
    for (place, (key, title, content)) in SECTIONS.into_iter().enumerate() {
        row!(sheets, "ai_knowledge_sections", {
            id: draws.id("ai_knowledge_sections", place as u64),
            section_key: key,
            version: 1,
            title: title,
            content: content,
            is_active: true,
            created_at: founded,
            created_by: "seed",
            notes: json!({"reviewed": true}).to_string(),
        });
        for (channel, name) in ["email", "chat"].into_iter().enumerate() {
            row!(sheets, "ai_prompt_templates", {
                id: draws.id("ai_prompt_templates", (place * 2 + channel) as u64),
                channel: name,
                section_key: key,
                section_order: place + 1,
                is_included: true,
                wrapper_prefix: format!("## {title}\n"),
                created_at: founded,
                updated_at: founded,
            });
        }
    }
    for (place, (name, email, role)) in [
        ("Mia", "mia@protocolraw.example", "agent"),
        ("Tom", "tom@protocolraw.example", "agent"),
        ("Ruth", "ruth@protocolraw.example", "lead"),
    ]
    .into_iter()
    .enumerate()
    {
        row!(sheets, "agents", { id: draws.id("agents", place as u64), name: name, email: email, role: role, is_active: true, created_at: founded });
    }
}
