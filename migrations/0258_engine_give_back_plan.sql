-- Handing on slots was planned anew at each end of limited jobs, which took ten times as long as doing it: a plan for two given lists looks
-- cheaper than one for any two.
alter function engine.give_back(bigint[], bigint[]) set plan_cache_mode = force_generic_plan;
