-- How many jobs stand elsewhere than in ready, and how old the figures are.
-- Caller: metrics.rs
select scheduled, claims, claimed, dead, age_seconds from engine.place_figures
