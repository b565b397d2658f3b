/*
title = "Who took part in crimes?"
page = "crimes"
asks = ["leader", "planner"]
caption = "Crimes that were executed in the last 7 and 30 days, by member of the newest picture; zeros first."
definition = """
A crime counts for whoever is in one of its slots, by the time of its execution. Members who took no
part stay in the list; whoever has left is not in it."""
chart = { kind = "bars", label = "member", values = ["crimes_30_days"] }
units = { days_in_faction = "days", in_crime_now = "flag", mean_pass_rate = "number", last_crime = "time" }
links = { member = "member_id" }

[needs."/faction/crimes"]
[needs."/faction/members"]
*/
with part as (
    select s._subject_id, s.user_id, c.id, c.status, c.executed_at, s.checkpoint_pass_rate,
           c.executed_at >= $until - interval 7 day as in_7_days,
           c.executed_at >= $until - interval 30 day as in_30_days
    from {faction_crimes:now} as c
    join {faction_crimes_slots:now} as s on s._subject_id = c._subject_id and s.crime_id = c.id
    where s.user_id is not null and c.executed_at < $until
)
select m.name as member, m.position, m.days_in_faction, m.is_in_oc as in_crime_now,
       count(distinct case when p.in_7_days then p.id end) as crimes_7_days,
       count(distinct case when p.in_30_days then p.id end) as crimes_30_days,
       count(distinct case when p.in_30_days and p.status = 'Successful' then p.id end)
           as successful_30_days,
       avg(case when p.in_30_days then p.checkpoint_pass_rate end) as mean_pass_rate,
       max(p.executed_at) as last_crime, m.id as member_id
from {faction_members:now} as m
left join part as p on p._subject_id = m._subject_id and p.user_id = m.id
group by m._subject_id, m.id, m.name, m.position, m.days_in_faction, m.is_in_oc
order by crimes_30_days nulls last, crimes_7_days nulls last, member nulls last, member_id nulls last
