//! The component registry: that the database holds it, and what its parts do.

mod compare;
mod customer_changes;
mod customer_figures;
mod customer_figures_racing;
mod exceptions;
mod inventory;
mod knowledge;
mod owners;
mod row_jobs;
mod rules;
mod schema;
mod stage;
mod views_batches;
mod views_outbox;
mod views_packing;
mod views_people;
mod views_plans;
mod views_webhooks;
