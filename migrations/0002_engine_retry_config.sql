-- The retry policy that a new installation starts with. Live data from here on: edit the rows, not this file.
--
-- Attempts of one category and the seconds before each retry; the last delay repeats.
-- Locks: none that matter, the table is new.

insert into engine.retry_config
    (error_category, max_attempts, backoff_seconds, alert_on_attempt, escalate_on_attempt, description)
values
    ('network', 10, '{1,5,15,60,300,900,3600}', 5, 8, 'The connection failed before an answer'),
    ('timeout', 8, '{2,10,30,120,600,1800}', 4, 6, 'No answer within the deadline'),
    ('rate_limited', 20, '{5,15,30,60,120,300}', 10, 15, 'The other side asked us to slow down; its Retry-After wins'),
    ('upstream', 10, '{5,30,120,600,1800,3600}', 4, 7, 'The other side failed (5xx)'),
    ('auth', 4, '{60,600,3600}', 1, 2, 'Credentials were refused; a person must look'),
    ('validation', 1, '{0}', 1, null, 'The input is wrong and will stay wrong'),
    ('not_ready', 30, '{2,5,10,30,60,300,900}', 15, 25, 'Something it needs has not arrived yet'),
    ('conflict', 20, '{0,1,1,2,5}', 10, null, 'Lost a race in the database; simply run again'),
    ('business_rule', 1, '{0}', 1, null, 'A rule of the business forbids it'),
    ('poison', 1, '{0}', 1, 1, 'The worker died with it, three times, alone'),
    ('bug', 5, '{10,60,600,3600}', 1, 3, 'The handler panicked'),
    ('unknown', 6, '{10,60,300,1800}', 2, 4, 'No other category fits'),
    ('default', 5, '{10,60,300,1800}', 2, 4, 'Categories without a row of their own');
