-- How many jobs stand elsewhere than in ready.
-- Caller: metrics.rs
select scheduled, claims, dead from engine.place_figures
